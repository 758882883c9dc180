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

"""What a base controller needs to keep the links of an arm apart: above all, spheres."""

from __future__ import annotations

import math

import mujoco
import numpy as np
from numpy.typing import NDArray

from sac_ros.robot.kinematics import carrying_link
from sac_ros.robot.mimic import place_mimics
from sac_ros.sim.arm import SimArm
from sac_ros.sim.barred_intervals import barred_intervals
from sac_ros.sim.contact_postures import TABLE, ContactPostures, links_of, try_postures
from sac_ros.types import CollisionSpheres, KinematicChain

Points = NDArray[np.float64]

SURFACE_POINTS = 400  # sampled per collision shape
SPHERE_SIZE = 0.04  # [m] of a link's length that one sphere covers
MAX_SPHERES = 10  # per link
LEAST_RANGE, FAR = 0.06, 0.1  # [m]
MARGIN, MARGIN_SHARE = 0.01, 0.1  # [m] kept in addition, at most; share of the usual distance


def with_collisions(arm: SimArm) -> KinematicChain:
    """Return the chain of an arm with all that a base controller needs to avoid contact."""
    postures = try_postures(arm)
    barred = barred_intervals(arm, postures)
    touching = set(postures.touching) - set(barred)
    return arm.robot.chain._replace(
        collision=_spheres(arm, postures, touching),
        barred=tuple(interval for intervals in barred.values() for interval in intervals),
    )


def _spheres(
    arm: SimArm, postures: ContactPostures, touching: set[tuple[int, int]]
) -> CollisionSpheres | None:
    """Return spheres that cover the collision shapes of an arm, and the pairs that can meet.

    None where nothing can meet: `touching` has the links that can.
    """
    model, data = arm.model, mujoco.MjData(arm.model)
    place_mimics(model, data.qpos, arm.robot.mimics)
    mujoco.mj_kinematics(model, data)
    links = links_of(arm)
    carriers = links[1:]
    rng = np.random.default_rng(0)
    centers, radii, link_of = [], [], []
    for number, body in enumerate(links):
        points = [
            _surface(model, data, int(geom), rng)
            for geom in np.flatnonzero(model.geom_contype)
            if model.geom_type[geom] != mujoco.mjtGeom.mjGEOM_PLANE
            and carrying_link(model, int(model.geom_bodyid[geom]), carriers) == number
        ]
        if not points:
            continue
        rotation = data.xmat[body].reshape(3, 3)
        for cluster in _clusters((np.concatenate(points) - data.xpos[body]) @ rotation):
            center = (cluster.min(axis=0) + cluster.max(axis=0)) / 2
            centers.append(center)
            radii.append(float(np.linalg.norm(cluster - center, axis=1).max()))
            link_of.append(number)
    if not touching:
        return None
    center, radius, link = np.array(centers), np.array(radii), np.array(link_of)
    pair = np.stack(np.triu_indices(len(radius), 1), axis=1)
    numbers = range(len(links))
    meets = np.array([[(min(a, b), max(a, b)) in touching for b in numbers] for a in numbers])
    pair = pair[meets[link[pair[:, 0]], link[pair[:, 1]]]]
    above = np.flatnonzero([(TABLE, number) in touching for number in link])
    table = arm.robot.table
    normal = np.array(table.normal)
    gaps = []
    for position in postures.position[postures.free]:
        arm.place(position)
        place = _centers(arm, np.array(links)[link], center)
        between = np.linalg.norm(place[pair[:, 0]] - place[pair[:, 1]], axis=1)
        gaps.append(np.concatenate((between, place[above] @ normal)))
    reach = np.concatenate(
        (radius[pair].sum(axis=1), radius[above] + (table.height if len(above) else 0.0))
    )
    # Spheres are larger than shapes, and a pair may overlap in postures without contact: it is
    # given the least distance seen in those. One that never comes close, or hardly ever gets
    # farther apart, is left out.
    nearest, usual = np.quantile(gaps, (0.0, 0.5), axis=0)
    matters = (nearest < reach + FAR) & (usual > nearest + LEAST_RANGE)
    of_pair, of_table = np.split(matters, [len(pair)])
    if not matters.any():
        return None
    reach = np.minimum(reach, nearest) + np.minimum(MARGIN, MARGIN_SHARE * (usual - nearest))
    return CollisionSpheres(center, link, pair[of_pair], above[of_table], normal, reach[matters])


def _centers(arm: SimArm, bodies: NDArray[np.int64], center: Points) -> Points:
    """Return the centers (s, 3) in the world frame [m]."""
    rotation = arm.data.xmat[bodies].reshape(-1, 3, 3)
    placed: Points = arm.data.xpos[bodies] + (rotation @ center[:, :, None])[:, :, 0]
    return placed


def _surface(
    model: mujoco.MjModel, data: mujoco.MjData, geom: int, rng: np.random.Generator
) -> Points:
    """Sample points (k, 3) of a shape's surface in the world frame [m]."""
    size, kind = model.geom_size[geom], model.geom_type[geom]
    n = SURFACE_POINTS
    if kind == mujoco.mjtGeom.mjGEOM_MESH:
        mesh = model.geom_dataid[geom]
        start, count = model.mesh_vertadr[mesh], model.mesh_vertnum[mesh]
        vertices = model.mesh_vert[start : start + count].astype(float)
        start, count = model.mesh_faceadr[mesh], model.mesh_facenum[mesh]
        corners = vertices[model.mesh_face[start : start + count]]  # (f, 3, 3)
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        area = np.linalg.norm(normals, axis=1)
        chosen = rng.choice(len(area), n, p=area / area.sum())
        weights = rng.dirichlet(np.ones(3), n)
        points = np.einsum('fk,fkc->fc', weights, corners[chosen])
    else:
        unit = rng.standard_normal((n, 3))
        unit /= np.linalg.norm(unit, axis=1, keepdims=True)
        if kind == mujoco.mjtGeom.mjGEOM_BOX:
            points = size * unit / np.abs(unit).max(axis=1, keepdims=True)
        elif kind == mujoco.mjtGeom.mjGEOM_CYLINDER:
            scale = np.maximum(np.linalg.norm(unit[:, :2], axis=1), np.abs(unit[:, 2]))
            points = np.array([size[0], size[0], size[1]]) * unit / scale[:, None]
        elif kind == mujoco.mjtGeom.mjGEOM_CAPSULE:
            points = size[0] * unit + np.array([0, 0, 1]) * rng.uniform(-1, 1, (n, 1)) * size[1]
        elif kind == mujoco.mjtGeom.mjGEOM_ELLIPSOID:
            points = size * unit
        else:
            points = size[0] * unit
    placed: Points = data.geom_xpos[geom] + points @ data.geom_xmat[geom].reshape(3, 3).T
    return placed


def _clusters(points: Points) -> list[Points]:
    """Divide points (k, 3) into as many clusters as spheres are needed (k-means)."""
    extent = float(np.ptp(points, axis=0).max())
    count = int(np.clip(math.ceil(extent / SPHERE_SIZE), 1, MAX_SPHERES))
    means = points[:1]
    while len(means) < count:  # the farthest point first
        gap = np.linalg.norm(points[:, None] - means, axis=2).min(axis=1)
        means = np.concatenate((means, points[gap.argmax()][None]))
    for _ in range(20):
        nearest = np.linalg.norm(points[:, None] - means, axis=2).argmin(axis=1)
        means = np.array([points[nearest == i].mean(axis=0) for i in range(count)])
    nearest = np.linalg.norm(points[:, None] - means, axis=2).argmin(axis=1)
    return [points[nearest == i] for i in range(count) if (nearest == i).any()]
