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

"""Meshes that MuJoCo cannot use: visuals are left out, collision shapes are an error."""

from __future__ import annotations

from pathlib import Path

import mujoco

from sac_ros.errors import ModelError
from sac_ros.robot.meshes import read_mesh


def why_unusable(spec: mujoco.MjSpec, name: str, *, solid: bool) -> str:
    """Return why MuJoCo cannot use a mesh; '' if it can.

    Args:
        spec: where it is.
        name: of the mesh.
        solid: whether it must have a convex hull and a volume, for contacts and for a mass.
    """
    mesh = spec.mesh(name)
    if mesh is None or not mesh.file:
        return ''
    alone = mujoco.MjSpec()
    alone.assets = spec.assets
    alone.meshdir, alone.modelfiledir = spec.meshdir, spec.modelfiledir
    copy = alone.add_mesh(
        name=name, file=mesh.file, scale=mesh.scale, content_type=mesh.content_type
    )
    if not solid:
        copy.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL
    kind = mujoco.mjtGeom.mjGEOM_MESH
    alone.worldbody.add_geom(type=kind, meshname=name, contype=solid, conaffinity=solid)
    try:
        alone.compile()
    except ValueError as error:
        return ' '.join(str(error).split()).removeprefix('Error: ').partition(' Element name')[0]
    return ''


def leave_out_unusable(
    spec: mujoco.MjSpec, files: dict[str, Path], notes: list[str], source: object
) -> None:
    """Delete the visuals whose meshes MuJoCo cannot use.

    Args:
        spec: the robot, which does not compile.
        files: of the meshes, where they are other ones than the specification says.
        notes: one is added per visual.
        source: the robot file, for errors.

    Raises:
        ModelError: a collision shape uses such a mesh.
    """
    for mesh in list(spec.meshes):
        shapes = [g for body in spec.bodies for g in body.geoms if g.meshname == mesh.name]
        solid = [g for g in shapes if g.contype or g.conaffinity]
        reason = why_unusable(spec, mesh.name, solid=bool(solid))
        if not reason:
            continue
        path = files.get(mesh.file) or Path(spec.modelfiledir) / spec.meshdir / mesh.file
        try:
            read_mesh(path)
            reason = f'{path} is a mesh that cannot be used ({reason}); export it again'
        except ModelError as error:
            reason = str(error)
        except OSError as error:
            reason = f'{path}: {error.strerror}'
        if solid:
            raise ModelError(f'{source}: collision shape of {solid[0].parent.name}: {reason}')
        for geom in shapes:
            notes.append(f'visual of {geom.parent.name} is left out of the simulation: {reason}')
            spec.delete(geom)
        spec.delete(mesh)
