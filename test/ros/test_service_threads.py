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

"""Services of policy_node over DDS; no client of them delays commands or an emergency stop."""

import os
import subprocess
import sys
from contextlib import ExitStack, contextmanager

import pytest
from paths import PROGRAMS
from policy_files import linear_policy, save
from policy_robot import SPEC, Robot

DUMP = ('get_parameters', 'list_parameters', 'describe_parameters')


@pytest.fixture
def policy(tmp_path):
    return save(linear_policy(SPEC, bias=[0.5, -0.5, 3.0]), tmp_path / 'policy.onnx')


@contextmanager
def clients(graph, n, *arguments):
    """Run clients that begin together, as soon as each of them has had a response."""
    with ExitStack() as stack:
        processes = []
        for _ in range(n):
            process = subprocess.Popen(
                [sys.executable, PROGRAMS / 'service_client.py', *arguments],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0,
            )  # fmt: skip
            stack.callback(process.wait)
            stack.callback(process.kill)
            os.set_blocking(process.stdout.fileno(), False)
            graph.spin_until(process.stdout.read, what='the client')
            processes.append(process)
        for process in processes:
            process.stdin.write(b'begin\n')
        yield


def test_a_client_that_vanishes_delays_no_command(graph, policy):
    """Each response to it blocks for 100 ms, ten of them in one thread: above stall_timeout."""
    short = ('-p', 'supervision.state_period:=0.1', '-p', 'supervision.state_timeout:=0.5')
    robot = Robot(graph, policy, *short, '-p', 'supervision.stall_timeout:=0.5')
    robot.run()
    with clients(graph, 1, 'vanish', *DUMP):
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
    with clients(graph, 2, 'flood', *services):
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
