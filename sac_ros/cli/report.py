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

"""The command line of the report: `sac_ros report`."""
# ruff: noqa: T201 (a command line prints)

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

REPORT_NAME = 'report.html'  # in the directory of the run, unless another is given


def add_report_parser(commands: Any) -> None:
    """Add the command to the subparsers of the program."""
    report = commands.add_parser(
        'report',
        help='write one interactive HTML page about runs',
        description='Write one HTML file that opens from disk without a network: results, '
        'learning curves, critics, policy and samples. Several runs share the learning curves.',
    )
    report.add_argument('runs', nargs='+', type=Path, metavar='RUN', help='directory of a run')
    report.add_argument(
        '-o', '--output', type=Path, metavar='FILE', help=f'the page (default: RUN/{REPORT_NAME})'
    )
    report.set_defaults(run=_report)


def _report(options: argparse.Namespace) -> int:
    write_report(options.runs, options.output or options.runs[0] / REPORT_NAME)
    return 0


def write_report(runs: list[Path], path: Path) -> None:
    """Write a report and print where it is and what is missing in it."""
    from sac_ros.report.page import write_page

    missing = write_page(runs, path)
    for line in missing:
        print(f'left out: {line}')
    print(f'{path} ({path.stat().st_size / 1e6:.1f} MB); open it in a browser')
