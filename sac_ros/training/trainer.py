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

"""One training run: collect, update, evaluate, save. It resumes from its run directory."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray

from sac_ros.config.base import flatten
from sac_ros.config.training import ARM_ENV, TrainConfig
from sac_ros.envs.arm_env import ArmEnv, make_env, make_env_bundle
from sac_ros.envs.gym_loader import env_name
from sac_ros.errors import EnvError
from sac_ros.filesystem import writing
from sac_ros.replay import MixedSampler, ReplayReader, Sampler
from sac_ros.replay.resumable import ResumableReplay
from sac_ros.sac.base_controller import make_controller
from sac_ros.sac.hindsight import Hindsight
from sac_ros.sac.sac import SAC
from sac_ros.sac.state import LearnerState
from sac_ros.sim.geometry import arm_geometry
from sac_ros.spec import PolicySpec
from sac_ros.training.behavior import BehaviorPolicy
from sac_ros.training.best_checkpoint import BestCheckpoint
from sac_ros.training.checkpoint import save_checkpoint
from sac_ros.training.collector import Collector, open_replay
from sac_ros.training.evaluation import Evaluation, evaluate
from sac_ros.training.evaluator import Evaluator
from sac_ros.training.export import export_policy, to_graph
from sac_ros.training.learner import Learner
from sac_ros.training.progress import ProgressMeter, TrainingProgress
from sac_ros.training.run_state import RunState, load_run, named_errors
from sac_ros.training.training_log import TrainingLog

if TYPE_CHECKING:
    from sac_ros.accel.compiler import Compiler

LOG_STEPS = 250  # environment steps between two rows of the TensorBoard log
SAVE_SECONDS = 60.0  # [s] at most between two checkpoints


class StopRequested(Exception):
    """A run was asked to stop within an evaluation or while it repeats an episode."""


class Trainer:
    """A run in `config.run_dir`, new or resumed; nothing is written before `run`.

    Attributes:
        config: of the run.
        run_dir: its directory.
        spec: what the policy observes and commands.
        collector: acts, steps the environment and stores.
        learner: draws batches and updates.
        evaluator: evaluates the mean policy.
    """

    def __init__(
        self,
        config: TrainConfig,
        env: gymnasium.Env[Any, Any] | None = None,
        eval_env: gymnasium.Env[Any, Any] | None = None,
    ) -> None:
        """Prepare everything and check it.

        Args:
            config: of the run.
            env: the environment itself, in place of the one that `config.env` names.
            eval_env: another one for evaluation. Without it evaluation uses `env`, between two
                training episodes.

        Raises:
            SacRosError: a setting, the robot or what the run directory holds does not fit.
        """
        torch.set_num_threads(1)  # two threads collapse when another process wants a core
        if env is not None:
            name = ARM_ENV if isinstance(env, ArmEnv) else env_name(env)
            config = dataclasses.replace(config, env=name)
        self.config, self.run_dir = config, Path(config.run_dir)
        made, self.spec, chain = make_env_bundle(config, env)
        is_arm = isinstance(made, ArmEnv)
        hindsight = Hindsight.for_task(
            getattr(made, 'task', None), self.spec, chain, config.her_fraction
        )
        sac = SAC(
            self.spec,
            chain,
            config.sac,
            make_controller(self.spec, chain, config.controller),
        )
        self.learner = Learner(sac, config, hindsight)
        self._behavior = BehaviorPolicy(
            self.learner, config.sac, lambda: self.step < config.learning_starts
        )
        fraction = config.continue_episode_fraction if is_arm else 0.0
        self.collector = Collector(made, self._behavior, config.seed, fraction)
        if eval_env is not None or (env is None and config.separate_eval_env):
            made = _make_eval_env(config, eval_env, self.spec)
        best = BestCheckpoint(self.run_dir, self.spec, config) if is_arm else None
        self.evaluator = Evaluator(
            made, self.run_dir / 'evaluations.jsonl', config.eval_episodes, best
        )
        self._meter = ProgressMeter(config)
        self._offline = (
            ReplayReader(config.offline_replay, self.spec) if config.offline_replay else None
        )
        self._cursor = 0  # of the replay where a run begins
        self._skipped = 0  # updates that an asynchronous learner left out
        self._stop = self._pause = False
        self._resume()

    @property
    def env(self) -> gymnasium.Env[Any, Any]:
        """The environment of training."""
        return self.collector.env

    @property
    def eval_env(self) -> gymnasium.Env[Any, Any]:
        """The environment of evaluations, which may be that of training."""
        return self.evaluator.env

    @property
    def step(self) -> int:
        """Environment steps so far."""
        return self.collector.steps

    @property
    def updates(self) -> int:
        """Critic updates so far."""
        return self.learner.updates

    @property
    def sac(self) -> SAC:
        """The algorithm."""
        return self.learner.sac

    @property
    def state(self) -> LearnerState:
        """The learner's state."""
        return self.learner.state

    @property
    def compiler(self) -> Compiler | None:
        """The compiler of updates, None where they run eagerly."""
        return self.learner.compiler

    @property
    def best(self) -> BestCheckpoint | None:
        """The best checkpoint so far, None without an arm."""
        return self.evaluator.best

    @property
    def checkpoint(self) -> Path:
        """Path of the learner's checkpoint."""
        return self.run_dir / 'checkpoint.npz'

    @property
    def policy_path(self) -> Path:
        """Path of the exported policy."""
        return self.run_dir / 'policy.onnx'

    @property
    def activity(self) -> str:
        """The activity of the run in one word; any thread may ask."""
        if self.evaluator.running:
            return 'evaluating'
        if self.compiler is not None and self.compiler.busy:
            return 'compiling'
        if self._pause:
            return 'paused'
        if self.step >= self.config.steps:
            return 'measuring'
        return 'learning' if self.step > self.config.learning_starts else 'collecting'

    @property
    def last_success(self) -> bool:
        """Whether the last episode of training ended with success."""
        successes = self._meter.successes
        return bool(successes) and successes[-1] > 0

    def request_stop(self) -> None:
        """Let `run` save and return after the step it is in; safe in a signal handler.

        That is a step of training or of an evaluation, which the resumed run begins again.
        """
        self._stop = True

    def request_pause(self, pause: bool) -> None:
        """Hold or go on before the next step; `on_step` is still called while held."""
        self._pause = pause

    def run(
        self,
        on_step: Callable[[Trainer], None] = lambda _: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Train until `config.steps`, calling `on_step` after every environment step.

        Args:
            on_step: called after every environment step of training.
            should_stop: asked during evaluations too, as an alternative to `request_stop`.

        Returns:
            True when all steps are done, False when it was asked to stop before.

        Raises:
            SacRosError: the environment or the disk fails.
        """
        self._prepare(should_stop)
        with open_replay(self.config, self.spec) as writer:
            self._replay = ResumableReplay(writer, self._cursor)
            self._sampler = self._make_sampler(self._replay)
            with contextlib.closing(self._log), contextlib.suppress(StopRequested):
                self._evaluate_if_due()
                while self.step < self.config.steps and not self._is_stopping:
                    if self._pause:
                        time.sleep(0.01)
                    else:
                        self._train_step()
                    on_step(self)
            self.save()
            self.collector.suspend()
            self._cursor = self._replay.cursor
        return self.step >= self.config.steps

    def _prepare(self, should_stop: Callable[[], bool]) -> None:
        """Make the run directory, open the log and start the clocks."""
        self._should_stop = should_stop
        torch.set_flush_denormal(True)  # of this thread; Adam's squares of tiny gradients are slow
        with writing(self.run_dir):
            self.run_dir.mkdir(parents=True, exist_ok=True)
        self._log = TrainingLog(self.config)
        self._started = self._saved = time.monotonic()
        self._meter.start(self.step)
        if self.step == 0 and self.best is not None and self.best.step is None:
            self.evaluator.due = True

    def _train_step(self) -> None:
        """Collect one transition, update, and do what is due after this step."""
        config = self.config
        episode = self.collector.step(self._replay, self._raise_if_stopped)
        if episode is not None:
            self._meter.add(episode)
        if self.step >= config.learning_starts:
            for _ in range(config.gradient_steps):
                self.learner.update(self._sampler)
        self._note_steps(self.step - 1)
        self._evaluate_if_due()
        self._save_if_due()

    def _note_steps(self, before: int) -> None:
        """Log, and let an evaluation be due, where the steps since `before` ask for it."""

        def passed(every: int) -> bool:
            return self.step // every > before // every

        if passed(LOG_STEPS):
            self._log.progress(self.step, self.learner.figures() | self.progress()._asdict())
        self.evaluator.due |= passed(self.config.eval_every)

    def _save_if_due(self) -> None:
        if time.monotonic() - self._saved > SAVE_SECONDS:
            self.save()

    def progress(self) -> TrainingProgress:
        """Return the progress of the run; rates are those of the last seconds."""
        return self._meter.report(self.step, self.learner.figures(), self.evaluator.latest)

    def evaluate(self, episodes: int) -> Evaluation:
        """Run the mean policy on as many episodes, always the same ones."""
        return evaluate(self.eval_env, self.learner.mean_action, episodes)

    def evaluate_state(self) -> tuple[float, float]:
        """Return Q-value and entropy [nat] at the newest observation; NaN before the first."""
        if self.collector.observation is None:
            return math.nan, math.nan
        return self.learner.evaluate_state(self.collector.observation)

    def check_export(self) -> None:
        """Raise ExportError if the policy could not be exported; called before training."""
        policy, nothing = self.sac.policy(self.state), np.zeros((0, self.spec.n_observation))
        to_graph(policy, self.spec, nothing.astype(np.float32))

    def export(self, path: Path | None = None, state: LearnerState | None = None) -> float:
        """Write the mean policy to a file and return its difference to the network.

        Args:
            path: the file; `policy_path` unless it is given.
            state: the learner; the present one unless it is given.

        Returns:
            The largest difference between file and network, as a share of the torque limit.

        Raises:
            ExportError: the file would not agree with the network.
        """
        replay = ReplayReader(self.run_dir / 'replay', self.spec)
        seen = replay.sample(1_000, np.random.default_rng(self.step)).observation
        policy = self.sac.policy(self.state if state is None else state)
        geometry = None
        if isinstance(self.env, ArmEnv):
            geometry = arm_geometry(self.env.arm, self.config.task)
        return export_policy(policy, self.spec, path or self.policy_path, seen, geometry)

    def save(self) -> None:
        """Write the checkpoint of a run that is going on; a later Trainer continues from it.

        Raises:
            SacRosError: the disk fails; the checkpoint before is still there.
        """
        cursor = self._sync_replay()
        collector, learner = self.collector, self.learner
        episode = collector.open_episode
        if episode is not None:
            episode = episode._replace(noise=self._behavior.exploration.state)
        state = RunState(
            step=collector.steps,
            updates=learner.updates,
            episodes=collector.episodes + collector.is_too_long,
            cursor=cursor,
            episode=episode,
            evaluation_due=self.evaluator.due,
            numpy_rng=dict(learner.numpy_rng.bit_generator.state),
            torch_rng=learner.torch_rng.get_state().tolist(),
            returns=list(self._meter.returns),
            successes=list(self._meter.successes),
            final_observation=collector.final_observation,
            skipped=self._skipped,
        )
        notes = {'spec': self.spec.to_json(), 'config': flatten(self.config), **state.to_notes()}
        save_checkpoint(self.checkpoint, learner.state, notes)
        self._saved = time.monotonic()

    def _sync_replay(self) -> int:
        """Let the replay survive power loss; return the cursor of the learner."""
        self._replay.replay.sync()
        return self._replay.cursor

    def _resume(self) -> None:
        if not self.checkpoint.exists():
            return
        self.learner.state, state = load_run(self.checkpoint, self.spec, self.state)
        with named_errors(self.checkpoint):
            self._restore(state)

    def _restore(self, state: RunState) -> None:
        collector, learner = self.collector, self.learner
        collector.steps, collector.episodes = state.step, state.episodes
        collector.resumed, collector.final_observation = state.episode, state.final_observation
        learner.updates = state.updates
        learner.numpy_rng.bit_generator.state = state.numpy_rng
        learner.torch_rng.set_state(torch.tensor(state.torch_rng, dtype=torch.uint8))
        if state.episode is not None:
            self._behavior.exploration.restore(state.episode.noise)
        self.evaluator.due = state.evaluation_due
        self._meter.returns.extend(state.returns)
        self._meter.successes.extend(state.successes)
        self._cursor, self._skipped = state.cursor, state.skipped

    def _make_sampler(self, replay: Sampler) -> Sampler:
        if self._offline is None:
            return replay
        share = self.config.offline_fraction
        return MixedSampler([(replay, 1 - share), (self._offline, share)])

    def _evaluate_if_due(self) -> None:
        """Evaluate the mean policy, unless its environment is in a training episode."""
        collector, evaluator = self.collector, self.evaluator
        in_use = collector.in_episode or collector.resumed is not None
        if not evaluator.due or (in_use and self.eval_env is self.env):
            return
        act = self._mean_action_unless_stopped
        seconds = time.monotonic() - self._started
        evaluation = evaluator.run(act, self.state, self.step, seconds)
        if self.step > 0:
            self._saved = -math.inf
            self._log.evaluation(self.step, evaluation, act)

    def _mean_action_unless_stopped(self, observation: NDArray[np.float32]) -> NDArray[np.float32]:
        self._raise_if_stopped()
        return self.learner.mean_action(observation)

    @property
    def _is_stopping(self) -> bool:
        return self._stop or self._should_stop()

    def _raise_if_stopped(self) -> None:
        if self._is_stopping:
            raise StopRequested


def _make_eval_env(
    config: TrainConfig, env: gymnasium.Env[Any, Any] | None, spec: PolicySpec
) -> gymnasium.Env[Any, Any]:
    try:
        made, found = make_env(config, env)
    except EnvError as error:
        raise EnvError(
            f'{error}; this is the second environment, for evaluation: where only one can exist, '
            f'use --no-separate_eval_env'
        ) from error
    spec.require_equal(found, 'the environment', 'the one for evaluation')
    return made
