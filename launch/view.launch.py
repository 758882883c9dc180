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

"""RViz and robot_state_publisher, where they are wanted; the other launch files include this."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from sac_ros.robot.loader import Robot
    from sac_ros.ros.rviz_config import ViewedArm

FRAME_RATE = 50.0  # [Hz] of the arm's frames, for smooth motion
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
        description='publish the frames of the arm (needs the package robot_state_publisher); '
        'false with sim:=false, since a robot publishes its own',
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
    DeclareLaunchArgument(
        'use_sim_time',
        default_value='false',
        choices=['true', 'false'],
        description='RViz and robot_state_publisher follow /clock; true where sim_node has it',
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


def load(model: str, joints: str, tip: str, xacro_args: str) -> Robot:
    """Return the robot of the launch arguments, or fail with one line."""
    from sac_ros.errors import SacRosError
    from sac_ros.robot.loader import load_robot

    try:
        return load_robot(model, tip, joints=joints, xacro_args=xacro_args)
    except SacRosError as error:
        raise RuntimeError(f'{type(error).__name__}: {error}') from None


def arm_of_robot(robot: Robot) -> ViewedArm:
    """Return what the view has to know of a robot."""
    from sac_ros.config.robot import ArmConfig, TaskConfig
    from sac_ros.ros.rviz_config import ViewedArm
    from sac_ros.sim.arm import SimArm
    from sac_ros.sim.geometry import arm_geometry

    geometry = arm_geometry(SimArm(ArmConfig(), robot), TaskConfig())
    return ViewedArm(robot.base, geometry.reach, geometry.table)


def arm_of_policy(context: LaunchContext) -> ViewedArm | None:
    """Return what the view has to know of the arm of a policy; None without one."""
    from sac_ros.deploy.policy_check import load_checked
    from sac_ros.deploy.policy_file import find_policy
    from sac_ros.errors import SacRosError
    from sac_ros.ros.arm_view import UNKNOWN_REACH
    from sac_ros.ros.rviz_config import ViewedArm

    given = context.launch_configurations
    path = given.get('policy') or given.get('run_dir')
    if not path:
        return None
    try:
        policy = load_checked(find_policy(path))
    except SacRosError as error:
        raise RuntimeError(f'{type(error).__name__}: {error}') from None
    frame, geometry = policy.spec.base_frame or 'base_link', policy.geometry
    if geometry is None:
        return ViewedArm(frame, UNKNOWN_REACH, None)
    return ViewedArm(frame, geometry.reach, geometry.table)


def start(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Start what the arguments ask for."""
    names = [argument.name for argument in ARGUMENTS]
    wants = {name: LaunchConfiguration(name).perform(context) for name in names}
    share = Path(get_package_share_directory('sac_ros'))
    actions: list[LaunchDescriptionEntity] = []
    needed = {'tf': 'robot_state_publisher', 'rviz': 'rviz2'}
    for argument in [name for name in needed if wants[name] == 'true']:
        require(needed[argument], argument)
    sim_time = {'use_sim_time': wants['use_sim_time'] == 'true'}
    robot = None
    if wants['tf'] == 'true' or (wants['rviz'] == 'true' and wants['model']):
        robot = load(*(wants[name] for name in ('model', 'joints', 'tip', 'xacro_args')))
    if wants['tf'] == 'true':
        from sac_ros.robot.urdf_writer import robot_description

        description = ParameterValue(robot_description(robot), value_type=str)
        actions.append(
            Node(
                package='robot_state_publisher',
                executable='robot_state_publisher',
                parameters=[
                    {'robot_description': description, 'publish_frequency': FRAME_RATE},
                    sim_time,
                ],
                on_exit=bring_down,
            )
        )
    if wants['rviz'] == 'true':
        from sac_ros.ros.rviz_config import write_view

        view, frame = share / 'config' / 'sac_ros.rviz', 'base_link'
        arm = arm_of_robot(robot) if robot is not None else arm_of_policy(context)
        if arm is not None:
            view, frame = write_view(view, arm), arm.base_frame
        actions.append(
            Node(
                package='rviz2',
                executable='rviz2',
                arguments=['-d', str(view), '-f', wants['base_frame'] or frame],
                parameters=[sim_time],
                on_exit=bring_down,
            )
        )
    return actions


def generate_launch_description() -> LaunchDescription:
    """Describe the launch."""
    return describe_launch(__file__, ARGUMENTS, [OpaqueFunction(function=start)])
