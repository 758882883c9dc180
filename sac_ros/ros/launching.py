"""What the launch files do when a process ends."""

from __future__ import annotations

from launch.actions import Shutdown
from launch.events.process import ProcessExited
from launch.launch_context import LaunchContext


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
