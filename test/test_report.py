"""What a run prints at its end can be called as it stands."""

import dataclasses
import shlex
from pathlib import Path

import pytest

from sac_ros.cli import _given, _parser
from sac_ros.config import ArmConfig, TaskConfig, TrainConfig
from sac_ros.report import next_steps
from sac_ros.settings import build

JOINTS = {'joint_position', 'joint_velocity', 'previous_action'}
MINE = {
    'arm.model': 'my arm.xacro',
    'arm.xacro_args': 'prefix:=left_',
    'arm.joints': 'left_*',
    'arm.gravity_compensation': False,
    'task.name': 'reach-pose',
    'task.success_angle': 0.3,
    'realism.preset': 'sim2real',
    'realism.payload': 0.5,
    'sac.gamma': 0.9,
}


def commands(config, told):
    lines = next_steps(config, Path('runs/mine/policy.onnx'), told).splitlines()
    return [shlex.split(line) for line in lines if line.startswith('  ')]


@pytest.mark.parametrize('values', [{}, MINE])
def test_the_command_measures_with_the_robot_and_task_of_the_run(values):
    config = build(TrainConfig, values)
    *_, evaluate = commands(config, JOINTS | {'goal'})
    assert len(evaluate) == 3 if not values else len(evaluate) > 10
    given = _given(_parser().parse_args(evaluate[1:]))
    for group in ('arm', 'task', 'realism'):
        assert getattr(given, group) == getattr(config, group)


def test_the_launch_is_told_robot_realism_and_kind_of_goal():
    deploy, _ = commands(TrainConfig(), JOINTS | {'goal'})
    assert deploy[4:] == [f'policy:={Path("runs/mine/policy.onnx").resolve()}']
    deploy, _ = commands(build(TrainConfig, MINE), JOINTS | {'goal', 'goal_orientation'})
    assert deploy[5:] == [
        'model:=my arm.xacro',
        'joints:=left_*',
        'xacro_args:=prefix:=left_',
        'realism:=sim2real',
        'goals:=pose',
    ]


def test_nothing_is_launched_that_policy_node_would_refuse():
    config = dataclasses.replace(
        TrainConfig(), arm=ArmConfig(model='a.urdf'), task=TaskConfig(name='track-point')
    )
    (evaluate,) = commands(config, JOINTS | {'goal', 'goal_velocity'})
    assert evaluate[3:] == ['--arm.model', 'a.urdf', '--task.name', 'track-point']
