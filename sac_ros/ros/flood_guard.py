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

"""Listens to a topic, and stops listening for a while when messages come as a flood.

The events executor queues every arrival, even of a message that a newer one has replaced. When
messages come faster than this queue is worked off, all else, an emergency stop too, waits behind
them longer and longer. How fast it is worked off is up to what else the machine has to do, so a
flood is not told by how many are handled. It shows in the numbers that the publisher gives them,
and in a timer's call that is late because it waits in the same queue.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Hashable, Iterator
from typing import Any, Generic, TypeVar

from rclpy.clock import Clock
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.subscription import Subscription

Message = TypeVar('Message')
MAX_PER_WINDOW = 300  # messages of one publisher in a window, on average: 1.5 kHz
WINDOW = 0.2  # [s]
MAX_BACKLOG = 10  # messages that may be handled while a look is late
MAX_DELAY = 0.05  # [s] between two looks, which are a few milliseconds apart when nothing is wrong
COOLDOWN = 0.5  # [s] for which a flood is not listened to
MANY_PUBLISHERS = 8  # windows that are kept; publishers come and go


class GuardedSubscription(Generic[Message]):
    """Calls `callback` with every message, or `flooded` with the reason when too many come.

    Call `mark_timer_fired` from a timer with a period of a few milliseconds. A late timer together
    with many handled messages means that the queue is long: after a stall alone, a topic with a
    history of one holds one message, the latest.
    """

    def __init__(
        self,
        node: Node,
        kind: type[Message],
        topic: str,
        qos: QoSProfile,
        callback: Callable[[Message, bytes], None],
        *,
        flooded: Callable[[str], None],
        clock: Clock,
        crowded: float = 0.0,
        series: Callable[[Message], Hashable] = lambda message: None,
    ) -> None:
        """Begin to listen.

        Args:
            node: that listens.
            kind: type of the messages.
            topic: where they come.
            qos: with a history of as many messages as may wait.
            callback: called with each message and its publisher.
            flooded: is told why they are not listened to for a while.
            clock: a steady one.
            crowded: one that comes so soon [s] after the one before in its series was handled,
                since it has waited meanwhile, is only counted.
            series: which series of its publisher a message belongs to. Of those that wait, only
                the newest of each series is handled.
        """
        self._node, self._callback, self._flooded = node, callback, flooded
        self._wanted = kind, topic, qos
        self._series, self._crowded, self._count = series, crowded, 0
        self._handled: dict[Hashable, float] = {}  # when the last of each series was [s]
        self._since, self._looked = 0, time.monotonic()  # messages since the last look
        self._windows: dict[bytes, tuple[int, float]] = {}  # of each publisher, where it begins
        self._subscription: Subscription[Message] | None = None
        self._timer = node.create_timer(COOLDOWN, self._listen, clock=clock)
        self._listen()

    def mark_timer_fired(self) -> None:
        """Note that what waits in the queue gets its turn."""
        self._since, self._looked = 0, time.monotonic()

    def close(self) -> None:
        """Listen no more."""
        self._node.destroy_timer(self._timer)
        self._unsubscribe()

    def _listen(self) -> None:
        """Begin to listen, unless that is so already."""
        if self._subscription is None:
            kind, topic, qos = self._wanted
            # Volatile publishers are no mistake: another subscription takes their messages.
            latched = qos.durability is DurabilityPolicy.TRANSIENT_LOCAL
            self._subscription = self._node.create_subscription(
                kind, topic, _WithInfo(self._on_message), qos,
                event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=not latched),
            )  # fmt: skip

    def _unsubscribe(self) -> None:
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None

    def _on_message(self, message: Message, about: dict[str, Any]) -> None:
        if self._subscription is None:
            return  # was on its way
        now = time.monotonic()
        self._since += 1
        late = self._since > MAX_BACKLOG and now - self._looked > MAX_DELAY
        flood = 'more than this program gets the time to handle' if late else ''
        newest: dict[tuple[bytes, Hashable], Message] = {}
        for waiting, origin in self._waiting(self._subscription, message, about):
            # Not every DDS says who publishes.
            publisher = (origin.get('publisher_gid') or {}).get('data', b'')
            flood = flood or self._flood(now, origin, publisher)
            newest[publisher, self._series(waiting)] = waiting
        if flood:
            topic = self._subscription.topic_name
            self._unsubscribe()
            self._flooded(f'a flood on {topic}: {flood}')
            return
        for series, waiting in newest.items():
            if now - self._handled.get(series, 0.0) > self._crowded:
                self._callback(waiting, series[0])
            if len(self._handled) > MANY_PUBLISHERS:
                self._handled.clear()
            self._handled[series] = time.monotonic()

    def _waiting(
        self, subscription: Subscription[Message], message: Message, about: dict[str, Any]
    ) -> Iterator[tuple[Message, dict[str, Any]]]:
        """Yield a message and those that wait behind it."""
        yield message, about
        for _ in range(self._wanted[2].depth - 1):
            taken: Any = subscription.handle.take_message(subscription.msg_type, False)
            if taken is None:
                return
            yield taken

    def _flood(self, now: float, about: dict[str, Any], publisher: bytes) -> str:
        """Say what makes this message one of a flood, '' if it is none."""
        self._count += 1
        # Not every DDS numbers what is published.
        number = about.get('publication_sequence_number') or self._count
        first, begin = self._windows.get(publisher, (number, -1.0))
        windows = (now - begin) / WINDOW
        many = number - first > MAX_PER_WINDOW * max(windows, 1.0)
        if many or windows > 1:
            if len(self._windows) > MANY_PUBLISHERS:
                self._windows.clear()
            self._windows[publisher] = number, now
        return f'more than {MAX_PER_WINDOW / WINDOW:.0f} a second' if many else ''


class _WithInfo:
    """A callback that is given a message and what DDS knows about it.

    rclpy reads from the signature that both are wanted. Its events executor then hands them over
    as one tuple where the other executors give two arguments.
    """

    __signature__ = inspect.signature(lambda message, about: None)

    def __init__(self, callback: Callable[[Any, dict[str, Any]], None]) -> None:
        self._callback = callback

    def __call__(self, *taken: Any) -> None:
        message, about = taken if len(taken) == 2 else taken[0]
        self._callback(message, about)
