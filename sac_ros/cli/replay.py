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

"""`sac_ros replay`: look into, verify, repair, merge, export and import replay directories."""
# ruff: noqa: T201 (a command line prints)

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sac_ros.errors import ReplayError
from sac_ros.replay import DataSource, ReplayReader
from sac_ros.replay.maintenance import BINS, Summary, VerificationReport, merge, summarize, verify
from sac_ros.replay.recovery import COPIES, plan_repair, repair, unexplained
from sac_ros.replay.spec_file import read_spec, read_spec_file
from sac_ros.spec import PolicySpec

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

BARS = ' ▁▂▃▄▅▆▇█'
EXIT_DAMAGED = 1


def add_replay_parser(subparsers: Subparsers) -> None:
    """Add `replay` and its commands; each sets `run`, which returns the exit status."""
    replay = subparsers.add_parser(
        'replay',
        help='inspect, verify, repair, merge, export and import recorded transitions',
        description='Process the transitions of runs on disk, for example runs/arm/replay.',
    )
    commands = replay.add_subparsers(required=True, metavar='COMMAND')
    info = commands.add_parser('info', help='show the contents of a replay directory')
    info.set_defaults(run=_info)
    check = commands.add_parser('verify', help='check every record; exit status 1 if one is lost')
    check.set_defaults(run=_verify)
    mend = commands.add_parser('repair', help='cut a torn end and complete files cut short')
    mend.add_argument('--yes', action='store_true', help='cut more records than a kill tears')
    mend.set_defaults(run=_repair)
    for parser in (info, check, mend):
        parser.add_argument('directory', type=Path, help='the replay directory')
    join = commands.add_parser('merge', help='append replay directories to another one')
    join.add_argument(
        'sources', type=Path, nargs='+', metavar='SOURCE', help='directories to append'
    )
    join.add_argument('--into', type=Path, required=True, metavar='DIR', help='new or existing')
    join.set_defaults(run=_merge)
    _add_exchange(commands)


def _add_exchange(commands: Subparsers) -> None:
    out = commands.add_parser('export', help='write a replay as a Minari dataset')
    out.add_argument('directory', type=Path, help='the replay directory')
    out.add_argument('--minari', required=True, metavar='ID', help='for example arm/reach-v0')
    out.set_defaults(run=_export)
    take = commands.add_parser(
        'import',
        help='append a Minari dataset or a rosbag2 recording',
        description='Append a Minari dataset, or the transitions of a reaching task from a '
        'rosbag2 recording of joint states, commands and goals.',
    )
    take.add_argument('directory', type=Path, help='the replay directory, new or existing')
    what = take.add_mutually_exclusive_group(required=True)
    what.add_argument('--minari', metavar='ID', help='a local Minari dataset')
    what.add_argument('--mcap', type=Path, metavar='BAG', help='a rosbag2 directory')
    take.add_argument('--spec', type=Path, help='spec.json of the robot, for foreign datasets')
    take.add_argument(
        '--source',
        choices=[source.name.lower() for source in DataSource],
        default='sim',
        help='source of a dataset that has none (default: sim)',
    )
    take.add_argument('--model', default='', help='URDF or MJCF of the arm in the bag')
    take.add_argument('--tip', default='', help='body at the tip of that arm')
    take.add_argument(
        '--control-period', type=float, default=0.05, help='control period [s] (default: 0.05)'
    )
    take.add_argument('--state-topic', default='/joint_states')
    take.add_argument(
        '--command-topic', default='/forward_effort_controller/commands',
        help='torques: Float64MultiArray, or the efforts of JointState or JointTrajectory',
    )  # fmt: skip
    take.add_argument(
        '--goal-topic', default='',
        help='points or poses (default: /policy_node/goal or /policy_node/goal_pose)',
    )  # fmt: skip
    take.add_argument(
        '--goal', type=float, nargs='+', metavar='X',
        help='goal x y z [m], for reach-pose with a quaternion x y z w, if none was recorded',
    )  # fmt: skip
    take.add_argument(
        '--task', choices=('reach-point', 'reach-pose'), default='reach-point',
        help='task of the reward (default: reach-point)',
    )  # fmt: skip
    take.set_defaults(run=_import)


