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

"""The guards in simulation, at 500 Hz: no joint is driven far past its limit."""

import importlib.util

import numpy as np
import pytest
from paths import ROOT
from real_arms import arm_config

_spec = importlib.util.spec_from_file_location(
    'benchmark_joint_limits', ROOT / 'benchmarks/joint_limits.py'
)
_benchmark = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_benchmark)

OVERSHOOT = 0.02  # [rad] past a limit, as docs/reference/safety.md states


@pytest.mark.parametrize('name', _benchmark.ARMS)
def test_a_joint_at_full_torque_stops_at_its_limit(name):
    arm_config(name)  # skips where it is not installed
    guarded, rng = _benchmark.GuardedArm(name), np.random.default_rng(0)
    pushed = 0
    for joint in guarded.limited.tolist():
        for side in (-1, 1):
            for share in (0.0, 1.0):
                past = guarded.push_one(joint, side, share, rng)
                assert past.max() <= OVERSHOOT
                limit = guarded.upper if side > 0 else guarded.lower
                reached = side * (guarded.arm.position[joint] - limit[joint])
                pushed += reached > -0.2  # it did come to the limit, and was held there
    assert pushed >= len(guarded.limit) and not guarded.faults


def test_all_joints_at_full_torque_stop_at_their_limits():
    guarded, rng = _benchmark.GuardedArm('default'), np.random.default_rng(0)
    assert max(guarded.push_all(rng).max() for _ in range(8)) <= OVERSHOOT
    assert not guarded.faults
