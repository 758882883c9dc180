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

"""The end of an arm: which joints are those of a gripper, and which frame is the tip."""

from __future__ import annotations

import re

import mujoco
import numpy as np

GRIPPER = re.compile(r'grip|finger|jaw|knuckle|thumb', re.IGNORECASE)
# Names of a tip in order of preference. `ee` stands alone: not in `wheel` or `knee`.
TIP_NAMES = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r'(?:^|.*[^a-z0-9])tool0$',
        r'.*tcp',
        r'.*gripper_?frame',
        r'(?:^|.*[^a-z])(?:ee|eef)(?:[^a-z]|$)|.*end_?effector',
        r'.*flange',
    )
)


def gripper_joints(model: mujoco.MjModel, joints: list[int], tip: int = -1) -> set[str]:
    """Name the joints of grippers: beyond the tip, beyond a fork into fingers, or by their names.

    A fork is one into fingers where the chain to it has more joints than each of its branches.

    Args:
        model: where.
        joints: numbers of the hinge and slide joints.
        tip: the body that carries the tip; -1 where none was named.
    """
    bodies = np.array([int(model.jnt_bodyid[j]) for j in joints])
    own = np.bincount(bodies, minlength=model.nbody)
    before, longest = own.copy(), own.copy()  # joints from the world to a body; from it on
    for body in range(1, model.nbody):
        before[body] += before[model.body_parentid[body]]
    branches: dict[int, list[int]] = {}
    for body in range(model.nbody - 1, 0, -1):
        parent = int(model.body_parentid[body])
        longest[parent] = max(longest[parent], own[parent] + longest[body])
        if longest[body]:
            branches.setdefault(parent, []).append(body)
    roots = {
        child
        for fork, children in branches.items()
        if len(children) > 1 and before[fork] > max(longest[c] for c in children)
        for child in children
    }
    if tip >= 0:
        roots |= {child for child in branches.get(tip, []) if child != tip}
    beyond = _subtrees(model, roots)
    named = {j for j in joints if GRIPPER.search(model.joint(j).name)}
    others = {int(model.jnt_bodyid[j]) for j in joints if j not in named}
    carrying = {ancestor for body in others for ancestor in _ancestors(model, body)}
    held = {
        j
        for j in joints
        if int(model.jnt_bodyid[j]) in beyond
        or (j in named and int(model.jnt_bodyid[j]) not in carrying)
    }
    return {model.joint(j).name for j in held} if len(held) < len(joints) else set()


def default_tip(model: mujoco.MjModel, usual: str) -> str:
    """Return the best named body or site that is fixed to the usual tip, or that tip.

    Args:
        model: where.
        usual: the last body of the chain, which is the tip where no name says better.
    """
    rigid = [int(model.body_weldid[model.body(usual).id])]
    for body in range(rigid[0] + 1, model.nbody):
        if int(model.body_parentid[body]) in rigid and not model.body_jntnum[body]:
            rigid.append(body)
    names = [str(model.body(body).name) for body in reversed(rigid)]
    sites = [s for s in range(model.nsite) if int(model.site_bodyid[s]) in rigid]
    names += sorted(filter(None, (str(model.site(s).name) for s in sites)), key=len)
    names = [name for name in names if 'base' not in name.lower()]  # of a tool, not its end
    for pattern in TIP_NAMES:
        for name in names:
            if pattern.match(name):
                return name
    return usual


def _subtrees(model: mujoco.MjModel, roots: set[int]) -> set[int]:
    inside = set(roots)
    for body in range(1, model.nbody):
        if int(model.body_parentid[body]) in inside:
            inside.add(body)
    return inside


def _ancestors(model: mujoco.MjModel, body: int) -> set[int]:
    found = set()
    while body > 0:
        found.add(body)
        body = int(model.body_parentid[body])
    return found
