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

"""The command line of `sac_ros watch`: a policy in a window or as a video."""
# ruff: noqa: T201 (a command line prints)

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sac_ros.cli.arguments import config_from
from sac_ros.errors import ConfigError

if TYPE_CHECKING:
    from sac_ros.envs.arm_env import ArmEnv
    from sac_ros.training.rollout import PolicyFn


def add_watch_parser(commands: Any, add_arm_settings: Callable[[Any], None]) -> None:
    """Add the command to the subparsers of the program.

    Args:
        commands: what `add_subparsers` gave.
        add_arm_settings: adds the options of the simulated arm and its task.
    """
    watch = commands.add_parser(
        'watch',
        help='show a policy in a window or as a video',
        description="Play a policy in MuJoCo's viewer where there is a screen; write a video "
        'where there is none, or with --output.',
    )
    watch.add_argument('policy', type=Path, help='the ONNX file, or directory of a run')
    watch.add_argument('--episodes', type=int, default=3, help='number of episodes (default: 3)')
    watch.add_argument(
        '--output',
        type=Path,
        help='video file, .gif or .mp4 (default: a window if possible)',
    )
    add_arm_settings(watch)
    watch.set_defaults(run=_watch)


def _watch(options: argparse.Namespace) -> int:
    if options.episodes < 1:
        raise ConfigError(f'--episodes is {options.episodes}; it must be at least 1')
    from sac_ros.deploy.policy_check import load_checked
    from sac_ros.deploy.policy_file import find_policy
    from sac_ros.envs.arm_env import ArmEnv
    from sac_ros.robot import has_screen
    from sac_ros.seeds import evaluation_seed
    from sac_ros.training.evaluation import onnx_action
    from sac_ros.training.video import default_suffix, film, write_video

    file = find_policy(options.policy)
    policy = load_checked(file)
    config = config_from(options)
    env = ArmEnv(config, render_mode='rgb_array')
    policy.spec.require_equal(env.policy_spec, f'policy {file}', 'the environment')
    act = onnx_action(policy, policy.spec)
    if options.output is None and has_screen():
        play(env, act, options.episodes)
        return 0
    output = options.output or Path(file.with_suffix(default_suffix()).name)
    frames = [
        frame
        for episode in range(options.episodes)
        for frame in film(env, act, evaluation_seed(episode))
    ]
    write_video(output, frames, config.arm.control_period)
    env.close()
    print(f'{options.episodes} episodes in {output}')
    return 0


def play(env: ArmEnv, act: PolicyFn, episodes: int) -> None:
    """Show episodes in MuJoCo's viewer in real time, until they are over or it is closed.

    Raises:
        EnvError: no window can be opened.
    """
    from sac_ros.seeds import evaluation_seed
    from sac_ros.sim.rendering import add_goal, window
    from sac_ros.training.rollout import rollout

    period = env.arm.config.control_period
    with window(env.arm) as viewer:
        for episode in range(episodes):
            due = time.monotonic()
            for _ in rollout(env, act, evaluation_seed(episode)):
                if not viewer.is_running():
                    return
                with viewer.lock():
                    viewer.user_scn.ngeom = 0
                    add_goal(viewer.user_scn, env.goal, env.task.config.success_radius)
                viewer.sync()
                due += period
                time.sleep(max(0.0, due - time.monotonic()))
