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

"""Settings of the robot, its task, its base controller and domain randomization."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from sac_ros.config.base import Config, config_field
from sac_ros.errors import ConfigError

LAUNCH_ARGUMENTS = {  # of the launch files, by the setting that they stand for
    **{
        f'arm.{name}': name
        for name in ('model', 'joints', 'tip', 'xacro_args', 'torque_limits', 'velocity_limits')
    },
    'randomization.preset': 'randomization',
}


@dataclass(frozen=True)
class ArmConfig(Config):
    """The simulated robot."""

    model: str = config_field(
        '', 'URDF, xacro or MJCF file of the arm; empty for the arm of the package'
    )
    joints: str = config_field(
        '',
        'joints to actuate: names or patterns with *, separated by commas; empty for all '
        'except those of a gripper',
    )
    tip: str = config_field(
        '', 'body or site at the tip; empty for tool0, *tcp*, an end effector or a flange at '
        'the end of the chain, else its last body'
    )  # fmt: skip
    torque_limits: str = config_field(
        '', 'torque limits that replace those of the file, as in joint*=20,wrist=3.5 [N·m]'
    )
    velocity_limits: str = config_field(
        '', 'velocity limits that replace those of the file, as in joint*=4,wrist=6 [rad/s]'
    )
    xacro_args: str = config_field(
        '', 'arguments of a .xacro file, as in prefix:=left_ gripper:=true'
    )
    table: str = config_field(
        '', 'height of the table in the base frame [m], or none; empty for the table of the '
        'file, else 0, the mounting plane'
    )  # fmt: skip
    control_period: float = config_field(0.02, 'period between two actions [s]', 0.001, 1.0)
    state_period: float = config_field(
        0.002, 'period between two joint states [s]; the guards check each of them', 1e-4, 0.1
    )
    timestep: float = config_field(0.002, 'time step of the physics [s]', 1e-4, 0.02)
    gravity_compensation: bool = config_field(
        True, 'the robot adds the gravity torque to the command'
    )


@dataclass(frozen=True)
class TaskConfig(Config):
    """Task settings."""

    name: str = config_field(
        'reach-point',
        'reach-point, reach-pose, track-point, or path.py:MyTask (docs/tutorials/own_task.md)',
    )
    episode_steps: int = config_field(125, 'number of actions per episode', 1, 100_000)
    success_radius: float = config_field(
        0.02, 'largest distance of the tip from the goal that counts as success [m]', 1e-4, 10
    )
    success_angle: float = config_field(
        0.26,
        'largest angle between tip and goal orientation that counts as success [rad]',
        1e-3,
        4,
    )
    goal_speed: float = config_field(0.2, 'largest speed of a moving goal [m/s]', 0, 10)
    action_cost: float = config_field(0.0, 'penalty on the mean squared action', 0, 10)
    smoothness_cost: float = config_field(
        0.0, 'penalty on the mean squared change of the action', 0, 10
    )
    workspace: str = config_field(
        '', 'box in the base frame in which goals are drawn: x_min x_max y_min y_max z_min '
        'z_max [m]; empty for the whole reach of the arm'
    )  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        self.workspace_box()

    def workspace_box(self) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
        """Return the lower and the upper corner of the workspace [m]; None without one.

        Raises:
            ConfigError: the text is not six numbers, or a lower bound is not below its upper one.
        """
        if not self.workspace.strip():
            return None
        try:
            bounds = tuple(float(word) for word in self.workspace.replace(',', ' ').split())
        except ValueError:
            bounds = ()
        lower, upper = bounds[::2], bounds[1::2]
        if len(bounds) != 6 or not all(a < b for a, b in zip(lower, upper, strict=True)):
            raise ConfigError(
                f'task.workspace is {self.workspace!r}; give six numbers in m, x_min x_max y_min '
                f'y_max z_min z_max, each minimum below its maximum'
            )
        return lower, upper


@dataclass(frozen=True)
class RandomizationConfig(Config):
    """Domain-randomization ranges, resampled every episode."""

    renamed: ClassVar[Mapping[str, str]] = {'dropped': 'command_loss_probability'}
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        'none': {},
        'sim2real': {
            'action_latency': 0.5,
            'observation_delay': 0.5,
            'position_noise': 0.001,
            'velocity_noise': 0.02,
            'torque_error': 0.1,
            'friction_error': 0.3,
            'payload': 0.1,
            'command_loss_probability': 0.01,
        },
    }
    preset: str = config_field(
        'none', 'set of ranges; given settings take precedence, 0 disables one',
        choices=tuple(presets),
    )  # fmt: skip
    action_latency: float = config_field(0.0, 'largest delay of commands [control periods]', 0, 10)
    observation_delay: float = config_field(
        0.0, 'largest delay of joint states [control periods]', 0, 10
    )
    position_noise: float = config_field(
        0.0, 'standard deviation of the position noise [rad]', 0, 1
    )
    velocity_noise: float = config_field(
        0.0, 'standard deviation of the velocity noise [rad/s]', 0, 10
    )
    torque_error: float = config_field(0.0, 'largest relative error of a torque constant', 0, 0.9)
    friction_error: float = config_field(0.0, 'largest relative error of joint friction', 0, 1)
    payload: float = config_field(0.0, 'largest unknown mass at the tip [kg]', 0, 100)
    command_loss_probability: float = config_field(
        0.0, 'probability that a command is lost', 0, 0.99
    )

    @property
    def enabled(self) -> bool:
        """Whether any range is not zero."""
        return dataclasses.replace(self, preset='none') != RandomizationConfig()


@dataclass(frozen=True)
class ControllerConfig(Config):
    """Base controller, to which the policy adds a residual torque."""

    name: str = config_field(
        'ik-pd', 'base controller: none (the policy alone), gravity, impedance, or ik-pd '
        '(docs/explanation/base_controller.md)',
        choices=('none', 'gravity', 'impedance', 'ik-pd'),
    )  # fmt: skip
    residual: float = config_field(
        0.25, 'largest residual far from the goal, as a share of the torque limit', 0, 2
    )
    residual_at_goal: float = config_field(
        0.0, 'largest residual at the goal, as a share of the torque limit', 0, 2
    )
    residual_distance: float = config_field(
        0.1, 'distance over which the residual shrinks towards the goal [m]', 1e-3, 10
    )
    position_gain: float = config_field(
        10.0, 'ik-pd: tip velocity per distance from the goal [1/s]', 0, 100
    )
    velocity_gain: float = config_field(
        15.0, 'joint acceleration per velocity error [1/s]', 0, 1000
    )
    speed: float = config_field(0.85, 'ik-pd: usable share of the velocity limit', 0.01, 1)
    ik_damping: float = config_field(
        0.05, 'ik-pd: damping of the least-squares solution [m]', 1e-4, 1
    )
    arc_radius: float = config_field(
        0.05,
        'ik-pd: distance from the axis of the first joint below which the path is straight [m]',
        1e-3,
        10,
    )
    centering: float = config_field(
        0.3, 'ik-pd: velocity away from joint limits, as a share of the velocity limit', 0, 1
    )
    braking: float = config_field(
        4.0, 'ik-pd: allowed speed per distance from a joint limit [1/s]', 0.1, 100
    )
    passes: int = config_field(
        2,
        'ik-pd: number of solutions, each without the joints that the previous one blocked',
        1,
        8,
    )
    clearance: float = config_field(
        0.0, 'ik-pd: minimum distance between links, and from the table [m]', 0, 1
    )
    clearance_range: float = config_field(
        0.1, 'ik-pd: distance below which links repel each other [m]', 0, 1
    )
    repulsion: float = config_field(
        20.0, 'ik-pd: gain of the repulsion below clearance_range [rad²/(s·m²)]', 0, 1000
    )
    friction: float = config_field(
        0.7, 'ik-pd: compensated share of the known Coulomb friction', 0, 2
    )
    friction_speed: float = config_field(
        0.02, 'ik-pd: joint speed at which friction compensation saturates [rad/s]', 1e-4, 10
    )
    stiffness: float = config_field(
        200.0, 'impedance: force per distance from the goal [N/m]', 0, 1e5
    )
