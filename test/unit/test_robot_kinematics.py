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

"""The tip of the features is the tip of the simulation, for every robot file of the tests."""

import numpy as np
import pytest
import torch
from real_arms import ALL, real_arm
from robot_texts import body, child, coupled, equality, mjcf, urdf

from sac_ros.config.robot import ArmConfig, ControllerConfig, TaskConfig
from sac_ros.errors import ModelError
from sac_ros.robot.loader import load_robot
from sac_ros.robot.urdf_writer import to_urdf
from sac_ros.sac.base_controller import BaseController
from sac_ros.sac.forward_kinematics import ForwardKinematics
from sac_ros.sim.arm import SimArm
from sac_ros.sim.geometry import arm_geometry
from sac_ros.tasks.reach import reach_spec

BALL = '<body name="wrist" pos="0 0 .2"><joint name="wrist" type="ball"/><geom size=".03"/></body>'
BASE = ''.join(
    f'<joint name="{n}" type="{t}" axis="{a}"/>'
    for n, t, a in (('x', 'slide', '1 0 0'), ('y', 'slide', '0 1 0'), ('yaw', 'hinge', '0 0 1'))
)
TIPS = {
    'panda-urdf': 'panda_hand_tcp',
    'ur5': 'tool0',
    'ur10': 'tool0',
    'xarm7': 'link_eef',
    'so101': 'gripper_frame_link',
    'kinova-urdf': 'j2s6s200_end_effector',
    'openarm-left': 'left_ee_control_point',
}
FILES = {  # text, the default tip, joints that follow others
    'urdf': (urdf(), 'l2', ()),
    'mjcf': (mjcf(), 'b1', ()),
    'a mimic joint before the tool': (
        urdf(more=child('l3', 'l2', '<mimic joint="j2" multiplier="-1"/>')),
        'l3', ('l3',),
    ),
    'a mimic joint with an offset that slides': (
        urdf(more=child('l3', 'l2', '<mimic joint="j1" multiplier=".1" offset=".3"/>',
                        'prismatic') + child('tool0', 'l3', kind='fixed')),
        'tool0', ('l3',),
    ),
    'a mimic joint of a mimic joint': (
        urdf(more=child('l4', 'l3', '<mimic joint="l3" multiplier="2" offset="-.1"/>')
             + child('l3', 'l2', '<mimic joint="j2" multiplier=".5"/>')),
        'l4', ('l3', 'l4'),
    ),
    'an equality': (
        mjcf(body('f', joint='ref=".3"'), after=equality(coupled('f', 'j1', '.1 .5 0 0 0'))),
        'f_end', ('f',),
    ),
    'an equality whose second joint is the passive one': (
        mjcf(body('f'), after=equality(coupled('j1', 'f', '.1 -2 0 0 0'))), 'f_end', ('f',)
    ),
    'equalities in reverse order': (
        mjcf(body('f', body('g')), after=equality(
            coupled('g', 'f', '.1 -1 0 0 0'), coupled('f', 'j0', '.1 .5 0 0 0'))),
        'g_end', ('f', 'g'),
    ),
    'a locked joint': (
        mjcf(body('f', joint='actuatorfrcrange="-1 1"'),
             after=equality('<joint joint1="f" polycoef=".3 1 0 0 0"/>')), 'b1', (),
    ),
    'a floating base': (mjcf(base='<freejoint/>'), 'b1', ()),
    'a floating base in a URDF': (
        urdf(head='<link name="world"/><joint name="float" type="floating"><parent link="world"/>'
             '<child link="base"/><origin xyz="0 0 .2" rpy="0 0 .4"/></joint>'), 'l2', (),
    ),
}  # fmt: skip


def write(folder, text):
    file = folder / 'robot.xml'
    file.write_text(text)
    return str(file)


def kinematics_of(robot):
    return ForwardKinematics(robot.chain, len(robot.joint_names)).double()


def largest_error(arm, steps=20):
    """Return the largest distance [m] of the two tips while random torques move the arm."""
    robot, rng = arm.robot, np.random.default_rng(0)
    kinematics, errors = kinematics_of(robot), []
    geometry = arm_geometry(arm, TaskConfig())
    arm.reset(np.mean(robot.joint_ranges(), axis=0))
    for _ in range(steps):
        arm.step(rng.uniform(-1, 1, len(robot.joint_names)) * robot.torque_limit, 25)
        place = kinematics(torch.tensor(arm.position)[None])
        errors.append(np.abs(place.tip[0].numpy() - arm.tip_position).max())
        errors.append(np.abs(place.rotation[0].numpy() - arm.tip_rotation).max())
        tip, rotation = geometry.tip_pose(arm.position)
        errors.append(np.abs(tip - arm.tip_position).max())
        errors.append(np.abs(rotation - arm.tip_rotation).max())
    return max(errors)


@pytest.mark.parametrize('name', FILES)
def test_tip_after_random_steps(tmp_path, name):
    text, tip, following = FILES[name]
    arm = SimArm(ArmConfig(model=write(tmp_path, text), table='none'))
    assert arm.robot.tip == tip
    assert len(arm.robot.joint_names) == 2
    assert tuple(mimic.joint for mimic in arm.robot.mimics) == following
    assert largest_error(arm) < (5e-4 if following else 1e-6)


