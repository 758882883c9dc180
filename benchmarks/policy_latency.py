"""From joint state to command over DDS, beside a bare echo node and a bare policy.

    python benchmarks/policy_latency.py [--quick] [--soak MINUTES]

Robot, node and this receiver are processes of their own. The robot sends joint states at a fixed
rate; the echo node answers each with a command of the same size and does nothing else. Rounds with
our node and with the echo node alternate, so a busy machine slows both alike. Latency is from
sending the state to receiving the command for it, in one process on one clock. Ends with one line
of JSON: `added_p50_us` is what our node adds over the echo node at 500 Hz, in the median round.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / 'test'), str(ROOT)]
DOMAIN = 88
os.environ.update(
    ROS_DOMAIN_ID=str(DOMAIN),
    OMP_NUM_THREADS='1',
    PYTHONPATH=f'{ROOT}{os.pathsep}{ROOT / "test"}',
    FASTDDS_DEFAULT_PROFILES_FILE=str(ROOT / 'test/data/loopback.xml'),
    ROS_AUTOMATIC_DISCOVERY_RANGE='SYSTEM_DEFAULT',
)

import numpy as np  # noqa: E402
import rclpy  # noqa: E402
from geometry_msgs.msg import PointStamped  # noqa: E402
from policy_files import linear_policy, reach_spec, save  # noqa: E402
from rclpy.experimental.events_executor import EventsExecutor  # noqa: E402
from sensor_msgs.msg import JointState  # noqa: E402
from std_msgs.msg import Float64MultiArray  # noqa: E402
from std_srvs.srv import SetBool  # noqa: E402

from sac_ros.policy import OnnxPolicy  # noqa: E402

COMMAND = '/forward_effort_controller/commands'
N = 7
Results = dict[int, dict[str, float]]  # by rate [Hz]
ECHO = f"""
import rclpy
from rclpy.experimental.events_executor import EventsExecutor
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
rclpy.init()
node = rclpy.create_node('echo')
publisher = node.create_publisher(Float64MultiArray, '{COMMAND}', 1)
answer = Float64MultiArray(data=[0.0] * {N})
node.create_subscription(JointState, '/joint_states', lambda m: publisher.publish(answer), 1)
executor = EventsExecutor()
executor.add_node(node)
while True:
    executor.spin_once(timeout_sec=0.05)
