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

"""Command-line parsers that name the closest option, and the configuration that options make."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from sac_ros.config.base import build, settings
from sac_ros.config.training import TrainConfig

NEGATIVE_NUMBER = re.compile(r'^-(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$')


class Parser(argparse.ArgumentParser):
    """A parser without abbreviations; `complete` adds its options when they are needed first.

    Subparsers are of this class as well, so each command reports its own unknown options.
    """

    def __init__(
        self, *args: Any, complete: Callable[[Parser], None] | None = None, **options: Any
    ) -> None:
        super().__init__(*args, **{'allow_abbrev': False, **options})
        self._complete = complete
        self._negative_number_matcher = NEGATIVE_NUMBER  # argparse lacks the exponent

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse all arguments; an unknown one ends the program with status 2."""
        complete, self._complete = self._complete, None
        if complete is not None:
            complete(self)
        result, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(self._explain(unknown[0]))
        return result, []

    def error(self, message: str) -> NoReturn:
        """Print one line and end the program with status 2."""
        hint = '' if 'did you mean' in message else f'; see {self.prog} --help'
        self.exit(2, f'{self.prog}: {message}{hint}\n')

    def _explain(self, word: str) -> str:
        name = word.partition('=')[0]
        if not name.startswith('-'):
            return f'unexpected argument {word!r}'
        close = difflib.get_close_matches(name, self._option_string_actions, 1)
        return f'unknown option {name}' + (f'; did you mean {close[0]}?' if close else '')


def given_settings(options: argparse.Namespace) -> dict[str, Any]:
    """Return the settings of training among the options of a command, by dotted names."""
    known = {item.name for item in settings(TrainConfig)}
    return {name: value for name, value in vars(options).items() if name in known}


def config_from(options: argparse.Namespace) -> TrainConfig:
    """Return the configuration that the options of a command make.

    Raises:
        ConfigError: a value is outside its range.
    """
    config: TrainConfig = build(TrainConfig, given_settings(options))
    return config
