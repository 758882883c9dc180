# Copyright 2026 sac_ros maintainers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""The URDF made of an MJCF robot is valid and is the same robot."""

import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlparse
from xml.etree import ElementTree

import mujoco
import numpy as np
import pytest
from real_arms import MJCF, real_robot, some_of

from sac_ros.config.robot import ArmConfig
from sac_ros.robot.loader import load_robot
from sac_ros.robot.urdf_writer import robot_description, roll_pitch_yaw, to_urdf
from sac_ros.sim.arm import SimArm

CROOKED = """<mujoco model="crooked"><compiler angle="radian"/><worldbody>
  <geom name="floor" type="plane" size="1 1 .1"/>
  <body name="a" pos=".1 .2 .3" quat=".8 .2 .4 .4"><joint name="turn" axis="1 2 0" pos=".1 0 0"
    actuatorfrcrange="-5 5" range="-1 2" armature=".01"/><geom size=".1" mass="1"/>
    <body name="b" pos="0 .1 .4" quat=".5 .5 -.5 .5"><geom type="box" size=".1 .2 .1" mass="1"/>
      <joint name="slide" type="slide" axis="0 1 1" actuatorfrcrange="-7 7" armature=".1"/>
      <joint name="both" axis="0 1 0" pos="0 0 .1" ref=".2" actuatorfrcrange="-3 3" armature=".1"/>
      <body name="c" pos=".3 0 0"><joint name="last" axis="0 0 1" ref=".4"
        actuatorfrcrange="-2 2" armature=".1"/><site name="point" pos="0 .1 0" euler=".1 .2 .3"/>
        <geom type="capsule" size=".05 .1" pos=".1 0 0" mass="1"/></body></body></body>
  <body name="ball" pos="1 0 0"><freejoint/><geom size=".1"/></body></worldbody></mujoco>"""


QUICK = ('crooked', 'openarm-left', 'panda')


@pytest.fixture(params=some_of(['crooked', *MJCF], QUICK), scope='module')
def robot(request, tmp_path_factory):
    if request.param != 'crooked':
        return real_robot(request.param)
    file = tmp_path_factory.mktemp('crooked') / 'crooked.xml'
    file.write_text(CROOKED)
    return load_robot(str(file), tip='point')


@pytest.fixture(scope='module')
def exported(robot, tmp_path_factory):
    folder = tmp_path_factory.mktemp('urdf')
    file = folder / 'robot.urdf'
    file.write_text(to_urdf(robot, folder / 'meshes'))
    return file


@pytest.fixture(scope='module')
def again(robot, exported):
    return load_robot(str(exported), tip=robot.tip)


def test_urdfdom_accepts_it(exported):
    beside = Path(sys.executable).parent
    program = shutil.which('check_urdf', path=beside) or shutil.which('check_urdf')
    if program is None:
        pytest.skip('check_urdf is not installed: pip install cmeel-urdfdom')
    result = subprocess.run([program, exported], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert 'Successfully Parsed XML' in result.stdout
    assert 'error' not in (result.stdout + result.stderr).lower()


def test_the_tip_is_where_mujoco_puts_it(robot, again):
    assert again.joint_names == robot.joint_names
    one, other = SimArm(ArmConfig(), robot), SimArm(ArmConfig(), again)
    rng = np.random.default_rng(0)
    for _ in range(50):
        position = rng.uniform(-2, 2, len(robot.joint_names))
        one.reset(position)
        other.reset(position)
        assert np.abs(one.tip_position - other.tip_position).max() < 1e-6
        assert np.abs(one.tip_rotation - other.tip_rotation).max() < 1e-6


def test_limits_masses_and_forces_are_the_same(robot, exported, again):
    assert again.torque_limit == pytest.approx(robot.torque_limit)
    assert again.velocity_limit == robot.velocity_limit
    for mine, other in ((again.position_lower, robot.position_lower),
                        (again.position_upper, robot.position_upper)):  # fmt: skip
        assert np.clip(mine, -1e3, 1e3) == pytest.approx(np.clip(other, -1e3, 1e3))
    links = {link.attrib['name'] for link in ElementTree.parse(exported).iter('link')}
    assert {again.base, robot.base} <= links
    if again.base != robot.base:  # a body at the origin of the world
        arm = SimArm(ArmConfig(), again)
        assert np.abs(arm.data.body(robot.base).xpos).max() < 1e-9
    forces = []
    for each in (robot, again):
        arm = SimArm(ArmConfig(gravity_compensation=False), each)
        position = np.linspace(-0.6, 0.7, len(robot.joint_names))
        arm.reset(position, velocity=position[::-1])
        dofs = [arm.model.joint(name).dofadr[0] for name in robot.joint_names]
        forces.append(arm.data.qfrc_bias[dofs])  # gravity, Coriolis: all masses and inertias
    assert forces[0] == pytest.approx(forces[1], rel=1e-4, abs=0.01)


def test_every_mesh_is_a_file_and_every_shape_is_there(robot, exported):
    tree = ElementTree.parse(exported).getroot()
    for mesh in tree.iter('mesh'):
        assert Path(unquote(urlparse(mesh.attrib['filename']).path)).stat().st_size > 84
    model = SimArm(ArmConfig(), robot).model
    shapes = [*tree.iter('visual'), *tree.iter('collision')]
    planes = (model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE).sum()
    assert len(shapes) >= model.ngeom - planes - 1


def test_a_urdf_is_described_by_itself():
    robot = load_robot()
    assert robot_description(robot) == robot.path.read_text()


def test_angles_of_any_rotation_lead_back_to_it():
    rng, matrix = np.random.default_rng(0), np.zeros(9)
    quaternions = [*rng.standard_normal((200, 4)), [1, 0, 1, 0], [1, 0, -1, 0], [0, 1, 0, 1]]
    for quaternion in quaternions:
        mujoco.mju_quat2Mat(matrix, np.array(quaternion) / np.linalg.norm(quaternion))
        r, p, y = roll_pitch_yaw(matrix.reshape(3, 3))
        back = turn(2, y) @ turn(1, p) @ turn(0, r)
        assert np.abs(back - matrix.reshape(3, 3)).max() < 1e-7


def turn(axis, angle):
    quaternion, matrix = np.zeros(4), np.zeros(9)
    mujoco.mju_axisAngle2Quat(quaternion, np.eye(3)[axis], angle)
    mujoco.mju_quat2Mat(matrix, quaternion)
    return matrix.reshape(3, 3)
