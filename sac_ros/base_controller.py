"""Base controllers: the plain control law to whose torque the policy adds a bounded residual.

Johannink et al., 2019, "Residual Reinforcement Learning for Robot Control". The controller is a
function of the raw observation and part of the exported graph.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from sac_ros.clearance import Clearance
from sac_ros.config import ControllerConfig
from sac_ros.errors import ConfigError
from sac_ros.features import Kinematics, apply_matrices, apply_matrix, rotation_error
from sac_ros.safety import SafetyConfig
from sac_ros.spec import Chain, PolicySpec

USUAL_SPEED = math.pi  # [rad/s] for joints without a velocity limit


class Base(NamedTuple):
    """Output of a base controller, as shares of the torque limit."""

    action: Tensor  # (B, n) in [-1, 1]
    authority: Tensor  # (B, 1) largest residual

    def halves(self) -> tuple[Base, Base]:
        """Split the batch in two."""
        actions, authorities = self.action.chunk(2), self.authority.chunk(2)
        return Base(actions[0], authorities[0]), Base(actions[1], authorities[1])


def with_base(base: Base | None, residual: Tensor) -> Tensor:
    """Return clip(base + authority * residual, -1, 1), (B, n); the residual where base is None."""
    if base is None:
        return residual
    return (base.action + base.authority * residual).clamp(-1, 1)


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
    gravity: Tensor
    inertia: Tensor
    damping: Tensor
    friction: Tensor
    placement: Tensor
    slides: Tensor
    identity3: Tensor
    identity6: Tensor

    def __init__(self, spec: PolicySpec, chain: Chain, config: ControllerConfig) -> None:
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
        n, limit = spec.n_action, torch.tensor(spec.torque_limit)
        lower, upper = torch.tensor(spec.position_lower), torch.tensor(spec.position_upper)
        margin = torch.clamp(0.25 * (upper - lower), max=SafetyConfig().position_margin)
        speed = torch.tensor(spec.velocity_limit)
        speed = torch.where(torch.isfinite(speed), speed, torch.full((n,), USUAL_SPEED))
        limited = torch.isfinite(lower) & torch.isfinite(upper)
        values = {
            'limit': limit,
            'lower': torch.where(limited, lower + margin, torch.full((n,), -1e6)),
            'upper': torch.where(limited, upper - margin, torch.full((n,), 1e6)),
            'middle': torch.where(limited, (lower + upper) / 2, torch.zeros(n)),
            'half_range': torch.where(limited, (upper - lower) / 2, torch.full((n,), 1e6)),
            'speed': config.speed * speed,
            'mass': torch.tensor(dynamics.mass[1:], dtype=torch.float32),
            'center': torch.tensor(dynamics.center[1:], dtype=torch.float32),
            'gravity': torch.tensor(dynamics.gravity, dtype=torch.float32),
            'inertia': torch.tensor(dynamics.inertia, dtype=torch.float32),
            'damping': torch.tensor(dynamics.damping, dtype=torch.float32),
            'friction': torch.tensor(dynamics.friction, dtype=torch.float32),
            'placement': torch.eye(n)[:, chain.joint.tolist()],  # (n, c)
            'slides': torch.tensor(chain.prismatic),
            'identity3': torch.eye(3),
            'identity6': torch.eye(6),
        }
        for name, value in values.items():
            self.register_buffer(name, value)
        self.clearance = None
        if chain.collision is not None:
            self.clearance = Clearance(chain, chain.collision, n)

    def forward(self, observation: Tensor, place: Kinematics) -> Base:
        """Map raw observations (B, n_obs) and their kinematics to the controller's output."""
        velocity = observation[:, self.slices['joint_velocity']]
        torque = torch.zeros_like(velocity)
        authority = torch.ones_like(velocity[:, :1])
        name = self.config.name
        if self.has_goal and name != 'gravity':
            error, size = self._error(observation, place)
            law = self._impedance if name == 'impedance' else self._resolved_rate
            torque = law(observation, place, error)
            far = torch.tanh(size / self.config.residual_distance)
            near = self.config.residual_at_goal
            authority = near + (self.config.residual - near) * far
        if not self.gravity_compensated:
            torque = torque + self._gravity(place)
        return Base((torque / self.limit).clamp(-1, 1), authority)

    def _error(self, observation: Tensor, place: Kinematics) -> tuple[Tensor, Tensor]:
        """Return the error (B, 3 or 6) [m, rad] and its size (B, 1) [m]."""
        error = observation[:, self.slices['goal']] - place.tip
        size = (error.square().sum(1, keepdim=True) + 1e-12).sqrt()
        if 'goal_orientation' in self.slices:
            turn = rotation_error(observation[:, self.slices['goal_orientation']], place)
            angle = (turn.square().sum(1, keepdim=True) + 1e-12).sqrt()
            return torch.cat((error, turn), dim=1), size + 0.1 * angle
        return error, size

    def _resolved_rate(self, observation: Tensor, place: Kinematics, error: Tensor) -> Tensor:
        position = observation[:, self.slices['joint_position']]
        velocity = observation[:, self.slices['joint_velocity']]
        config = self.config
        wanted = config.position_gain * error
        if 'goal_velocity' in self.slices:
            wanted = wanted + observation[:, self.slices['goal_velocity']]
        jacobian = place.jacobian
        if error.shape[1] == 6:
            jacobian = torch.cat((jacobian, place.turning), dim=1)
        share = ((position - self.middle) / self.half_range).clamp(-1, 1)
        z = -config.centering * self.speed * share**3
        low = -(config.braking * (position - self.lower)).clamp(min=0)
        high = (config.braking * (self.upper - position)).clamp(min=0)
        free = torch.ones_like(position)
        away, least = torch.zeros_like(position), torch.full_like(position[:, :1], -1e6)
        if self.clearance is not None:
            gap, away = self.clearance(place)
            # The gap may not shrink faster than in proportion to what is left of it.
            least = -config.braking * (gap - config.clearance)
            z = z + config.repulsion * (config.clearance_range - gap).clamp(min=0) * away
        rate, direction = z, torch.zeros_like(position)
        for _ in range(config.passes):
            part = jacobian * free[:, None]
            part = part - apply_matrix(part, direction)[:, :, None] * direction[:, None]
            rest = wanted - apply_matrix(jacobian, rate)
            rate = rate + apply_matrix(part.transpose(1, 2), self._damped_solve(part, rest))
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
        feedback = self.inertia * config.velocity_gain * (rate - velocity)
        friction = config.friction * self.friction * torch.tanh(rate / config.friction_speed)
        return feedback + self.damping * rate + friction

    def _damped_solve(self, jacobian: Tensor, wanted: Tensor) -> Tensor:
        """Return (J J^T + lambda^2 I)^-1 v, (B, m), by Gauss-Jordan elimination."""
        size = jacobian.shape[1]
        identity = self.identity3 if size == 3 else self.identity6
        square = jacobian @ jacobian.transpose(1, 2) + self.config.ik_damping**2 * identity
        system = torch.cat((square, wanted[:, :, None]), dim=2)  # (B, m, m+1)
        for i in range(size):
            pivot = system[:, i : i + 1] / system[:, i : i + 1, i : i + 1]
            column = system[:, :, i : i + 1] - identity[:, i : i + 1]
            system = system - column * pivot
        return system[:, :, size]

    def _impedance(self, observation: Tensor, place: Kinematics, error: Tensor) -> Tensor:
        velocity = observation[:, self.slices['joint_velocity']]
        config = self.config
        reach = 0.2 * torch.tanh(error[:, :3] / 0.2)
        force = config.stiffness * reach
        torque = apply_matrix(place.jacobian.transpose(1, 2), force)
        if error.shape[1] == 6:
            moment = 0.1 * config.stiffness * torch.tanh(error[:, 3:])
            torque = torque + apply_matrix(place.turning.transpose(1, 2), moment)
        return torque - self.inertia * config.velocity_gain * velocity

    def _gravity(self, place: Kinematics) -> Tensor:
        """Return the torque (B, n) [N·m] that holds the links against gravity."""
        centers = place.origins + apply_matrices(place.links, self.center)  # (B, c, 3)
        weight = self.mass[:, None]
        mass = self.mass.flip(0).cumsum(0).flip(0)  # (c,) of the joint's link and all beyond
        moment = (weight * centers).flip(1).cumsum(1).flip(1)  # (B, c, 3)
        lever = moment - mass[:, None] * place.origins
        turned = torch.linalg.cross(place.axes, lever)
        slid = mass[:, None] * place.axes
        columns = torch.where(self.slides[:, None], slid, turned)  # (B, c, 3)
        return apply_matrix(-columns, self.gravity.expand(columns.shape[0], 3)) @ self.placement.T


def make_controller(
    spec: PolicySpec, chain: Chain | None, config: ControllerConfig
) -> BaseController | None:
    """Return the base controller of a configuration; None for the policy alone, or without arm."""
    if chain is None or config.name == 'none':
        return None
    return BaseController(spec, chain, config)
