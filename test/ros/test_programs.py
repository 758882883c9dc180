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

"""The programs that start nodes and talk to them, over DDS, as README's deploy section says."""

import os
import re
import signal
import subprocess
import sys

import pytest
from policy_files import linear_policy, pose_spec, save
from policy_files import reach_spec as small_spec
from sensor_msgs.msg import JointState
from std_msgs.msg import String

from sac_ros.robot.loader import load_robot
from sac_ros.ros.qos import LATCHED
from sac_ros.tasks.reach import reach_spec

SAC_ROS = ('-m', 'sac_ros')
# The machine that runs the tests is busy: joint states are late only after a while.
PATIENT = ('--supervision.state_period', '1.0', '--supervision.state_timeout', '1.0')
STATUS = r'RUN: commands the policy; simulated arm: tip \d+ mm from the goal\n'
SLOW = 'import time\nprint("importing", flush=True)\nwhile True: time.sleep(1)\n'
POINT = ('0.3', '-1e-1', '0.4')


def sac_ros(*arguments, **options):
    """Run one command to its end."""
    return subprocess.run(
        [sys.executable, *SAC_ROS, *arguments],
        capture_output=True, text=True, check=False, timeout=60, **options,
    )  # fmt: skip


@pytest.fixture(scope='module')
def run_dir(tmp_path_factory):
    """A run whose policy asks for no torque of the default arm."""
    folder = tmp_path_factory.mktemp('run')
    save(linear_policy(reach_spec(load_robot(), 0.02, True)), folder / 'policy.onnx')
    return folder


def last_of(states):
    return states[-1].data if states else ''


def test_the_steps_of_the_readme(graph, run_dir):
    states = graph.subscribe(String, '/policy_node/state', LATCHED)
    joints = graph.subscribe(JointState, '/joint_states')
    sim = graph.start('sim_node', 'node', 'sim', '--rate', '250', program=SAC_ROS)
    node = graph.start(
        'policy_node', 'node', 'policy', str(run_dir), *PATIENT, program=SAC_ROS
    )  # fmt: skip
    graph.spin_until(lambda: joints and last_of(states) == 'READY', what='both nodes')

    def lacks_a_goal():  # joint states must have been good for a while first
        early = sac_ros('enable')
        assert (early.returncode, early.stdout) == (1, '')
        return early.stderr.startswith('sac_ros: /policy_node refuses: no goal has come yet')

    graph.spin_until(lacks_a_goal, 60, 'the refusal for want of a goal')

    goal = sac_ros('goal', *POINT)
    assert goal.returncode == 0, goal.stderr
    assert goal.stdout == 'sent point 0.3 -0.1 0.4 in the base frame to /policy_node/goal\n'
    graph.spin_until(lambda: sac_ros('enable').returncode == 0, 60, 'enabling')
    graph.spin_until(lambda: last_of(states) == 'RUN', what='RUN')
    lines = set()  # the simulated arm may be discovered after the node

    def is_shown():
        status = sac_ros('status')
        assert status.returncode == 0, status.stderr
        lines.add(status.stdout)
        return re.fullmatch(STATUS, status.stdout)

    graph.spin_until(is_shown, 60, 'the distance to the goal')
    assert all(line.startswith('RUN: commands the policy') for line in lines)

    stop = sac_ros('estop')
    assert (stop.returncode, stop.stdout) == (0, 'ESTOP\n')
    graph.spin_until(lambda: last_of(states) == 'ESTOP', what='ESTOP')
    refused = sac_ros('enable')
    assert refused.returncode == 1 and 'call reset first' in refused.stderr
    assert 'ESTOP: stopped by request' in sac_ros('status').stdout
    for command in ('reset', 'disable'):
        assert (sac_ros(command).returncode, last_of(states)) in ((0, 'ESTOP'), (0, 'READY'))
    for process in (node, sim):
        assert graph.stop(process) == 0
        assert 'Traceback' not in graph.output(process)


