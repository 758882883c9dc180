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

"""What policy_node shows in RViz, over DDS: state, goal, arm, and the marker to drag."""

import pytest
from geometry_msgs.msg import Point, PointStamped
from policy_files import linear_policy, planar_geometry, save
from policy_robot import SPEC, Robot
from sensor_msgs.msg import JointState
from std_msgs.msg import Header
from visualization_msgs.msg import InteractiveMarkerFeedback, InteractiveMarkerUpdate
from visualization_msgs.srv import GetInteractiveMarkers

from sac_ros.ros import markers

MARKER = '/policy_node/goal_marker'


@pytest.fixture
def policy(tmp_path):
    geometry = planar_geometry(3, 0.3).to_json()
    model = linear_policy(SPEC, bias=[0.5, -0.5, 3.0], geometry=geometry)
    return save(model, tmp_path / 'policy.onnx')


def says(graph, robot, *words):
    def shown():
        text = robot.shown('text')
        return text is not None and all(word in text.text for word in words)

    graph.spin_until(shown, what=f'{words} in RViz')
    return robot.shown('text')


def rgb_of(color):
    return [round(part, 3) for part in (color.r, color.g, color.b)]


def rgb(marker):
    return rgb_of(marker.color)


def test_the_view_shows_state_reason_goal_and_arm(graph, policy):
    robot = Robot(graph, policy, '-p', 'base_frame:=pedestal')
    robot.wait('READY')
    assert 'base_frame' not in graph.output(robot.process)  # the file does not say one
    says(graph, robot, 'READY: no goal has come yet')
    assert robot.shown('goal') is None
    graph.spin_until(lambda: robot.shown('tip'), what='the tip')
    assert robot.shown('tip').header.frame_id == 'tip'
    robot.run((0.9, 0.0, 0.03))
    running = says(graph, robot, 'RUN', 'policy share 100 %')
    assert rgb(running) == rgb_of(markers.GREEN)
    graph.spin_until(lambda: robot.shown('goal'), what='the goal')
    assert robot.shown('goal').pose.position == Point(x=0.9, z=0.03)
    assert robot.shown('goal').header.frame_id == 'pedestal'
    graph.spin_until(lambda: robot.shown('torque'), what='a torque')
    robot.position = [0.0, 0.0, 0.0]
    graph.spin_until(lambda: robot.shown('goal_distance').text == '30 mm', what='the distance')
    assert robot.shown('goal_radius').color.g > robot.shown('goal_radius').color.b

    robot.goals.publish(PointStamped(header=Header(frame_id='camera')))
    says(graph, robot, 'RUN', "goal is in frame 'camera', must be in 'pedestal'")
    robot.velocity = [0.0, 9.0, 0.0]
    fault = says(graph, robot, 'FAULT: ', 'velocity limit at j2', 'next: ~/reset')
    assert rgb(fault) == rgb_of(markers.RED)
    robot.timer.cancel()
    says(graph, robot, 'FAULT', 'no joint states')


def test_a_node_without_a_policy_says_what_is_next(graph):
    robot = Robot(graph, 'absent.onnx', autostart=False)
    text = says(graph, robot, 'UNCONFIGURED', 'next: configure')
    assert rgb(text) == rgb_of(markers.ORANGE)


def test_a_file_without_geometry_shows_state_and_goal(graph, tmp_path):
    robot = Robot(graph, save(linear_policy(SPEC), tmp_path / 'policy.onnx'))
    robot.run((0.3, 0.2, 0.5))
    says(graph, robot, 'RUN')
    graph.spin_until(lambda: robot.shown('goal'), what='the goal')
    assert robot.shown('tip') is None and robot.shown('goal_distance') is None


def feedback(kind, **values):
    return InteractiveMarkerFeedback(marker_name='goal', event_type=kind, **values)


def test_the_goal_can_be_dragged_and_the_menu_enables_and_stops(graph, policy):
    updates = graph.subscribe(InteractiveMarkerUpdate, f'{MARKER}/update', 100)
    robot = Robot(graph, policy)
    robot.wait('READY')
    sent = graph.node.create_publisher(InteractiveMarkerFeedback, f'{MARKER}/feedback', 10)

    def offered():
        return graph.call(GetInteractiveMarkers, f'{MARKER}/get_interactive_markers')

    graph.spin_until(lambda: offered().markers, what='the marker')
    first = offered()
    (marker,) = first.markers
    assert marker.header.frame_id == 'base_link' and marker.header.stamp.sec == 0
    titles = {entry.title: entry.id for entry in marker.menu_entries}
    assert list(titles) == ['Enable', 'Disable', 'Stop (estop)', 'Reset']
    graph.spin_until(lambda: sent.get_subscription_count() == 1, what='the listener')

    def choose(title):
        kind = InteractiveMarkerFeedback.MENU_SELECT
        sent.publish(feedback(kind, menu_entry_id=titles[title]))
        graph.spin_for(0.2)  # a person is no flood

    refused = 'not enabled: no goal has come yet'
    says(graph, robot, 'READY')
    graph.spin_until(lambda: choose('Enable') or refused in robot.shown('text').text, what=refused)
    dragged = feedback(InteractiveMarkerFeedback.MOUSE_UP, header=marker.header)
    dragged.pose.position = Point(x=0.4, y=0.1, z=0.2)
    sent.publish(dragged)
    graph.spin_until(lambda: robot.shown('goal'), what='the goal')
    assert robot.shown('goal').pose.position == dragged.pose.position
    graph.spin_until(lambda: offered().markers[0].pose == dragged.pose, what='the marker there')

    # A client that has the markers of the service applies every later update, in order.
    robot.goals.publish(robot.goal((0.5, 0.0, 0.1)))
    graph.spin_until(lambda: updates and updates[-1].poses
                     and updates[-1].poses[0].pose.position == Point(x=0.5, z=0.1))  # fmt: skip
    assert updates[-1].seq_num == offered().sequence_number > first.sequence_number
    numbers = [update.seq_num for update in updates]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))

    graph.spin_until(lambda: choose('Enable') or robot.states[-1].data == 'RUN', what='RUN')
    choose('Stop (estop)')
    robot.wait('ESTOP')
    choose('Reset')
    robot.wait('READY')


def test_torques_and_limits_have_joint_names_for_plots(graph, policy):
    topics = {
        name: graph.subscribe(JointState, f'/policy_node/{name}')
        for name in ('commanded', 'applied', 'limits/lower', 'limits/upper')
    }
    robot = Robot(graph, policy, '-p', 'safety.torque_scale:=0.5')
    robot.run()
    graph.spin_until(lambda: all(topics.values()), what='every topic')
    graph.spin_until(lambda: topics['commanded'][-1].effort[2] > 4.9, what='the asked torque')
    graph.spin_until(lambda: topics['applied'][-1].effort[2] == 2.5, what='the guarded torque')
    assert all(list(messages[-1].name) == robot.names for messages in topics.values())
    assert list(topics['limits/upper'][-1].effort) == list(SPEC.torque_limit)
    assert list(topics['limits/lower'][-1].position) == list(SPEC.position_lower)
    assert list(topics['limits/lower'][-1].velocity) == [-4.0] * 3
