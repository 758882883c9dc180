"""Arms that other people describe: of example-robot-data, openarm-mujoco and robosuite.

All three are only data here. `make test` installs the first two; robosuite (a 150 MB wheel that
asks for an old MuJoCo) is installed with `pip install --no-deps robosuite`. The arms of a package
that is not installed are skipped, and the reason is printed.
"""

import importlib.metadata
import importlib.util
from pathlib import Path

import pytest

from sac_ros.config import ArmConfig

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
MJCF = ('openarm-left', 'openarm-right', *ROBOSUITE)
NAMES = (*MJCF, 'panda-urdf', 'ur5', 'xarm7', 'so101')  # for long tests
ALL = (*MJCF, *EXAMPLES)


def arm_config(name, **changes):
    """Return the configuration of an arm, or skip the test where its package is not installed."""
    if name.startswith('openarm'):
        side = name.partition('-')[2]
        changes = {
            'joints': f'openarm_{side}_joint*',
            # Of its motors; the file has none.
            'velocity_limits': '*joint[12]=16.75,*joint[34]=5.44,*joint[567]=20.94',
            **changes,
        }
        return ArmConfig(
            model=str(_installed('openarm-mujoco', 'v2/openarm_bimanual.xml')), **changes
        )
    if name in EXAMPLES:
        return ArmConfig(model=str(_installed('example-robot-data', EXAMPLES[name])), **changes)
    found = importlib.util.find_spec('robosuite')
    if found is None:
        pytest.skip(f'{name} needs robosuite: pip install --no-deps robosuite==1.5.2')
    file = Path(found.origin).parent / 'models/assets/robots' / name / 'robot.xml'
    return ArmConfig(model=str(file), **changes)


def openarm_scene(name):
    """Return a scene of openarm-mujoco, or skip the test where it is not installed."""
    return _installed('openarm-mujoco', f'v2/{name}')


def _installed(package, ending):
    """Return the file of an installed package whose path ends so."""
    try:
        files = importlib.metadata.files(package)
    except importlib.metadata.PackageNotFoundError:
        pytest.skip(f'{ending} is in {package}: pip install --no-deps {package}')
    return next(f.locate() for f in files if f.match(ending)).resolve()
