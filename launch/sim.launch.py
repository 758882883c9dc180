"""A simulated arm that looks like a torque-controlled robot."""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

from sac_ros.ros.launching import REALISM, arm_parameters, bring_down

HERE = Path(__file__).parent
CONFIG = PathJoinSubstitution([FindPackageShare('sac_ros'), 'config', 'sim.yaml'])


def generate_launch_description() -> LaunchDescription:
    """Describe the launch."""
    return LaunchDescription(
        [
            REALISM,
            DeclareLaunchArgument(
                'goals',
                default_value='point',
                choices=['point', 'pose'],
                description='what the random goals for the policy are',
            ),
            DeclareLaunchArgument(
                'sim_params_file', default_value=CONFIG, description='parameters of sim_node'
            ),
            IncludeLaunchDescription(PythonLaunchDescriptionSource(str(HERE / 'view.launch.py'))),
            Node(
                package='sac_ros',
                executable='sim_node',
                parameters=[
                    LaunchConfiguration('sim_params_file'),
                    {**arm_parameters(), 'goals': LaunchConfiguration('goals')},
                ],
                output='screen',
                on_exit=bring_down,
            ),
        ]
    )
