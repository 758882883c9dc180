"""Arms that other people describe, of benchmarks/arms.py.

All are only data here. `make test` installs example-robot-data and openarm-mujoco; robosuite (a
150 MB wheel that asks for an old MuJoCo) is installed with `pip install --no-deps robosuite`. The
arms of a package that is not installed are skipped, and the reason is printed.
"""

import importlib.util
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location(
    'benchmark_arms', Path(__file__).resolve().parents[1] / 'benchmarks/arms.py'
)
_arms = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_arms)

MJCF = ('openarm-left', 'openarm-right', *_arms.ROBOSUITE)
NAMES = (*MJCF, 'panda-urdf', 'ur5', 'xarm7', 'so101')  # for long tests
ALL = (*MJCF, *_arms.EXAMPLES)


def arm_config(name, **changes):
    """Return the configuration of an arm, or skip the test where its package is not installed."""
    try:
        return _arms.arm_config(name, **changes)
    except LookupError as error:
        pytest.skip(str(error))


def openarm_scene(name):
    """Return a scene of openarm-mujoco, or skip the test where it is not installed."""
    try:
        return _arms.installed_file('openarm-mujoco', f'v2/{name}')
    except LookupError as error:
        pytest.skip(str(error))
