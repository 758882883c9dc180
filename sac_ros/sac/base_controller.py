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

"""Base controllers: the plain control law to whose torque the policy adds a bounded residual.

Johannink et al., 2019, "Residual Reinforcement Learning for Robot Control". The controller is a
function of the raw observation and part of the exported graph.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from sac_ros.config.robot import ControllerConfig
from sac_ros.deploy.safety_filter import SafetyConfig
from sac_ros.errors import ConfigError
from sac_ros.sac.clearance import Clearance
from sac_ros.sac.forward_kinematics import (
    SQUARE,
    TipKinematics,
    apply_matrix,
    apply_transposed,
    rotation_error,
)
from sac_ros.spec import PolicySpec
from sac_ros.types import BarredInterval, KinematicChain

FAR = 1e6  # [rad or m] where there is no limit
USUAL_SPEED = math.pi  # [rad/s] for joints without a velocity limit


class Base(NamedTuple):
    """Output of a base controller, as shares of the torque limit."""

    action: Tensor  # (B, n) in [-1, 1]
    authority: Tensor  # (B, 1) largest residual
    share: Tensor  # (B, 1) the authority as a share of the largest that the controller gives

    def halves(self) -> tuple[Base, Base]:
        """Split the batch in two."""
        first, second = zip(*(part.chunk(2) for part in self), strict=True)
        return Base(*first), Base(*second)


def with_base(base: Base | None, residual: Tensor) -> Tensor:
    """Return clip(base + authority * residual, -1, 1), (B, n); the residual where base is None."""
    if base is None:
        return residual
    return (base.action + base.authority * residual).clamp(-1, 1)


def entropy_weight(base: Base | None, like: Tensor) -> Tensor:
    """Return the weight (B,) of the entropy at each observation: the share of the authority.

    Where the residual vanishes it is free to be random. Counted in full, the entropy there would
    satisfy the target for the whole batch and drive the temperature to zero everywhere else.
    """
    return torch.ones_like(like) if base is None else base.share[:, 0]


class BaseController(nn.Module):
    """Torque of a plain controller, and how much the policy may add to it.

    `gravity`: tau = g(q), nothing where the robot compensates gravity itself.
    `impedance`: tau = J^T (K e) - D qd + g(q).
    `ik-pd`: resolved-rate inverse kinematics with velocity feedback in joint space (Whitney, 1969;
    damped least squares: Nakamura and Hanafusa, 1986):

        qd* = J^T (J J^T + lambda^2 I)^-1 (k_p e - J z) + z
        tau = M k_v (qd* - qd) + D qd* + F tanh(qd* / v_0) + g(q)

    with the mean inertia M, damping D and Coulomb friction F of each joint; z moves joints away
    from their limits without moving the tip. qd* is scaled to the velocity limits and reduced
    near position limits as the safety filter does.
    """

    limit: Tensor
    lower: Tensor
    upper: Tensor
    middle: Tensor
    half_range: Tensor
    speed: Tensor
    mass: Tensor
    center: Tensor
    weight: Tensor
    inertia: Tensor
    damping: Tensor
    friction: Tensor
    placement: Tensor
    beyond: Tensor
    base_origin: Tensor
    across: Tensor
    turn_left: Tensor
    identity3: Tensor
    identity6: Tensor
    barred_lower: Tensor
    barred_upper: Tensor
    k_residual: Tensor
    k_residual_at_goal: Tensor
    k_residual_distance: Tensor
    k_position_gain: Tensor
    k_velocity_gain: Tensor
    k_ik_damping: Tensor
    k_centering: Tensor
    k_braking: Tensor
    k_clearance: Tensor
    k_clearance_range: Tensor
    k_repulsion: Tensor
    k_friction: Tensor
    k_friction_speed: Tensor
    k_stiffness: Tensor
    k_arc_radius: Tensor

    def __init__(self, spec: PolicySpec, chain: KinematicChain, config: ControllerConfig) -> None:
        """Take the constants of an arm.

        Raises:
            ConfigError: the chain lacks the dynamics.
        """
        super().__init__()
        dynamics = chain.dynamics
        if dynamics is None:
            raise ConfigError('a base controller needs the dynamics of the arm')
        self.config, self.slices = config, spec.slices()
        self.gravity_compensated = spec.gravity_compensated
        self.has_goal = 'goal' in self.slices
        self.largest = 1.0
        if self.has_goal and config.name != 'gravity':
            self.largest = max(config.residual, config.residual_at_goal, 1e-6)
        n, limit = spec.n_action, torch.tensor(spec.torque_limit)
        lower, upper = torch.tensor(spec.position_lower), torch.tensor(spec.position_upper)
        margin = torch.clamp(0.25 * (upper - lower), max=SafetyConfig().position_margin)
        speed = torch.tensor(spec.velocity_limit)
        speed = torch.where(torch.isfinite(speed), speed, torch.full((n,), USUAL_SPEED))
        limited = torch.isfinite(lower) & torch.isfinite(upper)
        center = np.pad(dynamics.center[1:], ((0, 0), (0, 1)), constant_values=1)[:, :, None]
        weight = np.zeros((4, 6))  # from a point (x, y, z, 1) to moment and force of gravity there
        weight[:3, :3], weight[3, 3:] = np.cross(np.eye(3), dynamics.gravity), dynamics.gravity
        axis = chain.rotation[0] @ chain.axis[0]  # of the first joint, in the base frame
        values = {
            'limit': limit,
            'lower': torch.where(limited, lower + margin, torch.full((n,), -FAR)),
            'upper': torch.where(limited, upper - margin, torch.full((n,), FAR)),
            'middle': torch.where(limited, (lower + upper) / 2, torch.zeros(n)),
            'half_range': torch.where(limited, (upper - lower) / 2, torch.full((n,), FAR)),
            'speed': config.speed * speed,
            'mass': torch.tensor(dynamics.mass[1:, None], dtype=torch.float32),  # (c, 1)
            'center': torch.tensor(center, dtype=torch.float32),  # (c, 4, 1)
            'beyond': torch.ones(len(center), len(center)).triu(),  # links that a joint carries
            'weight': torch.tensor(weight, dtype=torch.float32),
            'inertia': torch.tensor(dynamics.inertia, dtype=torch.float32),
            'damping': torch.tensor(dynamics.damping, dtype=torch.float32),
            'friction': torch.tensor(dynamics.friction, dtype=torch.float32),
            'placement': torch.tensor(chain.placement(n), dtype=torch.float32),  # (n, c)
            'base_origin': torch.tensor(chain.translation[0], dtype=torch.float32),
            'across': torch.tensor(np.eye(3) - np.outer(axis, axis), dtype=torch.float32),
            'turn_left': torch.tensor(np.cross(axis, np.eye(3)), dtype=torch.float32),
            'identity3': torch.eye(3),
            'identity6': torch.eye(6),
        }
        for name, value in values.items():
            self.register_buffer(name, value)
        # As buffers the gains are the same numbers in torch and in the exported graph.
        for name, gain in dataclasses.asdict(config).items():
            if isinstance(gain, float):
                self.register_buffer(f'k_{name}', torch.tensor(gain))
        for name, value in _barred(chain.barred, n).items():
            self.register_buffer(name, value)
        self.first = int(chain.joint[0])
        self.turns = not chain.prismatic[0] and bool(chain.ratio[0] == 1)
        self.clearance = None
        if chain.collision is not None:
            self.clearance = Clearance(chain, chain.collision, n)

    def forward(self, observation: Tensor, place: TipKinematics) -> Base:
        """Map raw observations (B, n_obs) and their kinematics to the controller's output."""
        velocity = observation[:, self.slices['joint_velocity']]
        torque = torch.zeros_like(velocity)
        authority = self.largest * torch.ones_like(velocity[:, :1])
        name = self.config.name
        if self.has_goal and name != 'gravity':
            error, size = self._error(observation, place)
            law = self._impedance if name == 'impedance' else self._resolved_rate
            torque = law(observation, place, error)
            far = torch.tanh(size / self.k_residual_distance)
            near = self.k_residual_at_goal
            authority = near + (self.k_residual - near) * far
        if not self.gravity_compensated:
            torque = torque + self._gravity(place)
        share = authority / self.largest
        return Base((torque / self.limit).clamp(-1, 1), authority, share)

    def _error(self, observation: Tensor, place: TipKinematics) -> tuple[Tensor, Tensor]:
        """Return the error (B, 3 or 6) [m, rad] and its size (B, 1) [m]."""
        error = observation[:, self.slices['goal']] - place.tip
        size = (error.square().sum(1, keepdim=True) + SQUARE).sqrt()
        if 'goal_orientation' in self.slices:
            turn = rotation_error(observation[:, self.slices['goal_orientation']], place)
            angle = (turn.square().sum(1, keepdim=True) + SQUARE).sqrt()
            return torch.cat((error, turn), dim=1), size + 0.1 * angle
        return error, size

    def _resolved_rate(self, observation: Tensor, place: TipKinematics, error: Tensor) -> Tensor:
        position = observation[:, self.slices['joint_position']]
        velocity = observation[:, self.slices['joint_velocity']]
        if self.turns:
            error = torch.cat((self._arc(position, place, error[:, :3]), error[:, 3:]), dim=1)
        wanted = self.k_position_gain * error
        if 'goal_velocity' in self.slices:
            wanted = wanted + observation[:, self.slices['goal_velocity']]
        jacobian_t = place.jacobian_t  # (B, n, m)
        if error.shape[1] == 6:
            jacobian_t = torch.cat((jacobian_t, place.turning_t), dim=2)
        share = ((position - self.middle) / self.half_range).clamp(-1, 1)
        z = -self.k_centering * self.speed * share**3
        low, high = self._rate_limits(position)
        away, least = torch.zeros_like(position), torch.full_like(position[:, :1], -1e6)
        if self.clearance is not None:
            gap, away = self.clearance(place)
            # The gap may not shrink faster than in proportion to what is left of it.
            least = -self.k_braking * (gap - self.k_clearance)
            z = z + self.k_repulsion * (self.k_clearance_range - gap).clamp(min=0) * away
        rate, part, free, direction = z, jacobian_t, torch.ones_like(z), torch.zeros_like(z)
        for i in range(self.config.passes):
            if i > 0:  # blocked joints and the direction of collision are taken out
                part = jacobian_t * free.unsqueeze(2)
                along = apply_transposed(part, direction).unsqueeze(1)
                part = part - direction.unsqueeze(2) * along
            rest = wanted - apply_transposed(jacobian_t, rate)
            rate = rate + apply_matrix(part, self._damped_solve(part, rest))
            over = (rate / self.speed).abs().amax(1, keepdim=True).clamp(min=1)
            rate, wanted = rate / over, wanted / over
            blocked = (rate < low) | (rate > high)
            free = free * (~blocked).to(free.dtype)
            rate = torch.maximum(torch.minimum(rate, high), low)
            lacking = (least - (away * rate).sum(1, keepdim=True)).clamp(min=0)
            slope = away.square().sum(1, keepdim=True) + 1e-4
            rate = rate + lacking / slope * away
            direction = torch.where(lacking > 0, away / slope.sqrt(), direction)
        low, high = torch.maximum(low, -self.speed), torch.minimum(high, self.speed)
        rate = torch.maximum(torch.minimum(rate, high), low)
        feedback = self.inertia * self.k_velocity_gain * (rate - velocity)
        friction = self.k_friction * self.friction * torch.tanh(rate / self.k_friction_speed)
        return feedback + self.damping * rate + friction

    def _rate_limits(self, position: Tensor) -> tuple[Tensor, Tensor]:
        """Return the least and the greatest rate (B, n) that position limits allow.

        Inside a barred interval the joint has to leave it, by the nearer end.
        """
        low = -(self.k_braking * (position - self.lower)).clamp(min=0)
        high = (self.k_braking * (self.upper - position)).clamp(min=0)
        if self.barred_lower.shape[1]:
            below = position[:, :, None] < (self.barred_lower + self.barred_upper) / 2  # (B, n, k)
            upper = torch.where(below, self.barred_lower, FAR).amin(2)
            lower = torch.where(below, -FAR, self.barred_upper).amax(2)
            low = torch.maximum(low, self.k_braking * (lower - position))
            high = torch.minimum(high, self.k_braking * (upper - position))
        return low, high

    def _arc(self, position: Tensor, place: TipKinematics, error: Tensor) -> Tensor:
        """Return the error (B, 3) [m] along an arc about the first joint's axis.

        The arc is the way round that the first joint's limits allow, and it leads around the
        base instead of through it. Close to the axis, where it is not defined, the error stays.
        """
        arm = (place.tip - self.base_origin) @ self.across  # (B, 3) from the axis to the tip
        along = error - error @ self.across
        goal = arm + error - along  # (B, 3) from the axis to the goal
        radius = (arm.square().sum(1, keepdim=True) + SQUARE).sqrt()
        far = (goal.square().sum(1, keepdim=True) + SQUARE).sqrt()
        outward = arm / radius
        sideward = outward @ self.turn_left
        sine = (goal * sideward).sum(1, keepdim=True)
        cosine = (goal * outward).sum(1, keepdim=True)
        angle = self._way(_atan2(sine, cosine), position, self.first)  # (B, 1) [rad]
        arc = (far - radius) * outward + angle * radius * sideward + along
        least = self.k_arc_radius**2
        share = radius.square() * far.square()
        share = share / ((radius.square() + least) * (far.square() + least))
        bent: Tensor = share * arc + (1 - share) * error
        return bent

    def _way(self, angle: Tensor, position: Tensor, joint: int) -> Tensor:
        """Return the cheaper way (B, 1) [rad] of a joint to turn by an angle (B, 1) [rad].

        It costs its size, and most of all what it exceeds the limits by. Of two turns of half a
        circle the one that ends nearer to the middle is cheaper.
        """
        other = angle - 2 * math.pi * torch.sign(angle)
        start, upper, lower = position[:, joint, None], self.upper[joint], self.lower[joint]
        costs = []
        for way in (angle, other):
            end = start + way
            beyond = (end - upper).clamp(min=0) + (lower - end).clamp(min=0)
            costs.append(way.abs() + 100 * beyond + 0.05 * (end - self.middle[joint] - 0.1).abs())
        return torch.where(costs[1] < costs[0], other, angle)

    def _damped_solve(self, jacobian_t: Tensor, wanted: Tensor) -> Tensor:
        """Return (J J^T + lambda^2 I)^-1 v, (B, m), by Gauss-Jordan elimination."""
        size = jacobian_t.shape[2]
        identity = self.identity3 if size == 3 else self.identity6
        square = (jacobian_t.unsqueeze(3) * jacobian_t.unsqueeze(2)).sum(1)
        square = square + self.k_ik_damping**2 * identity
        system = torch.cat((square, wanted.unsqueeze(2)), dim=2)  # (B, m, m+1)
        for i in range(size):
            pivot = system[:, i : i + 1] / system[:, i : i + 1, i : i + 1]
            column = system[:, :, i : i + 1] - identity[:, i : i + 1]
            system = system - column * pivot
        return system[:, :, size]

    def _impedance(self, observation: Tensor, place: TipKinematics, error: Tensor) -> Tensor:
        velocity = observation[:, self.slices['joint_velocity']]
        reach = 0.2 * torch.tanh(error[:, :3] / 0.2)
        force = self.k_stiffness * reach
        torque = apply_matrix(place.jacobian_t, force)
        if error.shape[1] == 6:
            moment = 0.1 * self.k_stiffness * torch.tanh(error[:, 3:])
            torque = torque + apply_matrix(place.turning_t, moment)
        return torque - self.inertia * self.k_velocity_gain * velocity

    def _gravity(self, place: TipKinematics) -> Tensor:
        """Return the torque (B, n) [N·m] that holds the links against gravity."""
        centers = (place.frames @ self.center)[:, :, :, 0]  # (B, c, 4)
        wrench = self.beyond @ (self.mass * centers @ self.weight)  # (B, c, 6)
        torque: Tensor = -(place.screws * wrench).sum(2) @ self.placement.T
        return torque


