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

"""Figures of a policy over episodes of an arm: precision, stillness, limits, faults, time."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sac_ros.deploy.supervisor import SupervisorConfig
from sac_ros.envs.arm_env import ArmEnv
from sac_ros.seeds import evaluation_seed
from sac_ros.training.evaluation import Evaluation
from sac_ros.training.rollout import PolicyFn, RolloutStep, rollout

STILL_SECONDS = 0.5  # [s] at the end of an episode over which stillness is measured
SETTLED_RADIUS = 0.02  # [m] within which the tip has reached the goal


PRECISE = 10.0  # [mm] 95th percentile of the final distance below which time decides


@dataclass(frozen=True)
class PassFigures:
    """Figures over the episodes of one pass. NaN where a task or its episodes do not have them."""

    episodes: int
    mean_return: float
    std_return: float
    success: float  # share of episodes: no fault, and the task's own criterion at the end
    within_5cm: float  # share of episodes: no fault, and the tip this close at the end
    within_2cm: float
    within_1cm: float
    distance_median: float  # [mm] at the end; for a moving goal, over the second half
    distance_p95: float  # [mm]
    tip_speed: float  # [mm/s] mean over the last 0.5 s
    chatter: float  # mean |action change| per step over the last 0.5 s, share of the torque limit
    chatter_p95: float  # 95th percentile over episodes
    time_to_goal: float  # [s] mean over episodes that reach 2 cm and stay
    time_to_goal_median: float  # [s]
    peak_speed: float  # highest true speed, multiple of the velocity limit
    peak_speed_median: float  # over episodes
    over_speed: float  # share of episodes with a speed over the velocity limit
    guarded: float  # share of joint states on which a guard changed the torque
    guarded_without_rate: float  # the same without the rate guard
    contacts: int  # episodes with contact
    faults: int  # episodes that ended in a fault
    fault_reason: str  # the most frequent one
    outside_limits: int  # episodes with a joint outside its position limits at any time
    outside_limits_at_end: int
    enable_ready: float  # share of episodes that end where enabling would be allowed

    def evaluation(self) -> Evaluation:
        """Return the figures that every environment has."""
        return Evaluation(self.mean_return, self.std_return, self.success, self.episodes)

    def to_json(self) -> dict[str, Any]:
        """Return the figures with stable keys; what is unknown is None."""
        return dict(plain(self))

    def rank(self) -> tuple[float, ...]:
        """Return a key that is lower for the better policy."""
        # Fewer faults, fewer contacts, more success, less distance beyond what is precise enough,
        # less time, in this order.
        if not math.isfinite(self.distance_p95):
            return self.faults, self.contacts, -self.success, -self.mean_return, 0.0
        distance = max(self.distance_p95, PRECISE)
        time = self.time_to_goal if math.isfinite(self.time_to_goal) else math.inf
        return self.faults, self.contacts, -self.success, distance, time


class _Episode(NamedTuple):
    """Measurements of one episode."""

    total: float
    success: bool
    distance: NDArray[np.float64]  # (steps,) [m] after each step
    peak_speed: float
    guarded: int
    limited: int
    states: int
    contact: bool
    fault: str
    outside: NDArray[np.bool_]  # (steps,)
    slow: bool  # all joints slow enough to enable at the end
    tip_speed: float  # [m/s]
    chatter: float


def measure_pass(
    env: ArmEnv,
    act: PolicyFn,
    episodes: int,
    continued: bool = False,
    on_episode: Callable[[], None] = lambda: None,
) -> PassFigures:
    """Run episodes, always the same ones, and return their figures.

    Args:
        env: the arm and its task.
        act: the policy.
        episodes: how many.
        continued: begin each as the one before ended unless that one faulted.
        on_episode: called after each episode.
    """
    records = []
    start: NDArray[np.float32] | None = None
    for number in range(episodes):
        record, last = _measure_episode(env, rollout(env, act, evaluation_seed(number), start))
        start = last if continued and not record.fault else None
        records.append(record)
        on_episode()
    return _summarize(records, env)


def _measure_episode(
    env: ArmEnv, steps: Iterable[RolloutStep]
) -> tuple[_Episode, NDArray[np.float32]]:
    """Return the measurements of an episode and its last observation."""
    spec, arm = env.policy_spec, env.arm
    lower, upper = np.array(spec.position_lower), np.array(spec.position_upper)
    periods, tips, distances, outside, total = [], [], [], [], 0.0
    for step in steps:
        tips.append(arm.tip_position)
        if 'period' not in step.info:  # the start
            continue
        total += step.reward
        periods.append(step.info['period'])
        distances.append(float(np.linalg.norm(tips[-1] - env.goal)))
        outside.append(bool(((arm.position < lower) | (arm.position > upper)).any()))
    last = max(2, round(STILL_SECONDS / spec.control_period))
    actions = np.array([period.executed for period in periods[-last:]])
    moved = np.linalg.norm(np.diff(tips[-last - 1 :], axis=0), axis=1)
    record = _Episode(
        total=total,
        success=bool(step.info['is_success']),
        distance=np.array(distances),
        peak_speed=max(period.speed for period in periods),
        guarded=sum(period.guarded for period in periods),
        limited=sum(period.limited for period in periods),
        states=sum(period.states for period in periods),
        contact=any(period.contact for period in periods),
        fault=periods[-1].fault,
        outside=np.array(outside),
        slow=float(np.abs(arm.velocity).max()) <= SupervisorConfig().enable_speed,
        tip_speed=float(moved.mean()) / spec.control_period,
        chatter=float(np.abs(np.diff(actions, axis=0)).mean()) if len(actions) > 1 else math.nan,
    )
    return record, step.observation


def _summarize(records: Sequence[_Episode], env: ArmEnv) -> PassFigures:
    period = env.policy_spec.control_period
    whole = [r for r in records if not r.fault]
    ends = np.array([r.distance[-1] for r in records])
    unbroken = np.array([not r.fault for r in records])
    errors = ends
    if goal_moves(env):
        errors = np.concatenate([r.distance[len(r.distance) // 2 :] for r in records])
    times = [t for r in whole if (t := time_to_goal(r.distance, period)) is not None]
    chatter = [r.chatter for r in whole if not math.isnan(r.chatter)]
    peaks = np.array([r.peak_speed for r in records])
    states = sum(r.states for r in records)
    ready = [not r.fault and r.slow and not r.outside[-1] for r in records]
    reasons = Counter(r.fault for r in records if r.fault).most_common(1)
    totals = [r.total for r in records]
    known = 'goal' in env.policy_spec.slices()  # a task without goal point has no distance

    def within(radius: float) -> float:
        return float(np.mean(unbroken & (ends <= radius))) if known else math.nan

    return PassFigures(
        episodes=len(records),
        mean_return=float(np.mean(totals)),
        std_return=float(np.std(totals)),
        success=float(np.mean([r.success for r in records])),
        within_5cm=within(0.05),
        within_2cm=within(0.02),
        within_1cm=within(0.01),
        distance_median=1e3 * float(np.median(errors)) if known else math.nan,
        distance_p95=1e3 * float(np.percentile(errors, 95)) if known else math.nan,
        tip_speed=1e3 * _mean([r.tip_speed for r in whole]),
        chatter=_mean(chatter),
        chatter_p95=float(np.percentile(chatter, 95)) if chatter else math.nan,
        time_to_goal=_mean(times) if known else math.nan,
        time_to_goal_median=float(np.median(times)) if times and known else math.nan,
        peak_speed=float(peaks.max()),
        peak_speed_median=float(np.median(peaks)),
        over_speed=float(np.mean(peaks > 1)),
        guarded=sum(r.guarded for r in records) / states,
        guarded_without_rate=sum(r.limited for r in records) / states,
        contacts=sum(r.contact for r in records),
        faults=len(records) - len(whole),
        fault_reason=reasons[0][0] if reasons else '',
        outside_limits=sum(bool(r.outside.any()) for r in records),
        outside_limits_at_end=sum(bool(r.outside[-1]) for r in records),
        enable_ready=float(np.mean(ready)),
    )


def time_to_goal(distance: NDArray[np.float64], period: float) -> float | None:
    """Return the time [s] from which the tip stays at the goal to the end; None if it does not."""
    away = np.flatnonzero(distance > SETTLED_RADIUS)
    if not len(away):
        return period
    return None if away[-1] == len(distance) - 1 else float(away[-1] + 2) * period


def goal_moves(env: ArmEnv) -> bool:
    """Whether the goal moves during an episode."""
    return 'goal_velocity' in env.policy_spec.slices()


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else math.nan


def plain(value: Any) -> Any:
    """Return a value in terms of JSON."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain(dataclasses.asdict(value))
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items()}
    if isinstance(value, tuple | list):
        return [plain(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
