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

"""Limits of a robot file count, or are refused or noted: none vanishes silently."""

import math

import pytest
from robot_texts import mjcf, urdf

from sac_ros.errors import ModelError
from sac_ros.robot.loader import load_robot

INF = math.inf


def limit(lower=None, upper=None, effort='5', velocity='1'):
    ends = {'lower': lower, 'upper': upper, 'effort': effort, 'velocity': velocity}
    return f'<limit {" ".join(f"{k}={v!r}" for k, v in ends.items() if v is not None)}/>'


def load(folder, text, **options):
    file = folder / 'robot.xml'
    file.write_text(text)
    return load_robot(str(file), **options)


def note_in(robot, start):
    return any(note.startswith(start) for note in robot.notes)


@pytest.mark.parametrize(
    ('lower', 'upper'),
    [
        ('0', '0'),
        ('.3', '.3'),
        ('1', '-1'),
        ('nan', '1'),
        ('-1e16', '2'),
        ('0', 'inf'),
        ('1', None),
    ],
)
def test_position_limits_that_limit_nothing_are_refused(tmp_path, lower, upper):
    text = urdf(limit(lower, upper))
    with pytest.raises(ModelError, match='position limits that limit nothing: j2 from'):
        load(tmp_path, text)
    assert load(tmp_path, text, joints='j1').joint_names == ('j1',)


@pytest.mark.parametrize(
    ('lower', 'upper', 'kind', 'note'),
    [
        ('-1e16', '1e16', 'revolute', 'position limits that count as none: j2 from -1e+16'),
        ('-inf', 'inf', 'prismatic', 'position limits that count as none: j2 from -inf'),
        (None, None, 'revolute', 'no position limits for j2: policy_node does not watch'),
        (None, None, 'prismatic', 'no position limits for j2: '),
        (None, None, 'continuous', ''),
        ('0', '0', 'continuous', ''),
    ],
)
def test_joints_without_position_limits_are_noted(tmp_path, lower, upper, kind, note):
    robot = load(tmp_path, urdf(limit(lower, upper), kind))
    assert (robot.position_lower, robot.position_upper) == ((-2, -INF), (2, INF))
    if note:
        assert note_in(robot, note)
    else:
        assert 'position limits' not in ' '.join(robot.notes)


def test_an_end_that_is_not_given_is_zero(tmp_path):
    assert load(tmp_path, urdf(limit('-1'))).position_upper == (2, 0)
    assert load(tmp_path, urdf(limit(upper='1'))).position_lower == (-2, 0)


def test_a_held_joint_whose_limits_are_equal_stays_there(tmp_path):
    assert load(tmp_path, urdf(limit('.3', '.3')), joints='j1').held == (('j2', 0.3),)


@pytest.mark.parametrize('effort', ['-5', '0', '1e16', 'inf', 'nan', '100000', None])
def test_an_effort_that_is_no_limit_is_asked_for(tmp_path, effort):
    text = urdf(limit('-1', '1', effort))
    with pytest.raises(ModelError, match=r'no torque limit for j2; add .* below 100000'):
        load(tmp_path, text)
    assert load(tmp_path, text, torque_limits='j2=4').torque_limit == (20, 4)


@pytest.mark.parametrize('velocity', ['-1', '0', '1e16', 'inf', None])
def test_a_velocity_that_is_no_limit_counts_as_not_given(tmp_path, velocity):
    robot = load(tmp_path, urdf(limit('-1', '1', velocity=velocity)))
    assert robot.velocity_limit == (3, INF)
    assert note_in(robot, 'limits that count as not given: velocity') == (
        velocity not in (None, '0')
    )


@pytest.mark.parametrize('name', ['lower', 'upper', 'effort', 'velocity'])
def test_limits_that_are_no_numbers_are_named(tmp_path, name):
    values = {'lower': '-1', 'upper': '1', name: 'many'}
    with pytest.raises(ModelError, match=f'robot.xml.*{name}'):
        load(tmp_path, urdf(limit(**values)))


RANGES = {
    'range="2 -2"': 'position limits that limit nothing: j1 from 2 to -2',
    'range="2 2"': 'position limits that limit nothing: j1 from 2 to 2',
    'range="-1e16 1e16"': 'position limits that count as none: j1',
    'range="-1 1" limited="false"': 'no position limits for j1',
    '': 'no position limits for j1',
}


@pytest.mark.parametrize('angle', ['radian', 'degree'])
@pytest.mark.parametrize('given', RANGES)
def test_ranges_of_an_mjcf_are_treated_alike(tmp_path, given, angle):
    text = mjcf(angle=angle)
    start = text.rindex('range="-1 1"')
    text = text[:start] + given + text[start + len('range="-1 1"') :]
    message = RANGES[given]
    if 'nothing' in message:
        with pytest.raises(ModelError, match=message):
            load(tmp_path, text)
    else:
        robot = load(tmp_path, text)
        assert note_in(robot, message)
        assert robot.position_upper[1] == INF


@pytest.mark.parametrize('force', ['-1e16 1e16', '-100000 100000'])
def test_a_placeholder_in_an_mjcf_is_no_torque_limit(tmp_path, force):
    text = mjcf().replace('actuatorfrcrange="-9 9"', f'actuatorfrcrange="{force}"')
    with pytest.raises(ModelError, match='no torque limit for j0, j1;'):
        load(tmp_path, text)
