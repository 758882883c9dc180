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

"""A run resumes bit for bit, loses no transition, and refuses what is not its own."""

import dataclasses
import json
import logging
import os
import signal
import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from paths import PROGRAMS
from small_runs import HIDDEN, config, episodes, rows, stop_at, transitions
from tensors import leaves, same

from sac_ros.config.base import flatten
from sac_ros.config.robot import TaskConfig
from sac_ros.config.training import SACConfig
from sac_ros.errors import CheckpointError, ReplayError, SpecMismatch
from sac_ros.sac.sac import SAC
from sac_ros.training.checkpoint import load_checkpoint, load_notes, save_checkpoint
from sac_ros.training.open_episode import retrace
from sac_ros.training.trainer import Trainer
from sac_ros.types import Transition


def test_every_transition_is_stored_with_its_episode(tmp_path):
    Trainer(config(tmp_path, steps=35)).run()
    packed, layout = rows(tmp_path)
    assert layout.sequence(packed).tolist() == list(range(35))
    assert layout.episode(packed).tolist() == [i // 10 for i in range(35)]
    assert layout.truncated(packed).tolist() == [i % 10 == 9 for i in range(35)]
    split = layout.split(packed)
    inside = ~layout.truncated(packed)[:-1]
    assert (split.next_observation[:-1][inside] == split.observation[1:][inside]).all()
    assert np.abs(split.action).max() <= 1
    assert (split.terminated == 0).all()


def test_a_stopped_run_goes_on_where_it_was(tmp_path):
    trainer = Trainer(config(tmp_path))

    def stop(running):
        if running.step == 73:
            running.request_stop()

    assert trainer.run(stop) is False
    again = Trainer(config(tmp_path))
    assert again.step == 73
    assert same(again.state, trainer.state)
    assert again.run() is True
    assert len(transitions(tmp_path)) == 200
    finished = Trainer(config(tmp_path))
    assert finished.run() is True
    assert same(finished.state, again.state)


def crash(run_dir, at, sac=None, **changes):
    options = [json.dumps(values, default=dataclasses.asdict) for values in (sac or {}, changes)]
    command = [sys.executable, PROGRAMS / 'killed_training.py', run_dir, str(at), *options]
    ended = subprocess.run(command, check=False)
    assert ended.returncode == -signal.SIGKILL


@pytest.mark.parametrize('times', [pytest.param([130], marks=pytest.mark.long), [55, 101, 199]])
def test_a_killed_run_ends_bit_for_bit_like_one_that_was_not(tmp_path, times):
    whole = Trainer(config(tmp_path / 'whole'))
    whole.run()
    for at in times:
        crash(tmp_path / 'killed', at)
        assert len(transitions(tmp_path / 'killed')) == at
    killed = Trainer(config(tmp_path / 'killed'))
    assert 0 < killed.step < times[-1]
    killed.run()
    assert same(killed.state, whole.state)
    assert (transitions(tmp_path / 'killed') == transitions(tmp_path / 'whole')).all()


INTERRUPTED = [
    {'n_step': 3, 'exploration': 'pink'},
    pytest.param({'exploration': 'gsde'}, marks=pytest.mark.long),
]


@pytest.mark.parametrize('options', INTERRUPTED, ids=str)
def test_ctrl_c_and_kill_resume_bit_for_bit(tmp_path, options):
    """Stops within an episode, twice in the same one, between two, and a kill after each kind."""
    sac = dataclasses.replace(HIDDEN, **options)
    changes = {'task': TaskConfig(episode_steps=17), 'steps': 130}
    whole = Trainer(config(tmp_path / 'whole', sac=sac, **changes))
    whole.run()
    for at in (40, 44, 68, 71):
        stop_at(tmp_path / 'cut', at, sac=sac, **changes)
    crash(tmp_path / 'cut', 76, sac=options, **changes)
    assert Trainer(config(tmp_path / 'cut', sac=sac, **changes)).step == 71
    stop_at(tmp_path / 'cut', 74, sac=sac, **changes)  # among transitions that are stored already
    crash(tmp_path / 'cut', 104, sac=options, **changes)
    cut = Trainer(config(tmp_path / 'cut', sac=sac, **changes))
    assert cut.step == 100  # saved with the evaluation, within an episode
    cut.run()
    assert same(cut.state, whole.state)
    assert (transitions(tmp_path / 'cut') == transitions(tmp_path / 'whole')).all()
    assert episodes(tmp_path / 'cut') == episodes(tmp_path / 'whole')
    assert cut.progress().mean_return == whole.progress().mean_return
    written = (tmp_path / 'cut/evaluations.jsonl').read_text().splitlines()
    assert [json.loads(row)['step'] for row in written] == [0, 50, 100]


def test_a_finished_run_resumes_bit_for_bit_in_its_last_episode(tmp_path):
    whole = Trainer(config(tmp_path / 'whole', steps=90))
    whole.run()
    Trainer(config(tmp_path / 'two', steps=65)).run()
    Trainer(config(tmp_path / 'two', steps=65)).run()  # saves again and has nothing to do
    two = Trainer(config(tmp_path / 'two', steps=90))
    two.run()
    assert same(two.state, whole.state)
    assert episodes(tmp_path / 'two') == episodes(tmp_path / 'whole')


def test_an_unrepeatable_episode_is_dropped_training_goes_on(tmp_path, caplog):
    """As on a real robot, where every start makes headway although no episode is finished."""
    changes = {'task': TaskConfig(episode_steps=1000), 'steps': 130}
    caplog.set_level(logging.INFO)
    for at in range(10, 60, 10):
        other = Trainer(config(tmp_path, **changes))
        assert other.step == at - 10
        before, reset = other.updates, other.env.reset

        def differently(*, seed, options, reset=reset, at=at):
            return reset(seed=seed + at, options=options)

        other.env.reset = differently
        other.run(lambda running, at=at: running.request_stop() if running.step == at else None)
        assert other.updates - before == sum(step >= 20 for step in range(at - 9, at + 1))
    assert caplog.text.count('cannot be continued') == 4
    assert episodes(tmp_path) == [i // 10 for i in range(50)]


class Recorder(gymnasium.Env):
    """Shows how often it was moved, and something else from a given step on."""

    def __init__(self, differs_at):
        self.moves, self.differs_at = [], differs_at

    def seen(self):
        return np.array([len(self.moves) + (len(self.moves) >= self.differs_at)], np.float32)

    def step(self, action):
        self.moves.append(action)
        return self.seen(), 0.0, False, False, {}


@pytest.mark.parametrize('differs_at', [0, 1, 3, 5, 99])
def test_no_action_is_repeated_once_the_environment_differs(differs_at):
    env = Recorder(differs_at)
    shown = np.arange(6, dtype=np.float32)[:, None]
    stored = Transition(shown[:-1], None, None, None, shown[1:])
    end = retrace(env, env.seen(), list('abcde'), stored)
    assert env.moves == list('abcde')[:differs_at]
    assert (end is None) == (differs_at <= 5)
    assert retrace(env, env.seen(), list('abcdef'), stored) is None


def test_rows_of_evaluations_come_once_and_torn_ones_do_no_harm(tmp_path):
    file = tmp_path / 'evaluations.jsonl'
    rows = [json.dumps({'step': step, 'mean_return': 9.0}) for step in (25, 50, 100)]
    file.write_text('\n'.join((*rows, 'null', '[1]', '{}', '\0', '{"step": 50, "mean_ret')))
    Trainer(config(tmp_path, steps=60)).run()
    read = [json.loads(line) for line in file.read_text().splitlines()]
    assert [row['step'] for row in read] == [0, 50]
    assert read[1]['mean_return'] != 9.0
    file.write_text(file.read_text() + '{"step": 50, "mean_ret')
    Trainer(config(tmp_path, steps=100)).run()
    read = [json.loads(line) for line in file.read_text().splitlines()]
    assert [row['step'] for row in read] == [0, 50, 100]


def test_transitions_that_do_not_recur_on_resuming_are_kept(tmp_path):
    crash(tmp_path, 130)
    before = transitions(tmp_path)
    other = Trainer(config(tmp_path, seed=9))
    start = other.step
    other.run()
    after = transitions(tmp_path)
    assert (after[:130] == before).all()
    assert len(after) == 130 + 200 - start


@pytest.mark.parametrize(('share', 'expected'), [(0.0, 0), (1.0, 19), (0.5, 10)])
def test_the_given_share_of_episodes_continues_the_last_one(tmp_path, share, expected):
    trainer = Trainer(config(tmp_path, continue_episode_fraction=share, learning_starts=200))
    trainer.run()
    packed, layout = rows(tmp_path)
    split, joints = layout.split(packed), trainer.spec.slices()['joint_position']
    ended, began = split.next_observation[9::10][:-1], split.observation[10::10]
    n = (ended[:, joints] == began[:, joints]).all(1).sum()
    assert n == pytest.approx(expected, abs=4 if share == 0.5 else 0)
    goals = trainer.spec.slices()['goal']
    assert len(np.unique(split.observation[:, goals], axis=0)) == 20


@pytest.mark.parametrize(('env', 'atoms'), [('arm-reach', 0), ('Pendulum-v1', 51)])
def test_the_default_algorithm_is_that_of_sac_alone(tmp_path, env, atoms):
    trainer = Trainer(config(tmp_path, env=env, sac=SACConfig()))
    alone = SAC(trainer.spec, trainer.sac.chain, SACConfig())
    assert trainer.sac.config == alone.config
    assert trainer.sac.config.atoms == atoms


def test_two_updates_per_step(tmp_path):
    trainer = Trainer(config(tmp_path, steps=40, gradient_steps=2))
    trainer.run()
    assert trainer.updates == trainer.state.critic_adam.steps.item() == 2 * 21


OPTIONS = [
    {'n_step': 3},
    {'normalization': 'layer', 'dropout': 0.1},
    {'normalization': 'batch', 'policy_delay': 3, 'adam_beta1': 0.5},
    {'n_critics': 4, 'target_critics': 2, 'normalize_observation': True},
    {'exploration': 'pink'},
    {'exploration': 'gsde', 'bf16': True, 'critic_loss': 'categorical'},
]
QUICK = (2, 5)  # the others belong to `make test-long`


@pytest.mark.parametrize(
    'options',
    [
        pytest.param(options, marks=[] if i in QUICK else pytest.mark.long, id=' '.join(options))
        for i, options in enumerate(OPTIONS)
    ],
)
def test_every_option_resumes_bit_for_bit_and_exports(tmp_path, options):
    sac = dataclasses.replace(HIDDEN, **options)
    whole = Trainer(config(tmp_path / 'whole', sac=sac, gradient_steps=2))
    whole.run()
    crash(tmp_path / 'killed', 130, sac=options, gradient_steps=2)
    killed = Trainer(config(tmp_path / 'killed', sac=sac, gradient_steps=2))
    assert 0 < killed.step < 130
    killed.run()
    assert same(killed.state, whole.state)
    assert all(leaf.isfinite().all() for leaf in leaves(whole.state))
    assert whole.export() < 1e-5


def test_a_prior_replay_is_drawn_from_and_left_alone(tmp_path):
    Trainer(config(tmp_path / 'prior', steps=60)).run()
    before = transitions(tmp_path / 'prior')
    prior = str(tmp_path / 'prior' / 'replay')
    alone, both = (
        Trainer(config(tmp_path / name, seed=1, steps=60, offline_replay=path))
        for name, path in (('alone', ''), ('both', prior))
    )
    alone.run()
    both.run()
    assert not same(alone.state, both.state)
    assert (transitions(tmp_path / 'prior') == before).all()
    with pytest.raises(SpecMismatch, match='replay directory'):
        Trainer(config(tmp_path / 'other', env='Pendulum-v1', offline_replay=prior))


def test_progress_counts_and_evaluation_is_repeatable(tmp_path):
    trainer = Trainer(config(tmp_path, steps=60))
    trainer.run()
    progress = trainer.progress()
    assert (progress.step, progress.steps) == (60, 60)
    assert 0 < progress.mean_return < 10
    assert trainer.evaluate(2) == trainer.evaluate(2)
    assert len((tmp_path / 'evaluations.jsonl').read_text().splitlines()) == 2


def test_a_run_directory_of_another_robot_is_refused_unchanged(tmp_path):
    Trainer(config(tmp_path, steps=30)).run()
    (tmp_path / 'checkpoint.npz').rename(tmp_path / 'kept.npz')
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob('*')}
    with pytest.raises(SpecMismatch, match=r'model_hash.*Pendulum'):
        Trainer(config(tmp_path, env='Pendulum-v1')).run()
    (tmp_path / 'kept.npz').rename(tmp_path / 'checkpoint.npz')
    with pytest.raises(SpecMismatch, match='checkpoint'):
        Trainer(config(tmp_path, env='Pendulum-v1'))
    after = {p: p.stat().st_mtime_ns for p in tmp_path.rglob('*')}
    kept = tmp_path / 'kept.npz'
    after[kept] = after.pop(tmp_path / 'checkpoint.npz')
    assert after == before


def test_two_runs_in_one_directory_are_refused(tmp_path):
    refused = []

    def second(_):
        if not refused:
            with pytest.raises(ReplayError, match=str(os.getpid())):
                Trainer(config(tmp_path)).run()
            refused.append(True)

    Trainer(config(tmp_path, steps=5)).run(second)
    assert refused


def test_other_network_sizes_are_refused_by_name(tmp_path):
    Trainer(config(tmp_path, steps=30)).run()
    with pytest.raises(CheckpointError, match=r'hidden1.*\(9, .*\(8, '):
        Trainer(config(tmp_path, sac=SACConfig(hidden=9, batch_size=16)))


@pytest.mark.parametrize('damage', [b'', b'no', 'half'])
def test_a_damaged_checkpoint_is_one_clear_error(tmp_path, damage):
    Trainer(config(tmp_path, steps=30)).run()
    file = tmp_path / 'checkpoint.npz'
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2] if damage == 'half' else damage)
    with pytest.raises(CheckpointError, match=r'checkpoint\.npz is not'):
        Trainer(config(tmp_path))


