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

"""Faults, each really injected over DDS or on the file, and what the policy node does.

The tests run the short form; `python test/faults/run_faults.py` runs the long one.
"""

import math
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from select import select

import numpy as np
from builtin_interfaces.msg import Time
from fault_rig import COMMAND, GOALS, PERIOD, SPEC, TICK, fragile_policy, require
from paths import PROGRAMS
from policy_files import linear_policy, reach_spec, save
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, String

from sac_ros.ros.guard_link import NAME, UNRELIABLE

BAD = (math.nan, math.inf, -math.inf)


def ms(seconds):
    return f'{1000 * seconds:.0f} ms'


def state_stops(rig, long):
    times, late = [], []
    for _ in range(10 if long else 1):
        rig.run()
        start = time.monotonic()
        times.append(rig.faults(lambda: None, 'silence'))
        late.append(rig.late(start))
    stated, late = rig.settings['supervision.state_timeout'], max(late)
    require(not long or max(times) <= stated + 2 * TICK + 0.02, f'safe only after {times}')
    return (
        f'FAULT, fallback after at most {ms(max(times))} (stated: {ms(stated)} and two ticks; the '
        f'program that measures was itself up to {ms(late)} late)'
    )


def changed(rig, **columns):
    def make():
        message = rig.good()
        for name, value in columns.items():
            setattr(message, name, value)
        return message

    return make


def not_finite(rig, long):
    times = []
    for column, good in (('position', rig.position), ('velocity', [0.0] * 3)):
        for index in range(3):
            for bad in BAD if long or index == 0 else (math.nan,):
                values = list(good)
                values[index] = bad
                rig.run()
                times.append(rig.faults(changed(rig, **{column: values}), f'{column}[{index}]'))
    return f'FAULT {len(times)} of {len(times)}, fallback after at most {ms(max(times))}'


def effort_not_finite(rig, long):
    rig.run()
    for bad in BAD:
        rig.goes_on(changed(rig, effort=[bad] * 3), 'effort')
    return 'no change: effort is never read'


def shuffled(rig, long):
    rig.run()
    orders = ((2, 0, 1), (1, 0, 2), (2, 1, 0))
    for order in orders:
        names = [SPEC.joint_names[i] for i in order]
        position = [rig.position[i] for i in order]
        rig.goes_on(changed(rig, name=names, position=position), f'order {order}')
    return 'the same torque, bit for bit'


def misfits(rig, long):
    two = {'name': ['j1', 'j2'], 'position': [0.1, 0.2], 'velocity': [0.0] * 2}
    cases = {
        'missing': two,
        'duplicated': {'name': ['j1', 'j2', 'j2']},
        'short positions': {'position': [0.1, 0.2]},
        'short velocities': {'velocity': [0.0]},
        'no velocities': {'velocity': []},
        'empty': {'name': [], 'position': [], 'velocity': []},
    }
    times = []
    for what, columns in cases.items():
        rig.run()
        times.append(rig.faults(changed(rig, **columns), what))
    return f'FAULT {len(times)} of {len(times)}, fallback after at most {ms(max(times))}'


def stamps(rig, long):
    """A clock that is wrong or jumps changes nothing; a stamp that stands still is silence."""
    rig.run()
    now, begin = int(time.time()), time.monotonic()
    for offset in (-(10**6), 0, 10**6, -3600):

        def make(offset=offset):
            message = rig.good()
            passed = time.monotonic() - begin
            message.header.stamp = Time(
                sec=now + offset + int(passed), nanosec=int(1e9 * (passed % 1))
            )
            return message

        rig.goes_on(make, f'stamps {offset} s off')
    message = rig.good()
    message.header.stamp = Time(sec=now)
    seconds = rig.faults(lambda: message, 'frozen stamp')
    rig.run()
    begin = time.monotonic()

    def behind():
        message = rig.good()
        message.header.stamp.sec, half = now, (time.monotonic() - begin) / 2
        message.header.stamp.sec += int(half)
        message.header.stamp.nanosec = int(1e9 * (half % 1))
        return message

    slow = rig.faults(behind, 'stamps at half the speed')
    return (
        f'old, future, jumping: no change; standing still: FAULT after {ms(seconds)}; at half the '
        f'speed of the clock: FAULT after {ms(slow)}'
    )


def too_fast(rig, long):
    rig.run()
    seconds = rig.faults(changed(rig, velocity=[0.0, 6.1, 0.0]), 'too fast')
    rig.run()
    rig.message = rig.moving(0, 1.9, 4.1)  # torque at j1 is positive
    rig.graph.spin_until(lambda: rig.commands[-1][0] < 0, what='torque that brakes')
    require(rig.state == 'RUN' and rig.commands[-1][2] != 0, 'over the velocity limit')
    rig.move(0, 0.1)
    return f'over 1.5 times the limit: FAULT after {ms(seconds)}; over it: the torque brakes'


