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

"""A network that is cut and healed between policy_node and the simulated arm.

Each of both is in a network namespace of its own, which needs root and iproute2.
"""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from arm_faults import ArmRig
from fault_rig import require
from paths import DATA
from ros_graph import own_graph

# Of this process alone: a name that a killed run left behind must not be in the way.
OURS, THEIRS = (f'sac_ros_{who}_{os.getpid()}' for who in ('policy', 'arm'))
OVER_CABLE = {
    'FASTDDS_BUILTIN_TRANSPORTS': 'UDPv4',
    'FASTDDS_DEFAULT_PROFILES_FILE': str(DATA / 'cable.xml'),
    'ROS_STATIC_PEERS': '10.77.0.1;10.77.0.2',
    'ROS_AUTOMATIC_DISCOVERY_RANGE': 'SUBNET',
}


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
    """Return what a cut and healed network leads to; skip where namespaces cannot be had."""
    if os.geteuid() != 0 or shutil.which('ip') is None:
        pytest.skip('it needs root and iproute2')
    made = subprocess.run(['ip', 'netns', 'add', OURS], check=False, capture_output=True)
    if made.returncode != 0:
        pytest.skip(made.stderr.decode().strip())
    try:
        make_cable()
        command = ['ip', 'netns', 'exec', OURS, sys.executable, __file__, THEIRS]
        command += ['--short'] * (not long)
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=240)
        require(done.returncode == 0, done.stderr)
        return done.stdout.strip().splitlines()[-1]
    finally:
        for space in (OURS, THEIRS):
            for pid in ip('netns', 'pids', space, check=False).split():
                os.kill(int(pid), signal.SIGKILL)  # left behind by a process that was killed
            ip('netns', 'del', space, check=False)


def _cut_and_heal(graph, directory, long, outside):
    """Cut and heal the network of a deployed policy; the namespace must be that of policy_node.

    `outside` holds the command prefix `within` that runs a program in the arm's namespace, and the
    commands `cut` and `heal`.
    """
    rig = ArmRig(graph, directory, long)
    rig.start_policy()
    rig.wait('READY')  # participants that start at once may wait for each other's next heartbeat
    rig.start_arm(within=outside['within'])
    graph.spin_until(lambda: rig.states, 60, what='the arm in the other namespace')
    rig.run()
    graph.spin_for(0.5)
    require(rig.state in ('RUN', 'RAMP'), f'before the cut: {rig.state}')
    subprocess.run(outside['cut'], check=True)
    start = time.monotonic()
    rig.wait('FAULT')
    noticed = time.monotonic() - start
    graph.spin_for(1.0)
    subprocess.run(outside['heal'], check=True)
    seen = len(rig.states)
    graph.spin_until(lambda: len(rig.states) > seen + 50, 60, what='healing')
    healed = time.monotonic() - start
    require(rig.state == 'FAULT', f'after healing: {rig.state}')
    require(not any(e.any() for _, _, e in rig.states[seen:]), 'moved after healing')
    rig.run()
    require(not long or noticed < 0.3, f'noticed after {noticed} s')
    return (
        f'FAULT {1000 * noticed:.0f} ms after the cut; states again at {healed:.1f} s, still '
        'FAULT, no torque; runs after reset and enable'
    )


def main(theirs, *options):
    """Run in the namespace of policy_node; `theirs` is the arm's."""
    outside = {
        'within': ['ip', 'netns', 'exec', theirs],
        'cut': ['ip', '-n', theirs, 'link', 'set', 'sac1', 'down'],
        'heal': ['ip', '-n', theirs, 'link', 'set', 'sac1', 'up'],
    }
    with own_graph(OVER_CABLE) as graph:
        print(_cut_and_heal(graph, graph.log_dir, '--short' not in options, outside))


if __name__ == '__main__':
    main(*sys.argv[1:])
