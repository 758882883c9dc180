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

"""Masses and inertias that are missing or that no body can have are replaced, with a note."""

import numpy as np
import pytest
from robot_texts import INERTIAL, SHAPE, child, mjcf, urdf

from sac_ros.config.robot import ArmConfig
from sac_ros.robot.loader import load_robot
from sac_ros.sim.arm import SimArm


def inertial(mass, *values):
    names = ('ixx', 'iyy', 'izz', 'ixy', 'ixz', 'iyz')
    inertia = ' '.join(f'{n}="{v}"' for n, v in zip(names, (*values, 0, 0, 0), strict=False))
    element = f'<inertia {inertia}/>' if values else ''
    return f'<inertial><origin xyz=".01 0 .05"/><mass value="{mass}"/>{element}</inertial>'


def load(folder, text):
    file = folder / 'robot.xml'
    file.write_text(text)
    robot = load_robot(str(file), table='none')
    return robot, SimArm(ArmConfig(), robot).model


IMPOSSIBLE = [
    (0, 0, 0), (1e-20, 1e-20, 1e-20), (-1, 1, 1), (0.01, 0.01, 0.01, 0.5), (0.01, 0.01, 0.1),
    (1e4, 1e4, 1e4), ('nan', 1, 1), (),
]  # fmt: skip


@pytest.mark.parametrize('values', IMPOSSIBLE)
@pytest.mark.parametrize('mass', [0.001, 2])
def test_an_impossible_inertia_becomes_that_of_the_shapes(tmp_path, values, mass):
    scaled = [v if isinstance(v, str) else mass * v for v in values]
    robot, model = load(tmp_path, urdf(link=inertial(mass, *scaled) + SHAPE))
    assert any(note.startswith(f'l2: no body of {mass} kg has its') for note in robot.notes)
    link = model.body('l2')
    assert link.mass[0] == mass
    assert link.ipos == pytest.approx([0.01, 0, 0.05])
    across, along = (0.04**2 / 4 + 0.2**2 / 12), 0.04**2 / 2
    assert np.sort(link.inertia) == pytest.approx(np.array([along, across, across]) * mass)


def test_without_shapes_it_becomes_that_of_a_ball(tmp_path):
    robot, model = load(tmp_path, urdf(link=inertial(4.18879, 0, 0, 0)))
    assert any('replaced by that of a ball' in note for note in robot.notes)
    assert model.body('l2').inertia == pytest.approx(0.4 * 4.18879 * 0.1**2, rel=1e-4)


@pytest.mark.parametrize('values', [(0.01, 0.01, 0.01), (0.01, 0.01, 0.0201), (1e-6, 1e-6, 1e-6)])
def test_a_possible_inertia_stays(tmp_path, values):
    robot, model = load(tmp_path, urdf(link=inertial(1, *values) + SHAPE))
    assert 'inertia, which' not in ' '.join(robot.notes)
    assert model.body('l2').inertia.mean() == pytest.approx(np.mean(values))


def test_a_fixed_link_may_be_a_point_mass(tmp_path):
    tool = child('tool', 'l2', kind='fixed').replace(INERTIAL, inertial(1, 0, 0, 0))
    robot, model = load(tmp_path, urdf(more=tool))
    assert model.body('tool').mass[0] == 1
    assert 'tool' not in ' '.join(robot.notes)


@pytest.mark.parametrize('mass', [0, -1, 'nan'])
def test_a_mass_that_is_none_becomes_that_of_the_shapes(tmp_path, mass):
    robot, model = load(tmp_path, urdf(link=inertial(mass, 1, 1, 1) + SHAPE))
    assert model.body('l2').mass[0] == pytest.approx(1000 * np.pi * 0.04**2 * 0.2)
    assert model.body('l2').ipos == pytest.approx([0, 0, 0.1])
    assert 'l2 has no inertial; its shapes count 1000 kg/m^3' in robot.notes


def test_an_inertial_without_mass_is_none(tmp_path):
    link = '<inertial><inertia ixx="1" iyy="1" izz="1" ixy="0" ixz="0" iyz="0"/></inertial>'
    robot, _ = load(tmp_path, urdf(link=link + SHAPE))
    assert 'l2 has no inertial; its shapes count 1000 kg/m^3' in robot.notes


def test_an_mjcf_is_treated_alike(tmp_path):
    text = mjcf('<inertial pos="0 0 .1" mass="1" diaginertia=".01 .01 .1"/>')
    robot, model = load(tmp_path, text)
    assert any(note.startswith('b1: no body of 1 kg') for note in robot.notes)
    assert model.body('b1').mass[0] == 1
    assert model.body('b1').inertia.max() < 0.01
