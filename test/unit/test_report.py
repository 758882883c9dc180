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

"""The parts of the report against independent computations, and runs that lack something."""

import shutil
import sys
from base64 import b64decode

import numpy as np
import pytest
import torch
from report_runs import train_arm

from sac_ros.cli.main import main
from sac_ros.errors import ConfigError, ReplayError
from sac_ros.replay.format import segment_path
from sac_ros.report.boltzmann import GRID, basins, boltzmann, recorded_states
from sac_ros.report.critics import compare, soft_returns
from sac_ros.report.curves import curves, mean_and_spread
from sac_ros.report.overview import overview, warnings
from sac_ros.report.page import page, run_parts, write_page
from sac_ros.report.replay import replay
from sac_ros.report.run import open_run
from sac_ros.training.tensorboard import EventLog, read_scalars


@pytest.fixture(scope='module')
def run_dir(tmp_path_factory):
    return train_arm(tmp_path_factory.mktemp('runs') / 'one', seed=0)


@pytest.fixture
def copied(run_dir, tmp_path):
    return shutil.copytree(run_dir, tmp_path / 'copy')


def test_scalars_are_read_back_up_to_a_torn_end(tmp_path):
    log = EventLog(tmp_path)
    log.scalars(250, {'train/ent_coef': 0.5, 'a': 1.0})
    log.picture(250, 'film', b'bytes', 2, 2)
    log.scalars(500, {'train/ent_coef': 0.25})
    log.close()
    log.path.write_bytes(log.path.read_bytes() + b'\x10\x00\x00')
    assert read_scalars(tmp_path) == {'train/ent_coef': [(250, 0.5), (500, 0.25)], 'a': [(250, 1)]}


def test_basins_are_split_at_the_valley_of_the_highest_peaks():
    x = np.linspace(-1, 1, 121)
    two = np.exp(-(((x - 0.5) / 0.2) ** 2)) + 0.6 * np.exp(-(((x + 0.5) / 0.2) ** 2))
    valley = int(np.argmin(two[30:90])) + 30
    assert basins(two) == [[valley, 120], [0, valley]]
    assert basins(two + 0.005 * np.cos(40 * x)) == pytest.approx(
        np.array([[valley, 120], [0, valley]]), abs=4
    )
    assert basins(-(x**2)) == [[0, 120]]
    assert len(basins(np.zeros(121))) == 1


def test_soft_returns_of_constant_rewards_have_a_closed_form():
    gamma, alpha, reward, log_prob = 0.9, 0.5, 1.0, -2.0
    ended = soft_returns(np.full(50, reward), np.full(50, log_prob), gamma, alpha, None)
    left = 49 - np.arange(50)  # steps after this one
    geometric = (1 - gamma**left) / (1 - gamma)
    expected = reward + gamma * geometric * (reward - alpha * log_prob)
    np.testing.assert_allclose(ended, expected)
    forever = reward + gamma / (1 - gamma) * (reward - alpha * log_prob)
    kept = soft_returns(np.full(50, reward), np.full(50, log_prob), gamma, alpha, forever)
    np.testing.assert_allclose(kept, forever)


def test_mean_and_spread_cover_the_steps_that_all_runs_have():
    one = [(0, 0.0), (10, 1.0), (20, 2.0)]
    other = [(5, 2.0), (25, 2.0)]
    assert mean_and_spread([one, other]) == {
        'x': [10, 20], 'y': [1.5, 2.0],
        'low': pytest.approx([1.5 - 0.5**0.5, 2.0]), 'high': pytest.approx([1.5 + 0.5**0.5, 2.0]),
    }  # fmt: skip
    assert mean_and_spread([one, []]) == {}


def test_landscapes_are_the_least_critic_at_the_executed_action(run_dir):
    run = open_run(run_dir)
    learner, part = run.learner, boltzmann(run)
    q = np.frombuffer(b64decode(part['q']['f32']), '<f4')
    q = q.reshape(part['q']['shape'])
    top = np.frombuffer(b64decode(part['q_max']['f32']), '<f4')
    top = top.reshape(part['q_max']['shape'])
    _, observations = recorded_states(run.replay)
    row = torch.from_numpy(observations[3:4])
    with torch.no_grad():
        residual = torch.tanh(learner.sac.distribution(learner.state, row)[0])
        for joint in range(learner.spec.n_action):
            for k in (0, 30, 120):
                residual_k = residual.clone()
                residual_k[0, joint] = float(GRID[k])
                action = learner.sac.to_action(row, residual_k)
                direct = learner.sac.value(learner.state, row, action).min().item()
                assert q[3, joint, k] + top[3, joint] == pytest.approx(direct, abs=1e-5)
    assert part['residual'] and max(part['authority']) > 0.01


def test_values_are_compared_with_what_the_same_policy_earned(run_dir):
    learner = open_run(run_dir).learner
    found = compare(learner, episodes=2, counted=5)
    assert found.q.shape == (2, 10) and found.returns.shape == (10,)
    off = found.q.min(axis=0) - found.returns
    assert found.bias()[0] == pytest.approx(off.mean())
    again = compare(learner, episodes=2, counted=5)
    np.testing.assert_array_equal(found.returns, again.returns)


