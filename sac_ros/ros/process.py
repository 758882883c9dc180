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

"""How a node's process starts and ends: one clear line for bad input, last words on a signal."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from types import FrameType

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.experimental.events_executor import EventsExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from sac_ros.errors import ConfigError, SacRosError
from sac_ros.ros.parameter_files import check_parameter_files

BAD_INPUT = 2
# In the events executor of older ones, a service's callback cannot wait for something.
EVENTS = hasattr(rclpy, 'InitContextManager')


class StopRequest:
    """Turns SIGINT, SIGTERM and SIGHUP into a flag, so that ROS still works for the last words.

    A process group's Ctrl-C can reach a process twice: asking again changes nothing. SIGHUP is
    what a terminal or connection leaves behind when it closes; under nohup it stays ignored.
    """

    def __init__(self) -> None:
        self.requested = False
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.requested = True


class ClosingNode(Node):
    """A node that has something to say or save before it goes."""

    def close(self) -> None:
        """Do what must be done while ROS still works; called once, after errors too."""


def initialize(name: str, arguments: Sequence[str] | None = None) -> None:
    """Start ROS without its signal handlers, which would silence publishers first.

    Args:
        name: of the node that is to be made.
        arguments: of the program, None for those of this process.

    Raises:
        ConfigError: the ROS arguments cannot be read, or a parameter file has nothing for the
            node.
    """
    # Over shared memory, a process that is killed can block others that publish for seconds.
    if 'FASTDDS_DEFAULT_PROFILES_FILE' not in os.environ:
        os.environ.setdefault('FASTDDS_BUILTIN_TRANSPORTS', 'UDPv4')
    words = list(sys.argv if arguments is None else arguments)
    check_parameter_files(words, name)
    try:
        rclpy.init(
            args=words,
            signal_handler_options=SignalHandlerOptions.NO,
        )
    except (RuntimeError, ValueError) as error:
        raise _refusal(error) from error


def run_node(
    name: str,
    make: Callable[[], ClosingNode],
    arguments: Sequence[str] | None = None,
    quick: bool = False,
) -> int:
    """Make a node and spin it until SIGINT, SIGTERM or SIGHUP.

    Args:
        name: of the program, for its last line.
        make: makes the node once ROS is up.
        arguments: of the program, None for those of this process.
        quick: use the events executor where it can do all that ours need; it costs a fraction of
            the time per message.

    Returns:
        Exit status: 0 after a signal, 2 after bad input, which is told in one line.
    """
    stop = StopRequest()

    def spin() -> None:
        # rclpy's own, after the error that says all
        warnings.filterwarnings('ignore', 'Failed to fini rosout publisher', RuntimeWarning)
        try:
            node = make()
        except rclpy_implementation.RCLError as error:
            raise _refusal(error) from error
        executor = EventsExecutor() if quick and EVENTS else SingleThreadedExecutor()
        executor.add_node(node)
        try:
            while not stop.requested:
                executor.spin_once(timeout_sec=0.05)
        finally:
            node.close()
            executor.shutdown()
            node.destroy_node()

    return run_ros(name, spin, arguments)


def run_ros(name: str, work: Callable[[], None], arguments: Sequence[str] | None = None) -> int:
    """Do work between the start and the shutdown of ROS; bad input becomes one line and 2."""
    try:
        initialize(name, arguments)
        work()
    except SacRosError as error:
        sys.stderr.write(f'{name}: {type(error).__name__}: {error}\n')
        return BAD_INPUT
    finally:
        rclpy.try_shutdown()
        # A second SIGINT of a process group must not change the status while Python ends.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    return 0


def _refusal(error: Exception) -> ConfigError:
    """Say in one line why ROS does not start; of a missing key it says little itself."""
    lines = ' '.join(str(error).split())
    if os.environ.get('ROS_SECURITY_ENABLE') == 'true':
        lines += (
            '; ROS_SECURITY_ENABLE is true, which needs a DDS built with security and this '
            "node's keys in an enclave of ROS_SECURITY_KEYSTORE, which is "
            f'{os.environ.get("ROS_SECURITY_KEYSTORE")!r}: see docs/reference/security.md'
        )
    return ConfigError(lines)
