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

"""The command line of robot files: `sac_ros inspect-robot`."""
# ruff: noqa: T201 (a command line prints)

from __future__ import annotations

import argparse
import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sac_ros.cli.arguments import config_from
from sac_ros.config.training import TrainConfig
from sac_ros.errors import ConfigError, EnvError, ModelError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sac_ros.robot.loader import Robot
    from sac_ros.sim.arm import SimArm
    from sac_ros.tasks.task import Task

DRAWN_SIZE = (960, 720)  # pixels


def add_robot_parser(commands: Any, add_settings: Callable[..., None]) -> None:
    """Add the command to the subparsers of the program.

    Args:
        commands: what `add_subparsers` gave.
        add_settings: adds an option per setting of a configuration class, under a prefix.
    """
    inspect = commands.add_parser(
        'inspect-robot',
        help='show a robot file as the loader understands it, and draw it',
        description='Print joints, limits and the chain to the tip of a URDF, .xacro or MJCF '
        'file as training would use it, and render a picture.',
    )
    inspect.add_argument('file', nargs='?', help='the robot file (default: --arm.model)')
    inspect.add_argument(
        '--picture', type=Path, help='PNG file (default: FILE.png in the working directory)'
    )
    add_settings(inspect, TrainConfig)
    for name in ('joints', 'tip', 'torque_limits', 'velocity_limits', 'xacro_args', 'table'):
        option, short = f'arm.{name}', '--' + name.replace('_', '-')
        inspect.add_argument(short, dest=option, default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    inspect.set_defaults(run=_inspect)


def _inspect(options: argparse.Namespace) -> int:
    from sac_ros.envs.inspection import describe_surroundings, sample_goals, warnings_of
    from sac_ros.robot.loader import default_model
    from sac_ros.sim.arm import SimArm
    from sac_ros.tasks.registry import make_task

    config = config_from(options)
    if options.file and config.arm.model not in ('', options.file):
        raise ConfigError(f'two robot files: {options.file} and --arm.model {config.arm.model}')
    model = options.file or config.arm.model
    arm = SimArm(dataclasses.replace(config.arm, model=model))
    task = make_task(arm, config.task, config.arm.control_period)
    goals, failure = None, []
    try:
        goals = sample_goals(task)
    except ModelError as error:
        failure = [f'WARN   {error}']
    print(describe(arm))
    print('\n'.join([*describe_surroundings(task, goals), *warnings_of(arm), *failure]))
    picture = options.picture or Path((Path(model) if model else default_model()).stem + '.png')
    try:
        draw(arm, task, goals, picture)
    except EnvError as error:
        print(f'\nno picture: {error}')
    else:
        print(f'\npicture {picture}')
    return 0


def describe(arm: SimArm) -> str:
    """Return the table of joints, the chain to the tip, and what was made up or left out."""
    robot = arm.robot
    rows = [('joint', 'type', 'position', 'velocity', 'torque', 'moves')]
    for j, name in enumerate(robot.joint_names):
        slides = robot_slides(arm, name)
        metre, newton = ('m', 'N') if slides else ('rad', 'N·m')
        body = arm.model.joint(name).bodyid[0]
        rows.append((
            name,
            'slide' if slides else 'hinge',
            _range(robot.position_lower[j], robot.position_upper[j], metre),
            _limit(robot.velocity_limit[j], f'{metre}/s'),
            _limit(robot.torque_limit[j], newton),
            f'{float(arm.model.body_subtreemass[body]):.3g} kg',
        ))  # fmt: skip
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    table = ['  '.join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) for row in rows]
    lines = [
        f'{robot.name}: {len(robot.joint_names)} joints, {arm.model.body_mass.sum():.3g} kg, '
        f'{robot.path}',
        '',
        *(line.rstrip() for line in table),
        '',
        f'base   {robot.base}',
        f'chain  {" > ".join(chain_of(arm))}',
        f'tip    {robot.tip} at {_point(arm.tip_position)} m with all joints at zero',
        *(f'held   {name} at {position:g}' for name, position in robot.held),
        *(f'mimic  {mimic.joint} follows {mimic.leader}' for mimic in robot.mimics),
        *(f'note   {note}' for note in [*robot.notes, *_lacking(robot)]),
    ]
    return '\n'.join(lines)


def chain_of(arm: SimArm) -> list[str]:
    """Name the joints between base and tip in order, then the tip."""
    from sac_ros.robot.kinematics import joints_to

    joints = joints_to(arm.model, arm.tip_body)
    return [*(str(arm.model.joint(joint).name) for joint in joints), arm.robot.tip]


def robot_slides(arm: SimArm, joint: str) -> bool:
    """Whether a joint slides instead of turning."""
    from sac_ros.robot.kinematics import SLIDE

    return int(arm.model.joint(joint).type[0]) == SLIDE


def draw(arm: SimArm, task: Task, goals: NDArray[np.float64] | None, picture: Path) -> None:
    """Write a PNG of the arm in a start posture, of its goals (n, 3) [m] and its workspace.

    Raises:
        EnvError: there is nothing to draw with.
    """
    from PIL import Image

    from sac_ros.envs.inspection import pose_for_picture
    from sac_ros.sim.rendering import OffscreenRenderer

    pose_for_picture(arm, task)
    camera = OffscreenRenderer(arm, *DRAWN_SIZE)
    try:
        picture_of = camera.survey(goals, task.config.workspace_box())
        Image.fromarray(picture_of).save(picture)
    finally:
        camera.close()


def _lacking(robot: Robot) -> list[str]:
    unlimited = [
        n for n, v in zip(robot.joint_names, robot.velocity_limit, strict=True) if math.isinf(v)
    ]
    if not unlimited:
        return []
    return [
        f'no velocity limit for {", ".join(unlimited)}: policy_node does not watch their speed; '
        f'give arm.velocity_limits'
    ]


def _range(lower: float, upper: float, unit: str) -> str:
    return 'free' if math.isinf(lower) else f'{lower:.3g} to {upper:.3g} {unit}'


def _limit(value: float, unit: str) -> str:
    return 'none' if math.isinf(value) else f'{value:.4g} {unit}'


def _point(point: Any) -> str:
    return '(' + ', '.join(f'{value:.3f}' for value in point) + ')'
