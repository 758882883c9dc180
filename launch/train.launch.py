"""Trains a policy; again after Ctrl-C goes on with the run."""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from sac_ros.ros.launching import bring_down

HERE = Path(__file__).parent
CONFIG = PathJoinSubstitution([FindPackageShare('sac_ros'), 'config', 'train.yaml'])


def generate_launch_description() -> LaunchDescription:
    """Describe the launch."""
    arm = {
        f'arm.{name}': ParameterValue(LaunchConfiguration(name), value_type=str)
        for name in ('model', 'joints', 'tip', 'xacro_args')
    }
    realism = ParameterValue(LaunchConfiguration('realism'), value_type=str)
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                'realism',
                default_value='none',
                choices=['none', 'sim2real'],
                description='how much worse than described the simulated robot is',
            ),
            DeclareLaunchArgument(
                'params_file', default_value=CONFIG, description='parameters of train_node'
            ),
            IncludeLaunchDescription(PythonLaunchDescriptionSource(str(HERE / 'view.launch.py'))),
            Node(
                package='sac_ros',
                executable='train_node',
                parameters=[
                    LaunchConfiguration('params_file'),
                    {**arm, 'realism.preset': realism},
                ],
                output='screen',
                sigterm_timeout='60',  # saving a run takes its time
                on_exit=bring_down,
            ),
        ]
    )