def at_a_limit(rig, long):
    rig.run()
    rig.move(0, 1.99)
    rig.graph.spin_until(lambda: rig.commands[-1][0] == 0, what='no outward torque')
    require(rig.state == 'RUN' and rig.commands[-1][2] > 0, 'at a joint limit')
    rig.move(0, 0.1)
    return 'outward torque gone at once, the other joints unchanged'


def wrong_velocity(rig, long):
    times = []
    for reported in (0.0, -1.5):
        rig.run()
        times.append(rig.faults(rig.moving(0, 1.9, 1.5 if reported else 3.5, reported), reported))
        rig.move(0, 0.1)
    return f'FAULT 2 of 2, after at most {ms(max(times))}'


def gripper(rig, long):
    """Messages of another publisher, another clock and more often than the arm's."""
    node, rate = rig.graph.node, 2 if long else 1
    publisher = node.create_publisher(JointState, '/joint_states', 10)
    stamps = iter(range(10**9))

    def publish():
        for _ in range(rate):
            message = JointState(name=['finger'], position=[math.nan])
            message.header.stamp = Time(sec=2 * 10**9 - next(stamps))
            publisher.publish(message)

    timer = node.create_timer(PERIOD, publish)
    try:
        rig.run()
        rig.goes_on(rig.good, 'gripper', 0.5)
        seconds = rig.faults(lambda: None, 'silence of the arm')
        rig.run()
    finally:
        node.destroy_timer(timer)
        node.destroy_publisher(publisher)
    return f'no change; the arm alone falls silent: FAULT after {ms(seconds)}'


def parts(rig, long):
    """One publisher for two joints and one for the third."""
    node, whole = rig.graph.node, rig.good
    other = node.create_publisher(JointState, '/joint_states', 10)

    def part():
        message = whole()
        publish = JointState(name=message.name[2:], position=message.position[2:])
        publish.velocity = message.velocity[2:]
        other.publish(publish)
        return JointState(
            name=message.name[:2], position=message.position[:2], velocity=message.velocity[:2]
        )

    try:
        rig.run()
        rig.message = lambda: None  # else a joint would come from two publishers
        rig.wait('FAULT')
        rig.good = part
        rig.run()
        rig.goes_on(part, 'parts')
        one = changed(rig, name=['j1', 'j2'], position=rig.position[:2], velocity=[0.0] * 2)
        rig.good = whole
        seconds = rig.faults(one, 'a part that stopped')
    finally:
        node.destroy_publisher(other)
    return f'merged, the same torque; one part stops: FAULT after {ms(seconds)}'


def two_arms(rig, long):
    rig.run()
    other = rig.graph.node.create_publisher(JointState, '/joint_states', 10)
    try:
        start = time.monotonic()
        while rig.state != 'FAULT':
            other.publish(rig.good())
            rig.graph.spin_for(0.01)
        seconds = rig.safe_after(start)
    finally:
        rig.graph.node.destroy_publisher(other)
    rig.stays_safe('two publishers of one arm')
    return f'FAULT after {ms(seconds)}'


def output_not_finite(rig, long):
    times = []
    for goal in GOALS.values():
        for axis in 'xyz':
            rig.run()
            start = time.monotonic()
            rig.goal(**{axis: goal})
            rig.wait('FAULT')
            times.append(rig.safe_after(start))
            rig.stays_safe(f'goal {axis} {goal}')
    return f'FAULT {len(times)} of {len(times)}, fallback after at most {ms(max(times))}'


def goal_not_finite(rig, long):
    rig.run()
    for bad in BAD:
        rig.goal(y=bad)
        rig.goes_on(rig.good, f'goal {bad}')
    return 'refused with a line in the log, no change'


def second_publisher(rig, long):
    times = []
    for _ in range(5 if long else 1):
        rig.run()
        start = time.monotonic()
        other = rig.graph.node.create_publisher(Float64MultiArray, COMMAND, 1)
        rig.wait('FAULT')
        times.append(rig.safe_after(start))
        rig.stays_safe('second publisher')
        refusal = rig.call('enable', data=True).message
        require(refusal, 'enabled beside another publisher')
        rig.graph.node.destroy_publisher(other)
    rig.run()
    heartbeats = rig.graph.subscribe(String, f'/{NAME}/heartbeat', UNRELIABLE)
    rig.graph.spin_until(lambda: heartbeats, what='heartbeats of the guard')
    session = heartbeats[-1].data.split()[0]
    start, other = time.monotonic(), rig.start_other()
    rig.wait('FAULT')
    rig.safe_after(start)
    rig.graph.spin_for(0.1)  # its commands are zero: those of the first may still be on their way
    rig.stays_safe('second policy_node')
    rig.graph.stop(other)
    rig.graph.spin_until(
        lambda: all(beat.data.startswith(session) for beat in heartbeats[-20:]),
        what='the guard to serve the first policy_node again',
    )
    require(not long or max(times) < 1.0, f'noticed after {times}')
    return f'FAULT after at most {ms(max(times))}; so too when a second policy_node starts'