def _info(options: argparse.Namespace) -> int:
    print(describe(options.directory, summarize(options.directory)))
    return 0


def _verify(options: argparse.Namespace) -> int:
    verdict = verify(options.directory)
    print(f'{verdict.whole:,} records are whole')
    _print_damage(verdict)
    if verdict.uneven:
        print(f'segments of another size: {", ".join(map(str, verdict.uneven))}')
    if verdict.unexplained:
        print(verdict.unexplained)
    elif verdict.torn:
        print('1 record is torn at the end, as a kill leaves it; the next writer cuts it')
    return 0 if verdict.clean else EXIT_DAMAGED


def _print_damage(verdict: VerificationReport) -> None:
    if verdict.damaged.size:
        print(
            f'{verdict.damaged.size:,} stay lost and are never drawn, as they are damaged: '
            f'{_ranges(verdict.damaged)}'
        )
    if verdict.missing:
        print(f'lost segments: {", ".join(map(str, verdict.missing))}')


def _repair(options: argparse.Namespace) -> int:
    reader = ReplayReader(options.directory)
    plan = plan_repair(reader)
    steps = []
    if plan.torn.size:
        steps.append(f'cut {plan.torn.size:,} torn records: {_ranges(plan.torn)}')
    steps += [f'complete segment {number}, which was cut short' for number in plan.short]
    steps += [f'remove {path.name}' for path in plan.leftovers]
    print('\n'.join(steps) or 'there is nothing to repair')
    if unexplained(reader) and not options.yes:
        print('more than a kill explains; nothing was changed, repeat with --yes to do it')
        return EXIT_DAMAGED
    if repair(options.directory, yes=options.yes).torn.size:
        print(f'the bytes that were cut are kept in {options.directory / COPIES}')
    verdict = verify(options.directory)
    print(f'{verdict.whole:,} records are whole')
    _print_damage(verdict)
    return 0


def _merge(options: argparse.Namespace) -> int:
    merged = merge(options.sources, options.into)
    print(f'{merged.records:,} records appended to {options.into}')
    for path, numbers in merged.missing:
        print(f'{len(numbers):,} are missing or damaged in {path}: {_ranges(numbers)}')
    return EXIT_DAMAGED if merged.missing else 0


def _export(options: argparse.Namespace) -> int:
    from sac_ros.replay.minari import export_minari

    count = export_minari(options.directory, options.minari)
    print(f'{count:,} records exported as Minari dataset {options.minari}')
    return 0


def _import(options: argparse.Namespace) -> int:
    if options.minari:
        from sac_ros.replay.minari import import_minari

        spec = _spec(options.spec, options.directory)
        source = DataSource[options.source.upper()]
        count = import_minari(options.minari, options.directory, spec, source)
    else:
        count = _import_bag(options)
    print(f'{count:,} records appended to {options.directory}')
    return 0


def _import_bag(options: argparse.Namespace) -> int:
    from sac_ros.config.robot import ArmConfig, TaskConfig
    from sac_ros.config.training import TrainConfig
    from sac_ros.envs.arm_env import ArmEnv
    from sac_ros.replay.rosbag import Topics, import_rosbag
    from sac_ros.tasks.reach import ReachTask
    from sac_ros.types import Vector

    arm = ArmConfig(model=options.model, tip=options.tip, control_period=options.control_period)
    env = ArmEnv(TrainConfig(arm=arm, task=TaskConfig(name=options.task)))
    task, where = env.task, env.policy_spec.slices()
    assert isinstance(task, ReachTask)
    goals = [where[name] for name in ('goal', 'goal_orientation') if name in where]
    goal = None if options.goal is None else np.array(options.goal)
    size = sum(part.stop - part.start for part in goals)
    if goal is not None and len(goal) != size:
        raise ReplayError(f'--goal has {len(goal)} numbers; {options.task} needs {size}')

    def reward(_: Vector, action: Vector, next_observation: Vector) -> float:
        env.arm.reset(next_observation[where['joint_position']])
        task.set_goal(np.concatenate([next_observation[part] for part in goals]))
        return env.reward(env.motion(action))

    topics = Topics(options.state_topic, options.command_topic, options.goal_topic, goal)
    return import_rosbag(options.mcap, options.directory, env.policy_spec, reward, topics)


