"""One training run: collect, update, evaluate, save. It resumes from its run directory."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import math
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray

from sac_ros.config.base import flatten
from sac_ros.config.training import ARM_ENV, TrainConfig
from sac_ros.envs.arm_env import ArmEnv, make_env, make_env_bundle
from sac_ros.envs.gym_loader import env_name
from sac_ros.errors import CheckpointError, ConfigError, EnvError, SpecMismatch
from sac_ros.filesystem import read_json_lines, write_atomically, writing
from sac_ros.replay import MixedSampler, ReplayReader, ReplayWriter, Sampler
from sac_ros.replay.resumable import ResumableReplay
from sac_ros.sac.base_controller import make_controller
from sac_ros.sac.exploration import Exploration
from sac_ros.sac.hindsight import Hindsight
from sac_ros.sac.sac import SAC, Metrics
from sac_ros.sac.state import LearnerState
from sac_ros.seeds import training_seed
from sac_ros.spec import PolicySpec, Transition
from sac_ros.training.acceptance_figures import PassFigures, measure_pass
from sac_ros.training.best_checkpoint import BestCheckpoint
from sac_ros.training.checkpoint import (
    count_from,
    load_checkpoint,
    load_notes,
    numbers_from,
    save_checkpoint,
)
from sac_ros.training.evaluation import Evaluation, evaluate
from sac_ros.training.export import export_policy, to_graph
from sac_ros.training.open_episode import OpenEpisode, retrace
from sac_ros.training.training_log import TrainingLog

if TYPE_CHECKING:
    from sac_ros.accel.compiler import Compiler

EPISODE_WINDOW = 20  # episodes that the running figures average over
RATE_SECONDS = 20.0  # [s] that rates are taken over
LOG_STEPS = 250  # environment steps between two rows of the TensorBoard log
SAVE_SECONDS = 60.0  # [s] at most between two checkpoints
MAX_RETRACED = 100_000  # actions of an episode in a checkpoint; a longer one is not continued
logger = logging.getLogger(__name__)


class TrainingProgress(NamedTuple):
    """What a person wants to see of a run while it goes on."""

    step: int
    steps: int
    mean_return: float  # over the last episodes of training; NaN before the first ended
    success_rate: float
    alpha: float
    entropy: float  # [nat]
    updates_per_second: float
    seconds_left: float
    evaluation: Evaluation | None


Update = Callable[..., tuple[LearnerState, Metrics]]


class StopRequested(Exception):
    """A run was asked to stop within an evaluation or while it repeats an episode."""


class Trainer:
    """A run in `config.run_dir`, new or resumed; nothing is written before `run`."""

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
        if config.device == 'cuda' and not torch.cuda.is_available():
            raise ConfigError(
                'device is cuda, but torch finds no GPU; leave it out, or install CUDA'
            )
        if env is not None:
            name = ARM_ENV if isinstance(env, ArmEnv) else env_name(env)
            config = dataclasses.replace(config, env=name)
        self.config = config
        self.run_dir = Path(config.run_dir)
        self.env, self.spec, chain = make_env_bundle(config, env)
        self._is_arm = isinstance(self.env, ArmEnv)
        task = getattr(self.env, 'task', None)
        self._hindsight = Hindsight.for_task(task, self.spec, chain, config.her_fraction)
        if self._hindsight is not None and config.sac.n_step > 1:
            raise ConfigError('n_step above 1 needs --her_fraction 0: rewards are summed already')
        self.eval_env = self.env
        if eval_env is not None or (env is None and config.separate_eval_env):
            self.eval_env = _make_eval_env(config, eval_env, self.spec)
        sac = config.sac.resolved(hindsight=self._hindsight is not None)
        self.sac = SAC(self.spec, chain, sac, make_controller(self.spec, chain, config.controller))
        self.state = self.sac.initialize(config.seed, config.device)
        self._updates: tuple[Update, ...] = self.sac.update, self.sac.update_critics
        self.compiler = make_compiler(config)
        if self.compiler is not None:
            self._updates = tuple(map(self.compiler, self._updates))
        self._numpy_rng = np.random.default_rng(config.seed)
        self._torch_rng = torch.Generator().manual_seed(config.seed)
        self._exploration = Exploration(
            config.sac, self.spec.n_action, self._numpy_rng, self._torch_rng
        )
        self._offline = (
            ReplayReader(config.offline_replay, self.spec) if config.offline_replay else None
        )
        self.step, self.episodes, self.updates = 0, 0, 0
        self.evaluation: Evaluation | None = None
        self._returns: deque[float] = deque(maxlen=EPISODE_WINDOW)
        self._successes: deque[float] = deque(maxlen=EPISODE_WINDOW)
        self._metrics: dict[str, torch.Tensor] = {}
        self._cursor, self._in_episode, self._return = 0, False, 0.0
        self._actions: list[NDArray[np.float32]] = []  # of the episode under way
        self._resumed: OpenEpisode | None = None  # to be continued
        self._last_final_observation: NDArray[np.float32] | None = (
            None  # what an arm saw as its last episode ended
        )
        self._stop = self._pause = self._evaluation_due = False
        self._observation: NDArray[np.float32] | None = None
        # Of its own, so that watching changes nothing.
        self._evaluate_state_noise = torch.randn(
            (64, self.spec.n_action), generator=torch.Generator().manual_seed(0)
        )
        self._resume()
        # An arm's best policy; other environments have no acceptance.
        self.best = BestCheckpoint(self.run_dir, self.spec, config) if self._is_arm else None

    @property
    def checkpoint(self) -> Path:
        """Where the learner is saved."""
        return self.run_dir / 'checkpoint.npz'

    @property
    def policy_path(self) -> Path:
        """Where the policy is exported to."""
        return self.run_dir / 'policy.onnx'

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
        """
        self._should_stop = should_stop
        torch.set_flush_denormal(True)  # of this thread; Adam's squares of tiny gradients are slow
        with writing(self.run_dir):
            self.run_dir.mkdir(parents=True, exist_ok=True)
        self._log = TrainingLog(self.config)
        self._started = time.monotonic()
        self._rate_samples: deque[tuple[float, int]] = deque([(self._started, self.step)])
        with self._open_replay() as replay:
            self._experience = ResumableReplay(replay, self._cursor)
            self._sampler: Sampler = self._experience
            if self._offline is not None:
                share = self.config.offline_fraction
                self._sampler = MixedSampler(
                    [(self._experience, 1 - share), (self._offline, share)]
                )
            self._rows = torch.empty(self.config.sac.batch_size, replay.words)
            try:
                self._collect(on_step)
            finally:
                self._log.close()
            self.save()
        return self.step >= self.config.steps

    def progress(self) -> TrainingProgress:
        """Return where the run stands; rates are those of the last seconds."""
        now = time.monotonic()
        self._rate_samples.append((now, self.step))
        while len(self._rate_samples) > 2 and now - self._rate_samples[0][0] > RATE_SECONDS:
            self._rate_samples.popleft()
        before, step = self._rate_samples[0]
        rate = (self.step - step) / (now - before) if now > before else 0.0
        learning = self.step > self.config.learning_starts
        metrics = {name: float(value) for name, value in self._metrics.items()}
        return TrainingProgress(
            self.step,
            self.config.steps,
            float(np.mean(self._returns)) if self._returns else np.nan,
            float(np.mean(self._successes)) if self._successes else np.nan,
            metrics.get('alpha', self.config.sac.initial_alpha),
            metrics.get('entropy', np.nan),
            rate * self.config.gradient_steps if learning else 0.0,
            (self.config.steps - self.step) / rate if rate > 0 else np.nan,
            self.evaluation,
        )

    def evaluate(self, episodes: int) -> Evaluation:
        """Run the mean policy on as many episodes, always the same ones."""
        return evaluate(self.eval_env, self._mean_action, episodes)

    def measure(self, episodes: int) -> PassFigures:
        """Run the mean policy of an arm from rest and return its figures.

        Raises:
            ConfigError: the environment is not an arm.
        """
        if not isinstance(self.eval_env, ArmEnv):
            raise ConfigError(f'{self.config.env} is not an arm')
        return measure_pass(self.eval_env, self._mean_action, episodes)

    @torch.no_grad()
    def evaluate_state(self) -> tuple[float, float]:
        """Return value and entropy [nat] at the last observation; NaN before the first."""
        if self._observation is None:
            return math.nan, math.nan
        row = torch.from_numpy(self._observation).to(self.config.device).unsqueeze(0)
        noise = self._evaluate_state_noise.to(self.config.device)
        q, entropy = self.sac.evaluate_state(self.state, row, noise)
        return float(q), float(entropy)

    def check_export(self) -> None:
        """Raise ExportError if the policy could not be exported; called before training."""
        policy, nothing = self.sac.policy(self.state), np.zeros((0, self.spec.n_observation))
        to_graph(policy, self.spec, nothing.astype(np.float32))

    def export(self, path: Path | None = None, state: LearnerState | None = None) -> float:
        """Write the mean policy to a file and return its difference to the network.

        Args:
            path: the file; `policy_path` unless it is given.
            state: the learner; the present one unless it is given.

        Raises:
            ExportError: the file would not agree with the network.
        """
        replay = ReplayReader(self.run_dir / 'replay', self.spec)
        seen = replay.sample(1_000, np.random.default_rng(self.step)).observation
        policy = self.sac.policy(self.state if state is None else state)
        return export_policy(policy, self.spec, path or self.policy_path, seen)

    def save(self) -> None:
        """Write the checkpoint; a later Trainer on this directory continues from it.

        Raises:
            SacRosError: the disk fails; the checkpoint before is still there.
        """
        self._experience.replay.sync()
        notes = {
            'spec': self.spec.to_json(),
            'config': flatten(self.config),
            'step': self.step,
            'updates': self.updates,
            'episodes': self.episodes + self._is_too_long,
            'episode': self._open_episode(),
            'evaluation_due': self._evaluation_due,
            'cursor': self._experience.cursor,
            'numpy_rng': self._numpy_rng.bit_generator.state,
            'torch_rng': self._torch_rng.get_state().tolist(),
            'returns': list(self._returns),
            'successes': list(self._successes),
            'left': None
            if self._last_final_observation is None
            else self._last_final_observation.tolist(),
        }
        save_checkpoint(self.checkpoint, self.state, notes)
        self._saved = time.monotonic()

    def _resume(self) -> None:
        if not self.checkpoint.exists():
            return
        try:
            there = PolicySpec.from_json(load_notes(self.checkpoint)['spec'])
        except (KeyError, TypeError, SpecMismatch) as error:
            raise CheckpointError(f'{self.checkpoint} has no specification: {error}') from error
        self.spec.require_equal(there, 'this run', f'checkpoint {self.checkpoint}')
        self.state, notes = load_checkpoint(self.checkpoint, self.state)
        try:
            self._restore(notes)
        except (LookupError, ValueError, TypeError, RuntimeError, ArithmeticError) as error:
            raise CheckpointError(f'{self.checkpoint} lacks or has a wrong {error}') from error
        except CheckpointError as error:
            raise CheckpointError(f'{self.checkpoint}: {error}') from error

    def _restore(self, notes: dict[str, Any]) -> None:
        self.step, self.episodes = count_from(notes, 'step'), count_from(notes, 'episodes')
        self._cursor, self.updates = count_from(notes, 'cursor'), count_from(notes, 'updates')
        self._numpy_rng.bit_generator.state = notes['numpy_rng']
        self._torch_rng.set_state(torch.tensor(notes['torch_rng'], dtype=torch.uint8))
        self._returns.extend(numbers_from(notes, 'returns', EPISODE_WINDOW))
        self._successes.extend(numbers_from(notes, 'successes', EPISODE_WINDOW))
        self._evaluation_due = bool(notes.get('evaluation_due'))
        if notes.get('left') is not None:
            left = numbers_from(notes, 'left', self.spec.n_observation)
            if len(left) < self.spec.n_observation:
                raise CheckpointError(f'left has {len(left)} numbers')
            self._last_final_observation = np.array(left, np.float32)
        if notes.get('episode') is not None:
            self._resumed = OpenEpisode.from_notes(notes['episode'], self.spec.n_action)
            self._exploration.restore(self._resumed.noise)

    @property
    def _stopping(self) -> bool:
        return self._stop or self._should_stop()

    @property
    def _is_too_long(self) -> bool:
        """Whether the episode under way is too long to be continued from a checkpoint."""
        return self._in_episode and len(self._actions) > MAX_RETRACED

    def _open_episode(self) -> dict[str, Any] | None:
        if self._is_too_long:
            return None
        episode = self._resumed
        if self._in_episode:
            episode = OpenEpisode(self._actions, self._return, self._exploration.state)
        return None if episode is None else episode.to_notes()

    def _open_replay(self) -> ReplayWriter:
        return ReplayWriter(
            self.run_dir / 'replay',
            self.spec,
            capacity=self.config.replay_capacity,
            archive=self.config.replay_archive,
            sync_every=self.config.sync_every,
        )

    def _collect(self, on_step: Callable[[Trainer], None]) -> None:
        self._saved = time.monotonic()
        if self.step == 0 and self.best is not None and self.best.step is None:
            self._evaluation_due = True
        with contextlib.suppress(StopRequested):
            self._evaluate_if_due()
            while self.step < self.config.steps and not self._stopping:
                observation = self._continue_episode()
                if observation is None:
                    observation = self._begin_episode()
                self._in_episode = True
                while self._in_episode and self.step < self.config.steps and not self._stopping:
                    if self._pause:
                        time.sleep(0.01)
                    else:
                        observation = self._one_step(observation)
                        self._evaluate_if_due()
                        self._save_if_due()
                    on_step(self)

    def _continue_episode(self) -> NDArray[np.float32] | None:
        """Return to where the run was stopped in an episode; None if a new one has to begin."""
        episode = self._resumed
        if episode is None:
            return None
        stored = self._experience.last(len(episode.actions))
        observation = retrace(
            self.env, self._reset(), episode.actions, stored, self._raise_if_stopped
        )
        self._resumed = None
        if observation is None:
            logger.info('the episode that was stopped cannot be continued; a new one begins')
            self.episodes += 1
            return None
        self._actions, self._return = list(episode.actions), episode.total
        self._experience.continue_episode()
        return observation

    def _begin_episode(self) -> NDArray[np.float32]:
        self._actions, self._return = [], 0.0
        self._exploration.begin_episode()
        return self._reset()

    def _reset(self) -> NDArray[np.float32]:
        # Seed and last observation decide an episode, so that a resumed run lives the same ones.
        seed, options = training_seed(self.config.seed, self.episodes), None
        chance = np.random.default_rng((seed, 1)).random()  # independent of what env draws
        if (
            self._last_final_observation is not None
            and chance < self.config.continue_episode_fraction
        ):
            options = {'observation': self._last_final_observation}
        observation, _ = self.env.reset(seed=seed, options=options)
        return np.asarray(observation, np.float32)

    def _one_step(self, observation: NDArray[np.float32]) -> NDArray[np.float32]:
        self._observation = observation
        action = self._explore(observation)
        if not self._is_too_long:
            self._actions.append(action)
        next_observation, reward, terminated, truncated, info = self.env.step(action)
        executed = info.get('executed_action', action)
        if info.get('invalid'):
            self._experience.break_episode()
        else:
            transition = Transition(observation, executed, reward, terminated, next_observation)
            self._experience.store(transition, truncated)
        self.step += 1
        self._return += float(reward)
        if self.step >= self.config.learning_starts:
            for _ in range(self.config.gradient_steps):
                self._learn()
        if terminated or truncated:
            self._in_episode = False
            self.episodes += 1
            self._returns.append(self._return)
            self._successes.append(float(info.get('is_success', np.nan)))
            self._last_final_observation = (
                np.asarray(next_observation, np.float32) if self._is_arm else None
            )
        if self.step % LOG_STEPS == 0:
            figures = {name: float(value) for name, value in self._metrics.items()}
            progress = self.progress()._asdict()
            self._log.progress(self.step, figures | progress)
        self._evaluation_due |= self.step % self.config.eval_every == 0
        return np.asarray(next_observation, np.float32)

    def _save_if_due(self) -> None:
        if time.monotonic() - self._saved > SAVE_SECONDS:
            self.save()

    def _learn(self) -> None:
        config, device = self.config.sac, self.config.device
        discount = None
        out = self._rows.numpy()
        if config.n_step > 1:
            batch, discounts = self._sampler.sample_n_step(
                config.batch_size, self._numpy_rng, config.n_step, config.gamma, out
            )
            discount = torch.from_numpy(discounts).to(device)
        else:
            batch = self._sampler.sample(config.batch_size, self._numpy_rng, out)
            if self._hindsight is not None:
                batch = self._hindsight(batch, self._numpy_rng)
        tensors = Transition(*(torch.from_numpy(part).to(device) for part in batch))
        noise = self.sac.noise(self._torch_rng).to(device)
        self.updates += 1
        whole, critics = self._updates
        update = critics if self.updates % config.policy_delay else whole
        self.state, metrics = update(self.state, tensors, noise, discount)
        self._metrics |= metrics

    def _explore(self, observation: NDArray[np.float32]) -> NDArray[np.float32]:
        if self.step < self.config.learning_starts:
            return self._random_action(observation)
        return self._act(observation, self._exploration())

    @torch.no_grad()
    def _random_action(self, observation: NDArray[np.float32]) -> NDArray[np.float32]:
        """Draw a residual uniformly; without a base controller that is the action."""
        residual = self._numpy_rng.uniform(-1, 1, (1, self.spec.n_action)).astype(np.float32)
        row = torch.from_numpy(observation).unsqueeze(0).to(self.config.device)
        residual_row = torch.from_numpy(residual).to(self.config.device)
        action: NDArray[np.float32] = self.sac.to_action(row, residual_row)[0].cpu().numpy()
        return action

    def _mean_action(self, observation: NDArray[np.float32]) -> NDArray[np.float32]:
        return self._act(observation, None)

    def _mean_action_unless_stopped(self, observation: NDArray[np.float32]) -> NDArray[np.float32]:
        self._raise_if_stopped()
        return self._act(observation, None)

    def _raise_if_stopped(self) -> None:
        if self._stopping:
            raise StopRequested

    @torch.no_grad()
    def _act(
        self, observation: NDArray[np.float32], noise: torch.Tensor | None
    ) -> NDArray[np.float32]:
        device = self.config.device
        row = torch.from_numpy(observation).to(device).unsqueeze(0)
        noise = noise.to(device) if noise is not None else None
        action: NDArray[np.float32] = self.sac.act(self.state, row, noise)[0].cpu().numpy()
        return action

    def _evaluate_if_due(self) -> None:
        """Evaluate the mean policy, unless its environment is in a training episode."""
        in_use = self.eval_env is self.env and (self._in_episode or self._resumed is not None)
        if not self._evaluation_due or in_use:
            return
        evaluation = self._evaluate()
        self._evaluation_due = False
        if self.step > 0:
            self._saved = -math.inf
            self._log.evaluation(self.step, evaluation, self._mean_action_unless_stopped)

    def _evaluate(self) -> Evaluation:
        """Evaluate the mean policy, record it and keep it if it is the best of an arm so far.

        Raises:
            StopRequested: before the evaluation was complete; nothing is recorded.
        """
        act, episodes = self._mean_action_unless_stopped, self.config.eval_episodes
        if not isinstance(self.eval_env, ArmEnv) or self.best is None:
            self.evaluation = evaluate(self.eval_env, act, episodes)
            self._record(self.evaluation, {})
            return self.evaluation
        figures = measure_pass(self.eval_env, act, episodes)
        self.evaluation = figures.evaluation()
        self._record(self.evaluation, figures.to_json())
        self.best.offer(self.state, self.step, figures)
        return self.evaluation

    def _record(self, evaluation: Evaluation, figures: dict[str, Any]) -> None:
        seconds = time.monotonic() - self._started
        row = {'step': self.step, 'seconds': seconds, **evaluation._asdict(), **figures}
        path = self.run_dir / 'evaluations.jsonl'
        rows = [r for r in read_json_lines(path) if r.get('step', self.step) < self.step]
        text = ''.join(json.dumps(r) + '\n' for r in (*rows, row))
        write_atomically(path, text.encode())


def make_compiler(config: TrainConfig) -> Compiler | None:
    """Return the compiler of updates, None where it is not wanted or not installed."""
    if not config.compile:
        return None
    try:
        from sac_ros.accel.compiler import Compiler
    except ModuleNotFoundError as error:
        logger.warning('updates are not compiled: %s', error)
        return None
    return Compiler(config.device, config.sac.bf16)


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
