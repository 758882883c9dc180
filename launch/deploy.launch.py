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

"""An exported policy drives an arm: the simulated one, or a real one that is already up."""

from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    IncludeLaunchDescription,
    LogInfo,
    OpaqueFunction,
)
from launch.conditions import IfCondition, UnlessCondition
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

from sac_ros.ros.launch_common import CheckedNode, bring_down, describe_launch, given_arguments
from sac_ros.ros.loading import PolicyNodeConfig

HERE = Path(__file__).parent
CONFIG = PathJoinSubstitution([FindPackageShare('sac_ros'), 'config', 'deploy.yaml'])
ENABLE = "ros2 service call /policy_node/enable std_srvs/srv/SetBool '{data: true}'"


def parameters(context: LaunchContext) -> dict[str, str]:
    """Return the parameters of policy_node that the launch arguments give."""
    names = {'policy': 'policy', 'base_frame': 'base_frame', 'guard': 'guard'}
    given = given_arguments(context, names)
    run = given_arguments(context, {'policy': 'run_dir'})
    if 'policy' in given and run:
        raise RuntimeError('policy and run_dir exclude each other: give one of them')
    return given | run


def leave_frames_alone(context: LaunchContext) -> None:
    """Publish no frames for a real robot, which publishes its own, unless `tf` asks for them."""
    if context.launch_configurations['sim'] == 'false':
        context.launch_configurations.setdefault('tf', 'false')


def generate_launch_description() -> LaunchDescription:
    """Describe the launch."""
    sim = LaunchConfiguration('sim')
    arguments = [
        DeclareLaunchArgument('policy', default_value='', description='ONNX file of the policy'),
        DeclareLaunchArgument(
            'run_dir',
            default_value='',
            description='directory of a run whose policy.onnx to use, in place of policy',
        ),
        DeclareLaunchArgument(
            'sim',
            default_value='true',
            choices=['true', 'false'],
            description='start sim_node; false drives a robot that is already up',
        ),
        DeclareLaunchArgument(
            'guard',
            default_value='true',
            choices=['true', 'false'],
            description='send commands through effort_guard; without it nothing stops the arm '
            'when policy_node is killed',
        ),
        DeclareLaunchArgument(
            'params_file', default_value=CONFIG, description='parameters of policy_node'
        ),
    ]
    actions = [
        OpaqueFunction(function=leave_frames_alone),
        IncludeLaunchDescription(
            PythonLaunchDescriptionSource(str(HERE / 'sim.launch.py')),
            condition=IfCondition(sim),
        ),
        IncludeLaunchDescription(
            PythonLaunchDescriptionSource(str(HERE / 'view.launch.py')),
            condition=UnlessCondition(sim),
        ),
        Node(
            package='sac_ros',
            executable='effort_guard',
            output='screen',
            on_exit=bring_down,
            condition=IfCondition(LaunchConfiguration('guard')),
        ),
        LogInfo(msg=f'the arm moves only after: {ENABLE}'),
    ]
    return describe_launch(
        __file__,
        arguments,
        actions,
        CheckedNode('policy_node', PolicyNodeConfig, 'params_file', parameters),
    )
