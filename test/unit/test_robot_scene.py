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

"""An MJCF scene becomes its robot alone, seen from the robot's own base."""

import mujoco
import numpy as np
import pytest
import torch
from real_arms import openarm_scene

from sac_ros.config.robot import ArmConfig, TaskConfig
from sac_ros.robot.loader import load_robot
from sac_ros.sac.forward_kinematics import ForwardKinematics
from sac_ros.sim.arm import SimArm
from sac_ros.tasks.reach import ReachTask

DRIVE = 'actuatorfrcrange="-9 9" armature=".1"'
ARM = f"""<body name="base" {{pose}}><geom size=".05" pos="0 0 .05"/>
  <frame pos="0 0 .1" euler="0 0 .3"><body name="lift" pos="0 0 .05">
    <joint name="lift" type="slide" axis="0 0 1" range=".1 .3"/><geom size=".02" mass="1"/>
  <frame euler="0 .3 0"><body name="l1" pos="0 0 .1"><joint name="j1" axis="0 0 1" {DRIVE}/>
    <geom size=".02" mass="1"/>
  <body name="l2" pos=".1 0 .1"><joint name="j2" axis="0 1 0" range="-2 2" ref=".4" {DRIVE}/>
    <geom size=".02" mass="1"/><site name="tcp" pos="0 0 .2" euler=".1 .2 .3"/>
  </body></body></frame></body></frame></body>"""
SCENE = (
    """<mujoco><compiler angle="radian"/><worldbody>{before}{arm}</worldbody>{after}</mujoco>"""
)
POSES = ('', 'pos=".3 .2 .7"', 'pos="0 0 .7" euler="0 0 1"', 'pos=".1 0 1" euler=".4 1.2 0"')


def scene(folder, pose='', before='', after=''):
    file = folder / 'scene.xml'
    file.write_text(SCENE.format(before=before, arm=ARM.format(pose=pose), after=after))
    return file


def in_base_frame(model, data, tip='tcp', base='base'):
    """Return the tip's position and rotation in the frame of the base, as the file has it."""
    turn = data.body(base).xmat.reshape(3, 3)
    place = turn.T @ (data.site(tip).xpos - data.body(base).xpos)
    return place, turn.T @ data.site(tip).xmat.reshape(3, 3)


@pytest.mark.parametrize('pose', POSES)
@pytest.mark.parametrize('frame', ['', '<frame pos="1 2 3" euler=".1 0 .2">'])
def test_tip_goals_and_gravity_are_those_of_the_base_frame(tmp_path, pose, frame):
    file = scene(tmp_path, pose)
    if frame:
        text = file.read_text().replace('<worldbody>', f'<worldbody>{frame}')
        file.write_text(text.replace('</worldbody>', '</frame></worldbody>'))
    raw = mujoco.MjModel.from_xml_path(str(file))
    data = mujoco.MjData(raw)
    arm = SimArm(ArmConfig(model=str(file), joints='j*'))
    assert (arm.robot.base, dict(arm.robot.held)) == ('base', {'lift': 0.1})
    kinematics = ForwardKinematics(arm.robot.chain, 2).double()
    for position in np.random.default_rng(0).uniform(-1.5, 1.5, (20, 2)):
        data.qpos[:] = [0.1, *position]
        mujoco.mj_forward(raw, data)
        arm.reset(position)
        place, turn = in_base_frame(raw, data)
        ours = kinematics(torch.tensor(position)[None])
        for tip, rotation in (
            (arm.tip_position, arm.tip_rotation),
            (ours.tip[0].numpy(), ours.rotation[0].numpy()),
        ):
            assert np.abs(tip - place).max() < 1e-6
            assert np.abs(rotation - turn).max() < 1e-6
        assert arm.data.qfrc_bias == pytest.approx(data.qfrc_bias[1:], abs=1e-6)


def test_the_same_arm_mounted_elsewhere_is_the_same_robot(tmp_path):
    hashes = [load_robot(str(scene(tmp_path, pose)), joints='j*').model_hash for pose in POSES[:3]]
    assert len(set(hashes)) == 1


TABLES = {
    '<geom name="table" type="box" size=".5 .5 .02" pos="0 0 .5"/>': 0.52,
    '<geom name="floor" type="plane" size="1 1 .1" pos="0 0 .2"/>': 0.2,
    '<body name="desk" pos="0 0 .4"><geom type="box" size=".4 .4 .01"/></body>': 0.41,
    '<geom type="plane" size="1 1 .1"/><body name="table"><geom type="box" size=".2 .2 .3" '
    'pos="0 0 .3"/></body>': 0.6,
    '<geom type="plane" size="1 1 .1" zaxis="1 0 0"/>': 0.7,  # a wall is no table
    '<geom name="ground" type="plane" size="1 1 .1" contype="0" conaffinity="0"/>': 0.7,
}


