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

"""Every fault of docs/reference/safety.md in its short form, over DDS."""

import contextlib

import network_cut
import pytest
from arm_faults import constant_push, dead_node
from fault_rig import Rig, fragile_policy
from node_faults import CASES
from ros_graph import own_graph


@pytest.fixture(scope='module')
def rigs():
    """Hold the robot and nodes that the tests share; a failure ends their use."""
    with contextlib.ExitStack() as stack:
        yield SharedRig(stack)


class SharedRig:
    def __init__(self, stack):
        self.stack, self.rig = stack, None

    def get(self):
        if self.rig is None:
            graph = self.stack.enter_context(own_graph())
            self.rig = Rig(graph, fragile_policy(graph.log_dir / 'policy.onnx'), long=False)
        return self.rig

    def renew(self):
        self.stack.close()
        self.rig = None


@pytest.fixture
def rig(rigs, request):
    failed = request.session.testsfailed
    yield rigs.get()
    if request.session.testsfailed > failed:
        rigs.renew()


@pytest.mark.parametrize('case', CASES.values(), ids=lambda case: case.__name__)
def test_a_fault_ends_in_the_fallback_and_nothing_resumes(rig, case):
    print(case(rig, long=False))
    assert 'Traceback' not in rig.graph.output(rig.process)


@pytest.mark.parametrize('case', [dead_node, constant_push])
def test_a_fault_with_the_simulated_arm_is_survived(case, graph, tmp_path):
    print(case(graph, tmp_path, long=False))


def test_a_cut_network_is_a_fault_that_healing_does_not_end():
    print(network_cut.partition(long=False))
