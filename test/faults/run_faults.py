"""The long form of every fault, and the table of docs/reference/safety.md that comes from it.

    python test/faults/run_faults.py [--write]

--write puts the table into the page. Cutting the network needs root and iproute2.
"""

import argparse
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import _pytest.outcomes

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / 'test/helpers'), str(ROOT)]

PAGE = ROOT / 'docs/reference/safety.md'
BEGIN, END = '<!-- faults: begin -->\n', '<!-- faults: end -->\n'
DOMAIN = 87
FAILED: list[str] = []
# Of this process alone: a name that a killed run left behind must not be in the way.
OURS, THEIRS = (f'sac_ros_{who}_{os.getpid()}' for who in ('policy', 'arm'))


def environment(loopback):
    """The variables that keep the nodes to themselves."""
    variables = {'ROS_DOMAIN_ID': str(DOMAIN), 'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(ROOT)}
    if loopback:
        profile = {'FASTDDS_DEFAULT_PROFILES_FILE': str(ROOT / 'test/data/loopback.xml')}
        return variables | profile | {'ROS_AUTOMATIC_DISCOVERY_RANGE': 'SYSTEM_DEFAULT'}
    return variables | {
        'FASTDDS_BUILTIN_TRANSPORTS': 'UDPv4',
        'FASTDDS_DEFAULT_PROFILES_FILE': str(ROOT / 'test/data/cable.xml'),
        'ROS_STATIC_PEERS': '10.77.0.1;10.77.0.2',
        'ROS_AUTOMATIC_DISCOVERY_RANGE': 'SUBNET',
    }


def with_graph(work, *arguments):
    """Run work(graph, directory, ...) and return what it says, or why it failed."""
    from ros_graph import Graph

    with tempfile.TemporaryDirectory() as name:
        graph = Graph(DOMAIN, Path(name))
        try:
            return work(graph, Path(name), *arguments)
        except (AssertionError, _pytest.outcomes.Failed) as error:
            FAILED.append(str(error))
            return f'**FAILED**: {str(error).splitlines()[0]}'
        finally:
            graph.close()


def all_of_one_node(graph, directory):
    from fault_rig import Rig, fragile_policy
    from node_faults import CASES

    rig, rows = Rig(graph, fragile_policy(directory / 'policy.onnx'), long=True), {}
    for name, case in CASES.items():
        rows[name] = case(rig, long=True)  # a failure ends them all
        print(f'{name}: {rows[name]}', flush=True)
    rows['every command in all of the above'] = (
        f'{len(rig.commands)} commands, none not finite, none over a limit'
    )
    return rows


def ip(*arguments, check=True):
    """Run iproute2 and return what it says."""
    done = subprocess.run(['ip', *arguments], check=check, capture_output=True, text=True)
    return done.stdout


def make_cable():
    """Two namespaces with a cable between them that carries."""
    ip('netns', 'add', THEIRS)
    ip('link', 'add', 'sac0', 'netns', OURS, 'type', 'veth', 'peer', 'sac1', 'netns', THEIRS)
    ends = ((OURS, 'sac0', '1'), (THEIRS, 'sac1', '2'))
    for space, cable, address in ends:
        ip('-n', space, 'addr', 'add', f'10.77.0.{address}/24', 'dev', cable)
        ip('-n', space, 'link', 'set', cable, 'up')
        ip('-n', space, 'link', 'set', 'lo', 'up')
    # Fast DDS looks for interfaces once, at its start, and leaves out those that do not run yet.
    for space, cable, _ in ends:
        end = time.monotonic() + 10
        while 'state UP' not in ip('-n', space, 'link', 'show', cable):
            if time.monotonic() > end:
                raise RuntimeError(f'{cable} does not come up')
            time.sleep(0.01)


def partition(long):
    """Cut and heal the cable between two network namespaces; a process of ours inside one."""
    if os.geteuid() != 0 or shutil.which('ip') is None:
        return 'skipped: it needs root and iproute2'
    made = subprocess.run(['ip', 'netns', 'add', OURS], check=False, capture_output=True)
    if made.returncode != 0:
        return f'skipped: {made.stderr.decode().strip()}'
    try:
        make_cable()
        inside = ['ip', 'netns', 'exec', OURS, sys.executable, __file__, '--inside', THEIRS]
        inside += ['--short'] * (not long)
        result = subprocess.run(inside, check=False, capture_output=True, text=True, timeout=240)
        lines = result.stdout.strip().splitlines() or ['nothing was said']
        return lines[-1] if result.returncode == 0 else failed(result.stderr)
    finally:
        for space in (OURS, THEIRS):
            for pid in ip('netns', 'pids', space, check=False).split():
                os.kill(int(pid), signal.SIGKILL)  # left behind by a process that was killed
            ip('netns', 'del', space, check=False)


def failed(output):
    FAILED.append(output)
    return f'**FAILED**: {output.strip().splitlines()[-1]}'


def inside(theirs, long):
    """Run in the namespace of policy_node; `theirs` is the arm's."""
    from arm_faults import partition as cut

    commands = {
        'within': ['ip', 'netns', 'exec', theirs],
        'cut': ['ip', '-n', theirs, 'link', 'set', 'sac1', 'down'],
        'mend': ['ip', '-n', theirs, 'link', 'set', 'sac1', 'up'],
    }
    print(with_graph(cut, long, commands))
    sys.exit(FAILED[0] if FAILED else 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--write', action='store_true', help=f'put the table into {PAGE.name}')
    parser.add_argument('--inside', help=argparse.SUPPRESS)
    parser.add_argument('--short', action='store_true', help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.chdir(ROOT)
    os.environ.update(environment(loopback=not options.inside))
    if options.inside:
        inside(options.inside, not options.short)
        return
    from arm_faults import constant_push, dead_node

    rows = with_graph(all_of_one_node)
    if FAILED:
        sys.exit(FAILED[0])
    for name, work in {
        'SIGSTOP and kill -9 of policy_node, with the simulated arm': dead_node,
        'a policy that only pushes, with the simulated arm': constant_push,
    }.items():
        rows[name] = with_graph(work, True)
        print(f'{name}: {rows[name]}', flush=True)
    rows['the network is cut between two namespaces, and healed'] = partition(long=True)
    print(rows['the network is cut between two namespaces, and healed'])
    if options.write:
        table = '| injected | what happened |\n|---|---|\n'
        table += ''.join(f'| {name} | {result} |\n' for name, result in rows.items())
        text = PAGE.read_text()
        before, after = text.split(BEGIN)[0], text.split(END)[1]
        machine = f'{platform.machine()}, {os.cpu_count()} cores, not idle'
        PAGE.write_text(f'{before}{BEGIN}{table}\nMachine: {machine}.\n{END}{after}')
    if FAILED:
        sys.exit(f'{len(FAILED)} failed')


if __name__ == '__main__':
    main()
