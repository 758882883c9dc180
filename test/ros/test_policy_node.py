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

"""policy_node as a process, over DDS; the test is the robot."""

import math
import signal
import subprocess
import sys

import numpy as np
import pytest
from geometry_msgs.msg import Point, PointStamped, Pose, PoseStamped, Quaternion
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from paths import PROGRAMS
from policy_files import linear_policy, pose_spec, reach_spec, save
from policy_robot import COMMAND, SPEC, Robot
from std_msgs.msg import Float64MultiArray, Header


@pytest.fixture
def policy(tmp_path):
    return save(linear_policy(SPEC, bias=[0.5, -0.5, 3.0]), tmp_path / 'policy.onnx')


WANTED = 5.0 * np.tanh([0.5, -0.5, 3.0])


def test_runs_stops_and_resumes_only_when_told(graph, policy):
    robot = Robot(graph, policy)

    robot.wait('READY')
    graph.spin_until(lambda: len(robot.commands) > 10, what='the fallback')
    assert robot.torque().tolist() == [0.0] * 3
    refused = robot.call('enable', data=True)
    assert not refused.success and refused.message
    robot.run()
    graph.spin_until(lambda: np.allclose(robot.torque(), WANTED), what='the torque of the policy')
    graph.spin_until(lambda: np.allclose(robot.applied[-1].effort, WANTED))
    assert list(robot.applied[-1].name) == robot.names
    assert all((np.abs(c.data) <= SPEC.torque_limit).all() for c in robot.commands)

    assert robot.call('estop').success
    robot.wait('ESTOP')
    graph.spin_until(lambda: not robot.torque().any(), what='the fallback')
    graph.spin_until(lambda: robot.reported('ESTOP'), what='ESTOP in the diagnostics')
    assert 'call reset first' in robot.call('enable', data=True).message
    robot.call('reset')
    robot.wait('READY')
    robot.run()
    robot.call('enable', data=False)
    robot.wait('READY')
    graph.spin_until(lambda: robot.reported('READY'), what='READY in the diagnostics')


def in_frame(name):
    return PointStamped(header=Header(frame_id=name))


def test_goals_are_in_the_frame_that_the_file_says(graph, tmp_path):
    policy = save(linear_policy(reach_spec(3, base_frame='pedestal')), tmp_path / 'policy.onnx')
    robot = Robot(graph, policy)
    robot.wait('READY')
    graph.spin_until(lambda: robot.goals.get_subscription_count() == 1)
    robot.goals.publish(in_frame('base_link'))
    refused = "goal is in frame 'base_link', must be in 'pedestal'"
    graph.spin_until(lambda: refused in graph.output(robot.process), what=refused)
    robot.goals.publish(in_frame('pedestal'))
    graph.spin_until(lambda: robot.call('enable', data=True).success, what='enabling')
    graph.spin_until(lambda: robot.shown('goal'), what='the goal')
    assert robot.shown('goal').header.frame_id == 'pedestal'
    assert graph.stop(robot.process) == 0

    named = Robot(graph, policy, '-p', 'base_frame:=left_pedestal')
    warning = "goals are in base_frame 'left_pedestal', the policy was trained in 'pedestal'"
    graph.spin_until(lambda: warning in graph.output(named.process), what=warning)


def test_a_policy_for_poses_takes_poses_alone(graph, tmp_path):
    spec = pose_spec(3)
    weight = np.zeros((spec.n_observation, 3))
    weight[spec.slices()['goal']] = np.eye(3)
    weight[spec.slices()['goal_orientation'], 0] = [1.0, 2.0, 3.0, 4.0]
    robot = Robot(graph, save(linear_policy(spec, weight), tmp_path / 'policy.onnx'))
    poses = graph.node.create_publisher(PoseStamped, '/policy_node/goal_pose', 1)
    robot.wait('READY')
    listeners = (robot.goals.get_subscription_count, poses.get_subscription_count)
    graph.spin_until(lambda: all(count() == 1 for count in listeners), what='the listeners')

    def refused(publisher, message, line):
        publisher.publish(message)
        graph.spin_until(lambda: line in graph.output(robot.process), what=line)
        graph.spin_for(2.0)  # such lines are not written more often
        assert 'takes a pose on ~/goal_pose' in robot.call('enable', data=True).message

    refused(robot.goals, PointStamped(), 'it is a point on ~/goal, policy')
    zero = Quaternion(w=0.0)
    refused(poses, PoseStamped(pose=Pose(orientation=zero)), 'of length 0, must be 1')
    place = Point(x=0.3, y=-0.2, z=0.5)
    pose = Pose(position=place, orientation=Quaternion(x=0.0, y=-0.6, z=0.0, w=-0.8))
    poses.publish(PoseStamped(pose=pose))
    graph.spin_until(lambda: robot.call('enable', data=True).success, what='enabling')
    expected = 5.0 * np.tanh([0.3 + 2 * 0.6 + 4 * 0.8, -0.2, 0.5])
    graph.spin_until(lambda: np.allclose(robot.torque(), expected), what='the torque for the pose')
    graph.spin_until(lambda: robot.shown('goal_axes'), what='the axes of the goal')
    assert robot.shown('goal').pose.position == place
    assert robot.shown('goal_axes').pose.orientation == Quaternion(y=0.6, w=0.8)


