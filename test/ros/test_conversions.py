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

"""Messages from and to numpy."""

import math

import numpy as np
import pytest
from geometry_msgs.msg import PointStamped, Pose, PoseStamped, Quaternion

from sac_ros.config.robot import TaskConfig
from sac_ros.errors import SpecMismatch
from sac_ros.robot.loader import load_robot
from sac_ros.ros import conversions as messages
from sac_ros.ros.diagnostics import LEVELS, to_status
from sac_ros.tasks.reach import ReachPoseTask

NAMES = ('j1', 'j2', 'j3')


def test_stamps_keep_nanoseconds():
    stamp = messages.to_stamp(12.000000042)
    assert (stamp.sec, stamp.nanosec) == (12, 42)
    assert messages.to_stamp(0.9999999999).sec == 1


def test_joint_states_carry_the_arrays():
    values = np.array([1.5, -2.5, 0.0])
    state = messages.to_joint_state(NAMES, values, 2 * values, 3 * values, messages.to_stamp(1))
    assert list(state.name) == list(NAMES)
    assert state.position.tolist() == values.tolist()
    assert state.velocity.tolist() == (2 * values).tolist()
    assert state.effort.tolist() == (3 * values).tolist()


def test_a_goal_must_be_finite_and_in_the_base_frame():
    point = np.array([0.1, 0.2, 0.3])
    for frame in ('', 'base'):
        message = messages.to_point(point, frame, messages.to_stamp(0))
        assert messages.read_goal(message, 'base')['goal'].tolist() == point.tolist()
    with pytest.raises(SpecMismatch, match="frame 'camera', must be in 'base'"):
        messages.read_goal(messages.to_point(point, 'camera', messages.to_stamp(0)), 'base')
    bad = PointStamped()
    bad.point.y = math.inf
    with pytest.raises(SpecMismatch, match='not finite'):
        messages.read_goal(bad, 'base')


def quaternion(x, y, z, w):
    return PoseStamped(pose=Pose(orientation=Quaternion(x=x, y=y, z=z, w=w)))


def test_a_pose_becomes_what_its_task_observes():
    task = ReachPoseTask(load_robot(), TaskConfig())
    rng = np.random.default_rng(0)
    for _ in range(100):
        task.initialize_episode(rng)
        goal = task.goal_observation()
        pose = messages.to_goal(goal, 'base', messages.to_stamp(0)).pose
        for sign in (1, -1):  # the same orientation
            turned = {'goal': goal['goal'], 'goal_orientation': sign * goal['goal_orientation']}
            message = messages.to_goal(turned, 'base', messages.to_stamp(0))
            given = messages.read_goal(message, 'base')
            observed = np.concatenate([given[field.name] for field in task.fields])
            assert np.allclose(observed, task.observe(), rtol=0, atol=1e-15)
        x, y, z, w = (getattr(pose.orientation, name) for name in 'xyzw')
        third = [2 * (x * z + y * w), 2 * (y * z - x * w), 1 - 2 * (x * x + y * y)]
        assert np.allclose(third, task.rotation[:, 2])


def test_a_quaternion_must_be_finite_and_of_length_1():
    assert messages.read_goal(quaternion(0.0, 0.6, 0.0, 0.8004), 'base')['goal_orientation'] @ [
        0.0, 0.6, 0.0, 0.8004
    ] == pytest.approx(np.hypot(0.6, 0.8004))  # fmt: skip
    for bad in ((0.0, 0.0, 0.0, 0.0), (0.0, 0.6, 0.0, 0.9), (0.0, 0.0, 0.0, 1e200)):
        with pytest.raises(SpecMismatch, match=r'of length .*, must be 1'):
            messages.read_goal(quaternion(*bad), 'base')
    for bad in (math.nan, math.inf, -math.inf):
        for place in range(4):
            numbers = [0.0, 0.0, 0.0, 1.0]
            numbers[place] = bad
            with pytest.raises(SpecMismatch, match='not finite'):
                messages.read_goal(quaternion(*numbers), 'base')
    message = quaternion(0.0, 0.0, 0.0, 1.0)
    message.pose.position.z = math.nan
    with pytest.raises(SpecMismatch, match='not finite'):
        messages.read_goal(message, 'base')
    message = quaternion(0.0, 0.0, 0.0, 1.0)
    message.header.frame_id = 'camera'
    with pytest.raises(SpecMismatch, match="frame 'camera', must be in 'base'"):
        messages.read_goal(message, 'base')


def test_status():
    status = to_status('policy', 'warn', 'READY', {'faults': 2})
    assert status.values[0].value == '2' and status.level == LEVELS['warn']
