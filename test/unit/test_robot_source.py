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

"""A robot file is read by what is in it, whatever it is called and however it is encoded."""

import codecs

import pytest
from robot_texts import child, mjcf, urdf

from sac_ros.cli.main import main
from sac_ros.config.robot import ArmConfig
from sac_ros.errors import ModelError
from sac_ros.robot.loader import load_robot
from sac_ros.sim.arm import SimArm

NAMED = urdf().replace('name="two"', 'name="zwölf"')


def load(folder, content, name='robot.urdf', **options):
    file = folder / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return load_robot(str(file), **options)


@pytest.mark.parametrize('name', ['robot.urdf', 'robot.xml', 'robot.URDF', 'robot', 'robot.txt'])
def test_the_root_element_says_what_a_file_is(tmp_path, name):
    prolog = '<?xml version="1.0"?>\n<!-- a <mujoco> that is none -->\n'
    robot = load(tmp_path, prolog + urdf(), name)
    assert robot.urdf
    assert robot.velocity_limit == (3, 3)
    if name in ('robot.urdf', 'robot.xml'):
        assert load(tmp_path, mjcf(), name, table='none').joint_names == ('j0', 'j1')


@pytest.mark.parametrize(
    'encoding', ['utf-8', 'ISO-8859-1', 'windows-1252', 'utf-16', 'utf-8-sig']
)
def test_a_declared_encoding_counts(tmp_path, encoding):
    declared = 'utf-8' if encoding == 'utf-8-sig' else encoding
    text = f'<?xml version="1.0" encoding="{declared}"?>\n{NAMED}'
    robot = load(tmp_path, text.encode(encoding))
    assert robot.name == 'zwölf'
    assert robot.urdf.encode()[:2] not in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    again = load(tmp_path, robot.urdf.encode())
    assert again.model_hash == robot.model_hash


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (NAMED.encode('latin1'), 'cannot be read as utf-8: .*declare its encoding'),
        (b'<?xml version="1.0" encoding="klingon"?><robot/>', 'cannot be read as klingon'),
        ('<?xml version="1.0" encoding="latin1"?>' + mjcf(), 'is in latin1; save it in UTF-8'),
        ('<sdf version="1.6"/>', 'its root is <sdf>; a URDF has <robot>, an MJCF <mujoco>'),
        (urdf(more='<link name="table"/>'), 'has 2 root links: base, table; a URDF has one'),
        (
            '<robot name="r"><link name="a"/><joint name="j" type="fixed"><parent link="a"/>'
            '<child link="a"/></joint></robot>',
            'has no root link',
        ),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line(tmp_path, content, message):
    with pytest.raises(ModelError, match=message):
        load(tmp_path, content)


def test_a_urdf_with_macros_is_expanded_whatever_it_is_called(tmp_path):
    head = '<xacro:property name="x" value="1"/>'
    text = urdf(head=head).replace('name="two"', 'name="two" xmlns:xacro="http://ros.org/xacro"')
    try:
        assert load(tmp_path, text).joint_names == ('j1', 'j2')
    except ModelError as error:
        assert 'pip install xacro' in str(error)
        pytest.skip(f'xacro is not installed: {error}')


def test_sensors_and_tuples_may_refer_to_actuators(tmp_path):
    after = """<actuator><motor name="m" joint="j0" ctrlrange="-3 3"/></actuator>
      <sensor><actuatorfrc name="f" actuator="m"/><actuatorpos actuator="m"/>
        <jointactuatorfrc joint="j0"/><jointpos joint="j0"/></sensor>
      <custom><tuple name="t"><element objtype="actuator" objname="m"/></tuple></custom>
      <keyframe><key ctrl="1" qpos="0 0"/></keyframe>"""
    robot = load(tmp_path, mjcf(after=after), table='none')
    assert robot.torque_limit == (3, 9)
    assert SimArm(ArmConfig(), robot).model.nu == 2


def test_the_tip_is_the_end_of_the_arm_and_not_a_finger(tmp_path):
    mimic = '<mimic joint="left" multiplier="-1"/>'
    hand = child('hand', 'l2', kind='fixed')
    fingers = child('left', 'hand', kind='prismatic') + child('right', 'hand', mimic, 'prismatic')
    robot = load(tmp_path, urdf(more=hand + fingers))
    assert (robot.joint_names, robot.tip) == (('j1', 'j2'), 'hand')
    assert set(dict(robot.held)) == {'left', 'right'}


def test_inspect_robot_says_what_follows(tmp_path, capsys):
    file = tmp_path / 'robot.xml'
    file.write_text(urdf(more=child('l3', 'l2', '<mimic joint="j2"/>')))
    picture = str(tmp_path / 'arm.png')
    assert main(['inspect-robot', str(file), '--picture', picture, '--steps', '7']) == 0
    shown = capsys.readouterr().out
    assert 'chain  j1 > j2 > l3 > l3' in shown
    assert 'mimic  l3 follows j2' in shown
