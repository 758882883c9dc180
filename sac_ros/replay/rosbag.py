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

"""Joint states, commands and goals of a rosbag2 recording, with any storage."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sac_ros.errors import ReplayError
from sac_ros.replay import DataSource, ReplayWriter
from sac_ros.replay.recording import Recording, Reward, fill_velocities, transitions
from sac_ros.spec import PolicySpec
from sac_ros.types import Vector

GOAL_TOPICS = ('/policy_node/goal', '/policy_node/goal_pose')
UNIT = 1e-3  # by which the length of a quaternion may differ from 1
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Topics:
    """Which topics of a bag hold what."""

    state: str = '/joint_states'
    command: str = '/forward_effort_controller/commands'
    goal: str = ''  # empty for the one of GOAL_TOPICS that the bag has
    fixed_goal: Vector | None = None  # (3,) or (7,) as in a Recording, where no goal was recorded


def import_rosbag(
    bag: str | Path, directory: str | Path, spec: PolicySpec, reward: Reward, topics: Topics
) -> int:
    """Append the transitions of a rosbag2 recording; returns how many came.

    Raises:
        ReplayError: the bag cannot be read, or holds nothing from which to make transitions.
        SpecMismatch: the replay is of another robot or task.
    """
    recording = read_bag(Path(bag), spec, topics)
    steps = transitions(recording, spec, reward)
    skipped = ', '.join(f'{count} {reason}' for reason, count in recording.skipped.items())
    if not steps:
        raise ReplayError(
            f'{bag} holds {len(recording.state.times)} joint states, '
            f'{len(recording.command.times)} commands and {len(recording.goal.times)} goals, '
            'which do not overlap for a control period; check the topics'
            + (f'; skipped: {skipped}' if skipped else '')
        )
    if skipped:
        logger.warning('%s: skipped %s', bag, skipped)
    with ReplayWriter(directory, spec, sync_every=65_536) as writer:
        writer.begin_episode()
        for stamp, transition, truncated in steps:
            writer.append(transition, truncated=truncated, source=DataSource.REAL, stamp_ns=stamp)
    return len(steps)


def read_bag(bag: Path, spec: PolicySpec, topics: Topics) -> Recording:
    """Read the joint states, commands and goals of a rosbag2 directory.

    Raises:
        ReplayError: the bag, a topic, or a joint is missing, or a message is of a kind that tells
            nothing about torques or goals.
    """
    try:
        high = importlib.import_module('rosbags.highlevel')
        types = importlib.import_module('rosbags.typesys')
    except ImportError as error:
        raise ReplayError(
            f"rosbags is not usable ({error}); install it with pip install 'sac_ros[mcap]'"
        ) from error
    if not bag.exists():
        raise ReplayError(f'cannot read {bag}: it does not exist')
    recording = Recording()
    store = types.get_typestore(types.Stores.ROS2_JAZZY)
    reader = _try(bag, lambda: high.AnyReader([bag], default_typestore=store).__enter__())
    try:
        found = {c.topic: c.msgtype for c in reader.connections}
        goal_topic = topics.goal or next((t for t in GOAL_TOPICS if t in found), GOAL_TOPICS[0])
        take = {
            topics.state: _taker(STATES, found, topics.state),
            topics.command: _taker(COMMANDS, found, topics.command),
            goal_topic: _taker(GOALS, found, goal_topic) if goal_topic in found else _skip,
        }
        wanted = [connection for connection in reader.connections if connection.topic in take]
        count = 0
        for topic, message, time in _messages(bag, reader, wanted):
            take[topic](recording, spec, message, time)
            count += 1
    finally:
        reader.close()
    expected = sum(connection.msgcount for connection in wanted)
    if count < expected:
        logger.warning('%s is damaged: %d of %d messages are readable', bag, count, expected)
    if topics.fixed_goal is not None and recording.state.times:
        recording.goal.put(recording.state.times[0], topics.fixed_goal)
    fill_velocities(recording.state, spec.n_action)
    return recording


def _try(bag: Path, work: Callable[[], Any]) -> Any:
    """Do something with a bag; whatever fails in it is one line with the remedy."""
    try:
        return work()
    except Exception as error:  # a broken file fails in any way
        text = ' '.join(f'{type(error).__name__}: {error}'.split())
        raise ReplayError(
            f'cannot read {bag} as a rosbag2 recording ({text}); for one that was broken off try '
            f'`ros2 bag reindex {bag}`'
        ) from error


def _messages(bag: Path, reader: Any, wanted: list[Any]) -> Iterator[tuple[str, Any, int]]:
    """Yield topic, message and time [ns], in the order of time."""
    raw = iter(reader.messages(wanted))
    while True:
        item = _try(bag, lambda: next(raw, None))
        if item is None:
            return
        connection, time, data = item
        message = _try(bag, partial(reader.deserialize, data, connection.msgtype))
        yield connection.topic, message, time


Taker = Callable[[Recording, PolicySpec, Any, int], None]


def _skip(recording: Recording, spec: PolicySpec, message: Any, time: int) -> None:
    """Take nothing."""


def _taker(takers: dict[str, Taker], found: dict[str, str], topic: str) -> Taker:
    """Return what reads the messages of a topic."""
    if topic not in found:
        raise ReplayError(f'the bag has no topic {topic}; it has {", ".join(sorted(found))}')
    if found[topic] not in takers:
        raise ReplayError(
            f'topic {topic} holds {found[topic]}, which cannot be used; it must be one of '
            f'{", ".join(takers)}'
        )
    return takers[found[topic]]


def _take_state(recording: Recording, spec: PolicySpec, message: Any, time: int) -> None:
    """Joints are found by name; a message about other joints is passed over."""
    order = _order(message.name, spec)
    if order is None:
        return
    position, velocity = _values(message.position), _values(message.velocity)
    if len(position) != len(message.name):
        recording.skipped['joint states without a position for each joint'] += 1
        return
    position = position[order]
    complete = len(velocity) == len(message.name)
    velocity = velocity[order] if complete else np.full(len(order), np.nan)
    if not np.isfinite(position).all():
        recording.skipped['joint states with positions that are not finite'] += 1
        return
    recording.state.put(time, np.concatenate([position, velocity]))


def _take_array(recording: Recording, spec: PolicySpec, message: Any, time: int) -> None:
    """The array has no names: its order is that of the specification."""
    _put_torque(recording, spec, message.data, time)


def _take_effort(recording: Recording, spec: PolicySpec, message: Any, time: int) -> None:
    """Torques of a JointState, by name; a message about other joints is passed over."""
    order = _order(message.name, spec)
    if order is not None:
        _put_torque(recording, spec, _efforts(message.effort, message.name)[order], time)


def _take_trajectory(recording: Recording, spec: PolicySpec, message: Any, time: int) -> None:
    """A trajectory replaces the rest of the one before; each point holds from its time on."""
    order = _order(message.joint_names, spec)
    if order is None:
        return
    recording.command.cut(time)
    for point in message.points:
        delay = point.time_from_start.sec * 10**9 + point.time_from_start.nanosec
        torque = _efforts(point.effort, message.joint_names)[order]
        _put_torque(recording, spec, torque, time + delay)


def _put_torque(recording: Recording, spec: PolicySpec, torque: Any, time: int) -> None:
    if len(torque) != spec.n_action:
        raise ReplayError(
            f'a command in the bag has {len(torque)} torques, the robot has '
            f'{spec.n_action} joints {spec.joint_names}'
        )
    if np.isfinite(torque).all():
        recording.command.put(time, torque)
    else:
        recording.skipped['commands that are not finite'] += 1


def _efforts(effort: Any, names: Any) -> Vector:
    if len(effort) != len(names):
        raise ReplayError(
            f'a command in the bag has {len(effort)} efforts for {len(names)} joints; positions '
            'and velocities are not torques: record the topic that carries the torques'
        )
    return _values(effort)


def _take_point(recording: Recording, spec: PolicySpec, message: Any, time: int) -> None:
    _put_goal(recording, spec, [message.x, message.y, message.z], time)


def _take_pose(recording: Recording, spec: PolicySpec, message: Any, time: int) -> None:
    """A goal with orientation, of which a policy that reaches points needs the position alone."""
    p, q = message.position, message.orientation
    if 'goal_orientation' not in spec.slices():
        _put_goal(recording, spec, [p.x, p.y, p.z], time)
        return
    quaternion = _values([q.x, q.y, q.z, q.w])
    length = float(np.linalg.norm(quaternion))
    if not abs(length - 1) <= UNIT:
        raise ReplayError(f'a goal in the bag has a quaternion of length {length:g}, must be 1')
    quaternion *= np.copysign(1 / length, q.w)  # q and -q are the same orientation
    _put_goal(recording, spec, [p.x, p.y, p.z, *quaternion], time)


def _put_goal(recording: Recording, spec: PolicySpec, goal: list[float], time: int) -> None:
    if np.isfinite(goal).all():
        recording.goal.put(time, goal)
    else:
        recording.skipped['goals that are not finite'] += 1


def _stamped(take: Taker, part: str) -> Taker:
    """Return what reads a goal inside a message with a header."""

    def stamped(recording: Recording, spec: PolicySpec, message: Any, time: int) -> None:
        frame = message.header.frame_id
        if spec.base_frame and frame not in ('', spec.base_frame):
            raise ReplayError(
                f'a goal in the bag is in frame {frame!r}, must be in {spec.base_frame!r}'
            )
        take(recording, spec, getattr(message, part), time)

    return stamped


STATES: dict[str, Taker] = {'sensor_msgs/msg/JointState': _take_state}
COMMANDS: dict[str, Taker] = {
    'std_msgs/msg/Float64MultiArray': _take_array,
    'sensor_msgs/msg/JointState': _take_effort,
    'trajectory_msgs/msg/JointTrajectory': _take_trajectory,
}
GOALS: dict[str, Taker] = {
    'geometry_msgs/msg/PointStamped': _stamped(_take_point, 'point'),
    'geometry_msgs/msg/PoseStamped': _stamped(_take_pose, 'pose'),
    'geometry_msgs/msg/Point': _take_point,
    'geometry_msgs/msg/Pose': _take_pose,
}


def _order(names: Any, spec: PolicySpec) -> list[int] | None:
    """Return where each joint of the robot lies among names; None unless all are there."""
    index = {name: i for i, name in enumerate(names)}
    if not set(spec.joint_names) <= set(index):
        return None
    return [index[name] for name in spec.joint_names]


def _values(numbers: Any) -> Vector:
    return np.array(numbers, np.float64)
