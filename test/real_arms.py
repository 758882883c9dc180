"""Arms that we did not draw, for tests: those of openarm-mujoco and of robosuite, where installed.

Both are only data here. robosuite (a 150 MB wheel that asks for an old MuJoCo) is installed with
`pip install --no-deps robosuite`; without it its arms are skipped, and the reason is printed.
"""

import importlib.metadata
import importlib.util
from pathlib import Path

import pytest

from sac_ros.config import ArmConfig

ROBOSUITE = ('panda', 'iiwa', 'ur5e', 'jaco', 'kinova3', 'sawyer')
NAMES = ('openarm-left', 'openarm-right', *ROBOSUITE)


def arm_config(name, **changes):
    """Return the configuration of an arm, or skip the test where its package is not installed."""
    if name.startswith('openarm'):
        side = name.partition('-')[2]
        changes |= {'joints': f'openarm_{side}_joint*', 'tip': f'{side}_ee_control_point'}
        return ArmConfig(model=str(_openarm()), **changes)
    found = importlib.util.find_spec('robosuite')
    if found is None:
        pytest.skip(f'{name} needs robosuite: pip install --no-deps robosuite==1.5.2')
    file = Path(found.origin).parent / 'models/assets/robots' / name / 'robot.xml'
    return ArmConfig(model=str(file), **changes)


def _openarm():
    try:
        files = importlib.metadata.files('openarm-mujoco')
    except importlib.metadata.PackageNotFoundError:
        pytest.skip('OpenArm needs openarm-mujoco: pip install openarm-mujoco==2.3.0')
    return next(f.locate() for f in files if f.match('v2/openarm_bimanual.xml'))
