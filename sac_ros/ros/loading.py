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

"""Loads policies for a node: at the start, and beside a policy that is running."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from rclpy.clock import Clock
from rclpy.node import Node
from rclpy.task import Future as RosFuture

from sac_ros.config.base import Config, config_field
from sac_ros.deploy.joint_motion import JointStateConfig
from sac_ros.deploy.onnx_policy import OnnxPolicy
from sac_ros.deploy.policy_check import load_checked
from sac_ros.deploy.policy_file import find_policy
from sac_ros.deploy.safety_filter import SafetyConfig
from sac_ros.deploy.supervisor import SupervisorConfig
from sac_ros.errors import ConfigError, PolicyError, SacRosError
from sac_ros.ros.realtime import RealtimeConfig

POLL_PERIOD = 0.01  # [s] between two looks whether a policy is loaded


@dataclass(frozen=True)
class PolicyNodeConfig(Config):
    """Settings of the policy node."""

    policy: str = config_field(
        '', 'ONNX file of the policy, or directory of a run that exported one'
    )
    policy_sha256: str = config_field(
        '', 'SHA-256 of the only accepted policy file; empty for any valid file'
    )
    model_hash: str = config_field('', 'hash of the only accepted robot model; empty for any')
    max_torque: float = config_field(1000.0, 'largest accepted torque limit of a policy [N·m]', 0)
    autostart: bool = config_field(
        False, 'configure and activate the node at its start; does not enable'
    )
    base_frame: str = config_field(
        '', 'frame of goals; empty for the base frame of the policy file'
    )
    command_joints: str = config_field(
        '',
        "joints of the controller in its order, separated by commas; empty for the policy's order",
    )
    guard: bool = config_field(False, 'send commands through effort_guard, a separate process')
    guard_timeout: float = config_field(
        0.01,
        'age of a command at which effort_guard publishes the fallback, and silence of '
        'effort_guard that is a fault [s]',
        0.008,
        1,
    )
    safety: SafetyConfig = dataclasses.field(default_factory=SafetyConfig)
    controller: str = config_field(
        'forward_effort_controller', 'controller of ros2_control that receives the commands'
    )
    controller_manager: str = config_field(
        'controller_manager',
        'controller manager that reports whether the controller is active; empty to skip '
        'the check',
    )
    joint_states: JointStateConfig = dataclasses.field(default_factory=JointStateConfig)
    supervision: SupervisorConfig = dataclasses.field(default_factory=SupervisorConfig)
    realtime: RealtimeConfig = dataclasses.field(default_factory=RealtimeConfig)


def load_policy(config: PolicyNodeConfig) -> OnnxPolicy:
    """Load the policy that the settings name, once it has passed its check in another process.

    Raises:
        ConfigError: they name none.
        PolicyError: it is not one that may be loaded.
    """
    if not config.policy:
        raise ConfigError(
            'no policy is given; set the parameter policy to an ONNX file or a run directory'
        )
    return load_checked(
        find_policy(config.policy), config.policy_sha256, config.model_hash, config.max_torque
    )


class BackgroundLoader:
    """Loads one policy at a time in a thread, while the node goes on commanding.

    The thread shares nothing with the node but the policy that it hands over when it is done.
    """

    def __init__(self, node: Node, config: PolicyNodeConfig, clock: Clock) -> None:
        self._node, self._config, self._clock = node, config, clock
        self._threads = ThreadPoolExecutor(1, 'load')
        self._work: Future[OnnxPolicy] | None = None

    async def load(self) -> OnnxPolicy:
        """Return the loaded and checked policy, whose first torques have been computed.

        Raises:
            PolicyError: it may not be loaded, or another one is being loaded.
        """
        if self._work is not None:
            raise PolicyError('another policy is being loaded; wait for it')
        self._work = self._threads.submit(load_policy, self._config)
        try:
            await self._done(self._work)
            return self._work.result()
        except SacRosError:
            raise
        except Exception as error:  # an exception in a callback would end the node
            raise PolicyError(
                f'{self._config.policy} cannot be loaded: {type(error).__name__}: {error}'
            ) from error
        finally:
            self._work = None

    def _done(self, work: Future[OnnxPolicy]) -> Awaitable[None]:
        done: RosFuture[None] = RosFuture(executor=self._node.executor)

        def look() -> None:
            if work.done() and not done.done():
                self._node.destroy_timer(timer)
                done.set_result(None)

        timer = self._node.create_timer(POLL_PERIOD, look, clock=self._clock)
        return done
