"""A simulated arm that looks like a torque-controlled robot."""

from functools import partial
from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import PathJoinSubstitution
from launch_ros.substitutions import FindPackageShare

from sac_ros.config.training import LAUNCH_ARGUMENTS
from sac_ros.envs.simulator import SimConfig
from sac_ros.ros.launch_common import (
    LIMITS,
    RANDOMIZATION,
    CheckedNode,
    describe_launch,
    given_arguments,
)

HERE = Path(__file__).parent
CONFIG = PathJoinSubstitution([FindPackageShare('sac_ros'), 'config', 'sim.yaml'])
PARAMETERS = {**LAUNCH_ARGUMENTS, 'goals': 'goals'}
NODE = CheckedNode(
    'sim_node', SimConfig, 'sim_params_file', partial(given_arguments, names=PARAMETERS)
)


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
            'sim_params_file', default_value=CONFIG, description='parameters of sim_node'
        ),
    ]
    view = IncludeLaunchDescription(PythonLaunchDescriptionSource(str(HERE / 'view.launch.py')))
    return describe_launch(__file__, arguments, [view], NODE)
