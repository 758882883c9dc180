"""What the launch files share: arguments of the simulated arm, and the end of a process."""

from __future__ import annotations

from launch.actions import DeclareLaunchArgument, Shutdown
from launch.events.process import ProcessExited
from launch.launch_context import LaunchContext
from launch.substitutions import LaunchConfiguration
from launch_ros.parameter_descriptions import ParameterValue

from sac_ros.config import LAUNCH_ARGUMENTS

REALISM = DeclareLaunchArgument(
    'realism',
    default_value='none',
    choices=['none', 'sim2real'],
    description='how much worse than described the simulated robot is',
)


def arm_parameters() -> dict[str, ParameterValue]:
    """Return the parameters of a simulated arm, which the arguments of the launch give."""
    return {
        parameter: ParameterValue(LaunchConfiguration(argument), value_type=str)
        for parameter, argument in LAUNCH_ARGUMENTS.items()
    }


def bring_down(event: ProcessExited, context: LaunchContext) -> Shutdown:
    """End the launch with a process of it, and with a status that is not 0 if that one failed.

    A launch knows no other way to a status than an exception: its own actions leave it at 0.

    Raises:
        RuntimeError: the process failed.
    """
    name = event.process_name
    if event.returncode:
        raise RuntimeError(f'{name} failed with status {event.returncode}')
    return Shutdown(reason=f'{name} ended')
