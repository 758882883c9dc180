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

"""A robot over DDS that can be made to misbehave, and an eye on every command that it gets."""

import time
from itertools import pairwise

import numpy as np
from geometry_msgs.msg import Point, PointStamped
from onnx import TensorProto, helper, numpy_helper
from policy_files import golden_json, meta, reach_spec, save
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, String
from std_srvs.srv import SetBool, Trigger

from sac_ros.deploy.onnx_policy import INPUT, OUTPUT

COMMAND = '/forward_effort_controller/commands'
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
SPEC = reach_spec(3)
PERIOD = 0.005  # [s] between two joint states
TICK = 0.005  # [s] of the node's watchdog; silence must show in two of them
# Goals at which the policy below gives what is not finite, at the joints where they stand.
GOALS = {'+Inf': -1000.0, '-Inf': -3000.0, 'NaN': -4000.0}


def settings(long):
    """Parameters of policy_node; a test shares its machine, so silence begins later in it."""
    timeout = 0.1 if long else 0.6  # [s]
    return {
        'supervision.state_period': timeout / 5,
        'supervision.state_timeout': timeout,
        'supervision.healthy_time': 0.1,
        'supervision.ramp_time': 0.05,
        'supervision.stall_timeout': 0.4,
        'guard': 'true',
        'guard_timeout': timeout,
        'autostart': 'true',
    }


class Unsafe(AssertionError):
    """The node did what it must not."""


def require(holds, what):
    if not holds:
        raise Unsafe(what)


def fragile_policy(path, bias=(0.5, -0.5, 1.0), **changes):
    """torque = limit * tanh(bias + joint positions) and, at the goals above, something worse."""
    spec = reach_spec(3, **changes)
    bias, limit = np.array(bias, np.float32), np.array(spec.torque_limit, np.float32)
    where = spec.slices()
    constants = {
        'bias': bias, 'limit': limit, 'small': np.float32([1e-9]),
        'plus': np.float32([3000.0]), 'other': np.float32([1000.0]),
        'p0': np.array([where['joint_position'].start]), 'p1': np.array([3]),
        'g0': np.array([where['goal'].start]), 'g1': np.array([where['goal'].stop]),
        'axis': np.array([1]),
    }  # fmt: skip
    steps = [
        ('Slice', [INPUT, 'p0', 'p1', 'axis'], 'position'),
        ('Slice', [INPUT, 'g0', 'g1', 'axis'], 'goal'),
        ('Add', ['position', 'bias'], 'sum'), ('Tanh', ['sum'], 'share'),
        ('Mul', ['share', 'limit'], 'mean'),
        ('Add', ['goal', 'plus'], 'a'), ('Log', ['a'], 'b'), ('Mul', ['b', 'small'], 'c'),
        ('Add', ['goal', 'other'], 'd'), ('Reciprocal', ['d'], 'e'), ('Mul', ['e', 'small'], 'f'),
        ('Add', ['c', 'f'], 'g'), ('Add', ['mean', 'g'], OUTPUT),
    ]  # fmt: skip
    n = spec.n_observation
    graph = helper.make_graph(
        [helper.make_node(name, inputs, [output]) for name, inputs, output in steps],
        'fragile',
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ['batch', n])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ['batch', 3])],
        [numpy_helper.from_array(np.asarray(a), name) for name, a in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 18)], ir_version=10)
    observation = np.random.default_rng(3).normal(size=(4, n))
    torque = limit * np.tanh(bias + observation[:, where['joint_position']])
    helper.set_model_props(model, meta(spec, golden_json(observation, torque)))
    return save(model, path)


