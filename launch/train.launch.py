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

"""Trains a policy; again after Ctrl-C goes on with the run."""

from functools import partial
from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import PathJoinSubstitution
from launch_ros.substitutions import FindPackageShare

from sac_ros.config.robot import LAUNCH_ARGUMENTS
from sac_ros.config.training import TrainConfig
from sac_ros.ros.launch_common import (
    LIMITS,
    RANDOMIZATION,
    CheckedNode,
    describe_launch,
    given_arguments,
)

HERE = Path(__file__).parent
CONFIG = PathJoinSubstitution([FindPackageShare('sac_ros'), 'config', 'train.yaml'])
OF_THE_RUN = {
    'run_dir': 'directory of the run',
    'task': 'task to learn: reach-point, reach-pose, track-point or path.py:MyTask',
    'steps': 'environment steps in all',
}
PARAMETERS = {**LAUNCH_ARGUMENTS, 'run_dir': 'run_dir', 'task.name': 'task', 'steps': 'steps'}
NODE = CheckedNode(
    'train_node',
    TrainConfig,
    'params_file',
    partial(given_arguments, names=PARAMETERS),
    {'sigterm_timeout': '60'},  # saving a run takes its time
)


def generate_launch_description() -> LaunchDescription:
    """Describe the launch."""
    arguments = [
        RANDOMIZATION,
        *LIMITS,
        *(
            DeclareLaunchArgument(
                name, default_value='', description=f'{text}; empty for the parameter file'
            )
            for name, text in OF_THE_RUN.items()
        ),
        DeclareLaunchArgument(
            'params_file', default_value=CONFIG, description='parameters of train_node'
        ),
    ]
    view = IncludeLaunchDescription(PythonLaunchDescriptionSource(str(HERE / 'view.launch.py')))
    return describe_launch(__file__, arguments, [view], NODE)
