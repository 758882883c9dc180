"""Every fault of docs/safety.md in its short form: one node goes through all of them over DDS."""

from fault_rig import Rig, fragile_policy
from faults import CASES


def test_faults_end_in_the_fallback_and_nothing_resumes(graph, tmp_path):
    rig = Rig(graph, fragile_policy(tmp_path / 'policy.onnx'))
    for name, case in CASES.items():
        print(f'{name}: {case(rig, long=False)}')
    assert len(rig.commands) > 1000
    assert 'Traceback' not in graph.output(rig.process)
