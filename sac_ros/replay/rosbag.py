"""A robot's recorded history (rosbag2) as transitions.

A bag holds joint states, commands and perhaps goals, each at its own rate. Time is cut into
control periods; the action of one is the mean torque that was in force during it.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sac_ros.errors import ReplayError
from sac_ros.replay import ReplayWriter, Source
from sac_ros.spec import PolicySpec, Transition

Vector = NDArray[np.float64]
Reward = Callable[[Vector, Vector, Vector], float]  # (observation, action, next) -> reward
STALE_STATE = 1.5  # control periods that a joint state stands for
STALE_COMMAND = 0.3  # [s] that a command stands for, or as long as a joint state if that is more


@dataclass(frozen=True)
class Topics:
    """Which topics of a bag hold what."""

    state: str = '/joint_states'
    command: str = '/forward_effort_controller/commands'
    goal: str = '/policy_node/goal'
    fixed_goal: Vector | None = None  # (3,) [m], where no goal was recorded


@dataclass
class Series:
    """Values (k, n) and the times (k,) [ns] at which they came, in order."""

    times: list[int] = field(default_factory=list)
    values: list[Vector] = field(default_factory=list)

    def at(self, time: int) -> Vector | None:
        """The latest value at or before a time."""
        i = int(np.searchsorted(self.times, time, side='right')) - 1
        return self.values[i] if i >= 0 else None

    def age(self, time: int) -> float:
        """Seconds since the latest value, infinite before the first."""
        i = int(np.searchsorted(self.times, time, side='right')) - 1
        return (time - self.times[i]) * 1e-9 if i >= 0 else math.inf

    def mean(self, start: int, stop: int) -> Vector:
        """Mean over [start, stop) of what holds each value until the next."""
        first = max(int(np.searchsorted(self.times, start, side='right')) - 1, 0)
        last = int(np.searchsorted(self.times, stop, side='left'))
        edges = np.array([start, *self.times[first + 1 : last], stop], np.float64)
        weights = np.diff(edges) / (stop - start)
        mean: Vector = weights @ np.array(self.values[first:last])
        return mean


@dataclass
class Recording:
    """What a bag says about one robot."""

    state: Series  # (2n,) positions [rad], then velocities [rad/s], in the order of the joints
    command: Series  # (n,) [N·m]
    goal: Series  # (3,) [m]


def import_mcap(
    bag: str | Path, directory: str | Path, spec: PolicySpec, reward: Reward, topics: Topics
) -> int:
    """Append the transitions of a rosbag2 recording; returns how many came.

    Raises:
        ReplayError: the bag cannot be read, or holds nothing from which to make transitions.
        SpecMismatch: the replay is of another robot or task.
    """
    recording = read_bag(Path(bag), spec, topics)
    steps = transitions(recording, spec, reward)
    if not steps:
        raise ReplayError(
            f'{bag} holds {len(recording.state.times)} joint states, '
            f'{len(recording.command.times)} commands and {len(recording.goal.times)} goals, '
            'which do not overlap for a control period; check the topics'
        )
    with ReplayWriter(directory, spec, sync_every=65_536) as writer:
        writer.begin_episode()
        for stamp, transition, truncated in steps:
            writer.append(transition, truncated=truncated, source=Source.REAL, stamp_ns=stamp)
    return len(steps)


def read_bag(bag: Path, spec: PolicySpec, topics: Topics) -> Recording:
    """Read the joint states, commands and goals of a rosbag2 directory.

    Raises:
        ReplayError: the bag, a topic, or a joint is missing.
    """
    try:
        high = importlib.import_module('rosbags.highlevel')
        types = importlib.import_module('rosbags.typesys')
    except ImportError as error:
        raise ReplayError(
            f"rosbags is not usable ({error}); install it with pip install 'sac_ros[mcap]'"
        ) from error
    recording = Recording(Series(), Series(), Series())
    take = {
        topics.state: lambda message, time: _take_state(recording, spec, message, time),
        topics.command: lambda message, time: _take_command(recording, spec, message, time),
        topics.goal: lambda message, time: _put(
            recording.goal, time, [message.point.x, message.point.y, message.point.z]
        ),
    }
    try:
        store = types.get_typestore(types.Stores.ROS2_JAZZY)
        with high.AnyReader([bag], default_typestore=store) as reader:
            there = {connection.topic for connection in reader.connections}
            for needed in (topics.state, topics.command):
                if needed not in there:
                    raise ReplayError(
                        f'{bag} has no topic {needed}; it has {", ".join(sorted(there))}'
                    )
            wanted = [c for c in reader.connections if c.topic in take]
            for connection, time, raw in reader.messages(wanted):
                take[connection.topic](reader.deserialize(raw, connection.msgtype), time)
    except (high.AnyReaderError, OSError) as error:
        raise ReplayError(f'cannot read {bag} as a rosbag2 directory: {error}') from error
    if topics.fixed_goal is not None and recording.state.times:
        _put(recording.goal, recording.state.times[0], topics.fixed_goal)
    _fill_velocities(recording.state, spec.n_action)
    return recording


def transitions(
    recording: Recording, spec: PolicySpec, reward: Reward
) -> list[tuple[int, Transition, bool]]:
    """Cut a recording into (stamp [ns], transition, truncated), one for each control period.

    An episode breaks off where a joint state or command is late, and where the goal changes.
    """
    state, command, goal = recording.state, recording.command, recording.goal
    if not (state.times and command.times):
        return []
    period = round(spec.control_period * 1e9)
    late = STALE_STATE * spec.control_period
    limit, offset = np.array(spec.torque_limit), np.array(spec.torque_offset)
    found: list[tuple[int, Transition, bool]] = []
    previous, going = np.zeros(spec.n_action), False
    start, end = max(state.times[0], command.times[0]), state.times[-1]
    for time in range(start, end - period + 1, period):
        after = time + period
        aim, new_aim = goal.at(time), goal.at(after)
        usable = max(state.age(time), state.age(after)) <= late
        usable &= command.age(time) <= max(late, STALE_COMMAND)
        if not usable or ('goal' in spec.slices() and aim is None):
            going = _break_off(found, going)
            continue
        if not going:
            previous = np.zeros(spec.n_action)
        action = np.clip((command.mean(time, after) - offset) / limit, -1, 1)
        before = _observe(spec, state.at(time), aim, previous)
        following = _observe(spec, state.at(after), aim, action)
        step = Transition(before, action, reward(before, action, following), False, following)
        found.append((time, step, False))
        previous, going = action, True
        if aim is not None and (new_aim is None or (aim != new_aim).any()):
            going = _break_off(found, going)
    _break_off(found, going)
    return found


def _break_off(found: list[tuple[int, Transition, bool]], going: bool) -> bool:
    """Mark the last step as truncated if an episode was going on; none is afterwards."""
    if going:
        stamp, transition, _ = found[-1]
        found[-1] = (stamp, transition, True)
    return False


def _observe(
    spec: PolicySpec, state: Vector | None, goal: Vector | None, previous: Vector
) -> Vector:
    n, observation = spec.n_action, np.zeros(spec.n_observation)
    parts = {'previous_action': previous}
    if state is not None:
        parts |= {'joint_position': state[:n], 'joint_velocity': state[n:]}
    if goal is not None:
        parts['goal'] = goal
    for name, where in spec.slices().items():
        if name not in parts:
            raise ReplayError(
                f'a bag does not tell the observation {name!r}; it tells {", ".join(parts)}'
            )
        observation[where] = parts[name]
    return observation


def _put(series: Series, time: int, value: Any) -> None:
    series.times.append(time)
    series.values.append(np.array(value, np.float64))


def _take_state(recording: Recording, spec: PolicySpec, message: Any, time: int) -> None:
    """Joints are found by name; a message about other joints is passed over."""
    index = {name: i for i, name in enumerate(message.name)}
    if not set(spec.joint_names) <= set(index):
        return
    order = [index[name] for name in spec.joint_names]
    position = np.array(message.position, np.float64)[order]
    velocity = np.array(message.velocity, np.float64)
    velocity = velocity[order] if len(velocity) == len(index) else np.full(len(order), np.nan)
    if np.isfinite(position).all():
        _put(recording.state, time, np.concatenate([position, velocity]))


def _take_command(recording: Recording, spec: PolicySpec, message: Any, time: int) -> None:
    """The array has no names: its order is that of the specification."""
    if len(message.data) != spec.n_action:
        raise ReplayError(
            f'a command in the bag has {len(message.data)} torques, the robot has '
            f'{spec.n_action} joints {spec.joint_names}'
        )
    if np.isfinite(message.data).all():
        _put(recording.command, time, message.data)


def _fill_velocities(state: Series, n: int) -> None:
    """Where a driver reports no velocity, take the slope of the positions."""
    if len(state.times) < 2 or np.isfinite(np.array(state.values)).all():
        return
    values, seconds = np.array(state.values), np.array(state.times) * 1e-9
    slope = np.gradient(values[:, :n], seconds - seconds[0], axis=0)
    values[:, n:] = np.where(np.isfinite(values[:, n:]), values[:, n:], slope)
    state.values = list(values)
