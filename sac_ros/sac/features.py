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

"""What the networks see of a raw observation: forward kinematics and other physical features."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from sac_ros.spec import KinematicChain, PolicySpec

FINE = 0.1  # [m] distance at which the fine error feature saturates
SQUARE = 1e-6  # [m^2] under roots: less than 1e-8 is dropped when the graph is exported
BOUND = 3.0  # no feature leaves [-BOUND, BOUND], whatever a sensor says


class TipKinematics(NamedTuple):
    """The tip in the base frame, and how it moves with the joints."""

    tip: Tensor  # (B, 3) [m]
    rotation: Tensor  # (B, 3, 3)
    jacobian_t: Tensor  # (B, n, 3) transposed Jacobian of the position [m/rad]
    turning_t: Tensor  # (B, n, 3), the same of the angular velocity
    screws: Tensor  # (B, c, 6) per joint speed: angular velocity, and velocity at the origin
    frames: Tensor  # (B, c, 4, 4) homogeneous transforms of what each joint carries


class ForwardKinematics(nn.Module):
    """The tip of a serial chain and its Jacobian from joint positions, for batches.

    By Rodrigues' formula the transform from one joint to the next is linear in the sine and the
    cosine of the joint, so that one matrix product gives all of them. A joint turns the tip p by
    w and moves it by v + w x p, where (w, v) is its screw.
    """

    steps: Tensor
    rest: Tensor
    axis: Tensor
    end: Tensor
    slide: Tensor
    placement: Tensor

    def __init__(self, chain: KinematicChain, n_joints: int) -> None:
        super().__init__()
        n, fixed = len(chain.joint), np.zeros((len(chain.joint) + 1, 4, 4))
        fixed[:, :3, :3], fixed[:, :3, 3], fixed[:, 3, 3] = chain.rotation, chain.translation, 1
        skew = np.cross(np.eye(3), chain.axis[:, None])  # (c, 3, 3): skew @ v = axis x v
        # Each transform is rest + sine * steps[0] + cosine * steps[1] + position * steps[2].
        self.mimics = bool((chain.ratio != 1).any())
        joints = np.arange(n) if self.mimics else chain.joint
        steps = np.zeros((3, n if self.mimics else n_joints, n, 4, 4))
        rest = np.tile(np.eye(4), (n, 1, 1))
        for i, (joint, slides) in enumerate(zip(joints, chain.prismatic, strict=True)):
            if slides:
                steps[2, joint, i, :3, 3] = chain.axis[i]
            else:
                steps[0, joint, i, :3, :3] = skew[i]
                steps[1, joint, i, :3, :3] = -skew[i] @ skew[i]
                rest[i, :3, :3] += skew[i] @ skew[i]
        steps, rest = fixed[:-1] @ steps, fixed[:-1] @ rest
        self.slides = bool(chain.prismatic.any())
        placement = chain.placement(n_joints)
        self.complete = np.array_equal(placement, np.eye(n_joints))
        for name, value in (
            ('steps', steps[: 3 if self.slides else 2].reshape(-1, 16 * n)),
            ('rest', rest.reshape(-1)),
            ('axis', np.pad(chain.axis, ((0, 0), (0, 1)))[:, :, None]),  # (c, 4, 1)
            ('end', fixed[-1]),
            ('slide', chain.prismatic[:, None].astype(float)),
            ('placement', placement),
        ):
            self.register_buffer(name, torch.tensor(value, dtype=torch.float32))
        self.n = n

    def frames(self, position: Tensor) -> Tensor:
        """Map joint positions (B, n) [rad] to the frames (B, c, 4, 4) that the joints carry."""
        if self.mimics:
            position = position @ self.placement  # (B, c)
        parts = [torch.sin(position), torch.cos(position), position][: 3 if self.slides else 2]
        steps = torch.cat(parts, dim=1) @ self.steps + self.rest
        first, *others = torch.split(steps.reshape(-1, self.n, 4, 4), 1, dim=1)
        frames = [first]
        for step in others:
            frames.append(frames[-1] @ step)
        return torch.cat(frames, dim=1)

    def tip(self, position: Tensor) -> Tensor:
        """Map joint positions (B, n) [rad] to the position of the tip (B, 3) [m]."""
        tip: Tensor = (self.frames(position)[:, -1] @ self.end)[:, :3, 3]
        return tip

    def forward(self, position: Tensor) -> TipKinematics:
        """Map joint positions (B, n) [rad] to the tip and its Jacobian."""
        frames = self.frames(position)
        tip_frame = frames[:, -1] @ self.end
        tip = tip_frame[:, :3, 3]
        axis = (frames @ self.axis)[:, :, :3, 0]
        moment = torch.linalg.cross(frames[:, :, :3, 3], axis)
        if self.slides:
            moment = (1 - self.slide) * moment + self.slide * axis
            axis = (1 - self.slide) * axis
        velocity = moment + torch.linalg.cross(axis, tip[:, None])
        return TipKinematics(
            tip, tip_frame[:, :3, :3], self.of_joints(velocity), self.of_joints(axis),
            torch.cat((axis, moment), dim=2), frames,
        )  # fmt: skip

    def of_joints(self, rows: Tensor) -> Tensor:
        """Put a row per joint of the chain (B, c, k) where that joint is, (B, n, k)."""
        return rows if self.complete else self.placement @ rows


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

    def __init__(self, spec: PolicySpec, chain: KinematicChain | None) -> None:
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

    def place(self, observation: Tensor) -> TipKinematics | None:
        """Return the kinematics at raw observations (B, n_obs), None without an arm."""
        if self.kinematics is None:
            return None
        place: TipKinematics = self.kinematics(observation[:, self.slices['joint_position']])
        return place

    def forward(self, observation: Tensor, place: TipKinematics | None = None) -> Tensor:
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
        tip_velocity = apply_transposed(place.jacobian_t, velocity)
        features = [
            torch.sin(position),
            torch.cos(position),
            (position - self.middle) / self.half_range,
            velocity / self.speed,
            place.tip / self.reach,
            tip_velocity,
        ]
        lever = place.jacobian_t / self.reach  # (B, n, 3)
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


def apply_transposed(matrix: Tensor, vector: Tensor) -> Tensor:
    """Return the transpose of matrix (B, k, m) times vector (B, k), (B, m)."""
    return (vector.unsqueeze(1) @ matrix).squeeze(1)


def _turn(quaternion: Tensor, place: TipKinematics) -> list[Tensor]:
    """Return two axes of the tip, the turn to the goal, its cosine, and torques towards it.

    Args:
        quaternion: of the goal (B, 4), x, y, z, w, of any length.
        place: of the tip.
    """
    turn, cosine = _relative_turn(quaternion, place)
    axes = place.rotation[:, :, :2].flatten(1)
    return [axes, turn, cosine, apply_matrix(place.turning_t, turn)]


def rotation_error(quaternion: Tensor, place: TipKinematics) -> Tensor:
    """Return axis times 2 sin(angle / 2), (B, 3), of the rotation from the tip to a goal.

    That is the rotation vector for small angles, and it grows up to half a turn.

    Args:
        quaternion: of the goal (B, 4), x, y, z, w, of any length.
        place: of the tip.
    """
    turn, cosine = _relative_turn(quaternion, place)
    return turn / ((1 + cosine) / 2 + 1e-6).sqrt()


def _relative_turn(quaternion: Tensor, place: TipKinematics) -> tuple[Tensor, Tensor]:
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
