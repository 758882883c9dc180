"""What the networks see of a raw observation: forward kinematics and other physical features."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from sac_ros.spec import Chain, PolicySpec

FINE = 0.1  # [m] distance at which the fine error feature saturates
SQUARE = 1e-6  # [m^2] under roots: less than 1e-8 is dropped when the graph is exported
BOUND = 3.0  # no feature leaves [-BOUND, BOUND], whatever a sensor says


class Kinematics(NamedTuple):
    """The tip in the base frame, and how it moves with the joints."""

    tip: Tensor  # (B, 3) [m]
    jacobian: Tensor  # (B, 3, n) of the position [m/rad]
    rotation: Tensor  # (B, 3, 3)
    turning: Tensor  # (B, 3, n), the Jacobian of the angular velocity
    axes: Tensor  # (B, c, 3) axis of each joint of the chain
    origins: Tensor  # (B, c, 3) [m] point on that axis
    links: Tensor  # (B, c, 3, 3) rotation of what each joint carries


class ForwardKinematics(nn.Module):
    """The tip of a serial chain and its Jacobian from joint positions, for batches.

    Rodrigues' formula per joint; the geometric Jacobian's column is axis x (tip - origin).
    """

    rotation: Tensor
    translation: Tensor
    axis: Tensor
    skew: Tensor
    skew2: Tensor
    prismatic: Tensor
    placement: Tensor

    def __init__(self, chain: Chain, n_joints: int) -> None:
        super().__init__()
        skew = np.cross(np.eye(3), chain.axis[:, None])  # (n, 3, 3): skew @ v = axis x v
        for name, value in (
            ('rotation', chain.rotation),
            ('translation', chain.translation),
            ('axis', chain.axis),
            ('skew', skew),
            ('skew2', skew @ skew),
        ):
            self.register_buffer(name, torch.tensor(value, dtype=torch.float32))
        self.mimics, self.slides = bool((chain.ratio != 1).any()), chain.prismatic.tolist()
        self.joint = list(range(len(chain.joint))) if self.mimics else chain.joint.tolist()
        self.register_buffer('prismatic', torch.tensor(chain.prismatic))
        placement = torch.tensor(chain.placement(n_joints), dtype=torch.float32)
        self.register_buffer('placement', placement)

    def forward(self, position: Tensor) -> Kinematics:
        """Map joint positions (B, n) [rad] to the tip and its Jacobian."""
        if self.mimics:
            position = position @ self.placement  # (B, c)
        sine, cosine = torch.sin(position), torch.cos(position)
        rotation = self.rotation[0].expand(position.shape[0], 3, 3)
        origin = self.translation[0].expand(position.shape[0], 3)
        origins, axes, links = [], [], []
        identity = torch.eye(3, dtype=position.dtype, device=position.device)
        for i, joint in enumerate(self.joint):
            axis = rotation @ self.axis[i]  # (B, 3) in the base frame
            origins.append(origin)
            axes.append(axis)
            if self.slides[i]:
                origin = origin + axis * position[:, joint, None]
            else:
                s, c = sine[:, joint, None, None], cosine[:, joint, None, None]
                rotation = rotation @ (identity + s * self.skew[i] + (1 - c) * self.skew2[i])
            links.append(rotation)
            origin = origin + rotation @ self.translation[i + 1]
            rotation = rotation @ self.rotation[i + 1]
        axis, anchor = torch.stack(axes, 1), torch.stack(origins, 1)
        lever = origin[:, None] - anchor
        columns = torch.where(self.prismatic[:, None], axis, torch.linalg.cross(axis, lever))
        jacobian = self.placement @ columns  # (B, n, 3): joints off the chain move nothing
        spin = torch.where(self.prismatic[:, None], torch.zeros_like(axis), axis)
        turning = (self.placement @ spin).transpose(1, 2)
        return Kinematics(
            origin, jacobian.transpose(1, 2), rotation, turning, axis, anchor,
            torch.stack(links, 1),
        )  # fmt: skip


class Features(nn.Module):
    """What the networks see of a raw observation: dimensionless, bounded, in the ONNX graph too.

    For an arm: sine and cosine of the joints, positions and speeds relative to their limits, the
    tip and its velocity. With a goal: the error to it on a coarse and a fine scale, and both
    errors through the transposed Jacobian, the direction in which torque moves the tip there; the
    same for the orientation and the velocity of a goal that has them. Fields of other names are
    passed on. An observation without joints passes unchanged.
    """

    middle: Tensor
    half_range: Tensor
    speed: Tensor

    def __init__(self, spec: PolicySpec, chain: Chain | None) -> None:
        super().__init__()
        self.slices, n = spec.slices(), spec.n_action
        joints = {'joint_position', 'joint_velocity', 'previous_action'}
        self.kinematics = (
            ForwardKinematics(chain, n)
            if chain is not None and joints <= set(self.slices)
            else None
        )
        if self.kinematics is None or chain is None:
            self.size = spec.n_observation
            return
        self.reach = float(np.linalg.norm(chain.translation, axis=1).sum())
        lower, upper = (
            _finite(spec.position_lower, -math.pi),
            _finite(spec.position_upper, math.pi),
        )
        for name, value in (
            ('middle', (lower + upper) / 2),
            ('half_range', (upper - lower) / 2),
            ('speed', _finite(spec.velocity_limit, math.pi)),
        ):
            self.register_buffer(name, torch.tensor(value, dtype=torch.float32))
        known = {'goal': 6 + 2 * n, 'goal_orientation': 10 + n, 'goal_velocity': 6 + n}
        extra = {f.name: known.get(f.name, f.size) for f in spec.observation}
        self.others = [name for name in extra if name not in joints | set(known)]
        self.size = 5 * n + 6 + sum(size for name, size in extra.items() if name not in joints)

    def place(self, observation: Tensor) -> Kinematics | None:
        """Return the kinematics at raw observations (B, n_obs), None without an arm."""
        if self.kinematics is None:
            return None
        place: Kinematics = self.kinematics(observation[:, self.slices['joint_position']])
        return place

    def forward(self, observation: Tensor, place: Kinematics | None = None) -> Tensor:
        """Map raw observations (B, n_obs) to features (B, size).

        Args:
            observation: raw.
            place: what `place` gave for it, if that is at hand.
        """
        if place is None:
            place = self.place(observation)
        if place is None:
            return observation
        position = observation[:, self.slices['joint_position']]
        velocity = observation[:, self.slices['joint_velocity']]
        tip_velocity = apply_matrix(place.jacobian, velocity)
        features = [
            torch.sin(position),
            torch.cos(position),
            (position - self.middle) / self.half_range,
            velocity / self.speed,
            place.tip / self.reach,
            tip_velocity,
        ]
        lever = place.jacobian.transpose(1, 2) / self.reach  # (B, n, 3)
        if 'goal' in self.slices:
            error = observation[:, self.slices['goal']] - place.tip
            coarse, fine = error / self.reach, torch.tanh(error / FINE)
            features += [coarse, fine, apply_matrix(lever, coarse), apply_matrix(lever, fine)]
        if 'goal_orientation' in self.slices:
            features += _turn(observation[:, self.slices['goal_orientation']], place)
        if 'goal_velocity' in self.slices:
            moving = observation[:, self.slices['goal_velocity']]
            features += [moving, moving - tip_velocity, apply_matrix(lever, moving - tip_velocity)]
        features += [observation[:, self.slices[name]] for name in self.others]
        features.append(observation[:, self.slices['previous_action']])
        return torch.cat(features, dim=1).clamp(-BOUND, BOUND)


def apply_matrix(matrix: Tensor, vector: Tensor) -> Tensor:
    """Return matrix (B, m, k) times vector (B, k), (B, m)."""
    return (matrix @ vector.unsqueeze(-1)).squeeze(-1)


def apply_matrices(matrices: Tensor, vectors: Tensor) -> Tensor:
    """Return matrices (B, c, 3, 3) times vectors (c, 3), (B, c, 3)."""
    return (matrices @ vectors[:, :, None]).squeeze(-1)


def _turn(quaternion: Tensor, place: Kinematics) -> list[Tensor]:
    """Return two axes of the tip, the turn to the goal, its cosine, and torques towards it.

    Args:
        quaternion: of the goal (B, 4), x, y, z, w, of any length.
        place: of the tip.
    """
    turn, cosine = _relative_turn(quaternion, place)
    axes = place.rotation[:, :, :2].flatten(1)
    return [axes, turn, cosine, apply_matrix(place.turning.transpose(1, 2), turn)]


def rotation_error(quaternion: Tensor, place: Kinematics) -> Tensor:
    """Return axis times 2 sin(angle / 2), (B, 3), of the rotation from the tip to a goal.

    That is the rotation vector for small angles, and it grows up to half a turn.

    Args:
        quaternion: of the goal (B, 4), x, y, z, w, of any length.
        place: of the tip.
    """
    turn, cosine = _relative_turn(quaternion, place)
    return turn / ((1 + cosine) / 2 + 1e-6).sqrt()


def _relative_turn(quaternion: Tensor, place: Kinematics) -> tuple[Tensor, Tensor]:
    """Return axis times sine (B, 3) and cosine (B, 1) of the rotation E = R_goal R_tip^T."""
    x, y, z, w = F.normalize(quaternion, dim=1, eps=1e-6).unbind(1)
    goal = torch.stack(
        (
            1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w),
            2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w),
            2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y),
        ), dim=1,
    ).reshape(-1, 3, 3)  # fmt: skip
    error = goal @ place.rotation.transpose(1, 2)
    skew = (error - error.transpose(1, 2)) / 2
    turn = torch.stack((skew[:, 2, 1], skew[:, 0, 2], skew[:, 1, 0]), dim=1)
    return turn, (error.diagonal(dim1=1, dim2=2).sum(1, keepdim=True) - 1) / 2


def _finite(limits: tuple[float, ...], otherwise: float) -> NDArray[np.float64]:
    return np.where(np.isfinite(limits), limits, otherwise)
