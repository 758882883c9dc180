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