def test_a_namespaced_goal_reaches_a_node_of_another_name(graph, tmp_path):
    policy = save(linear_policy(pose_spec(3)), tmp_path / 'policy.onnx')
    states = graph.subscribe(String, '/left/driver/state', LATCHED)
    node = graph.start(
        'policy_node', 'node', 'policy', policy, '--ros-args', '-r', '__ns:=/left',
        '-r', '__node:=driver', program=SAC_ROS,
    )  # fmt: skip
    graph.spin_until(lambda: last_of(states) == 'READY', what='READY')
    pose = sac_ros('goal', '0', '0', '1', '0', '0', '1', '0', '--node', 'left/driver',
                   '--frame', 'nowhere')  # fmt: skip
    assert pose.returncode == 0, pose.stderr
    assert pose.stdout == 'sent pose 0 0 1 0 0 1 0 in frame nowhere to /left/driver/goal_pose\n'
    graph.spin_until(
        lambda: "goal is in frame 'nowhere'" in graph.output(node), what='the complaint'
    )


def test_status_follows_until_ctrl_c(graph, tmp_path):
    policy = save(linear_policy(small_spec(3)), tmp_path / 'policy.onnx')
    graph.start('policy_node', 'node', 'policy', policy, program=SAC_ROS)
    follow = graph.start('status', 'status', '--follow', '--timeout', '30', program=SAC_ROS)
    graph.spin_until(lambda: 'READY: ' in graph.output(follow), 40, 'READY')
    assert sac_ros('estop').returncode == 0
    graph.spin_until(lambda: 'ESTOP: ' in graph.output(follow), 20, 'ESTOP')
    graph.processes.remove(follow)
    assert graph.stop(follow) == 130
    lines = graph.output(follow).splitlines()
    follow.log.close()
    assert len(lines) == len(set(lines)) and all(': ' in line for line in lines)


def test_without_a_node_there_is_one_line_and_status_2(domain):
    for command in (['enable'], ['disable'], ['estop'], ['reset'], ['goal', *POINT], ['status']):
        done = sac_ros(*command, '--timeout', '0.3')
        assert (done.returncode, done.stdout) == (2, '')
        assert done.stderr == (
            'sac_ros: NodeError: no node /policy_node answers within 0.3 s: '
            f'is it running in ROS domain {domain}?\n'
        )


MISTAKES = {
    'unknown option': (['node', 'sim', '--arm.modle', 'x'], 'did you mean --arm.model?'),
    'unknown node': (['node', 'sin'], "invalid choice: 'sin'"),
    'no number': (['node', 'sim', '--rate', 'fast'], "invalid int value: 'fast'"),
    'out of range': (['node', 'sim', '--rate', '5000'], 'parameter rate'),
    'no such word': (['node', 'sim', '--goals', 'lines'], 'choose one of point, pose'),
    'no model': (['node', 'sim', '--arm.model', 'absent.urdf'], 'absent.urdf'),
    'no policy': (['node', 'policy'], 'no policy is given'),
    'no such policy': (['node', 'policy', 'absent.onnx'], 'absent.onnx'),
    'no run': (['node', 'policy', '.'], 'holds no policy.onnx'),
    'two policies': (['node', 'policy', 'a', '--policy', 'b'], 'the policy is given twice'),
    'no file': (['node', 'train', '--params-file', 'absent.yaml'], "'absent.yaml': No such file"),
    'other node': (['node', 'train', '--params-file', 'sim.yaml'], 'no section for train_node'),
    'parameter': (['node', 'sim', '--ros-args', '-p', 'rat:=5'], 'rat: did you mean rate?'),
    'parameter in a file': (['node', 'sim', '--params-file', 'sim.yaml'], 'mean seed?'),
    'ROS argument': (['node', 'sim', '--ros-args', '--bogus'], '--bogus'),
    'numbers': (['goal', '1', '2'], 'has 3 numbers'),
    'length': (['goal', '0', '0', '1', '0', '0', '0', '2'], 'must be 1'),
    'not finite': (['goal', '0', '0', 'nan'], 'is not finite'),
    'timeout': (['estop', '--timeout', '0'], '--timeout is 0'),
    'name': (['estop', '--node', 'a b'], "--node is 'a b'"),
    'command': (['estpo'], "invalid choice: 'estpo'"),
}  # fmt: skip


