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

"""Time to the fallback when a process dies, and the latency that effort_guard adds, over DDS.

    python benchmarks/effort_guard.py [--quick] [--times N]

sim_node, policy_node and effort_guard run as processes; this one listens to the commands. In RUN
one of policy_node and effort_guard gets SIGKILL, SIGSTOP or SIGSEGV; the time counts from the
signal to the first fallback after which no torque comes. For the latency this process sends the
joint states itself, at 500 Hz; it counts from one that is sent to the command that arrives, in
turns with and without the guard, and what the guard adds is that of the median pair of turns.
Ends with one line of JSON.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / 'test/helpers'), str(ROOT)]
os.environ.update(
    ROS_DOMAIN_ID='86',
    OMP_NUM_THREADS='1',
    PYTHONPATH=str(ROOT),
    FASTDDS_DEFAULT_PROFILES_FILE=str(ROOT / 'test/data/loopback.xml'),
    ROS_AUTOMATIC_DISCOVERY_RANGE='SYSTEM_DEFAULT',
)

import numpy as np  # noqa: E402
import rclpy  # noqa: E402
from geometry_msgs.msg import PointStamped  # noqa: E402
from policy_files import linear_policy, save  # noqa: E402
from rclpy.clock import Clock  # noqa: E402
from rclpy.clock_type import ClockType  # noqa: E402
from rclpy.experimental.events_executor import EventsExecutor  # noqa: E402
from rclpy.qos import DurabilityPolicy, QoSProfile  # noqa: E402
from sensor_msgs.msg import JointState  # noqa: E402
from std_msgs.msg import Float64MultiArray, String  # noqa: E402
from std_srvs.srv import SetBool, Trigger  # noqa: E402

from sac_ros.robot.loader import load_robot  # noqa: E402
from sac_ros.tasks.reach import reach_spec  # noqa: E402

COMMAND = '/forward_effort_controller/commands'
STATED = 0.025  # [s]
PERIOD = 0.002  # [s] between two joint states
SIGNALS = (signal.SIGKILL, signal.SIGSTOP, signal.SIGSEGV)
MODULES = {'policy_node': 'policy_node', 'effort_guard': 'guard_node'}
# The machine may be busy: late joint states must not end the motion before the signal does.
SETTINGS = {'autostart': 'true', 'supervision.state_timeout': 0.2, 'supervision.healthy_time': 0.1,
            'supervision.state_period': 0.05, 'supervision.stall_timeout': 0.2,
            'supervision.ramp_time': 0.0}  # fmt: skip
STOP = 0.5  # [s] for which a process is stopped, longer than stall_timeout


class Bench:
    """The processes, and what they publish."""

    def __init__(self, directory: Path) -> None:
        self.spec = spec = reach_spec(load_robot(), 0.02, True)
        policy = save(linear_policy(spec, bias=0.02), directory / 'policy.onnx')
        self.settings = SETTINGS | {'policy': policy}
        self.log = (directory / 'log').open('w+')
        rclpy.init(args=[])
        self.node = rclpy.create_node('bench', start_parameter_services=False)
        self.executor = EventsExecutor()
        self.executor.add_node(self.node)
        self.state, self.stated, self.latencies = '', 0.0, []
        self.commands: list[tuple[float, bool]] = []  # arrival [s], whether it is a torque
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        make = self.node.create_subscription
        make(Float64MultiArray, COMMAND, self._on_command, 100)
        make(String, '/policy_node/state', self._on_state, latched)
        self.goals = self.node.create_publisher(PointStamped, '/policy_node/goal', latched)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.void = self.woken = 0  # turns not in RUN; times that a torque came after SIGCONT

    def _on_command(self, message: Float64MultiArray) -> None:
        now = time.monotonic()
        self.commands.append((now, any(message.data)))
        self.latencies.append(now - self.stated)

    def replace_arm(self) -> None:
        """Send joint states of an arm that stands still, until the simulated one is started."""
        names = list(self.spec.joint_names)
        state = JointState(name=names, position=[0.1] * len(names), velocity=[0.0] * len(names))
        publisher = self.node.create_publisher(JointState, '/joint_states', 1)

        def publish() -> None:
            self.stated = time.monotonic()
            state.header.stamp.sec, state.header.stamp.nanosec = divmod(time.monotonic_ns(), 10**9)
            publisher.publish(state)

        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.timer = self.node.create_timer(PERIOD, publish, clock=steady)
        self.publisher = publisher

    def start_arm(self) -> None:
        """Start the simulated arm."""
        self.node.destroy_timer(self.timer)
        self.node.destroy_publisher(self.publisher)
        self._start('sim_node', 'sim_node', {})

    def _on_state(self, message: String) -> None:
        self.state = message.data

    def start(self, guard: bool) -> None:
        """Start what does not run yet."""
        for name, module in MODULES.items():
            process = self.processes.get(name)
            if (guard or name == 'policy_node') and (
                process is None or process.poll() is not None
            ):
                given = self.settings | {'guard': str(guard).lower()}
                self._start(name, module, given if name == 'policy_node' else {})

    def _start(self, name: str, module: str, given: dict[str, object]) -> None:
        pairs = [item for key, value in given.items() for item in ('-p', f'{key}:={value}')]
        command = [sys.executable, '-m', f'sac_ros.ros.{module}']
        self.processes[name] = subprocess.Popen(
            [*command, *(['--ros-args', *pairs] if pairs else [])],
            stdout=self.log, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def end(self, name: str) -> None:
        """End a process of ours in peace."""
        process = self.processes.pop(name)
        process.send_signal(signal.SIGINT)
        process.wait(15)

    def spin(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.executor.spin_once(timeout_sec=0.005)

    def spin_until(self, condition: Callable[[], object], seconds: float = 30.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            self.executor.spin_once(timeout_sec=0.005)
            if time.monotonic() > end:
                self.log.seek(0)
                sys.exit(f'effort_guard: stuck in {self.state}\n{self.log.read()[-3000:]}')

    def call(self, kind: Any, name: str, **request: object) -> bool:
        client = self.node.create_client(kind, name)
        self.spin_until(client.service_is_ready)
        future = client.call_async(kind.Request(**request))
        self.spin_until(future.done)
        self.node.destroy_client(client)
        return future.result().success

    def run(self) -> None:
        """Stand the arm still and enable, until torques come; again where the machine faults."""
        enabled = False
        while self.state != 'RUN' or not self.commands[-1][1]:
            self.spin_until(lambda: self.state in ('READY', 'FAULT', 'RUN'))
            if self.state == 'FAULT':
                self.void += enabled
                self.call(Trigger, '/policy_node/reset')
            if 'sim_node' in self.processes:
                self.call(Trigger, '/sim_node/reset')
            self.goals.publish(PointStamped())
            enabled = self.call(SetBool, '/policy_node/enable', data=True)
            self.spin(0.05)

    def fail(self, victim: str, number: int, rng: np.random.Generator) -> float:
        """Signal a process in RUN; return the time to the fallback [s]."""
        while True:
            self.run()
            self.spin(float(rng.uniform(0, 0.02)))
            if self.state == 'RUN' and self.commands[-1][1]:
                break
            self.void += 1
        process, seen = self.processes[victim], len(self.commands)
        start = time.monotonic()
        process.send_signal(number)
        self.spin(STOP)
        late = [arrival for arrival, torque in self.commands[seen:] if torque]
        last = max(late, default=start)
        after = [arrival for arrival, _ in self.commands[seen:] if arrival > max(last, start)]
        if not after:
            return float('inf')
        if number == signal.SIGSTOP:
            seen = len(self.commands)
            process.send_signal(signal.SIGCONT)
            self.spin(STOP)
            self.woken += any(torque for _, torque in self.commands[seen:])
        else:
            process.wait()
            if victim == 'effort_guard':
                self.end('policy_node')  # to which the dead guard stays a publisher for a while
            self.state = ''
        self.start(guard=True)
        return after[0] - start

    def latency(self, seconds: float) -> float:
        """Return the median latency [s] in one turn."""
        self.run()
        self.latencies.clear()
        self.spin(seconds)
        return float(np.median(self.latencies))

    def close(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--quick', action='store_true', help='two of each, fewer turns')
    parser.add_argument('--times', type=int, default=50, help='of each failure')
    options = parser.parse_args()
    times, turns = (1, 2) if options.quick else (options.times, 10)
    rng = np.random.default_rng(0)
    result: dict[str, object] = {'times': times}
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(Path(name))
        try:
            bench.replace_arm()
            pairs = []
            for _ in range(turns):
                pair = []
                for guard in (False, True):
                    bench.state = ''
                    bench.start(guard)
                    pair.append(bench.latency(1.0 if options.quick else 3.0))
                    for victim in [name for name in MODULES if name in bench.processes]:
                        bench.end(victim)
                pairs.append(pair)
            plain, guarded = 1e6 * np.median(pairs, axis=0)
            added = 1e6 * np.median([b - a for a, b in pairs])
            print(f'latency p50: {plain:.0f} us, with effort_guard {guarded:.0f} us')
            result |= {'p50_us': round(plain, 1), 'guard_added_p50_us': round(added, 1)}
            bench.start_arm()
            bench.state = ''
            bench.start(guard=True)
            for victim in MODULES:
                for number in SIGNALS:
                    bench.woken = 0
                    seconds = [bench.fail(victim, number, rng) for _ in range(times)]
                    label = signal.Signals(number).name
                    woken = f', torque on waking {bench.woken}' * (number == signal.SIGSTOP)
                    within = sum(value <= STATED for value in seconds)
                    median, worst = 1000 * np.median(seconds), 1000 * max(seconds)
                    print(
                        f'{label} of {victim}: fallback after {median:.1f} ms in the median, '
                        f'{worst:.1f} ms at most, {within} of {times} within '
                        f'{1000 * STATED:.0f} ms{woken}',
                        flush=True,
                    )
                    key = f'{victim}_{label.lower()}'
                    result |= {f'{key}_max_ms': round(worst, 1), f'{key}_ok': within}
                    if number == signal.SIGSTOP:
                        result[f'{key}_woken'] = bench.woken
        finally:
            bench.close()
    print(json.dumps(result | {'void': bench.void}))


if __name__ == '__main__':
    main()
