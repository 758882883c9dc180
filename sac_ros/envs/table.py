"""What the arm stands on."""

from __future__ import annotations

import math

import mujoco
import numpy as np

TABLE_TRIALS = 100  # random postures of which one must lie above a table


def table_height(
    model: mujoco.MjModel,
    joint_names: tuple[str, ...],
    position_lower: tuple[float, ...],
    position_upper: tuple[float, ...],
    reach: float,
) -> float:
    """Return 0, or a height out of the way where the arm could not move above a table at 0."""
    data, rng = mujoco.MjData(model), np.random.default_rng(0)
    index = [model.joint(name).qposadr[0] for name in joint_names]
    lower = np.where(np.isfinite(position_lower), position_lower, -np.pi)
    upper = np.where(np.isfinite(position_upper), position_upper, np.pi)
    solid = [int(g) for g in np.flatnonzero(model.geom_contype) if model.geom_bodyid[g] > 0]
    moving = [g for g in solid if model.body_weldid[model.geom_bodyid[g]] > 0]
    for _ in range(TABLE_TRIALS):
        data.qpos[index] = rng.uniform(lower, upper)
        mujoco.mj_kinematics(model, data)
        if all(_lowest(model, data, geom) > 0 for geom in moving):
            return 0.0
    return -math.ceil(10 * reach) / 10


def _lowest(model: mujoco.MjModel, data: mujoco.MjData, geom: int) -> float:
    """Return how low the box about a shape reaches [m]."""
    centre, half = model.geom_aabb[geom, :3], model.geom_aabb[geom, 3:]
    if not half.any():
        return math.inf
    up = data.geom_xmat[geom].reshape(3, 3)[2]
    return float(data.geom_xpos[geom, 2] + up @ centre - np.abs(up) @ half)


def add_table(spec: mujoco.MjSpec, height: float) -> None:
    """Put a plane at that height [m], light and a sky into the specification."""
    spec.add_texture(
        name='sky',
        type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
        rgb1=[0.93, 0.95, 0.97],
        rgb2=[0.75, 0.80, 0.86],
        width=64,
        height=384,
    )
    spec.worldbody.add_geom(
        name='table',
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        size=[2, 2, 0.1],
        pos=[0, 0, height],
        rgba=[0.7, 0.74, 0.78, 1],
    )
    spec.worldbody.add_light(
        type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
        pos=[0.6, -1.2, 2.5],
        dir=[-0.25, 0.5, -1],
        diffuse=[0.6] * 3,
        ambient=[0.25] * 3,
    )