def test_silence_is_a_fault_and_the_last_word_is_the_fallback(graph, policy):
    robot = Robot(graph, policy)
    robot.run()
    robot.timer.cancel()
    robot.wait('FAULT')
    graph.spin_until(lambda: not robot.torque().any(), what='the fallback')
    robot.timer.reset()
    graph.spin_for(0.3)
    assert robot.states[-1].data == 'FAULT'
    for transition in (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_ACTIVATE):
        request = Transition(id=transition)
        assert graph.call(ChangeState, '/policy_node/change_state', transition=request).success
    robot.wait('FAULT')
    robot.call('reset')
    robot.run()
    graph.spin_until(lambda: robot.torque().any())
    assert graph.stop(robot.process, signal.SIGTERM) == 0
    graph.spin_for(0.1)
    assert robot.torque().tolist() == [0.0] * 3
    assert 'Traceback' not in graph.output(robot.process)


@pytest.mark.parametrize(
    ('what', 'reason'),
    [
        ({'position': [math.nan, 0.0, 0.0]}, 'not finite'),
        ({'names': ['j1', 'j2', 'other']}, 'partial joint states, without j3'),
        ({'names': ['j1', 'j2', 'j2']}, 'policy expects joints'),
        ({'velocity': [0.0, 9.0, 0.0]}, 'velocity limit at j2'),
    ],
)
def test_a_bad_state_is_a_fault(graph, policy, what, reason):
    robot = Robot(graph, policy, '-p', 'supervision.healthy_time:=0.1')
    robot.run()
    vars(robot).update(what)
    robot.wait('FAULT')
    graph.spin_until(lambda: robot.reported(reason), what='diagnostics')
    graph.spin_until(lambda: not robot.torque().any(), what='the fallback')


def test_joints_are_matched_by_name_on_both_sides(graph, tmp_path):
    weight = np.zeros((SPEC.n_observation, 3))
    weight[SPEC.slices()['joint_position']] = np.eye(3)
    policy = save(linear_policy(SPEC, weight), tmp_path / 'policy.onnx')
    robot = Robot(graph, policy, '-p', 'command_joints:=j2,j3,j1')
    robot.names, robot.position = ['j3', 'gripper', 'j1', 'j2'], [0.3, 9.0, 0.1, 0.2]
    robot.velocity = [0.0] * 4
    robot.run()
    expected = 5.0 * np.tanh([0.2, 0.3, 0.1])
    graph.spin_until(lambda: np.allclose(robot.torque(), expected), what='joints by name')


def test_a_second_publisher_is_a_fault(graph, policy):
    robot = Robot(graph, policy)
    robot.run()
    other = graph.node.create_publisher(Float64MultiArray, COMMAND, 1)
    robot.wait('FAULT')
    assert 'other publisher' in robot.call('enable', data=True).message
    graph.node.destroy_publisher(other)


def test_nothing_moves_while_nobody_listens(graph, policy):
    """A controller that comes later would begin with the full torque."""
    robot = Robot(graph, policy)
    robot.run()
    (heard,) = (s for s in graph.node.subscriptions if s.topic_name == COMMAND)
    graph.node.destroy_subscription(heard)
    robot.wait('FAULT')
    robot.call('reset')
    robot.wait('READY')
    graph.spin_for(0.5)
    graph.spin_until(
        lambda: 'nobody listens on' in robot.call('enable', data=True).message, what='refusal'
    )


def test_a_torque_computed_before_a_stall_is_not_sent(graph, policy):
    robot = Robot(
        graph,
        policy,
        '-p',
        'supervision.stall_timeout:=0.4',
        program=(PROGRAMS / 'stopping_policy_node.py',),
    )
    robot.run()
    graph.spin_until(lambda: stopped(robot.process.pid), what='the stop')
    graph.spin_for(1.2)
    seen = len(robot.commands)
    robot.process.send_signal(signal.SIGCONT)
    robot.wait('FAULT')
    graph.spin_until(lambda: len(robot.commands) > seen, what='the fallback')
    assert not any(any(command.data) for command in robot.commands[seen:])


