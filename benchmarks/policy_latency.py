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

"""From joint state to command over DDS, beside a bare echo node and a bare policy.

    python benchmarks/policy_latency.py [--quick] [--policy FILE] [--soak MINUTES]

The long form goes through 100, 200, 500 and 1000 Hz and takes a quarter of an hour; --quick leaves
out the lower two and stops at the latest after 45 s, with what it has by then.

The robot that sends joint states, the node, and the controller that receives commands are three
processes. Latency is from the joint state's stamp, taken just before it is published, to the
command's arrival; both are read from the steady clock of this machine. A period in which no
command arrives is a missed tick. The policy is the default arm's, exported untrained, since the
time does not depend on its weights.

The echo node answers each joint state with a command of the same size and does nothing else. It
and our node take turns of a second or so, each held by SIGSTOP while the other one works, so a
busy machine slows both alike; the bare policy is timed between the turns. Ends with one line of
JSON, all from these same turns: `added_p50_us` is what our node adds over the echo node at 500 Hz,
in the median pair of turns.
"""

import argparse
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
os.environ.update(
    ROS_DOMAIN_ID='88',
    OMP_NUM_THREADS='1',
    PYTHONPATH=str(ROOT),
    FASTDDS_DEFAULT_PROFILES_FILE=str(ROOT / 'test/data/loopback.xml'),
    ROS_AUTOMATIC_DISCOVERY_RANGE='SYSTEM_DEFAULT',
)

import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

COMMAND = 'forward_effort_controller/commands'
KINDS = ('ours', 'echo')
COLUMNS = ('p50', 'p99', 'p999', 'max', 'jitter', 'missed', 'late_robot', 'cpu')
WARM_UP = 0.2  # [s] at the start of a turn, not counted
LINGER = 0.1  # [s] for the last commands of a turn
QUICK_LIMIT = 45.0  # [s] after the start, when --quick reports what it has
SLEEPY = {'supervision.state_timeout': 1.0, 'supervision.state_period': 0.3,
          'supervision.stall_timeout': 1.0, 'supervision.healthy_time': 0.1,
          'supervision.ramp_time': 0.0}  # fmt: skip
ECHO = f"""
import sys
import rclpy
from rclpy.experimental.events_executor import EventsExecutor
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
rclpy.init()
node = rclpy.create_node('echo')
publisher = node.create_publisher(Float64MultiArray, '/echo/{COMMAND}', 1)
answer = Float64MultiArray(data=[0.0] * int(sys.argv[1]))
latest = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
node.create_subscription(
    JointState, '/echo/joint_states', lambda message: publisher.publish(answer), latest)
executor = EventsExecutor()
executor.add_node(node)
while rclpy.ok():
    executor.spin_once(timeout_sec=0.05)
"""
EXPORT = """
import sys
from pathlib import Path
import numpy as np
from sac_ros.config.training import TrainConfig
from sac_ros.envs.arm_env import make_problem
from sac_ros.training.export import export_policy
from sac_ros.sac.sac import SAC
config = TrainConfig()
_, spec, chain = make_problem(config)
sac = SAC(spec, chain, config.sac)
none = np.zeros((0, spec.n_observation), np.float32)
export_policy(sac.policy(sac.initialize(0)), spec, Path(sys.argv[1]), none)
"""


class LateError(Exception):
    """Something did not come within the time that is left."""


# The two processes beside the node. Each answers requests that come through a pipe.


def controller(pipe: Connection) -> None:
    """Receive commands; answer each request with the arrivals of one kind [s] since the last."""
    import rclpy
    from rclpy.experimental.events_executor import EventsExecutor
    from std_msgs.msg import Float64MultiArray

    rclpy.init()
    node, arrivals = rclpy.create_node('controller'), {kind: [] for kind in KINDS}
    for kind, prefix in (('ours', '/'), ('echo', '/echo/')):
        into = arrivals[kind]
        node.create_subscription(
            Float64MultiArray, prefix + COMMAND, lambda _, a=into: a.append(time.monotonic()), 10
        )
    executor = EventsExecutor()
    executor.add_node(node)
    while True:
        executor.spin_once(timeout_sec=0.01)
        if pipe.poll():
            kind = pipe.recv()
            pipe.send(list(arrivals[kind]))
            arrivals[kind].clear()


