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

"""The long form of every fault, and the table of docs/reference/safety.md that comes from it.

    python test/faults/run_faults.py [--write]

--write puts the table into the page. Cutting the network needs root and iproute2.
"""

import argparse
import functools
import os
import platform
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / 'test/helpers'), str(ROOT)]

import network_cut  # noqa: E402
from arm_faults import constant_push, dead_node  # noqa: E402
from fault_rig import Rig, fragile_policy  # noqa: E402
from node_faults import CASES  # noqa: E402
from ros_graph import own_graph  # noqa: E402

PAGE = ROOT / 'docs/reference/safety.md'
BEGIN, END = '<!-- faults: begin -->\n', '<!-- faults: end -->\n'


def injected():
    """Yield what is injected and the function that does it and returns what happened."""
    with own_graph() as graph:
        rig = Rig(graph, fragile_policy(graph.log_dir / 'policy.onnx'), long=True)
        for fault, case in CASES.items():
            yield fault, functools.partial(case, rig, long=True)
        yield (
            'every command in all of the above',
            lambda: f'{len(rig.commands)} commands, none not finite, none over a limit',
        )
    for fault, case in {
        'SIGSTOP and kill -9 of policy_node, with the simulated arm': dead_node,
        'a policy that only pushes, with the simulated arm': constant_push,
    }.items():
        yield fault, functools.partial(with_arm, case)
    yield (
        'the network is cut between two namespaces, and healed',
        functools.partial(network_cut.partition, long=True),
    )


def with_arm(case):
    with own_graph() as graph:
        return case(graph, graph.log_dir, long=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--write', action='store_true', help=f'put the table into {PAGE.name}')
    options = parser.parse_args()
    os.chdir(ROOT)
    os.environ.update(OMP_NUM_THREADS='1', PYTHONPATH=os.pathsep.join(sys.path[:2]))
    rows = {}
    for fault, inject in injected():
        try:
            rows[fault] = inject()
        except pytest.skip.Exception as reason:
            rows[fault] = f'skipped: {reason}'
        except (AssertionError, pytest.fail.Exception) as error:
            sys.exit(f'{fault}: {error}')
        print(f'{fault}: {rows[fault]}', flush=True)
    if options.write:
        table = '| fault | reaction |\n|---|---|\n'
        table += ''.join(f'| {fault} | {result} |\n' for fault, result in rows.items())
        text = PAGE.read_text()
        before, after = text.split(BEGIN)[0], text.split(END)[1]
        machine = f'{platform.machine()}, {os.cpu_count()} cores, not idle'
        PAGE.write_text(f'{before}{BEGIN}{table}\nMachine: {machine}.\n{END}{after}')


if __name__ == '__main__':
    main()