def _spec(file: Path | None, directory: Path) -> PolicySpec | None:
    if file is None:
        return read_spec(directory) if (directory / 'spec.json').exists() else None
    return read_spec_file(file)


def describe(directory: Path, summary: Summary) -> str:
    """What a replay holds, for a terminal of 99 columns."""
    mib = summary.disk_bytes / 2**20
    hours = summary.records * summary.spec.control_period / 3600
    broken_off = len(summary.returns) - summary.terminated - summary.truncated
    lines = [
        f'{directory}: {summary.records:,} transitions, {hours:.2f} h of robot time, '
        f'{mib:.1f} MiB on disk',
        f'  joints     {", ".join(summary.spec.joint_names)}',
        f'  observes   {", ".join(f"{f.name}[{f.size}]" for f in summary.spec.observation)}',
        f'  episodes   {len(summary.returns):,}: {summary.terminated:,} terminated, '
        f'{summary.truncated:,} truncated, {max(broken_off, 0):,} broken off or going on',
        f'  policies   {summary.policies:,}',
    ]
    if summary.damaged or summary.torn:
        lines.append(f'  DAMAGED    {summary.damaged:,} records, and {summary.torn:,} torn')
    for source, count in summary.by_source.items():
        share = count / summary.records
        lines.append(f'  {source.name.lower():<10} {"█" * round(40 * share):<40} {count:,}')
    if summary.records:
        lines += [
            _distribution('length', summary.lengths, 'steps'),
            _distribution('return', summary.returns, ''),
            '  coverage   where each joint has been, from its lower to its upper limit',
        ]
    for axis in summary.coverage if summary.records else ():
        visited = np.count_nonzero(axis.counts) / len(axis.counts)
        outside = f', {axis.outside:,} outside' if axis.outside else ''
        lines.append(
            f'    {axis.name:<18.18} {axis.low:8.2f} |{bars(axis.counts)}| {axis.high:.2f} '
            f'{axis.unit}  {visited:4.0%}{outside}'
        )
    return '\n'.join(lines)


def bars(counts: NDArray[np.int64]) -> str:
    """One character per bin, as high as its count; any count at all shows."""
    top = max(int(counts.max()), 1)
    return ''.join(BARS[-(-8 * int(count) // top)] for count in counts)


def _distribution(name: str, values: NDArray[np.float64] | NDArray[np.int64], unit: str) -> str:
    low, high = float(values.min()), float(values.max())
    counts, _ = np.histogram(values, BINS, (low, high if high > low else low + 1))
    return (
        f'  {name:<10} {low:8.2f} |{bars(counts)}| {high:.2f} {unit}  '
        f'mean {values.mean():.2f}, last ten {values[-10:].mean():.2f}'
    )


def _ranges(numbers: NDArray[np.int64], most: int = 10) -> str:
    """3, 7-9, ... for a line of text."""
    breaks = np.flatnonzero(np.diff(numbers) != 1) + 1
    runs = np.split(numbers, breaks)
    text = [f'{run[0]}' if len(run) == 1 else f'{run[0]}-{run[-1]}' for run in runs[:most]]
    return ', '.join(text) + (f' and {len(runs) - most} more' if len(runs) > most else '')
