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

"""What makes a process answer on time, as far as the machine lets it; it says what was refused."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from sac_ros.config.base import Config, config_field

# A thread that loads a policy hands the interpreter back this soon.
SWITCH_INTERVAL = 0.0005  # [s]
_MCL_CURRENT, _MCL_FUTURE = 1, 2


@dataclass(frozen=True)
class RealtimeConfig(Config):
    """Real-time requests to the operating system."""

    priority: int = config_field(0, 'SCHED_FIFO priority of every thread; 0 for none', 0, 99)
    lock_memory: bool = config_field(False, 'keep all memory in RAM')


def configure_realtime(config: RealtimeConfig) -> list[str]:
    """Prepare for steady running: freeze the garbage collector, ask for priority and memory.

    Returns:
        What was refused, with its mend; empty if everything was granted.
    """
    gc.collect()
    gc.freeze()  # what lives now is never looked at again
    sys.setswitchinterval(SWITCH_INTERVAL)
    refused = []
    if config.priority:
        refused += _schedule(config.priority)
    if config.lock_memory:
        refused += _lock_memory()
    return refused


def _schedule(priority: int) -> list[str]:
    """Give SCHED_FIFO to every thread of this process, those of the middleware too."""
    try:
        for task in Path('/proc/self/task').iterdir():
            os.sched_setscheduler(int(task.name), os.SCHED_FIFO, os.sched_param(priority))
    except (OSError, AttributeError) as error:
        return [f'SCHED_FIFO {priority}: {error}; raise rtprio in /etc/security/limits.conf']
    return []


def _lock_memory() -> list[str]:
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mlockall(_MCL_CURRENT | _MCL_FUTURE) == 0:
            return []
        why = os.strerror(ctypes.get_errno())
    except (OSError, AttributeError) as error:
        why = str(error)
    return [f'locking memory: {why}; raise memlock in /etc/security/limits.conf']
