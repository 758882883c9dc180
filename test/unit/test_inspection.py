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

"""`inspect-robot` says what training would make of a file, and what is wrong with it."""

from pathlib import Path

import numpy as np
import pytest
from paths import TWO_JOINTS
from PIL import Image

from sac_ros.cli.main import main
from sac_ros.config.base import settings
from sac_ros.config.robot import ArmConfig, TaskConfig
from sac_ros.config.training import TrainConfig
from sac_ros.envs.inspection import sample_goals, warnings_of
from sac_ros.errors import EnvError
from sac_ros.sim.arm import SimArm
from sac_ros.sim.rendering import OffscreenRenderer
from sac_ros.tasks.reach import ReachTask

WEAK = """<mujoco><compiler angle="radian"/><worldbody><body name="base"><geom size=".05"/>
  <body name="upper" pos="0 0 .4"><joint name="j1" axis="0 1 0" range="-1 1"
    actuatorfrcrange="-{limit} {limit}" armature=".1"/><geom size=".03" mass="2" pos=".2 0 0"/>
  <body name="ghost" pos=".3 0 0"><joint name="j2" axis="0 0 1" range="-1 1"
    actuatorfrcrange="-5 5" armature=".1"/>
    <inertial pos="0 0 0" mass="{mass}" diaginertia="1e-6 1e-6 1e-6"/></body></body></body>
  </worldbody></mujoco>"""


def test_it_prints_joints_table_workspace_and_goals_and_draws(capsys, tmp_path):
    picture = tmp_path / 'arm.png'
    box = '0.2 0.5 -0.3 0.3 0.2 0.6'
    given = ['--picture', str(picture), '--task.workspace', box, '--arm.table', '0.05']
    assert main(['inspect-robot', *given]) == 0
    shown = capsys.readouterr().out
    for text in (
        'sac_arm: 6 joints',
        '20 N·m',
        'joint6 > tool0',
        'table  at 0.05 m',
        'space  x 0.20 to 0.50, y -0.30 to 0.30, z 0.20 to 0.60 m',
        'goals  x 0.2',
    ):
        assert text in shown
    assert 'WARN' not in shown
    if picture.exists():
        assert Image.open(picture).size == (960, 720)
    else:
        assert 'no picture: MuJoCo cannot draw here' in shown


def test_it_takes_every_setting_of_train_and_the_old_short_ones(capsys):
    with pytest.raises(SystemExit):
        main(['inspect-robot', '--help'])
    shown = capsys.readouterr().out
    for item in settings(TrainConfig):
        assert f'--{item.name}' in shown or f'--[no-]{item.name}' in shown
    file = Path(TWO_JOINTS)
    short = ['--torque-limits', '*=7', '--picture', '/dev/null/no.png']
    assert main(['inspect-robot', str(file), *short]) == 2  # no folder for the picture
    assert '7 N·m' in capsys.readouterr().out
    assert main(['inspect-robot', 'absent.urdf']) == 2
    assert capsys.readouterr().err.count('\n') == 1
    assert main(['inspect-robot', str(file), '--arm.model', 'other.urdf']) == 2
    assert 'two robot files' in capsys.readouterr().err


def test_goals_that_cannot_be_found_are_a_warning(capsys, tmp_path):
    given = ['--picture', str(tmp_path / 'arm.png'), '--task.workspace', '5 6 5 6 5 6']
    assert main(['inspect-robot', *given]) == 0
    assert 'the tip is outside task.workspace: make the box larger' in capsys.readouterr().out


def weak_arm(tmp_path, limit, mass, **config):
    file = tmp_path / 'weak.xml'
    file.write_text(WEAK.format(limit=limit, mass=mass))
    return SimArm(ArmConfig(model=str(file), **config))


def test_weak_joints_and_empty_links_are_named(tmp_path):
    assert warnings_of(SimArm(ArmConfig())) == []
    strong = warnings_of(weak_arm(tmp_path, limit=8, mass=0.5))
    assert [w for w in strong if 'sags' in w or 'weighs' in w] == []
    weak = ' '.join(warnings_of(weak_arm(tmp_path, limit=3, mass=0.0005)))
    assert 'j1 sags: gravity asks for up to 3.9' in weak
    assert 'which gravity compensation shares' in weak
    assert 'ghost, which j2 moves, weighs nothing' in weak
    assert 'ghost, which j2 moves, has no collision shape' in weak
    bare = warnings_of(weak_arm(tmp_path, limit=3, mass=1, gravity_compensation=False))
    assert 'compensation' not in ' '.join(bare)


def test_the_picture_shows_goals_and_workspace():
    arm = SimArm(ArmConfig())
    try:
        camera = OffscreenRenderer(arm, 320, 240)
    except EnvError as error:
        pytest.skip(str(error))
    goals = sample_goals(ReachTask(arm, TaskConfig()), 100)
    box = ((-0.6, -0.6, 0.1), (0.6, 0.6, 0.8))
    bare = camera.survey(None, box).astype(int)
    dotted, plain = camera.survey(goals, box).astype(int), camera.survey(goals, None).astype(int)
    camera.close()
    assert ((dotted - bare)[..., 0] < -30).sum() > 200  # blue dots have little red
    assert (np.abs(dotted - plain).sum(axis=2) > 60).sum() > 200
