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

"""Values of a Gymnasium environment are copied and checked; unusable ones are refused."""

import logging
import re
import shutil
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete
from gymnasium.utils.env_checker import check_env
from paths import DATA

from sac_ros.cli.main import main
from sac_ros.config.training import TrainConfig
from sac_ros.deploy.policy_file import find_policy
from sac_ros.envs.gym_env import GymEnv, gym_spec
from sac_ros.envs.gym_loader import make_gym_env, parse_arguments
from sac_ros.errors import ConfigError, EnvError
from sac_ros.training.evaluation import EVALUATION_STEPS, evaluate


class Counter(gymnasium.Env):
    """Shows the number of the step; truncates after `length` steps."""

    action_space = Box(-2, 2, (2,), np.float32)
    observation_space = Box(-np.inf, np.inf, (2,), np.float32)

    def __init__(self, length=5):
        self.length, self.steps = length, 0

    def observe(self):
        return np.array([self.steps, 1], np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return self.observe(), {}

    def step(self, action):
        self.steps += 1
        return self.observe(), 1.0, False, self.steps >= self.length, {}


class InPlace(Counter):
    """Always gives the same array, and changes the action that it is given."""

    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.buffer = np.zeros(2, np.float32)

    def observe(self):
        self.buffer[:] = super().observe()
        return self.buffer

    def step(self, action):
        action *= 0
        return super().step(action)


def step_giving(env=None, **changes):
    """Make the wrapped environment whose step gives other values, by position or name."""
    names = ('observation', 'reward', 'terminated', 'truncated', 'info')

    class Changed(Counter):
        def step(self, action):
            values = dict(zip(names, super().step(action), strict=True))
            return tuple({**values, **changes}.values())

    wrapped = GymEnv(Changed(), 'Changed')
    wrapped.reset(seed=0)
    return wrapped


def with_spaces(action=Counter.action_space, observation=Counter.observation_space):
    env = Counter()
    env.action_space, env.observation_space = action, observation
    return env


ZERO = np.zeros(2, np.float32)


@pytest.mark.parametrize('kind', [Counter, InPlace])
def test_nothing_is_shared_with_the_environment(kind):
    env = GymEnv(kind(), 'c')
    action = np.ones(2, np.float32)
    seen = [env.reset(seed=0)[0]]
    seen += [env.step(action)[0] for _ in range(5)]
    assert [row.tolist() for row in seen] == [[i, 1] for i in range(6)]
    assert action.tolist() == [1, 1]
    seen[-1][:] = -1
    assert env.step(action)[0].tolist() == [6, 1]


@pytest.mark.parametrize('kind', [Counter, InPlace])
def test_passes_the_checker(kind):
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        check_env(GymEnv(kind(), 'c'), skip_render_check=True)


@pytest.mark.parametrize(
    ('spaces', 'message'),
    [
        ({'action': Box(0, 10, (2,), np.int64)}, 'int64.*floating-point numbers is needed'),
        ({'action': Box(-np.inf, np.inf, (2,))}, 'unbounded.*RescaleAction'),
        ({'action': Box(-3.4e38, 3.4e38, (2,))}, 'unbounded.*RescaleAction'),
        ({'action': Box(np.array([-1.0, 0]), np.array([1.0, 0]), dtype=np.float64)}, 'action 1'),
        ({'action': Box(-1, 1, ())}, 'one-dimensional'),
        ({'action': Box(-1, 1, (2, 1))}, 'one-dimensional'),
        ({'action': Box(-1, 1, (0,))}, 'one-dimensional'),
        ({'action': Discrete(3)}, 'Discrete'),
        ({'observation': Box(-1, 1, (0,))}, 'not empty'),
        ({'observation': Box(0, 255, (4, 4, 3), np.uint8)}, 'FlattenObservation'),
        ({'observation': Dict(a=Box(-1, 1, (2,)))}, 'FlattenObservation'),
        ({'observation': Discrete(5)}, 'FlattenObservation'),
    ],
)
def test_a_space_that_cannot_be_used_is_refused_in_one_line(spaces, message):
    with pytest.raises(EnvError, match=f'^name.*{message}') as caught:
        GymEnv(with_spaces(**spaces), 'name')
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ({'reward': None}, 'reward must be a number, is None'),
        ({'reward': np.zeros(2)}, 'reward must be a number'),
        ({'reward': 'much'}, "step failed: ValueError: could not convert string to float: 'much'"),
        ({'reward': np.nan}, 'reward of step 1 is NaN.*--nan_ends_episode'),
        ({'reward': -1e30}, 'reward of step 1'),
        ({'observation': np.array([np.inf, 0])}, 'observation of step 1'),
        ({'observation': np.array([1e39, 0])}, 'observation of step 1'),
        ({'observation': None}, 'an observation has shape'),
        (
            {'observation': np.zeros(3)},
            r'an observation has shape \(3,\), the observation space has \(2,\)',
        ),
        ({'terminated': np.zeros(2)}, 'step failed: ValueError.*ambiguous'),
        ({'info': None}, "step failed: TypeError: 'NoneType'"),
        ({'info': {'is_success': np.zeros(2)}}, 'is_success must be a number'),
        ({'info': {'executed_action': [0.0]}}, 'executed_action must be 2 finite numbers'),
        ({'more': 1}, 'step must return .*it returned 6 values'),
    ],
)
def test_a_step_that_gives_no_numbers_is_one_line(values, message):
    with pytest.raises(EnvError, match=f'^Changed: {message}') as caught:
        step_giving(**values).step(ZERO)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ('values', 'index', 'expected'),
    [
        ({'observation': [3, 4]}, 0, [3, 4]),
        ({'observation': np.array([[3.0], [4.0]])}, 0, [3, 4]),
        ({'reward': np.array([2.5])}, 1, 2.5),
        ({'reward': 1}, 1, 1.0),
        ({'terminated': np.bool_(True)}, 2, True),
        ({'info': {'is_success': None}}, 4, {}),
        ({'info': {'is_success': np.array([1.0])}}, 4, {'is_success': 1.0}),
        ({'info': {'is_success': True}}, 4, {'is_success': 1.0}),
    ],
)
def test_what_is_meant_is_understood(values, index, expected):
    got = step_giving(**values).step(ZERO)[index]
    assert (got.tolist() if index == 0 else got) == expected


