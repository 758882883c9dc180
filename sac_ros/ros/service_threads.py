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

"""Serves the services of a node beside its executor, so that no client can delay the executor.

Sending a response can block for 100 ms: rmw_fastrtps waits that long for a client that vanished
before the response, and rclpy holds the interpreter lock meanwhile. So requests are taken in one
thread and responses are sent in another one, through rcl itself, without the interpreter lock.

Each service has at most one request in work, and the thread that takes requests rests for four
times the processor time that it used. Requests beyond that wait in the history of DDS, which
keeps the newest ten per service. So a flood of one service delays no other one.
"""

from __future__ import annotations

import ctypes
import inspect
import queue
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from rclpy.node import Node
from rclpy.service import Service

POLL_PERIOD = 0.002  # [s]
DUTY = 4.0  # rest per processor time
# Services that only read what does not change; every other callback runs in the executor's thread.
READING = {
    'describe_parameters', 'get_parameter_types', 'get_parameters', 'list_parameters',
    'get_type_description', 'get_state', 'get_available_states', 'get_available_transitions',
    'get_transition_graph', 'get_interactive_markers',
}  # fmt: skip


class ServiceThreadsNode(Node):
    """A node whose executor serves no services: two threads do.

    Callbacks that change something run in the thread of the executor, in `handle_requests`, which
    the node calls from a timer of a few milliseconds.
    """

    _closing: threading.Event | None = None  # None before `start_services`

    @property
    def services(self) -> Iterator[Service[Any, Any]]:
        """None, for the executor."""
        return iter(())

    def start_services(self, first: str = '') -> None:
        """Begin to serve every service that the node has now.

        Args:
            first: last part of the name of a service that is looked at before each other one.
        """
        endpoints = [_Endpoint(service) for service in super().services]
        self._first = [endpoint for endpoint in endpoints if endpoint.name == first]
        self._endpoints = [endpoint for endpoint in endpoints if endpoint.name != first]
        self._requests: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._responses: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._threads = [
            threading.Thread(target=self._watched, args=(work,), daemon=True)
            for work in (self._take, self._send)
        ]
        for thread in self._threads:
            thread.start()

    def stop_services(self) -> None:
        """End both threads; unanswered requests stay unanswered."""
        if self._closing is not None and not self._closing.is_set():
            self._closing.set()
            self._responses.put(None)
            for thread in self._threads:
                thread.join()

    def handle_requests(self) -> None:
        """Run the callbacks that wait for the thread of the executor."""
        if self._closing is None:
            return
        for _ in range(self._requests.qsize()):
            self._requests.get()()

    def _watched(self, work: Callable[[], None]) -> None:
        """Work in a thread; raise what it raises in the thread of the executor."""
        try:
            work()
        except Exception as error:  # noqa: BLE001
            self._requests.put(partial(_raise, error))

    def _take(self) -> None:
        assert self._closing is not None
        begin, rest = time.thread_time(), POLL_PERIOD
        while not self._closing.wait(rest):
            for endpoint in self._endpoints:
                for one in (*self._first, endpoint):
                    self._take_one(one)
            now = time.thread_time()
            rest, begin = max(POLL_PERIOD, DUTY * (now - begin)), now

    def _take_one(self, endpoint: _Endpoint) -> None:
        if endpoint.busy or (request := endpoint.take()) is None:
            return
        endpoint.busy = True
        if endpoint.name in READING:
            self._call(endpoint, request)
        else:
            self._requests.put(partial(self._call, endpoint, request))

    def _call(self, endpoint: _Endpoint, request: Any) -> None:
        callback, response = endpoint.service.callback, endpoint.service.srv_type.Response()
        if not inspect.iscoroutinefunction(callback):
            self._responses.put(partial(endpoint.send, callback(request, response)))
            return
        assert self.executor is not None, 'a node without executor handles no requests'
        task = self.executor.create_task(callback, request, response)
        task.add_done_callback(
            lambda done: self._responses.put(lambda: endpoint.send(done.result()))
        )

    def _send(self) -> None:
        while (send := self._responses.get()) is not None:
            send()


def _raise(error: Exception) -> None:
    raise error


class _RequestId(ctypes.Structure):
    """rmw_request_id_t."""

    _fields_ = (('writer_guid', ctypes.c_int8 * 16), ('sequence_number', ctypes.c_int64))


class _ServiceInfo(ctypes.Structure):
    """rmw_service_info_t."""

    _fields_ = (
        ('source_timestamp', ctypes.c_int64),
        ('received_timestamp', ctypes.c_int64),
        ('request_id', _RequestId),
    )


class _Endpoint:
    """Takes requests of one service and sends its responses, without the interpreter lock."""

    def __init__(self, service: Service[Any, Any]) -> None:
        self.service, self.busy = service, False
        self.name = service.srv_name.rpartition('/')[2]
        self._rcl = ctypes.CDLL('librcl.so')  # loaded by rclpy
        self._utils = ctypes.CDLL('librcutils.so')
        self._info = _ServiceInfo()
        self._request, self._response = (
            _Converter(kind) for kind in (service.srv_type.Request, service.srv_type.Response)
        )

    def take(self) -> Any:
        """Return the next request, None if there is none."""
        with self.service.handle:
            taken = self._rcl.rcl_take_request_with_info(
                ctypes.c_void_p(self.service.handle.pointer),
                ctypes.byref(self._info),
                ctypes.c_void_p(self._request.message),
            )
        if taken != 0:
            self._utils.rcutils_reset_error()
            return None
        return self._request.to_python()

    def send(self, response: Any) -> None:
        """Send the response to the request taken last; a client that is gone gets none."""
        self._response.from_python(response)
        with self.service.handle:
            sent = self._rcl.rcl_send_response(
                ctypes.c_void_p(self.service.handle.pointer),
                ctypes.byref(self._info.request_id),
                ctypes.c_void_p(self._response.message),
            )
        if sent != 0:
            self._utils.rcutils_reset_error()
        self.busy = False


class _Converter:
    """One message in C, and its conversion from and to Python, by the type's own functions."""

    def __init__(self, kind: Any) -> None:
        def function(name: str, result: Any, *arguments: Any) -> Any:
            return ctypes.PYFUNCTYPE(result, *arguments)(_address(getattr(type(kind), name)))

        pointer, thing = ctypes.c_void_p, ctypes.py_object
        self._destroy = function('_DESTROY_ROS_MESSAGE', None, pointer)
        self._to_python = function('_CONVERT_TO_PY', thing, pointer)
        self._from_python = function('_CONVERT_FROM_PY', ctypes.c_bool, thing, pointer)
        self._create = function('_CREATE_ROS_MESSAGE', pointer)
        self.message: int = self._create()

    def to_python(self) -> Any:
        return self._to_python(self.message)

    def from_python(self, value: Any) -> None:
        """Fill the message anew; what it held before would leak."""
        self._destroy(self.message)
        self.message = self._create()
        self._from_python(value, self.message)


def _address(capsule: Any) -> int:
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
    address: int = get(capsule, None)
    return address
