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

"""The best policy of a run is kept, remembered across resumes, and deployed where it is better."""

import dataclasses
import json

import pytest
import torch
from small_runs import config, stop_at
from tensors import same

from sac_ros.config.robot import ControllerConfig
from sac_ros.deploy.policy_file import find_policy
from sac_ros.errors import CheckpointError
from sac_ros.training.acceptance_figures import measure_pass
from sac_ros.training.checkpoint import load_notes
from sac_ros.training.result import export_chosen, finish
from sac_ros.training.trainer import Trainer


def figures_in_order(monkeypatch, distances):
    """Let the evaluations of trainers have these distances [mm] in order; count them."""
    left = iter(distances)

    def scripted(*arguments):
        figures = measure_pass(*arguments)
        return dataclasses.replace(
            figures, success=1.0, faults=0, contacts=0, distance_p95=next(left)
        )

    monkeypatch.setattr('sac_ros.training.evaluator.measure_pass', scripted)


def test_the_untrained_policy_is_the_first_candidate(tmp_path):
    trainer = Trainer(config(tmp_path, steps=30))
    untrained = trainer.state
    trainer.run()
    assert trainer.best.step == 0
    assert same(trainer.best.load(trainer.state), untrained)
    rows = [json.loads(line) for line in (tmp_path / 'evaluations.jsonl').open()]
    assert [row['step'] for row in rows] == [0]
    assert {'mean_return', 'success_rate', 'faults', 'distance_p95', 'chatter'} < set(rows[0])


def test_what_was_best_is_remembered_across_resumes(tmp_path, monkeypatch):
    figures_in_order(monkeypatch, [90.0, 30.0, 50.0, 40.0, 20.0])
    stop_at(tmp_path, 60)  # evaluated at 0 and 50
    before = (tmp_path / 'best.npz').read_bytes()
    again = Trainer(config(tmp_path, steps=150))
    assert again.best.step == 50
    again.run()  # at 100 and 150, neither is better
    assert (tmp_path / 'best.npz').read_bytes() == before
    last = Trainer(config(tmp_path, steps=200))
    last.run()
    assert last.best.step == load_notes(tmp_path / 'best.npz')['step'] == 200


def test_a_best_of_other_settings_is_ignored_damage_is_named(tmp_path):
    Trainer(config(tmp_path, steps=30)).run()
    assert Trainer(config(tmp_path, eval_episodes=2)).best.step is None
    file = tmp_path / 'best.npz'
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match=r'best\.npz'):
        Trainer(config(tmp_path))


@pytest.mark.parametrize('better', ['best', 'last'])
def test_the_better_policy_is_the_one_to_deploy(tmp_path, monkeypatch, better):
    figures_in_order(monkeypatch, [11.0, 12.0])
    trainer = Trainer(config(tmp_path, steps=60, final_eval_episodes=1))
    trainer.run()
    ranks = iter([(1.0,), (0.0,)] if better == 'best' else [(0.0,), (1.0,)])
    monkeypatch.setattr('sac_ros.training.acceptance.Acceptance.rank', lambda _: next(ranks))
    result = finish(trainer)
    assert result.deployed == better
    assert result.step == {'best': 0, 'last': 60}[better]
    files = {name: tmp_path / f'policy_{name}.onnx' for name in ('best', 'last')}
    assert files['best'].read_bytes() != files['last'].read_bytes()
    deployed = find_policy(tmp_path)
    assert deployed.read_bytes() == files[better].read_bytes()
    told = json.loads((tmp_path / 'acceptance.json').read_text())
    assert (told['deployed'], told['step']) == (better, result.step)
    assert len(result.goal) == 3
    deployed.unlink()
    assert export_chosen(trainer)[0] == better
    assert deployed.read_bytes() == files[better].read_bytes()
    assert torch.isfinite(torch.tensor(result.goal)).all()


def test_a_policy_worse_than_the_base_controller_is_not_deployed(tmp_path, monkeypatch):
    figures_in_order(monkeypatch, [12.0, 11.0])
    trainer = Trainer(
        config(tmp_path, steps=60, final_eval_episodes=1, controller=ControllerConfig())
    )
    trainer.run()
    ranks = iter([(1.0,), (1.0,), (0.0,)])
    monkeypatch.setattr('sac_ros.training.acceptance.Acceptance.rank', lambda _: next(ranks))
    result = finish(trainer)
    assert (result.deployed, result.step) == ('untrained', 0)
    untrained = (tmp_path / 'policy_untrained.onnx').read_bytes()
    assert (tmp_path / 'policy.onnx').read_bytes() == untrained
    assert export_chosen(trainer)[0] == 'untrained'
