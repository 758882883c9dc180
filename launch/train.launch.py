"""Trains a policy; again after Ctrl-C goes on with the run."""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

from sac_ros.ros.launching import REALISM, arm_parameters, bring_down

HERE = Path(__file__).parent
CONFIG = PathJoinSubstitution([FindPackageShare('sac_ros'), 'config', 'train.yaml'])


def generate_launch_description() -> LaunchDescription:
    """Describe the launch."""
    return LaunchDescription(
        [
            REALISM,
            DeclareLaunchArgument(
                'params_file', default_value=CONFIG, description='parameters of train_node'
            ),
            IncludeLaunchDescription(PythonLaunchDescriptionSource(str(HERE / 'view.launch.py'))),
            Node(
                package='sac_ros',
                executable='train_node',
                parameters=[LaunchConfiguration('params_file'), arm_parameters()],
                output='screen',
                sigterm_timeout='60',  # saving a run takes its time
                on_exit=bring_down,
            ),
        ]
    )
