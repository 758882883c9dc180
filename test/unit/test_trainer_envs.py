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

"""Runs on environments that reuse arrays, never end, give NaN, or exist only once."""

import dataclasses
import json

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box
from small_runs import config, episodes, transitions
from tensors import same

from sac_ros.envs.arm_env import ArmEnv
from sac_ros.errors import EnvError, SpecMismatch
from sac_ros.seeds import evaluation_seed, training_seed
from sac_ros.training import collector as collector_module
from sac_ros.training import trainer as trainer_module
from sac_ros.training.checkpoint import load_notes
from sac_ros.training.trainer import Trainer


class Walk(gymnasium.Env):
    """A random walk of `length` steps; a step with NaN is `nan_at`."""

    action_space = Box(-1, 1, (2,), np.float32)
    observation_space = Box(-np.inf, np.inf, (3,), np.float32)

    def __init__(self, length=20, nan_at=0):
        self.length, self.nan_at, self.seeds = length, nan_at, []

    def observe(self):
        return self.x.copy()

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.seeds.append(seed)
        self.steps, self.x = 0, np.zeros(3, np.float32)
        return self.observe(), {}

    def step(self, action):
        self.steps += 1
        self.x += self.np_random.normal(size=3).astype(np.float32)
        if self.steps == self.nan_at:
            self.x[1] = np.nan
        reward = -float(np.square(action).sum())
        return self.observe(), reward, False, self.steps >= self.length, {}


class InPlaceWalk(Walk):
    """Gives its own array, and changes the actions that it is given."""

    def observe(self):
        return self.x

    def step(self, action):
        result = super().step(action)
        action[:] = 0
        return result


class OnlyOne(Walk):
    """As a real robot: a second one cannot be made."""

    exists = False

    def __init__(self):
        if OnlyOne.exists:
            raise RuntimeError('the robot is in use')
        OnlyOne.exists = True
        super().__init__()


gymnasium.register('OnlyOne-v0', OnlyOne)


def own(run_dir, **changes):
    return config(run_dir, **{'steps': 120, 'learning_starts': 90, **changes})


def evaluated(run_dir):
    return [json.loads(row)['step'] for row in (run_dir / 'evaluations.jsonl').open()]


def stop_at(trainer, at):
    assert not trainer.run(lambda running: running.request_stop() if running.step == at else None)
    assert trainer.step == at


def test_arrays_that_an_environment_reuses_are_stored_unchanged(tmp_path):
    for name, kind in (('copied', Walk), ('in_place', InPlaceWalk)):
        Trainer(own(tmp_path / name), kind(), kind()).run()
    stored = transitions(tmp_path / 'in_place')
    assert len(stored) == 120
    assert (stored == transitions(tmp_path / 'copied')).all()


def test_an_environment_object_is_continued_bit_for_bit(tmp_path):
    whole = Trainer(own(tmp_path / 'whole'), Walk())
    whole.run()
    for at in (30, 44, 60, 75):
        stop_at(Trainer(own(tmp_path / 'cut'), Walk()), at)
    cut = Trainer(own(tmp_path / 'cut'), Walk())
    cut.run()
    assert same(cut.state, whole.state)
    assert (transitions(tmp_path / 'cut') == transitions(tmp_path / 'whole')).all()
    assert evaluated(tmp_path / 'cut') == evaluated(tmp_path / 'whole') == [60, 100]
    with pytest.raises(SpecMismatch, match=r'model_hash.*test_trainer_envs\.Walk'):
        Trainer(own(tmp_path / 'cut', env='Pendulum-v1'))


def test_the_only_environment_is_evaluated_between_two_episodes(tmp_path):
    env = Walk(length=32)
    Trainer(own(tmp_path), env).run()
    training, evaluation = [training_seed(0, i) for i in range(4)], evaluation_seed(0)
    assert env.seeds == [*training[:2], evaluation, *training[2:]]
    assert evaluated(tmp_path) == [64]  # due at 50; at 100 an episode goes on to the end
    assert np.diff(episodes(tmp_path)).sum() == 3


def test_an_environment_that_exists_once_by_its_name(tmp_path):
    with pytest.raises(EnvError, match=r'robot is in use.*--no-separate_eval_env'):
        Trainer(own(tmp_path, env='OnlyOne-v0'))
    OnlyOne.exists = False
    assert Trainer(own(tmp_path, env='OnlyOne-v0', separate_eval_env=False)).run()


def test_an_arm_that_exists_once(tmp_path):
    env = ArmEnv(own(tmp_path))
    trainer = Trainer(own(tmp_path, steps=60), env)
    assert trainer.eval_env is trainer.env is env
    trainer.run()
    assert evaluated(tmp_path) == [0, 50]
    assert trainer.best is not None and trainer.config.env == 'arm-reach'


def test_training_and_evaluation_share_no_seed(tmp_path):
    env, eval_env = Walk(length=5), Walk(length=5)
    Trainer(own(tmp_path, seed=1, eval_episodes=30), env, eval_env).run()
    assert len(set(env.seeds)) == 24 and len(set(eval_env.seeds)) == 30
    assert not set(env.seeds) & set(eval_env.seeds)


