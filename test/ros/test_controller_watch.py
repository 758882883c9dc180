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

"""Who takes the commands, over DDS: recorders, and controllers that are not active."""

import importlib

import numpy as np
import pytest
import rclpy
from lifecycle_msgs.msg import State, TransitionEvent
from policy_files import linear_policy, save
from policy_robot import COMMAND, SPEC, Robot
from rclpy.parameter import Parameter
from std_msgs.msg import Float64MultiArray
from std_srvs.srv import Trigger

from sac_ros.ros.controller_watch import why_inactive

CONTROLLER = 'forward_effort_controller'
WANTED = 5.0 * np.tanh([0.5, -0.5, 3.0])


@pytest.fixture
def policy(tmp_path):
    return save(linear_policy(SPEC, bias=[0.5, -0.5, 3.0]), tmp_path / 'policy.onnx')


@pytest.fixture
def make_node(graph):
    """Make nodes that run in the graph of the test."""
    nodes = []

    def make(name):
        node = rclpy.create_node(name, context=graph.context)
        graph.executor.add_node(node)
        nodes.append(node)
        return node

    yield make
    for node in nodes:
        graph.executor.remove_node(node)
        node.destroy_node()


def ready(graph, robot):
    """Send a goal and wait until all but the watch lets the robot be enabled."""
    robot.wait('READY')
    graph.spin_until(lambda: robot.goals.get_subscription_count() == 1, what='listener')
    robot.goals.publish(robot.goal())


def refused(graph, robot, text):
    graph.spin_until(lambda: text in robot.call('enable', data=True).message, what=text)


def test_a_subscriber_that_comes_or_goes_begins_with_no_torque(graph, policy):
    robot = Robot(graph, policy)
    robot.run()
    assert 'no controller manager is there to ask' in graph.output(robot.process)
    for change in (
        lambda: graph.node.create_subscription(Float64MultiArray, COMMAND, id, 10),
        lambda: graph.node.destroy_subscription(list(graph.node.subscriptions)[-1]),
    ):
        graph.spin_until(lambda: np.allclose(robot.torque(), WANTED), what='the full torque')
        seen, states = len(robot.commands), len(robot.states)
        change()
        graph.spin_until(
            lambda: any(not any(c.data) for c in robot.commands[seen:]),  # noqa: B023
            what='no torque',
        )
        graph.spin_until(lambda: len(robot.states) >= states + 2, what='the end of the ramp')  # noqa: B023
        assert [state.data for state in robot.states[states:]] == ['RAMP', 'RUN']


def test_a_controller_that_changes_its_state_is_a_fault(graph, policy):
    topic = f'/{CONTROLLER}/transition_event'
    events = graph.node.create_publisher(TransitionEvent, topic, 10)
    robot = Robot(graph, policy)
    robot.run()
    graph.spin_until(lambda: events.get_subscription_count() == 1, what='the watch')
    inactive = State(id=State.PRIMARY_STATE_INACTIVE, label='inactive')
    active = State(id=State.PRIMARY_STATE_ACTIVE, label='active')
    events.publish(TransitionEvent(start_state=active, goal_state=inactive))
    robot.wait('FAULT')
    graph.spin_until(lambda: robot.reported('went from active to inactive'), what='reason')
    graph.spin_until(lambda: not robot.torque().any(), what='the fallback')


def test_a_controller_of_other_joints_or_quantity_is_refused(graph, policy, make_node):
    controller = make_node(CONTROLLER)
    controller.declare_parameter('joints', ['j3', 'j2', 'j1'])
    controller.declare_parameter('interface_name', 'effort')
    robot = Robot(graph, policy)
    ready(graph, robot)
    refused(graph, robot, f'{CONTROLLER} takes commands for j3, j2, j1, they are sent for j1, j2')
    position = Parameter('interface_name', value='position')
    controller.set_parameters([Parameter('joints', value=['j1', 'j2', 'j3']), position])
    refused(graph, robot, f'{CONTROLLER} commands position, not effort')
    controller.set_parameters([Parameter('interface_name', value='effort')])
    robot.run()
    controller.set_parameters([position])
    robot.wait('FAULT')


def test_only_an_active_controller_moves_the_robot():
    service = '/controller_manager/list_controllers'
    assert why_inactive('effort', {'effort': 'active', 'other': 'inactive'}, service) == ''
    for state in ('unconfigured', 'inactive', 'finalized', ''):
        reason = why_inactive('effort', {'effort': state, 'other': 'active'}, service)
        assert reason == f'the controller effort is {state}, not active'
    assert 'lists no effort, it lists a, b;' in why_inactive('effort', {'b': '', 'a': ''}, service)
    assert 'it lists none;' in why_inactive('effort', {}, service)


def has_messages():
    try:
        importlib.import_module('controller_manager_msgs.srv')
    except ImportError:
        return False
    return True


@pytest.mark.skipif(has_messages(), reason='controller_manager_msgs is installed')
def test_an_unreadable_controller_manager_blocks_enabling(graph, policy, make_node):
    service = '/controller_manager/list_controllers'
    make_node('controller_manager').create_service(Trigger, service, lambda _, response: response)
    robot = Robot(graph, policy)
    ready(graph, robot)
    refused(graph, robot, 'controller_manager_msgs is not installed')
    assert graph.stop(robot.process) == 0
    robot.timer.cancel()
    Robot(graph, policy, '-p', "controller_manager:=''").run()


@pytest.mark.skipif(not has_messages(), reason='controller_manager_msgs is not installed')
def test_the_controller_manager_is_asked(graph, policy, make_node):
    from controller_manager_msgs.msg import ControllerState
    from controller_manager_msgs.srv import ListControllers

    states = {'joint_state_broadcaster': 'active'}

    def answer(_, response):
        response.controller = [
            ControllerState(name=name, state=state) for name, state in states.items()
        ]
        return response

    manager = make_node('controller_manager')
    service = manager.create_service(
        ListControllers, '/controller_manager/list_controllers', answer
    )
    robot = Robot(graph, policy)
    ready(graph, robot)
    refused(graph, robot, f'lists no {CONTROLLER}, it lists joint_state_broadcaster')
    states[CONTROLLER] = 'inactive'
    refused(graph, robot, f'the controller {CONTROLLER} is inactive, not active')
    states[CONTROLLER] = 'active'
    robot.run()
    states[CONTROLLER] = 'inactive'
    robot.wait('FAULT')
    graph.spin_until(lambda: robot.reported('is inactive, not active'), what='reason')
    states[CONTROLLER] = 'active'
    robot.call('reset')
    robot.run()
    manager.destroy_service(service)
    robot.wait('FAULT')
    graph.spin_until(lambda: robot.reported('the controller manager is gone'), what='reason')
