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

"""Settings of the learner and of a training run: default, unit and range of each."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from sac_ros.config.base import Config, config_field
from sac_ros.config.robot import ArmConfig, ControllerConfig, RandomizationConfig, TaskConfig
from sac_ros.errors import ConfigError
from sac_ros.spec import PolicySpec

ARM_ENV = 'arm-reach'  # the setting `env` of a simulated arm


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
