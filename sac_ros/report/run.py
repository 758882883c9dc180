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

"""A run directory as the report reads it; nothing is written, and any file may be missing."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import gymnasium
import torch

from sac_ros.config.training import TrainConfig
from sac_ros.envs.arm_env import make_env_bundle
from sac_ros.errors import CheckpointError, ConfigError, SacRosError
from sac_ros.filesystem import read_json_lines
from sac_ros.replay import ReplayReader
from sac_ros.sac.base_controller import make_controller
from sac_ros.sac.sac import SAC
from sac_ros.sac.state import LearnerState
from sac_ros.spec import PolicySpec
from sac_ros.training.checkpoint import config_of, load_checkpoint, load_notes
from sac_ros.training.tensorboard import Scalars, read_scalars

Read = TypeVar('Read')


class Learner(NamedTuple):
    """The networks of a run, and the environment that they are for."""

    config: TrainConfig
    env: gymnasium.Env[Any, Any]
    spec: PolicySpec
    sac: SAC
    state: LearnerState


@dataclass
class Run:
    """Everything that is known of a run; None, or empty, where a file is missing."""

    path: Path
    name: str
    config: TrainConfig | None = None
    notes: dict[str, Any] = field(default_factory=dict)  # of the checkpoint
    learner: Learner | None = None  # of `learner_file`
    learner_file: str = ''
    step: int = 0  # environment step of that learner
    evaluations: list[dict[str, Any]] = field(default_factory=list)
    acceptance: dict[str, Any] | None = None
    scalars: Scalars = field(default_factory=dict)
    replay: ReplayReader | None = None
    missing: list[str] = field(default_factory=list)  # one line for each file that has no use

    def need_learner(self) -> Learner:
        """Return the learner.

        Raises:
            CheckpointError: the run has no checkpoint that can be used.
        """
        if self.learner is None:
            raise CheckpointError('this needs the checkpoint of the run, which cannot be used')
        return self.learner


def open_run(path: Path) -> Run:
    """Read a run directory, leaving out and naming what cannot be read.

    Raises:
        ConfigError: there is no such directory, or it is not that of a run.
    """
    if not path.is_dir():
        raise ConfigError(f'{path} is no directory; give the directory of a run (--run_dir)')
    run = Run(path, path.resolve().name)
    run.evaluations = read_json_lines(path / 'evaluations.jsonl')
    if not run.evaluations:
        run.missing.append('evaluations.jsonl: no evaluation has been recorded')
    run.acceptance = _optional(run, 'acceptance.json', lambda: _read_json(path))
    run.scalars = read_scalars(path / 'log')
    if not run.scalars:
        run.missing.append('log/: no TensorBoard figures (sac_ros train --tensorboard)')
    run.replay = _optional(run, 'replay/', lambda: ReplayReader(path / 'replay'))
    for name in ('checkpoint.npz', 'best.npz'):
        if run.learner is None:
            _read_learner(run, name)
    if run.learner is None and run.replay is None and not run.evaluations:
        raise ConfigError(f'{path} is not the directory of a run: {"; ".join(run.missing)}')
    return run


def _read_learner(run: Run, name: str) -> None:
    """Set the learner of a run from one of its checkpoints, if that can be used."""
    path = run.path / name
    notes = _optional(run, name, lambda: load_notes(path))
    if notes is None:
        return
    run.notes = run.notes or notes
    config = _optional(run, name, lambda: config_of(notes))
    if config is None:
        return
    run.config = run.config or config
    run.learner = _optional(run, name, lambda: load_learner(config, path))
    if run.learner is not None:
        run.learner_file, run.step = name, int(notes.get('step', 0))


def load_learner(config: TrainConfig, path: Path) -> Learner:
    """Return the learner of a checkpoint, on the CPU.

    Raises:
        SacRosError: the robot or the environment cannot be made, or the file does not fit it.
    """
    torch.set_num_threads(1)  # two threads collapse when another process wants a core
    env, spec, chain = make_env_bundle(config)
    sac = SAC(spec, chain, config.sac, make_controller(spec, chain, config.controller))
    state, notes = load_checkpoint(path, sac.initialize(config.seed))
    found = PolicySpec.from_json(notes.get('spec', ''))
    spec.require_equal(found, 'the environment', f'checkpoint {path}')
    return Learner(config, env, spec, sac, state)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        read = json.loads((path / 'acceptance.json').read_text())
    except OSError as error:
        raise ConfigError('the run is not finished, or is not of an arm') from error
    except ValueError as error:
        raise ConfigError(f'not readable: {error}') from error
    if not isinstance(read, dict) or not isinstance(read.get('passes'), dict):
        raise ConfigError('not readable: it has no passes')
    return read


def _optional(run: Run, name: str, read: Callable[[], Read]) -> Read | None:
    """Return what is read from a file of the run; None, and a line in `missing`, if it fails."""
    try:
        return read()
    except SacRosError as error:
        run.missing.append(f'{name}: {error}')
        return None