def test_a_stop_within_an_evaluation_is_made_up_for(tmp_path):
    """The evaluation that was stopped takes place when the run goes on."""

    class Stopping(Walk):
        trainer = None

        def step(self, action):
            if self.trainer is not None and self.steps == 7:
                self.trainer.request_stop()
            return super().step(action)

    whole = Trainer(own(tmp_path / 'whole'), Walk(), Walk())
    whole.run()
    eval_env = Stopping(length=10**9)
    cut = Trainer(own(tmp_path / 'cut'), Walk(), eval_env)
    eval_env.trainer = cut
    assert cut.run() is False
    assert (cut.step, eval_env.steps) == (50, 8)
    assert not (tmp_path / 'cut/evaluations.jsonl').exists()
    again = Trainer(own(tmp_path / 'cut'), Walk(), Walk())
    assert again.run() is True
    assert same(again.state, whole.state)
    rows = [(tmp_path / name / 'evaluations.jsonl').read_text() for name in ('whole', 'cut')]
    kept = [
        [{k: v for k, v in json.loads(row).items() if k not in ('seconds', 'success_rate')}
         for row in text.splitlines()]
        for text in rows
    ]  # fmt: skip
    assert kept[0] == kept[1]


def test_a_stop_while_an_episode_is_repeated_keeps_it(tmp_path):
    whole = Trainer(own(tmp_path / 'whole'), Walk(length=100), Walk())
    whole.run()
    stop_at(Trainer(own(tmp_path / 'cut'), Walk(length=100), Walk()), 90)
    env = Walk(length=100)
    calls = iter([False] * 20)
    trainer = Trainer(own(tmp_path / 'cut'), env, Walk())
    assert trainer.run(should_stop=lambda: next(calls, True)) is False
    assert trainer.step == 90 and 0 < env.steps < 90
    again = Trainer(own(tmp_path / 'cut'), Walk(length=100), Walk())
    again.run()
    assert same(again.state, whole.state)
    assert episodes(tmp_path / 'cut') == episodes(tmp_path / 'whole')


def test_an_endless_episode_is_saved_and_stopped(tmp_path, monkeypatch):
    """A checkpoint comes in mid-episode; one that is too long to repeat gives way to the next."""
    monkeypatch.setattr(trainer_module, 'SAVE_SECONDS', -1.0)  # a minute is over at every step
    trainer = Trainer(own(tmp_path, eval_every=1000), Walk(length=10**9))

    def look(running):
        assert load_notes(running.checkpoint)['step'] == running.step
        if running.step == 12:
            running.request_stop()

    assert trainer.run(look) is False
    assert trainer.step == 12
    monkeypatch.undo()
    monkeypatch.setattr(collector_module, 'MAX_RETRACED', 50)
    again = Trainer(own(tmp_path, eval_every=1000), Walk(length=10**9))
    stop_at(again, 90)
    env = Walk(length=10**9)
    last = Trainer(own(tmp_path, eval_every=1000), env)
    last.run()
    assert env.seeds == [training_seed(0, 1)]
    assert episodes(tmp_path) == [0] * 90 + [1] * 30


def test_the_limit_of_a_run_holds_for_any_environment(tmp_path):
    limited = own(tmp_path / 'walk', episode_steps=7, steps=21, eval_every=20)
    trainer = Trainer(limited, Walk(length=10**9))
    trainer.run()
    assert episodes(tmp_path / 'walk') == [i // 7 for i in range(21)]
    arm = dataclasses.replace(limited, run_dir=str(tmp_path / 'arm'))
    Trainer(arm).run()
    assert episodes(tmp_path / 'arm') == [i // 7 for i in range(21)]


def test_a_step_with_nan_ends_its_episode_and_is_not_stored(tmp_path):
    with pytest.raises(EnvError, match=r'observation of step 6 .*--nan_ends_episode'):
        Trainer(own(tmp_path / 'stops'), Walk(nan_at=6)).run()
    tolerant = {'nan_ends_episode': True, 'steps': 60, 'learning_starts': 30}
    whole = Trainer(own(tmp_path / 'whole', **tolerant), Walk(nan_at=6), Walk())
    whole.run()
    assert episodes(tmp_path / 'whole') == [i // 5 for i in range(50)]
    for at in (33, 36, 40, 42, 48):  # 36, 42 and 48 are steps with NaN
        stop_at(Trainer(own(tmp_path / 'cut', **tolerant), Walk(nan_at=6), Walk()), at)
    cut = Trainer(own(tmp_path / 'cut', **tolerant), Walk(nan_at=6), Walk())
    cut.run()
    assert same(cut.state, whole.state)
    assert episodes(tmp_path / 'cut') == episodes(tmp_path / 'whole')
    assert (transitions(tmp_path / 'cut') == transitions(tmp_path / 'whole')).all()
