"""The replay of one run, seen from where its learner is.

A learner is saved now and then, its transitions at once. After a crash the replay is therefore
ahead of the learner. A simulated run then lives the same steps again: `Experience` recognises
them and moves its cursor over them instead of storing them twice, and draws only from what lies
before the cursor. So the run continues bit for bit as if it had never stopped. Where the steps
turn out otherwise, as on a real robot, what lies ahead is kept and drawn from at once.
"""

from __future__ import annotations

import logging

import numpy as np
from numpy.typing import NDArray

from sac_ros.replay import ReplayWriter, Source
from sac_ros.spec import Transition

log = logging.getLogger(__name__)


class Experience:
    """A replay directory and a cursor: the sequence number of the learner's next transition."""

    def __init__(self, replay: ReplayWriter, cursor: int, source: Source = Source.SIM) -> None:
        self.replay, self._source = replay, source
        self.cursor = min(cursor, replay.end)
        if self.cursor < replay.end:
            log.info('%d transitions are ahead of the learner', replay.end - self.cursor)

    def store(self, transition: Transition, truncated: bool) -> None:
        """Store a transition, or recognise it as the one at the cursor."""
        if self.cursor < self.replay.end and not self._is_next(transition):
            log.info('the steps turn out otherwise; what lies ahead is kept as further samples')
            self.cursor = self.replay.end
        if self.cursor == self.replay.end:
            self.replay.append(transition, truncated=truncated, source=self._source)
        self.cursor += 1

    def sample(
        self, batch_size: int, rng: np.random.Generator, out: NDArray[np.float32] | None = None
    ) -> Transition:
        """Draw uniformly from what lies before the cursor, into `out` (B, words)."""
        if self.cursor == self.replay.end:
            return self.replay.sample(batch_size, rng, out)
        known = self._known()
        drawn = known[rng.integers(0, len(known), batch_size)]
        return self.replay.layout.split(self.replay.rows(drawn, out))

    def _known(self) -> NDArray[np.int64]:
        everything = self.replay.sequences()
        return everything[everything < self.cursor]

    def _is_next(self, transition: Transition) -> bool:
        rows = self.replay.rows(np.array([self.cursor]))
        stored = self.replay.layout.split(rows)
        return all(
            np.array_equal(np.asarray(ours, np.float32), theirs[0])
            for ours, theirs in zip(transition, stored, strict=True)
        )
