"""The long form of every fault, and the table of docs/safety.md that comes from it.

    python test/run_faults.py [--write]

--write puts the table into the page. Cutting the network needs root and iproute2.
"""

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import _pytest.outcomes

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path[:0] = [str(HERE), str(ROOT)]

PAGE = ROOT / 'docs/safety.md'
BEGIN, END = '<!-- faults: begin -->\n', '<!-- faults: end -->\n'
DOMAIN = 87
FAILED: list[str] = []
OURS, THEIRS = 'sac_ros_policy', 'sac_ros_arm'


def environment(loopback):
    """The variables that keep the nodes to themselves."""
    variables = {'ROS_DOMAIN_ID': str(DOMAIN), 'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(ROOT)}
    if loopback:
        profile = {'FASTDDS_DEFAULT_PROFILES_FILE': str(HERE / 'data/loopback.xml')}
        return variables | profile | {'ROS_AUTOMATIC_DISCOVERY_RANGE': 'SYSTEM_DEFAULT'}
    udp = {'FASTDDS_BUILTIN_TRANSPORTS': 'UDPv4'}
    peers = {'ROS_STATIC_PEERS': '10.77.0.1;10.77.0.2'}
    return variables | udp | peers | {'ROS_AUTOMATIC_DISCOVERY_RANGE': 'SUBNET'}


def with_graph(work):
    """Run work(graph, directory) and return what it says, or why it failed."""
    from conftest import Graph

    with tempfile.TemporaryDirectory() as name:
        graph = Graph(DOMAIN, Path(name))
        try:
            return work(graph, Path(name))
        except (AssertionError, _pytest.outcomes.Failed) as error:
            FAILED.append(str(error))
            return f'**FAILED**: {str(error).splitlines()[0]}'
        finally:
            graph.close()


def all_of_one_node(graph, directory):
    from fault_rig import Rig, fragile_policy
    from faults import CASES

    rig, rows = Rig(graph, fragile_policy(directory / 'policy.onnx')), {}
    for name, case in CASES.items():
        rows[name] = case(rig, long=True)  # a failure ends them all
        print(f'{name}: {rows[name]}', flush=True)
    rows['every command in all of the above'] = (
        f'{len(rig.commands)} commands, none not finite, none over a limit'
    )
    return rows


def ip(*arguments):
    subprocess.run(['ip', *arguments], check=True)


def partition():
    """Two network namespaces with a cable between them; a process of ours inside one."""
    if os.geteuid() != 0 or shutil.which('ip') is None:
        return 'skipped: it needs root and iproute2'
    made = subprocess.run(['ip', 'netns', 'add', OURS], check=False, capture_output=True)
    if made.returncode != 0:
        return f'skipped: {made.stderr.decode().strip()}'
    try:
        ip('netns', 'add', THEIRS)
        ip('link', 'add', 'sac0', 'netns', OURS, 'type', 'veth', 'peer', 'sac1', 'netns', THEIRS)
        for space, cable, address in ((OURS, 'sac0', '1'), (THEIRS, 'sac1', '2')):
            ip('-n', space, 'addr', 'add', f'10.77.0.{address}/24', 'dev', cable)
            ip('-n', space, 'link', 'set', cable, 'up')
            ip('-n', space, 'link', 'set', 'lo', 'up')
        inside = ['ip', 'netns', 'exec', OURS, sys.executable, __file__, '--inside']
        profile = 'FASTDDS_DEFAULT_PROFILES_FILE'  # of the loopback interface
        clean = {key: value for key, value in os.environ.items() if key != profile}
        result = subprocess.run(
            inside, check=False, capture_output=True, text=True, timeout=180, env=clean
        )
        lines = result.stdout.strip().splitlines() or ['nothing was said']
        return lines[-1] if result.returncode == 0 else failed(result.stderr)
    finally:
        for space in (OURS, THEIRS):
            subprocess.run(['ip', 'netns', 'del', space], check=False, capture_output=True)


def failed(output):
    FAILED.append(output)
    return f'**FAILED**: {output.strip().splitlines()[-1]}'


def inside():
    """Run in the namespace of policy_node."""
    from faults_arm import ARM
    from faults_arm import partition as cut

    arm = [sys.executable, '-m', 'sac_ros.ros.sim_node', '--ros-args', '-p', f'arm.model:={ARM}']
    commands = {
        'arm': ['ip', 'netns', 'exec', THEIRS, *arm],
        'cut': ['ip', '-n', THEIRS, 'link', 'set', 'sac1', 'down'],
        'mend': ['ip', '-n', THEIRS, 'link', 'set', 'sac1', 'up'],
    }
    print(with_graph(lambda graph, directory: cut(graph, directory, commands.__getitem__)))
    sys.exit(FAILED[0] if FAILED else 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--write', action='store_true', help='put the table into docs/safety.md')
    parser.add_argument('--inside', action='store_true', help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.chdir(ROOT)
    os.environ.update(environment(loopback=not options.inside))
    if options.inside:
        inside()
        return
    from faults_arm import constant_push, dead_node

    rows = with_graph(all_of_one_node)
    if FAILED:
        sys.exit(FAILED[0])
    for name, work in {
        'SIGSTOP and kill -9 of policy_node, with the simulated arm': dead_node,
        'a policy that only pushes, with the simulated arm': constant_push,
    }.items():
        rows[name] = with_graph(work)
        print(f'{name}: {rows[name]}', flush=True)
    rows['the network is cut between two namespaces, and healed'] = partition()
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