class Robot:
    """Sends joint states to either node, and enables ours."""

    def __init__(self, joint_names: tuple[str, ...]) -> None:
        import rclpy
        from geometry_msgs.msg import PointStamped
        from rclpy.executors import SingleThreadedExecutor
        from rclpy.qos import DurabilityPolicy, QoSProfile
        from sensor_msgs.msg import JointState
        from std_msgs.msg import String
        from std_srvs.srv import SetBool

        rclpy.init()
        self.node, n = rclpy.create_node('robot'), len(joint_names)
        self.publishers = {
            'ours': self.node.create_publisher(JointState, '/joint_states', 1),
            'echo': self.node.create_publisher(JointState, '/echo/joint_states', 1),
        }
        self.goals = self.node.create_publisher(PointStamped, '/policy_node/goal', 1)
        self.goal = PointStamped()
        self.client = self.node.create_client(SetBool, '/policy_node/enable')
        self.request = SetBool.Request
        self.state = ''
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.node.create_subscription(String, '/policy_node/state', self._on_state, latched)
        self.message = JointState(name=list(joint_names), position=[0.1] * n, velocity=[0.0] * n)
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)

    def _on_state(self, message: object) -> None:
        self.state = message.data

    def publish(self, kind: str) -> float:
        """Publish a joint state and return its stamp [s]."""
        now = time.monotonic_ns()
        stamp = self.message.header.stamp
        stamp.sec, stamp.nanosec = divmod(now, 10**9)
        self.publishers[kind].publish(self.message)
        return now / 1e9

    def enable(self, wanted: bool, seconds: float) -> str:
        """Return '' once our node is enabled or not, as wanted, else why it is not."""
        end, future, answer = time.monotonic() + seconds, None, 'no answer'
        while time.monotonic() < end:
            self.publish('ours')
            self.goals.publish(self.goal)
            self.executor.spin_once(timeout_sec=0.001)
            time.sleep(0.001)  # an answer can come so fast that the joint states became a flood
            if future is None and self.client.service_is_ready():
                future = self.client.call_async(self.request(data=wanted))
            elif future is not None and future.done():
                if future.result().success:
                    return ''
                answer, future = future.result().message, None
        return answer

    def send(self, kind: str, rate: int, seconds: float) -> tuple[list[float], int, str]:
        """Send at `rate` [Hz] for a time, however many that are.

        Returns:
            The stamps [s], how many periods this process slept through, our node's state.
        """
        period, stamps, late = 1.0 / rate, [], 0
        due = time.monotonic()
        end = due + seconds
        while due < end:
            time.sleep(max(0.0, due - time.monotonic()))
            behind = int((time.monotonic() - due) / period)
            late, due = late + behind, due + behind * period
            stamps.append(self.publish(kind))
            due += period
        self.state = self.state if kind == 'ours' else 'RUN'
        for _ in range(10):
            self.executor.spin_once(timeout_sec=0.001)
        return stamps, late, self.state


def robot(pipe: Connection, joint_names: tuple[str, ...]) -> None:
    """Answer requests: the name of a method of Robot, then its arguments."""
    it = Robot(joint_names)
    while True:
        name, *arguments = pipe.recv()
        pipe.send(getattr(it, name)(*arguments))


class Helper:
    """One of these processes, seen from here."""

    def __init__(self, work: Callable[..., None], *arguments: object) -> None:
        context = multiprocessing.get_context('spawn')
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=work, args=(other, *arguments), daemon=True)
        self.process.start()

    def ask(self, request: object, seconds: float) -> object:
        self.pipe.send(request)
        if not self.pipe.poll(max(seconds, 0.0)):
            raise LateError(f'no answer to {request}')
        return self.pipe.recv()


