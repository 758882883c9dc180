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

"""Record i carries the value i: through wrap-around, reopening, readers and damage."""

import errno
import fcntl
import logging
import math
import os
import stat
import subprocess
import sys
import zlib

import numpy as np
import pytest
from replay_values import SMALL, NoSync, assert_rows, fill, make_spec, transition

from sac_ros.errors import ReplayError, SpecMismatch
from sac_ros.replay import DataSource, ReplayReader, ReplayWriter
from sac_ros.replay.format import Layout, segment_numbers


def test_records_survive_reopening_across_segments(tmp_path):
    total = 0
    for _ in range(4):
        with ReplayWriter(tmp_path / 'r', make_spec(), segment_records=SMALL) as writer:
            assert len(writer) == total
            fill(writer, total, total + 3 * SMALL // 2)
            total += 3 * SMALL // 2
            assert_rows(writer, np.arange(total))
    reader = ReplayReader(tmp_path / 'r', make_spec())
    assert len(reader) == total
    assert_rows(reader, np.arange(total))


@pytest.mark.parametrize('n_observation', [1, 2, 3, 4, 5, 6, 7, 8, 24])
def test_every_record_size_maps_and_reads_back(tmp_path, n_observation):
    spec = make_spec(n_observation, 3)
    with ReplayWriter(tmp_path / 'r', spec, segment_records=1) as writer:
        rounded = writer.layout.whole_pages(1)
        fill(writer, 0, rounded + 10)
    reader = ReplayReader(tmp_path / 'r')
    assert_rows(reader, np.arange(rounded + 10))


def test_ring_keeps_the_newest_and_drops_whole_segments(tmp_path):
    writer = ReplayWriter(tmp_path / 'r', make_spec(), capacity=3 * SMALL, segment_records=SMALL)
    reader = ReplayReader(tmp_path / 'r')
    for i in range(SMALL * 100):  # far past the addresses reserved at first
        writer.append(transition(i), truncated=False)
        if i % 97 == 0:
            reader.refresh()
            kept = np.arange(writer.start, writer.end)
            assert min(i + 1, 3 * SMALL) <= len(kept) <= 4 * SMALL
            assert_rows(writer, kept)
            assert_rows(reader, np.arange(reader.start, reader.end))
    segments = list((tmp_path / 'r').glob('*.seg'))
    assert len(segments) <= 4
    writer.close()
    reopened = ReplayReader(tmp_path / 'r')
    assert reopened.end == SMALL * 100
    assert_rows(reopened, np.arange(reopened.start, reopened.end))


def test_ring_archive_is_itself_a_replay_of_everything_dropped(tmp_path):
    with ReplayWriter(
        tmp_path / 'r', make_spec(), capacity=SMALL, segment_records=SMALL, archive=True
    ) as writer:
        fill(writer, 0, 10 * SMALL)
        kept = writer.start
    archive = ReplayReader(tmp_path / 'r' / 'archive', make_spec())
    assert (archive.start, archive.end) == (0, kept)
    assert_rows(archive, np.arange(kept))


def test_reader_sees_new_records_without_reopening(tmp_path):
    writer = ReplayWriter(tmp_path / 'r', make_spec(), segment_records=SMALL)
    reader = ReplayReader(tmp_path / 'r')
    assert len(reader) == 0
    for i in range(3 * SMALL):
        writer.append(transition(i), truncated=False)
        assert reader.refresh() == 1
        assert len(reader) == i + 1
        assert reader.refresh() == 0
    assert_rows(reader, np.arange(3 * SMALL))


def test_a_record_written_while_we_looked_past_it_is_no_damage(tmp_path):
    """A reader may pass a place just before it is filled, and then see the ones after it."""
    writer = ReplayWriter(tmp_path / 'r', make_spec())
    reader = ReplayReader(tmp_path / 'r')
    fill(writer, 0, 20)
    valid, looks = reader.layout.valid, []

    def too_early(rows, first):
        whole = valid(rows, first)
        if not looks:
            whole[3:6] = False
        looks.append(first)
        return whole

    reader.layout.valid = too_early
    assert reader.refresh()
    assert reader.sequences().tolist() == list(range(20))


def test_a_segment_dropped_meanwhile_is_not_drawn_as_zeros(tmp_path, monkeypatch):
    """A reader that moves to a larger map may find that a segment it knew is gone."""
    monkeypatch.setattr('sac_ros.replay.records._MIN_SLOTS', 2)
    with ReplayWriter(
        tmp_path / 'r', make_spec(), capacity=SMALL, segment_records=SMALL
    ) as writer:
        fill(writer, 0, SMALL)
        reader = ReplayReader(tmp_path / 'r')
        assert len(reader) == SMALL
        fill(writer, SMALL, 4 * SMALL)
        start = writer.start
    assert start
    listed = [[0, 1, 2, 3]]
    monkeypatch.setattr(
        'sac_ros.replay.reader.segment_numbers',
        lambda directory: listed.pop() if listed else segment_numbers(directory),
    )
    reader.refresh()
    assert reader.sequences().tolist() == list(range(start, 4 * SMALL))
    assert_rows(reader, reader.sequences())


def test_reopening_syncs_what_a_killed_writer_left(tmp_path):
    class Counting(NoSync):
        def sync(self, fd):
            synced.append(os.readlink(f'/proc/self/fd/{fd}'))

    with ReplayWriter(tmp_path / 'r', make_spec()) as writer:
        fill(writer, 0, 5)
    synced = []
    with ReplayWriter(tmp_path / 'r', make_spec(), files=Counting()) as writer:
        assert writer.durable_end == 5
        assert synced == [str(tmp_path / 'r' / '0000000000.seg')]


def test_episodes_move_on_at_their_end_and_at_reopening(tmp_path):
    with ReplayWriter(tmp_path / 'r', make_spec()) as writer:
        for i in range(12):
            writer.append(transition(i, terminated=i == 3), truncated=i == 7)
    with ReplayWriter(tmp_path / 'r', make_spec()) as writer:
        writer.append(
            transition(12), truncated=False, source=DataSource.HUMAN, policy_hash=0xFFFFFFFF
        )
        rows = writer.rows(np.arange(13))
    layout = writer.layout
    assert layout.episode(rows).tolist() == [0] * 4 + [1] * 4 + [2] * 4 + [3]
    assert np.flatnonzero(layout.truncated(rows)).tolist() == [7]
    assert np.flatnonzero(layout.split(rows).terminated).tolist() == [3]
    assert layout.source(rows).tolist() == [DataSource.SIM] * 12 + [DataSource.HUMAN]
    assert layout.policy_hash(rows)[-1] == 0xFFFFFFFF
    assert (np.diff(layout.stamp(rows)) > 0).all()


def test_a_zero_record_of_any_size_does_not_verify():
    for n_observation in range(1, 400):
        layout = Layout(n_observation, 3)
        assert not layout.valid(np.zeros((1, layout.words), np.float32), 0).any()
        assert zlib.crc32(bytes(layout.record_bytes - 4)) != 0


def test_another_robot_is_refused_and_nothing_is_touched(tmp_path):
    with ReplayWriter(tmp_path / 'r', make_spec()) as writer:
        fill(writer, 0, 10)
    before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in (tmp_path / 'r').iterdir()}
    for open_it in (ReplayWriter, ReplayReader):
        with pytest.raises(SpecMismatch, match='different robots'):
            open_it(tmp_path / 'r', make_spec(11))
    after = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in (tmp_path / 'r').iterdir()}
    assert before == after


