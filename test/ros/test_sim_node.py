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

"""sim_node as a process, over DDS."""

import signal
from pathlib import Path

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PointStamped, PoseStamped
from paths import TWO_JOINTS
from policy_files import linear_policy, save
from rclpy.qos import DurabilityPolicy, QoSProfile
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, String
from std_srvs.srv import SetBool, Trigger
from visualization_msgs.msg import Marker, MarkerArray

from sac_ros.robot.loader import load_robot
from sac_ros.tasks.reach import ReachPoseTask
from sac_ros.tasks.task import arm_spec

COMMAND = '/forward_effort_controller/commands'
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def drawn(markers):
    return {marker.ns for marker in markers.markers if marker.action == Marker.ADD}


def test_behaves_like_a_robot(graph):
    states = graph.subscribe(JointState, '/joint_states')
    goals = graph.subscribe(PointStamped, '/policy_node/goal')
    markers = graph.subscribe(MarkerArray, '/sim_node/markers')
    sim = graph.start('sim_node', '--ros-args', '-p', 'goal_period:=1.0', '-p', 'seed:=3')
    graph.spin_until(lambda: len(states) > 50 and goals and markers, what='state, goal, markers')
    assert list(states[0].name) == [f'joint{i}' for i in range(1, 7)]
    graph.spin_until(lambda: 'goal' in drawn(markers[-1]), what='the goal')
    assert {'tip', 'trail', 'range', 'goal_radius', 'goal_distance'} <= drawn(markers[-1])
    shown = [m for m in markers[-1].markers if m.action == Marker.ADD]
    assert all(m.lifetime.sec == 2 and m.frame_locked for m in shown)  # a dead process vanishes
    ranges = [m.header.frame_id for m in shown if m.ns == 'range']
    assert ranges == [f'link{i}' for i in range(1, 7)]
    assert {m.header.frame_id for m in shown if m.ns == 'tip'} == {'tool0'}
    assert {m.text for m in shown if m.ns == 'text'} == {'no policy_node'}

    description = graph.subscribe(String, '/robot_description', LATCHED)  # joins late
    graph.spin_until(lambda: description, what='robot_description')
    assert description[0].data.lstrip().startswith('<')

    command = graph.node.create_publisher(Float64MultiArray, COMMAND, 1)
    graph.spin_until(lambda: command.get_subscription_count() == 1)
    torque = [0.5] * 6

    def obeys():
        command.publish(Float64MultiArray(data=torque))
        return list(states[-1].effort) == torque

    graph.spin_until(obeys, what='the commanded torque')
    graph.spin_until(lambda: list(states[-1].effort) == [0.0] * 6, what='the command watchdog')

    assert not graph.call(Trigger, '/sim_node/step').success
    assert graph.call(SetBool, '/sim_node/pause', data=True).success
    graph.spin_for(0.1)
    held = len(states)
    graph.spin_for(0.2)
    assert len(states) == held
    assert graph.call(Trigger, '/sim_node/step').success
    graph.spin_until(lambda: len(states) == held + 1, what='one state per step')
    before = list(states[-1].position)
    assert graph.call(Trigger, '/sim_node/reset').success
    graph.spin_until(lambda: list(states[-1].position) != before, what='another posture')
    assert graph.stop(sim) == 0
    assert 'Traceback' not in graph.output(sim)


def test_simulated_time_on_the_clock(graph):
    clocks = graph.subscribe(Clock, '/clock')
    states = graph.subscribe(JointState, '/joint_states')
    sim = graph.start('sim_node', '--ros-args', '-p', 'clock:=true', '-p', 'rate:=100')
    graph.spin_until(lambda: len(clocks) > 20 and len(states) > 20)
    times = [c.clock.sec + 1e-9 * c.clock.nanosec for c in clocks]
    assert times == sorted(times) and times[-1] < 100
    assert states[-1].header.stamp.sec < 100
    before, count = clocks[-1].clock, len(clocks)
    assert graph.call(Trigger, '/sim_node/reset').success
    graph.spin_until(lambda: len(clocks) > count + 20, what='time after a reset')
    assert all(
        (c.clock.sec, c.clock.nanosec) >= (before.sec, before.nanosec) for c in clocks[count:]
    )
    assert graph.stop(sim, signal.SIGTERM) == 0


