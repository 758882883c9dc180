"""Looking into replay directories, and carrying them to other formats and back."""

import argparse
import json
from pathlib import Path

import numpy as np
import pytest
from replay_values import SMALL, assert_rows, fill, make_spec, transition

from sac_ros.errors import ReplayError, SpecMismatch
from sac_ros.replay import ReplayReader, ReplayWriter, Source
from sac_ros.replay.cli import add_replay_parser, bars
from sac_ros.replay.recovery import repair
from sac_ros.replay.tools import merge, summarize, verify


def command(*arguments):
    parser = argparse.ArgumentParser()
    add_replay_parser(parser.add_subparsers(required=True))
    options = parser.parse_args(['replay', *map(str, arguments)])
    return options.run(options)


def write_mixed(directory, count=300, first=0):
    """Episodes with every kind of end, a restart among them, and every kind of source."""
    for start, stop in ((first, first + count // 2), (first + count // 2, first + count)):
        with ReplayWriter(directory, make_spec(), segment_records=SMALL) as writer:
            for i in range(start, stop):
                writer.append(
                    transition(i, terminated=i % 37 == 36),
                    truncated=i % 50 == 49,
                    source=Source(i % 3),
                    policy_hash=i // 100,
                    stamp_ns=i * 10**9,
                )


def contents(directory):
    """Everything in the records but their CRC."""
    reader = ReplayReader(directory)
    return reader.rows(reader.sequences()).view(np.uint32)[:, :-1]


def flip(directory, sequence):
    path = directory / f'{sequence // SMALL:010d}.seg'
    data = bytearray(path.read_bytes())
    data[sequence % SMALL * 128 + 5] ^= 1
    path.write_bytes(data)


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
    assert summary.by_source == {Source.SIM: 100, Source.REAL: 100, Source.HUMAN: 100}
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

    monkeypatch.setattr('sac_ros.replay.tools.ReplayReader', open_and_move)
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
    assert set(reader.layout.source(rows).tolist()) == {Source.HUMAN}


@pytest.mark.parametrize('n_observation', [10, 3, 4])
def test_reader_of_the_page_reads_what_we_read(tmp_path, n_observation):
    """The numpy code printed in docs/replay.md, word for word."""
    page = (Path(__file__).resolve().parents[1] / 'docs' / 'replay.md').read_text()
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


def write_bag(path, messages):
    """A rosbag2 recording with MCAP storage: (seconds, topic, message) in any order."""
    rosbag2 = pytest.importorskip('rosbags.rosbag2', reason='rosbags is not installed')
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS2_JAZZY)
    with rosbag2.Writer(path, version=9, storage_plugin=rosbag2.StoragePlugin.MCAP) as writer:
        connections = {}
        for seconds, topic, make in sorted(messages, key=lambda m: m[0]):
            message = make(store.types)
            kind = message.__msgtype__
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=store)
            raw = store.serialize_cdr(message, kind)
            writer.write(connections[topic], round(seconds * 1e9), raw)


def header(types):
    stamp = types['builtin_interfaces/msg/Time'](sec=0, nanosec=0)
    return types['std_msgs/msg/Header'](stamp=stamp, frame_id='')


def joint_state(names, position, velocity):
    empty = np.zeros(0)
    return lambda types: types['sensor_msgs/msg/JointState'](
        header(types), list(names), np.array(position), np.array(velocity), empty
    )


def torque(values):
    def make(types):
        layout = types['std_msgs/msg/MultiArrayLayout'](dim=[], data_offset=0)
        return types['std_msgs/msg/Float64MultiArray'](layout, np.array(values, np.float64))

    return make


def goal(x, y, z):
    return lambda types: types['geometry_msgs/msg/PointStamped'](
        header(types), types['geometry_msgs/msg/Point'](x, y, z)
    )


def reach_like_spec():
    import dataclasses

    from sac_ros.spec import ObservationField

    fields = {'joint_position': 2, 'joint_velocity': 2, 'goal': 3, 'previous_action': 2}
    observation = tuple(ObservationField(name, size, '') for name, size in fields.items())
    return dataclasses.replace(make_spec(9), observation=observation)


def record_two_seconds(path, with_velocity=True):
    """A state each 10 ms but none from 1.0 to 1.4 s, a command each 50, a new goal at 0.5 s."""
    messages = [(0.0, '/goal', goal(1.0, 2.0, 3.0)), (0.5, '/goal', goal(4.0, 5.0, 6.0))]
    for i in range(201):
        if not 100 < i < 140:
            velocity = [7.0, 0.2, 0.1] if with_velocity else []
            state = joint_state(
                ('gripper', 'joint_1', 'joint_0'), (9.0, 0.002 * i, 0.001 * i), velocity
            )
            messages.append((0.01 * i, '/joint_states', state))
    for k in range(40):
        messages.append((0.05 * k, '/commands', torque([2.0 * k / 40, -2.0 * k / 40])))
    write_bag(path, messages)


