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

"""What people do with a replay directory beside training: look, verify, merge."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sac_ros.errors import ReplayError
from sac_ros.replay import DataSource, ReplayReader, ReplayWriter
from sac_ros.replay.format import ARCHIVE, Rows, segment_numbers, segment_path
from sac_ros.replay.records import Records
from sac_ros.replay.recovery import unexplained
from sac_ros.spec import PolicySpec

CHUNK = 65_536  # records held in memory at a time
BINS = 24


@dataclass(frozen=True)
class Coverage:
    """How often each part of one observed quantity's range was visited."""

    name: str
    unit: str
    low: float
    high: float
    counts: NDArray[np.int64]  # (BINS,)
    outside: int


@dataclass(frozen=True)
class Summary:
    """What a replay directory holds."""

    spec: PolicySpec
    records: int
    damaged: int
    torn: int
    disk_bytes: int
    terminated: int
    truncated: int
    by_source: dict[DataSource, int]
    policies: int  # different policy hashes
    returns: NDArray[np.float64]  # (episodes,) sums of rewards
    lengths: NDArray[np.int64]  # (episodes,) steps
    coverage: list[Coverage]


@dataclass(frozen=True)
class VerificationReport:
    """What verification found."""

    whole: int
    damaged: NDArray[np.int64]  # sequence numbers
    torn: int  # records after the end that are not whole; one is normal after a kill
    missing: list[int]  # numbers of lost segments
    unexplained: str  # why what lies after the end is not what a kill leaves, or ''
    uneven: list[int]  # numbers of the segments whose files have another size than they should

    @property
    def clean(self) -> bool:
        """Whether there is nothing to repair and nothing is lost."""
        return not (self.damaged.size or self.torn or self.missing)


@dataclass(frozen=True)
class Merged:
    """What a merge did."""

    records: int  # appended
    missing: list[tuple[Path, NDArray[np.int64]]]  # sources and the numbers that they lack


def chunks(records: Records, end: int | None = None) -> Iterator[tuple[NDArray[np.int64], Rows]]:
    """Yield sequence numbers (k,) and packed rows (k, words) of whole records, in order."""
    everything = records.sequences()
    if end is not None:
        everything = everything[everything < end]
    for first in range(0, len(everything), CHUNK):
        sequences = everything[first : first + CHUNK]
        yield sequences, records.rows(sequences)


def verify(directory: str | Path) -> VerificationReport:
    """Check every record; changes nothing."""
    reader = ReplayReader(directory)
    numbers = segment_numbers(reader.directory)
    missing = sorted(set(range(numbers[0], numbers[-1] + 1)) - set(numbers)) if numbers else []
    size = reader.segment_records * reader.layout.record_bytes
    return VerificationReport(
        len(reader),
        reader.holes,
        reader.after_end().size,
        missing,
        unexplained(reader),
        [n for n in numbers if segment_path(reader.directory, n).stat().st_size != size],
    )


def merge(sources: Sequence[str | Path], target: str | Path) -> Merged:
    """Append everything in `sources`, in order, to `target`.

    Stamps, sources, policy hashes and the bounds of episodes are kept. A directory that is being
    written may be given with its archive: each record comes once, also from a segment that moves.

    Raises:
        ReplayError: the target is one of the sources, or the disk fails.
        SpecMismatch: they are for different robots or tasks; nothing was written.
    """
    paths = [Path(source).resolve() for source in sources]
    if Path(target).resolve() in paths:
        raise ReplayError(f'{target} cannot be merged into itself; name another target')
    if not paths:
        raise ReplayError('name at least one replay directory to merge')
    # Archives last: what leaves a directory after it was opened is then in both, never in none.
    by_path = {path: ReplayReader(path) for path in sorted(paths, key=_is_archive)}
    readers = [by_path[path] for path in paths]
    for source, reader in zip(sources, readers, strict=True):
        readers[0].spec.require_equal(reader.spec, f'replay {sources[0]}', f'replay {source}')
    records, missing = 0, []
    with ReplayWriter(target, readers[0].spec, sync_every=CHUNK) as writer:
        for path, reader in zip(paths, readers, strict=True):
            live = by_path.get(path.parent) if _is_archive(path) else None
            end = reader.end if live is None else live.start
            records += copy(reader, writer, end)
            gaps = [reader.holes[reader.holes < end], np.arange(reader.end, end)]
            if sum(map(len, gaps)):
                missing.append((path, np.concatenate(gaps)))
    return Merged(records, missing)


def _is_archive(path: Path) -> bool:
    return path.name == ARCHIVE


