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
