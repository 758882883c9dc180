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

"""The writing side of a replay directory."""

from __future__ import annotations

from pathlib import Path
from time import monotonic_ns

import numpy as np

from sac_ros.errors import ConfigError, ReplayError
from sac_ros.replay.encoder import RUNNING, TRUNCATED, Encoder
from sac_ros.replay.filesystem import FileSystem, disk_error, files_for, write_all
from sac_ros.replay.format import DataSource, Layout
from sac_ros.replay.storage import WritableRecords
from sac_ros.spec import PolicySpec
from sac_ros.types import Transition


class ReplayWriter(WritableRecords):
    """Append transitions to a replay directory, and sample from it in the same process.

    A kill at any instant loses at most the record being written; power loss at most what came
    after the last sync. An `append` that raises has stored nothing, and may be tried again.

    Args:
        directory: made if missing, reopened if it is there.
        spec: what the transitions are for. Without a robot give `n_observation` in its place, and
            `n_action`.
        n_action: length of the action vector, where `spec` is not a specification.
        n_observation: length of the observation vector, likewise.
        capacity: at least this many of the newest records are kept, whole older segments are
            dropped; 0 keeps everything.
        segment_records: records per file, rounded up to whole memory pages; 0 for 65,536, or
            fewer where those exceed 32 MiB; what a directory already has is kept.
        sync_every: records between two fsyncs; 0 is every record.
        archive: move dropped segments to `archive/`, itself a replay directory, instead of
            deleting them.
        files: the calls that touch the disk.

    Raises:
        ReplayError: another process writes it, it is not a replay directory, or the disk fails.
        SpecMismatch: it belongs to another robot or task; nothing was touched.
        ConfigError: neither a specification nor two sizes above zero are given.
    """

    def __init__(
        self,
        directory: str | Path,
        spec: PolicySpec | int | None = None,
        n_action: int | None = None,
        *,
        n_observation: int | None = None,
        capacity: int = 0,
        segment_records: int = 0,
        sync_every: int = 1000,
        archive: bool = False,
        files: FileSystem | None = None,
    ) -> None:
        if capacity < 0 or segment_records < 0 or sync_every < 0:
            raise ReplayError(
                f'capacity {capacity}, segment_records {segment_records} and '
                f'sync_every {sync_every} must not be negative'
            )
        if not isinstance(spec, PolicySpec):
            spec = _spec_of(n_observation if spec is None else spec, n_action)
        super().__init__(
            Path(directory),
            spec,
            capacity=capacity,
            segment_records=segment_records or Layout.of(spec).usual_records,
            sync_every=sync_every,
            archive=archive,
            files=files or files_for(Path(directory)),
        )
        self._pack = Encoder(self.layout).pack

    def append(
        self,
        transition: Transition,
        *,
        truncated: bool,
        source: DataSource = DataSource.SIM,
        policy_hash: int = 0,
        stamp_ns: int | None = None,
    ) -> int:
        """Store one transition and return its sequence number.

        Args:
            transition: observation (n_obs,), action (n_act,) in [-1, 1], scalars.
            truncated: the episode was cut off after this step without being terminal.
            source: where it was lived.
            policy_hash: 32 bits that tell which policy acted.
            stamp_ns: steady-clock time of the step [ns]; now if None.

        Raises:
            ReplayError: it does not fit the specification, is not finite, or the disk fails.
        """
        end, episode = self._state
        if end >= self._due:
            self._attend()
        flags = (TRUNCATED if truncated else RUNNING)[source]
        stamp = monotonic_ns() if stamp_ns is None else stamp_ns
        raw = self._pack(transition, flags, stamp, (end, episode, policy_hash))
        offset = end % self._segment_records * len(raw)
        try:
            if self._record(raw, offset) != len(raw):
                write_all(self._files, self._fd, raw, offset)
            if self._sync_every < 2:
                self._sync(end + 1)
        except OSError as error:
            raise disk_error('write', self.directory, error) from error
        # One store, so that an interrupt finds the record either counted or not.
        self._state = (end + 1, episode + 1 if truncated or transition[3] else episode)
        return end

    def begin_episode(self) -> None:
        """Let the next record begin an episode, where the last one was broken off."""
        end, episode = self._state
        last = np.array([end - 1])
        if self.whole(last)[0] and self.layout.episode(self.rows(last))[0] == episode:
            self._state = (end, episode + 1)

    def continue_episode(self) -> None:
        """Let the next record belong to the episode of the last one, unless that one ended."""
        end, _ = self._state
        last = np.array([end - 1])
        if self.whole(last)[0]:
            row = self.rows(last)
            if not (self.layout.truncated(row)[0] or self.layout.split(row).terminated[0]):
                self._state = (end, int(self.layout.episode(row)[0]))

    def sync(self) -> None:
        """Wait until everything appended survives power loss.

        Raises:
            ReplayError: the disk fails; call again once it is well.
        """
        end = self._state[0]
        try:
            if self._fd >= 0 and (self.durable_end < end or self._unsure):
                self._sync(end)
        except OSError as error:
            raise disk_error('sync', self.directory, error) from error

    def close(self) -> None:
        """Sync and let another writer in. Closing twice is harmless."""
        try:
            self.sync()
        finally:
            self._abandon()

    def __enter__(self) -> ReplayWriter:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _spec_of(n_observation: int | None, n_action: int | None) -> PolicySpec:
    if n_observation is None or n_action is None:
        raise ConfigError('give a PolicySpec, or n_observation and n_action')
    return PolicySpec.of_sizes(n_observation, n_action)