def test_missing_and_foreign_directories_are_named(tmp_path):
    with pytest.raises(ReplayError, match='no replay directory'):
        ReplayReader(tmp_path / 'missing')
    (tmp_path / 'photo.jpg').write_bytes(b'x')
    with pytest.raises(ReplayError, match=r'no spec\.json'):
        ReplayReader(tmp_path)
    with pytest.raises(ReplayError, match=r'photo\.jpg'):
        ReplayWriter(tmp_path, make_spec())
    with pytest.raises(ReplayError, match='is a file'):
        ReplayWriter(tmp_path / 'photo.jpg', make_spec())
    assert [p.name for p in tmp_path.iterdir()] == ['photo.jpg']


def test_a_second_writer_is_told_who_holds_the_directory(tmp_path):
    script = (
        'import sys, replay_values as t\n'
        'from sac_ros.replay import ReplayWriter\n'
        'writer = ReplayWriter(sys.argv[1], t.make_spec())\n'
        'print("ready", flush=True)\n'
        'sys.stdin.read()\n'
    )
    with subprocess.Popen(
        [sys.executable, '-c', script, tmp_path / 'r'],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout.readline() == b'ready\n'
        with pytest.raises(ReplayError, match=f'process {holder.pid} on'):
            ReplayWriter(tmp_path / 'r', make_spec())
        holder.kill()
    ReplayWriter(tmp_path / 'r', make_spec()).close()


def test_a_removed_lock_file_lets_no_second_writer_in(tmp_path):
    with ReplayWriter(tmp_path / 'r', make_spec(), sync_every=2) as writer:
        fill(writer, 0, 5)
        (tmp_path / 'r' / 'lock').unlink()
        with pytest.raises(ReplayError, match='is being written by another process'):
            ReplayWriter(tmp_path / 'r', make_spec())
        fill(writer, 5, 20)
    with ReplayWriter(tmp_path / 'r', make_spec()) as writer:
        assert_rows(writer, np.arange(20))


@pytest.mark.parametrize('directories', [True, False])
def test_a_directory_that_changes_under_a_writer_stops_it(tmp_path, monkeypatch, directories):
    """Also where the file system locks files alone, as NFS does."""
    if not directories:
        flock = fcntl.flock

        def refuse_directories(fd, flags):
            if stat.S_ISDIR(os.fstat(fd).st_mode):
                raise OSError(errno.EBADF, 'no lock of a directory')
            flock(fd, flags)

        monkeypatch.setattr(fcntl, 'flock', refuse_directories)
    writer = ReplayWriter(tmp_path / 'r', make_spec(), segment_records=SMALL, sync_every=1)
    fill(writer, 0, SMALL)
    (tmp_path / 'r').rename(tmp_path / 'moved')
    other = ReplayWriter(tmp_path / 'r', make_spec(), segment_records=SMALL)
    with pytest.raises(ReplayError, match='was moved, or its lock removed'):
        writer.append(transition(SMALL), truncated=False)
    assert list((tmp_path / 'r').glob('*.seg')) == []
    fill(other, 0, 3)
    other.close()
    writer.close()
    assert_rows(ReplayReader(tmp_path / 'moved'), np.arange(SMALL))
    if not directories:
        writer = ReplayWriter(tmp_path / 'r', make_spec(), sync_every=1)
        (tmp_path / 'r' / 'lock').unlink()
        ReplayWriter(tmp_path / 'r', make_spec()).close()
        with pytest.raises(ReplayError, match='its lock removed'):
            writer.append(transition(3), truncated=False)
        writer.close()


def test_bad_transitions_are_refused_and_store_nothing(tmp_path):
    with ReplayWriter(tmp_path / 'r', make_spec()) as writer:
        fill(writer, 0, 3)
        good = transition(3)
        bad = [
            good._replace(observation=good.observation[:2]),
            good._replace(next_observation=1.0),
            good._replace(action=np.zeros(3)),
            good._replace(reward=np.nan),
            good._replace(next_observation=good.observation * np.inf),
        ]
        for wrong in bad:
            with pytest.raises(ReplayError):
                writer.append(wrong, truncated=False)
        with pytest.raises(ReplayError, match='policy_hash'):
            writer.append(good, truncated=False, policy_hash=-1)
        huge = good._replace(action=np.full(2, 3e38))  # finite, though its square is not
        with np.errstate(over='ignore'):
            assert writer.append(huge, truncated=False) == 3
    assert len(ReplayReader(tmp_path / 'r')) == 4


def test_closed_writer_says_so(tmp_path):
    writer = ReplayWriter(tmp_path / 'r', make_spec())
    fill(writer, 0, 5)
    writer.close()
    writer.close()
    with pytest.raises(ReplayError, match='closed'):
        writer.append(transition(5), truncated=False)


def test_lost_spec_file_costs_nothing(tmp_path):
    with ReplayWriter(tmp_path / 'r', make_spec()) as writer:
        fill(writer, 0, 50)
    (tmp_path / 'r' / 'spec.json').unlink()
    with pytest.raises(ReplayError, match='belong to another robot'):
        ReplayWriter(tmp_path / 'r', make_spec(11))
    with ReplayWriter(tmp_path / 'r', make_spec()) as writer:
        assert_rows(writer, np.arange(50))
    assert len(ReplayReader(tmp_path / 'r', make_spec())) == 50


def test_a_damaged_record_is_skipped_reported_and_never_drawn(tmp_path, caplog):
    with ReplayWriter(tmp_path / 'r', make_spec(), segment_records=SMALL) as writer:
        fill(writer, 0, 2 * SMALL)
        width = writer.layout.record_bytes
    damaged = [0, 7, 8, SMALL - 1, SMALL + 5]
    for sequence in damaged:
        with (tmp_path / 'r' / f'{sequence // SMALL:010d}.seg').open('r+b') as file:
            file.seek(sequence % SMALL * width + sequence % width)
            byte = file.read(1)[0]
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte ^ 0x10]))
    with caplog.at_level(logging.WARNING):
        reader = ReplayReader(tmp_path / 'r')
    assert '5 damaged records are skipped' in caplog.text
    assert reader.holes.tolist() == damaged
    assert len(reader) == 2 * SMALL - 5
    drawn = reader.sample(200_000, np.random.default_rng(0)).reward
    assert set(drawn.astype(int)) == set(range(2 * SMALL)) - set(damaged)


