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

"""The replay of one run, seen from where its learner is.

A learner is saved now and then, its transitions at once. After a crash the replay is therefore
ahead of the learner. A simulated run then lives the same steps again: `ResumableReplay` recognises
them and moves its cursor over them instead of storing them twice, and draws only from what lies
before the cursor. So the run continues bit for bit as if it had never stopped. Where the steps
turn out otherwise, as on a real robot, what lies ahead is kept and drawn from at once.
"""

from __future__ import annotations

import logging

import numpy as np
from numpy.typing import NDArray

from sac_ros.replay import DataSource, RecordSampler, ReplayWriter
from sac_ros.replay.sampling import Size
from sac_ros.types import Transition

log = logging.getLogger(__name__)


class ResumableReplay(RecordSampler):
    """A replay directory and a cursor: the sequence number of the learner's next transition."""

    def __init__(
        self, replay: ReplayWriter, cursor: int, source: DataSource = DataSource.SIM
    ) -> None:
        self.layout = replay.layout
        self.replay, self._source = replay, source
        self.cursor = min(cursor, replay.end)
        self._continues = False  # whether the next step belongs to the episode of the last record
        if cursor > replay.end:
            log.warning(
                '%s lacks %d transitions that the learner was trained on',
                replay.directory,
                cursor - replay.end,
            )
        if self.cursor < replay.end:
            log.info('%d transitions are ahead of the learner', replay.end - self.cursor)

    @property
    def records(self) -> ReplayWriter:
        """The records drawn from."""
        return self.replay

    @property
    def end(self) -> int:
        """Sequence number from which on nothing is used: the cursor."""
        return self.cursor

    def __len__(self) -> int:
        return self.replay.count_before(self.cursor)

    def refresh(self) -> int:
        """Return 0: the only writer is this process."""
        return 0

    def store(self, transition: Transition, truncated: bool) -> None:
        """Store a transition, or recognise it as the one at the cursor."""
        if self.cursor < self.replay.end and not self._is_next(transition):
            log.info('the steps turn out otherwise; what lies ahead is kept as further samples')
            self.cursor = self.replay.end
            self._continues = False
        if self.cursor == self.replay.end:
            if self._continues:
                self.replay.continue_episode()
            self.replay.append(transition, truncated=truncated, source=self._source)
            self._continues = False
        else:
            self._continues = True
        self.cursor += 1

    def last(self, count: int) -> Transition:
        """Return the `count` transitions before the cursor; fewer where they are not all there."""
        sequences = np.arange(self.cursor - count, self.cursor)
        return self.layout.split(self.replay.rows(sequences[self.replay.whole(sequences)]))

    def continue_episode(self) -> None:
        """Let the next step belong to the episode of the last one, which a restart broke off."""
        self._continues = True

    def break_episode(self) -> None:
        """Let the next step begin an episode, although the last one ended none."""
        self._continues = False
        if self.cursor == self.replay.end:
            self.replay.begin_episode()

    def draw(self, size: Size, rng: np.random.Generator) -> NDArray[np.int64]:
        """Sequence numbers, uniform over what lies before the cursor."""
        return self.replay.draw(size, rng, self.cursor)

    def _is_next(self, transition: Transition) -> bool:
        rows = self.replay.rows(np.array([self.cursor]))
        stored = self.replay.layout.split(rows)
        return all(
            np.array_equal(np.asarray(ours, np.float32), theirs[0])
            for ours, theirs in zip(transition, stored, strict=True)
        )
