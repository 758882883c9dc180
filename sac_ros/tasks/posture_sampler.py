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

"""Draw the postures that place goals and starts: reachable, clear of everything, in a box."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import mujoco
import numpy as np
from numpy.typing import NDArray

from sac_ros.deploy.safety_filter import SafetyConfig
from sac_ros.errors import ModelError
from sac_ros.sim.arm import SimArm
from sac_ros.sim.model import PROBE
from sac_ros.types import Vector

Box = tuple[tuple[float, ...], tuple[float, ...]]  # lower and upper corner [m]

TABLE_CLEARANCE = 0.1  # [m] lowest goal above the table
FIXED_CLEARANCE = 0.05  # [m] from a goal to the fixed links and to what else stands there
MARGIN = SafetyConfig().position_margin  # [rad] or [m] to a joint limit
MAX_DRAWS = 10_000  # postures tried before a robot is given up
MAX_PULLED = 2_000  # the same, with a workspace
PULLS, PRECISION, DAMPING = 20, 1e-3, 1e-3  # steps, [m], [m^2] towards a point of a workspace

LOW, OUTSIDE, CLOSE, TOUCHES = range(4)  # why a posture is rejected
REASONS = {
    LOW: (
        f'the tip is less than {TABLE_CLEARANCE:g} m above the table at {{table:g}} m',
        'give the height of the table as arm.table, or check arm.tip',
    ),
    OUTSIDE: (
        'the tip is outside task.workspace',
        'make the box larger, or move it to where inspect-robot shows goals without one',
    ),
    CLOSE: (
        f'the tip is less than {FIXED_CLEARANCE:g} m from a fixed link, or inside another link',
        'check arm.tip and the collision shapes of the fixed links',
    ),
    TOUCHES: ('{pair} touch', 'check their collision shapes and the ranges of the joints'),
}


class Posture(NamedTuple):
    """Joint positions that touch nothing, and where they put the tip."""

    position: Vector  # (n,) [rad]
    tip: Vector  # (3,) [m]
    rotation: Vector  # (3, 3)


class PostureSampler:
    """Draws postures of an arm; the state of that arm is overwritten."""

    def __init__(self, arm: SimArm, workspace: Box | None = None) -> None:
        """Prepare for an arm, with goals in a box of the base frame or without one."""
        self._arm, self._workspace = arm, workspace
        model = arm.model
        lower, upper = arm.robot.joint_ranges()
        self._middle, half = (lower + upper) / 2, (upper - lower) / 2
        margin = np.minimum(MARGIN, half / 2)
        free = ~np.isfinite(arm.robot.position_lower)
        self._half, self._inner = half, np.where(free, np.inf, half - margin)  # (n,)
        self._normal = np.array(arm.robot.table.normal)
        self._probe = model.geom(PROBE).id
        solid = (model.geom_contype | model.geom_conaffinity).astype(bool)
        solid &= model.geom_type != mujoco.mjtGeom.mjGEOM_PLANE
        group = model.body_weldid[model.geom_bodyid]
        own = model.body_weldid[arm.tip_body]
        near = {own, model.body_weldid[model.body_parentid[own]]} - {0}
        solid &= ~np.isin(group, list(near))
        self._fixed = np.flatnonzero(solid & (group == 0))
        self._others = np.flatnonzero(solid & (group > 0))

    def draw(self, rng: np.random.Generator, share: float, *, goal: bool = True) -> Posture:
        """Draw a posture from a share of each joint's range, about its middle.

        Args:
            rng: where chance comes from.
            share: of the range.
            goal: whether the tip is to be a goal, which it may not be everywhere.

        Raises:
            ModelError: none was found; the error says what rejects most of them.
        """
        half = np.minimum(share * self._half, self._inner)
        rejected: Counter[int] = Counter()
        pairs: Counter[tuple[str, str]] = Counter()
        box = self._workspace if goal else None
        for _ in range(MAX_DRAWS if box is None else MAX_PULLED):
            position = self._middle + half * rng.uniform(-1, 1, len(half))
            if box is not None:
                position = self._pull(position, rng.uniform(*box), half)
            reason = self._rejection(position, goal)
            if reason is None:
                return self._posture(position)
            rejected[reason] += 1
            if reason == TOUCHES:
                pairs[self._touching()] += 1
        raise ModelError(self._failure(rejected, pairs, goal))

    def at(self, position: Vector) -> Posture | None:
        """Return the posture at joint positions (n,), or None if its tip may be no goal."""
        if (np.abs(position - self._middle) > self._inner).any():
            return None
        return None if self._rejection(position, True) is not None else self._posture(position)

    def _rejection(self, position: Vector, goal: bool) -> int | None:
        """Place the arm; return why the posture is rejected, cheap reasons first."""
        arm, table = self._arm, self._arm.robot.table
        arm.place(position)
        tip = arm.tip_position
        if self._normal @ tip < table.height + (TABLE_CLEARANCE if goal else 0.0):
            return LOW
        if goal and self._workspace is not None:
            lower, upper = self._workspace
            if (tip < lower).any() or (tip > upper).any():
                return OUTSIDE
        if arm.touches():
            return TOUCHES
        if goal and (
            self._near(tip, self._fixed, FIXED_CLEARANCE) or self._near(tip, self._others, 0)
        ):
            return CLOSE
        return None

    def _pull(self, position: Vector, target: Vector, half: Vector) -> Vector:
        """Move joints (n,) until the tip is at a point (3,) [m], if it gets there.

        dq = J^T (J J^T + DAMPING I)^-1 e, with q kept within `half` (n,) of the middle
        """
        for _ in range(PULLS):
            self._arm.place(position)
            error = target - self._arm.tip_position
            if error @ error < PRECISION**2:
                break
            jacobian = self._arm.tip_jacobian()  # (3, n)
            square = jacobian @ jacobian.T + DAMPING * np.eye(3)
            position = position + jacobian.T @ np.linalg.solve(square, error)
            position = np.clip(position, self._middle - half, self._middle + half)
        return position

    def _posture(self, position: Vector) -> Posture:
        return Posture(position, self._arm.tip_position, self._arm.tip_rotation)

    def _near(self, point: Vector, geoms: NDArray[np.int64], clearance: float) -> bool:
        """Whether a point (3,) is closer than that to one of the geoms, or inside it [m]."""
        model, data = self._arm.model, self._arm.data
        radius = model.geom_rbound[geoms] + clearance
        away = np.linalg.norm(data.geom_xpos[geoms] - point, axis=1)
        data.geom_xpos[self._probe] = point
        return any(
            mujoco.mj_geomDistance(model, data, self._probe, geom, clearance + 0.01, None)
            <= clearance
            for geom in geoms[away < radius].tolist()
        )

    def _touching(self) -> tuple[str, str]:
        model, contact = self._arm.model, self._arm.data.contact[0]
        one, other = (str(model.body(model.geom_bodyid[geom]).name) for geom in contact.geom)
        return one, other

    def _failure(self, rejected: Counter[int], pairs: Counter[tuple[str, str]], goal: bool) -> str:
        robot = self._arm.robot
        (reason, count), total = rejected.most_common(1)[0], rejected.total()
        cause, fix = REASONS[reason]
        pair = ' and '.join(pairs.most_common(1)[0][0]) if pairs else ''
        cause = cause.format(table=robot.table.height, pair=pair.replace('world', 'the table'))
        what = 'goal' if goal else 'start'
        return (
            f'{robot.path}: no {what} was found in {total:,} random postures; in '
            f'{100 * count / total:.0f} % of them {cause}: {fix}'
        )
