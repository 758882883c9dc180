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

"""A copy of the sources that the package is built from."""

import shutil

from paths import ROOT


def copy_sources(target):
    """Copy what the package is built from."""
    for name in ('sac_ros', 'launch', 'config', 'resource'):
        shutil.copytree(
            ROOT / name, target / name, ignore=shutil.ignore_patterns('__pycache__', '*.egg-info')
        )
    for name in ('package.xml', 'setup.py', 'setup.cfg', 'pyproject.toml'):
        shutil.copy(ROOT / name, target / name)
    return target