def stopped(pid):
    with open(f'/proc/{pid}/stat') as file:
        return file.read().rsplit(')', 1)[1].split()[0] == 'T'


BROKEN = """
import sys
from sac_ros.ros import policy_node
policy_node.configure_realtime = lambda config: 1 / 0  # on activating, when half is done
sys.exit(policy_node.main(sys.argv))
"""


def test_an_error_in_a_lifecycle_transition_is_undone(graph, policy, tmp_path):
    commands = graph.subscribe(Float64MultiArray, COMMAND)
    with (tmp_path / 'log').open('w+') as log:
        arguments = ['--ros-args', '-p', f'policy:={policy}']
        process = subprocess.Popen([sys.executable, '-c', BROKEN, *arguments], stderr=log)
        try:
            for number in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
                graph.call(
                    ChangeState, '/policy_node/change_state', transition=Transition(id=number)
                )
            state = graph.call(GetState, '/policy_node/get_state').current_state
            assert state.label == 'unconfigured'
            graph.spin_until(lambda: not graph.node.count_publishers(COMMAND), what='silence')
            assert not any(any(c.data) for c in commands)
            log.seek(0)
            assert 'ZeroDivisionError' in log.read()
        finally:
            process.kill()
            process.wait()


def test_lifecycle_and_reload(graph, policy, tmp_path):
    robot = Robot(graph, policy, autostart=False)

    def change(transition):
        request = Transition(id=transition)
        return graph.call(ChangeState, '/policy_node/change_state', transition=request).success

    robot.wait('UNCONFIGURED')
    assert 'no policy is loaded' in robot.call('enable', data=True).message
    assert change(Transition.TRANSITION_CONFIGURE)
    robot.wait('INACTIVE')
    assert change(Transition.TRANSITION_ACTIVATE)
    robot.run()
    save(linear_policy(SPEC, bias=[-1.0, 0.0, 0.0]), policy)
    assert robot.call('reload').success
    graph.spin_until(lambda: np.allclose(robot.torque(), 5 * np.tanh([-1, 0, 0])))
    save(linear_policy(reach_spec(3, model_hash='another')), policy)
    refused = robot.call('reload')
    assert not refused.success and 'model_hash: policy' in refused.message
    liar = linear_policy(SPEC)
    for entry in liar.metadata_props:
        entry.value = entry.value.replace('"position_lower": [-2.0', '"position_lower": ["low"')
    save(liar, policy)
    assert "position_lower is 'low', must be a finite number" in robot.call('reload').message
    with open(policy, 'ab') as file:
        file.write(b'more')
    assert 'the policy in use stays' in robot.call('reload').message
    robot.wait('RUN')
    graph.spin_for(0.1)
    assert np.allclose(robot.torque(), 5 * np.tanh([-1, 0, 0]))
    assert change(Transition.TRANSITION_DEACTIVATE)
    robot.wait('INACTIVE')
    graph.spin_for(0.1)
    assert robot.torque().tolist() == [0.0] * 3
    silent = len(robot.commands)
    graph.spin_for(0.1)
    assert len(robot.commands) == silent
    assert change(Transition.TRANSITION_CLEANUP)
    assert not change(Transition.TRANSITION_CONFIGURE), 'the file is damaged'
    save(linear_policy(SPEC), policy)
    assert change(Transition.TRANSITION_CONFIGURE)
    assert graph.call(GetState, '/policy_node/get_state').current_state.label == 'inactive'


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['-p', 'autostart:=true'], 'no policy is given'),
        (['-p', 'autostart:=true', '-p', 'policy:=/none.onnx'], 'cannot read the policy'),
        (['-p', 'safety.torque_scale:=1.5'], 'safety.torque_scale'),
        (['-p', 'supervision.ramp_time:=1'], 'decimal point'),
        (['--params-file', '/none.yaml'], '/none.yaml'),
    ],
)
def test_bad_input_is_one_line_and_status_2(domain, arguments, message):
    command = [sys.executable, '-m', 'sac_ros.ros.policy_node', '--ros-args', *arguments]
    result = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert result.returncode == 2
    assert message in result.stderr and 'Traceback' not in result.stderr
    assert len([line for line in result.stderr.splitlines() if 'policy_node: ' in line]) == 1
