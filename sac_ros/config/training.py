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

"""Every setting of a robot, a task and a training run: its default, unit and range, once."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from sac_ros.config.base import Config, config_field
from sac_ros.errors import ConfigError
from sac_ros.spec import PolicySpec

ARM_ENV = 'arm-reach'  # the setting `env` of a simulated arm
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


@dataclass(frozen=True)
class SACConfig(Config):
    """Soft Actor-Critic; the defaults suit an arm at 50 Hz."""

    renamed: ClassVar[Mapping[str, str]] = {'actor_average': 'actor_ema_rate'}
    hidden: int = config_field(256, 'number of units in each of the two hidden layers', 8, 4096)
    learning_rate: float = config_field(
        1e-3, 'learning rate of Adam for actor, critics and temperature', 0, 1
    )
    adam_beta1: float = config_field(
        0.5, 'beta1 of Adam with normalization batch; 0.9 with any other', 0, 0.999
    )
    gamma: float = config_field(0.98, 'discount factor per action', 0, 0.99999)
    tau: float = config_field(0.005, 'update rate of the target critics', 1e-6, 1)
    batch_size: int = config_field(128, 'transitions per update', 1, 65_536)
    n_critics: int = config_field(2, 'number of critics; the target is their minimum', 1, 16)
    target_critics: int = config_field(
        0, 'size of the random subset of critics whose minimum is the target (REDQ: 2 of '
        '10); 0 for all',
        0, 16,
    )  # fmt: skip
    critic_loss: str = config_field(
        'auto', 'critic loss: squared error of scalar values, or categorical, cross-entropy of '
        'distributions (C51); auto for squared where the goal is a point, categorical '
        'elsewhere',
        choices=('auto', 'squared', 'categorical'),
    )  # fmt: skip
    n_atoms: int = config_field(51, 'number of atoms of categorical critics', 2, 1001)
    normalization: str = config_field(
        'auto', 'normalization of hidden layers: layer, critics only (DroQ), or batch, without '
        'target network (CrossQ); auto for layer where the goal is a point or with '
        'dropout, batch elsewhere',
        choices=('auto', 'none', 'layer', 'batch'),
    )  # fmt: skip
    dropout: float = config_field(0.0, 'dropout rate of the critics (DroQ: 0.01)', 0, 0.9)
    normalize_observation: bool = config_field(True, 'normalize features to mean 0 and variance 1')
    policy_delay: int = config_field(4, 'critic updates per actor update', 1, 64)
    n_step: int = config_field(
        1, 'number of rewards that are summed before the target bootstraps', 1, 64
    )
    initial_alpha: float = config_field(0.3, 'initial temperature', 1e-6, 100)
    target_entropy_scale: float = config_field(
        1.0, 'negative target entropy per joint [nat]', 0, 10
    )
    actor_ema_rate: float = config_field(
        0.005,
        'rate of the exponential moving average of the actor, which is evaluated and '
        'exported; 1 for the actor itself',
        1e-6, 1,
    )  # fmt: skip
    exploration: str = config_field(
        'white', 'exploration noise: white, pink (Eberhard 2023), gsde (Raffin 2021)',
        choices=('white', 'pink', 'gsde'),
    )  # fmt: skip
    bf16: bool = config_field(
        True,
        'round the factors of matrix products of the compiled update to bfloat16, on '
        'processors with bfloat16 instructions',
    )

    @property
    def subset(self) -> bool:
        """Whether the target takes a random subset of the critics."""
        return 0 < self.target_critics < self.n_critics

    @property
    def atoms(self) -> int:
        """Outputs of a critic that are atoms, 0 for values; once `critic_loss` is decided."""
        assert self.critic_loss != 'auto'
        return self.n_atoms if self.critic_loss == 'categorical' else 0

    def for_spec(self, spec: PolicySpec) -> SACConfig:
        """Return the settings with `auto` decided for a task.

        Args:
            spec: observation fields and joints of the task. Where the goal is a point, hindsight
                applies.
        """
        fields = {field.name for field in spec.observation}
        point = 'goal' in fields and 'goal_orientation' not in fields
        normalization, critic_loss = self.normalization, self.critic_loss
        if normalization == 'auto':
            normalization = 'layer' if point or self.dropout else 'batch'
        if critic_loss == 'auto':
            critic_loss = 'squared' if point else 'categorical'
        return dataclasses.replace(self, normalization=normalization, critic_loss=critic_loss)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dropout and self.normalization == 'batch':
            raise ConfigError(
                'dropout and batch normalization exclude each other; '
                'with dropout set normalization to layer or none'
            )


@dataclass(frozen=True)
class TrainConfig(Config):
    """One training run."""

    renamed: ClassVar[Mapping[str, str]] = {
        'hindsight': 'her_fraction',
        'continued': 'continue_episode_fraction',
        'prior': 'offline_replay',
        'prior_share': 'offline_fraction',
        'realism': 'randomization',
    }
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        'fast': {},  # the defaults
        # Soft Actor-Critic as published, with the values that its implementations share.
        'sac': {
            'learning_starts': 100,
            'gradient_steps': 1,
            'her_fraction': 0.0,
            'continue_episode_fraction': 0.0,
            'sac.learning_rate': 3e-4,
            'sac.gamma': 0.99,
            'sac.batch_size': 256,
            'sac.initial_alpha': 1.0,
            'sac.policy_delay': 1,
            'sac.n_step': 1,
            'sac.critic_loss': 'squared',
            'sac.normalization': 'none',
            'sac.normalize_observation': False,
            'sac.target_entropy_scale': 1.0,
            'sac.actor_ema_rate': 1.0,
            'sac.bf16': False,
        },
    }
    preset: str = config_field(
        'fast', 'set of defaults: fast, or sac for the values of the literature; given settings '
        'take precedence',
        choices=tuple(presets),
    )  # fmt: skip
    env: str = config_field(
        ARM_ENV, 'arm-reach, or the id of a Gymnasium environment; module:id imports the module '
        'first (docs/how-to/gymnasium.md)'
    )  # fmt: skip
    env_args: str = config_field(
        '', "arguments of the Gymnasium environment, as in 'difficulty=3 port=/dev/ttyUSB0'"
    )
    episode_steps: int = config_field(
        0, 'maximum number of actions per episode; 0 for the limit of the environment, for '
        'an arm task.episode_steps', 0, 10**9,
    )  # fmt: skip
    nan_ends_episode: bool = config_field(
        False,
        'truncate the episode instead of ending the run when a Gymnasium environment '
        'returns NaN or infinity',
    )
    separate_eval_env: bool = config_field(
        True, 'create a second environment for evaluation; if false, the training environment '
        'is evaluated between two training episodes, for example a real robot'
    )  # fmt: skip
    run_dir: str = config_field(
        'runs/arm', 'directory of the run, with replay, checkpoint and policy'
    )
    steps: int = config_field(5_000, 'total number of environment steps', 1, 10**9)
    learning_starts: int = config_field(
        500, 'steps with random actions before the first update', 1, 10**7
    )
    gradient_steps: int = config_field(4, 'critic updates per environment step', 1, 64)
    eval_every: int = config_field(1_000, 'environment steps between two evaluations', 1, 10**9)
    eval_episodes: int = config_field(20, 'episodes per evaluation during training', 1, 10_000)
    final_eval_episodes: int = config_field(100, 'episodes of the final evaluation', 1, 10_000)
    n_envs: int = config_field(
        1, 'number of simulated arms that collect in parallel, with --async', 1, 4096
    )
    seed: int = config_field(0, 'seed of all random numbers', 0, 2**31 - 1)
    compile: bool = config_field(
        True, 'compile the update; falls back to eager mode if compilation fails'
    )
    device: str = config_field('cpu', 'device of the learner', choices=('cpu', 'cuda'))
    sync_every: int = config_field(
        1_000, 'steps between two fsyncs of the replay; 0 for every step', 0, 10**9
    )
    replay_capacity: int = config_field(
        0, 'number of newest transitions to keep; 0 for all', 0, 10**12
    )
    her_fraction: float = config_field(
        0.6,
        'share of each batch whose goals are relabeled (HER), where the task supports it',
        0,
        1,
    )
    continue_episode_fraction: float = config_field(
        0.5,
        'share of training episodes of an arm that begin in the final state of the previous one',
        0,
        1,
    )
    offline_replay: str = config_field(
        '', 'replay directory of a second data source (RLPD); empty for none'
    )
    offline_fraction: float = config_field(
        0.5, 'share of each batch drawn from offline_replay', 0.01, 0.99
    )
    replay_archive: bool = config_field(
        True, 'move transitions beyond replay_capacity to replay/archive instead of deleting them'
    )
    tensorboard: bool = config_field(True, 'write a TensorBoard log into RUN_DIR/log')
    video: bool = config_field(
        True,
        'record one episode per evaluation as a video in the TensorBoard log, where '
        'rendering works',
    )
    arm: ArmConfig = dataclasses.field(default_factory=ArmConfig)
    task: TaskConfig = dataclasses.field(default_factory=TaskConfig)
    randomization: RandomizationConfig = dataclasses.field(default_factory=RandomizationConfig)
    controller: ControllerConfig = dataclasses.field(default_factory=ControllerConfig)
    sac: SACConfig = dataclasses.field(default_factory=SACConfig)
