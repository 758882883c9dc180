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

"""Kill, damage and power loss: what was stored stays, what is broken is never drawn."""

import os
import random
import subprocess
import sys

import numpy as np
import pytest
from paths import HELPERS
from replay_values import SMALL, NoSync, assert_rows, fill, make_spec, transition

from sac_ros.errors import ReplayError
from sac_ros.replay import ReplayReader, ReplayWriter
from sac_ros.replay.recovery import repair

SECTOR = 512  # [bytes] what a disk writes whole or not at all


def test_200_kills_lose_nothing(tmp_path):
    script = HELPERS / 'replay_kill.py'
    done = subprocess.run(
        [sys.executable, script, tmp_path / 'r', '--rounds', '200', '--seed', '1'],
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert '200 kills' in done.stdout


def damage(directory, chance, written, width):
    """Change bytes at random; returns the sequence numbers of the records that changed."""
    contents = {n: (directory / f'{n:010d}.seg').read_bytes() for n in range(3)}
    changed = {n: bytearray(c) for n, c in contents.items()}
    for _ in range(chance.choice([1, 1, 3, 20])):
        data = changed[chance.randrange(3)]
        first = chance.randrange(len(data))
        if chance.random() < 0.3:  # at the tail, where a crash would tear
            first = chance.randrange(written % SMALL * width - 2 * width, len(data))
            data = changed[2]
        length = chance.choice([1, 1, 4, 100, SECTOR, 5000])
        kind = chance.choice(['flip', 'noise', 'zeros', 'copy'])
        stop = min(first + length, len(data))
        if kind == 'flip':
            data[first] ^= 1 << chance.randrange(8)
        elif kind == 'copy':  # a misdirected write: whole records at the wrong place
            data[:width] = data[width : 2 * width]
        else:
            data[first:stop] = (
                chance.randbytes(stop - first) if kind == 'noise' else bytes(stop - first)
            )
    hurt = set()
    for n, data in changed.items():
        (directory / f'{n:010d}.seg').write_bytes(data)
        old = np.frombuffer(contents[n], np.uint8).reshape(-1, width)
        new = np.frombuffer(bytes(data), np.uint8).reshape(-1, width)
        hurt |= set((np.flatnonzero((old != new).any(axis=1)) + n * SMALL).tolist())
    return hurt


def test_damage_anywhere_costs_only_the_records_it_touched(tmp_path):
    written, refused = 2 * SMALL + SMALL // 2, 0
    for seed in range(60):
        directory, chance = tmp_path / str(seed), random.Random(seed)
        with ReplayWriter(directory, make_spec(), segment_records=SMALL) as writer:
            fill(writer, 0, written)
            width = writer.layout.record_bytes
        hurt = damage(directory, chance, written, width)
        whole = [i for i in range(written) if i not in hurt]
        reader = ReplayReader(directory)
        assert reader.sequences().tolist() == whole
        assert_rows(reader, reader.sequences())
        drawn = reader.sample(5000, np.random.default_rng(seed)).reward.astype(int)
        assert not hurt.intersection(drawn.tolist())

        end, left = whole[-1] + 1, reader.after_end().tolist()
        if left not in ([], [end]):  # more than a kill does
            before = [path.read_bytes() for path in sorted(directory.glob('*.seg'))]
            with pytest.raises(ReplayError, match='repair'):
                ReplayWriter(directory, make_spec())
            assert [path.read_bytes() for path in sorted(directory.glob('*.seg'))] == before
            repair(directory, yes=True)
            refused += 1
        with ReplayWriter(directory, make_spec()) as writer:
            assert writer.end == end
            assert writer.holes.tolist() == [i for i in range(end) if i in hurt]
            fill(writer, end, end + 2 * SMALL)
        assert ReplayReader(directory).sequences().tolist() == [
            *whole,
            *range(end, end + 2 * SMALL),
        ]
    assert refused > 3


@pytest.mark.parametrize('size', [0, 1, 4096, 70 * 128 + 5])
def test_a_file_cut_short_costs_only_what_was_cut(tmp_path, size):
    with ReplayWriter(tmp_path / 'r', make_spec(), segment_records=SMALL) as writer:
        fill(writer, 0, 2 * SMALL)
    os.truncate(tmp_path / 'r' / '0000000001.seg', size)
    left = SMALL + size // 128
    with ReplayWriter(tmp_path / 'r', make_spec()) as writer:
        assert writer.sequences().tolist() == list(range(left))
        fill(writer, left, 3 * SMALL)
    assert_rows(ReplayReader(tmp_path / 'r'), np.arange(3 * SMALL))


def test_a_lost_segment_in_the_middle_costs_only_itself(tmp_path):
    with ReplayWriter(tmp_path / 'r', make_spec(), segment_records=SMALL) as writer:
        fill(writer, 0, 3 * SMALL)
    (tmp_path / 'r' / '0000000001.seg').unlink()
    kept = [*range(SMALL), *range(2 * SMALL, 3 * SMALL)]
    with ReplayWriter(tmp_path / 'r', make_spec()) as writer:
        assert writer.sequences().tolist() == kept
        fill(writer, 3 * SMALL, 3 * SMALL + 5)
        drawn = writer.sample(10_000, np.random.default_rng(0)).reward
    assert set(drawn.astype(int).tolist()) == {*kept, *range(3 * SMALL, 3 * SMALL + 5)}


class PowerCut(BaseException):
    """The plug is pulled."""


class Disk(NoSync):
    """Remembers what would survive power loss, and cuts the power at the n-th call.

    A file is the bytes of its last sync plus, for each sector written since, every version it had.
    A directory is its names at the last sync plus the changes since.
    """

    def __init__(self, cut_at):
        self.left = cut_at
        self.synced, self.versions, self.of_fd = {}, {}, {}  # by inode; inode by descriptor
        self.names, self.changes = {}, []  # path -> inode; (path, inode or None) since the sync

    def tick(self):
        self.left -= 1
        if self.left == 0:
            raise PowerCut

    def open(self, path, flags):
        self.tick()
        fd = super().open(path, flags)
        inode = os.fstat(fd).st_ino
        if flags & os.O_TRUNC:
            self.synced[inode], self.versions[inode] = b'', {}
            self.changes.append((path, inode))
        self.of_fd[fd] = inode
        return fd

    def write(self, fd, data, offset):
        self.tick()
        done = super().write(fd, data, offset)
        versions = self.versions[self.of_fd[fd]]
        for sector in range(offset // SECTOR, (offset + done - 1) // SECTOR + 1):
            seen = versions.setdefault(sector, [])
            seen.append(os.pread(fd, SECTOR, sector * SECTOR))
        return done

    def sync(self, fd):
        self.tick()
        super().sync(fd)
        inode = self.of_fd[fd]
        self.synced[inode] = os.pread(fd, 1 << 30, 0)
        self.versions[inode].clear()

    def sync_directory(self, path):
        self.tick()
        super().sync_directory(path)
        for name, inode in self.changes:
            if name.parent == path:
                self._change(self.names, name, inode)
        self.changes = [change for change in self.changes if change[0].parent != path]

    def rename(self, source, target):
        self.tick()
        inode = os.stat(source).st_ino
        super().rename(source, target)
        self.changes += [(target, inode), (source, None)]

    def remove(self, path):
        self.tick()
        super().remove(path)
        self.changes.append((path, None))

    @staticmethod
    def _change(names, name, inode):
        if inode is None:
            names.pop(name, None)
        else:
            names[name] = inode

    def after_the_cut(self, directory, target, chance):
        """Write what the disk holds: all that was synced, any part of what was not."""
        names = dict(self.names)
        for name, inode in self.changes[: chance.randint(0, len(self.changes))]:
            self._change(names, name, inode)
        for name, inode in names.items():
            data = bytearray(self.synced[inode])
            for sector, versions in self.versions[inode].items():
                if chance.random() < 0.5:
                    new = chance.choice(versions)
                    data[sector * SECTOR : sector * SECTOR + len(new)] = new
            path = target / name.relative_to(directory)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)


def write_until_the_cut(directory, disk, chance):
    """Append through segments and drops; returns how many are durable, and if it archives."""
    durable, archive = 0, chance.random() < 0.5
    try:
        writer = ReplayWriter(
            directory,
            make_spec(),
            capacity=chance.choice([0, SMALL]),
            segment_records=SMALL,
            sync_every=chance.choice([0, 7, 100]),
            archive=archive,
            files=disk,
        )
        for i in range(4 * SMALL):
            writer.append(transition(i), truncated=False)
            if chance.random() < 0.01:
                writer.sync()
            durable = writer.durable_end
    except PowerCut:
        pass
    return durable, archive


def test_power_loss_keeps_everything_up_to_the_last_sync(tmp_path):
    lost_something = 0
    for seed in range(120):
        chance = random.Random(seed)
        directory, left = tmp_path / f'{seed}', tmp_path / f'{seed}-left'
        disk = Disk(cut_at=int(10 ** chance.uniform(0, 3.4)))
        durable, archived = write_until_the_cut(directory, disk, chance)
        left.mkdir()
        disk.after_the_cut(directory, left, chance)
        with ReplayWriter(left, make_spec(), segment_records=SMALL) as writer:
            assert writer.end >= durable
            kept = writer.sequences()
            assert_rows(writer, kept)
            oldest = writer.start
            assert set(range(oldest, durable)) <= set(kept.tolist())
            lost_something += len(writer.holes) + writer.cut > 0
            fill(writer, writer.end, writer.end + SMALL)
        if archived and oldest:
            archive = ReplayReader(left / 'archive')
            assert archive.sequences()[:oldest].tolist() == list(range(oldest))
            assert_rows(archive, archive.sequences())
    assert lost_something > 10  # else the simulation tore nothing and proves nothing
