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

"""The command line of `sac_ros evaluate`: acceptance of a policy, or of the baseline."""
# ruff: noqa: T201 (a command line prints)

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sac_ros.cli.arguments import given_settings
from sac_ros.config.base import build, flatten
from sac_ros.config.training import ARM_ENV, TrainConfig
from sac_ros.errors import ConfigError

if TYPE_CHECKING:
    from sac_ros.deploy.onnx_policy import OnnxPolicy
    from sac_ros.envs.arm_env import ArmEnv
    from sac_ros.training.rollout import PolicyFn

NOT_ACCEPTED = 1
# Settings that come from the run of a policy.
OF_RUN = ('env', 'episode_steps', 'nan_ends_episode', 'arm.', 'task.', 'randomization.')


def add_evaluate_parser(commands: Any, add_arm_settings: Callable[[Any], None], form: Any) -> None:
    """Add `evaluate` to the subparsers of the program.

    Args:
        commands: result of `add_subparsers`.
        add_arm_settings: adds the options of the simulated arm and its task.
        form: formatter of the help.
    """
    evaluate = commands.add_parser(
        'evaluate',
        help='measure an exported policy in simulation',
        description='Run an exported policy with ONNX Runtime, from rest and from goal to goal, '
        'and print figures and verdict. For a policy in its run directory, the settings '
        'of the run apply; options replace them. Exit status: 0 accepted, 1 not accepted, '
        '2 bad input; without an arm there is no verdict and the status is 0.',
        formatter_class=form,
    )
    evaluate.add_argument(
        'policy', nargs='?', type=Path, metavar='POLICY', help='ONNX file, or directory of a run'
    )
    evaluate.add_argument(
        '--baseline', choices=('ik',),
        help='measure inverse kinematics and computed-torque control in place of a policy; '
        'with POLICY, on the episodes of its run',
    )  # fmt: skip
    evaluate.add_argument(
        '--episodes', type=int, default=100, help='episodes per pass (default: 100)'
    )
    evaluate.add_argument('--json', type=Path, metavar='FILE', help='file for the figures')
    evaluate.add_argument(
        '--env', default=argparse.SUPPRESS,
        help='arm-reach, or the id of a Gymnasium environment (default: arm-reach)',
    )  # fmt: skip
    evaluate.add_argument(
        '--env_args', default=argparse.SUPPRESS, help='arguments of a Gymnasium environment'
    )
    evaluate.add_argument(
        '--episode_steps',
        type=int,
        default=argparse.SUPPRESS,
        help='maximum number of actions per episode',
    )
    add_arm_settings(evaluate)
    evaluate.set_defaults(run=_evaluate)


def _evaluate(options: argparse.Namespace) -> int:
    if options.episodes < 1:
        raise ConfigError(f'--episodes is {options.episodes}; it must be at least 1')
    if options.policy is None and options.baseline is None:
        raise ConfigError('give a policy (an ONNX file or the directory of a run), or --baseline')
    from sac_ros.deploy.policy_check import load_checked
    from sac_ros.deploy.policy_file import find_policy
    from sac_ros.envs.arm_env import ArmEnv

    policy = None
    if options.policy is not None:
        policy = load_checked(find_policy(options.policy))
    config = config_for(options, policy)
    if config.env != ARM_ENV:
        return _evaluate_gym(options, config, policy)
    env = ArmEnv(config)
    act = _act(options, config, policy, env)
    return _judge(options, env, act)


def config_for(options: argparse.Namespace, policy: OnnxPolicy | None) -> TrainConfig:
    """Return the settings of a policy's run, with those of the command line in their place."""
    values = {} if policy is None else _settings_of_run(policy)
    config: TrainConfig = build(TrainConfig, values | given_settings(options))
    return config


def _settings_of_run(policy: OnnxPolicy) -> dict[str, Any]:
    """Return the settings in the checkpoint beside a policy; none where it is of another robot."""
    checkpoint = policy.path.parent / 'checkpoint.npz'
    if not checkpoint.exists():
        return {}
    from sac_ros.training.checkpoint import config_of, load_notes

    notes = load_notes(checkpoint)
    if notes.get('spec') != policy.spec.to_json():
        return {}
    given = flatten(config_of(notes))
    return {name: value for name, value in given.items() if name.startswith(OF_RUN)}


def _act(
    options: argparse.Namespace, config: TrainConfig, policy: OnnxPolicy | None, env: ArmEnv
) -> PolicyFn:
    from sac_ros.training.evaluation import onnx_action
    from sac_ros.training.ik_baseline import IkBaseline

    if policy is not None:
        policy.spec.require_equal(env.policy_spec, f'policy {policy.path}', 'the environment')
    if options.baseline is None and policy is not None:
        return onnx_action(policy, policy.spec)
    return IkBaseline(config, env.policy_spec)


def _judge(options: argparse.Namespace, env: ArmEnv, act: PolicyFn) -> int:
    """Measure, print table and verdict; return the exit status."""
    from rich.console import Console
    from rich.progress import Progress

    from sac_ros.training.acceptance import acceptance_table, measure_acceptance
    from sac_ros.training.result import write_acceptance

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task('episodes', total=2 * options.episodes)
        result = measure_acceptance(
            env, act, options.episodes, on_episode=lambda: bar.advance(task)
        )
    out = Console(markup=False, highlight=False)
    out.print(acceptance_table(result), soft_wrap=True)
    for name, figures in result.passes.items():
        returns = f'{figures.mean_return:.2f} +- {figures.std_return:.2f}'
        print(f'return   {returns} {name.replace("_", " ")}')
    for warning in result.warnings:
        print(f'warning: {warning}')
    print(result.verdict)
    if options.json is not None:
        write_acceptance(options.json, result)
    return 0 if result.accepted else NOT_ACCEPTED


def _evaluate_gym(
    options: argparse.Namespace, config: TrainConfig, policy: OnnxPolicy | None
) -> int:
    from sac_ros.envs.arm_env import make_env
    from sac_ros.training.evaluation import evaluate, onnx_action

    if options.baseline is not None or policy is None:
        raise ConfigError(f'--baseline is for arms, not for {config.env}')
    if options.json is not None:
        raise ConfigError(f'--json is for arms; {config.env} has no acceptance')
    env, spec = make_env(config)
    policy.spec.require_equal(spec, f'policy {policy.path}', 'the environment')
    result = evaluate(env, onnx_action(policy, policy.spec), options.episodes)
    print(f'return   {result.mean_return:.2f} +- {result.std_return:.2f}')
    if not math.isnan(result.success_rate):
        print(f'success  {100 * result.success_rate:.0f} % of {result.episodes} episodes')
    return 0
