"""A simulated arm that looks like a torque-controlled robot."""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, Shutdown
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

HERE = Path(__file__).parent
CONFIG = PathJoinSubstitution([FindPackageShare('sac_ros'), 'config', 'sim.yaml'])


def generate_launch_description() -> LaunchDescription:
    """Describe the launch."""
    model = ParameterValue(LaunchConfiguration('model'), value_type=str)
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                'model',
                default_value='',
                description='URDF or MJCF of the arm; empty for the one that comes with sac_ros',
            ),
            DeclareLaunchArgument(
                'sim_params_file', default_value=CONFIG, description='parameters of sim_node'
            ),
            IncludeLaunchDescription(PythonLaunchDescriptionSource(str(HERE / 'view.launch.py'))),
            Node(
                package='sac_ros',
                executable='sim_node',
                parameters=[LaunchConfiguration('sim_params_file'), {'arm.model': model}],
                output='screen',
                on_exit=Shutdown(reason='sim_node ended'),
            ),
        ]
    )