"""


class Robot:
    """Sends joint states on a steady clock and times the commands that come back."""

    def __init__(self) -> None:
        rclpy.init()
        self.node = rclpy.create_node('robot')
        self.publisher = self.node.create_publisher(JointState, '/joint_states', 1)
        self.goals = self.node.create_publisher(PointStamped, '/policy_node/goal', 1)
        self.enable = self.node.create_client(SetBool, '/policy_node/enable')
        self.node.create_subscription(Float64MultiArray, COMMAND, self._on_command, 1)
        self.message = JointState(
            name=[f'j{i + 1}' for i in range(N)], position=[0.1] * N, velocity=[0.0] * N
        )
        self.executor = EventsExecutor()
        self.executor.add_node(self.node)
        self.sent, self.latency, self.arrivals = 0.0, [], []
        self.waiting = False

    def _on_command(self, message: Float64MultiArray) -> None:
        now = time.perf_counter()
        self.arrivals.append(now)
        if self.waiting:
            self.latency.append(now - self.sent)
            self.waiting = False

    def run(self, rate: int, seconds: float) -> dict[str, float]:
        """Send at `rate` [Hz]; a state without a command before the next one is a miss."""
        self.latency, self.arrivals, period = [], [], 1.0 / rate
        n, missed, late, start = int(rate * seconds), 0, 0, time.perf_counter() + 0.01
        for k in range(n):
            due = start + k * period
            while (left := due - time.perf_counter()) > 0:
                self.executor.spin_once(timeout_sec=min(left, 0.001))
            late += time.perf_counter() - due > period  # the sender itself was held up
            missed += self.waiting
            self.sent, self.waiting = time.perf_counter(), True
            self.publisher.publish(self.message)
        quantiles = np.quantile(self.latency or [float('nan')], (0.5, 0.99, 0.999, 1.0)) * 1e6
        names = ('p50', 'p99', 'p999', 'max')
        gaps = np.diff(self.arrivals) if len(self.arrivals) > 2 else np.array([0.0])
        return dict(zip(names, quantiles.tolist(), strict=True)) | {
            'jitter': 1e6 * float(np.std(gaps)),
            'missed': missed / n,
            'late_sender': late / n,
        }

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + 30
        while not condition():
            self.publisher.publish(self.message)
            self.executor.spin_once(timeout_sec=0.002)
            if time.monotonic() > end:
                sys.exit(f'policy_latency: {what} did not come within 30 s')

    def connect(self, ours: bool) -> None:
        """Wait for the node, and enable ours."""
        self.arrivals = []
        self.wait(lambda: len(self.arrivals) > 20, 'the node')
        while ours:
            self.goals.publish(PointStamped())
            future = self.enable.call_async(SetBool.Request(data=True))
            self.wait(future.done, 'the answer to enable')
            if future.result().success:
                return


def cpu_seconds(pid: int) -> float:
    fields = Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def resident_mib(pid: int) -> float:
    pages = int(Path(f'/proc/{pid}/statm').read_text().split()[1])
    return pages * os.sysconf('SC_PAGE_SIZE') / 2**20


def start(kind: str, policy: str) -> subprocess.Popen[bytes]:
    given = {'policy': policy, 'autostart': 'true', 'supervision.state_timeout': 1.0,
             'supervision.state_period': 0.3, 'supervision.hold_up': 1.0,
             'supervision.healthy_time': 0.2}  # fmt: skip
    pairs = [item for k, v in given.items() for item in ('-p', f'{k}:={v}')]
    ours = [sys.executable, '-m', 'sac_ros.ros.policy_node', '--ros-args', *pairs]
    command = ours if kind == 'ours' else [sys.executable, '-c', ECHO]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def measure(robot: Robot, kind: str, policy: str, rates: Sequence[int], seconds: float) -> Results:
    process = start(kind, policy)
    try:
        robot.connect(kind == 'ours')
        robot.run(rates[0], 1.2)  # ramp, caches
        results = {}
        for rate in rates:
            before, began = cpu_seconds(process.pid), time.perf_counter()
            results[rate] = robot.run(rate, seconds)
            used = cpu_seconds(process.pid) - before
            results[rate]['cpu'] = used / (time.perf_counter() - began)
        return results
    finally:
        process.kill() if kind == 'echo' else process.terminate()
        process.wait(20)


def bare_policy(path: str) -> float:
    """Median time [us] of a policy alone."""
    policy, times = OnnxPolicy(path), []
    observation = np.zeros(policy.spec.n_observation)
    for _ in range(2000):
        begin = time.perf_counter()
        policy(observation)
        times.append(time.perf_counter() - begin)
    return 1e6 * statistics.median(times)


def soak(robot: Robot, policy: str, minutes: float) -> None:
    """Print latency and memory of our node minute by minute at 500 Hz."""
    process = start('ours', policy)
    try:
        robot.connect(True)
        rows = []
        for minute in range(round(minutes)):
            result = robot.run(500, 60.0)
            rows.append((result['p50'], resident_mib(process.pid)))
            print(f'minute {minute + 1:3d}: p50 {rows[-1][0]:6.0f} us  p99 {result["p99"]:6.0f} us'
                  f'  {rows[-1][1]:7.2f} MiB', flush=True)  # fmt: skip
    finally:
        process.terminate()
        process.wait(20)
    print(json.dumps({'minutes': len(rows), 'p50_first': rows[0][0], 'p50_last': rows[-1][0],
                      'mib_first': rows[0][1], 'mib_last': rows[-1][1]}))  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--quick', action='store_true', help='under 50 seconds')
    parser.add_argument('--soak', type=float, default=0, metavar='MINUTES', help='only soak')
    options = parser.parse_args()
    rates = (500, 1000) if options.quick else (100, 200, 500, 1000)
    rounds, seconds = (2, 3.0) if options.quick else (5, 10.0)
    with tempfile.TemporaryDirectory() as directory:
        weight = np.random.default_rng(0).normal(size=(2 * N + 3 + N, N)) / 100
        policy = save(linear_policy(reach_spec(N), weight), Path(directory) / 'policy.onnx')
        robot = Robot()
        if options.soak:
            soak(robot, policy, options.soak)
            return
        found = {'ours': [], 'echo': []}
        for _ in range(rounds):
            for kind, results in found.items():
                results.append(measure(robot, kind, policy, rates, seconds))
        alone = bare_policy(policy)

    def median(kind: str, rate: int, what: str) -> float:
        return statistics.median(result[rate][what] for result in found[kind])

    columns = ('p50', 'p99', 'p999', 'max', 'jitter', 'missed', 'late_sender', 'cpu')
    print(f'{"":10}' + ''.join(f'{c:>12}' for c in columns) + '   (us, shares)')
    for rate in rates:
        for kind in found:
            row = [median(kind, rate, c) for c in columns]
            text = ''.join(f'{v:12.0f}' if c not in columns[5:] else f'{v:12.4f}'
                           for c, v in zip(columns, row, strict=True))  # fmt: skip
            print(f'{rate:5d} {kind:4}{text}')
    print(f'bare policy: {alone:.0f} us')
    added = statistics.median(
        o[500]['p50'] - e[500]['p50'] for o, e in zip(*found.values(), strict=True)
    )
    print(json.dumps({
        'added_p50_us': round(added, 1),
        'p99_us': round(median('ours', 500, 'p99'), 1),
        'missed_500hz': round(median('ours', 500, 'missed'), 5),
        'missed_1000hz': round(median('ours', 1000, 'missed'), 5),
    }))  # fmt: skip


if __name__ == '__main__':
    main()
