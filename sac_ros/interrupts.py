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

"""Ctrl-C while a program imports its modules."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

INTERRUPTED = 130  # exit status


@contextmanager
def exit_on_interrupt() -> Iterator[None]:
    """End the program at once on SIGINT, without a traceback; for imports, which save nothing.

    A KeyboardInterrupt within the import of a C extension can surface as another error.
    """
    previous = signal.getsignal(signal.SIGINT)
    exit_until_handled()
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


def exit_until_handled() -> None:
    """End the program at once on SIGINT, until the program sets a handler of its own.

    A SIGINT that is ignored, or handled already, stays so.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))
