"""What OnnxPolicy gives, and what it refuses to load."""

import math

import numpy as np
import onnx
import pytest
from policy_files import linear_policy, reach_spec, save

from sac_ros.errors import PolicyError
from sac_ros.policy import MAX_BYTES, PARITY_KEY, SPEC_KEY, OnnxPolicy

SPEC = reach_spec()


def test_gives_the_torque_of_the_graph(tmp_path):
    weight = np.random.default_rng(1).normal(size=(SPEC.n_observation, 2))
    policy = OnnxPolicy(save(linear_policy(SPEC, weight, [0.1, -0.2]), tmp_path / 'p.onnx'))
    observation = np.random.default_rng(2).normal(size=SPEC.n_observation)
    expected = 5.0 * np.tanh(observation @ weight + [0.1, -0.2])
    assert policy(observation) == pytest.approx(expected, abs=1e-5)
    assert policy.spec == SPEC
    assert policy.parity == 1e-7
    assert len(policy.sha256) == 64


def test_a_bad_observation_shows_in_the_torque(tmp_path):
    weight = np.ones((SPEC.n_observation, 2))
    policy = OnnxPolicy(save(linear_policy(SPEC, weight), tmp_path / 'p.onnx'))
    assert np.isnan(policy(np.full(SPEC.n_observation, math.nan))).all()


def external(tmp_path):
    model = linear_policy(SPEC, np.ones((SPEC.n_observation, 2)))
    path = tmp_path / 'p.onnx'
    onnx.save(model, str(path), save_as_external_data=True, location='w.bin', size_threshold=0)
    return path


def saved(**changes):
    return lambda tmp_path: save(linear_policy(SPEC, **changes), tmp_path / 'p.onnx')


def raw(content):
    def write(tmp_path):
        (tmp_path / 'p.onnx').write_bytes(content)
        return tmp_path / 'p.onnx'

    return write


def huge(tmp_path):
    with open(tmp_path / 'p.onnx', 'wb') as file:
        file.truncate(MAX_BYTES + 1)
    return tmp_path / 'p.onnx'


GOOD = {SPEC_KEY: SPEC.to_json(), PARITY_KEY: '0'}
REFUSED = {
    'absent': (lambda tmp_path: tmp_path / 'none.onnx', 'cannot read the policy'),
    'a directory': (lambda tmp_path: tmp_path, 'cannot read the policy'),
    'empty': (raw(b''), 'not a readable ONNX file'),
    'text': (raw(b'not an onnx file'), 'not a readable ONNX file'),
    'huge': (huge, 'at most'),
    'external data': (external, 'in other files'),
    'no metadata': (saved(metadata={}), 'not exported by sac_ros'),
    'no specification': (saved(metadata=GOOD | {SPEC_KEY: '{}'}), 'format version'),
    'no parity': (saved(metadata={SPEC_KEY: SPEC.to_json()}), 'not checked against its network'),
    'bad parity': (saved(metadata=GOOD | {PARITY_KEY: '0.1'}), 'not checked against its network'),
    'NaN parity': (saved(metadata=GOOD | {PARITY_KEY: 'nan'}), 'not checked against its network'),
    'wrong output': (saved(output='action'), 'output torque'),
    'wrong input': (saved(n_input=4), r'input observation tensor\(float\) \[batch, 9\]'),
    'NaN inside': (saved(bias=math.nan), 'for a finite observation'),
}


@pytest.mark.parametrize('case', REFUSED)
def test_refuses_in_one_line(case, tmp_path):
    write, message = REFUSED[case]
    with pytest.raises(PolicyError, match=message) as error:
        OnnxPolicy(write(tmp_path))
    assert '\n' not in str(error.value)


def test_refuses_more_torque_than_the_limit(tmp_path):
    strong = linear_policy(reach_spec(torque_limit=(9.0, 9.0)), bias=[5, 5], metadata=GOOD)
    with pytest.raises(PolicyError, match='over the limit'):
        OnnxPolicy(save(strong, tmp_path / 'p.onnx'))


def test_every_truncated_file_is_refused(tmp_path):
    path = tmp_path / 'p.onnx'
    save(linear_policy(SPEC), path)
    whole = path.read_bytes()
    for length in range(0, len(whole), 23):
        path.write_bytes(whole[:length])
        with pytest.raises(PolicyError):
            OnnxPolicy(path)
