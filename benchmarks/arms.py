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

"""Arms that other people describe, by name: of example-robot-data, openarm-mujoco and robosuite.

pip install --no-deps example-robot-data openarm-mujoco robosuite==1.5.2
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
from pathlib import Path
from typing import Any

from sac_ros.config.robot import ArmConfig

ROBOSUITE = ('panda', 'iiwa', 'ur5e', 'jaco', 'kinova3', 'sawyer')
EXAMPLES = {  # files below example-robot-data's robots/
    'panda-urdf': 'panda_description/urdf/panda.urdf',
    'ur5': 'ur_description/urdf/ur5_robot.urdf',
    'ur10': 'ur_description/urdf/ur10_robot.urdf',
    'xarm7': 'xarm_description/urdf/xarm7.urdf',
    'so100': 'so_arm_description/urdf/so100.urdf',
    'so101': 'so_arm_description/urdf/so101.urdf',
    'z1': 'z1_description/urdf/z1.urdf',
    'kinova-urdf': 'kinova_description/robots/kinova.urdf',
}
NAMES = ('default', 'openarm-left', 'openarm-right', *ROBOSUITE, *EXAMPLES)


def arm_config(name: str, **changes: Any) -> ArmConfig:
    """Return the configuration of an arm.

    Raises:
        LookupError: the package that describes it is not installed, or the name is unknown.
    """
    if name == 'default':
        return ArmConfig(**changes)
    if name.startswith('openarm'):
        side = name.partition('-')[2]
        changes = {
            'joints': f'openarm_{side}_joint*',
            # Of its motors; the file has none.
            'velocity_limits': '*joint[12]=16.75,*joint[34]=5.44,*joint[567]=20.94',
            **changes,
        }
        file = installed_file('openarm-mujoco', 'v2/openarm_bimanual.xml')
        return ArmConfig(model=str(file), **changes)
    if name in EXAMPLES:
        return ArmConfig(
            model=str(installed_file('example-robot-data', EXAMPLES[name])), **changes
        )
    if name not in ROBOSUITE:
        raise LookupError(f'unknown arm {name!r}; known are {", ".join(NAMES)}')
    found = importlib.util.find_spec('robosuite')
    if found is None or found.origin is None:
        raise LookupError(f'{name} needs robosuite: pip install --no-deps robosuite==1.5.2')
    file = Path(found.origin).parent / 'models/assets/robots' / name / 'robot.xml'
    return ArmConfig(model=str(file), **changes)


def installed_file(package: str, ending: str) -> Path:
    """Return the file of an installed package whose path ends so.

    Raises:
        LookupError: the package is not installed.
    """
    try:
        files = importlib.metadata.files(package) or []
    except importlib.metadata.PackageNotFoundError:
        raise LookupError(f'{ending} is in {package}: pip install --no-deps {package}') from None
    return Path(next(str(f.locate()) for f in files if f.match(ending))).resolve()
