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

"""Masses and inertias of links: those that are missing or that no body can have."""

from __future__ import annotations

import math
from pathlib import Path

import mujoco
import numpy as np
from numpy.typing import NDArray

from sac_ros.errors import ModelError
from sac_ros.robot.mesh_check import leave_out_unusable, why_unusable

DENSITY = 1000.0  # [kg/m^3] of the shapes of a link without an inertial
LEAST_MASS, LEAST_INERTIA = 1e-3, 1e-6  # [kg], [kg·m^2] of a moving link that has no shape either
LEAST_RADIUS, MOST_RADIUS = 3e-5, 10.0  # [m] radii of gyration that a link of a robot can have
EXCESS = 1.05  # by which a principal moment may exceed the sum of the two others: digits are lost


def complete_inertials(spec: mujoco.MjSpec, notes: list[str]) -> None:
    """Give links of a URDF without an inertial the mass of their shapes."""
    for body in spec.bodies:
        if body.name == 'world' or (body.explicitinertial and body.mass > 0):
            continue
        if _count_shapes(spec, body):
            notes.append(f'{body.name} has no inertial; its shapes count {DENSITY:g} kg/m^3')
        elif body.joints:
            body.mass, body.explicitinertial = LEAST_MASS, True
            body.ipos = np.zeros(3)
            _set_inertia(body, [LEAST_INERTIA] * 3, [1, 0, 0, 0])
            notes.append(f'{body.name} has neither inertial nor shape; it weighs {LEAST_MASS} kg')


def replace_impossible_inertias(
    spec: mujoco.MjSpec, files: dict[str, Path], notes: list[str], source: object
) -> None:
    """Give links with an inertia that no body of their mass has that of their shapes instead.

    Mass and center of mass stay; a link without shapes counts as a ball of water. The arguments
    are those of `leave_out_unusable`.

    Raises:
        ModelError: the robot does not compile for another reason.
    """
    wrong = [body for body in spec.bodies if body.explicitinertial and not _possible(body)]
    if not wrong:
        return
    leave_out_unusable(spec, files, notes, source)
    for body in wrong:  # without shapes, and so that it compiles
        _set_inertia(body, _ball(body.mass), [1, 0, 0, 0])
    shaped = spec.copy()
    with_shapes = {body.name for body in wrong if _count_shapes(shaped, shaped.body(body.name))}
    try:
        model = shaped.compile()
    except ValueError as error:
        reason = ' '.join(str(error).split())
        raise ModelError(f'{source} does not compile: {reason}') from error
    for body in wrong:
        of_shapes = model.body(body.name)
        if body.name in with_shapes:
            moments = body.mass / float(of_shapes.mass[0]) * of_shapes.inertia
            _set_inertia(body, moments, of_shapes.iquat)
        notes.append(
            f'{body.name}: no body of {body.mass:g} kg has its inertia, which is replaced by that '
            f'of {"its shapes" if body.name in with_shapes else "a ball"}'
        )


def use_shell_inertia(spec: mujoco.MjSpec) -> None:
    """Let the meshes of links with an inertial have no volume: it does not matter there."""
    needed = {
        geom.meshname for body in spec.bodies if not body.explicitinertial for geom in body.geoms
        if geom.density > 0
    }  # fmt: skip
    for mesh in spec.meshes:
        if mesh.name not in needed:
            mesh.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL


def _count_shapes(spec: mujoco.MjSpec, body: mujoco.MjsBody) -> bool:
    """Take the inertial of a link from its shapes that have a volume; False if it has none.

    Those are its collision shapes, or else its visuals.
    """
    shapes = list(body.geoms)
    if not any(geom.contype for geom in shapes):
        for geom in shapes:
            geom.density = DENSITY
    for geom in shapes:
        if geom.density and not _has_volume(spec, geom):
            geom.density = 0.0
    if not any(geom.density for geom in shapes):
        return False
    body.explicitinertial, body.ipos = False, np.full(3, math.nan)
    return True


def _possible(body: mujoco.MjsBody) -> bool:
    if not body.mass > 0:
        return True  # it has none
    full = np.array(body.fullinertia)
    moments = np.array(body.inertia)
    if not np.isnan(full[0]):
        xx, yy, zz, xy, xz, yz = full
        matrix = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
        if not np.isfinite(matrix).all():
            return False
        moments = np.linalg.eigvalsh(matrix)
    if not moments.any():
        return not body.joints  # a point mass, which other links carry
    low, middle, high = np.sort(moments)
    return bool(
        np.isfinite(moments).all()
        and low > body.mass * LEAST_RADIUS**2
        and high < body.mass * MOST_RADIUS**2
        and high <= EXCESS * (low + middle)
    )


def _ball(mass: float) -> NDArray[np.float64]:
    """Return the principal moments (3,) [kg·m^2] of a ball of water."""
    radius = (3 * mass / (4 * math.pi * DENSITY)) ** (1 / 3)
    return np.full(3, 0.4 * mass * radius**2)


def _set_inertia(body: mujoco.MjsBody, moments: object, quaternion: object) -> None:
    body.fullinertia = [math.nan, 0, 0, 0, 0, 0]
    body.inertia, body.iquat = moments, quaternion
    body.ialt.type = mujoco.mjtOrientation.mjORIENTATION_QUAT


def _has_volume(spec: mujoco.MjSpec, geom: mujoco.MjsGeom) -> bool:
    """Whether a shape has a volume, which a flat or an open mesh has not."""
    return not geom.meshname or not why_unusable(spec, geom.meshname, solid=True)
