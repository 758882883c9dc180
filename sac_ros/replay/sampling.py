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

"""Drawing batches: uniform, from chosen sources, in proportions, and over n steps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sac_ros.errors import ReplayError
from sac_ros.replay.format import DataSource, Layout, Rows
from sac_ros.types import Transition

if TYPE_CHECKING:
    from sac_ros.replay.records import Records

Size = int | tuple[int, ...]


class NStep(NamedTuple):
    """Transitions over up to n steps.

    The target of a draw is reward + discount * (1 - terminated) * value(next_observation).
    """

    transition: Transition  # reward is the discounted sum, next_observation the last one
    discount: Rows  # (...,) gamma to the number of steps summed


class Sampler(ABC):
    """Something batches are drawn from. Draws are with replacement and depend on `rng` alone."""

    layout: Layout

    @abstractmethod
    def __len__(self) -> int:
        """How many transitions there are to draw from."""

    @abstractmethod
    def refresh(self) -> int:
        """Take in what was appended meanwhile; returns how many new records there are."""

    @abstractmethod
    def sample_rows(self, size: Size, rng: np.random.Generator, out: Rows | None = None) -> Rows:
        """Draw packed rows (*size, words), into `out` if given."""

    @abstractmethod
    def follow(self, rows: Rows, n: int, gamma: float) -> Rows:
        """Make rows (..., words) just drawn n-step ones; returns their discounts (...)."""

    @property
    def words(self) -> int:
        """32-bit words per packed row, the last dimension of `out`."""
        return self.layout.words

    def sample(self, size: Size, rng: np.random.Generator, out: Rows | None = None) -> Transition:
        """Draw transitions.

        Args:
            size: how many, or a shape: (K, B) draws K batches in one gather.
            rng: the same state and the same contents give the same draw.
            out: (*size, words) float32, contiguous, to gather into (the numpy view of a torch
                tensor will do); new if None.

        Returns:
            float32 views into one packed array; overwritten by the next draw into the same `out`.

        Raises:
            ReplayError: there is nothing to draw from.
        """
        return self.layout.split(self.sample_rows(size, rng, out))

    def sample_n_step(
        self,
        size: Size,
        rng: np.random.Generator,
        n: int,
        gamma: float,
        out: Rows | None = None,
    ) -> NStep:
        """Draw as `sample` does and follow each draw for up to n steps of its episode.

        The sum ends early where the episode terminates or is truncated, where the next record is
        damaged, and at the newest record; it then bootstraps from there.
        """
        if n < 1:
            raise ReplayError(f'n-step returns need n of at least 1, not {n}')
        rows = self.sample_rows(size, rng, out)
        return NStep(self.layout.split(rows), self.follow(rows, n, gamma))


class RecordSampler(Sampler):
    """Draws sequence numbers of one directory's records."""

    @property
    @abstractmethod
    def records(self) -> Records:
        """The records drawn from."""

    @property
    def end(self) -> int:
        """Sequence number from which on nothing is used."""
        return self.records.end

    @abstractmethod
    def draw(self, size: Size, rng: np.random.Generator) -> NDArray[np.int64]:
        """Sequence numbers, uniform over what there is to draw from."""

    def sample_rows(self, size: Size, rng: np.random.Generator, out: Rows | None = None) -> Rows:
        """Draw packed rows (*size, words), into `out` if given."""
        return self.records.rows(self.draw(size, rng), out)

    def follow(self, rows: Rows, n: int, gamma: float) -> Rows:
        """Make rows (..., words) just drawn n-step ones; returns their discounts (...)."""
        records, layout, end = self.records, self.layout, self.end
        sequences = layout.sequence(rows).astype(np.int64)
        total = layout.split(rows)
        episode = layout.episode(rows)  # it moves on after every end
        discount = np.full(sequences.shape, gamma, np.float32)
        going = np.ones(sequences.shape, np.bool_)
        scratch = np.empty(rows.shape, np.float32)
        for step in range(1, n):
            following = sequences + step
            going &= records.whole(following) & (following < end)
            row = records.rows(np.minimum(following, records.end - 1), scratch)
            going &= layout.episode(row) == episode
            if not going.any():
                break
            new = layout.split(row)
            total.reward[going] += np.float32(gamma**step) * new.reward[going]
            total.terminated[going] = new.terminated[going]
            total.next_observation[going] = new.next_observation[going]
            discount[going] *= np.float32(gamma)
        return discount


