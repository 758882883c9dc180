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

"""Train, export, load, drive: every part in a process of its own, over DDS."""

import dataclasses

import numpy as np
import pytest
from geometry_msgs.msg import PointStamped
from paths import TWO_JOINTS
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, String
from std_srvs.srv import SetBool
from train_node_runs import settings_file

from sac_ros.config.base import flatten
from sac_ros.config.robot import ArmConfig, ControllerConfig, TaskConfig
from sac_ros.config.training import SACConfig, TrainConfig
from sac_ros.robot.loader import load_robot
from sac_ros.ros import conversions as messages
from sac_ros.sim.arm import SimArm
from sac_ros.sim.geometry import arm_geometry
from sac_ros.tasks.reach import ReachTask
from sac_ros.training.trainer import Trainer

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
GOALS = 10
RADIUS = 0.05  # [m]
SECONDS = 2.5  # to reach a goal
STRIDE = 50  # joint states between two looks: 0.1 s

CONFIG = TrainConfig(
    steps=1000,
    learning_starts=200,
    compile=False,
    final_eval_episodes=20,
    arm=ArmConfig(model=TWO_JOINTS, control_period=0.05),
    task=TaskConfig(episode_steps=40),
    controller=ControllerConfig('none'),  # else the untrained one drives the arm as well
    sac=SACConfig(hidden=64, batch_size=128, learning_rate=1e-3, gamma=0.95, initial_alpha=0.1),
)


def sim_and_policy(graph, policy):
    """Start both nodes and return what they say and where goals go."""
    said = {
        'commands': graph.subscribe(Float64MultiArray, '/forward_effort_controller/commands', 100),
        'states': graph.subscribe(JointState, '/joint_states', 100),
        'policy': graph.subscribe(String, '/policy_node/state', LATCHED),
    }
    goals = graph.node.create_publisher(PointStamped, '/policy_node/goal', 1)
    graph.start('sim_node', '--ros-args', '-p', f'arm.model:={TWO_JOINTS}', '-p', 'seed:=1')
    # The machine that runs the tests is busy: joint states are late only after a while.
    patient = ('supervision.state_period:=0.3', 'supervision.state_timeout:=1.0')
    parameters = ('autostart:=true', f'policy:={policy}', *patient)
    given = [item for parameter in parameters for item in ('-p', parameter)]
    graph.start('policy_node', '--ros-args', *given)
    graph.spin_until(lambda: said['states'] and said['commands'], what='both nodes')
    graph.spin_until(lambda: goals.get_subscription_count() == 2, what='listeners for goals')
    return said, goals


def enabled(graph):
    return graph.call(SetBool, '/policy_node/enable', data=True).success


def goals_reached(graph, policy):
    """Drive the arm to random goals and count those at which the tip stays."""
    said, goals = sim_and_policy(graph, policy)
    robot, rng = load_robot(TWO_JOINTS), np.random.default_rng(0)
    task = ReachTask(robot, TaskConfig())
    geometry = arm_geometry(SimArm(ArmConfig(), robot), TaskConfig())
    reached = 0
    for _ in range(GOALS):
        goal = task.sample_goal(rng)
        goals.publish(messages.to_point(goal, 'base_link', messages.to_stamp(0)))
        graph.spin_until(lambda: enabled(graph), what='enabling')
        distances = []
        seen = len(said['states'])

        def there(goal=goal, distances=distances, seen=seen):
            if len(said['states']) > seen + STRIDE * len(distances):
                tip, _ = geometry.tip_pose(np.array(said['states'][-1].position))
                distances.append(np.linalg.norm(tip - goal))
            stays = len(distances) >= 5 and max(distances[-5:]) <= RADIUS
            return stays or len(distances) >= 10 * SECONDS

        graph.spin_until(there, what='joint states')
        reached += distances[-1] <= RADIUS
    assert said['policy'][-1].data == 'RUN', graph.output(graph.processes[-1])
    limit = np.array(robot.torque_limit)
    for torque in (np.array([list(m.data) for m in said['commands']]),
                   np.array([list(m.effort) for m in said['states']])):  # fmt: skip
        assert len(torque) > 500 and np.isfinite(torque).all()
        assert (np.abs(torque) <= limit).all()
    for process in reversed(graph.processes):
        assert graph.stop(process) == 0
    return reached


@pytest.mark.timeout(280)
def test_a_trained_policy_reaches_and_an_untrained_one_does_not(make_graph, tmp_path):
    settings = flatten(CONFIG) | {'run_dir': str(tmp_path / 'run')}
    graph = make_graph()
    trainer = graph.start('train_node', *settings_file(tmp_path / 'train.yaml', **settings))
    assert trainer.wait(200) == 0, graph.output(trainer)
    trained = goals_reached(make_graph(), tmp_path / 'run/policy.onnx')

    never_learns = dataclasses.replace(
        CONFIG, run_dir=str(tmp_path / 'untrained'), steps=40, learning_starts=1000
    )
    untrained = Trainer(never_learns)
    untrained.run()
    untrained.export()
    by_chance = goals_reached(make_graph(), untrained.policy_path)
    print(f'goals reached of {GOALS}: trained {trained}, untrained {by_chance}')
    assert trained >= 7
    assert by_chance <= 3
