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

"""PolicyController: state in, guarded torque out, and no order of calls to know."""

import numpy as np
import pytest
from policy_files import linear_policy, pose_spec, reach_spec, save

from sac_ros import PolicyController, SafetyConfig, State, SupervisorConfig
from sac_ros.errors import SpecMismatch, StateError

QUICK = SupervisorConfig(healthy_time=0.1, ramp_time=0.1)
STILL, GOAL = np.zeros(2), (0.3, 0.1, 0.4)


@pytest.fixture(scope='module')
def file(tmp_path_factory):
    """A policy that always asks for half of the torque limit of 5 N·m at j1, a tenth at j2."""
    model = linear_policy(reach_spec(), bias=np.arctanh([0.5, 0.1]))
    return save(model, tmp_path_factory.mktemp('policy') / 'policy.onnx')


@pytest.fixture
def make(file):
    def make(path=file, **options):
        return PolicyController.from_file(path, **{'supervision': QUICK, **options})

    return make


def steps(controller, count, start=0.0, **options):
    """Give joint states at 500 Hz and return the last command."""
    times = start + 0.002 * np.arange(count)
    return [controller.step(STILL, STILL, now=now, **options) for now in times][-1]


def test_a_loop_of_step_alone_moves_the_arm(make):
    controller = make()
    command = steps(controller, 20, goal=GOAL, enabled=True)
    assert command.state is State.READY and 'have been good for' in command.reason
    assert not command.torque.any()
    command = steps(controller, 200, start=0.04, goal=GOAL, enabled=True)
    assert command.state is State.RUN and command.reason == ''
    assert command.torque == pytest.approx([2.5, 0.5], abs=1e-5)


def test_nothing_moves_unless_enabled_and_with_a_goal(make):
    controller = make()
    assert not steps(controller, 200, goal=GOAL).torque.any()
    assert controller.state is State.READY
    command = steps(make(), 200, enabled=True)
    assert command.state is State.READY and 'no goal' in command.reason
    controller = make()
    steps(controller, 200, goal=GOAL, enabled=True)
    command = steps(controller, 1, start=0.4, enabled=False)
    assert command.state is State.READY and not command.torque.any()


def test_a_fault_holds_until_reset(make):
    controller = make()
    steps(controller, 200, goal=GOAL, enabled=True)
    command = controller.step([np.nan, 0.0], STILL, enabled=True, now=0.4)
    assert command.state is State.FAULT and not command.torque.any()
    command = steps(controller, 200, start=0.402, enabled=True)
    assert command.state is State.FAULT and 'reset' in command.reason
    controller.reset()
    assert steps(controller, 200, start=0.802, enabled=True).state is State.RUN
    controller.estop()
    command = steps(controller, 1, start=1.202, enabled=True)
    assert command.state is State.ESTOP and not command.torque.any()


def test_a_stall_of_the_program_is_a_fault(make):
    controller = make()
    steps(controller, 200, goal=GOAL, enabled=True)
    command = steps(controller, 1, start=1.0, enabled=True)
    assert command.state is State.FAULT and 'held up' in command.reason


def test_joints_are_in_the_order_of_the_robot(make):
    controller = make(joint_names=('j2', 'j1'))
    command = steps(controller, 300, goal=GOAL, enabled=True)
    assert command.torque == pytest.approx([0.5, 2.5], abs=1e-5)
    fast = controller.step(STILL, [0.0, 3.9], enabled=True, now=0.6)  # j1 near its limit
    assert fast.torque[1] < 1 and fast.torque[0] == pytest.approx(0.5, abs=1e-5)
    assert not controller.shutdown().any()
    assert controller.state is State.READY
    with pytest.raises(SpecMismatch, match=r"\('j1', 'j2'\).*\('j1', 'j3'\)"):
        make(joint_names=('j1', 'j3'))


def test_guards_apply_to_every_torque(make):
    scaled = make(safety=SafetyConfig(torque_scale=0.2))
    assert steps(scaled, 300, goal=GOAL, enabled=True).torque == pytest.approx([1.0, 0.5])


def test_wrong_sizes_are_refused_with_one_line(make, tmp_path):
    controller = make()
    with pytest.raises(StateError, match='velocity has 3 values for 2 joints'):
        controller.step(STILL, np.zeros(3))
    with pytest.raises(SpecMismatch, match='2 values'):
        controller.step(STILL, STILL, goal=(0.1, 0.2))
    with pytest.raises(SpecMismatch, match='a pose'):
        controller.step(STILL, STILL, goal=(0.1, 0.2, 0.3, 0, 0, 0, 1))
    pose = make(save(linear_policy(pose_spec()), tmp_path / 'pose.onnx'))
    pose.step(STILL, STILL, goal=(0.1, 0.2, 0.3, 0, 0, 0, 1))
