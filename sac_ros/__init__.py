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

"""Soft Actor-Critic for torque-controlled arms: learn, keep every sample, export, drive.

The names below are imported on first use, so that each needs only its own dependencies: the
replay numpy, a deployed policy ONNX Runtime, training torch and MuJoCo.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sac_ros.config.robot import ArmConfig, ControllerConfig, RandomizationConfig, TaskConfig
    from sac_ros.config.training import SACConfig, TrainConfig
    from sac_ros.deploy.onnx_policy import OnnxPolicy
    from sac_ros.deploy.policy_controller import Command, PolicyController
    from sac_ros.deploy.safety_filter import SafetyConfig
    from sac_ros.deploy.supervisor import State, SupervisorConfig
    from sac_ros.envs.arm_env import ArmEnv
    from sac_ros.errors import SacRosError
    from sac_ros.replay.format import DataSource
    from sac_ros.replay.reader import ReplayReader
    from sac_ros.replay.sampling import MixedSampler, SourceSampler
    from sac_ros.replay.writer import ReplayWriter
    from sac_ros.report.run import open_run
    from sac_ros.robot.loader import Robot, load_robot
    from sac_ros.sac.sac import SAC
    from sac_ros.sim.arm import SimArm
    from sac_ros.spec import ObservationField, PolicySpec
    from sac_ros.tasks.task import StepResult, Task, closeness
    from sac_ros.training.collector import Collector
    from sac_ros.training.learner import Learner
    from sac_ros.training.trainer import Trainer
    from sac_ros.types import Transition

__version__ = '0.2.0'
__all__ = [
    'SAC',
    'ArmConfig',
    'ArmEnv',
    'Collector',
    'Command',
    'ControllerConfig',
    'DataSource',
    'Learner',
    'MixedSampler',
    'ObservationField',
    'OnnxPolicy',
    'PolicyController',
    'PolicySpec',
    'RandomizationConfig',
    'ReplayReader',
    'ReplayWriter',
    'Robot',
    'SACConfig',
    'SacRosError',
    'SafetyConfig',
    'SimArm',
    'SourceSampler',
    'State',
    'StepResult',
    'SupervisorConfig',
    'Task',
    'TaskConfig',
    'TrainConfig',
    'Trainer',
    'Transition',
    'closeness',
    'load_robot',
    'open_run',
]

_MODULES = {
    'config.robot': ('ArmConfig', 'ControllerConfig', 'RandomizationConfig', 'TaskConfig'),
    'config.training': ('SACConfig', 'TrainConfig'),
    'deploy.onnx_policy': ('OnnxPolicy',),
    'deploy.policy_controller': ('Command', 'PolicyController'),
    'deploy.safety_filter': ('SafetyConfig',),
    'deploy.supervisor': ('State', 'SupervisorConfig'),
    'envs.arm_env': ('ArmEnv',),
    'errors': ('SacRosError',),
    'replay.format': ('DataSource',),
    'replay.reader': ('ReplayReader',),
    'replay.sampling': ('MixedSampler', 'SourceSampler'),
    'replay.writer': ('ReplayWriter',),
    'report.run': ('open_run',),
    'robot.loader': ('Robot', 'load_robot'),
    'sac.sac': ('SAC',),
    'sim.arm': ('SimArm',),
    'spec': ('ObservationField', 'PolicySpec'),
    'tasks.task': ('StepResult', 'Task', 'closeness'),
    'types': ('Transition',),
    'training.collector': ('Collector',),
    'training.learner': ('Learner',),
    'training.trainer': ('Trainer',),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import a public name.

    Raises:
        ImportError: what it needs is not installed; the message names the extra to install.
    """
    if name not in _MODULE_OF:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    try:
        module = importlib.import_module(f'{__name__}.{_MODULE_OF[name]}')
    except ModuleNotFoundError as error:
        from sac_ros.errors import install_hint

        raise ImportError(f'{__name__}.{name}: {install_hint(error)}') from error
    value = globals()[name] = getattr(module, name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
