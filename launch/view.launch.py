"""RViz and robot_state_publisher, where they are wanted; the other launch files include this."""

from pathlib import Path

from ament_index_python.packages import (
    PackageNotFoundError,
    get_package_prefix,
    get_package_share_directory,
)
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, LogInfo, OpaqueFunction, Shutdown
from launch.launch_description_entity import LaunchDescriptionEntity
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

ARGUMENTS = [
    DeclareLaunchArgument(
        'rviz',
        default_value='false',
        choices=['true', 'false'],
        description='show the arm, its goal and its tip in RViz (needs the package rviz2)',
    ),
    DeclareLaunchArgument(
        'tf',
        default_value=LaunchConfiguration('rviz'),
        description='publish the frames of the arm (needs the package robot_state_publisher)',
    ),
    DeclareLaunchArgument(
        'model',
        default_value='',
        description='URDF of the arm; empty for the one that comes with sac_ros',
    ),
]


def require(package: str, argument: str) -> None:
    """Fail with one line unless the package is installed."""
    try:
        get_package_prefix(package)
    except PackageNotFoundError:
        raise RuntimeError(
            f'{argument}:=true needs the package {package}, which is not installed: '
            f'apt install ros-$ROS_DISTRO-{package.replace("_", "-")}, or leave {argument} out'
        ) from None


def start(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Start what the arguments ask for."""
    wants = {name: LaunchConfiguration(name).perform(context) for name in ('rviz', 'tf', 'model')}
    share = Path(get_package_share_directory('sac_ros'))
    actions: list[LaunchDescriptionEntity] = []
    if wants['tf'] == 'true':
        require('robot_state_publisher', 'tf')
        model = Path(wants['model'] or share / 'models' / 'sac_arm.urdf')
        if model.suffix == '.urdf':
            actions.append(
                Node(
                    package='robot_state_publisher',
                    executable='robot_state_publisher',
                    parameters=[{'robot_description': model.read_text()}],
                    on_exit=Shutdown(reason='robot_state_publisher ended'),
                )
            )
        else:
            actions.append(LogInfo(msg=f'{model} is no URDF: its frames are not published'))
    if wants['rviz'] == 'true':
        require('rviz2', 'rviz')
        actions.append(
            Node(
                package='rviz2',
                executable='rviz2',
                arguments=['-d', str(share / 'config' / 'sac_ros.rviz')],
                on_exit=Shutdown(reason='RViz was closed'),
            )
        )
    return actions


def generate_launch_description() -> LaunchDescription:
    """Describe the launch."""
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=start)])
