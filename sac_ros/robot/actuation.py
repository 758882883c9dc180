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

"""Which joints of a robot file are actuated, and which of them need a torque limit."""

from __future__ import annotations

from collections.abc import Collection
from fnmatch import fnmatchcase

import mujoco

from sac_ros.errors import ModelError
from sac_ros.robot.kinematics import path_to, tip_body
from sac_ros.robot.urdf import MAX_EFFORT


def choose_joints(
    names: list[str], patterns: str, following: Collection[str], source: object
) -> list[str]:
    """Return the joints to actuate, in the order of the file.

    Args:
        names: of all hinge and slide joints.
        patterns: names or patterns, comma between; empty for all that do not follow another one.
        following: joints that follow another one, or are locked.
        source: the robot file, for errors.

    Raises:
        ModelError: no joint has such a name.
    """
    wanted = [pattern.strip() for pattern in patterns.split(',') if pattern.strip()]
    if not wanted:
        return [name for name in names if name not in following]
    unknown = [w for w in wanted if not any(fnmatchcase(name, w) for name in names)]
    if unknown:
        raise ModelError(
            f'{source} has no joint {", ".join(map(repr, unknown))} to actuate; it has '
            f'{", ".join(names)}'
        )
    return [name for name in names if any(fnmatchcase(name, w) for w in wanted)]


def with_torque_limits(
    model: mujoco.MjModel,
    chosen: list[str],
    limit: dict[str, float],
    *,
    tip: str,
    named: bool,
    source: object,
) -> list[str]:
    """Leave out joints beside the chain that have no torque limit, unless they were named.

    Raises:
        ModelError: joints of the chain, or joints that were named, have none; all are listed.
    """
    lacking = [name for name in chosen if name not in limit]
    chain = path_to(model, tip_body(model, tip, source)[0])
    needed = [n for n in lacking if named or int(model.joint(n).bodyid[0]) in chain]
    if needed or len(lacking) == len(chosen):
        raise ModelError(
            f'{source}: no torque limit for {", ".join(needed or lacking)}; add '
            f'<limit effort="..."> (URDF) or actuatorfrcrange="..." (MJCF) above 0 and below '
            f'{MAX_EFFORT:g} to each of these joints, or give arm.torque_limits, or leave them '
            f'out of arm.joints'
        )
    return [name for name in chosen if name in limit]
