"""Every fault of docs/reference/safety.md in its short form, over DDS."""

import pytest
import run_faults
from arm_faults import constant_push, dead_node
from fault_rig import Rig, fragile_policy
from node_faults import CASES


def test_faults_end_in_the_fallback_and_nothing_resumes(graph, tmp_path):
    """One node goes through all of them."""
    rig = Rig(graph, fragile_policy(tmp_path / 'policy.onnx'), long=False)
    for name, case in CASES.items():
        print(f'{name}: {case(rig, long=False)}')
    assert len(rig.commands) > 1000
    assert 'Traceback' not in graph.output(rig.process)


@pytest.mark.parametrize('case', [dead_node, constant_push])
def test_faults_with_the_simulated_arm(case, graph, tmp_path):
    print(case(graph, tmp_path, long=False))


def test_a_cut_network_is_a_fault_that_healing_does_not_end():
    result = run_faults.partition(long=False)
    if result.startswith('skipped'):
        pytest.skip(result)
    assert 'FAILED' not in result, run_faults.FAILED
    print(result)
