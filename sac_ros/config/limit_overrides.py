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

"""Limits of joints that are given by name in a setting."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

import numpy as np

from sac_ros.errors import ModelError


def parse_limit_overrides(text: str, names: Sequence[str], setting: str) -> dict[str, float]:
    """Read `pattern=value` pairs into a value per joint.

    Raises:
        ModelError: a pair has another form, a value is not above zero, or nothing has that name.
    """
    values: dict[str, float] = {}
    for pair in filter(None, (part.strip() for part in text.split(','))):
        pattern, _, number = pair.partition('=')
        try:
            value = float(number)
        except ValueError:
            value = 0.0
        matching = [name for name in names if fnmatchcase(name, pattern.strip())]
        if not (matching and 0 < value < np.inf):
            raise ModelError(
                f'{setting}: {pair!r} is not JOINT=NUMBER with a number above zero and one of '
                f'the joints {", ".join(names)}'
            )
        values |= dict.fromkeys(matching, value)
    return values