def test_curves_average_runs_that_differ_only_in_the_seed(run_dir):
    other = train_arm(run_dir.parent / 'two', seed=1)
    charts = curves([open_run(run_dir), open_run(other)])
    assert charts['groups'] == ['mean of 2 runs']
    titles = {chart['title']: chart for chart in charts['charts']}
    assert {'Return', 'Success', 'Final distance'} <= set(titles)
    returns = titles['Return']
    assert {s['run'] for s in returns['series']} == {0, 1}
    assert [m['name'] for m in returns['means']] == ['evaluation']


def test_the_overview_names_differences_and_warnings(run_dir):
    run = open_run(run_dir)
    shown = overview(run, {})
    changed = {item['name']: item['value'] for item in shown['settings']}
    assert changed['steps'] == '60' and 'sac.tau' not in changed and 'run_dir' not in changed
    assert shown['result']['source'] == 'the last of 2 evaluations during training'
    arm = {'joints': ['a', 'b'], 'at_limit': [0.38, 0.0], 'episodes': [{'success': True}]}
    bias = [{'bias': 2.1, 'error': 0.1}]
    found = warnings(run, {
        'arm': arm, 'critics': {'over_training': bias, 'return_size': 10.0},
        'replay': {'damaged': 3},
    })  # fmt: skip
    assert 'a is at its torque limit in 38 % of steps' in found
    assert 'critics overestimate by 2.1, where the return is 10' in found
    assert not any(text.startswith('b ') for text in found)
    assert any(text.startswith('3 records') for text in found)


def test_every_part_of_an_arm_is_made_and_the_page_is_small(run_dir, tmp_path):
    path = tmp_path / 'page.html'
    assert write_page([run_dir], path) == []
    assert path.stat().st_size < 4e6
    assert list(tmp_path.iterdir()) == [path]


def test_a_run_without_checkpoint_keeps_the_other_parts(copied):
    (copied / 'checkpoint.npz').unlink()
    (copied / 'best.npz').unlink()
    parts = run_parts(open_run(copied))['parts']
    for name in ('boltzmann', 'critics', 'arm'):
        assert list(parts[name]) == ['missing']
    assert parts['replay']['records'] == 60
    assert any('checkpoint.npz' in line for line in parts['overview']['missing'])
    assert parts['overview']['result']['passes']


def test_a_damaged_checkpoint_is_replaced_by_the_best_one(copied):
    content = bytearray((copied / 'checkpoint.npz').read_bytes())
    content[len(content) // 2] ^= 1
    (copied / 'checkpoint.npz').write_bytes(content)
    run = open_run(copied)
    assert run.learner_file == 'best.npz'
    assert any('best.npz' in text for text in overview(run, {})['warnings'])


def test_damaged_records_are_counted(copied):
    segment = segment_path(copied / 'replay', 0)
    content = bytearray(segment.read_bytes())
    content[2_000] ^= 1
    segment.write_bytes(content)
    assert replay(open_run(copied))['damaged'] == 1


def test_a_run_in_progress_says_so(copied):
    rows = (copied / 'evaluations.jsonl').read_text().splitlines()
    (copied / 'evaluations.jsonl').write_text(rows[0] + '\n{"step": 60, "mea')
    shutil.rmtree(copied / 'replay')
    run = open_run(copied)
    assert any('one evaluation only' in text for text in overview(run, {})['warnings'])
    for part in (replay, boltzmann):
        with pytest.raises(ReplayError):
            part(run)


def test_another_environment_gets_what_needs_no_arm(tmp_path, capsys):
    words = (
        'train --env Pendulum-v1 --steps 60 --learning_starts 20 --gradient_steps 1'
        ' --eval_every 60 --eval_episodes 1 --final_eval_episodes 1 --no-compile'
        ' --sac.hidden 16 --sac.gamma 0.9 --report --run_dir'
    )
    assert main([*words.split(), str(tmp_path)]) == 0
    assert (tmp_path / 'report.html').exists()
    out = capsys.readouterr().out
    assert 'sac_ros report' in out and 'left out:' in out
    run = open_run(tmp_path)
    made = run_parts(run)
    parts = made['parts']
    assert parts['arm'] == {
        'missing': 'Pendulum-v1 is not an arm: it has no playback and no torques'
    }
    assert parts['boltzmann']['links'] is None and not parts['boltzmann']['residual']
    assert parts['critics']['states'] > 0 and parts['replay']['tips'] is None
    assert page({'curves': curves([run]), 'runs': [made]}, '')


def test_bad_input_is_one_line(tmp_path, capsys, monkeypatch, run_dir):
    assert main(['report', str(tmp_path / 'nothing')]) == 2
    assert 'is no directory' in capsys.readouterr().err
    with pytest.raises(ConfigError, match='not the directory of a run'):
        open_run(tmp_path)
    monkeypatch.setitem(sys.modules, 'plotly.offline', None)
    assert main(['report', str(run_dir), '-o', str(tmp_path / 'r.html')]) == 2
    err = capsys.readouterr().err
    assert "pip install 'sac_ros[report]'" in err and err.count('\n') == 1
