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

"""Progress and result of a training run on a terminal, or as plain lines without one."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from sac_ros.training.acceptance import acceptance_table, percent
from sac_ros.training.next_steps import command, next_steps, verdict_lines
from sac_ros.training.progress import TrainingProgress
from sac_ros.training.result import TrainingResult
from sac_ros.training.trainer import Trainer

REFRESH_SECONDS = 0.25
LINE_SECONDS = 15.0  # between two lines where there is no terminal


class TrainingReport:
    """A progress bar while the run goes on, and where everything is when it ends."""

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer
        self._console = Console(markup=False)  # a path may hold what reads as markup
        columns = (
            BarColumn(bar_width=None),
            TextColumn('{task.completed:,.0f}/{task.total:,.0f} steps'),
            TextColumn('{task.fields[left]} left'),
        )
        self._bar = Progress(*columns, console=self._console, expand=True)
        self._task = self._bar.add_task('', total=trainer.config.steps, left='-')
        self._live = Live(console=self._console, auto_refresh=False)
        self._next = 0.0
        self._compiling = False

    def __enter__(self) -> TrainingReport:
        config = self._trainer.config
        verb = f'resuming at step {self._trainer.step:,}' if self._trainer.step else 'training'
        self._console.print(f'{verb}: {config.env} in {config.run_dir}; Ctrl-C saves')
        budget = getattr(getattr(self._trainer.env, 'task', None), 'budget', '')
        if budget:
            self._console.print(budget)
        if config.compile:
            self._console.print('the first update is compiled, which takes a while')
            self._compiling = True
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._console.is_terminal:
            self._draw()
            self._live.stop()

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self._console.print(text)

    def step(self, trainer: Trainer) -> None:
        """Refresh what is shown, if it is time to."""
        now = time.monotonic()
        compiler = trainer.compiler
        if self._compiling and compiler is not None and compiler.ready:
            self._compiling = False
            self.say(f'compiled in {compiler.seconds:.0f} s; the next run will be quicker')
        if now < self._next:
            return
        terminal = self._console.is_terminal
        self._next = now + (REFRESH_SECONDS if terminal else LINE_SECONDS)
        if terminal:
            self._draw()
        else:
            progress = trainer.progress()
            left = _duration(progress.seconds_left)
            self._console.print(
                f'{progress.step}/{progress.steps} steps  {_figures(progress)}  {left} left',
                soft_wrap=True,
            )

    def stopped(self) -> None:
        """Say what was kept and how to go on."""
        trainer = self._trainer
        self._console.print(
            f'stopped at step {trainer.step:,}; everything is saved in {trainer.run_dir}. '
            f'The same command goes on from here.'
        )

    @contextmanager
    def measuring(self, episodes: int) -> Iterator[Callable[[], None]]:
        """Show the progress of so many episodes; call what is yielded after each."""
        disable = not (self._console.is_terminal and episodes)
        with Progress(console=self._console, transient=True, disable=disable) as bar:
            task = bar.add_task('measuring', total=episodes)
            yield lambda: bar.advance(task)

    def finished(self, result: TrainingResult) -> None:
        """Show figures and verdict, where the files are, and what to run next."""
        trainer, evaluation = self._trainer, result.evaluation
        table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
        if result.acceptance is not None:
            self._console.print(acceptance_table(result.acceptance), soft_wrap=True)
        elif not math.isnan(evaluation.success_rate):
            share = f'{100 * evaluation.success_rate:.0f} % of {evaluation.episodes} episodes'
            table.add_row('success', Text(share, 'bold'))
        table.add_row('return', f'{evaluation.mean_return:.2f} +- {evaluation.std_return:.2f}')
        table.add_row('policy', f'{trainer.policy_path}')
        if result.candidates:
            table.add_row('', _choice(result))
        table.add_row('', f'agrees with the network to {result.parity:.0e} of the torque limit')
        table.add_row('learner', f'{trainer.checkpoint}')
        table.add_row('samples', f'{trainer.run_dir / "replay"}, all {trainer.step:,} of them')
        self._console.print(table)
        if result.acceptance is not None:
            told = {field.name for field in trainer.spec.observation}
            for line in verdict_lines(result.acceptance):
                self._console.print(line, soft_wrap=True)
            steps = next_steps(trainer.config, trainer.run_dir, told, result)
            self._console.print(steps, soft_wrap=True)
        self._console.print('one page with results, curves, critics and playback:')
        self._console.print(f'  {command("report", str(trainer.run_dir))}', soft_wrap=True)

    def _draw(self) -> None:
        progress = self._trainer.progress()
        left = _duration(progress.seconds_left)
        self._bar.update(self._task, completed=progress.step, left=left)
        self._live.update(Group(self._bar, Text(_figures(progress))), refresh=True)


def _figures(progress: TrainingProgress) -> str:
    parts = [f'return {_number(progress.mean_return, ".2f")}']
    if not math.isnan(progress.success_rate):
        parts.append(f'success {100 * progress.success_rate:.0f} %')
    parts += [
        f'alpha {progress.alpha:.3g}',
        f'entropy {_number(progress.entropy, ".2f")}',
        f'{progress.updates_per_second:.0f} updates/s',
    ]
    return '  '.join(parts)


def _number(value: float, form: str) -> str:
    return '-' if math.isnan(value) else format(value, form)


def _choice(result: TrainingResult) -> str:
    """Say which policy is the one to deploy, and how the others did."""
    words = []
    for candidate in result.candidates:
        assert candidate.acceptance is not None
        passes = candidate.acceptance.passes.values()
        shares = ' and '.join(percent(figures.success) for figures in passes)
        faults = sum(figures.faults for figures in passes)
        words.append(f'{candidate.name} (step {candidate.step:,}) {shares}, {faults} FAULTs')
    return f'the {result.deployed} one; success: {"; ".join(words)}'


def _duration(seconds: float) -> str:
    if math.isnan(seconds):
        return '-'
    minutes, rest = divmod(round(seconds), 60)
    return f'{minutes}:{rest:02d}'
