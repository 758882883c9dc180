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

"""Asks ros2_control about the controller that takes the commands: is it active, for which joints?

A controller that is loaded but inactive subscribes to its commands already. Activated later, it
would begin with the full torque.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lifecycle_msgs.msg import State, TransitionEvent
from rcl_interfaces.srv import GetParameters
from rclpy.client import Client
from rclpy.node import Node
from rclpy.task import Future

from sac_ros.ros.qos import EVENTS

PATIENCE = 2.0  # [s] after which an unanswered request is sent again, and an answer is too old
MESSAGES = 'controller_manager_msgs'


class ControllerWatch:
    """Knows what a controller manager and its controller have answered last."""

    def __init__(
        self,
        node: Node,
        manager: str,
        controller: str,
        joints: Sequence[str],
        on_transition: Callable[[str], None],
    ) -> None:
        """Begin to watch.

        Args:
            node: that asks.
            manager: name of the controller manager, '' for none.
            controller: name of the controller.
            joints: of the robot, in the order of the commands.
            on_transition: takes the reason when the controller changes its state.
        """
        self._node, self._controller, self._joints = node, controller, tuple(joints)
        self._on_transition = on_transition
        self._service = node.resolve_service_name(f'{manager}/list_controllers') if manager else ''
        self._seen = False  # the controller manager was there
        self._inactive, self._answered = '', -PATIENCE  # why it is no active one, and when [s]
        self._mismatch = ''
        service_type = _list_controllers()
        self._list = service_type and _Query(node, service_type, self._service, self._on_list)
        name = f'{controller}/get_parameters'
        self._parameters = _Query(node, GetParameters, name, self._on_parameters)
        self._transitions = node.create_subscription(
            TransitionEvent, f'{controller}/transition_event', self._on_event, EVENTS
        )

    def poll(self) -> None:
        """Ask again, without waiting; call this about twice a second."""
        if self._is_there():
            self._seen = True
            if self._list:
                self._list.ask(_list_controllers().Request())
        self._parameters.ask(GetParameters.Request(names=['joints', 'interface_name']))

    def fault(self) -> str:
        """Return why motion must end, '' while nothing is known to be wrong."""
        if self._seen and not self._is_there():
            return f'the controller manager is gone: no service {self._service}'
        return self._inactive or self._mismatch

    def enable_blocker(self) -> str:
        """Return why motion must not begin, '' if it may."""
        if self._parameters.is_unanswered:
            return f'no answer yet from {self._parameters.name}'
        if not self._is_there():
            return self.fault()
        if not self._list:
            return (
                f'a controller manager is there, but {MESSAGES} is not installed to ask whether '
                f'{self._controller} is active; install it, or set controller_manager to an empty '
                'string and see to it yourself'
            )
        if time.monotonic() - self._answered > PATIENCE:
            return f'no answer yet from {self._service}'
        return self.fault()

    @property
    def is_asked(self) -> bool:
        """Whether a controller manager is there to be asked."""
        return self._is_there()

    def close(self) -> None:
        """Watch no more."""
        self._node.destroy_subscription(self._transitions)
        for query in (self._list, self._parameters):
            if query:
                query.close()

    def _is_there(self) -> bool:
        return bool(self._service) and self._node.count_services(self._service) > 0

    def _on_list(self, response: Any) -> None:
        states = {controller.name: controller.state for controller in response.controller}
        self._answered = time.monotonic()
        self._inactive = why_inactive(self._controller, states, self._service)

    def _on_parameters(self, response: Any) -> None:
        joints, interface = response.values
        theirs = tuple(joints.string_array_value)
        self._mismatch = ''
        if theirs and theirs != self._joints:
            self._mismatch = (
                f'{self._controller} takes commands for {", ".join(theirs)}, they are sent for '
                f'{", ".join(self._joints)}; set command_joints to its order'
            )
        elif interface.string_value not in ('', 'effort'):
            self._mismatch = f'{self._controller} commands {interface.string_value}, not effort'

    def _on_event(self, event: TransitionEvent) -> None:
        if event.goal_state.id != State.PRIMARY_STATE_ACTIVE:
            self._inactive = f'the controller {self._controller} became {event.goal_state.label}'
        self.poll()
        self._on_transition(
            f'the controller {self._controller} went from {event.start_state.label} to '
            f'{event.goal_state.label}'
        )


def why_inactive(controller: str, states: Mapping[str, str], service: str) -> str:
    """Return why a controller is not active, '' if it is.

    Args:
        controller: its name.
        states: state of each controller by name, as a controller manager lists them.
        service: that listed them.
    """
    if controller not in states:
        known = ', '.join(sorted(states)) or 'none'
        return (
            f'{service} lists no {controller}, it lists {known}; set controller to the one that '
            'takes the commands'
        )
    state = states[controller]
    return '' if state == 'active' else f'the controller {controller} is {state}, not active'


class _Query:
    """A service that is asked from time to time, without waiting for it."""

    def __init__(
        self, node: Node, service_type: Any, name: str, on_response: Callable[[Any], None]
    ) -> None:
        self._node, self._on_response = node, on_response
        self._client: Client[Any, Any] = node.create_client(service_type, name)
        self.name = name
        self._pending: Future[Any] | None = None
        self._asked = 0.0  # [s]
        self._answered = False

    @property
    def is_unanswered(self) -> bool:
        """Whether the service is there but has never answered."""
        return not self._answered and self._client.service_is_ready()

    def ask(self, request: Any) -> None:
        """Send a request unless one is on its way."""
        now = time.monotonic()
        if self._pending is not None:
            if now - self._asked < PATIENCE:
                return
            self._client.remove_pending_request(self._pending)
            self._pending = None
        if self._client.service_is_ready():
            self._asked, self._pending = now, self._client.call_async(request)
            self._pending.add_done_callback(self._on_done)

    def close(self) -> None:
        """Ask no more."""
        self._node.destroy_client(self._client)

    def _on_done(self, future: Future[Any]) -> None:
        if future is self._pending:
            self._pending, self._answered = None, True
            self._on_response(future.result())


def _list_controllers() -> Any:
    """Return the type of the service, None where ros2_control's messages are not installed."""
    try:
        return importlib.import_module(f'{MESSAGES}.srv').ListControllers
    except ImportError:
        return None
