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

"""Presets stand for values; what is given beside them replaces those."""

import subprocess
import sys

import pytest
from policy_files import pose_spec, reach_spec

from sac_ros.config.base import build, flatten, settings
from sac_ros.config.robot import ArmConfig, RandomizationConfig
from sac_ros.config.training import SACConfig, TrainConfig
from sac_ros.errors import ConfigError
from sac_ros.spec import PolicySpec
from sac_ros.training.checkpoint import config_of


def test_the_default_preset_is_the_defaults():
    assert build(TrainConfig, {}) == TrainConfig() == build(TrainConfig, {'preset': 'fast'})


def test_sac_is_the_algorithm_with_the_usual_values():
    config = build(TrainConfig, {'preset': 'sac'})
    assert (config.sac.learning_rate, config.sac.gamma, config.sac.tau) == (3e-4, 0.99, 0.005)
    assert (config.gradient_steps, config.sac.batch_size, config.sac.n_critics) == (1, 256, 2)
    assert (config.sac.normalization, config.sac.normalize_observation) == ('none', False)
    assert (config.her_fraction, config.sac.actor_ema_rate, config.sac.bf16) == (0.0, 1.0, False)


@pytest.mark.parametrize(
    ('spec', 'given', 'wanted'),
    [
        (reach_spec(), {}, ('layer', 0)),
        (pose_spec(), {}, ('batch', 51)),  # hindsight has no reward for other orientations
        (PolicySpec.of_sizes(3, 1), {}, ('batch', 51)),
        (PolicySpec.of_sizes(3, 1), {'dropout': 0.01}, ('layer', 51)),
        (reach_spec(), {'normalization': 'batch', 'n_atoms': 7}, ('batch', 0)),
        (reach_spec(), {'critic_loss': 'categorical', 'n_atoms': 7}, ('layer', 7)),
        (PolicySpec.of_sizes(3, 1), {'critic_loss': 'squared'}, ('batch', 0)),
    ],
)
def test_auto_is_decided_by_the_task(spec, given, wanted):
    config = SACConfig(**given).for_spec(spec)
    assert (config.normalization, config.atoms) == wanted


def test_presets_work_alike_in_python_and_by_names():
    assert TrainConfig(preset='sac') == build(TrainConfig, {'preset': 'sac'})
    given = {'randomization.preset': 'sim2real', 'randomization.payload': 0.0}
    by_name = build(TrainConfig, given)
    assert by_name.randomization == RandomizationConfig(preset='sim2real', payload=0.0)
    assert (by_name.randomization.payload, by_name.randomization.torque_error) == (0.0, 0.1)
    assert TrainConfig(preset='sac', sac=SACConfig(gamma=0.9)).sac == SACConfig(gamma=0.9)


def test_a_preset_that_is_switched_off_is_no_randomization():
    off = dict.fromkeys(RandomizationConfig.presets['sim2real'], 0.0)
    assert RandomizationConfig(preset='sim2real').enabled
    assert not RandomizationConfig(preset='sim2real', **off).enabled


EARLIER = {'sac.n_atoms': -1, 'sac.adam_beta1': -1.0, 'sac.normalization': 'auto'}


@pytest.mark.parametrize(
    ('values', 'wanted'),
    [
        ({'sac.caps_sigma': 0.05, 'env': 'Pendulum-v1'}, {'env': 'Pendulum-v1'}),
        ({'sac.n_atoms': 0}, {'sac.critic_loss': 'squared'}),
        ({'sac.n_atoms': 7}, {'sac.critic_loss': 'categorical', 'sac.n_atoms': 7}),
        (
            {'hindsight': 0.0},
            {'her_fraction': 0.0, 'sac.normalization': 'batch', 'sac.critic_loss': 'categorical'},
        ),
        (
            {'realism.preset': 'sim2real', 'realism.payload': 0.0, 'realism.torque_error': 0.2},
            {'randomization.preset': 'sim2real', 'randomization.torque_error': 0.2},
        ),
    ],
)
def test_settings_of_earlier_checkpoints_keep_their_meaning(values, wanted):
    assert config_of({'config': EARLIER | values}) == build(TrainConfig, wanted)


def test_a_given_default_still_replaces_the_value_of_a_preset():
    given = {'preset': 'sac', 'sac.gamma': TrainConfig().sac.gamma, 'steps': 7}
    config = build(TrainConfig, given)
    assert (config.sac.gamma, config.steps) == (TrainConfig().sac.gamma, 7)
    assert config.sac.learning_rate == 3e-4


def test_a_flattened_configuration_comes_back_as_it_was():
    for preset in TrainConfig.presets:
        config = build(TrainConfig, {'preset': preset, 'sac.hidden': 64})
        assert build(TrainConfig, flatten(config)) == config


def test_presets_name_settings_that_exist():
    known = {setting.name for setting in settings(TrainConfig)}
    for values in TrainConfig.presets.values():
        assert set(values) <= known


@pytest.mark.parametrize(
    ('values', 'says'),
    [
        ({'preset': 'slow'}, r"'slow'.*fast, sac"),
        ({'sac.gama': 0.9}, r"unknown setting 'sac.gama'"),
        ({'sac.dropout': 0.1, 'sac.normalization': 'batch'}, 'set normalization to layer or none'),
        ({'sac.n_atoms': 1}, r'n_atoms is 1.*\[2, '),
        ({'her_fraction': 2.0}, r'her_fraction.*\[0, 1\]'),
    ],
)
def test_mistakes_are_named(values, says):
    with pytest.raises(ConfigError, match=says):
        build(TrainConfig, values)
    assert build(ArmConfig, {}) == ArmConfig()


@pytest.mark.parametrize(
    ('old', 'new', 'value'),
    [
        ('hindsight', 'her_fraction', 0.25),
        ('prior_share', 'offline_fraction', 0.25),
        ('sac.actor_average', 'sac.actor_ema_rate', 0.25),
        ('realism.payload', 'randomization.payload', 0.25),
        ('realism.dropped', 'randomization.command_loss_probability', 0.25),
    ],
)
def test_earlier_names_are_accepted(tmp_path, old, new, value):
    assert flatten(build(TrainConfig, {old: value}))[new] == value
    command = [sys.executable, '-m', 'sac_ros', 'inspect-robot', f'--{old}', str(value)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=True)
    assert f'--{old} is deprecated and will be removed: use --{new}' in done.stderr
