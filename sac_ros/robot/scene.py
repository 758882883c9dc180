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

"""An MJCF scene reduced to its robot: no loose objects, and the robot's base at the origin."""

from __future__ import annotations

from collections.abc import Iterator

import mujoco
import numpy as np

FREE = mujoco.mjtJoint.mjJNT_FREE
DRIVABLE = (mujoco.mjtJoint.mjJNT_HINGE, mujoco.mjtJoint.mjJNT_SLIDE)


def remove_objects(spec: mujoco.MjSpec, notes: list[str]) -> None:
    """Delete mocap bodies and free bodies with all that refers to them; fix a floating robot."""
    mocap = [body.name for body in spec.bodies if body.mocap]
    for name in mocap:
        _delete(spec, name)
    if mocap:
        notes.append(f'mocap bodies are left out, with what is welded to them: {", ".join(mocap)}')
    floating = [joint for joint in spec.joints if joint.type == FREE]
    elsewhere = {joint.name for joint in spec.joints if joint.type in DRIVABLE}
    for joint in floating:
        elsewhere -= set(_drivable(joint.parent))
    left_out = []
    for joint in sorted(floating, key=lambda joint: -len(_drivable(joint.parent))):
        body = joint.parent
        if len(_drivable(body)) > len(elsewhere):  # the robot: most of the joints are its own
            notes.append(f'{body.name} floats in the file; it is fixed where it is')
            elsewhere = set(_drivable(body))
            spec.delete(joint)
        else:
            left_out.append(body.name)
            _delete(spec, body.name)
    if left_out:
        notes.append(f'free bodies are left out: {", ".join(left_out)}')
    if mocap or floating:
        for key in list(spec.keys):
            spec.delete(key)


def move_base_to_origin(spec: mujoco.MjSpec, model: mujoco.MjModel, root: int) -> None:
    """Move the whole scene, gravity included, so that a body's frame becomes that of the world.

    Args:
        spec: what is changed.
        model: the same, compiled.
        root: number of a body that is fixed to the world.
    """
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    position, rotation = data.xpos[root].copy(), data.xmat[root].reshape(3, 3).copy()
    if np.allclose(position, 0, atol=1e-12) and np.allclose(rotation, np.eye(3), atol=1e-12):
        return
    turn = np.zeros(4)
    mujoco.mju_negQuat(turn, data.xquat[root])
    world = spec.worldbody
    children = [
        thing
        for kind in (world.bodies, world.geoms, world.sites, world.cameras, world.lights)
        for thing in kind
        if thing.frame is None
    ]
    children += [frame for frame in world.frames if frame.frame is None]
    moved = world.add_frame(pos=-rotation.T @ position, quat=turn)
    for child in children:
        child.set_frame(moved)
    spec.option.gravity = rotation.T @ spec.option.gravity


def _delete(spec: mujoco.MjSpec, name: str) -> None:
    body = spec.body(name)
    if body is not None:  # it may lie in another one that is deleted
        spec.delete(body)


def _drivable(body: mujoco.MjsBody) -> list[str]:
    return [j.name for b in _subtree(body) for j in b.joints if j.type in DRIVABLE]


def _subtree(body: mujoco.MjsBody) -> Iterator[mujoco.MjsBody]:
    yield body
    for child in body.bodies:
        yield from _subtree(child)
