"""RViz and robot_state_publisher, where they are wanted; the other launch files include this."""

from pathlib import Path

from ament_index_python.packages import (
    PackageNotFoundError,
    get_package_prefix,
    get_package_share_directory,
)
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.launch_description_entity import LaunchDescriptionEntity
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from sac_ros.ros.launch_common import bring_down, describe_launch

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
        description='URDF or MJCF of the arm; empty for the one that comes with sac_ros',
    ),
    DeclareLaunchArgument(
        'joints',
        default_value='',
        description='joints to actuate, names or patterns with *, comma between; empty for all',
    ),
    DeclareLaunchArgument(
        'tip',
        default_value='',
        description='body or site that is the tip; empty for the last body of the chain',
    ),
    DeclareLaunchArgument(
        'xacro_args',
        default_value='',
        description='arguments of a .xacro model, as "prefix:=left_ gripper:=true"',
    ),
    DeclareLaunchArgument(
        'base_frame',
        default_value='',
        description='frame of goals and of the view; empty for the root link of the arm',
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


def describe(model: str, joints: str, tip: str, xacro_args: str) -> tuple[str, str]:
    """Return the URDF of the arm and its root link, or fail with one line."""
    from sac_ros.errors import SacRosError
    from sac_ros.robot.loader import load_robot
    from sac_ros.robot.urdf_writer import robot_description

    try:
        robot = load_robot(model, tip, joints=joints, xacro_args=xacro_args)
        return robot_description(robot), robot.base
    except SacRosError as error:
        raise RuntimeError(f'{type(error).__name__}: {error}') from None


def start(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Start what the arguments ask for."""
    names = [argument.name for argument in ARGUMENTS]
    wants = {name: LaunchConfiguration(name).perform(context) for name in names}
    share = Path(get_package_share_directory('sac_ros'))
    actions: list[LaunchDescriptionEntity] = []
    needed = {'tf': 'robot_state_publisher', 'rviz': 'rviz2'}
    for argument in [name for name in needed if wants[name] == 'true']:
        require(needed[argument], argument)
    if 'true' in (wants['tf'], wants['rviz']):
        arm = [wants[name] for name in ('model', 'joints', 'tip', 'xacro_args')]
        description, root = describe(*arm)
    if wants['tf'] == 'true':
        actions.append(
            Node(
                package='robot_state_publisher',
                executable='robot_state_publisher',
                parameters=[{'robot_description': ParameterValue(description, value_type=str)}],
                on_exit=bring_down,
            )
        )
    if wants['rviz'] == 'true':
        actions.append(
            Node(
                package='rviz2',
                executable='rviz2',
                arguments=[
                    '-d',
                    str(share / 'config' / 'sac_ros.rviz'),
                    '-f',
                    wants['base_frame'] or root,
                ],
                on_exit=bring_down,
            )
        )
    return actions


def generate_launch_description() -> LaunchDescription:
    """Describe the launch."""
    return describe_launch(__file__, ARGUMENTS, [OpaqueFunction(function=start)])
