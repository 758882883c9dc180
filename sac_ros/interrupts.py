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
    if previous is not signal.default_int_handler:
        yield  # ignored, or handled by the program
        return
    signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
