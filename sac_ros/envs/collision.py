"""Spheres around the links of an arm, for a base controller that keeps them apart."""

from __future__ import annotations

import math

import mujoco
import numpy as np
from numpy.typing import NDArray

from sac_ros.envs.arm import SimArm
from sac_ros.envs.chain import path_to
from sac_ros.spec import CollisionSpheres

Points = NDArray[np.float64]

SURFACE_POINTS = 400  # sampled per collision shape
SPHERE_SIZE = 0.05  # [m] of a link's length that one sphere covers
MAX_SPHERES = 8  # per link
POSTURES = 500  # random postures without contact by which distances are calibrated
LEAST_RANGE, FAR = 0.03, 0.1  # [m]
FALSE_ALARMS = 0.01  # share of them in which a pair may count as touching


def collision_spheres(arm: SimArm) -> CollisionSpheres:
    """Return spheres that cover the collision shapes of an arm, and the pairs that can meet."""
    model, data, chain = arm.model, mujoco.MjData(arm.model), arm.robot.chain
    mujoco.mj_kinematics(model, data)
    carriers = [int(model.joint(arm.robot.joint_names[j]).bodyid[0]) for j in chain.joint]
    links = [0, *carriers]
    rng = np.random.default_rng(0)
    centers, radii, link_of = [], [], []
    for number, body in enumerate(links):
        points = [
            _surface(model, data, int(geom), rng)
            for geom in np.flatnonzero(model.geom_contype)
            if model.geom_type[geom] != mujoco.mjtGeom.mjGEOM_PLANE
            and _link(model, int(model.geom_bodyid[geom]), carriers) == number
        ]
        if not points:
            continue
        rotation = data.xmat[body].reshape(3, 3)
        for cluster in _clusters((np.concatenate(points) - data.xpos[body]) @ rotation):
            center = (cluster.min(axis=0) + cluster.max(axis=0)) / 2
            centers.append(center)
            radii.append(float(np.linalg.norm(cluster - center, axis=1).max()))
            link_of.append(number)
    center, radius, link = np.array(centers), np.array(radii), np.array(link_of)
    pair = np.stack(np.triu_indices(len(radius), 1), axis=1)
    pair = pair[np.abs(link[pair[:, 0]] - link[pair[:, 1]]) >= 2]
    table = arm.robot.table
    above = np.flatnonzero(link >= 2) if math.isfinite(table.height) else link[:0]
    normal = np.array(table.normal)
    gaps = []
    for _ in range(POSTURES):
        place = _centers(_free_posture(arm, rng), np.array(links)[link], center)
        between = np.linalg.norm(place[pair[:, 0]] - place[pair[:, 1]], axis=1)
        gaps.append(np.concatenate((between, place[above] @ normal - table.height)))
    # Spheres are larger than shapes. A pair that overlaps in postures without contact is given
    # the distance at which it does so in few of them. One that always has the same distance, or
    # never comes close, is left out.
    reach = np.concatenate((radius[pair].sum(axis=1), radius[above]))
    nearest, few, most = np.quantile(gaps, (0.0, FALSE_ALARMS, 0.9), axis=0)
    matters = (most - few > LEAST_RANGE) & (nearest < reach + FAR)
    of_pair, of_table = np.split(matters, [len(pair)])
    return CollisionSpheres(
        center, link, pair[of_pair], above[of_table], normal,
        np.concatenate((np.zeros(len(pair)), np.full(len(above), table.height)))[matters]
        + np.minimum(reach, few)[matters],
    )  # fmt: skip


def _free_posture(arm: SimArm, rng: np.random.Generator) -> SimArm:
    """Bring an arm into a random posture, one that touches nothing where that is possible."""
    lower, upper = arm.robot.joint_ranges()
    for _ in range(100):
        arm.place(rng.uniform(lower, upper))
        if not arm.touches():
            break
    return arm


def _centers(arm: SimArm, bodies: NDArray[np.int64], center: Points) -> Points:
    """Return the centers (s, 3) in the world frame [m]."""
    rotation = arm.data.xmat[bodies].reshape(-1, 3, 3)
    placed: Points = arm.data.xpos[bodies] + (rotation @ center[:, :, None])[:, :, 0]
    return placed


def _link(model: mujoco.MjModel, body: int, carriers: list[int]) -> int:
    """Return the number of the chain's joint that carries a body, 0 for what is fixed."""
    path = path_to(model, body)
    return max((i + 1 for i, carrier in enumerate(carriers) if carrier in path), default=0)


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
