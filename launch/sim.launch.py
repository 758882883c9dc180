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

"""A simulated arm that looks like a torque-controlled robot."""

from functools import partial
from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import PathJoinSubstitution
from launch_ros.substitutions import FindPackageShare

from sac_ros.config.robot import LAUNCH_ARGUMENTS
from sac_ros.envs.simulator import SimConfig
from sac_ros.ros.launch_common import (
    LIMITS,
    RANDOMIZATION,
    CheckedNode,
    describe_launch,
    given_arguments,
)
from sac_ros.ros.parameter_files import read_parameters

HERE = Path(__file__).parent
CONFIG = PathJoinSubstitution([FindPackageShare('sac_ros'), 'config', 'sim.yaml'])
PARAMETERS = {**LAUNCH_ARGUMENTS, 'goals': 'goals', 'clock': 'clock'}
NODE = CheckedNode(
    'sim_node', SimConfig, 'sim_params_file', partial(given_arguments, names=PARAMETERS)
)


def follow_clock(context: LaunchContext) -> None:
    """Let RViz and robot_state_publisher use simulated time where sim_node publishes it."""
    given = context.launch_configurations
    parameters = read_parameters(given['sim_params_file'], 'sim_node')
    clock = given['clock'] or str(parameters.get('clock', False)).lower()
    if clock == 'true' or parameters.get('real_time_factor', 1.0) != 1:
        given.setdefault('use_sim_time', 'true')


def generate_launch_description() -> LaunchDescription:
    """Describe the launch."""
    arguments = [
        RANDOMIZATION,
        *LIMITS,
        DeclareLaunchArgument(
            'goals',
            default_value='',
            choices=['', 'point', 'pose'],
            description='kind of the random goals; empty for the parameter file, else point',
        ),
        DeclareLaunchArgument(
            'clock',
            default_value='',
            choices=['', 'true', 'false'],
            description='publish simulated time on /clock; empty for the parameter file',
        ),
        DeclareLaunchArgument(
            'sim_params_file', default_value=CONFIG, description='parameters of sim_node'
        ),
    ]
    view = IncludeLaunchDescription(PythonLaunchDescriptionSource(str(HERE / 'view.launch.py')))
    actions = [OpaqueFunction(function=follow_clock), view]
    return describe_launch(__file__, arguments, actions, NODE)