class SourceSampler(RecordSampler):
    """The records of one directory that come from given sources.

    Args:
        records: a reader, or the writer of the same process.
        sources: which sources to draw from.
    """

    def __init__(self, records: Records, sources: Collection[DataSource]) -> None:
        self.layout = records.layout
        self._records = records
        self._sources = np.array(sorted(sources), np.uint32)
        self._chosen = np.empty(1024, np.int64)
        self._first = self._last = 0  # the valid part of _chosen
        self._seen = records.start
        self._take_in()

    @property
    def records(self) -> Records:
        """The records drawn from."""
        return self._records

    def __len__(self) -> int:
        return self._last - self._first

    def refresh(self) -> int:
        """Take in what was appended meanwhile; returns how many new records are selected."""
        self._records.refresh()
        return self._take_in()

    def draw(self, size: Size, rng: np.random.Generator) -> NDArray[np.int64]:
        """Sequence numbers, uniform over the selected records."""
        if not len(self):
            names = ', '.join(DataSource(s).name for s in self._sources.tolist())
            raise ReplayError(f'{self._records.directory} holds no transition of source {names}')
        return self._chosen[rng.integers(self._first, self._last, size)]

    def _take_in(self) -> int:
        records = self._records
        fresh = records.sequences(max(self._seen, records.start))
        self._seen = records.end
        if fresh.size:
            fresh = fresh[np.isin(self.layout.source(records.rows(fresh)), self._sources)]
        while self._last + fresh.size > len(self._chosen):
            self._chosen = np.concatenate([self._chosen, np.empty_like(self._chosen)])
        self._chosen[self._last : self._last + fresh.size] = fresh
        self._last += fresh.size
        self._first = int(np.searchsorted(self._chosen[: self._last], records.start))
        return int(fresh.size)


class MixedSampler(Sampler):
    """Every batch holds fixed shares of several replays, in the order given.

    With a prior dataset and the running one at half each, this is the sampling of RLPD
    (https://arxiv.org/abs/2302.02948).

    Args:
        parts: what to draw from and its share of each batch; shares are scaled to sum to one.
    """

    def __init__(self, parts: Sequence[tuple[Sampler, float]]) -> None:
        if not parts or any(share <= 0 for _, share in parts):
            raise ReplayError('a mixture needs at least one replay, each with a share above 0')
        self.layout = parts[0][0].layout
        for sampler, _ in parts:
            if sampler.layout.shape != self.layout.shape:
                raise ReplayError(
                    'replays of one mixture must agree in (observation, action) sizes, these have '
                    f'{self.layout.shape} and {sampler.layout.shape}'
                )
        self._parts = [sampler for sampler, _ in parts]
        shares = np.array([share for _, share in parts], np.float64)
        self._shares = shares / shares.sum()

    def __len__(self) -> int:
        return sum(len(part) for part in self._parts)

    def refresh(self) -> int:
        """Take in what was appended meanwhile; returns how many new records there are."""
        return sum(part.refresh() for part in self._parts)

    def counts(self, batch_size: int) -> list[int]:
        """Rows of each part in a batch, in order; they sum to `batch_size`."""
        ends = np.rint(np.cumsum(self._shares) * batch_size).astype(int)
        return np.diff(ends, prepend=0).tolist()  # type: ignore[no-any-return]

    def sample_rows(self, size: Size, rng: np.random.Generator, out: Rows | None = None) -> Rows:
        """Draw packed rows (*size, words), into `out` if given."""
        shape = size if isinstance(size, tuple) else (size,)
        rows = np.empty((*shape, self.words), np.float32) if out is None else out
        for part, share in self._split(rows):
            part.sample_rows(share.shape[:-1], rng, share)
        return rows

    def follow(self, rows: Rows, n: int, gamma: float) -> Rows:
        """Make rows (..., words) just drawn n-step ones; returns their discounts (...)."""
        discounts = [part.follow(share, n, gamma) for part, share in self._split(rows)]
        return np.concatenate(discounts, axis=-1)

    def _split(self, rows: Rows) -> Iterator[tuple[Sampler, Rows]]:
        first = 0
        for part, count in zip(self._parts, self.counts(rows.shape[-2]), strict=True):
            yield part, rows[..., first : first + count, :]
            first += count
