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

"""Contacts that no posture avoids, found by drawing postures and asking MuJoCo."""

from __future__ import annotations

from collections import Counter

import mujoco
import numpy as np
from numpy.typing import NDArray

from sac_ros.errors import ModelError
from sac_ros.robot.mimic import Mimic, place_mimics
from sac_ros.robot.table import NO_TABLE, Table

MAX_SAMPLES = 200  # postures; more, where all of them touch the table
MAX_DRAWS = 3_000
CONSTANT = 1e-3  # [m] a depth that varies less does not depend on the posture

Pair = tuple[int, int]  # numbers of bodies, ascending
Touching = dict[Pair, float]  # greatest depth [m] of each pair that touches in a posture


def complete_contacts(
    spec: mujoco.MjSpec,
    model: mujoco.MjModel,
    ranges: dict[str, tuple[float, float]],
    mimics: tuple[Mimic, ...],
    table: Table,
    *,
    asked: bool,
    source: object,
) -> tuple[Table, list[str]]:
    """Exclude the contacts that every posture has; take away a table that the arm lies below.

    Args:
        spec: the robot; exclusions are added to it.
        model: the robot on its table, compiled.
        ranges: of each actuated joint [rad] or [m].
        mimics: joints that follow those.
        table: what the arm is to stand on.
        asked: whether that table was asked for or is in the file: it is not taken away.
        source: the file, for errors.

    Returns:
        The table, and a note per exclusion.

    Raises:
        ModelError: in every posture the arm touches the table, which is not to be taken away.
    """
    ground = model.body(table.body or 'world').id if table != NO_TABLE else -1
    draws = _Draws(model, ranges, mimics)
    always = draws.always()
    avoidable = {p for p, depth in always.items() if ground in p and np.ptp(depth) >= CONSTANT}
    notes = []
    for pair in sorted(always.keys() - avoidable):
        one, other = (str(model.body(body).name) for body in pair)
        notes.append(
            f'{other} reaches {1000 * always[pair].max():.0f} mm into the table in every posture: '
            f'their contact is left out'
            if ground in pair
            else f'{one} and {other} touch in every posture: their contact is left out'
        )
        spec.add_exclude(bodyname1=one, bodyname2=other)
    lowest = draws.obstacle(ground, always.keys() - avoidable)
    if not lowest:
        return table, notes
    below = f'{lowest} touches the table at {table.height:g} m in every posture'
    if asked:
        raise ModelError(f'{source}: {below}; give arm.table a lower height, or none')
    notes.append(f'no table: {below}; if there is one, give its height as arm.table')
    return NO_TABLE, notes


class _Draws:
    """Random postures of a compiled arm, and which bodies touch in each."""

    def __init__(
        self,
        model: mujoco.MjModel,
        ranges: dict[str, tuple[float, float]],
        mimics: tuple[Mimic, ...],
    ) -> None:
        self._model, self._data, self._mimics = model, mujoco.MjData(model), mimics
        self._rng = np.random.default_rng(0)
        self._index = [model.joint(name).qposadr[0] for name in ranges]
        self._ranges = np.array(list(ranges.values())).reshape(-1, 2)
        self._seen = [self._draw() for _ in range(MAX_SAMPLES)]

    def always(self) -> dict[Pair, NDArray[np.float64]]:
        """Return the depth [m] in each posture of the pairs that touch in all of them."""
        pairs = set.intersection(*(set(touching) for touching in self._seen))
        return {p: np.array([touching[p] for touching in self._seen]) for p in pairs}

    def obstacle(self, ground: int, excluded: set[Pair]) -> str:
        """Name the body that touches the ground most often; '' if a posture is clear of it."""
        counts: Counter[int] = Counter()
        for number in range(MAX_DRAWS):
            touching = self._seen[number] if number < MAX_SAMPLES else self._draw()
            links = [sum(p) - ground for p in touching if ground in p and p not in excluded]
            if not links:
                return ''
            counts.update(links)
        return str(self._model.body(counts.most_common(1)[0][0]).name)

    def _draw(self) -> Touching:
        model, data = self._model, self._data
        data.qpos[self._index] = self._rng.uniform(*self._ranges.T)
        place_mimics(model, data.qpos, self._mimics)
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        mujoco.mj_collision(model, data)
        touching: Touching = {}
        for contact in data.contact:
            one, other = sorted(int(model.geom_bodyid[geom]) for geom in contact.geom)
            touching[one, other] = max(touching.get((one, other), 0.0), -float(contact.dist))
        return touching


def exclude_base_contacts(spec: mujoco.MjSpec) -> None:
    """A link may touch the fixed link that carries it: MuJoCo frees only moving pairs."""
    moving = {joint.parent.name for joint in spec.joints}
    for name in moving:
        parent = spec.body(name).parent
        while parent is not None and parent.name not in moving and parent.name != 'world':
            spec.add_exclude(bodyname1=parent.name, bodyname2=name)
            parent = parent.parent
