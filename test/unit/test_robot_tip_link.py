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

"""The tip is chosen by its name, and the joints of a gripper are held."""

import pytest

from sac_ros.robot.loader import load_robot

LINK = '<inertial pos="0 0 0" mass="1" diaginertia=".1 .1 .1"/>'
JOINT = '<joint name="{}" axis="0 1 0" actuatorfrcrange="-5 5" armature=".1"/>' + LINK


def chain(joints, end):
    """Return the MJCF of a chain of joints, with `end` in its last body."""
    text = end
    for number, joint in reversed(list(enumerate(joints))):
        text = f'<body name="b{number}" pos="0 0 .2">{JOINT.format(joint)}{text}</body>'
    return f'<mujoco><worldbody>{text}</worldbody></mujoco>'


def fixed(*names):
    return ''.join(f'<body name="{name}" pos="0 0 .1"/>' for name in names)


def load(folder, text, **options):
    file = folder / 'arm.xml'
    file.write_text(text)
    return load_robot(str(file), **options)


@pytest.mark.parametrize(
    ('names', 'tip'),
    [
        (('flange', 'tool0', 'my_tcp'), 'tool0'),
        (('left_tool0', 'flange'), 'left_tool0'),
        (('flange', 'hand_tcp'), 'hand_tcp'),
        (('gripper_frame', 'flange'), 'gripper_frame'),
        (('flange', 'left_ee'), 'left_ee'),
        (('ee_link', 'camera'), 'ee_link'),
        (('camera', 'EndEffector'), 'EndEffector'),
        (('flange', 'camera'), 'flange'),
        (('camera', 'wheel', 'knee'), 'camera'),  # the last body of the chain
        (('camera', 'ee_base'), 'camera'),
    ],
)
def test_the_tip_is_chosen_by_name(tmp_path, names, tip):
    robot = load(tmp_path, chain(('j1', 'j2'), fixed(*names)))
    assert robot.tip == tip
    sites = ''.join(f'<site name="{name}"/>' for name in names)
    assert load(tmp_path, chain(('j1', 'j2'), sites)).tip == (
        tip if tip not in ('camera',) else 'b1'
    )


def test_a_tip_ends_the_chain_and_another_changes_the_hash(tmp_path):
    early = chain(('j1', 'j2'), '').replace('<body name="b1"', f'{fixed("tool0")}<body name="b1"')
    assert load(tmp_path, early).tip == 'b1'
    same = chain(('j1', 'j2'), fixed('tool0', 'camera'))
    usual = load(tmp_path, same.replace('tool0', 'bracket'))
    assert usual.tip == 'bracket'
    assert load(tmp_path, same).model_hash == usual.model_hash  # the same tip, called otherwise
    other = chain(('j1', 'j2'), fixed('camera', 'tool0'))
    assert load(tmp_path, other).model_hash != load(tmp_path, other, tip='camera').model_hash


def test_joints_beyond_a_fork_into_fingers_are_held(tmp_path):
    hand = ''.join(
        f'<body name="{side}" pos=".1 0 0">{JOINT.format(side)}'
        f'<body name="{side}_end">{JOINT.format(side + "2")}</body></body>'
        for side in ('left', 'right')
    )
    robot = load(tmp_path, chain(('j1', 'j2', 'j3'), hand))
    assert (robot.joint_names, robot.tip) == (('j1', 'j2', 'j3'), 'b2')
    assert set(dict(robot.held)) == {'left', 'left2', 'right', 'right2'}
    assert any('held as a gripper: left, left2, right, right2' in n for n in robot.notes)
    named = load(tmp_path, chain(('j1', 'j2', 'j3'), hand), joints='j*,left*')
    assert named.joint_names == ('j1', 'j2', 'j3', 'left', 'left2')
    torso = load(tmp_path, chain(('j1',), hand))  # two arms on a torso
    assert len(torso.joint_names) == 5


def test_a_last_joint_that_is_called_after_a_gripper_is_held(tmp_path):
    assert load(tmp_path, chain(('j1', 'j2', 'left_gripper'), '')).joint_names == ('j1', 'j2')
    assert load(tmp_path, chain(('j1', 'jaw', 'j2'), '')).joint_names == ('j1', 'jaw', 'j2')
    assert load(tmp_path, chain(('finger1', 'finger2'), '')).joint_names == ('finger1', 'finger2')
    assert load(tmp_path, chain(('j1', 'j2', 'j3'), ''), tip='b1').joint_names == ('j1', 'j2')
