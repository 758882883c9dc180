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

"""Repair changes only what a kill explains, keeps a copy, and refuses everything else."""

import os

import numpy as np
import pytest
from replay_commands import command, flip
from replay_values import SMALL, assert_rows, fill, make_spec

from sac_ros.errors import ReplayError, SacRosError
from sac_ros.replay import ReplayReader, ReplayWriter
from sac_ros.replay.maintenance import verify
from sac_ros.replay.recovery import COPIES, repair
from sac_ros.replay.spec_file import read_spec
from sac_ros.spec import PolicySpec

WIDTH = 128  # bytes of a record of `make_spec`
COUNT = 3 * SMALL + 100


@pytest.fixture
def replay(tmp_path):
    """Four segments, the last one not full."""
    with ReplayWriter(tmp_path / 'r', make_spec(), segment_records=SMALL) as writer:
        fill(writer, 0, COUNT)
    return tmp_path / 'r'


def contents(directory):
    return {p.name: p.read_bytes() for p in directory.glob('*.seg')}


def overwrite(directory, sequence, data):
    with (directory / f'{sequence // SMALL:010d}.seg').open('r+b') as file:
        file.seek(sequence % SMALL * WIDTH)
        file.write(data)


def without_checksum(directory):
    """Write the specification as programs did that knew no checksum."""
    (directory / 'spec.json').write_text(read_spec(directory).to_json() + '\n')


