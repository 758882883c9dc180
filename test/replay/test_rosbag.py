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

"""Recordings of joint states, commands and goals become transitions, or one clear line."""

import dataclasses
import logging

import numpy as np
import pytest
from replay_commands import command
from replay_values import make_spec

from sac_ros.errors import ReplayError
from sac_ros.replay import DataSource, ReplayReader
from sac_ros.replay.rosbag import Topics, import_rosbag, read_bag
from sac_ros.spec import ObservationField


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


def header(types, frame=''):
    stamp = types['builtin_interfaces/msg/Time'](sec=0, nanosec=0)
    return types['std_msgs/msg/Header'](stamp=stamp, frame_id=frame)


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
    record_two_seconds(tmp_path / 'bag', with_velocity)
    topics = Topics(command='/commands', goal='/goal')
    count = import_rosbag(
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
    assert set(layout.source(rows).tolist()) == {DataSource.REAL}


def test_a_recording_that_lacks_something_says_what(tmp_path):
    record_two_seconds(tmp_path / 'bag')
    with pytest.raises(ReplayError, match=r'no topic /torque; it has /commands, /goal'):
        import_rosbag(
            tmp_path / 'bag', tmp_path / 'r', reach_like_spec(), max, Topics(command='/torque')
        )
    with pytest.raises(ReplayError, match='cannot read'):
        import_rosbag(tmp_path / 'none', tmp_path / 'r', reach_like_spec(), max, Topics())
    with pytest.raises(ReplayError, match='0 goals'):
        topics = Topics(command='/commands', goal='/elsewhere')
        import_rosbag(tmp_path / 'bag', tmp_path / 'r', reach_like_spec(), max, topics)
    assert not (tmp_path / 'r').exists()


def write_bag_of_the_arm_at_rest(path):
    pytest.importorskip('mujoco', reason='MuJoCo is not installed')
    from sac_ros.robot.loader import load_robot

    names = load_robot().joint_names
    zeros = np.zeros(len(names))
    messages = [(0.01 * i, '/joint_states', joint_state(names, zeros, zeros)) for i in range(101)]
    messages += [
        (0.05 * k, '/forward_effort_controller/commands', torque(zeros)) for k in range(20)
    ]
    write_bag(path, messages)


def test_a_recording_of_the_arm_through_the_command_line(tmp_path):
    write_bag_of_the_arm_at_rest(tmp_path / 'bag')
    options = ('--mcap', tmp_path / 'bag', '--goal', '0.3', '0', '0.3')
    assert command('import', tmp_path / 'r', *options) == 0
    reader = ReplayReader(tmp_path / 'r')
    reward = reader.layout.split(reader.rows(reader.sequences())).reward
    assert len(reader) == 20
    assert (reward == reward[0]).all()
    assert 0 < reward[0] < 1


JOINTS = ('joint_0', 'joint_1')


def pose(point, quaternion, frame='', stamped=True):
    def make(types):
        position = types['geometry_msgs/msg/Point'](*point)
        made = types['geometry_msgs/msg/Pose'](
            position, types['geometry_msgs/msg/Quaternion'](*quaternion)
        )
        if not stamped:
            return made
        return types['geometry_msgs/msg/PoseStamped'](header(types, frame), made)

    return make


def effort(names, values):
    empty = np.zeros(0)
    return lambda types: types['sensor_msgs/msg/JointState'](
        header(types), list(names), empty, empty, np.array(values, np.float64)
    )


def trajectory(names, *points, part='effort'):
    """Points are (seconds from the start, values)."""

    def make(types):
        empty = np.zeros(0)
        made = []
        for seconds, values in points:
            delay = types['builtin_interfaces/msg/Duration'](*divmod(round(seconds * 1e9), 10**9))
            parts = dict.fromkeys(('positions', 'velocities', 'accelerations', 'effort'), empty)
            parts[part if part == 'effort' else 'positions'] = np.array(values, np.float64)
            kind = types['trajectory_msgs/msg/JointTrajectoryPoint']
            made.append(kind(time_from_start=delay, **parts))
        return types['trajectory_msgs/msg/JointTrajectory'](header(types), list(names), made)

    return make


def states(seconds=1.0, **changes):
    """A joint state each 10 ms; joint_0 moves at 0.1 rad/s, joint_1 at 0.2 rad/s."""
    return [
        (0.01 * i, '/joint_states', joint_state(JOINTS, (1e-3 * i, 2e-3 * i), (0.1, 0.2)))
        for i in range(round(100 * seconds) + 1)
    ]


def imported(tmp_path, messages, spec=None, **topics):
    spec = spec or reach_like_spec()
    write_bag(tmp_path / 'bag', messages)
    given = Topics(command='/c', **topics)
    count = import_rosbag(tmp_path / 'bag', tmp_path / 'r', spec, lambda *_: 0.0, given)
    reader = ReplayReader(tmp_path / 'r')
    assert count == len(reader)
    rows = reader.rows(reader.sequences())
    return reader.layout.split(rows), reader.layout.episode(rows)


POINT = (0.0, '/policy_node/goal', goal(1.0, 2.0, 3.0))
TORQUES = [(0.05 * k, '/c', torque((1.0, -1.0))) for k in range(20)]  # half the limits


@pytest.mark.parametrize(
    'commands',
    [
        TORQUES,
        [(0.05 * k, '/c', effort((*JOINTS[::-1], 'finger'), (-1, 1, 9))) for k in range(20)],
        [(0.05 * k, '/c', effort(JOINTS, (1, -1))) for k in range(20)]
        + [(0.05 * k + 0.01, '/c', effort(('finger',), (9,))) for k in range(20)],
        [(0.05 * k, '/c', trajectory(JOINTS[::-1], (0, (-1, 1)))) for k in range(20)],
        [(0.2 * k, '/c', trajectory(JOINTS, (0, (1, -1)), (0.1, (1, -1)), (9, (2, 2))))
         for k in range(5)],
    ],
    ids=['array', 'joint_state', 'two_joint_states', 'trajectory', 'points'],
)  # fmt: skip
def test_torques_are_read_from_several_kinds_of_command(tmp_path, commands):
    got, _ = imported(tmp_path, [*states(), POINT, *commands])
    assert len(got.action) == 20
    np.testing.assert_allclose(got.action, [[0.5, -0.5]] * 20, atol=1e-6)


def test_each_point_of_a_trajectory_holds_from_its_time_on(tmp_path):
    points = trajectory(JOINTS, (0, (0, 0)), (0.1, (1, 0)), (0.125, (2, 0)))
    got, _ = imported(tmp_path, [*states(0.3), POINT, (0.0, '/c', points)])
    np.testing.assert_allclose(got.action[:, 0], [0, 0, 0.75, 1, 1, 1], atol=1e-6)


@pytest.mark.parametrize(
    ('command_message', 'message'),
    [
        (trajectory(JOINTS, (0, (1, 2)), part='positions'), 'has 0 efforts for 2 joints; positi'),
        (effort(JOINTS, ()), 'has 0 efforts for 2 joints'),
        (torque((1, 2, 3)), 'has 3 torques, the robot has 2 joints'),
        (goal(1, 2, 3), 'topic /c holds geometry_msgs/msg/PointStamped, .* std_msgs/msg/Float64M'),
        (effort(('finger',), (1,)), '101 joint states, 0 commands and 1 goals'),
    ],
)
def test_commands_that_are_no_torques_are_refused(tmp_path, command_message, message):
    with pytest.raises(ReplayError, match=message):
        imported(tmp_path, [*states(), POINT, (0.0, '/c', command_message)])
    assert not (tmp_path / 'r').exists()


def pose_spec():
    spec = reach_like_spec()
    observation = list(spec.observation)
    observation.insert(3, ObservationField('goal_orientation', 4, ''))
    return dataclasses.replace(spec, observation=tuple(observation), base_frame='base')


@pytest.mark.parametrize('stamped', [True, False])
def test_goals_can_be_poses(tmp_path, stamped):
    frame = {'frame': 'base'} if stamped else {}
    first = pose((1, 2, 3), (-0.6, 0, 0, -0.8), **frame, stamped=stamped)
    second = pose((1, 2, 3), (0, 0, 0, 1), stamped=stamped)
    goals = [(0.0, '/policy_node/goal_pose', first), (0.5, '/policy_node/goal_pose', second)]
    got, episode = imported(tmp_path, [*states(), *goals, *TORQUES], pose_spec())
    expected = [[1, 2, 3, 0.6, 0, 0, 0.8]] * 10 + [[1, 2, 3, 0, 0, 0, 1]] * 10
    np.testing.assert_allclose(got.observation[:, 4:11], expected, atol=1e-6)
    assert episode.tolist() == [0] * 10 + [1] * 10  # the orientation changes
    reached, episode = imported(tmp_path / 'point', [*states(), *goals, *TORQUES])
    np.testing.assert_allclose(reached.observation[:, 4:7], [[1, 2, 3]] * 20)
    assert episode.tolist() == [0] * 20  # the point does not


@pytest.mark.parametrize(
    ('goal_message', 'message'),
    [
        (pose((1, 2, 3), (0, 0, 0, 0)), 'quaternion of length 0, must be 1'),
        (pose((1, 2, 3), (0, 0, 0, 1), frame='map'), "in frame 'map', must be in 'base'"),
        (pose((np.nan, 2, 3), (0, 0, 0, 1)), '0 goals.*skipped: 1 goals that are not finite'),
        (goal(1, 2, 3), "observation 'goal_orientation'"),
        (torque((1, 2)), 'holds std_msgs/msg/Float64MultiArray, .* geometry_msgs/msg/PoseStamped'),
    ],
)
def test_goals_that_cannot_be_used_are_refused(tmp_path, goal_message, message):
    messages = [*states(), (0.0, '/g', goal_message), *TORQUES]
    with pytest.raises(ReplayError, match=message):
        imported(tmp_path, messages, pose_spec(), goal='/g')


def test_joint_states_without_positions_are_left_out(tmp_path, caplog):
    odd = [
        (0.305, '/joint_states', joint_state(JOINTS, (), (1, 1))),
        (0.306, '/joint_states', joint_state(JOINTS, (5.0,), ())),
        (0.307, '/joint_states', joint_state(JOINTS, (5.0, np.nan), ())),
        (0.308, '/joint_states', joint_state((), (), ())),
        (0.309, '/joint_states', joint_state(('finger',), (5.0,), ())),
    ]
    got, episode = imported(tmp_path, [*states(), *odd, POINT, *TORQUES])
    np.testing.assert_allclose(got.observation[:, 0], 5e-3 * np.arange(20), atol=1e-6)
    assert not episode.any()
    assert '2 joint states without a position for each joint, 1 joint states with' in caplog.text
    with pytest.raises(ReplayError, match=r'0 joint states.*skipped: 101 joint states with'):
        silent = [(t, topic, joint_state(JOINTS, (), (1, 1))) for t, topic, _ in states()]
        imported(tmp_path / 'none', [*silent, POINT, *TORQUES])


def test_of_equal_stamps_the_last_counts(tmp_path):
    """Without velocities their slope would be infinite."""
    twice = [
        (0.01 * i, '/joint_states', joint_state(JOINTS, position, ()))
        for i in range(101)
        for position in ((7.0, 7.0), (1e-3 * i, 2e-3 * i))
    ]
    got, _ = imported(tmp_path, [*twice, POINT, *TORQUES, *TORQUES])
    np.testing.assert_allclose(got.observation[:, 0], 5e-3 * np.arange(20), atol=1e-6)
    np.testing.assert_allclose(got.observation[:, 2:4], [[0.1, 0.2]] * 20, atol=1e-5)
    np.testing.assert_allclose(got.action, [[0.5, -0.5]] * 20, atol=1e-6)


def damage(kind, bag):
    """Break a recording as a crash, a full disk or a copy does."""
    (data,) = bag.glob('*.mcap')
    content = data.read_bytes()
    if kind == 'no metadata':
        (bag / 'metadata.yaml').unlink()
    elif kind in ('empty metadata', 'broken metadata'):
        (bag / 'metadata.yaml').write_text('' if kind[0] == 'e' else 'a: [')
    elif kind == 'no data':
        data.unlink()
    else:
        data.write_bytes(content[: {'empty': 0, 'cut': len(content) // 2, 'end': -10}[kind]])


@pytest.mark.parametrize(
    'kind',
    ['no metadata', 'empty metadata', 'broken metadata', 'no data', 'empty', 'cut', 'end'],
)
def test_a_broken_bag_names_the_remedy(tmp_path, kind):
    record_two_seconds(tmp_path / 'bag')
    damage(kind, tmp_path / 'bag')
    with pytest.raises(ReplayError, match=f'ros2 bag reindex {tmp_path}/bag') as caught:
        read_bag(tmp_path / 'bag', reach_like_spec(), Topics(command='/commands'))
    assert str(caught.value).isprintable()


def test_a_bag_that_lacks_messages_says_so(tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    record_two_seconds(tmp_path / 'bag')
    topics = Topics(command='/commands', goal='/goal')
    read_bag(tmp_path / 'bag', reach_like_spec(), topics)
    assert not caplog.text
    (file,) = (tmp_path / 'bag').glob('*.mcap')
    content = bytearray(file.read_bytes())
    last = content.rfind(b'joint_1')  # in the last joint state, whose record is made another kind
    record = content.rfind(b'\x05', 0, last - 60)
    assert content[record + 1 : record + 9] == (content[record + 1]).to_bytes(8, 'little')
    content[record] = 0x80
    file.write_bytes(content)
    read_bag(tmp_path / 'bag', reach_like_spec(), topics)
    assert 'is damaged: 203 of 204 messages' in caplog.text


def test_poses_through_the_command_line(tmp_path):
    write_bag_of_the_arm_at_rest(tmp_path / 'bag')
    options = ('--mcap', tmp_path / 'bag', '--task', 'reach-pose', '--goal', '0.3', '0', '0.3')
    rewards = []
    for turned in (('0', '0', '0', '1'), ('0.6', '0', '0', '0.8')):
        target = tmp_path / turned[0]
        assert command('import', target, *options, *turned) == 0
        reader = ReplayReader(target)
        rewards.append(reader.layout.split(reader.rows(reader.sequences())).reward[0])
    assert min(rewards) > 0 and rewards[0] != rewards[1]
    with pytest.raises(ReplayError, match='--goal has 3 numbers; reach-pose needs 7'):
        command('import', tmp_path / 'x', *options)
