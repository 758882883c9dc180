"""The collecting side of an asynchronous run in simulation. It needs no torch."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from sac_ros.config.training import TrainConfig
from sac_ros.envs.arm_env import ArmEnv, make_env
from sac_ros.filesystem import writing
from sac_ros.replay import ReplayWriter
from sac_ros.replay.resumable import ResumableReplay
from sac_ros.training.actor_snapshot import SnapshotPolicy, wait_for_snapshot
from sac_ros.training.collector import Collector

MAX_LEAD = 250  # transitions that the collector may be ahead of the learner's updates
WAIT_PERIOD = 0.002  # [s] between two looks at the snapshot while it waits


def collect(config: TrainConfig, should_stop: Callable[[], bool]) -> bool:
    """Collect until the replay of a run has `config.steps` transitions.

    Each transition is appended before the next action. A restart begins a new episode: nothing
    that was stored is stored again, and the policy is that of the newest snapshot.

    Returns:
        True when all are there, False when it was asked to stop before.

    Raises:
        SacRosError: the environment or the disk fails, or another process collects for this run.
    """
    env, spec = make_env(config)
    run_dir = Path(config.run_dir)
    with writing(run_dir):
        run_dir.mkdir(parents=True, exist_ok=True)
    with ReplayWriter(
        run_dir / 'replay',
        spec,
        capacity=config.replay_capacity,
        archive=config.replay_archive,
        sync_every=config.sync_every,
    ) as writer:
        if not wait_for_snapshot(run_dir, should_stop):
            return False
        policy = SnapshotPolicy(
            run_dir, spec, lambda: writer.end < config.learning_starts, config.seed + writer.end
        )
        fraction = config.continue_episode_fraction if isinstance(env, ArmEnv) else 0.0
        collector = Collector(env, policy, config.seed, fraction)
        collector.episodes = writer.end  # above the number of every episode before
        replay = ResumableReplay(writer, writer.end)
        if writer.end:
            writer.begin_episode()
        while writer.end < config.steps and not should_stop():
            if _lead(config, writer.end, policy) > MAX_LEAD:
                time.sleep(WAIT_PERIOD)
                policy.refresh()
            else:
                collector.step(replay)
        return writer.end >= config.steps


def _lead(config: TrainConfig, steps: int, policy: SnapshotPolicy) -> float:
    """Return the transitions whose updates the snapshot does not have yet."""
    trained = policy.snapshot.updates / config.gradient_steps
    return steps - config.learning_starts - trained
