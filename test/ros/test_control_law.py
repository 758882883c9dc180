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

"""One control law: a deployed policy moves the arm as it did in training, over real DDS."""

import dataclasses

import numpy as np
import pytest
import torch
from geometry_msgs.msg import PointStamped
from rclpy.qos import DurabilityPolicy, QoSProfile
from real_arms import arm_config
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from std_srvs.srv import SetBool

from sac_ros.config.base import flatten
from sac_ros.config.robot import ArmConfig, ControllerConfig
from sac_ros.config.training import SACConfig, TrainConfig
from sac_ros.deploy.onnx_policy import OnnxPolicy
from sac_ros.envs.arm_env import ArmEnv, make_env_bundle
from sac_ros.ros import conversions as messages
from sac_ros.sac.base_controller import make_controller
from sac_ros.sac.sac import SAC
from sac_ros.training.export import export_policy

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
SLOW = 0.25  # simulated seconds per second: all of the deployed times are longer by as much
GOALS = 3
FINAL, PATH = 0.005, 0.03  # [m] by which distances to the goal may differ: at the end, before
LATEST_START = 3  # control periods after which a goal is in use


def export_untrained(config, path):
    """Export an untrained policy whose period is that of the slowed-down clock."""
    _, spec, chain = make_env_bundle(config)
    period = config.arm.control_period / SLOW
    slow = dataclasses.replace(spec, control_period=period)
    sac = SAC(slow, chain, config.sac, make_controller(slow, chain, config.controller))
    with torch.no_grad():
        policy = sac.policy(sac.initialize(seed=0))
        export_policy(policy, slow, path, np.zeros((0, spec.n_observation), np.float32))


class Deployed:
    """sim_node and policy_node, and the joint states that come from them."""

    def __init__(self, graph, arm, policy):
        self.graph, self.states = graph, []
        self.frame = OnnxPolicy(policy).spec.base_frame
        self.status = graph.subscribe(String, '/policy_node/state', LATCHED)
        graph.node.create_subscription(JointState, '/joint_states', self._on_state, 100)
        self.goals = graph.node.create_publisher(PointStamped, '/policy_node/goal', 1)
        sim = {f'arm.{k}': v for k, v in flatten(arm).items() if v != ''}
        self._start('sim_node', real_time_factor=SLOW, seed=1, **sim)
        self._start(
            'policy_node',
            autostart=True,
            policy=str(policy),
            **{
                'safety.torque_rate': 1000.0 * SLOW,
                'supervision.ramp_time': 0.0,
                # The machine that runs the tests is busy.
                'supervision.state_period': 0.3,
                'supervision.state_timeout': 1.0,
                'supervision.stall_timeout': 2.0,
                'joint_states.max_lag': 0.0,  # stamps are of the slow clock
            },
        )
        graph.spin_until(lambda: len(self.states) > 10, 60, 'joint states')
        graph.spin_until(lambda: self.status and self.status[-1].data == 'READY', 60, 'READY')
        graph.spin_until(lambda: self.goals.get_subscription_count() == 2, what='goal listeners')

    def _start(self, node, **parameters):
        given = [part for k, v in parameters.items() for part in ('-p', f'{k}:={_text(v)}')]
        self.graph.start(node, '--ros-args', *given)

    def _on_state(self, message):
        time = message.header.stamp.sec + 1e-9 * message.header.stamp.nanosec
        values = (message.position, message.velocity, message.effort)
        self.states.append((time, *map(np.array, values)))

    def enable(self):
        def enabled():
            return self.graph.call(SetBool, '/policy_node/enable', data=True).success

        self.graph.spin_until(enabled, what='enabling')

    def go(self, goal, seconds):
        """Send a goal and return the states from then on, for some simulated seconds."""
        self.graph.spin_until(lambda: len(self.states) > 0, what='joint states')
        began = len(self.states) - 1
        self.goals.publish(messages.to_point(goal, self.frame, messages.to_stamp(0)))
        if self.status[-1].data == 'READY':
            self.enable()
            began = len(self.states) - 1
        until = self.states[began][0] + seconds
        self.graph.spin_until(lambda: self.states[-1][0] >= until, 20 + 10 * seconds / SLOW)
        assert self.status[-1].data == 'RUN', [self.graph.output(p) for p in self.graph.processes]
        return self.states[began:]


def _text(value):
    return str(value).lower() if isinstance(value, bool) else value


def distances_in_training(env, policy, start, goal, steps):
    """Return the distance to the goal (steps + 1,) in the environment, from a state."""
    spec = policy.spec
    where, limit = spec.slices(), np.array(spec.torque_limit)
    observation = np.zeros(spec.n_observation)
    position, velocity, torque = start
    observation[where['joint_position']], observation[where['joint_velocity']] = position, velocity
    observation[where['previous_action']] = torque / limit
    observation, _ = env.reset(seed=0, options={'observation': observation})
    env.task.goal = goal
    observation[where['goal']] = goal
    distances = [np.linalg.norm(env.arm.tip_position - goal)]
    for _ in range(steps):
        observation, _, terminated, _, info = env.step(policy(observation) / limit)
        assert not terminated, info['period'].fault
        distances.append(np.linalg.norm(env.arm.tip_position - goal))
    return np.array(distances)


def distances_deployed(env, states, goal, period, steps):
    """Return the distances (shifts, steps + 1) by how many joint states later the goal came."""
    times = np.array([time for time, *_ in states])
    distance = []
    for _, position, *_ in states:
        env.arm.place(position)
        distance.append(np.linalg.norm(env.arm.tip_position - goal))
    shifts = times[0] + np.linspace(0, LATEST_START * period, 16)[:, None]
    return np.interp(shifts + period * np.arange(steps + 1), times, distance)


@pytest.mark.timeout(280)
@pytest.mark.parametrize(
    ('name', 'controller'),
    [('default', 'ik-pd'), ('default', 'impedance'), ('xarm7', 'ik-pd')],
)
def test_a_deployed_policy_moves_the_arm_as_in_training(graph, tmp_path, name, controller):
    arm = ArmConfig() if name == 'default' else arm_config(name)
    base, sac = ControllerConfig(controller), SACConfig(hidden=16)
    config = TrainConfig(arm=arm, controller=base, sac=sac)
    path = tmp_path / 'policy.onnx'
    export_untrained(config, path)
    env, policy = ArmEnv(config), OnnxPolicy(path)
    deployed = Deployed(graph, arm, path)
    period, steps = arm.control_period, config.task.episode_steps
    rng = np.random.default_rng(1)
    goals = [env.task.sample_goal(rng) for _ in range(GOALS)]
    # One after the other without a pause, in which joint states would wait for this process.
    motions = [deployed.go(goal, (steps + LATEST_START + 1) * period) for goal in goals]
    for goal, states in zip(goals, motions, strict=True):
        trained = distances_in_training(env, policy, states[0][1:], goal, steps)
        found = distances_deployed(env, states, goal, period, steps)
        off = np.abs(found - trained).max(axis=1).min()
        last = np.abs(found[:, -1] - trained[-1]).max()
        print(f'{name} {controller}: from {trained[0]:.3f} m to {trained[-1]:.4f} m in training, '
              f'{found[0, -1]:.4f} m deployed; on the way {off:.4f} m off')  # fmt: skip
        assert off <= PATH and last <= FINAL
