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

"""Evaluations during training: run, record, keep the best policy of an arm."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gymnasium

from sac_ros.envs.arm_env import ArmEnv
from sac_ros.filesystem import read_json_lines, write_atomically
from sac_ros.sac.state import LearnerState
from sac_ros.training.acceptance_figures import measure_pass
from sac_ros.training.best_checkpoint import BestCheckpoint
from sac_ros.training.evaluation import Evaluation, evaluate
from sac_ros.training.rollout import PolicyFn


class Evaluator:
    """Evaluate the mean policy, always on the same episodes.

    Attributes:
        env: the environment of evaluations.
        due: whether an evaluation is to take place; part of a checkpoint.
        running: whether one is taking place.
        latest: the newest evaluation of this process, None before the first.
        best: the best checkpoint of an arm's run; None for other environments, which have no
            acceptance.
    """

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        file: Path,
        episodes: int,
        best: BestCheckpoint | None,
    ) -> None:
        """Evaluate nothing yet.

        Args:
            env: the environment.
            file: takes a line of JSON per evaluation.
            episodes: of an evaluation.
            best: takes each learner that is better than those before.
        """
        self.env, self.best = env, best
        self.due = self.running = False
        self.latest: Evaluation | None = None
        self._file, self._episodes = file, episodes

    def run(self, act: PolicyFn, state: LearnerState, step: int, seconds: float) -> Evaluation:
        """Evaluate and record; what `act` raises leaves nothing recorded.

        Args:
            act: the mean policy.
            state: the learner that it belongs to.
            step: environment steps so far.
            seconds: since the run began.

        Raises:
            SacRosError: the environment or the disk fails.
        """
        self.running = True
        try:
            return self._run(act, state, step, seconds)
        finally:
            self.running = False

    def _run(self, act: PolicyFn, state: LearnerState, step: int, seconds: float) -> Evaluation:
        if isinstance(self.env, ArmEnv) and self.best is not None:
            figures = measure_pass(self.env, act, self._episodes)
            self.latest = figures.evaluation()
            self._record(step, seconds, figures.to_json())
            self.best.offer(state, step, figures)
        else:
            self.latest = evaluate(self.env, act, self._episodes)
            self._record(step, seconds, {})
        self.due = False
        return self.latest

    def _record(self, step: int, seconds: float, figures: dict[str, Any]) -> None:
        assert self.latest is not None
        row = {'step': step, 'seconds': seconds, **self.latest._asdict(), **figures}
        rows = [r for r in read_json_lines(self._file) if r.get('step', step) < step]
        text = ''.join(json.dumps(r) + '\n' for r in (*rows, row))
        write_atomically(self._file, text.encode())