@pytest.mark.parametrize('shape', TABLES)
def test_a_table_or_floor_of_the_scene_is_the_table(tmp_path, shape):
    arm = SimArm(ArmConfig(model=str(scene(tmp_path, POSES[1], shape)), joints='j*'))
    height = TABLES[shape] - 0.7
    assert arm.robot.table.height == pytest.approx(height)
    planes = (arm.model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE).sum()
    assert planes == shape.count('plane') + (height == 0)
    task, rng = ReachTask(arm, TaskConfig()), np.random.default_rng(0)
    assert min(task.sample_goal(rng)[2] for _ in range(50)) >= height + 0.1
    given = SimArm(ArmConfig(model=str(scene(tmp_path, '', shape)), joints='j*', table='-0.3'))
    assert given.robot.table.height == -0.3


def test_a_tilted_base_keeps_its_goals_above_a_level_table(tmp_path):
    floor = '<geom name="floor" type="plane" size="1 1 .1"/>'
    file = scene(tmp_path, 'pos="0 0 .3" euler=".5 0 0"', floor)
    arm = SimArm(ArmConfig(model=str(file), joints='j*'))
    up = -np.array(arm.model.opt.gravity) / 9.81
    assert arm.robot.table.normal == pytest.approx(up, abs=1e-6)
    assert arm.robot.table.height == pytest.approx(-0.3)
    task, rng = ReachTask(arm, TaskConfig()), np.random.default_rng(0)
    assert min(task.sample_goal(rng) @ up for _ in range(50)) >= -0.2


def test_mocap_bodies_and_free_objects_are_left_out(tmp_path):
    before = """<body name="target" mocap="true"><geom size=".05"/></body>
      <body name="cube" pos="1 0 0"><freejoint/><geom size=".05"/>
        <body name="lid"><joint name="lid"/><geom size=".02" mass="1"/></body></body>"""
    after = """<equality><weld body1="target" body2="l2"/></equality>
      <sensor><framepos objtype="body" objname="cube"/></sensor>
      <contact><exclude body1="cube" body2="l2"/></contact>
      <keyframe><key qpos="1 0 0 1 0 0 0 0 .1 0 0"/></keyframe>"""
    robot = load_robot(str(scene(tmp_path, '', before, after)), joints='j*')
    notes = ' '.join(robot.notes)
    assert 'mocap bodies are left out, with what is welded to them: target' in notes
    assert 'free bodies are left out: cube' in notes
    assert robot.model_hash == load_robot(str(scene(tmp_path)), joints='j*').model_hash
    assert SimArm(ArmConfig(), robot).model.nv == 2


def test_a_robot_that_floats_is_fixed_where_it_is(tmp_path):
    door = """<body name="door" pos="2 0 0"><joint name="door"/><geom size=".1" mass="1"/></body>
      <body name="cube" pos="3 0 0"><freejoint/><geom size=".05"/></body>"""
    file = scene(tmp_path, 'pos="0 0 1"', door)
    file.write_text(file.read_text().replace('<geom size=".05" ', '<freejoint/><geom size=".05" '))
    robot = load_robot(str(file), joints='j*')
    assert 'base floats in the file; it is fixed where it is' in robot.notes
    assert 'free bodies are left out: cube' in robot.notes
    assert (robot.base, SimArm(ArmConfig(), robot).model.nv) == ('base', 2)


@pytest.mark.parametrize('name', ['pedestal/catch_scene.xml', 'pedestal/valve_scene.xml'])
def test_a_scene_of_other_people_is_its_arm(name):
    file = openarm_scene(name)
    arm = SimArm(ArmConfig(model=str(file), joints='openarm_left_joint*'))
    raw = mujoco.MjModel.from_xml_path(str(file))
    data = mujoco.MjData(raw)
    mujoco.mj_forward(raw, data)
    expected = in_base_frame(raw, data, arm.robot.tip, arm.robot.base)[0]
    at = [raw.joint(name).qposadr[0] for name in arm.robot.joint_names]
    arm.reset(data.qpos[at])
    assert np.abs(arm.tip_position - expected).max() < 1e-6
    assert arm.robot.table.height < -0.2
