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

"""Faults with the simulated arm: dead nodes, and a policy that only pushes."""

import signal
import time

import numpy as np
from fault_rig import LATCHED, require, settings
from geometry_msgs.msg import PointStamped
from paths import TWO_JOINTS
from policy_files import linear_policy, save
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from std_srvs.srv import SetBool, Trigger

from sac_ros.config.robot import ArmConfig
from sac_ros.config.training import TrainConfig
from sac_ros.envs.arm_env import make_env_bundle
from sac_ros.robot.loader import load_robot

MARGIN = 0.05  # [rad] stated: how far a joint may pass its limit when a policy only pushes
HOLD = 0.02  # [s] after which the robot's own watchdog lets go of a command


class ArmRig:
    """sim_node and policy_node; the test looks on."""

    def __init__(self, graph, directory, long, bias=1.0):
        _, spec, _ = make_env_bundle(TrainConfig(arm=ArmConfig(model=TWO_JOINTS)))
        self.graph, self.settings = graph, settings(long) | {'guard': 'false'}
        self.policy = save(linear_policy(spec, bias=bias), directory / 'policy.onnx')
        self.state, self.states = '', []
        graph.node.create_subscription(String, '/policy_node/state', self._on_state, LATCHED)
        graph.node.create_subscription(JointState, '/joint_states', self._on_joint_state, 10)
        self.goals = graph.node.create_publisher(PointStamped, '/policy_node/goal', 1)

    def start_arm(self, within=()):
        arguments = ('--ros-args', '-p', f'arm.model:={TWO_JOINTS}')
        self.arm = self.graph.start('sim_node', *arguments, within=within)

    def start_policy(self):
        given = self.settings | {'policy': self.policy}
        pairs = [item for k, v in given.items() for item in ('-p', f'{k}:={v}')]
        self.node = self.graph.start('policy_node', '--ros-args', *pairs)

    def _on_state(self, message):
        self.state = message.data

    def _on_joint_state(self, message):
        self.states.append(
            (time.monotonic(), np.array(message.position), np.array(message.effort))
        )

    def wait(self, *names):
        self.graph.spin_until(lambda: self.state in names, what=f'one of the states {names}')

    def call(self, name, **request):
        kind = SetBool if name == 'enable' else Trigger
        return self.graph.call(kind, f'/policy_node/{name}', **request)

    def run(self):
        """Stand the arm away from its limits, enable, and wait for a torque in it."""
        self.wait('READY', 'FAULT')
        if self.state == 'FAULT':
            self.call('reset')
        self.graph.call(Trigger, '/sim_node/reset')
        self.graph.spin_until(lambda: self.states, what='joint states')
        self.graph.spin_until(lambda: self.goals.get_subscription_count() >= 1, what='listener')
        self.goals.publish(PointStamped())
        seen = len(self.states)
        self.graph.spin_until(lambda: self.call('enable', data=True).success, what='enabling')
        self.graph.spin_until(
            lambda: any(effort.any() for _, _, effort in self.states[seen:]), what='torque'
        )

    def let_go_after(self, start):
        """Return how long after `start` [s] the arm applied no torque any more."""
        self.graph.spin_until(
            lambda: self.states[-1][0] > start and not self.states[-1][2].any(), what='no torque'
        )
        return next(t - start for t, _, effort in self.states if t > start and not effort.any())


def end(process):
    """Kill a process of the graph and forget it, since the graph wants all alive."""
    process.kill()
    process.wait()


def dead_node(graph, directory, long):
    """SIGSTOP, then kill -9: the robot's own watchdog is what is left."""
    rig = ArmRig(graph, directory, long)
    rig.start_arm()
    rig.start_policy()
    rig.run()
    start = time.monotonic()
    rig.node.send_signal(signal.SIGSTOP)
    stopped = rig.let_go_after(start)
    graph.spin_for(1.2)
    rig.node.send_signal(signal.SIGCONT)
    rig.wait('FAULT')
    rig.run()
    start = time.monotonic()
    graph.processes.remove(rig.node)
    end(rig.node)
    killed = rig.let_go_after(start)
    rig.state = ''
    rig.start_policy()
    rig.wait('READY')
    seen = len(rig.states)
    graph.spin_for(0.5)
    require(not any(e.any() for _, _, e in rig.states[seen:]), 'moved after a restart')
    require(not long or max(stopped, killed) < HOLD + 0.1, f'let go after {stopped}, {killed} s')
    return (
        f'the arm lets go {1000 * stopped:.0f} ms after SIGSTOP and {1000 * killed:.0f} ms after '
        f'kill -9 (its watchdog: {1000 * HOLD:.0f} ms); started again: READY, nothing moves'
    )


def constant_push(graph, directory, long):
    """A policy that wants full torque one way for ever."""
    robot = load_robot(TWO_JOINTS)
    lower, upper = np.array(robot.position_lower), np.array(robot.position_upper)
    rig = ArmRig(graph, directory, long)
    rig.start_arm()
    worst, ends = -np.inf, []
    for sign in (1.0, -1.0):
        _, spec, _ = make_env_bundle(TrainConfig(arm=ArmConfig(model=TWO_JOINTS)))
        save(linear_policy(spec, bias=10.0 * sign), rig.policy)
        rig.state = ''
        rig.start_policy()
        rig.run()
        seen = len(rig.states)
        graph.spin_for(4.0)
        positions = np.array([p for _, p, _ in rig.states[seen:]])
        torques = np.array([e for _, _, e in rig.states[seen:]])
        require((np.abs(torques) <= robot.torque_limit).all(), 'torque over its limit')
        worst = max(worst, (positions - upper).max(), (lower - positions).max())
        ends.append(rig.state)
        graph.processes.remove(rig.node)
        rig.node.terminate()
        rig.node.wait(15)
    require(worst <= MARGIN, f'{worst:.3f} rad past a limit')
    past = f'{worst:.3f} rad past' if worst > 0 else f'{-worst:.3f} rad short of'
    return f'comes {past} a limit (stated: {MARGIN} past); ends in {", ".join(ends)}'