@pytest.mark.parametrize('n_observation', [1_000, 10_000])
def test_long_records_do_not_make_a_huge_segment(tmp_path, n_observation):
    assert Layout.of(make_spec(25)).usual_records == 65_536
    spec = make_spec(n_observation)
    with ReplayWriter(tmp_path / 'r', spec, sync_every=10**6, files=NoSync()) as writer:
        fill(writer, 0, 60)
        records = writer.segment_records
    size = (tmp_path / 'r' / '0000000000.seg').stat().st_size
    assert size == records * writer.layout.record_bytes <= 2**26
    assert_rows(ReplayReader(tmp_path / 'r'), np.arange(60))
    with ReplayWriter(tmp_path / 'r', spec, files=NoSync()) as writer:  # and is found again
        fill(writer, 60, records + 3)
    reader = ReplayReader(tmp_path / 'r')
    assert reader.segment_records == records
    assert_rows(reader, np.array([0, records - 1, records, records + 2]))


def test_long_records_in_larger_segments_are_still_read(tmp_path):
    spec = make_spec(2_500)
    size = 65_536 // math.gcd(65_536, Layout.of(spec).record_bytes)  # whole pages of any machine
    with ReplayWriter(tmp_path / 'r', spec, segment_records=size, files=NoSync()) as writer:
        fill(writer, 0, 3)
    with ReplayWriter(tmp_path / 'r', spec, files=NoSync()) as writer:
        assert writer.segment_records == size
        fill(writer, 3, 5)
    assert_rows(ReplayReader(tmp_path / 'r'), np.arange(5))
