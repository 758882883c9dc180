"""An exported policy drives an arm: the simulated one, or a real one that is already up."""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, LogInfo
from launch.conditions import IfCondition, UnlessCondition
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from sac_ros.ros.launching import bring_down

HERE = Path(__file__).parent
CONFIG = PathJoinSubstitution([FindPackageShare('sac_ros'), 'config', 'deploy.yaml'])
ENABLE = "ros2 service call /policy_node/enable std_srvs/srv/SetBool '{data: true}'"


def generate_launch_description() -> LaunchDescription:
    """Describe the launch."""
    policy = ParameterValue(LaunchConfiguration('policy'), value_type=str)
    base_frame = ParameterValue(LaunchConfiguration('base_frame'), value_type=str)
    sim = LaunchConfiguration('sim')
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                'policy',
                default_value='runs/arm/policy.onnx',
                description='ONNX file of the policy',
            ),
            DeclareLaunchArgument(
                'sim',
                default_value='true',
                choices=['true', 'false'],
                description='start sim_node; false drives a robot that is already up',
            ),
            DeclareLaunchArgument(
                'params_file', default_value=CONFIG, description='parameters of policy_node'
            ),
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
                executable='policy_node',
                parameters=[
                    LaunchConfiguration('params_file'),
                    {'policy': policy, 'base_frame': base_frame},
                ],
                output='screen',
                on_exit=bring_down,
            ),
            LogInfo(msg=f'the arm moves only after: {ENABLE}'),
        ]
    )
