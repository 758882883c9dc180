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

"""A replay as a Minari dataset and back (https://minari.farama.org).

Minari keeps T+1 observations per episode; what a record holds beyond that (stamps, sources, policy
hashes, numbers) goes into its infos, so that a round trip gives back the same records.
"""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sac_ros.errors import ReplayError
from sac_ros.replay import DataSource, ReplayReader, ReplayWriter
from sac_ros.replay.format import Layout, Rows
from sac_ros.spec import PolicySpec
from sac_ros.types import Transition

SPEC_KEY = 'sac_ros_spec'
BATCH = 1000  # episodes handed to Minari at a time


def export_minari(directory: str | Path, dataset_id: str) -> int:
    """Write all whole records as a local Minari dataset; returns how many there were.

    Raises:
        ReplayError: Minari is not installed, or it has a dataset of that name.
    """
    minari = _minari()
    from gymnasium.spaces import Box

    reader = ReplayReader(directory)
    if not len(reader):
        raise ReplayError(f'{directory} holds no transition to export')
    if dataset_id in minari.list_local_datasets():
        raise ReplayError(f'Minari has a dataset {dataset_id} already; choose another name')
    n, m = reader.layout.shape
    dataset, batch = None, []
    for rows, is_last in _stretches(reader):
        batch.append(_episode(reader.layout, rows))
        if len(batch) < BATCH and not is_last:
            continue
        if dataset is None:
            dataset = minari.create_dataset_from_buffers(
                dataset_id,
                batch,
                observation_space=Box(-np.inf, np.inf, (n,), np.float32),
                action_space=Box(-1, 1, (m,), np.float32),
                algorithm_name='SAC',
                description='Transitions recorded by sac_ros; actions are normalised',
            )
            dataset.storage.update_metadata({SPEC_KEY: reader.spec.to_json()})
        else:
            dataset.update_dataset_from_buffer(batch)
        batch = []
    return len(reader)


def import_minari(
    dataset_id: str,
    directory: str | Path,
    spec: PolicySpec | None = None,
    source: DataSource = DataSource.SIM,
) -> int:
    """Append a local Minari dataset to a replay; returns how many transitions came.

    Actions of a dataset that sac_ros did not write are scaled from the bounds of its action space
    to [-1, 1].

    Args:
        dataset_id: its name in Minari.
        directory: the replay directory, new or there.
        spec: what the transitions are for; needed unless sac_ros wrote the dataset.
        source: who acted, where the dataset does not say.

    Raises:
        ReplayError: there is no such dataset, or its spaces are not vectors of the right size.
        SpecMismatch: it is for another robot or task.
    """
    minari = _minari()
    try:
        dataset = minari.load_dataset(dataset_id)
    except FileNotFoundError as error:
        known = ', '.join(minari.list_local_datasets()) or 'none'
        raise ReplayError(f'Minari has no dataset {dataset_id}; there are: {known}') from error
    text = dataset.storage.metadata.get(SPEC_KEY)
    if text:
        written = PolicySpec.from_json(text)
        if spec is not None:
            spec.require_equal(written, 'this run', f'dataset {dataset_id}')
        spec = written
    if spec is None:
        raise ReplayError(
            f'{dataset_id} does not say which robot it is for; name a replay directory or a '
            'specification of that robot (--spec)'
        )
    _check_space(dataset_id, 'observations', dataset.observation_space, spec.n_observation)
    _check_space(dataset_id, 'actions', dataset.action_space, spec.n_action)
    low, high = dataset.action_space.low, dataset.action_space.high
    with ReplayWriter(directory, spec, sync_every=65_536) as writer:
        last, count = (-2, -1), 0
        for episode in dataset.iterate_episodes():
            last = _append_episode(writer, episode, (low, high), source, last)
            count += len(episode.rewards)
    return count


def _minari() -> Any:
    try:
        return importlib.import_module('minari')
    except ImportError as error:
        raise ReplayError(
            f"Minari is not usable ({error}); install it with pip install 'sac_ros[minari]'"
        ) from error


def _stretches(reader: ReplayReader) -> Iterator[tuple[Rows, bool]]:
    """Yield (rows, is it the last) of runs in which each record goes on where the last ended.

    A run is an episode, unless a record is missing or an observation does not repeat.
    """
    layout, sequences = reader.layout, reader.sequences()
    rows = reader.rows(sequences)
    parts = layout.split(rows)
    episode = layout.episode(rows)
    same = (np.diff(sequences) == 1) & (episode[1:] == episode[:-1])
    same &= (parts.observation[1:] == parts.next_observation[:-1]).all(axis=1)
    bounds = [0, *(np.flatnonzero(~same) + 1).tolist(), len(sequences)]
    for first, stop in itertools.pairwise(bounds):
        yield rows[first:stop], stop == len(sequences)


def _episode(layout: Layout, rows: Rows) -> Any:
    buffer = importlib.import_module('minari.data_collector.episode_buffer').EpisodeBuffer
    parts = layout.split(rows)

    def info(values: NDArray[Any]) -> NDArray[np.int64]:
        """As an info (T+1,): Minari keeps one for the reset too; ours follow the step."""
        return np.concatenate([[0], values.astype(np.int64)])

    return buffer(
        observations=np.concatenate([parts.observation, parts.next_observation[-1:]]),
        actions=parts.action,
        rewards=parts.reward,
        terminations=parts.terminated != 0,
        truncations=layout.truncated(rows),
        infos={
            'stamp_ns': info(layout.stamp(rows)),
            'sequence': info(layout.sequence(rows)),
            'episode': info(layout.episode(rows)),
            'source': info(layout.source(rows)),
            'policy_hash': info(layout.policy_hash(rows)),
        },
    )


def _append_episode(
    writer: ReplayWriter,
    episode: Any,
    bounds: tuple[NDArray[Any], NDArray[Any]],
    source: DataSource,
    last: tuple[int, int],
) -> tuple[int, int]:
    """Append one; `last` is the (sequence, episode) that was appended before."""
    infos = episode.infos or {}
    ours = 'policy_hash' in infos
    low, high = bounds
    actions = np.asarray(episode.actions)
    if (low != -1).any() or (high != 1).any():
        actions = 2 * (actions - low) / (high - low) - 1
    if not ours or (int(infos['sequence'][1]) - 1, int(infos['episode'][1])) != last:
        writer.begin_episode()
    for i in range(len(episode.rewards)):
        transition = Transition(
            episode.observations[i],
            actions[i],
            episode.rewards[i],
            episode.terminations[i],
            episode.observations[i + 1],
        )
        writer.append(
            transition,
            truncated=bool(episode.truncations[i]),
            source=DataSource(int(infos['source'][i + 1])) if ours else source,
            policy_hash=int(infos['policy_hash'][i + 1]) if ours else 0,
            stamp_ns=int(infos['stamp_ns'][i + 1]) if ours else 0,
        )
    return (int(infos['sequence'][-1]), int(infos['episode'][-1])) if ours else (-2, -1)


def _check_space(dataset_id: str, what: str, space: Any, size: int) -> None:
    shape = getattr(space, 'shape', None)
    if shape != (size,):
        raise ReplayError(
            f'{what} of {dataset_id} are {space}, this robot or task has vectors of {size} numbers'
        )
    bounded = np.isfinite(space.low).all() and np.isfinite(space.high).all()
    if what == 'actions' and not bounded:
        raise ReplayError(f'{what} of {dataset_id} have no bounds to scale to [-1, 1]')