def test_checkpoint_holds_learner_and_notes_and_no_pickle(tmp_path):
    trainer = Trainer(config(tmp_path, steps=30))
    trainer.run()
    state, notes = load_checkpoint(trainer.checkpoint, Trainer(config(tmp_path / 'x')).state)
    assert same(state, trainer.state)
    assert notes['config'] == flatten(trainer.config)
    assert load_notes(trainer.checkpoint) == notes
    with np.load(trainer.checkpoint, allow_pickle=False) as file:
        assert all(file[name].dtype != object for name in file.files)


def test_a_checkpoint_cut_short_at_any_write_leaves_the_old_one(tmp_path):
    """A file-size limit makes the n-th write fail for real, at many n."""
    trainer = Trainer(config(tmp_path, steps=30))
    trainer.run()
    old = trainer.checkpoint.read_bytes()
    command = [
        sys.executable,
        PROGRAMS / 'limited_checkpoints.py',
        trainer.checkpoint,
        tmp_path / 'x',
    ]
    subprocess.run([*command, str(len(old))], check=True)
    assert trainer.checkpoint.read_bytes() == old
    save_checkpoint(trainer.checkpoint, trainer.state, {'spec': trainer.spec.to_json()})
    assert load_notes(trainer.checkpoint)['spec'] == trainer.spec.to_json()
