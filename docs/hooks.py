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

"""MkDocs hooks: pages from files outside docs/, and settings tables from the dataclasses."""

from __future__ import annotations

import dataclasses
import importlib
import itertools
import math
import re
from pathlib import Path
from typing import Any, get_type_hints

from sac_ros.config.base import Config, Setting, settings

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / 'benchmarks/results'
PAGES = {
    'README.md': 'index.md',
    'CONTRIBUTING.md': 'contributing.md',
    'SECURITY.md': 'reporting.md',
}
MARKER = re.compile(r'<!-- settings: ([\w.]+):(\w+) -->')


def on_files(files: Any, config: Any) -> Any:
    """Add README, CONTRIBUTING, SECURITY and the results of the benchmarks."""
    from mkdocs.structure.files import File

    for name, page in PAGES.items():
        text = (ROOT / name).read_text().replace('](docs/', '](')
        for other, target in PAGES.items():
            text = text.replace(f']({other})', f']({target})')
        files.append(File.generated(config, page, content=text))
    for path in sorted([*RESULTS.glob('*.md'), *RESULTS.glob('*.svg')]):
        place = f'benchmarks/results/{path.name}'
        files.append(File.generated(config, place, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Insert settings tables; lead links to the results to their copies in the site."""
    markdown = markdown.replace('](../../benchmarks/results/', '](../benchmarks/results/')
    return MARKER.sub(lambda m: tables(getattr(importlib.import_module(m[1]), m[2])), markdown)


def tables(cls: type[Config]) -> str:
    """Return a table of settings per group of a configuration class, and one of its presets."""
    types = get_type_hints(cls)
    purpose = {
        f.name: (types[f.name].__doc__ or '').splitlines()[0]
        for f in dataclasses.fields(cls)
        if issubclass(types[f.name], Config)
    }
    lines = []
    for group, members in itertools.groupby(settings(cls), lambda s: s.name.rpartition('.')[0]):
        if group:
            lines += ['', f'### {group} {{ #{cls.__name__}-{group} }}', '', purpose[group]]
        lines += ['', '| setting | default | values | meaning |', '|---|---|---|---|']
        lines += [row(setting) for setting in members]
    for prefix, kind in {'': cls, **{f'{name}.': types[name] for name in purpose}}.items():
        if kind.presets:
            lines += ['', f'### Presets of `{prefix}preset`', *presets(kind, prefix)]
    return '\n'.join(lines)


def presets(cls: type[Config], prefix: str) -> list[str]:
    """Return a table of the values of each preset."""
    names = list(cls.presets)
    lines = ['', f'| setting | {" | ".join(names)} |', '|---' * (len(names) + 1) + '|']
    defaults = {s.name: s.default for s in settings(cls)}
    for name in sorted(set().union(*cls.presets.values()), key=list(defaults).index):
        values = (cls.presets[p].get(name, defaults[name]) for p in names)
        lines.append(f'| `{prefix}{name}` | {" | ".join(map(code, values))} |')
    return lines


def row(setting: Setting) -> str:
    """Return one line of a table."""
    values = setting.type.__name__
    if setting.choices:
        values = ', '.join(map(code, setting.choices))
    elif math.isfinite(setting.low) and math.isfinite(setting.high):
        values += f' in [{setting.low:g}, {setting.high:g}]'
    elif math.isfinite(setting.low):
        values += f' ≥ {setting.low:g}'
    text = setting.text.replace('|', '\\|').replace('*', '\\*')
    return f'| `{setting.name}` | {code(setting.default)} | {values} | {text} |'


def code(value: object) -> str:
    """Return a value as inline code; nothing for an empty text."""
    return '' if value == '' else f'`{value}`'