def copy(records: Records, writer: ReplayWriter, end: int) -> int:
    """Append all whole records before `end` to `writer`; a hole begins a new episode."""
    layout, last, count = records.layout, (-2, -1), 0
    for sequences, rows in chunks(records, end):
        parts = layout.split(rows)
        marks = zip(
            sequences.tolist(),
            layout.episode(rows).tolist(),
            layout.truncated(rows).tolist(),
            layout.source(rows).tolist(),
            layout.policy_hash(rows).tolist(),
            layout.stamp(rows).tolist(),
            strict=True,
        )
        for i, (sequence, episode, truncated, source, policy_hash, stamp) in enumerate(marks):
            if (sequence - 1, episode) != last:
                writer.begin_episode()
            last = (sequence, episode)
            writer.append(
                type(parts)(*(part[i] for part in parts)),
                truncated=truncated,
                source=DataSource(source),
                policy_hash=policy_hash,
                stamp_ns=stamp,
            )
        count += len(sequences)
    return count


def summarize(directory: str | Path) -> Summary:
    """Gather what `info` shows, one chunk of records in memory at a time."""
    reader = ReplayReader(directory)
    layout, spec = reader.layout, reader.spec
    axes = _axes(reader)
    counts = np.zeros((len(axes), BINS), np.int64)
    outside = np.zeros(len(axes), np.int64)
    by_source, ends = np.zeros(4, np.int64), np.zeros(2, np.int64)
    policies: set[int] = set()
    episodes: list[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]] = []
    for _, rows in chunks(reader):
        parts = layout.split(rows)
        ends += [int(parts.terminated.sum()), int(layout.truncated(rows).sum())]
        by_source += np.bincount(layout.source(rows), minlength=4)
        policies.update(np.unique(layout.policy_hash(rows)).tolist())
        numbers, which = np.unique(layout.episode(rows), return_inverse=True)
        sums = np.bincount(which, parts.reward.astype(np.float64))
        episodes.append((numbers, sums, np.bincount(which)))
        for a, (_, _, column, low, high) in enumerate(axes):
            counts[a] += np.histogram(parts.observation[:, column], BINS, (low, high))[0]
            outside[a] = len(reader) - counts[a].sum()
    returns, lengths = _by_episode(episodes)
    files = (segment_path(reader.directory, n) for n in segment_numbers(reader.directory))
    return Summary(
        spec=spec,
        records=len(reader),
        damaged=len(reader.holes),
        torn=reader.after_end().size,
        disk_bytes=sum(512 * file.stat().st_blocks for file in files),
        terminated=int(ends[0]),
        truncated=int(ends[1]),
        by_source={source: int(by_source[source]) for source in DataSource if by_source[source]},
        policies=len(policies),
        returns=returns,
        lengths=lengths,
        coverage=[
            Coverage(name, unit, low, high, counts[a], int(outside[a]))
            for a, (name, unit, _, low, high) in enumerate(axes)
        ],
    )


def _by_episode(
    parts: list[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]],
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Join the sums of chunks: an episode may span two."""
    if not parts:
        return np.empty(0), np.empty(0, np.int64)
    numbers = np.concatenate([number for number, _, _ in parts])
    _, which = np.unique(numbers, return_inverse=True)
    returns = np.bincount(which, np.concatenate([total for _, total, _ in parts]))
    lengths = np.bincount(which, np.concatenate([count for _, _, count in parts]))
    return returns.astype(np.float64), lengths.astype(np.int64)


def _axes(reader: ReplayReader) -> list[tuple[str, str, int, float, float]]:
    """What to show the coverage of: (name, unit, column, low, high).

    Joint positions within their limits where there are joints, else every observed number.
    """
    spec, slices = reader.spec, reader.spec.slices()
    if 'joint_position' in slices:
        first = slices['joint_position'].start
        names = [(name, 'rad', first + j) for j, name in enumerate(spec.joint_names)]
        limits = list(zip(spec.position_lower, spec.position_upper, strict=True))
    else:
        names = [
            (f'{field.name}[{j}]', field.unit, slices[field.name].start + j)
            for field in spec.observation
            for j in range(field.size)
        ]
        limits = [(-np.inf, np.inf)] * len(names)
    low = np.full(spec.n_observation, np.inf)
    high = -low
    for _, rows in chunks(reader):
        observation = reader.layout.split(rows).observation
        low = np.minimum(low, observation.min(axis=0))
        high = np.maximum(high, observation.max(axis=0))
    bounds = [
        (a if np.isfinite(a) else float(low[c]), b if np.isfinite(b) else float(high[c]))
        for (a, b), (_, _, c) in zip(limits, names, strict=True)
    ]
    return [
        (name, unit, column, a, b) if a < b else (name, unit, column, -1.0, 1.0)
        for (name, unit, column), (a, b) in zip(names, bounds, strict=True)
    ]
