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

"""Goals over DDS: latched ones, and arms in namespaces of their own."""

import numpy as np
from geometry_msgs.msg import Point, PointStamped
from policy_files import linear_policy, save
from policy_robot import LATCHED, SPEC, Robot


def follow_goal(path):
    """Save a policy whose torque is tanh of the goal."""
    weight = np.zeros((SPEC.n_observation, 3))
    weight[SPEC.slices()['goal']] = np.eye(3)
    return save(linear_policy(SPEC, weight), path)


def test_a_goal_latched_before_the_start_is_received(graph, tmp_path):
    latched = graph.node.create_publisher(PointStamped, '/policy_node/goal', LATCHED)
    latched.publish(PointStamped(point=Point(x=0.3, y=-0.2, z=0.5)))
    robot = Robot(graph, follow_goal(tmp_path / 'policy.onnx'))
    graph.spin_until(lambda: robot.call('enable', data=True).success, what='enabling')
    expected = 5.0 * np.tanh([0.3, -0.2, 0.5])
    graph.spin_until(lambda: np.allclose(robot.torque(), expected), what='the torque')
    robot.goals.publish(PointStamped())  # a volatile publisher is heard as before
    graph.spin_until(lambda: not robot.torque().any(), what='the torque of the second goal')
    assert 'incompatible QoS' not in graph.output(robot.process)


def test_arms_in_two_namespaces_do_not_command_each_other(graph, tmp_path):
    policy = follow_goal(tmp_path / 'policy.onnx')
    left, right = (Robot(graph, policy, namespace=name) for name in ('/left', '/right'))
    for robot, goal in ((left, (0.3, 0.0, 0.0)), (right, (0.0, -0.4, 0.0))):
        robot.run(goal)
        expected = 5.0 * np.tanh(goal)
        graph.spin_until(lambda: np.allclose(robot.torque(), expected), what='torque')  # noqa: B023
    left.call('estop')
    left.wait('ESTOP')
    graph.spin_until(lambda: not left.torque().any(), what='the fallback')
    seen = len(right.commands)
    graph.spin_until(lambda: len(right.commands) > seen + 20, what='commands')
    assert all(np.allclose(c.data, 5.0 * np.tanh([0.0, -0.4, 0.0])) for c in right.commands[seen:])
    assert right.states[-1].data == 'RUN'
    absolute = [name for name, _ in graph.node.get_topic_names_and_types() if name.count('/') == 1]
    assert not {'/joint_states', '/robot_description'} & set(absolute)
    graph.spin_until(lambda: left.reported('ESTOP'), what='ESTOP in the diagnostics')
    assert {r.status[0].name for r in left.reports} == {'left/policy_node', 'right/policy_node'}