@pytest.mark.parametrize('with_velocity', [True, False])
def test_a_recording_becomes_transitions(tmp_path, with_velocity):
    from sac_ros.replay.mcap import Topics, import_mcap

    record_two_seconds(tmp_path / 'bag', with_velocity)
    topics = Topics(command='/commands', goal='/goal')
    count = import_mcap(
        tmp_path / 'bag',
        tmp_path / 'r',
        reach_like_spec(),
        lambda before, action, after: float(after[0] - before[0] + action[0]),
        topics,
    )
    reader = ReplayReader(tmp_path / 'r')
    rows = reader.rows(reader.sequences())
    got, layout = reader.layout.split(rows), reader.layout
    assert count == len(reader)
    ticks = (layout.stamp(rows) / 5e7).round().astype(int)  # in control periods
    assert set(range(18)) <= set(ticks)
    assert not set(range(21, 28)) & set(ticks)  # the silence
    assert {30, 38} <= set(ticks)
    np.testing.assert_allclose(got.action[:, 0], ticks / 40, atol=1e-6)
    np.testing.assert_allclose(got.action[:, 1], -ticks / 40, atol=1e-6)
    moving = (ticks < 20) | (ticks >= 28)
    position = np.stack([0.05 * ticks / 10, 0.1 * ticks / 10], axis=1)
    np.testing.assert_allclose(got.observation[moving, :2], position[moving], atol=1e-5)
    if with_velocity:
        np.testing.assert_allclose(got.observation[:, 2:4], [[0.1, 0.2]] * count, atol=1e-5)
    else:
        np.testing.assert_allclose(got.observation[1, 2:4], [0.1, 0.2], atol=1e-5)
    np.testing.assert_array_equal(got.observation[ticks < 10, 4:7], [[1, 2, 3]] * 10)
    np.testing.assert_array_equal(got.observation[ticks >= 10, 4:7], [[4, 5, 6]] * (count - 10))
    np.testing.assert_array_equal(got.next_observation[:, 7:], got.action)
    episode = layout.episode(rows)
    first = np.flatnonzero(np.diff(episode, prepend=-1))
    assert ticks[first][:2].tolist() == [0, 10]
    assert len(first) == 3
    assert (got.observation[first, 7:] == 0).all()
    assert layout.truncated(rows).sum() == 3
    assert set(layout.source(rows).tolist()) == {Source.REAL}


def test_a_recording_that_lacks_something_says_what(tmp_path):
    from sac_ros.replay.mcap import Topics, import_mcap

    record_two_seconds(tmp_path / 'bag')
    with pytest.raises(ReplayError, match=r'no topic /torque; it has /commands, /goal'):
        import_mcap(
            tmp_path / 'bag', tmp_path / 'r', reach_like_spec(), max, Topics(command='/torque')
        )
    with pytest.raises(ReplayError, match='cannot read'):
        import_mcap(tmp_path / 'none', tmp_path / 'r', reach_like_spec(), max, Topics())
    with pytest.raises(ReplayError, match='0 goals'):
        topics = Topics(command='/commands', goal='/elsewhere')
        import_mcap(tmp_path / 'bag', tmp_path / 'r', reach_like_spec(), max, topics)
    assert not (tmp_path / 'r').exists()


def test_a_recording_of_the_arm_through_the_command_line(tmp_path):
    pytest.importorskip('mujoco', reason='MuJoCo is not installed')
    from sac_ros.envs.robot import load_robot

    names = load_robot().joint_names
    zeros = np.zeros(len(names))
    messages = [(0.01 * i, '/joint_states', joint_state(names, zeros, zeros)) for i in range(101)]
    messages += [
        (0.05 * k, '/forward_effort_controller/commands', torque(zeros)) for k in range(20)
    ]
    write_bag(tmp_path / 'bag', messages)
    options = ('--mcap', tmp_path / 'bag', '--goal', '0.3', '0', '0.3')
    assert command('import', tmp_path / 'r', *options) == 0
    reader = ReplayReader(tmp_path / 'r')
    reward = reader.layout.split(reader.rows(reader.sequences())).reward
    assert len(reader) == 20
    assert (reward == reward[0]).all()
    assert 0 < reward[0] < 1
