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

"""effort_guard between policy_node and the controller, over DDS; the test is the robot."""

import signal

import numpy as np
import pytest
from policy_files import linear_policy, save
from policy_robot import COMMAND, SPEC, Robot

# The machine may be busy: only a process that is really gone is silent for so long.
GUARDED = ('-p', 'guard:=true', '-p', 'guard_timeout:=0.5')


@pytest.fixture
def robot(graph, tmp_path):
    policy = save(linear_policy(SPEC, bias=[0.5, -0.5, 3.0]), tmp_path / 'policy.onnx')
    guard = graph.start('guard_node')
    robot = Robot(graph, policy, *GUARDED)
    robot.guard = guard
    return robot


def kill(graph, process, number):
    graph.processes.remove(process)
    process.send_signal(number)


def finish(process):
    process.kill()
    process.wait()
    process.log.close()


def zero(robot):
    return not robot.torque().any()


def test_torques_go_through_the_guard(graph, robot):
    robot.run()
    graph.spin_until(lambda: np.allclose(robot.torque(), 5 * np.tanh([0.5, -0.5, 3.0])))
    (names,) = {
        tuple(sorted(info.node_name for info in graph.node.get_publishers_info_by_topic(COMMAND)))
    }
    assert names == ('effort_guard', 'policy_node')
    robot.call('estop')
    graph.spin_until(lambda: zero(robot), what='the fallback')
    assert graph.stop(robot.process, signal.SIGINT) == 0
    graph.spin_until(lambda: 'idle: released' in graph.output(robot.guard), what='release')
    assert graph.stop(robot.guard, signal.SIGINT) == 0
    assert 'Traceback' not in graph.output(robot.guard) + graph.output(robot.process)


@pytest.mark.parametrize(
    ('victim', 'number'),
    [
        ('process', signal.SIGKILL),
        ('process', signal.SIGSTOP),
        ('guard', signal.SIGSEGV),
        ('guard', signal.SIGSTOP),
    ],
)
def test_a_process_that_is_gone_leaves_no_torque(graph, robot, victim, number):
    robot.run()
    graph.spin_until(lambda: robot.torque().any(), what='a torque')
    process = getattr(robot, victim)
    kill(graph, process, number)
    try:
        graph.spin_until(lambda: zero(robot), what='the fallback')
        if victim == 'guard':
            robot.wait('FAULT')
            assert 'effort_guard' in robot.call('enable', data=True).message
        if number == signal.SIGSTOP:
            graph.spin_for(1.2)
            seen = len(robot.commands)
            process.send_signal(signal.SIGCONT)
            robot.wait('FAULT')
            graph.spin_for(0.3)
            assert len(robot.commands) > seen
            if victim == 'process':  # the stamps of its commands are old
                assert not any(any(command.data) for command in robot.commands[seen:])
            assert zero(robot)
    finally:
        finish(process)


def test_enabling_needs_the_guard_and_works_once_it_is_back(graph, robot):
    robot.run()
    graph.stop(robot.guard, signal.SIGTERM)
    robot.wait('FAULT')
    graph.spin_until(lambda: zero(robot), what='the fallback')
    robot.call('reset')
    graph.spin_until(
        lambda: 'no effort_guard answers' in robot.call('enable', data=True).message,
        what='refusal',
    )
    graph.start('guard_node')
    robot.run()
    graph.spin_until(lambda: robot.torque().any(), what='a torque')


def test_without_the_guard_the_log_says_what_is_lost(graph, tmp_path):
    policy = save(linear_policy(SPEC), tmp_path / 'policy.onnx')
    robot = Robot(graph, policy)
    robot.wait('READY')
    assert 'without effort_guard: if this process is killed' in graph.output(robot.process)
