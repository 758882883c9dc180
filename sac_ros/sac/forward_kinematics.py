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

"""Forward kinematics of a serial chain in torch: tip, Jacobian, rotation errors."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sac_ros.types import KinematicChain

SQUARE = 1e-6  # [m^2] under roots: less than 1e-8 is dropped when the graph is exported


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


def apply_matrix(matrix: Tensor, vector: Tensor) -> Tensor:
    """Return matrix (B, m, k) times vector (B, k), (B, m)."""
    return (matrix @ vector.unsqueeze(-1)).squeeze(-1)


def apply_transposed(matrix: Tensor, vector: Tensor) -> Tensor:
    """Return the transpose of matrix (B, k, m) times vector (B, k), (B, m)."""
    return (vector.unsqueeze(1) @ matrix).squeeze(1)


def rotation_error(quaternion: Tensor, place: TipKinematics) -> Tensor:
    """Return axis times 2 sin(angle / 2), (B, 3), of the rotation from the tip to a goal.

    That is the rotation vector for small angles, and it grows up to half a turn.

    Args:
        quaternion: of the goal (B, 4), x, y, z, w, of any length.
        place: of the tip.
    """
    turn, cosine = relative_turn(quaternion, place)
    return turn / ((1 + cosine) / 2 + 1e-6).sqrt()


def relative_turn(quaternion: Tensor, place: TipKinematics) -> tuple[Tensor, Tensor]:
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
