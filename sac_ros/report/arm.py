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

"""The deployed policy on the arm: episodes for playback, torques, joint ranges, failures."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from sac_ros.deploy.onnx_policy import OnnxPolicy
from sac_ros.envs.arm_env import ArmEnv
from sac_ros.errors import EnvError, SacRosError
from sac_ros.report.data import links_of, rounded
from sac_ros.report.run import Learner, Run
from sac_ros.seeds import evaluation_seed
from sac_ros.training.evaluation import onnx_action
from sac_ros.training.rollout import PolicyFn, rollout

EPISODES = 12  # the first ones of an evaluation
AT_LIMIT = 0.99  # share of the torque limit from which a torque counts as at it
BINS = 20  # of the torque histogram


class Episode(NamedTuple):
    """One recorded episode of T steps."""

    number: int
    points: NDArray[np.float64]  # (T + 1, n + 2, 3) [m] base, joints, tip
    position: NDArray[np.float64]  # (T + 1, n) [rad]
    torque: NDArray[np.float64]  # (T, n) executed, share of the limit
    goals: NDArray[np.float64]  # (T + 1, 3) [m]
    distance: NDArray[np.float64]  # (T + 1,) [m]
    success: bool
    fault: str
    total: float  # return


def arm(run: Run) -> dict[str, Any]:
    """Run and measure episodes of the policy.

    Raises:
        EnvError: the environment is not an arm.
        CheckpointError: the run has no checkpoint that can be used.
    """
    learner = run.need_learner()
    env, spec = learner.env, learner.spec
    if not isinstance(env, ArmEnv):
        raise EnvError(f'{learner.config.env} is not an arm: it has no playback and no torques')
    act, policy = _policy(run, learner)
    episodes = [record(env, act, number) for number in range(EPISODES)]
    has_goal = 'goal' in spec.slices()
    ranked = sorted(
        episodes, key=lambda e: (not e.success, e.distance[-1] if has_goal else -e.total)
    )
    shown = {'best': ranked[0], 'median': ranked[len(ranked) // 2], 'worst': ranked[-1]}
    position = np.concatenate([e.position for e in episodes])
    torque = np.abs(np.concatenate([e.torque for e in episodes]))
    jumps = np.concatenate([np.abs(np.diff(e.torque, axis=0)) for e in episodes])
    counts = [np.histogram(column, BINS, (0, 1))[0] / len(column) for column in torque.T]
    return {
        'policy': policy,
        'joints': list(spec.joint_names),
        'period': spec.control_period,
        'has_goal': has_goal,
        'radius': env.task.config.success_radius,
        'torque_limit': list(spec.torque_limit),
        'playback': {name: _playback(episode) for name, episode in shown.items()},
        'episodes': [_summary(episode) for episode in episodes],
        'distances': [rounded(1e3 * e.distance, 2) for e in episodes] if has_goal else [],
        'at_limit': rounded((torque >= AT_LIMIT).mean(axis=0), 4),
        'torque_histogram': rounded(counts, 5),
        'range': {
            'lower': rounded(spec.position_lower, 4),
            'upper': rounded(spec.position_upper, 4),
            'used_lower': rounded(position.min(axis=0), 4),
            'used_upper': rounded(position.max(axis=0), 4),
            'middle_lower': rounded(np.percentile(position, 5, axis=0), 4),
            'middle_upper': rounded(np.percentile(position, 95, axis=0), 4),
        },
        'smoothness': {
            'mean': rounded(jumps.mean(axis=0), 5),
            'p95': rounded(np.percentile(jumps, 95, axis=0), 5),
        },
    }


def _policy(run: Run, learner: Learner) -> tuple[PolicyFn, str]:
    """Return the exported policy, or else the mean of the learner's actor, and what it is."""
    path = run.path / 'policy.onnx'
    try:
        policy = OnnxPolicy(path)
        policy.spec.require_equal(learner.spec, f'policy {path}', 'the run')
    except SacRosError:

        @torch.no_grad()
        def act(observation: NDArray[np.float32]) -> NDArray[np.float32]:
            row = torch.from_numpy(observation).unsqueeze(0)
            action: NDArray[np.float32] = learner.sac.act(learner.state, row, None)[0].numpy()
            return action

        return act, f'the mean policy of {run.learner_file}, step {run.step:,}'
    return onnx_action(policy, policy.spec), 'policy.onnx, the policy to deploy'


def record(env: ArmEnv, act: PolicyFn, number: int) -> Episode:
    """Run an episode of an evaluation to its end and return what happened."""
    points, position, goals, torque, total = [], [], [], [], 0.0
    for step in rollout(env, act, evaluation_seed(number)):
        points.append(links_of(env.arm))
        position.append(env.arm.position)
        goals.append(np.array(env.goal))
        total += step.reward
        if 'period' in step.info:
            torque.append(step.info['period'].executed)
    links, ends = np.array(points), np.array(goals)
    distance = np.linalg.norm(links[:, -1] - ends, axis=1)
    return Episode(
        number, links, np.array(position), np.array(torque), ends, distance,
        bool(step.info['is_success']), step.info['period'].fault, total,
    )  # fmt: skip


def _playback(episode: Episode) -> dict[str, Any]:
    return {
        'number': episode.number,
        'points': rounded(episode.points, 4),
        'goals': rounded(episode.goals, 4),
        'torque': rounded(episode.torque, 4),
    }


def _summary(episode: Episode) -> dict[str, Any]:
    return {
        'number': episode.number,
        'goal': rounded(episode.goals[-1], 4),
        'end': rounded(episode.points[-1, -1], 4),
        'distance': rounded(1e3 * episode.distance[-1], 2),  # [mm]
        'success': episode.success,
        'fault': episode.fault,
        'total': rounded(episode.total, 3),
        'steps': len(episode.torque),
    }
