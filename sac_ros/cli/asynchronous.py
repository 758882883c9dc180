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

"""`sac_ros train --async`: one command that starts a learner and a collector."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from types import FrameType

from sac_ros.config.base import build, flatten
from sac_ros.config.training import TrainConfig
from sac_ros.errors import SacRosError
from sac_ros.interrupts import INTERRUPTED, exit_until_handled

POLL_PERIOD = 0.1  # [s]
RESTART_DELAY = 1.0  # [s] before a process that was killed starts again
PATIENCE = 15.0  # [s] for a process to end
logger = logging.getLogger(__name__)


class Processes:
    """A learner and a collector, which share the run directory alone.

    A process that a signal has killed is started again and goes on; one that fails ends the run.
    Both end when this process does, however it ends: their standard input is a pipe from it.
    """

    def __init__(self, config: TrainConfig, *, report: bool) -> None:
        """Start nothing yet.

        Args:
            config: of the run.
            report: write the interactive report at the end.
        """
        text = json.dumps(flatten(config))
        self._commands = {
            'learner': ['learner', text, *(['--report'] if report else [])],
            'collector': ['collector', text],
        }
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._stopping = False

    def run(self) -> int:
        """Run until the run ends or is stopped; return the exit status."""
        handlers = {
            number: signal.signal(number, self._stop) for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            for name in self._commands:
                self._start(name)
            while (status := self._status()) is None:
                time.sleep(POLL_PERIOD)
            return status
        finally:
            self._end()
            for number, handler in handlers.items():
                signal.signal(number, handler)

    def _stop(self, number: int, _: FrameType | None) -> None:
        # A terminal sends Ctrl-C to the learner itself, which saves, or quits at the second one.
        self._stopping = True
        collector = self._running.get('collector')
        if collector is not None and collector.stdin is not None:
            collector.stdin.close()
        if number == signal.SIGTERM and 'learner' in self._running:
            self._running['learner'].send_signal(signal.SIGINT)

    def _status(self) -> int | None:
        """Return the exit status once the run has ended."""
        for name, process in list(self._running.items()):
            status = process.poll()
            if status is None or (name == 'collector' and status == 0):
                continue
            if status < 0 and not self._stopping:
                logger.warning('%s was killed by signal %d and starts again', name, -status)
                time.sleep(RESTART_DELAY)
                self._start(name)
            elif name == 'learner' or not self._stopping:
                return INTERRUPTED if status < 0 else status
        return None

    def _start(self, name: str) -> None:
        command = [sys.executable, '-m', 'sac_ros.cli.asynchronous', *self._commands[name]]
        self._running[name] = subprocess.Popen(command, stdin=subprocess.PIPE)

    def _end(self) -> None:
        for process in self._running.values():
            assert process.stdin is not None
            process.stdin.close()
        for process in self._running.values():
            process.wait(PATIENCE)


def _learn(config: TrainConfig, stop: threading.Event, *, report: bool) -> int:
    from sac_ros.cli.main import run_training
    from sac_ros.training.async_learner import AsyncLearner

    learner = AsyncLearner(config)

    def follow() -> None:
        stop.wait()
        learner.request_stop()

    threading.Thread(target=follow, daemon=True).start()
    return run_training(learner, report_at_end=report)


def _collect(config: TrainConfig, stop: threading.Event) -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that started this one decides
    from sac_ros.training.async_collector import collect

    collect(config, stop.is_set)
    return 0


def main() -> int:
    """Be the learner or the collector of a configuration as JSON; return the exit status."""
    exit_until_handled()
    role, text, *more = sys.argv[1:]
    logging.basicConfig(format=f'{role}: %(message)s')
    logging.getLogger('sac_ros').setLevel(logging.INFO)
    stop = threading.Event()

    def watch() -> None:
        while os.read(sys.stdin.fileno(), 4096):
            pass
        stop.set()

    threading.Thread(target=watch, daemon=True).start()
    config: TrainConfig = build(TrainConfig, json.loads(text))
    try:
        if role == 'collector':
            return _collect(config, stop)
        return _learn(config, stop, report='--report' in more)
    except KeyboardInterrupt:
        return INTERRUPTED
    except SacRosError as error:
        print(f'sac_ros: {type(error).__name__}: {error}', file=sys.stderr)  # noqa: T201
    return 2


if __name__ == '__main__':
    sys.exit(main())