class Rig:
    """The robot. `message` makes its next joint state; a fault replaces it."""

    def __init__(self, graph, policy, long):
        self.graph, self.policy, self.settings = graph, policy, settings(long)
        self.state, self.states, self.commands, self.arrivals = '', [], [], []
        graph.node.create_subscription(String, '/policy_node/state', self._on_state, LATCHED)
        graph.node.create_subscription(Float64MultiArray, COMMAND, self._on_command, 100)
        self.joint_states = graph.node.create_publisher(JointState, '/joint_states', 1)
        self.goals = graph.node.create_publisher(PointStamped, '/policy_node/goal', LATCHED)
        self.position = [0.1, 0.2, 0.3]
        self.message = self.good
        self.published = [time.monotonic()]  # or left out on purpose
        self.timer = graph.node.create_timer(PERIOD, self._publish)
        self.start_guard()
        self.start()

    def start(self):
        self.process = self._start()

    def start_guard(self):
        self.guard = self.graph.start('guard_node')

    def start_other(self):
        """A second policy_node that commands the same robot."""
        return self._start('-r', '__node:=other')

    def _start(self, *arguments):
        given = {'policy': self.policy} | self.settings
        pairs = [item for k, v in given.items() for item in ('-p', f'{k}:={v}')]
        return self.graph.start('policy_node', '--ros-args', *arguments, *pairs)

    def good(self):
        return JointState(name=list(SPEC.joint_names), position=self.position, velocity=[0.0] * 3)

    def move(self, joint, target, speed=1.0):
        """Move a joint at a speed [rad/s] until it stands at a target [rad]."""
        self.message = self.moving(joint, target, speed)
        self.graph.spin_until(lambda: self.position[joint] == target, what='the target')
        self.message = self.good

    def moving(self, joint, target, speed, reported=None):
        """Make joint states of a joint on its way, with another velocity than its own if given."""
        last = time.monotonic()
        reported = speed if reported is None else reported

        def make():
            nonlocal last
            now = time.monotonic()
            left = target - self.position[joint]
            step = float(np.sign(left)) * min(abs(left), speed * (now - last))
            last, self.position = now, list(self.position)
            self.position[joint] = (
                target if abs(step) == abs(left) else self.position[joint] + step
            )
            message = self.good()
            message.velocity[joint] = float(np.sign(left)) * reported
            return message

        return make

    def late(self, start):
        """Return how late this program itself has been since a time [s], on a busy machine."""
        times = [t for t in self.published if t > start]
        return max(b - a for a, b in pairwise([start, *times])) - PERIOD

    def _publish(self):
        self.published.append(time.monotonic())
        message = self.message()
        if message is not None:
            self.joint_states.publish(message)

    def _on_state(self, message):
        self.state = message.data
        self.states.append(message.data)

    def _on_command(self, message):
        torque = np.array(message.data)
        require(torque.shape == (3,) and np.isfinite(torque).all(), f'command {torque}')
        require((np.abs(torque) <= SPEC.torque_limit).all(), f'command {torque}')
        self.commands.append(torque)
        self.arrivals.append(time.monotonic())

    def call(self, name, **request):
        kind = SetBool if name == 'enable' else Trigger
        return self.graph.call(kind, f'/policy_node/{name}', **request)

    def goal(self, x=0.0, y=0.0, z=0.0):
        self.graph.spin_until(lambda: self.goals.get_subscription_count() >= 1, what='listener')
        self.goals.publish(PointStamped(point=Point(x=x, y=y, z=z)))

    def run(self):
        """Reset if need be, enable, and wait for the torque of the policy."""
        self.message = self.good
        self.wait('READY', 'FAULT', 'ESTOP', 'RUN')
        if self.state in ('FAULT', 'ESTOP'):
            self.call('reset')
        self.goal()
        self.graph.spin_until(lambda: self.call('enable', data=True).success, what='enabling')
        self.wait('RUN')
        self.graph.spin_until(self._settled, what='the full torque')

    def _settled(self):
        last = self.commands[-4:]
        return self.state == 'RUN' and last[-1].any() and all((c == last[-1]).all() for c in last)

    def wait(self, *names):
        self.graph.spin_until(lambda: self.state in names, what=f'one of the states {names}')

    def safe_after(self, start):
        """Return how long after `start` [s] the first fallback came after which all were so."""
        self.graph.spin_until(
            lambda: self.arrivals[-1] > start and not self.commands[-1].any(), what='fallback'
        )
        first = len(self.commands) - 1
        while first and not self.commands[first - 1].any():
            first -= 1
        return self.arrivals[first] - start

    def faults(self, message, what=''):
        """Let the robot send this from now on; return the time until the output was safe [s].

        Then let it be good again, and see that nothing moves unasked.
        """
        start, self.message = time.monotonic(), message
        self.wait('FAULT')
        seconds = self.safe_after(start)
        self.stays_safe(what)
        return seconds

    def stays_safe(self, what='', state='FAULT'):
        self.message = self.good
        seen = len(self.commands)
        self.graph.spin_for(0.15)
        require(self.state == state, f'{what}: state {self.state}')
        require(not any(c.any() for c in self.commands[seen:]), f'{what}: moved unasked')

    def goes_on(self, message, what, seconds=0.15):
        """Let the robot send this for a time and see that the output is bit for bit the same.

        On a busy machine joint states can be late for another reason; then it is done again.
        """
        for _ in range(5):
            before, seen, states = self.commands[-1], len(self.commands), len(self.states)
            self.message = message
            self.graph.spin_for(seconds)
            self.message = self.good
            same = all((c == before).all() for c in self.commands[seen:])
            if self.state == 'RUN' and same:
                break
            self.graph.spin_for(0.5)
            if 'DEGRADED' not in self.states[states:]:
                break
            self.run()
        require(self.state == 'RUN', f'{what}: state {self.state}')
        require(len(self.commands) > seen, f'{what}: no commands')
        require(same, f'{what}: another torque')