@contextmanager
def starved(process, share=0.2, period=0.05):
    """Let a process run for a share of the time only, as on a machine with too much to do."""
    end = threading.Event()

    def work():
        while not end.wait(share * period):
            process.send_signal(signal.SIGSTOP)
            time.sleep((1 - share) * period)
            process.send_signal(signal.SIGCONT)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


def flood(rig, long, topic='/joint_states'):
    """An emergency stop in the midst of ten thousand messages a second."""
    rig.run()
    log = f'flood on {topic}'
    before = rig.graph.output(rig.process).count(log)
    seconds = 10 if long else 2
    process = subprocess.Popen(
        [sys.executable, PROGRAMS / 'flood.py', str(seconds), topic],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        rig.graph.spin_until(lambda: select([process.stdout], [], [], 0)[0], what='flood')
        process.stdout.readline()
        flooded = time.monotonic()
        rig.wait('FAULT')
        noticed = rig.safe_after(flooded)
        rig.graph.spin_until(
            lambda: rig.graph.output(rig.process).count(log) > before, what='the reason'
        )
        rig.graph.spin_for(0.5 * seconds)
        start = time.monotonic()
        rig.call('estop')
        rig.wait('ESTOP')
        stopped = time.monotonic() - start
        rate = float(process.communicate(timeout=30)[0])
    finally:
        process.kill()
        process.wait()
    prompt = max(noticed, stopped) < 1.0
    require(prompt or not long, f'noticed {noticed} s, stopped {stopped} s')
    rig.stays_safe('flood', 'ESTOP')
    return f'{rate:.0f} messages/s: FAULT after {ms(noticed)}; ESTOP obeyed within {ms(stopped)}'


def flood_of_goals(rig, long):
    return flood(rig, long, '/policy_node/goal')


def flood_while_starved(rig, long):
    """As above while the node gets a fifth of the time; without a flood this is no fault."""
    before = rig.graph.output(rig.process).count('flood on /joint_states')
    rig.run()
    with starved(rig.process):
        rig.graph.spin_for(1.0)
        log = rig.graph.output(rig.process)
        require(log.count('flood on /joint_states') == before, 'a flood that was none')
        return flood(rig, long)


def damaged_files(rig, long):
    """The policy in use stays when the file of the next one is bad."""
    rig.run()
    path = Path(rig.policy)
    good, before = path.read_bytes(), rig.commands[-1]
    rng = np.random.default_rng(0)
    many = 40 if long else 2
    bad = [good[: rng.integers(len(good))] for _ in range(many)]
    for at in rng.integers(len(good), size=many):
        flipped = bytearray(good)
        flipped[at] ^= 1 << at % 8
        bad.append(bytes(flipped))
    external = linear_policy(reach_spec(3))
    external.graph.initializer[0].external_data.add(key='location', value='../../etc/passwd')
    others = (linear_policy(reach_spec(3), n_input=4), linear_policy(reach_spec(4)), external)
    liar = linear_policy(reach_spec(3))
    for entry in liar.metadata_props:
        entry.value = entry.value.replace('"position_lower": [-2.0', '"position_lower": ["low"')
    for model in (*others, liar, linear_policy(reach_spec(3, model_hash='another'))):
        bad.append(Path(save(model, path)).read_bytes())
    for data in bad:
        path.write_bytes(data)
        answer = rig.call('reload')
        require(not answer.success and rig.state == 'RUN', answer.message)
    require((rig.commands[-1] == before).all(), 'another torque')
    path.write_bytes(good)
    return f'{len(bad)} of {len(bad)} refused on reload, the running policy unchanged'


def reload_running(rig, long):
    rig.run()
    seen = len(rig.commands)
    before = rig.commands[-1]
    fragile_policy(rig.policy, bias=(-1.0, 1.0, 0.0))
    require(rig.call('reload').success, 'reload')
    wanted = 5 * np.tanh(np.array([-1.0, 1.0, 0.0]) + rig.position)
    rig.graph.spin_until(lambda: np.allclose(rig.commands[-1], wanted), what='the new policy')
    gaps = np.diff(rig.arrivals[seen:])
    fragile_policy(rig.policy)
    require(rig.call('reload').success, 'reload')
    rig.graph.spin_until(lambda: np.allclose(rig.commands[-1], before), what='the old policy')
    return f'swapped between two ticks and ramped; longest gap between commands {ms(gaps.max())}'


def stopped_process(rig, long):
    """Stopped anywhere, also between a joint state and its command."""
    rng = np.random.default_rng(0)
    times = 20 if long else 2
    for _ in range(times):
        rig.run()
        rig.graph.spin_for(rng.uniform(0, 0.05))
        rig.process.send_signal(signal.SIGSTOP)
        rig.graph.spin_for(0.7)
        start, seen = time.monotonic(), len(rig.commands)
        rig.process.send_signal(signal.SIGCONT)
        rig.wait('FAULT')
        rig.safe_after(start)
        rig.stays_safe('SIGSTOP')
        require(not any(c.any() for c in rig.commands[seen:]), 'an old torque on waking')
    return f'FAULT on waking {times} of {times}, not one torque'


def gone_process(rig, long):
    """Of policy_node and effort_guard, one is killed or crashes: the other one commands."""
    times = {'process': [], 'guard': []}
    for victim, number in ((v, n) for v in times for n in (signal.SIGKILL, signal.SIGSEGV)):
        for _ in range(5 if long else number == signal.SIGKILL):
            rig.run()
            process = getattr(rig, victim)
            rig.graph.processes.remove(process)
            start = time.monotonic()
            process.send_signal(number)
            times[victim].append(rig.safe_after(start))
            process.wait()
            process.log.close()
            rig.graph.spin_for(0.1)
            require(not rig.commands[-1].any(), f'{victim}: torque after {number}')
            if victim == 'guard':
                rig.wait('FAULT')
                rig.start_guard()
                rig.graph.stop(rig.process)  # it counts the dead one as a publisher for a while
            rig.state = ''
            rig.start()
            rig.wait('READY')
    stated, tick = rig.settings['guard_timeout'], TICK
    worst = max(*times['process'], *times['guard'])
    require(not long or worst <= stated + 2 * tick + 0.05, f'safe only after {times}')
    return (
        f'policy_node: fallback of effort_guard after at most {ms(max(times["process"]))}; '
        f'effort_guard: FAULT, fallback of policy_node after at most {ms(max(times["guard"]))} '
        f'(guard_timeout here: {ms(stated)})'
    )


def wrong_parameters(rig, long):
    cases = ('safety.torque_scale:=1.5', 'safety.torque_rate:=.nan', 'safety.damping:=-1.0',
             'supervision.state_timeout:=.inf')  # fmt: skip
    for case in cases if long else cases[:2]:
        command = [sys.executable, '-m', 'sac_ros.ros.policy_node', '--ros-args', '-p', case]
        result = subprocess.run(command, check=False, capture_output=True, timeout=60)
        require(result.returncode == 2, f'{case}: status {result.returncode}')
    return 'one line, exit status 2, nothing published'


def signals(rig, long):
    for number in (signal.SIGTERM, signal.SIGINT) if long else (signal.SIGTERM,):
        rig.run()
        rig.graph.stop(rig.process, number)
        rig.graph.spin_for(0.2)
        tail = rig.commands[-3:]
        require(not np.any(tail), f'last words {tail}')
        rig.state = ''
        rig.start()
        rig.wait('READY')
        rig.graph.spin_for(0.3)
        require(rig.state == 'READY' and not rig.commands[-1].any(), 'moved after a restart')
    return 'the fallback five times, status 0; started again: READY, moves only when enabled'


# What is injected, in the order in which one node goes through all of it.
CASES = {
    'joint states stop': state_stops,
    'NaN, Inf, -Inf at each position and velocity': not_finite,
    'NaN, Inf, -Inf as effort': effort_not_finite,
    'joints in another order': shuffled,
    'joints missing, duplicated, short or empty arrays': misfits,
    'stamps old, in the future, jumping, standing still, falling behind': stamps,
    'joints too fast': too_fast,
    'a joint at its limit': at_a_limit,
    'a velocity that is zero or has the wrong sign while the joint moves': wrong_velocity,
    "a gripper's messages on the same topic, by another clock": gripper,
    'the arm in two messages of two publishers': parts,
    'two publishers that both send the joints of the arm': two_arms,
    'NaN, Inf, -Inf at each output of the policy': output_not_finite,
    'a goal that is not finite': goal_not_finite,
    'a second publisher of commands': second_publisher,
    '10 000 joint states a second, then an emergency stop': flood,
    'the same while the node is stopped for 40 ms of every 50': flood_while_starved,
    '10 000 goals a second, then an emergency stop': flood_of_goals,
    'files cut, flipped, external data, other shapes, text as limit, other robot': damaged_files,
    'another policy while running': reload_running,
    'SIGSTOP, then SIGCONT': stopped_process,
    'kill -9 and SIGSEGV of policy_node and of effort_guard': gone_process,
    'parameters out of range and NaN': wrong_parameters,
    'SIGTERM, SIGINT, a restart': signals,
}
