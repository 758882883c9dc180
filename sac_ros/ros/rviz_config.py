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

"""The view for RViz, fitted to the size of an arm and to its table."""

from __future__ import annotations

import hashlib
import math
import os
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from sac_ros.filesystem import write_atomically


class ViewedArm(NamedTuple):
    """The parts of an arm that the view depends on."""

    base_frame: str
    reach: float  # [m]
    table: float | None  # [m] its height in the base frame


def write_view(template: Path, arm: ViewedArm) -> Path:
    """Write the view for an arm into the cache and return the file.

    Raises:
        StorageError: the disk fails.
    """
    text = yaml.safe_dump(fit_view(yaml.safe_load(template.read_text()), arm), sort_keys=False)
    cache = Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache')
    name = hashlib.sha256(text.encode()).hexdigest()[:16]
    path = cache / 'sac_ros' / 'rviz' / f'{name}.rviz'
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text.encode())
    return path


def fit_view(view: dict[str, Any], arm: ViewedArm) -> dict[str, Any]:
    """Fit camera, grids and frames of a view, which is changed in place, to an arm."""
    manager = view['Visualization Manager']
    manager['Global Options']['Fixed Frame'] = arm.base_frame
    ground, cell = arm.table or 0.0, _round_length(arm.reach / 7)
    for display in manager['Displays']:
        kind = display['Class'].rpartition('/')[2]
        if kind == 'Grid':
            display['Cell Size'] = cell
            above = 0.4 * arm.reach if display['Offset']['Z'] > 0 else 0.0
            display['Offset']['Z'] = round(ground + above, 3)
        if kind == 'TF':
            display['Marker Scale'] = round(0.4 * arm.reach, 3)
    camera = manager['Views']['Current']
    camera['Distance'] = round(1.9 * arm.reach, 3)
    camera['Focal Point']['Z'] = round(0.35 * arm.reach, 3)
    return view


def _round_length(length: float) -> float:
    """Return the largest of 1, 2 and 5 times a power of ten that is not above a length [m]."""
    power = 10.0 ** math.floor(math.log10(length))
    return round(max(step * power for step in (1, 2, 5) if step * power <= length * 1.001), 6)