def test_an_executed_action_is_in_units_of_the_environment():
    info = {'executed_action': np.array([1.0, -2.0])}
    *_, got = step_giving(info=info).step(ZERO)
    assert got['executed_action'].tolist() == [0.5, -1.0]


def test_errors_of_the_environment_say_where():
    class Broken(Counter):
        def reset(self, *, seed=None, options=None):
            raise RuntimeError('no\nconnection')

        def step(self, action):
            return 1 / 0

    env = GymEnv(Broken(), 'Broken')
    with pytest.raises(EnvError, match=rf'^Broken: reset failed: RuntimeError: no .*{__file__}:'):
        env.reset(seed=0)
    with pytest.raises(EnvError, match=r'^Broken: step failed: ZeroDivisionError: .*\.py:\d+\)$'):
        env.step(ZERO)


def test_an_old_reset_is_refused():
    class Old(Counter):
        def reset(self, *, seed=None, options=None):
            return super().reset(seed=seed)[0]

    with pytest.raises(EnvError, match=r'reset must return \(observation, info\)'):
        GymEnv(Old(), 'old').reset(seed=0)


def test_nan_can_end_an_episode(caplog):
    class Spoiled(Counter):
        def observe(self):
            return super().observe() if self.steps < 3 else np.full(2, np.nan)

    env = GymEnv(Spoiled(), 'Spoiled', nan_ends_episode=True)
    for _ in range(2):
        env.reset(seed=0)
        assert not any(env.step(ZERO)[3] for _ in range(2))
        observation, reward, terminated, truncated, info = env.step(ZERO)
        assert observation.tolist() == [2, 1]
        assert (reward, terminated, truncated, info) == (0.0, False, True, {'invalid': True})
    assert caplog.text.count('observation of step 3') == 1


@pytest.mark.parametrize(
    ('dt', 'period', 'warns'),
    [(0.05, 0.05, 0), (None, 1.0, 0), (-0.05, 1.0, 1), (lambda: 0.05, 1.0, 1), ('a', 1.0, 1)],
    ids=['number', 'None', 'negative', 'method', 'text'],
)
def test_the_control_period_is_a_positive_dt(caplog, dt, period, warns):
    env = Counter()
    env.dt = dt
    name = f'env{dt}'
    assert gym_spec(GymEnv(env, name), name).control_period == period
    assert caplog.text.count('its dt is no time') == warns


