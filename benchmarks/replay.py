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

"""Sampling and appending, side by side with the buffers of Stable-Baselines3, cpprb, TorchRL.

    python benchmarks/replay.py [--quick] [--directory DIR]

Ours is on disk; Stable-Baselines3 and cpprb are in memory, TorchRL is a memory map. Everybody gets
the same sizes, and the rounds are interleaved, so a busy machine slows all alike. Ratios are the
medians over the rounds, above 1 where ours is faster. Ends with one line of JSON.
"""

import argparse
import itertools
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sac_ros.replay import ReplayReader, ReplayWriter
from sac_ros.replay.format import Layout, flags_of, segment_path
from sac_ros.spec import ObservationField, PolicySpec
from sac_ros.types import Transition

BATCH, N_OBSERVATION, N_ACTION = 256, 23, 7
SMALL, MIDDLE, LARGE = 100_000, 1_000_000, 10_000_000
SEGMENT = 65_536

Call = Callable[[], Any]
Seconds = dict[str, list[float]]  # per call, one for each round


def make_spec() -> PolicySpec:
    joints = (1.0,) * N_ACTION
    return PolicySpec(
        tuple(f'joint_{i}' for i in range(N_ACTION)),
        (ObservationField('observation', N_OBSERVATION, 'rad'),),
        joints,
        joints,
        joints,
        joints,
        0.05,
        'benchmark',
    )