def test_every_flipped_bit_of_the_specification_is_refused(replay):
    path, before = replay / 'spec.json', contents(replay)
    good = path.read_bytes()
    for place in range(0, 8 * len(good.rstrip()), 3):
        bad = bytearray(good)
        bad[place // 8] ^= 1 << place % 8
        path.write_bytes(bad)
        with pytest.raises(SacRosError):
            read_spec(replay)
    for action in (lambda: command('repair', replay, '--yes'),
                   lambda: ReplayWriter(replay, make_spec())):  # fmt: skip
        with pytest.raises(ReplayError, match=r'spec\.json'):
            action()
    assert contents(replay) == before


@pytest.mark.parametrize('size', [2, 8, 11, 14, 26])
def test_a_wrong_specification_without_checksum_changes_no_byte(replay, size, capsys):
    without_checksum(replay)
    path, before = replay / 'spec.json', contents(replay)
    path.write_text(path.read_text().replace('"size": 10', f'"size": {size}'))
    spec = read_spec(replay)
    assert command('verify', replay) == 1
    assert 'its records have 128 bytes' in capsys.readouterr().out
    for action in (lambda: command('repair', replay, '--yes'), lambda: ReplayWriter(replay, spec)):
        with pytest.raises(ReplayError, match=r'its records have 128 bytes, spec\.json'):
            action()
    assert contents(replay) == before


def test_a_single_record_under_a_wrong_specification_is_kept(tmp_path):
    with ReplayWriter(tmp_path, make_spec()) as writer:
        fill(writer, 0, 1)
    (tmp_path / 'spec.json').write_text(make_spec(30).to_json())
    before = contents(tmp_path)
    with pytest.raises(ReplayError, match='its records have 128 bytes'):
        ReplayWriter(tmp_path, make_spec(30))
    assert contents(tmp_path) == before


def test_directories_without_checksum_open(replay):
    without_checksum(replay)
    with ReplayWriter(replay, make_spec()) as writer:
        fill(writer, COUNT, COUNT + 5)
    assert_rows(ReplayReader(replay), np.arange(COUNT + 5))
    assert PolicySpec.from_json((replay / 'spec.json').read_text()) == make_spec()


@pytest.mark.parametrize('number', range(4))
@pytest.mark.parametrize('more', [65_536, 5, 10 * 65_536])
def test_a_segment_that_grew_costs_nothing(replay, number, more):
    path = replay / f'{number:010d}.seg'
    with path.open('ab') as file:
        file.write(bytes(more))
    grown = path.stat().st_size
    assert verify(replay).whole == COUNT
    with ReplayWriter(replay, make_spec()) as writer:
        fill(writer, COUNT, COUNT + SMALL)
    repair(replay)
    assert path.stat().st_size == grown
    assert_rows(ReplayReader(replay), np.arange(COUNT + SMALL))
    os.truncate(path, SMALL * WIDTH)
    assert_rows(ReplayReader(replay), np.arange(COUNT + SMALL))


def test_a_segment_that_was_renamed_is_refused_and_kept(replay):
    (replay / '0000000003.seg').rename(replay / '0000000007.seg')
    before = contents(replay)
    for action in (lambda: command('repair', replay, '--yes'),
                   lambda: ReplayWriter(replay, make_spec())):  # fmt: skip
        with pytest.raises(ReplayError, match=r'0000000007\.seg.*holds records from number 1536'):
            action()
    assert contents(replay) == before


def test_a_writer_cuts_one_torn_record_and_no_more(replay):
    overwrite(replay, COUNT, b'\x01' * 100)
    with ReplayWriter(replay, make_spec()) as writer:
        assert (writer.cut, writer.end) == (1, COUNT)
    for places in ([COUNT, COUNT + 1], [COUNT + 1], [COUNT + 300]):
        for place in places:
            overwrite(replay, place, b'\x01' * WIDTH)
        before = contents(replay)
        with pytest.raises(ReplayError, match=f'{len(places)} record.* after number {COUNT - 1}'):
            ReplayWriter(replay, make_spec())
        assert contents(replay) == before
        for place in places:
            overwrite(replay, place, bytes(WIDTH))


def test_repair_says_what_it_would_do_and_keeps_every_byte(replay, capsys):
    torn = {COUNT + i: bytes([i + 1]) * WIDTH for i in (0, 1, 2, 9)}
    for sequence, data in torn.items():
        overwrite(replay, sequence, data)
    flip(replay, 4)
    before = contents(replay)
    assert command('repair', replay) == 1
    shown = capsys.readouterr().out
    assert f'cut 4 torn records: {COUNT}-{COUNT + 2}, {COUNT + 9}' in shown
    assert '--yes' in shown
    assert contents(replay) == before
    assert command('repair', replay, '--yes') == 0
    shown = capsys.readouterr().out
    assert str(replay / COPIES) in shown
    assert '1 stay lost' in shown
    kept = {int(p.stem.split('-')[0]): p.read_bytes() for p in (replay / COPIES).iterdir()}
    assert kept == torn
    assert verify(replay).torn == 0
    with ReplayWriter(replay, make_spec()) as writer:
        assert writer.cut == 0
        fill(writer, COUNT, COUNT + 20)
    overwrite(replay, COUNT + 20, b'again')
    assert command('repair', replay) == 0  # a single one, as a kill leaves it
    assert len(list((replay / COPIES).iterdir())) == 5


def test_repair_completes_short_files_and_removes_leftovers(replay):
    os.truncate(replay / '0000000001.seg', 70 * WIDTH + 5)
    for name in ('0000000009.tmp', 'spec.tmp', 'mine.tmp'):
        (replay / name).touch()
    repair(replay)
    assert [p.name for p in replay.glob('*.tmp')] == ['mine.tmp']
    assert (replay / '0000000001.seg').stat().st_size == SMALL * WIDTH
    assert verify(replay).whole == COUNT - SMALL + 70


def test_a_repair_that_fails_has_kept_the_copy(replay, tmp_path):
    """The copy is on the disk before the first byte changes."""
    overwrite(replay, COUNT, b'\x07' * WIDTH)
    (replay / COPIES).write_text('in the way')
    before = contents(replay)
    with pytest.raises(ReplayError, match='cannot repair'):
        repair(replay)
    assert contents(replay) == before


@pytest.mark.parametrize('name', ['a b', 'x[/]y', 'n\nl', '*?', '-d', 'ünïcode'])
def test_paths_of_every_kind(tmp_path, name, capsys):
    directory = tmp_path / name
    with ReplayWriter(directory, make_spec(), segment_records=SMALL) as writer:
        fill(writer, 0, SMALL + 10)
        with pytest.raises(ReplayError) as refused:
            ReplayWriter(directory, make_spec())
    assert '\n' not in str(refused.value)
    for arguments in (('verify', directory), ('info', directory), ('repair', directory)):
        assert command(*arguments) == 0
    assert command('merge', directory, '--into', tmp_path / (name + '2')) == 0
    assert_rows(ReplayReader(tmp_path / (name + '2')), np.arange(SMALL + 10))