class Bench:
    """All processes, and what was measured. `deadline` [s] is on the steady clock."""

    def __init__(self, policy: str, deadline: float, kinds: tuple[str, ...] = KINDS) -> None:
        from sac_ros.deploy.onnx_policy import OnnxPolicy

        self.deadline = deadline
        self.policy = OnnxPolicy(policy)
        names = self.policy.spec.joint_names
        given = SLEEPY | {'policy': policy, 'autostart': 'true'}
        pairs = [item for k, v in given.items() for item in ('-p', f'{k}:={v}')]
        commands = {
            'ours': ['-m', 'sac_ros.ros.policy_node', '--ros-args', *pairs],
            'echo': ['-c', ECHO, str(len(names))],
        }
        self.robot, self.controller = Helper(robot, names), Helper(controller)
        self.nodes = {
            kind: subprocess.Popen(
                [sys.executable, *commands[kind]],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for kind in kinds
        }
        self.turns: dict[tuple[str, int], list[dict[str, NDArray[np.float64]]]]
        self.turns = defaultdict(list)
        self.void, self.bare = 0, []

    @property
    def left(self) -> float:
        return self.deadline - time.monotonic()

    def close(self) -> None:
        for helper in (self.robot, self.controller):
            helper.process.kill()
        for process in self.nodes.values():
            process.send_signal(signal.SIGCONT)
            process.terminate()
        for process in self.nodes.values():
            try:
                process.wait(2)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def connect(self) -> None:
        """Wait until every node answers."""
        for kind in self.nodes:
            while len(self.controller.ask(kind, self.left)) < 10:
                self.robot.ask(('send', kind, 100, 0.2), self.left)
                if self.nodes[kind].poll() is not None:
                    sys.exit(f'policy_latency: the node {kind} ended by itself')

    def turn(self, kind: str, rate: int, seconds: float) -> None:
        """Measure one node while the other one is held."""
        for other in self.nodes:
            self.nodes[other].send_signal(signal.SIGCONT if other == kind else signal.SIGSTOP)
        if kind == 'ours':
            why = self.robot.ask(('enable', True, min(10.0, self.left)), self.left)
            if why:
                raise LateError(f'policy_node was not enabled: {why}')
        process = self.nodes[kind]
        self.robot.ask(('send', kind, rate, WARM_UP), self.left)
        time.sleep(LINGER)
        self.controller.ask(kind, self.left)
        cpu, began = cpu_seconds(process.pid), time.monotonic()
        stamps, late, state = self.robot.ask(('send', kind, rate, seconds), self.left)
        cpu = (cpu_seconds(process.pid) - cpu) / (time.monotonic() - began)
        time.sleep(LINGER)
        arrivals = self.controller.ask(kind, self.left)
        if kind == 'ours':
            self.robot.ask(('enable', False, min(10.0, self.left)), self.left)
        if state != 'RUN':
            self.void += 1
            return
        found = matched(np.array(stamps), np.array(arrivals))
        found |= {'late_robot': np.array([late / len(stamps)]), 'cpu': np.array([cpu])}
        self.turns[kind, rate].append(found)

    def ask_policy(self) -> None:
        """Time the policy alone."""
        observation = np.zeros(self.policy.spec.n_observation)
        for _ in range(200):
            begin = time.perf_counter()
            self.policy(observation)
            self.bare.append(1e6 * (time.perf_counter() - begin))

    def row(self, kind: str, rate: int) -> dict[str, float]:
        """Summarise all turns."""
        turns = self.turns[kind, rate]
        joined = {name: np.concatenate([t[name] for t in turns]) for name in turns[0]}
        quantiles = np.quantile(joined['latency'], (0.5, 0.99, 0.999, 1.0)).tolist()
        means = {k: float(joined[k].mean()) for k in ('missed', 'late_robot', 'cpu')}
        jitter = float(np.std(joined['gap']))
        return dict(zip(COLUMNS[:4], quantiles, strict=True)) | means | {'jitter': jitter}

    def added(self, rate: int) -> float:
        """What ours adds to the median latency of the echo node [us], in the median pair."""
        pairs = zip(self.turns['ours', rate], self.turns['echo', rate], strict=False)
        return float(
            np.median([np.median(a['latency']) - np.median(b['latency']) for a, b in pairs])
        )


def matched(
    stamps: NDArray[np.float64], arrivals: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """Return latency and gaps [us], and for each period 1 where no command arrived in it.

    An arrival counts for the latest joint state before it; of two arrivals in a period the first
    one was late for the period before, which is a miss there.
    """
    period = np.searchsorted(stamps, arrivals) - 1
    arrivals, period = arrivals[period >= 0], period[period >= 0]
    latency = np.full(len(stamps), np.nan)
    latency[period] = 1e6 * (arrivals - stamps[period])
    missed = np.isnan(latency)
    gaps = 1e6 * np.diff(arrivals)
    return {'latency': latency[~missed], 'gap': gaps, 'missed': missed.astype(float)}


def cpu_seconds(pid: int) -> float:
    fields = Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def resident_mib(pid: int) -> float:
    pages = int(Path(f'/proc/{pid}/statm').read_text().split()[1])
    return pages * os.sysconf('SC_PAGE_SIZE') / 2**20


def age() -> float:
    """How long ago this process was started [s]; on a busy machine importing takes long."""
    fields = Path('/proc/self/stat').read_text().rsplit(')', 1)[1].split()
    start = int(fields[19]) / os.sysconf('SC_CLK_TCK')
    return time.clock_gettime(time.CLOCK_BOOTTIME) - start


def export_default(path: Path, seconds: float) -> str:
    """Export the untrained policy of the default arm, in a process of its own."""
    command = [sys.executable, '-c', EXPORT, str(path)]
    try:
        subprocess.run(command, check=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        raise LateError('the policy was not exported; give one with --policy') from None
    return str(path)


def compare(bench: Bench, rates: tuple[int, ...], rounds: int, seconds: float) -> None:
    """Let both nodes take turns until all rounds are done or the time is up."""
    try:
        bench.connect()
        for k in range(rounds):
            for rate in rates:
                for kind in KINDS if k % 2 else KINDS[::-1]:
                    if bench.left < seconds + 3:
                        raise LateError(f'time is up in round {k + 1} of {rounds}')
                    bench.turn(kind, rate, seconds)
                bench.ask_policy()
    except LateError as error:
        print(f'stopped early: {error}')


def report(bench: Bench, rates: tuple[int, ...]) -> None:
    print(f'{"":10}' + ''.join(f'{c:>12}' for c in COLUMNS) + '   (us, shares)')
    rows = {}
    for rate in rates:
        for kind in KINDS:
            if bench.turns[kind, rate]:
                row = rows[kind, rate] = bench.row(kind, rate)
                text = ''.join(
                    f'{row[c]:12.0f}' if c in COLUMNS[:5] else f'{row[c]:12.4f}' for c in COLUMNS
                )
                print(f'{rate:5d} {kind:4}{text}')
    if not {(kind, rate) for kind in KINDS for rate in (500, 1000)} <= rows.keys():
        sys.exit('policy_latency: too little was measured; is the machine busy?')
    bare = float(np.median(bench.bare))
    print(f'bare policy: {bare:.0f} us; turns in which the node did not stay in RUN: {bench.void}')
    print(json.dumps({
        'added_p50_us': round(bench.added(500), 1),
        'p99_us': round(rows['ours', 500]['p99'], 1),
        'missed_500hz': round(rows['ours', 500]['missed'], 5),
        'missed_1000hz': round(rows['ours', 1000]['missed'], 5),
        'echo_p50_us': round(rows['echo', 500]['p50'], 1),
        'echo_p99_us': round(rows['echo', 500]['p99'], 1),
        'echo_missed_500hz': round(rows['echo', 500]['missed'], 5),
        'echo_missed_1000hz': round(rows['echo', 1000]['missed'], 5),
        'policy_us': round(bare, 1),
        'turns': min(len(turns) for turns in bench.turns.values()),
        'void': bench.void,
    }))  # fmt: skip


def soak(bench: Bench, minutes: float) -> None:
    """Print latency and memory of our node minute by minute at 500 Hz."""
    bench.connect()
    pid, rows = bench.nodes['ours'].pid, []
    for minute in range(max(1, round(minutes))):
        bench.turn('ours', 500, 60.0 * min(1.0, minutes))
        row = bench.row('ours', 500)
        bench.turns.clear()
        rows.append((row['p50'], resident_mib(pid)))
        print(f'minute {minute + 1:3d}: p50 {row["p50"]:6.0f} us  p99 {row["p99"]:6.0f} us  '
              f'missed {row["missed"]:.5f}  {rows[-1][1]:7.2f} MiB', flush=True)  # fmt: skip
    print(json.dumps({'minutes': minutes, 'p50_first': rows[0][0], 'p50_last': rows[-1][0],
                      'mib_first': rows[0][1], 'mib_last': rows[-1][1]}))  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--quick', action='store_true', help='under 50 seconds')
    parser.add_argument('--policy', help="ONNX file of a policy; the default arm's untrained one")
    parser.add_argument('--rounds', type=int, default=20, help='of the long form')
    parser.add_argument('--soak', type=float, default=0, metavar='MINUTES', help='only soak')
    options = parser.parse_args()
    rates = (500, 1000) if options.quick else (100, 200, 500, 1000)
    rounds, seconds = (8, 1.0) if options.quick else (options.rounds, 5.0)
    limit = QUICK_LIMIT if options.quick else 3600 + 120 * options.soak
    deadline = time.monotonic() - age() + limit
    with tempfile.TemporaryDirectory() as directory:
        left = deadline - time.monotonic()
        path = options.policy or export_default(Path(directory) / 'policy.onnx', left)
        bench = Bench(path, deadline, KINDS[:1] if options.soak else KINDS)
        try:
            if options.soak:
                soak(bench, options.soak)
            else:
                compare(bench, rates, rounds, seconds)
                report(bench, rates)
        finally:
            bench.close()


if __name__ == '__main__':
    try:
        main()
    except LateError as late:
        sys.exit(f'policy_latency: {late}')
