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

"""The linters of ament accept the sources; they come with ROS 2, not with its wheels."""

import subprocess

import pytest
from paths import ROOT

HEADER = """\
Copyright 2026 sac_ros maintainers

Licensed under the Apache License, Version 2.0 (the "License");
you may not use this file except in compliance with the License.
You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software
distributed under the License is distributed on an "AS IS" BASIS,
WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
See the License for the specific language governing permissions and
limitations under the License.
"""
SHEBANG = '#!/usr/bin/env python3\n'
FOLDERS = ('sac_ros', 'launch', 'test', 'benchmarks', 'examples', 'docs')
SOURCES = sorted(
    path
    for path in [*ROOT.glob('*.py'), *(p for f in FOLDERS for p in (ROOT / f).rglob('*'))]
    if path.suffix in ('.py', '.cpp')
)


def header(mark):
    """Return the header as comment lines."""
    return ''.join(f'{mark} {line}'.rstrip() + '\n' for line in HEADER.splitlines())


def test_every_source_begins_with_the_copyright_header():
    assert len(SOURCES) > 200
    starts = tuple(shebang + header(mark) for mark in ('#', '//') for shebang in ('', SHEBANG))
    without = [path for path in SOURCES if not path.read_text().startswith(starts)]
    assert [str(path.relative_to(ROOT)) for path in without] == []


@pytest.mark.parametrize(
    ('linter', 'options'),
    [
        ('ament_copyright', ()),
        ('ament_flake8', ('--config', 'setup.cfg')),
        (
            'ament_pep257',
            ('--convention', 'google', '--add-ignore', 'D105', 'D107', 'D205', 'D402', 'D415'),
        ),
    ],
)
def test_an_ament_linter_accepts_the_sources(linter, options):
    pytest.importorskip(linter, reason=f'{linter} is not installed')
    folders = ('sac_ros', 'launch') if linter == 'ament_pep257' else (*FOLDERS, 'setup.py')
    result = subprocess.run(
        [linter, *folders, *options], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
