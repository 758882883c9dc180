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

"""Features: the dimensionless inputs of the networks, computed from a raw observation."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sac_ros.sac.forward_kinematics import (
    ForwardKinematics,
    TipKinematics,
    apply_matrix,
    apply_transposed,
    relative_turn,
)
from sac_ros.spec import PolicySpec
from sac_ros.types import KinematicChain

FINE = 0.1  # [m] distance at which the fine error feature saturates
BOUND = 3.0  # no feature leaves [-BOUND, BOUND], whatever a sensor says


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


def _turn(quaternion: Tensor, place: TipKinematics) -> list[Tensor]:
    """Return two axes of the tip, the turn to the goal, its cosine, and torques towards it.

    Args:
        quaternion: of the goal (B, 4), x, y, z, w, of any length.
        place: of the tip.
    """
    turn, cosine = relative_turn(quaternion, place)
    axes = place.rotation[:, :, :2].flatten(1)
    return [axes, turn, cosine, apply_matrix(place.turning_t, turn)]


def _finite(limits: tuple[float, ...], otherwise: float) -> NDArray[np.float64]:
    return np.where(np.isfinite(limits), limits, otherwise)
