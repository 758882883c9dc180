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

"""The page: every part of every run, the library that draws and our own drawing, in one file."""

from __future__ import annotations

import base64
import gzip
import html
import json
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from sac_ros import __version__
from sac_ros.errors import ConfigError, SacRosError
from sac_ros.filesystem import write_atomically
from sac_ros.report.arm import arm
from sac_ros.report.boltzmann import boltzmann
from sac_ros.report.critics import critics
from sac_ros.report.curves import curves
from sac_ros.report.overview import overview
from sac_ros.report.replay import replay
from sac_ros.report.run import Run, open_run

PARTS: dict[str, Callable[[Run], dict[str, Any]]] = {
    'boltzmann': boltzmann,
    'critics': critics,
    'arm': arm,
    'replay': replay,
}
SCRIPTS = (
    'page',
    'overview',
    'curves',
    'integral',
    'boltzmann',
    'critics',
    'skeleton',
    'arm',
    'replay',
)


def write_page(run_dirs: Sequence[Path], path: Path) -> list[str]:
    """Write the report of some runs into an HTML file; return what is missing in it.

    Raises:
        ConfigError: a directory is not that of a run, or plotly is not installed.
        StorageError: the disk fails.
    """
    library = plotly_source()
    runs = [open_run(run_dir) for run_dir in run_dirs]
    made = [run_parts(run) for run in runs]
    content = {'version': __version__, 'curves': curves(runs), 'runs': made}
    write_atomically(path, page(content, library).encode())
    return [
        f'{run["name"]}: {name}: {part["missing"]}'
        for run in made
        for name, part in run['parts'].items()
        if name in PARTS and list(part) == ['missing']
    ]


def run_parts(run: Run) -> dict[str, Any]:
    """Return the parts of a run; one that cannot be made has only the reason, as `missing`."""
    parts: dict[str, dict[str, Any]] = {}
    for name, make in PARTS.items():
        try:
            parts[name] = make(run)
        except SacRosError as error:
            parts[name] = {'missing': str(error)}
    return {'name': run.name, 'parts': {'overview': overview(run, parts), **parts}}


def page(content: dict[str, Any], library: str) -> str:
    """Return the HTML. Content and library are compressed; the browser unpacks them.

    Args:
        content: JSON of the page.
        library: JavaScript of plotly.
    """
    title = 'sac_ros report: ' + ', '.join(run['name'] for run in content['runs'])
    text = json.dumps(content, allow_nan=False, separators=(',', ':'))
    parts = {
        'TITLE': html.escape(title),
        'STYLE': _read('page.css'),
        'SCRIPT': '\n'.join(_read(f'{name}.js') for name in SCRIPTS),
        'DATA': _compressed(text),
        'PLOTLY': _compressed(library),
    }
    text = _read('page.html')
    for name, part in parts.items():
        text = text.replace(f'<!--{name}-->', part)
    return text


def _compressed(text: str) -> str:
    return base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()


def _read(name: str) -> str:
    return (resources.files('sac_ros.report') / 'page' / name).read_text()


def plotly_source() -> str:
    """Return the JavaScript of plotly.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise ConfigError(
            "a report needs plotly; install the extra: pip install 'sac_ros[report]'"
        ) from error
    library: str = get_plotlyjs()
    return library