@pytest.mark.parametrize('name', ['default', *ALL])
def test_tip_of_real_arms_after_random_steps(name):
    arm = real_arm(name)
    assert arm.robot.tip == TIPS.get(name, arm.robot.tip)
    assert largest_error(arm) < 2e-6


REFUSED = {
    'nonlinear': (
        mjcf(body('f'), after=equality(coupled('f', 'j1', '0 -1 .2 0 0'))),
        'joint f between the base and the tip f_end is neither actuated nor in proportion',
    ),
    'ball': (mjcf(BALL), 'joint wrist between the base and the tip wrist'),
    'passive': (mjcf(body('f')), 'no torque limit for f;'),
    'mobile base': (mjcf(base=BASE), 'no torque limit for x, y, yaw;'),
    'planar base': (
        urdf(more=child('l3', 'l2', kind='planar')), 'no torque limit for l3_TY, l3_RZ;'
    ),
    'loop': (
        mjcf(after=equality('<connect body1="b1" body2="base" anchor="0 0 .2"/>')),
        'an equality joins b1 and base, which closes a chain',
    ),
    'all follow': (
        mjcf(after=equality(coupled('j0', 'j1', '0 1 0 0 0'), coupled('j1', 'j0', '0 1 0 0 0'))),
        'every joint follows another one',
    ),
    'no position in common': (
        urdf(more=child('l3', 'l2', '<mimic joint="j2" multiplier="1" offset="9"/>')),
        'j2 and the joints that follow it have no position in common',
    ),
}  # fmt: skip


@pytest.mark.parametrize('name', REFUSED)
def test_other_passive_joints_before_the_tip_are_refused(tmp_path, name):
    text, message = REFUSED[name]
    with pytest.raises(ModelError, match=message):
        load_robot(write(tmp_path, text), table='none')


def test_fixed_joints_fix_their_followers_and_loops(tmp_path):
    text = mjcf(body('f'), after=equality(coupled('f', 'j1', '.1 -1 0 0 0')))
    robot = load_robot(write(tmp_path, text), joints='j0', table='none')
    assert dict(robot.held) == {'j1': 0.0, 'f': pytest.approx(0.1)}
    fingers = body('f') + body('g')
    loop = equality('<connect body1="f" body2="g" anchor="0 0 .2"/>')
    robot = load_robot(write(tmp_path, mjcf(fingers, after=loop)), joints='j*', table='none')
    assert set(dict(robot.held)) == {'f', 'g'}


def test_a_joint_stops_where_its_follower_does(tmp_path):
    mimic = '<mimic joint="j2" multiplier="-2" offset="1"/>'
    robot = load_robot(write(tmp_path, urdf(more=child('l3', 'l2', mimic))))
    assert robot.position_lower == (-2, -0.5)
    assert robot.position_upper == (2, 1.5)


def test_the_jacobian_counts_the_follower(tmp_path):
    arm = SimArm(ArmConfig(model=write(tmp_path, FILES['a mimic joint of a mimic joint'][0])))
    position, step = np.array([0.3, 0.4]), 1e-5
    place = kinematics_of(arm.robot)(torch.tensor(position)[None])
    for joint in range(2):
        tips = []
        for sign in (1, -1):
            arm.reset(position + sign * step * np.eye(2)[joint])
            tips.append(arm.tip_position)
        slope = (tips[0] - tips[1]) / (2 * step)
        assert place.jacobian_t[0, joint].numpy() == pytest.approx(slope, abs=1e-6)


def test_gravity_and_inertia_count_the_follower(tmp_path):
    """The controller's gravity torque holds the arm that MuJoCo simulates."""
    text = FILES['a mimic joint of a mimic joint'][0]
    config = ArmConfig(model=write(tmp_path, text), gravity_compensation=False, table='none')
    arm = SimArm(config)
    spec = reach_spec(arm.robot, 0.02, False)
    controller = BaseController(spec, arm.robot.chain, ControllerConfig(name='gravity')).double()
    start = np.array([0.3, 0.4])
    place = kinematics_of(arm.robot)(torch.tensor(start)[None])
    observation = torch.zeros((1, spec.n_observation), dtype=torch.float64)
    observation[0, :2] = torch.tensor(start)
    torque = controller(observation, place).action[0].numpy() * arm.robot.torque_limit
    assert abs(torque[1]) > 2
    moved = []
    for share in (1, 0):
        arm.reset(start)
        arm.step(share * torque, 100)
        moved.append(np.abs(arm.position - start).max())
    assert moved[0] < 0.01 * moved[1]


def test_the_urdf_for_rviz_has_the_mimic_joint(tmp_path):
    text = FILES['equalities in reverse order'][0]
    robot = load_robot(write(tmp_path, text), table='none')
    again = load_robot(write(tmp_path, to_urdf(robot, tmp_path)), tip=robot.tip, table='none')
    assert [mimic.joint for mimic in again.mimics] == ['f', 'g']
    positions = torch.tensor(np.random.default_rng(0).uniform(-1, 1, (10, 2)))
    tips = [kinematics_of(r)(positions).tip.numpy() for r in (robot, again)]
    assert np.abs(tips[0] - tips[1]).max() < 1e-6
