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

"""What the arm stands on: a table of the robot's file, or a plane that is added."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

import mujoco
import numpy as np

from sac_ros.errors import ModelError

TABLE_NAME = re.compile(r'table|desk|bench', re.IGNORECASE)
FLOOR_NAME = re.compile(r'floor|ground', re.IGNORECASE)
LEVEL = 0.7  # cosine of the largest slope of a table against gravity
PLANE = mujoco.mjtGeom.mjGEOM_PLANE


class Table(NamedTuple):
    """A surface: its points p have normal · p = height."""

    height: float = 0.0  # [m] in the base frame; -inf where there is none
    normal: tuple[float, float, float] = (0.0, 0.0, 1.0)  # unit vector in the base frame
    body: str = ''  # body of the file that it is part of; empty for a plane that is added

    @property
    def added(self) -> bool:
        """Whether a plane has to be added to the robot."""
        return math.isfinite(self.height) and not self.body


NO_TABLE = Table(height=-math.inf)


def table_setting(text: str) -> Table | None:
    """Return the table that the setting `arm.table` asks for; None where it is empty.

    Raises:
        ModelError: the text is neither a number nor none.
    """
    if not text.strip():
        return None
    if text.strip().lower() == 'none':
        return NO_TABLE
    try:
        height = float(text)
    except ValueError:
        height = math.nan
    if not math.isfinite(height):
        raise ModelError(f'arm.table is {text!r}; give its height in m, or none')
    return Table(height)


def table_in(model: mujoco.MjModel) -> Table | None:
    """Return the highest table of a scene, or else its highest floor."""
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    gravity = np.array(model.opt.gravity)
    up = -gravity / np.linalg.norm(gravity) if gravity.any() else np.array([0.0, 0.0, 1.0])
    found = []
    for geom in range(model.ngeom):
        body = model.geom_bodyid[geom]
        name = f'{model.geom(geom).name} {model.body(body).name}'
        floor = model.geom_type[geom] == PLANE or FLOOR_NAME.search(name)
        rank = 1 if TABLE_NAME.search(name) else 0 if floor else -1
        solid = model.geom_contype[geom] or model.geom_conaffinity[geom]
        if rank < 0 or model.body_weldid[body] != 0 or not solid:
            continue
        normal, height = _surface(model, data, geom, up)
        if normal @ up > LEVEL:
            found.append((rank, height, geom, normal))
    if not found:
        return None
    _, height, geom, normal = max(found, key=lambda entry: entry[:2])
    x, y, z = (float(value) + 0.0 for value in np.round(normal, 9))
    return Table(round(height, 9) + 0.0, (x, y, z), str(model.body(model.geom_bodyid[geom]).name))


def _surface(
    model: mujoco.MjModel, data: mujoco.MjData, geom: int, up: np.ndarray
) -> tuple[np.ndarray, float]:
    """Return the normal of a geom's upper side and its height along it [m]."""
    axes, centre = data.geom_xmat[geom].reshape(3, 3), np.array(data.geom_xpos[geom])
    if model.geom_type[geom] == PLANE:
        return axes[:, 2].copy(), float(axes[:, 2] @ centre)
    along = axes.T @ up
    side = int(np.argmax(np.abs(along)))
    normal = axes[:, side] * np.sign(along[side])
    middle, half = model.geom_aabb[geom, :3], model.geom_aabb[geom, 3:]
    return normal, float(normal @ (centre + axes @ middle) + half[side])


def add_table(spec: mujoco.MjSpec, height: float) -> None:
    """Put a plane at that height [m] into the specification."""
    spec.worldbody.add_geom(
        name=_unused('table', {geom.name for geom in spec.geoms}),
        type=PLANE,
        size=[2, 2, 0.1],
        pos=[0, 0, height],
        rgba=[0.7, 0.74, 0.78, 1],
    )


def add_surroundings(spec: mujoco.MjSpec) -> None:
    """Put a sky and a light into a specification that has none."""
    skybox = mujoco.mjtTexture.mjTEXTURE_SKYBOX
    if not any(texture.type == skybox for texture in spec.textures):
        spec.add_texture(
            name=_unused('sky', {texture.name for texture in spec.textures}),
            type=skybox,
            builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
            rgb1=[0.93, 0.95, 0.97],
            rgb2=[0.75, 0.80, 0.86],
            width=64,
            height=384,
        )
    if not spec.lights:
        spec.worldbody.add_light(
            type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
            pos=[0.6, -1.2, 2.5],
            dir=[-0.25, 0.5, -1],
            diffuse=[0.6] * 3,
            ambient=[0.25] * 3,
        )


def _unused(name: str, names: set[str]) -> str:
    while name in names:
        name += '_'
    return name