def test_as_fast_as_possible_and_says_how_fast(graph):
    clocks = graph.subscribe(Clock, '/clock')
    reports = graph.subscribe(DiagnosticArray, '/diagnostics')
    sim = graph.start('sim_node', '--ros-args', '-p', 'real_time_factor:=0.0', '-p', 'rate:=100')
    graph.spin_until(lambda: len(reports) > 1 and clocks, what='diagnostics')
    values = {v.key: v.value for v in reports[-1].status[0].values}
    assert float(values['real_time_factor']) > 1.5
    assert float(values['late_max']) >= 0
    assert reports[-1].status[0].message == 'no command'
    assert graph.stop(sim) == 0


def test_a_thousand_states_per_second(graph):
    states = graph.subscribe(JointState, '/joint_states', 1000)
    reports = graph.subscribe(DiagnosticArray, '/diagnostics')
    sim = graph.start('sim_node', '--ros-args', '-p', 'rate:=1000')
    graph.spin_until(lambda: len(reports) > 2, what='diagnostics')
    stamps = [s.header.stamp.sec + 1e-9 * s.header.stamp.nanosec for s in states[-500:]]
    assert 499 / (stamps[-1] - stamps[0]) > 700  # 1000 on an idle machine
    assert float(reports[-1].status[0].values[0].value) > 0.8
    assert graph.stop(sim) == 0


def test_a_robot_of_ones_own_with_a_held_gripper(graph, tmp_path):
    gripper = tmp_path / 'gripper.urdf'
    gripper.write_text(
        Path(TWO_JOINTS)
        .read_text()
        .replace('base_link', 'pedestal')
        .replace(
            '</robot>',
            """<link name="finger"><inertial><mass value=".1"/>
            <inertia ixx="1e-4" iyy="1e-4" izz="1e-4" ixy="0" ixz="0" iyz="0"/></inertial></link>
            <joint name="grip" type="prismatic"><parent link="tip"/><child link="finger"/>
            <limit lower="0.01" upper="0.04" effort="5" velocity="1"/></joint></robot>""",
        )
    )
    states = graph.subscribe(JointState, '/joint_states')
    markers = graph.subscribe(MarkerArray, '/sim_node/markers')
    settings = {'arm.model': str(gripper), 'arm.joints': 'shoulder,elbow'}
    given = [part for name, value in settings.items() for part in ('-p', f'{name}:={value}')]
    sim = graph.start('sim_node', '--ros-args', *given)
    graph.spin_until(lambda: states and markers, what='states and markers')
    assert list(states[-1].name) == ['shoulder', 'elbow', 'grip']
    assert states[-1].position[2] == 0.01
    frames = {m.ns: m.header.frame_id for m in markers[-1].markers}
    assert (frames['text'], frames['tip']) == ('pedestal', 'tip')
    assert graph.stop(sim) == 0


def test_its_random_poses_drive_a_policy_that_reaches_poses(graph, tmp_path):
    robot = load_robot()
    spec = arm_spec(robot, ReachPoseTask.fields, 0.05, True)
    where = spec.slices()
    weight = np.zeros((spec.n_observation, 6))
    weight[where['goal'], :3] = 0.1 * np.eye(3)
    weight[where['goal_orientation'], 2:] = 0.1 * np.eye(4)
    policy = save(linear_policy(spec, weight), tmp_path / 'policy.onnx')
    poses = graph.subscribe(PoseStamped, '/policy_node/goal_pose')
    points = graph.subscribe(PointStamped, '/policy_node/goal')
    markers = graph.subscribe(MarkerArray, '/policy_node/markers')
    commands = graph.subscribe(Float64MultiArray, COMMAND)
    graph.start('sim_node', '--ros-args', '-p', 'goal_period:=1000.0', '-p', 'goals:=pose')
    patient = ('supervision.state_period:=0.3', 'supervision.state_timeout:=1.0')
    given = ('autostart:=true', f'policy:={policy}', 'supervision.enable_speed:=100.0', *patient)
    graph.start('policy_node', '--ros-args', *(p for g in given for p in ('-p', g)))

    def enabled():
        return graph.call(SetBool, '/policy_node/enable', data=True).success

    graph.spin_until(enabled, what='enabling, which needs a pose')
    graph.spin_until(lambda: poses and commands and markers, what='pose, commands, markers')
    place, turn = poses[-1].pose.position, poses[-1].pose.orientation
    shares = 0.1 * np.array([place.x, place.y, place.z + turn.x, turn.y, turn.z, turn.w])
    expected = np.array(robot.torque_limit) * np.tanh(shares)

    def commanded():
        return np.allclose(commands[-1].data, expected, rtol=1e-4)

    graph.spin_until(commanded, what='the torque for the pose')
    assert any({'goal', 'goal_axes'} <= drawn(array) for array in markers)
    assert turn.w >= 0 and not points
