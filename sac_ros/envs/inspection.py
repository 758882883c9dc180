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

"""What an owner should know of a robot before training: weak joints, empty links, goals."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sac_ros.errors import ModelError
from sac_ros.robot.inertials import LEAST_MASS
from sac_ros.sim.arm import SimArm
from sac_ros.tasks.task import Task

POSTURES = 500  # in which gravity is measured
GOALS = 300  # that are drawn for the picture

Points = NDArray[np.float64]


def warnings_of(arm: SimArm) -> list[str]:
    """Return a line per weakness of a robot; the state of the arm is overwritten."""
    return [f'WARN   {text}' for text in (*_sagging(arm), *_empty_links(arm))]


def sample_goals(task: Task, count: int = GOALS) -> Points:
    """Draw goals (count, 3) [m] of a task.

    Raises:
        ModelError: none can be found.
    """
    rng = np.random.default_rng(0)
    goals = []
    for _ in range(count):
        task.initialize_episode(rng)
        goals.append(task.goal.copy())
    return np.array(goals)


def pose_for_picture(arm: SimArm, task: Task) -> None:
    """Put the arm into the start posture, of many, that shows most: tip ahead, links high."""
    rng = np.random.default_rng(0)
    try:
        starts = [task.sample_start(rng) for _ in range(200)]
    except ModelError:
        arm.reset(np.mean(arm.robot.joint_ranges(), axis=0))
        return

    def shows(position: NDArray[np.float64]) -> float:
        arm.place(position)
        sideways = abs(float(arm.tip_position[1]))
        return float(arm.tip_position[0] - sideways + 2 * arm.joint_places[:, 2].mean())

    arm.reset(max(starts, key=shows))


def _sagging(arm: SimArm) -> list[str]:
    """Name the joints whose torque limit is below the torque of gravity in some posture."""
    robot, rng = arm.robot, np.random.default_rng(0)
    dofs = [arm.model.joint(name).dofadr[0] for name in robot.joint_names]
    torques = np.zeros((POSTURES, len(dofs)))
    for row in torques:
        arm.reset(rng.uniform(*robot.joint_ranges()))
        row[:] = np.abs(arm.data.qfrc_bias[dofs])
    compensated = arm.config.gravity_compensation
    why = ', which gravity compensation shares' if compensated else ''
    return [
        f'{name} sags: gravity asks for up to {worst:.3g}, its limit is {limit:.4g}{why}; '
        f'so it is in {100 * np.mean(column > limit):.0f} % of all postures'
        for name, limit, worst, column in zip(
            robot.joint_names, robot.torque_limit, torques.max(axis=0), torques.T, strict=True
        )
        if worst > limit
    ]


def _empty_links(arm: SimArm) -> list[str]:
    """Name the moving links that weigh nothing or that nothing can touch."""
    model = arm.model
    solid = (model.geom_contype | model.geom_conaffinity).astype(bool)
    found = []
    for name in arm.robot.joint_names:
        body = int(model.joint(name).bodyid[0])
        link = np.flatnonzero(model.body_weldid == model.body_weldid[body])
        label = str(model.body(body).name)
        if model.body_mass[link].sum() <= LEAST_MASS * (1 + 1e-9):
            found.append(f'{label}, which {name} moves, weighs nothing; give it an inertial')
        if not solid[np.isin(model.geom_bodyid, link)].any():
            found.append(
                f'{label}, which {name} moves, has no collision shape: it touches nothing'
            )
    return found


def describe_surroundings(task: Task, goals: Points | None) -> list[str]:
    """Return the lines about the table, the workspace and the goals (n, 3) [m]."""
    table = task.robot.table
    if not math.isfinite(table.height):
        what = 'none'
    elif table.added:
        what = f'at {table.height:g} m'
    else:
        what = f'at {table.height:g} m, of the file' + (
            f' (body {table.body})' if table.body != 'world' else ''
        )
    box = task.config.workspace_box()
    lines = [f'table  {what}', f'space  {_box(*box) if box else "any (task.workspace)"}']
    if goals is not None:
        lines.append(f'goals  {_box(goals.min(axis=0), goals.max(axis=0))}')
    return lines


def _box(lower: Points | tuple[float, ...], upper: Points | tuple[float, ...]) -> str:
    sides = zip('xyz', lower, upper, strict=True)
    return ', '.join(f'{axis} {low:.2f} to {high:.2f}' for axis, low, high in sides) + ' m'