@pytest.mark.parametrize(('arguments', 'message'), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_one_line_and_status_2(domain, tmp_path, arguments, message):
    (tmp_path / 'sim.yaml').write_text('sim_node: {ros__parameters: {seeed: 1}}')
    environment = {**os.environ, 'PYTHONPATH': os.getcwd()}
    done = sac_ros(*arguments, cwd=tmp_path, env=environment)
    lines = [line for line in done.stderr.splitlines() if '[INFO]' not in line]
    assert done.returncode == 2, done.stderr
    assert len(lines) == 1 and message in lines[0], done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ['sim.yaml']


def test_options_override_the_file_and_ros_arguments_both(domain, tmp_path):
    (tmp_path / 'sim.yaml').write_text(
        'sim_node: {ros__parameters: {rate: 3, seed: 3, goals: pose, arm.model: absent}}'
    )
    # The rate that arrives does not fit the time step, which the node reports.
    done = sac_ros(
        'node', 'sim', '--params-file', str(tmp_path / 'sim.yaml'), '--rate', '6',
        '--arm.timestep', '2e-3', '--ros-args', '-p', 'rate:=7',
    )  # fmt: skip
    assert done.returncode == 2 and 'rate 7 Hz does not fit arm.timestep 0.002' in done.stderr


@pytest.mark.parametrize('name', ['sim', 'policy', 'guard', 'train'])
def test_help_lists_the_settings(name):
    done = sac_ros('node', name, '--help')
    assert done.returncode == 0 and done.stderr == ''
    assert '--params-file' in done.stdout
    options = {'sim': '--rate', 'policy': '--safety.', 'guard': '--realtime.', 'train': '--sac.'}
    assert options[name] in done.stdout


@pytest.mark.parametrize(
    ('module', 'arguments'),
    [
        ('rclpy', ['node', 'policy']),
        ('rclpy', ['node', 'guard']),
        ('rclpy', ['node', 'train']),
        ('rclpy', ['estop']),
        ('torch', ['node', 'train']),
        ('numpy', ['status']),
        ('rclpy', 'sim_node'),
        ('rclpy', 'policy_node'),
        ('rclpy', 'effort_guard'),
        ('rclpy', 'train_node'),
    ],
)
def test_ctrl_c_during_imports_leaves_no_traceback(domain, tmp_path, module, arguments):
    start = [*SAC_ROS, *arguments]
    if isinstance(arguments, str):  # a program of its own, as its starter runs it
        start = ['-c', f'import sys; from sac_ros.cli.programs import {arguments} as run; run()']
    (tmp_path / module).mkdir()
    (tmp_path / module / '__init__.py').write_text(SLOW)
    environment = {**os.environ, 'PYTHONPATH': f'{tmp_path}{os.pathsep}{os.getcwd()}'}
    process = subprocess.Popen(
        [sys.executable, *start], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, env=environment,
    )  # fmt: skip
    assert process.stdout.readline() == 'importing\n'
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (130, '')


def test_ctrl_c_while_waiting_for_an_answer_is_quiet(graph):
    waiting = graph.start('goal', 'goal', *POINT, '--timeout', '60', program=SAC_ROS)
    seen = graph.node.get_node_names
    graph.spin_until(lambda: any(n.startswith('sac_ros_cli') for n in seen()), what='the client')
    graph.processes.remove(waiting)
    assert graph.stop(waiting) == 130
    assert graph.output(waiting) == ''
    waiting.log.close()


@pytest.mark.parametrize('arguments', [['node', 'policy', 'x'], ['enable']])
def test_without_ros_there_is_one_line(tmp_path, arguments):
    (tmp_path / 'rclpy').mkdir()
    (tmp_path / 'rclpy/__init__.py').write_text(
        "raise ModuleNotFoundError('No module named rclpy', name='rclpy')"
    )
    environment = {**os.environ, 'PYTHONPATH': f'{tmp_path}{os.pathsep}{os.getcwd()}'}
    done = sac_ros(*arguments, env=environment)
    assert done.returncode == 2 and done.stderr.count('\n') == 1
    assert 'NodeError: the Python package rclpy is missing: ' in done.stderr
