"""Services of policy_node over DDS; no client of them delays commands or an emergency stop."""

import os
import subprocess
import sys
from contextlib import contextmanager

import pytest
from policy_files import linear_policy, save
from policy_robot import SPEC, Robot

CLIENT = """
import sys, time, rclpy
from rcl_interfaces.srv import DescribeParameters, GetParameters, ListParameters
from std_srvs.srv import Trigger
rclpy.init()
node = rclpy.create_node('client', start_parameter_services=False)
kinds = {'get_parameters': GetParameters, 'list_parameters': ListParameters,
         'describe_parameters': DescribeParameters, 'reload': Trigger}
names = sys.argv[2:]
clients = [node.create_client(kinds[name], '/policy_node/' + name) for name in names]
for client in clients:
    client.wait_for_service()
time.sleep(0.5)
print('begin', flush=True)
if sys.argv[1] == 'vanish':
    for client in clients:
        for _ in range(10):
            client.call_async(client.srv_type.Request())
        node.destroy_client(client)
while sys.argv[1] == 'flood':
    for client in clients:
        client.call_async(client.srv_type.Request())
    time.sleep(0.0002)
sys.stdin.read()
"""
DUMP = ('get_parameters', 'list_parameters', 'describe_parameters')


@pytest.fixture
def policy(tmp_path):
    return save(linear_policy(SPEC, bias=[0.5, -0.5, 3.0]), tmp_path / 'policy.onnx')


@contextmanager
def client(graph, *arguments):
    process = subprocess.Popen(
        [sys.executable, '-c', CLIENT, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        os.set_blocking(process.stdout.fileno(), False)
        graph.spin_until(process.stdout.read, what='the client')
        yield
    finally:
        process.kill()
        process.wait()


def test_a_client_that_vanishes_delays_no_command(graph, policy):
    """Each response to it blocks for 100 ms, ten of them in one thread: above stall_timeout."""
    short = ('-p', 'supervision.state_period:=0.1', '-p', 'supervision.state_timeout:=0.5')
    robot = Robot(graph, policy, *short, '-p', 'supervision.stall_timeout:=0.5')
    robot.run()
    with client(graph, 'vanish', *DUMP):
        graph.spin_for(2.0)
        assert {state.data for state in robot.states} <= {
            'UNCONFIGURED',
            'INACTIVE',
            'READY',
            'RAMP',
            'RUN',
        }
        assert robot.torque().any()
        assert robot.call('estop').success
    robot.wait('ESTOP')


@pytest.mark.parametrize('services', [DUMP, ('reload',)])
def test_an_emergency_stop_is_obeyed_in_a_flood_of_requests(graph, policy, services):
    robot = Robot(graph, policy)
    robot.run()
    with client(graph, 'flood', *services), client(graph, 'flood', *services):
        graph.spin_for(2.0)
        assert robot.states[-1].data in ('RUN', 'RAMP')  # a policy that was reloaded is ramped up
        robot.call('estop', timeout=5.0)
        graph.spin_until(lambda: robot.states[-1].data == 'ESTOP', 5.0, 'the stop')


@pytest.mark.parametrize(('service', 'request_', 'state'), [
    ('estop', {}, 'ESTOP'), ('enable', {'data': False}, 'READY'),
])  # fmt: skip
def test_leaving_run_needs_no_joint_state(graph, policy, service, request_, state):
    robot = Robot(graph, policy, '-p', 'supervision.state_period:=1.0')
    robot.run()
    robot.timer.cancel()
    graph.spin_for(0.1)
    seen = len(robot.commands)
    robot.call(service, **request_)
    # Silence, which brings a fallback too, begins two periods after the last joint state.
    graph.spin_until(lambda: len(robot.commands) > seen, 1.5, 'the fallback')
    assert not any(robot.commands[seen].data)
    graph.spin_until(lambda: robot.states[-1].data == state, what=state)
