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

"""The documentation names code, files and settings that exist."""

import ast
import re

import pytest
from paths import ROOT

from sac_ros.config.base import settings
from sac_ros.config.training import TrainConfig

PAGES = [ROOT / 'README.md', ROOT / 'CONTRIBUTING.md', *sorted((ROOT / 'docs').rglob('*.md'))]
TEXT = {str(page.relative_to(ROOT)): page.read_text() for page in PAGES}
FOLDERS = 'examples|sac_ros|test|benchmarks|launch|requirements|security'
FILE = re.compile(rf'`((?:{FOLDERS})/[\w/.-]+\.\w+)(?:`|:)')
CODE = re.compile(r'`(sac_ros/[\w/]+\.py):([\w.]+)`')


def test_every_named_file_exists():
    named = {(page, name) for page, text in TEXT.items() for name in FILE.findall(text)}
    assert len(named) > 30
    assert [pair for pair in sorted(named) if not (ROOT / pair[1]).is_file()] == []


def test_every_page_named_in_the_sources_exists():
    named = {
        name
        for path in (ROOT / 'sac_ros').rglob('*.py')
        for name in re.findall(r'docs/[\w/-]+\.md', path.read_text())
    }
    assert len(named) > 3
    assert [name for name in sorted(named) if not (ROOT / name).is_file()] == []


def test_every_named_function_exists():
    named = {match for text in TEXT.values() for match in CODE.findall(text)}
    assert len(named) > 20
    assert [match for match in sorted(named) if match[1] not in definitions(match[0])] == []


def definitions(file):
    """Name the classes, functions and methods of a source file."""
    found = set()
    for node in ast.parse((ROOT / file).read_text()).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            methods = (part.name for part in node.body if isinstance(part, ast.FunctionDef))
            found.update(f'{node.name}.{name}' for name in methods)
    return found


def node_settings():
    from sac_ros.envs.simulator import SimConfig
    from sac_ros.ros.loading import PolicyNodeConfig

    return {setting.name for cls in (SimConfig, PolicyNodeConfig) for setting in settings(cls)}


def test_every_named_setting_exists():
    pytest.importorskip('rclpy', reason='the settings of nodes need rclpy')
    known = {setting.name for setting in settings(TrainConfig)} | node_settings()
    groups = {name.split('.')[0] for name in known if '.' in name}
    option = re.compile(r'--([a-z_]+\.[a-z0-9_]+)\b')
    word = re.compile(rf'`((?:{"|".join(sorted(groups))})\.[a-z0-9_]+)[ `]')
    named = {
        (page, name)
        for page, text in TEXT.items()
        for name in option.findall(text) + word.findall(text)
    }
    assert len(named) > 50
    assert [pair for pair in sorted(named) if pair[1] not in known] == []


def test_every_setting_is_in_a_table_of_the_site():
    hooks = load_hooks()
    table = hooks.on_page_markdown((ROOT / 'docs/reference/settings.md').read_text())
    assert '<!-- settings' not in table
    for name in {setting.name for setting in settings(TrainConfig)} | node_settings():
        assert f'| `{name}` |' in table


def load_hooks():
    import importlib.util

    spec = importlib.util.spec_from_file_location('hooks', ROOT / 'docs/hooks.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