def test_a_limit_truncates_any_environment():
    env = GymEnv(Counter(10**9), 'endless', episode_steps=4)
    env.reset(seed=0)
    assert [env.step(ZERO)[3] for _ in range(4)] == [False, False, False, True]
    gymnasium.register('Endless-v0', lambda: Counter(10**9), max_episode_steps=7)
    assert make_gym_env(TrainConfig(env='Endless-v0'))[0].episode_steps == 7
    longer = make_gym_env(TrainConfig(env='Endless-v0', episode_steps=9))[0]
    longer.reset(seed=0)
    assert [longer.step(ZERO)[3] for _ in range(9)] == [False] * 8 + [True]


def test_an_evaluation_ends_although_episodes_do_not(caplog):
    result = evaluate(GymEnv(Counter(10**9), 'endless'), lambda _: ZERO, 2)
    assert result.mean_return == EVALUATION_STEPS
    assert '2 of 2 episodes were cut off' in caplog.text
    caplog.clear()
    limited = GymEnv(Counter(10**9), 'endless', episode_steps=1500)
    assert evaluate(limited, lambda _: ZERO, 1).mean_return == 1500
    assert not caplog.text


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('', {}),
        ('n=3 x=-1.5e-3 port=/dev/ttyUSB0', {'n': 3, 'x': -1.5e-3, 'port': '/dev/ttyUSB0'}),
        ("limits='(1, 2)' flag=false other=True none=None",
         {'limits': (1, 2), 'flag': False, 'other': True, 'none': None}),
        ("text='two words' empty=", {'text': 'two words', 'empty': ''}),
    ],
)  # fmt: skip
def test_arguments_are_literals_or_text(text, expected):
    assert parse_arguments(text) == expected


@pytest.mark.parametrize('text', ['3', '=3', 'a-b=3', "a='3"])
def test_arguments_that_cannot_be_read_are_refused(text):
    with pytest.raises(ConfigError, match='env_args'):
        parse_arguments(text)


FEW = (
    '--steps', '30', '--learning_starts', '10', '--gradient_steps', '1', '--eval_every', '20',
    '--eval_episodes', '1', '--final_eval_episodes', '1', '--no-compile', '--no-tensorboard',
    '--sac.hidden', '8',
)  # fmt: skip


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    """A module of environments in the working directory, under a name of its own."""
    name = f'own_{tmp_path.name.replace("-", "_")}'
    shutil.copy(DATA / 'plain_env.py', tmp_path / f'{name}.py')
    (tmp_path / 'broken_envs.py').write_text('this is no Python\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend('/nowhere')  # restores sys.path afterwards
    return name


def run(capsys, *arguments):
    status = main(list(arguments))
    return status, capsys.readouterr().err.strip()


def test_a_module_in_the_working_directory(own_module, capsys, caplog):
    env = ('--env', f'{own_module}:Plain-v0')
    train = ('train', *env, '--run_dir', 'r', *FEW)
    assert run(capsys, *train, '--env_args', 'port=a')[0] == 0
    assert find_policy('r').exists()
    assert run(capsys, 'evaluate', 'r', '--episodes', '2')[0] == 0  # with the run's arguments
    caplog.set_level(logging.INFO)
    status, text = run(capsys, *train, '--env_args', 'port=b', '--steps', '40')
    assert status == 2 and 'model_hash' in text and "port='b'" in text
    spaced = TrainConfig(env=f'{own_module}:arm/Plain-v0', env_args='port=a length=3')
    assert make_gym_env(spaced)[0].unwrapped.length == 3


@pytest.mark.parametrize(
    ('env', 'arguments', 'message'),
    [
        ('OWN:Plain-v0', '', "missing 1 required positional argument: 'port'.*--env_args"),
        ('OWN:Plain-v0', 'port=absent', 'ConnectionError: no controller on absent'),
        ('OWN:Plain-v0', 'port=a wrong=1', "unexpected keyword argument 'wrong'.*--env_args"),
        ('OWN:Plain-v0', 'port', 'env_args'),
        ('OWN:Other-v0', '', 'Other'),
        ('OWN.py:Plain-v0', '', 'without .py'),
        ('broken_envs:Plain-v0', '', 'SyntaxError'),
        ('no_such_module:Plain-v0', '', "No module named 'no_such_module'"),
        ('a:b:c', '', 'a'),
        ('', '', "''"),
    ],
)
def test_an_environment_that_cannot_be_made_is_one_line(
    own_module, capsys, env, arguments, message
):
    env = env.replace('OWN', own_module)
    status, text = run(
        capsys, 'train', '--env', env, '--env_args', arguments, '--run_dir', 'r', *FEW
    )
    assert status == 2
    assert len(text.splitlines()) == 1
    assert re.search(message, text), text
