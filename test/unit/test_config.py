"""Presets stand for values; what is given beside them replaces those."""

import subprocess
import sys

import pytest

from sac_ros.config.base import build, flatten, settings
from sac_ros.config.training import ArmConfig, SACConfig, TrainConfig
from sac_ros.errors import ConfigError


def test_the_default_preset_is_the_defaults():
    assert build(TrainConfig, {}) == TrainConfig() == build(TrainConfig, {'preset': 'fast'})


def test_sac_is_the_algorithm_with_the_usual_values():
    config = build(TrainConfig, {'preset': 'sac'})
    assert (config.sac.learning_rate, config.sac.gamma, config.sac.tau) == (3e-4, 0.99, 0.005)
    assert (config.gradient_steps, config.sac.batch_size, config.sac.n_critics) == (1, 256, 2)
    assert (config.sac.normalization, config.sac.normalize_observation) == ('none', False)
    assert (config.her_fraction, config.sac.actor_ema_rate, config.sac.bf16) == (0.0, 1.0, False)


@pytest.mark.parametrize(
    ('hindsight', 'given', 'wanted'),
    [
        (True, {}, ('layer', 0, 0.9)),
        (False, {}, ('batch', 51, 0.5)),
        (False, {'dropout': 0.01}, ('layer', 51, 0.9)),
        (True, {'normalization': 'batch'}, ('batch', 0, 0.5)),
        (False, {'normalization': 'none', 'n_atoms': 7, 'adam_beta1': 0.0}, ('none', 7, 0.0)),
    ],
)
def test_what_is_left_open_depends_on_hindsight(hindsight, given, wanted):
    config = SACConfig(**given).resolved(hindsight)
    assert (config.normalization, config.n_atoms, config.adam_beta1) == wanted


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
        ({'sac.n_atoms': 1}, 'at least 2'),
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
