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

"""Verdict on a finished run, and the commands that deploy and measure its policy."""

from __future__ import annotations

import shlex
from collections.abc import Set
from pathlib import Path
from typing import Any

from sac_ros.config.base import build, flatten
from sac_ros.config.robot import LAUNCH_ARGUMENTS
from sac_ros.config.training import TrainConfig
from sac_ros.deploy.controller import GOAL_SIZES
from sac_ros.training.acceptance import Acceptance
from sac_ros.training.result import TrainingResult

ROBOT_TELLS = {'joint_position', 'joint_velocity', 'previous_action', *GOAL_SIZES}


def verdict_lines(acceptance: Acceptance) -> list[str]:
    """Return verdict and warnings, and for a policy that is not accepted what to try."""
    lines = [acceptance.verdict, *(f'warning: {warning}' for warning in acceptance.warnings)]
    if acceptance.accepted:
        return lines
    figures = acceptance.passes.values()
    hints = ['train longer: the same command with more --steps']
    if any(f.contacts or f.outside_limits for f in figures):
        hints.append('look at limits, table and goals: sac_ros inspect-robot')
    if any(f.faults or f.peak_speed > acceptance.thresholds.warn_speed for f in figures):
        hints.append('check arm.velocity_limits and arm.torque_limits; lower controller.residual')
    if any(f.chatter > acceptance.thresholds.chatter for f in figures):
        hints.append('raise task.smoothness_cost, or lower controller.residual_at_goal')
    return [*lines, 'to try:', *(f'  - {hint}' for hint in hints)]


def next_steps(config: TrainConfig, run_dir: Path, told: Set[str], result: TrainingResult) -> str:
    """Return the commands that deploy and measure a policy, for the robot and task of its run.

    Args:
        config: of the run.
        run_dir: where `policy.onnx` is.
        told: names of the fields that the policy observes.
        result: of the run; a policy that is not accepted is not deployed.
    """
    lines = []
    accepted = result.acceptance is not None and result.acceptance.accepted
    if told <= ROBOT_TELLS and accepted:
        lines += _deployment(config, run_dir, result.goal, told)
    evaluate = command('evaluate', str(run_dir))
    return '\n'.join((*lines, 'measure the exported file again:', f'  {evaluate}'))


def _deployment(
    config: TrainConfig, run_dir: Path, goal: tuple[float, ...], told: Set[str]
) -> list[str]:
    """Return the lines that say how to deploy."""
    usual = flatten(build(TrainConfig, {'randomization.preset': config.randomization.preset}))
    usual['randomization.preset'] = TrainConfig().randomization.preset
    given = {name: value for name, value in flatten(config).items() if value != usual[name]}
    options = [
        word
        for name, value in given.items()
        if name.startswith(('arm.', 'randomization.'))
        for word in _option(name, value)
    ]
    words = [f'run_dir:={run_dir.resolve()}']
    words += [f'{LAUNCH_ARGUMENTS[k]}:={given[k]}' for k in given if k in LAUNCH_ARGUMENTS]
    words += ['goals:=pose'] if 'goal_orientation' in told else []
    numbers = [f'{value:g}' for value in goal]
    send = command('goal', *numbers)
    return [
        'next, in three terminals:',
        f'  {command("node", "sim", *options)}',
        f'  {command("node", "policy", str(run_dir))}',
        f'  {send} && {command("enable")}',
        'or, where ROS 2 is installed:',
        f'  {shlex.join(("ros2", "launch", "sac_ros", "deploy.launch.py", *words))}',
    ]


def command(*words: str) -> str:
    """Return a command line of sac_ros, quoted for a shell."""
    return shlex.join(('.venv/bin/sac_ros', *words))


def _option(name: str, value: Any) -> tuple[str, ...]:
    """Return a setting as the command line takes it."""
    if isinstance(value, bool):
        return (f'--{name}' if value else f'--no-{name}',)
    return f'--{name}', str(value)
