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

"""Joint states of drivers as they are, over DDS: no velocities, slow ones, other publishers."""

import numpy as np
from policy_files import linear_policy, save
from policy_robot import SPEC, Robot
from sensor_msgs.msg import JointState


def damping_policy(path):
    """Save a policy whose torque is 5 tanh(0.5 - v)."""
    weight = np.zeros((SPEC.n_observation, 3))
    weight[SPEC.slices()['joint_velocity']] = -np.eye(3)
    return save(linear_policy(SPEC, weight, bias=[0.5] * 3), path)


def test_missing_velocities_are_refused_unless_estimated(graph, tmp_path):
    policy = damping_policy(tmp_path / 'policy.onnx')
    robot = Robot(graph, policy)
    robot.velocity = []
    robot.wait('READY')
    graph.spin_until(lambda: robot.goals.get_subscription_count() == 1, what='listener')
    robot.goals.publish(robot.goal())
    expected = (
        'no good joint state arrives: joint states have 0 values of velocity for 3 joints; to '
        'take velocities from positions, set joint_states.differentiate to true'
    )
    graph.spin_until(lambda: robot.call('enable', data=True).message == expected, what=expected)
    assert graph.stop(robot.process) == 0
    robot.timer.cancel()

    robot = Robot(graph, policy, '-p', 'joint_states.differentiate:=true')
    robot.velocity = []
    robot.run()
    rest = 5 * np.tanh([0.5] * 3)
    graph.spin_until(lambda: np.allclose(robot.torque(), rest), what='the torque at rest')
    step = 0.3 * 0.005

    def advance():
        robot.position[1] += step
        robot.publish()

    robot.timer.cancel()
    graph.node.create_timer(0.005, advance)
    graph.spin_until(lambda: robot.torque()[1] < rest[1] - 0.3, what='the velocity of a joint')
    assert np.allclose(robot.torque()[[0, 2]], rest[[0, 2]])


def test_a_refusal_names_the_rate_of_joint_states(graph, tmp_path):
    robot = Robot(graph, damping_policy(tmp_path / 'policy.onnx'), patient=False)
    robot.timer.cancel()
    graph.node.create_timer(0.05, robot.publish)
    robot.wait('READY')
    graph.spin_until(lambda: robot.goals.get_subscription_count() == 1, what='listener')
    robot.goals.publish(robot.goal())
    message = ''

    def named():
        nonlocal message
        message = robot.call('enable', data=True).message
        return message.startswith('joint states come at ')

    graph.spin_until(named, what='the rate')
    words = message.split()
    rate, period = float(words[4]), float(words[-1])
    assert ' '.join(words[5:-1]) == 'Hz, set supervision.state_period to'
    assert rate < 250 and abs(rate * period - 1) < 0.1


def test_messages_of_a_gripper_do_not_displace_those_of_the_arm(graph, tmp_path):
    robot = Robot(graph, damping_policy(tmp_path / 'policy.onnx'))
    gripper = graph.node.create_publisher(JointState, '/joint_states', 10)
    last = graph.node.create_publisher(JointState, '/joint_states', 10)
    robot.timer.cancel()

    def publish():
        """Let them come before and behind the arm's, which are never alone in the queue."""
        for _ in range(3):
            gripper.publish(JointState(name=['finger'], position=[0.0]))
        robot.publish()
        for _ in range(3):
            last.publish(JointState(name=['thumb'], position=[0.0]))

    graph.node.create_timer(0.01, publish)
    robot.run()
    graph.spin_until(lambda: np.allclose(robot.torque(), 5 * np.tanh([0.5] * 3)), what='torque')
    seen = len(robot.commands)
    graph.spin_until(lambda: len(robot.commands) > seen + 100, what='commands')
    assert robot.states[-1].data == 'RUN'

    def counted():
        values = robot.reports[-1].status[0].values if robot.reports else []
        return any(v.key == 'joint states of other joints' and int(v.value) > 0 for v in values)

    graph.spin_until(counted, what='the count in the diagnostics')
