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

"""What a run prints at its end can be called as it stands."""

import dataclasses
import shlex
from pathlib import Path

import pytest

from sac_ros.cli.arguments import Parser
from sac_ros.cli.main import add_settings
from sac_ros.config.base import build
from sac_ros.config.robot import ArmConfig, TaskConfig
from sac_ros.config.training import TrainConfig
from sac_ros.envs.simulator import SimConfig
from sac_ros.training.acceptance import Acceptance, AcceptanceThresholds
from sac_ros.training.evaluation import Evaluation
from sac_ros.training.next_steps import next_steps, verdict_lines
from sac_ros.training.result import TrainingResult

JOINTS = {'joint_position', 'joint_velocity', 'previous_action'}
MINE = {
    'arm.model': 'my arm.xacro',
    'arm.xacro_args': 'prefix:=left_',
    'arm.joints': 'left_*',
    'arm.gravity_compensation': False,
    'task.name': 'reach-pose',
    'task.success_angle': 0.3,
    'randomization.preset': 'sim2real',
    'randomization.payload': 0.5,
    'sac.gamma': 0.9,
}


def result(reasons=(), goal=(0.25, -0.1, 0.4)):
    acceptance = Acceptance(
        'reach-point', 0.02, None, False, {}, AcceptanceThresholds(), tuple(reasons), ()
    )
    return TrainingResult(Evaluation(1.0, 0.0, 1.0, 1), 0.0, 'last', 10, acceptance, (), goal)


def commands(config, told, **changes):
    lines = next_steps(config, Path('runs/mine'), told, result(**changes)).splitlines()
    return [shlex.split(line) for line in lines if line.startswith('  ')]


@pytest.mark.parametrize('values', [{}, MINE])
def test_the_simulated_arm_is_that_of_the_run(values):
    config = build(TrainConfig, values)
    sim, policy, goal, launch, evaluate = commands(config, JOINTS | {'goal'})
    assert sim[1:3] == ['node', 'sim']
    parser = Parser()
    add_settings(parser, SimConfig)
    given = build(SimConfig, vars(parser.parse_args(sim[3:])))
    assert (given.arm, given.randomization) == (config.arm, config.randomization)
    assert policy[1:] == ['node', 'policy', 'runs/mine']
    assert goal[1:] == ['goal', '0.25', '-0.1', '0.4', '&&', '.venv/bin/sac_ros', 'enable']
    assert launch[:2] == ['ros2', 'launch']
    assert evaluate[1:] == ['evaluate', 'runs/mine']


def test_the_launch_is_told_robot_realism_and_kind_of_goal():
    *_, deploy, _ = commands(TrainConfig(), JOINTS | {'goal'})
    assert deploy[4:] == [f'run_dir:={Path("runs/mine").resolve()}']
    *_, deploy, _ = commands(build(TrainConfig, MINE), JOINTS | {'goal', 'goal_orientation'})
    assert deploy[5:] == [
        'model:=my arm.xacro',
        'joints:=left_*',
        'xacro_args:=prefix:=left_',
        'randomization:=sim2real',
        'goals:=pose',
    ]


def test_nothing_is_launched_that_policy_node_would_refuse():
    config = dataclasses.replace(
        TrainConfig(), arm=ArmConfig(model='a.urdf'), task=TaskConfig(name='track-point')
    )
    assert len(commands(config, JOINTS | {'goal', 'goal_velocity'})) == 1


def test_a_policy_that_is_not_accepted_is_not_deployed():
    (evaluate,) = commands(TrainConfig(), JOINTS | {'goal'}, reasons=['from rest: 3 faults'])
    assert evaluate[1] == 'evaluate'
    lines = verdict_lines(result(['from rest: 3 faults']).acceptance)
    assert lines[0] == 'NOT ACCEPTED: from rest: 3 faults'
    assert any('--steps' in line for line in lines)
    assert verdict_lines(result().acceptance) == ['ACCEPTED']
