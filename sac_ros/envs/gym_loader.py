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

"""Gymnasium environments by id, from installed packages or modules in the working directory."""

from __future__ import annotations

import ast
import importlib
import shlex
import sys
from pathlib import Path
from typing import Any

import gymnasium

from sac_ros.config.training import TrainConfig
from sac_ros.envs.gym_env import GymEnv, describe, gym_spec
from sac_ros.errors import ConfigError, EnvError
from sac_ros.spec import PolicySpec

WORDS = {'true': True, 'false': False}  # as values, in any case


def make_gym_env(
    config: TrainConfig, env: gymnasium.Env[Any, Any] | None = None
) -> tuple[GymEnv, PolicySpec]:
    """Return the environment of a run, wrapped, and its specification.

    Args:
        config: of the run; `env`, `env_args`, `episode_steps` and `nan_ends_episode` are used.
        env: the environment itself, in place of the one that `config.env` names.

    Raises:
        ConfigError: the arguments cannot be read.
        EnvError: the environment cannot be made, or its spaces cannot be used.
    """
    arguments = parse_arguments(config.env_args)
    if env is None:
        env = _make(config.env, arguments, config.episode_steps)
    identity = config.env
    if arguments:
        identity = ' '.join((identity, *(f'{k}={v!r}' for k, v in sorted(arguments.items()))))
    wrapped = GymEnv(env, config.env, config.episode_steps, config.nan_ends_episode)
    return wrapped, gym_spec(wrapped, identity)


def env_name(env: gymnasium.Env[Any, Any]) -> str:
    """Return the name of an environment object: its id, or its class where it has none."""
    if env.spec is not None:
        return env.spec.id
    kind = type(env.unwrapped)
    return f'{kind.__module__}.{kind.__qualname__}'


def parse_arguments(text: str) -> dict[str, Any]:
    """Read `name=value` words; a value is a Python literal, true, false, or else text.

    Raises:
        ConfigError: a word has no name, or a quotation mark lacks its partner.
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ConfigError(f'env_args is {text!r}: {error}') from error
    arguments: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition('=')
        if not (equals and name.isidentifier()):
            raise ConfigError(
                f'env_args has {word!r}; give name=value words, as in '
                f"'difficulty=3 port=/dev/ttyUSB0'"
            )
        arguments[name] = _value(value)
    return arguments


def _value(text: str) -> Any:
    if text.lower() in WORDS:
        return WORDS[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError):
        return text


def _make(env_id: str, arguments: dict[str, Any], episode_steps: int) -> gymnasium.Env[Any, Any]:
    _import_module(env_id)
    try:
        # The checker's complaints have several lines; GymEnv has its own.
        made: gymnasium.Env[Any, Any] = gymnasium.make(
            env_id,
            max_episode_steps=episode_steps or None,
            disable_env_checker=True,
            **arguments,
        )
    except Exception as error:  # a constructor may fail in any way
        hint = '; arguments are given with --env_args' if isinstance(error, TypeError) else ''
        raise EnvError(f'cannot make environment {env_id!r}: {describe(error)}{hint}') from error
    return made


def _import_module(env_id: str) -> None:
    """Import the module of `module:id`, which may lie in the working directory."""
    module, colon, _ = env_id.partition(':')
    if not colon:
        return
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)  # behind what is installed: a file here must not replace that
    try:
        importlib.import_module(module)
    except Exception as error:  # the user's code may fail in any way
        hint = f'; write {module[:-3]}:ID, without .py' if module.endswith('.py') else ''
        raise EnvError(
            f'cannot import {module!r} of environment {env_id!r}: {describe(error)}{hint}'
        ) from error
