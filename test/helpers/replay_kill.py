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

"""Kill a writing process again and again, and check after each time that nothing else was lost.

    python test/helpers/replay_kill.py DIRECTORY --rounds 10000

Half of the rounds kill from outside at a random time, half from inside at a random call to the
operating system: before it, after it, or after a part of a write.
"""

import argparse
import itertools
import mmap
import os
import random
import shutil
import signal
import struct
import sys
import time
import traceback
from pathlib import Path

import numpy as np
from replay_values import SMALL, assert_rows, make_spec, transition

from sac_ros.replay import ReplayReader, ReplayWriter
from sac_ros.replay.filesystem import FileSystem

CAPACITY = 4 * SMALL


class Deadly(FileSystem):
    """Dies at the n-th call."""

    def __init__(self, n, when):
        self.calls, self.n, self.when = itertools.count(1), n, when

    def _call(self, method, *arguments):
        last = next(self.calls) == self.n  # one step: a sync may run in a thread beside us
        if not last or self.when == 'after':
            result = method(*arguments)
        elif method.__name__ == 'write' and self.when == 'within':
            fd, data, offset = arguments
            os.pwrite(fd, data[: random.randrange(len(data))], offset)
        if last:
            os.kill(os.getpid(), signal.SIGKILL)
        return result


for _name in ('open', 'allocate', 'write', 'sync', 'sync_directory', 'rename', 'remove'):

    def _deadly(self, *arguments, _name=_name):
        return self._call(getattr(super(Deadly, self), _name), *arguments)

    setattr(Deadly, _name, _deadly)


def write_until_killed(directory, progress, files, seed):
    """Append for ever; `progress` holds the number of appends that returned."""
    random.seed(seed)
    writer = ReplayWriter(
        directory,
        make_spec(),
        capacity=CAPACITY,
        segment_records=SMALL,
        sync_every=random.choice([0, 10, 1000]),
        archive=random.random() < 0.5,
        files=files,
    )
    while True:
        sequence = writer.append(transition(writer.end), truncated=random.random() < 0.01)
        progress[:8] = struct.pack('<q', sequence + 1)


def one_round(directory, progress, chance):
    """Start a writer, kill it, and check what it left."""
    files, wait = None, chance.uniform(0, 0.03)
    if chance.random() < 0.5:
        kind = chance.choice(['before', 'within', 'after'])
        files, wait = Deadly(int(10 ** chance.uniform(0, 3)), kind), 10.0
    seed = chance.random()
    child = os.fork()
    if child == 0:
        try:
            write_until_killed(directory, progress, files, seed)
        except BaseException:
            traceback.print_exc()
            raise
        finally:
            os._exit(1)
    deadline = time.monotonic() + wait
    while time.monotonic() < deadline:
        if files and os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            break
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), 'the writer failed by itself'
    done = struct.unpack('<q', progress[:8])[0]
    if not (directory / 'spec.json').exists():
        assert done == 0
        return
    reader = ReplayReader(directory)
    assert not reader.holes.size, f'damaged records {reader.holes}'
    assert done <= reader.end <= done + 1, f'{done} appends returned, {reader.end} are there'
    assert len(reader) >= min(done, CAPACITY)
    assert_rows(reader, reader.sequences())
    progress[:8] = struct.pack('<q', reader.end)


def run(directory, rounds, seed):
    """Do that many rounds on one directory; raises AssertionError if anything was lost."""
    shutil.rmtree(directory, ignore_errors=True)
    progress = mmap.mmap(-1, 4096)
    chance = random.Random(seed)
    for number in range(rounds):
        try:
            one_round(directory, progress, chance)
        except AssertionError as error:
            raise AssertionError(f'round {number} with seed {seed}: {error}') from error
        if number % 500 == 499:
            shutil.rmtree(directory / 'archive', ignore_errors=True)
    return struct.unpack('<q', progress[:8])[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('directory', type=Path)
    parser.add_argument('--rounds', type=int, default=10_000)
    parser.add_argument('--seed', type=int, default=0)
    options = parser.parse_args()
    started = time.perf_counter()
    records = run(options.directory, options.rounds, options.seed)
    seconds = time.perf_counter() - started
    print(f'{options.rounds} kills, {records} records, nothing lost, {seconds:.0f} s')
    return 0


if __name__ == '__main__':
    np.seterr(all='raise')
    sys.exit(main())
