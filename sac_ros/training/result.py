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

"""The end of a run: export the last, the best and the untrained policy, measure, choose one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from sac_ros.deploy.onnx_policy import OnnxPolicy
from sac_ros.envs.arm_env import ArmEnv
from sac_ros.filesystem import write_atomically
from sac_ros.sac.state import LearnerState
from sac_ros.training.acceptance import FROM_REST, Acceptance, measure_acceptance
from sac_ros.training.evaluation import Evaluation, onnx_action
from sac_ros.training.trainer import Trainer

NAMES = ('last', 'best', 'untrained')


class Exported(NamedTuple):
    """A policy of a run as a file."""

    name: str  # last, best or untrained
    path: Path
    step: int
    parity: float  # difference to the network, share of the torque limit
    acceptance: Acceptance | None = None


class TrainingResult(NamedTuple):
    """What a run led to."""

    evaluation: Evaluation
    parity: float  # of the policy to deploy
    deployed: str  # last, best or untrained
    step: int  # environment step that the policy to deploy is from
    acceptance: Acceptance | None = None  # of the policy to deploy; None without an arm
    candidates: tuple[Exported, ...] = ()
    goal: tuple[float, ...] = ()  # a goal [m], with quaternion x, y, z, w for poses


def final_episodes(trainer: Trainer) -> int:
    """Return how many episodes `finish` runs."""
    if not isinstance(trainer.eval_env, ArmEnv):
        return 0
    return 2 * trainer.config.final_eval_episodes * len(_states(trainer))


def finish(trainer: Trainer, on_episode: Callable[[], None] = lambda: None) -> TrainingResult:
    """Export the policies of a run whose steps are done, and measure the exported files.

    An arm's run has `policy_last.onnx`; if another one was better during training,
    `policy_best.onnx`; and where a base controller acts, `policy_untrained.onnx`, which is that
    controller alone. All are measured on the same episodes; the best is copied to `policy.onnx`,
    which is always the file to deploy and the one of `acceptance.json`. So training never ends
    with a policy that measures worse than its base controller.

    Raises:
        SacRosError: a file does not agree with its network, or the disk fails.
    """
    env, episodes = trainer.eval_env, trainer.config.final_eval_episodes
    if not isinstance(env, ArmEnv):
        parity = trainer.export()
        return TrainingResult(trainer.evaluate(episodes), parity, 'last', trainer.step)
    candidates = []
    for exported in export_candidates(trainer):
        act = onnx_action(OnnxPolicy(exported.path), trainer.spec)
        acceptance = measure_acceptance(env, act, episodes, on_episode=on_episode)
        candidates.append(exported._replace(acceptance=acceptance))
    chosen = min(candidates, key=_rank)
    write_atomically(trainer.policy_path, chosen.path.read_bytes())
    assert chosen.acceptance is not None
    result = TrainingResult(
        chosen.acceptance.passes[FROM_REST].evaluation(),
        chosen.parity,
        chosen.name,
        chosen.step,
        chosen.acceptance,
        tuple(candidates),
        reachable_goal(env),
    )
    _write(trainer, result)
    return result


def export_candidates(trainer: Trainer) -> list[Exported]:
    """Write `policy_last.onnx` and, where they differ from it, the best and the untrained one."""
    exported, states = [], _states(trainer)
    for name in NAMES:
        path = trainer.run_dir / f'policy_{name}.onnx'
        if name in states:
            step, state = states[name]
            exported.append(Exported(name, path, step, trainer.export(path, state)))
        else:
            path.unlink(missing_ok=True)
    return exported


def export_chosen(trainer: Trainer) -> tuple[str, float]:
    """Write the files of a run again; return which one is `policy.onnx` and its parity.

    That is the one that `finish` chose, before the end of the run the best so far.
    """
    if not isinstance(trainer.eval_env, ArmEnv):
        return 'last', trainer.export()
    exported = {candidate.name: candidate for candidate in export_candidates(trainer)}
    name = 'best'
    if (trainer.run_dir / 'acceptance.json').exists():
        text = (trainer.run_dir / 'acceptance.json').read_text()
        name = next((n for n in NAMES if f'"deployed": "{n}"' in text), 'best')
    chosen = exported.get(name, exported['last'])
    write_atomically(trainer.policy_path, chosen.path.read_bytes())
    return chosen.name, chosen.parity


def write_acceptance(path: Path, acceptance: Acceptance, **more: object) -> None:
    """Write the figures as JSON.

    Raises:
        StorageError: the disk fails.
    """
    text = json.dumps({**more, **acceptance.to_json()}, indent=2, allow_nan=False)
    write_atomically(path, (text + '\n').encode())


def reachable_goal(env: ArmEnv) -> tuple[float, ...]:
    """Return the goal of the present episode: a point, or a pose with quaternion x, y, z, w."""
    told = env.task.goal_observation()
    parts = [told[name] for name in ('goal', 'goal_orientation') if name in told]
    return tuple(round(float(value), 3) for part in parts for value in part)


def _states(trainer: Trainer) -> dict[str, tuple[int, LearnerState]]:
    states = {'last': (trainer.step, trainer.state)}
    best = trainer.best
    if best is not None and best.step not in (None, trainer.step):
        states['best'] = (best.step, best.load(trainer.state))
    untrained = all(step > 0 for step, _ in states.values())
    if untrained and trainer.config.controller.name != 'none':
        config = trainer.config
        states['untrained'] = (0, trainer.sac.initialize(config.seed, config.device))
    return states


def _rank(candidate: Exported) -> tuple[float, ...]:
    assert candidate.acceptance is not None
    return candidate.acceptance.rank()


def _write(trainer: Trainer, result: TrainingResult) -> None:
    assert result.acceptance is not None
    path = trainer.run_dir / 'acceptance.json'
    write_acceptance(path, result.acceptance, deployed=result.deployed, step=result.step)
