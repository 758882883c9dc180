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

"""Looking into replay directories, and carrying them to other formats and back."""

import json

import numpy as np
import pytest
from paths import ROOT
from replay_commands import command, flip
from replay_values import SMALL, assert_rows, fill, make_spec, transition

from sac_ros.cli.replay import bars
from sac_ros.errors import ReplayError, SpecMismatch
from sac_ros.replay import DataSource, ReplayReader, ReplayWriter
from sac_ros.replay.maintenance import merge, summarize, verify
from sac_ros.replay.recovery import repair


def write_mixed(directory, count=300, first=0):
    """Episodes with every kind of end, a restart among them, and every kind of source."""
    for start, stop in ((first, first + count // 2), (first + count // 2, first + count)):
        with ReplayWriter(directory, make_spec(), segment_records=SMALL) as writer:
            for i in range(start, stop):
                writer.append(
                    transition(i, terminated=i % 37 == 36),
                    truncated=i % 50 == 49,
                    source=DataSource(i % 3),
                    policy_hash=i // 100,
                    stamp_ns=i * 10**9,
                )


def contents(directory):
    """Everything in the records but their CRC."""
    reader = ReplayReader(directory)
    return reader.rows(reader.sequences()).view(np.uint32)[:, :-1]


def test_summary_counts_what_is_there(tmp_path):
    write_mixed(tmp_path / 'r')
    summary = summarize(tmp_path / 'r')
    ends = [i for i in range(300) if i % 37 == 36 or i % 50 == 49 or i == 149]
    assert len(summary.returns) == len(ends) + (ends[-1] != 299)
    assert summary.lengths.sum() == summary.records == 300
    assert summary.returns.sum() == sum(range(300))
    assert summary.lengths[0] == ends[0] + 1
    assert summary.terminated == sum(i % 37 == 36 for i in range(300))
    assert summary.truncated == sum(i % 50 == 49 for i in range(300))
    assert summary.by_source == {DataSource.SIM: 100, DataSource.REAL: 100, DataSource.HUMAN: 100}
    assert summary.policies == 3
    for axis in summary.coverage:
        assert axis.counts.sum() + axis.outside == 300


def test_info_shows_it(tmp_path, capsys):
    write_mixed(tmp_path / 'r')
    flip(tmp_path / 'r', 7)
    assert command('info', tmp_path / 'r') == 0
    shown = capsys.readouterr().out
    for expected in ('299 transitions', 'real', 'return', 'joint_0', 'DAMAGED    1 records'):
        assert expected in shown
    assert all(len(line) < 120 for line in shown.splitlines()[1:])


def test_info_of_an_empty_replay(tmp_path, capsys):
    ReplayWriter(tmp_path / 'r', make_spec()).close()
    assert command('info', tmp_path / 'r') == 0
    assert ' 0 transitions' in capsys.readouterr().out


def test_bars_show_every_count():
    assert bars(np.array([0, 1, 1000])) == ' ▁█'


def test_verify_and_repair(tmp_path, capsys):
    directory = tmp_path / 'r'
    with ReplayWriter(directory, make_spec(), segment_records=SMALL) as writer:
        fill(writer, 0, 3 * SMALL // 2)
    assert command('verify', directory) == 0
    flip(directory, 4)
    flip(directory, 5)
    flip(directory, 3 * SMALL // 2 - 1)
    (directory / '0000000009.tmp').touch()
    before = verify(directory)
    assert (before.whole, before.damaged.tolist(), before.torn) == (765, [4, 5], 1)
    assert command('verify', directory) == 1
    assert 'damaged: 4-5' in capsys.readouterr().out
    assert repair(directory).torn.tolist() == [3 * SMALL // 2 - 1]
    after = verify(directory)
    assert (after.whole, after.damaged.tolist(), after.torn) == (765, [4, 5], 0)
    assert not list(directory.glob('*.tmp'))


def test_repair_refuses_a_directory_that_is_being_written(tmp_path):
    with (
        ReplayWriter(tmp_path / 'r', make_spec()),
        pytest.raises(ReplayError, match='is being written'),
    ):
        repair(tmp_path / 'r')


def test_merge_keeps_every_field_and_the_bounds_of_episodes(tmp_path, capsys):
    write_mixed(tmp_path / 'a')
    write_mixed(tmp_path / 'b', first=0, count=100)
    flip(tmp_path / 'a', 60)
    assert command('merge', tmp_path / 'a', tmp_path / 'b', '--into', tmp_path / 'c') == 1
    assert f'1 are missing or damaged in {tmp_path / "a"}: 60' in capsys.readouterr().out
    a, b, c = (contents(tmp_path / name) for name in 'abc')
    layout = ReplayReader(tmp_path / 'c').layout
    numbers = [layout.trailer + 2, layout.trailer + 3, layout.trailer + 4]  # sequence, episode
    np.testing.assert_array_equal(
        np.delete(c, numbers, axis=1), np.delete(np.concatenate([a, b]), numbers, axis=1)
    )
    episode = c[:, layout.trailer + 4].astype(int)
    boundary = np.flatnonzero(np.diff(episode))
    old = np.concatenate([np.diff(a[:, layout.trailer + 4].astype(int)), [1],
                          np.diff(b[:, layout.trailer + 4].astype(int))])  # fmt: skip
    expected = set(np.flatnonzero(old)) | {59}  # the damaged record parts an episode
    assert set(boundary) == expected


def test_merge_checks_before_it_writes(tmp_path):
    write_mixed(tmp_path / 'a')
    ReplayWriter(tmp_path / 'other', make_spec(11)).close()
    with pytest.raises(SpecMismatch):
        merge([tmp_path / 'a', tmp_path / 'other'], tmp_path / 'c')
    with pytest.raises(ReplayError, match='into itself'):
        merge([tmp_path / 'a'], tmp_path / 'a')
    assert not (tmp_path / 'c').exists()


@pytest.mark.parametrize('order', [('archive', '.'), ('.', 'archive')])
def test_merge_finds_a_segment_that_moves_between_two_looks(tmp_path, monkeypatch, order):
    writer = ReplayWriter(
        tmp_path / 'r', make_spec(), capacity=SMALL, segment_records=SMALL, archive=True
    )
    fill(writer, 0, 4 * SMALL)

    def open_and_move(path):
        reader = ReplayReader(path)
        fill(writer, writer.end, writer.end + 2 * SMALL)
        return reader

    monkeypatch.setattr('sac_ros.replay.maintenance.ReplayReader', open_and_move)
    merged = merge([tmp_path / 'r' / name for name in order], tmp_path / 'c')
    writer.close()
    assert merged.missing == []
    rewards = ReplayReader(tmp_path / 'c')
    rewards = rewards.layout.split(rewards.rows(rewards.sequences())).reward
    assert sorted(rewards.tolist()) == list(range(merged.records))
    assert merged.records >= 4 * SMALL


def test_merge_reports_what_its_sources_lack(tmp_path, capsys):
    with ReplayWriter(
        tmp_path / 'r', make_spec(), capacity=SMALL, segment_records=SMALL, archive=True
    ) as writer:
        fill(writer, 0, 6 * SMALL)
        start = writer.start
    archive = tmp_path / 'r' / 'archive'
    (archive / '0000000001.seg').unlink()
    (archive / f'{start // SMALL - 1:010d}.seg').unlink()
    arguments = ('merge', archive, tmp_path / 'r', '--into', tmp_path / 'c')
    assert command(*arguments) == 1
    lost = f'{SMALL}-{2 * SMALL - 1}, {start - SMALL}-{start - 1}'
    assert f'{2 * SMALL:,} are missing or damaged in {archive}: {lost}' in capsys.readouterr().out


@pytest.fixture
def minari(tmp_path, monkeypatch):
    monkeypatch.setenv('MINARI_DATASETS_PATH', str(tmp_path / 'minari'))
    pytest.importorskip('h5py', reason='h5py is not installed')
    return pytest.importorskip('minari', reason='Minari is not installed')


@pytest.mark.usefixtures('minari')
def test_minari_round_trip_is_exact(tmp_path, monkeypatch):
    monkeypatch.setattr('sac_ros.replay.minari.BATCH', 3)
    write_mixed(tmp_path / 'a')
    assert command('export', tmp_path / 'a', '--minari', 'test/mixed-v0') == 0
    assert command('import', tmp_path / 'b', '--minari', 'test/mixed-v0') == 0
    np.testing.assert_array_equal(contents(tmp_path / 'a'), contents(tmp_path / 'b'))
    assert ReplayReader(tmp_path / 'a').spec == ReplayReader(tmp_path / 'b').spec
    with pytest.raises(ReplayError, match='already'):
        command('export', tmp_path / 'a', '--minari', 'test/mixed-v0')
    with pytest.raises(ReplayError, match=r'there are: test/mixed-v0'):
        command('import', tmp_path / 'c', '--minari', 'test/missing-v0')


def test_minari_dataset_of_others_is_scaled(tmp_path, minari):
    from gymnasium.spaces import Box
    from minari.data_collector.episode_buffer import EpisodeBuffer

    observations = np.arange(60, dtype=np.float32).reshape(6, 10)
    episode = EpisodeBuffer(
        observations=observations,
        actions=np.array([[0, -2], [4, 2], [2, 0], [1, 1], [3, -1]], np.float32),
        rewards=np.arange(5.0),
        terminations=np.array([False] * 5),
        truncations=np.array([False] * 4 + [True]),
    )
    minari.create_dataset_from_buffers(
        'test/other-v0',
        [episode],
        observation_space=Box(-np.inf, np.inf, (10,), np.float32),
        action_space=Box(np.array([0, -2], np.float32), np.array([4, 2], np.float32)),
    )
    with pytest.raises(ReplayError, match='--spec'):
        command('import', tmp_path / 'r', '--minari', 'test/other-v0')
    (tmp_path / 'spec.json').write_text(make_spec().to_json())
    options = ('--spec', tmp_path / 'spec.json', '--source', 'human')
    command('import', tmp_path / 'r', '--minari', 'test/other-v0', *options)
    reader = ReplayReader(tmp_path / 'r')
    rows = reader.rows(reader.sequences())
    got = reader.layout.split(rows)
    np.testing.assert_array_equal(got.next_observation, observations[1:])
    assert got.action.tolist() == [[-1, -1], [1, 1], [0, 0], [-0.5, 0.5], [0.5, -0.5]]
    assert reader.layout.truncated(rows).tolist() == [False] * 4 + [True]
    assert set(reader.layout.source(rows).tolist()) == {DataSource.HUMAN}


@pytest.mark.parametrize('n_observation', [10, 3, 4])
def test_reader_of_the_page_reads_what_we_read(tmp_path, n_observation):
    """The numpy code printed in docs/reference/replay.md, word for word."""
    page = (ROOT / 'docs' / 'reference' / 'replay.md').read_text()
    code = page.split('```python\n')[1].split('```')[0]
    assert len(code.splitlines()) <= 12
    with ReplayWriter(tmp_path / 'r', make_spec(n_observation), segment_records=1) as writer:
        for i in range(writer.layout.whole_pages(1) + 50):
            writer.append(transition(i, writer.spec), truncated=i % 7 == 0)
        width = writer.layout.record_bytes
    with (tmp_path / 'r' / '0000000000.seg').open('r+b') as segment:
        segment.seek(3 * width + 5)
        segment.write(b'x')
    names = {}
    exec(code.replace('runs/arm/replay', str(tmp_path / 'r')), names)
    reader = ReplayReader(tmp_path / 'r')
    records = names['records']
    np.testing.assert_array_equal(records['sequence'], reader.sequences())
    rows = reader.rows(reader.sequences())
    for name, column in zip(
        ('observation', 'action', 'reward', 'terminated', 'next_observation'),
        reader.layout.split(rows),
        strict=True,
    ):
        np.testing.assert_array_equal(records[name], column)
    np.testing.assert_array_equal(records['episode'], reader.layout.episode(rows))
    np.testing.assert_array_equal(records['stamp'], reader.layout.stamp(rows))
    assert json.loads((tmp_path / 'r' / 'spec.json').read_text())['joint_names'] == [
        'joint_0',
        'joint_1',
    ]
    assert_rows(reader, reader.sequences())
