"""Collect 250 transitions where torch cannot be imported: DIRECTORY."""

import sys

sys.modules['torch'] = None  # an import of it fails
from sac_ros.config.training import TrainConfig  # noqa: E402
from sac_ros.envs.arm_env import make_env  # noqa: E402
from sac_ros.replay import ReplayWriter  # noqa: E402
from sac_ros.replay.resumable import ResumableReplay  # noqa: E402
from sac_ros.training.collector import Collector  # noqa: E402

env, spec = make_env(TrainConfig(env='Pendulum-v1'))
collector = Collector(env, lambda observation: observation[:1], seed=3)
with ReplayWriter(sys.argv[1], spec) as writer:
    replay = ResumableReplay(writer, writer.end)
    ended = [episode for _ in range(250) if (episode := collector.step(replay))]
assert collector.steps == len(writer) == 250 and collector.episodes == len(ended) == 1
