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

"""ROS graphs over DDS for tests, each in a ROS domain of its own."""

import fcntl
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from paths import DATA

# Domains whose ports stay below the ephemeral range.
DOMAINS = range(1, 100)
# Loopback alone, and no shared memory: all domains of a machine share its ports, and after a
# process was killed, Fast DDS can crash another one that ends (seen with 3.2.3).
ON_LOOPBACK = {
    'ROS_AUTOMATIC_DISCOVERY_RANGE': 'SYSTEM_DEFAULT',
    'FASTDDS_DEFAULT_PROFILES_FILE': str(DATA / 'loopback.xml'),
}


@contextmanager
def own_domain(transport=ON_LOOPBACK):
    """Reserve a ROS domain id on this machine and put it into the environment."""
    for number in DOMAINS:
        path = os.path.join(tempfile.gettempdir(), f'sac_ros_test_domain_{number}')
        with open(path, 'w') as file, pytest.MonkeyPatch.context() as patch:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            for name, value in {'ROS_DOMAIN_ID': str(number), **transport}.items():
                patch.setenv(name, value)
            yield number
            return
    pytest.fail('every ROS domain is taken by another test')


class Graph:
    """A node of the test's own in its own context, and the nodes under test as processes."""

    def __init__(self, domain, log_dir):
        import rclpy
        from rclpy.executors import SingleThreadedExecutor

        self.log_dir = log_dir
        self.processes = []
        self.context = rclpy.Context()
        rclpy.init(context=self.context, domain_id=domain, args=[])
        self.node = rclpy.create_node('test', context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)

    def start(self, module, *arguments, within=(), program=None):
        """Start `python -m sac_ros.ros.MODULE`, or another program in its place, and return the
        process; `within` is a command that is to run it.
        """
        log = open(self.log_dir / f'{module}-{len(self.processes)}.log', 'w+')  # noqa: SIM115
        program = program or ('-m', f'sac_ros.ros.{module}')
        command = [*within, sys.executable, *program, *arguments]
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        process.log = log
        self.processes.append(process)
        return process

    def output(self, process):
        """Return what the process has written so far."""
        process.log.seek(0)
        return process.log.read()

    def spin_until(self, condition, timeout=20.0, what='the condition'):
        """Handle messages until the condition holds; fail when it does not in time."""
        end = time.monotonic() + timeout
        while not condition():
            self.executor.spin_once(timeout_sec=0.01)
            for process in self.processes:
                assert process.poll() in (None, 0), self.output(process)
            if time.monotonic() > end:
                logs = '\n'.join(self.output(process) for process in self.processes)
                pytest.fail(f'{what} did not come within {timeout} s\n{logs}')

    def spin_for(self, seconds):
        """Handle messages for a time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.executor.spin_once(timeout_sec=0.01)

    def call(self, service_type, name, timeout=20.0, **request):
        """Call a service and return its response."""
        client = self.node.create_client(service_type, name)
        self.spin_until(client.service_is_ready, timeout, f'service {name}')
        future = client.call_async(service_type.Request(**request))
        self.spin_until(future.done, timeout, f'response of {name}')
        self.node.destroy_client(client)
        return future.result()

    def subscribe(self, message_type, topic, qos=10):
        """Return a list to which every message of the topic is appended."""
        messages = []
        self.node.create_subscription(message_type, topic, messages.append, qos)
        return messages

    def stop(self, process, number=signal.SIGINT, timeout=15.0):
        """Send a signal and return the exit status."""
        process.send_signal(number)
        return process.wait(timeout)

    def close(self):
        """End the node and every process that still runs; again does nothing."""
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        for process in self.processes:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.log.close()
        self.processes = []
        self.executor.shutdown()
        self.node.destroy_node()
        self.context.try_shutdown()


@contextmanager
def own_graph(transport=ON_LOOPBACK):
    """Make a graph, with a domain and a directory of its own, for programs and shared fixtures."""
    with own_domain(transport) as domain, tempfile.TemporaryDirectory() as name:
        graph = Graph(domain, Path(name))
        try:
            yield graph
        finally:
            graph.close()


@pytest.fixture
def domain():
    """Give the test a ROS domain of its own."""
    with own_domain() as number:
        yield number


@pytest.fixture
def make_graph(domain, tmp_path):
    """Make graphs one after the other in the domain of this test."""
    graphs = []

    def make():
        if graphs:
            graphs[-1].close()
        graphs.append(Graph(domain, tmp_path))
        return graphs[-1]

    yield make
    graphs[-1].close()


@pytest.fixture
def graph(make_graph):
    """Return the graph of a test that needs one."""
    return make_graph()
