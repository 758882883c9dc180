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

"""Joint states from messages of several publishers, orders, clocks and parts."""

import math

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from sensor_msgs.msg import JointState
from std_msgs.msg import Header

from sac_ros.errors import SpecMismatch, StateError
from sac_ros.ros.joint_states import JointLimits, JointStateConfig, JointStateReader

NAMES = ('j1', 'j2', 'j3')
PERIOD, TIMEOUT = 0.002, 0.02  # [s]
ARM, GRIPPER = b'arm', b'gripper'


class Reading:
    """A reader, its clock, and what it ignored."""

    def __init__(self, velocity_limit=4.0, **config):
        self.now, self.ignored = 100.0, []
        limits = JointLimits(NAMES, np.full(3, velocity_limit), np.zeros(3, bool))
        self.reader = JointStateReader(
            limits, JointStateConfig(**config), PERIOD, TIMEOUT, self.ignored.append
        )

    def read(self, names=NAMES, publisher=ARM, dt=PERIOD, stamp=0.0, **columns):
        """Read a message in which joint jN stands at N rad and does not move."""
        self.now += dt
        nanoseconds = round(stamp * 1e9)
        header = Header(stamp=Time(sec=nanoseconds // 10**9, nanosec=nanoseconds % 10**9))
        fields = {'position': [float(name[1:]) for name in names], 'velocity': [0.0] * len(names)}
        message = JointState(header=header, name=list(names), **(fields | columns))
        return self.reader.read(message, publisher, self.now)


@pytest.mark.parametrize(
    'names', [NAMES, ('j3', 'j1', 'j2'), ('j9', 'j2', 'j3', 'j1'), ('j2', 'j1', 'j8', 'j3')]
)
def test_joints_are_found_by_name(names):
    reading = Reading()
    velocity = [0.1 * float(name[1:]) for name in names]
    for _ in range(2):
        position, speed = reading.read(names, velocity=velocity)
        assert position.tolist() == [1.0, 2.0, 3.0]
        assert speed == pytest.approx([0.1, 0.2, 0.3])


def test_a_changed_order_is_noticed():
    reading = Reading()
    reading.read()
    assert reading.read(('j2', 'j3', 'j1'))[0].tolist() == [1.0, 2.0, 3.0]


def test_a_joint_named_twice_shows_both_sides():
    names = ('j1', 'j2', 'j3', 'j3')
    with pytest.raises(SpecMismatch) as error:
        Reading().read(names)
    assert str(NAMES) in str(error.value) and str(names) in str(error.value)


@pytest.mark.parametrize('length', [0, 2, 4])
def test_arrays_of_another_length_are_refused(length):
    with pytest.raises(SpecMismatch, match=f'{length} values of position for 3 joints'):
        Reading().read(position=[0.0] * length)
    with pytest.raises(SpecMismatch, match=r'velocity for 3 joints; .*differentiate'):
        Reading().read(velocity=[0.0] * length)


@pytest.mark.parametrize('bad', [math.nan, math.inf])
def test_a_number_that_is_not_finite_is_named(bad):
    with pytest.raises(StateError, match='position is not finite: j3'):
        Reading().read(position=[1.0, 2.0, bad])
    with pytest.raises(StateError, match=r'velocity is not finite: j1; .*differentiate'):
        Reading().read(velocity=[bad, 0.0, 0.0])


@pytest.mark.parametrize('names', [(), ('a1',), ('g1', 'g2')])
@pytest.mark.parametrize('stamp', [0.0, 1e9, 5.0])
def test_messages_of_other_joints_change_nothing(names, stamp):
    reading = Reading()
    for step in range(1, 20):
        assert reading.read(stamp=50.0 + PERIOD * step, dt=PERIOD) is not None
        for publisher in (ARM, GRIPPER):
            assert reading.read(names, publisher, dt=0.0, stamp=stamp, velocity=[]) is None
    assert reading.ignored == ['joint states of other joints'] * 38


def test_stamps_are_those_of_one_publisher():
    """Another clock, far ahead, hides nothing."""
    reading = Reading()
    for step in range(1, 20):
        assert reading.read(('j1', 'j2'), b'left', stamp=1e9 + PERIOD * step, dt=PERIOD) is None
        assert reading.read(('j3',), b'right', stamp=10.0 + PERIOD * step, dt=0.0) is not None


def test_an_old_stamp_is_ignored_and_a_clock_may_jump():
    reading = Reading()
    assert reading.read(stamp=50.0) is not None
    assert reading.read(stamp=50.0) is None
    assert reading.read(stamp=50.002) is not None
    assert reading.read(stamp=10.0) is None  # one message is the price
    assert reading.read(stamp=10.002) is not None
    assert reading.read(stamp=10**6) is not None
    assert set(reading.ignored) == {'joint states whose stamp is not new'}


@pytest.mark.parametrize(('share', 'falls'), [(0.5, True), (0.9, True), (0.9995, False)])
def test_stamps_that_fall_behind_the_steady_clock_are_refused(share, falls):
    """As in a queue that grows; clocks may differ a little."""
    reading = Reading()

    def run():
        for step in range(1, 1000):
            reading.read(stamp=50.0 + share * PERIOD * step)

    if falls:
        with pytest.raises(StateError, match=r'fall behind the steady clock by more than 0\.1 s'):
            run()
        assert reading.now - 100.0 == pytest.approx(0.1 / (1 - share), rel=0.05)
    else:
        run()
    reading = Reading(max_lag=0.0)
    run()


def test_a_message_that_waits_catches_up():
    reading = Reading()
    for step in range(1, 1000):
        late = 0.05 if step % 100 == 0 else 0.0  # and the next one is early
        early = 0.05 if step % 100 == 1 and step > 1 else 0.0
        assert reading.read(stamp=50.0 + PERIOD * step, dt=PERIOD + late - early) is not None


def test_parts_are_merged_within_one_period():
    reading = Reading()
    for _ in range(10):
        assert reading.read(('j2', 'j1'), b'left', dt=0.0005) is None
        position, _ = reading.read(('g1', 'j3'), b'right', dt=0.0015)
        assert position.tolist() == [1.0, 2.0, 3.0]
    assert set(reading.ignored) == {'partial joint states, without j3'}


def test_parts_of_one_publisher_are_merged_too():
    reading = Reading()
    for step in range(1, 10):
        assert reading.read(('j1', 'j2'), stamp=PERIOD * step, dt=PERIOD) is None
        assert reading.read(('j3',), stamp=PERIOD * step, dt=0.0) is not None


def test_parts_further_apart_than_a_period_are_no_state():
    reading = Reading()
    reading.read(('j1', 'j2'), b'left', dt=0.0)
    assert reading.read(('j3',), b'right', dt=1.1 * PERIOD) is None
    assert reading.ignored[-1] == 'partial joint states, without j1, j2'
    assert reading.read(('j1', 'j2'), b'left', dt=0.9 * PERIOD) is not None


def test_a_part_that_stopped_makes_no_states():
    reading = Reading()
    reading.read(('j1', 'j2'), b'left', dt=0.0)
    assert reading.read(('j3',), b'right', dt=0.0) is not None
    for _ in range(100):
        assert reading.read(('j1', 'j2'), b'left') is None
    assert reading.ignored[-1] == 'partial joint states, without j3'


def test_a_joint_of_two_publishers_is_refused_until_one_is_gone():
    reading = Reading()
    reading.read()
    with pytest.raises(StateError, match='two publishers send the joint state of j2'):
        reading.read(('j2', 'g1'), b'other')
    assert reading.read() is not None
    assert reading.read(publisher=b'other', dt=1.5 * TIMEOUT) is not None


def test_a_velocity_that_contradicts_positions_is_refused():
    reading = Reading()
    with pytest.raises(StateError, match=r'does not match the change of position: j2$'):
        for step in range(100):
            reading.read(position=[1.0, 2.0 + 3.0 * PERIOD * step, 3.0])
    reading = Reading()
    for step in range(500):
        moved = 3.0 * PERIOD * step
        reading.read(position=[1.0, 2.0 + moved, 3.0], velocity=[0.0, 3.0, 0.0])


@pytest.mark.parametrize('stamped', [False, True])
def test_velocities_are_differentiated_when_asked(stamped):
    reading = Reading(differentiate=True)
    for step in range(200):
        stamp = 50.0 + PERIOD * step if stamped else 0.0
        # Arrivals that come in pairs do not matter where there are stamps.
        dt = PERIOD if not stamped else 2 * PERIOD * (step % 2)
        state = reading.read(
            position=[1.0, 2.0 + 3.0 * PERIOD * step, 3.0], velocity=[math.nan] * (step % 4),
            stamp=stamp, dt=dt,
        )  # fmt: skip
        assert (state is None) == (step == 0)
    assert reading.ignored == ['joint states before a velocity is known']
    assert state[1] == pytest.approx([0.0, 3.0, 0.0], abs=1e-6)


def test_publishers_that_come_and_go_leave_nothing_behind():
    reading = Reading()
    for number in range(1000):
        reading.read(('g1',), publisher=str(number).encode())
    assert len(reading.reader._sources) <= 64
    assert reading.read() is not None