def _atan2(sine: Tensor, cosine: Tensor) -> Tensor:
    """Return the angle [rad], zero where both are.

    Twice the arctangent of half the angle, in float32: ONNX Runtime has none of float64.
    """
    length = (sine.square() + cosine.square() + SQUARE**2).sqrt()
    half = torch.where(cosine >= 0, sine / (length + cosine), (length - cosine) / sine)
    return 2 * torch.atan(half.float()).to(sine.dtype)


def _barred(intervals: Sequence[BarredInterval], n: int) -> dict[str, Tensor]:
    """Return the ends of barred intervals, (n, k) each, filled up with intervals far away."""
    counts = [sum(interval.joint == joint for interval in intervals) for joint in range(n)]
    lower, upper = torch.full((2, n, max(counts)), FAR)
    for joint in range(n):
        own = [interval for interval in intervals if interval.joint == joint]
        for i, interval in enumerate(own):
            lower[joint, i], upper[joint, i] = interval.lower, interval.upper
    return {'barred_lower': lower, 'barred_upper': upper}


def make_controller(
    spec: PolicySpec, chain: KinematicChain | None, config: ControllerConfig
) -> BaseController | None:
    """Return the base controller of a configuration; None for the policy alone, or without arm."""
    if chain is None or config.name == 'none':
        return None
    return BaseController(spec, chain, config)
