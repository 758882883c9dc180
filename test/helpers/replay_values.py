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

"""Transitions whose every number tells which one it is, and the check that it still does."""

import numpy as np

from sac_ros.replay.filesystem import FileSystem
from sac_ros.spec import ObservationField, PolicySpec
from sac_ros.types import Transition

SMALL = 512  # records per segment, the least for 128-byte records


def make_spec(n_observation=10, n_action=2):
    n = n_action
    return PolicySpec(
        joint_names=tuple(f'joint_{i}' for i in range(n)),
        observation=(ObservationField('position', n_observation, 'rad'),),
        torque_limit=(2.0,) * n,
        position_lower=(-1.0,) * n,
        position_upper=(1.0,) * n,
        velocity_limit=(1.0,) * n,
        control_period=0.05,
        model_hash='test',
    )


def transition(i, spec=None, terminated=False):
    """A transition whose every number tells that it is number i."""
    spec = spec or make_spec()
    observation = i + np.arange(spec.n_observation) / 16
    return Transition(observation, np.full(spec.n_action, -i), i, terminated, observation + 1)


def fill(writer, first, last, **options):
    for i in range(first, last):
        assert writer.append(transition(i, writer.spec), truncated=False, **options) == i


def assert_rows(records, sequences):
    """Row i carries the value i in every column."""
    rows = records.rows(np.asarray(sequences))
    got = records.layout.split(rows)
    n = np.asarray(sequences, np.float64)[:, None]
    observation = n + np.arange(records.spec.n_observation) / 16
    np.testing.assert_array_equal(got.observation, observation.astype(np.float32))
    np.testing.assert_array_equal(got.next_observation, (observation + 1).astype(np.float32))
    np.testing.assert_array_equal(got.action, np.broadcast_to(-n, got.action.shape))
    np.testing.assert_array_equal(got.reward, n[:, 0])
    np.testing.assert_array_equal(records.layout.sequence(rows), n[:, 0])


class NoSync(FileSystem):
    """Tests that fail or simulate the sync need not wait for the real one."""

    def sync(self, fd):
        pass

    def sync_directory(self, path):
        pass