def build(directory: Path, count: int) -> ReplayReader:
    """Write a replay of `count` records segment by segment, as fast as checksums allow."""
    spec = make_spec()
    layout = Layout.of(spec)
    directory.mkdir(parents=True)
    (directory / 'spec.json').write_text(spec.to_json())
    rows = np.zeros((SEGMENT, layout.words), np.float32)
    rows[:, : layout.payload] = np.random.default_rng(0).standard_normal(layout.payload)
    layout.flags(rows)[:] = flags_of(False, 0)
    raw, width = rows.data.cast('B'), layout.record_bytes
    for number in range(-(-count // SEGMENT)):
        first = number * SEGMENT
        layout.sequence(rows)[:] = np.arange(first, first + SEGMENT)
        rows.view(np.uint32)[:, -1] = [
            zlib.crc32(raw[i : i + width - 4]) for i in range(0, len(raw), width)
        ]
        if count - first < SEGMENT:
            rows[count - first :] = 0
        rows.tofile(segment_path(directory, number))
    return ReplayReader(directory)


def random_steps(count: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    observation = rng.standard_normal((count + 1, N_OBSERVATION)).astype(np.float32)
    action = rng.uniform(-1, 1, (count, N_ACTION)).astype(np.float32)
    return observation, action


def our_sampler(reader: ReplayReader) -> Call:
    """Into a torch tensor whose column views are made once, as the trainer does."""
    rng = np.random.default_rng(0)
    out = torch.zeros(BATCH, reader.words).numpy()
    return lambda: reader.sample(BATCH, rng, out)


def sb3_buffer(size: int) -> Any:
    from gymnasium.spaces import Box
    from stable_baselines3.common.buffers import ReplayBuffer

    box = Box(-np.inf, np.inf, (N_OBSERVATION,), np.float32)
    buffer = ReplayBuffer(
        size, box, Box(-1, 1, (N_ACTION,), np.float32), 'cpu', handle_timeout_termination=True
    )
    observation, action = random_steps(size)
    buffer.observations[:, 0], buffer.next_observations[:, 0] = observation[:-1], observation[1:]
    buffer.actions[:, 0], buffer.full = action, True
    return buffer


def cpprb_sampler(size: int) -> Call:
    from cpprb import ReplayBuffer

    buffer = ReplayBuffer(
        size,
        {
            'obs': {'shape': N_OBSERVATION},
            'act': {'shape': N_ACTION},
            'rew': {},
            'next_obs': {'shape': N_OBSERVATION},
            'done': {},
        },
    )
    observation, action = random_steps(size)
    zeros = np.zeros(size, np.float32)
    buffer.add(obs=observation[:-1], act=action, rew=zeros, next_obs=observation[1:], done=zeros)
    return lambda: buffer.sample(BATCH)


def torchrl_sampler(size: int, directory: Path) -> Call:
    from tensordict import TensorDict
    from torchrl.data import LazyMemmapStorage, TensorDictReplayBuffer

    storage = LazyMemmapStorage(size, scratch_dir=directory)
    buffer = TensorDictReplayBuffer(storage=storage, batch_size=BATCH)
    observation, action = map(torch.from_numpy, random_steps(size))
    done = torch.zeros(size, 1, dtype=torch.bool)
    following = {'observation': observation[1:], 'reward': torch.zeros(size, 1), 'done': done}
    step = {'observation': observation[:-1], 'action': action, 'next': following}
    buffer.extend(TensorDict(step, batch_size=[size]))
    return buffer.sample


def race(contenders: dict[str, Call], rounds: int, repeats: int) -> Seconds:
    """Seconds per call, (rounds,) for each contender; all take turns in every round."""
    seconds = {name: [] for name in contenders}
    for call in contenders.values():
        for _ in range(20):
            call()
    for _ in range(rounds):
        for name, call in contenders.items():
            started = time.perf_counter()
            for _ in range(repeats):
                call()
            seconds[name].append((time.perf_counter() - started) / repeats)
    return seconds


def ratio(seconds: Seconds, peer: str, ours: str) -> float:
    return statistics.median(p / o for p, o in zip(seconds[peer], seconds[ours], strict=True))


def appenders(directory: Path) -> dict[str, Call]:
    """One call of each appends one step; ours has its checksum and a sync every 1000.

    What each takes is made beforehand, so that only the appending itself is timed.
    """
    observation, action = random_steps(1000)
    writer = ReplayWriter(directory, make_spec(), sync_every=1000)
    buffer, zero = sb3_buffer(SMALL), np.zeros(1, np.float32)
    ours_take = itertools.cycle(
        [
            Transition(observation[i], action[i], 0.0, False, observation[i + 1])
            for i in range(1000)
        ]
    )
    sb3_takes = itertools.cycle(
        [
            (
                observation[i : i + 1],
                observation[i + 1 : i + 2],
                action[i : i + 1],
                zero,
                zero,
                [{}],
            )
            for i in range(1000)
        ]
    )

    def ours() -> None:
        writer.append(next(ours_take), truncated=False)

    def sb3() -> None:
        buffer.add(*next(sb3_takes))

    return {'sac_ros (disk)': ours, 'stable-baselines3 (RAM)': sb3}


def private_mib(make: Callable[[], Any]) -> float:
    """Memory that a process of its own has for itself alone after `make`, in MiB."""
    receiver, sender = os.pipe()
    child = os.fork()
    if child == 0:

        def private() -> int:
            lines = Path('/proc/self/smaps_rollup').read_text().splitlines()
            fields = [line.split() for line in lines[1:]]
            return sum(int(f[1]) for f in fields if f[0].startswith('Anonymous'))

        before = private()
        kept = make()
        os.write(sender, json.dumps((private() - before) / 1024).encode())
        os._exit(0 if kept is not None else 1)
    os.waitpid(child, 0)
    os.close(sender)
    return json.loads(os.read(receiver, 100))


def sampled_reader(directory: Path) -> ReplayReader:
    reader = ReplayReader(directory)
    sample = our_sampler(reader)
    for _ in range(1000):
        sample()
    return reader


def table(title: str, seconds: Seconds, ours: str) -> None:
    print(f'\n{title}')
    for name, values in seconds.items():
        print(
            f'  {name:<24}{statistics.median(values) * 1e6:10.1f} us   '
            f'{ratio(seconds, name, ours):8.2f} x'
        )


def measure(directory: Path, quick: bool) -> dict[str, float]:
    rounds = 15 if quick else 60
    small, middle = build(directory / 'small', SMALL), build(directory / 'middle', MIDDLE)
    del middle
    memory = {
        'sac_ros': private_mib(lambda: sampled_reader(directory / 'middle')),
        'stable-baselines3': private_mib(lambda: sb3_buffer(MIDDLE)),
    }
    opening = []
    for _ in range(3):
        started = time.perf_counter()
        ReplayReader(directory / 'middle')
        opening.append(time.perf_counter() - started)
    sb3 = sb3_buffer(SMALL)
    sampling = race(
        {
            'sac_ros (disk)': our_sampler(small),
            'stable-baselines3 (RAM)': lambda: sb3.sample(BATCH),
            'cpprb (RAM)': cpprb_sampler(SMALL),
            'torchrl (memmap)': torchrl_sampler(SMALL, directory / 'torchrl'),
        },
        rounds,
        200,
    )
    appending = race(appenders(directory / 'append'), rounds, 2000)
    large = build(directory / 'large', LARGE)
    sizes = race(
        {'100,000 records': our_sampler(small), '10,000,000 records': our_sampler(large)},
        4 * rounds,
        200,
    )
    table(f'sampling a batch of {BATCH} from {SMALL} records', sampling, 'sac_ros (disk)')
    table('appending one step (checksum, sync every 1000)', appending, 'sac_ros (disk)')
    table('sampling a small and a large replay', sizes, '100,000 records')
    print(f'\nopening {MIDDLE} records, every one verified: {min(opening):.2f} s')
    print(f'private memory of a process with {MIDDLE} records [MiB]')
    for name, mib in memory.items():
        print(f'  {name:<24}{mib:10.1f}')
    print()
    return {
        'sample_vs_sb3': ratio(sampling, 'stable-baselines3 (RAM)', 'sac_ros (disk)'),
        'sample_vs_cpprb': ratio(sampling, 'cpprb (RAM)', 'sac_ros (disk)'),
        'sample_vs_torchrl': ratio(sampling, 'torchrl (memmap)', 'sac_ros (disk)'),
        'append_vs_sb3': ratio(appending, 'stable-baselines3 (RAM)', 'sac_ros (disk)'),
        'large_vs_small': ratio(sizes, '100,000 records', '10,000,000 records'),
        'open_1m_s': min(opening),
        'private_mib': memory['sac_ros'],
        'private_mib_sb3': memory['stable-baselines3'],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--quick', action='store_true', help='fewer rounds, under 50 seconds')
    parser.add_argument('--directory', type=Path, help='where to write 3 GB; a temporary place')
    options = parser.parse_args()
    torch.set_num_threads(1)
    directory = Path(tempfile.mkdtemp(prefix='replay-', dir=options.directory))
    try:
        result = measure(directory, options.quick)
    finally:
        shutil.rmtree(directory)
    print(json.dumps({key: round(value, 3) for key, value in result.items()}))
    return 0


if __name__ == '__main__':
    sys.exit(main())
