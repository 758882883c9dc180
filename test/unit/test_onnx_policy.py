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

"""What OnnxPolicy gives, and what it refuses to load."""

import json
import math

import numpy as np
import onnx
import pytest
from policy_files import linear_policy, reach_spec, save

from sac_ros.deploy.onnx_policy import GOLDEN_KEY, PARITY_KEY, SPEC_KEY, OnnxPolicy
from sac_ros.deploy.onnx_structure import MAX_METADATA
from sac_ros.deploy.policy_file import MAX_BYTES, append_checksum
from sac_ros.errors import PolicyError

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


def test_the_expected_file_or_robot_alone(tmp_path):
    path = save(linear_policy(SPEC), tmp_path / 'p.onnx')
    sha256 = OnnxPolicy(path).sha256
    assert OnnxPolicy(path, sha256.upper(), 'a robot').sha256 == sha256
    with pytest.raises(PolicyError, match=f'has the SHA-256 {sha256}, expected is {"0" * 64}'):
        OnnxPolicy(path, sha256='0' * 64)
    with pytest.raises(PolicyError, match='robot model hash a robot, expected is another'):
        OnnxPolicy(path, model_hash='another')


def external(tmp_path):
    model = linear_policy(SPEC, np.ones((SPEC.n_observation, 2)))
    path = tmp_path / 'p.onnx'
    onnx.save(model, str(path), save_as_external_data=True, location='w.bin', size_threshold=0)
    path.write_bytes(append_checksum(path.read_bytes()))
    return path


def elsewhere(tmp_path):
    """A path out of the directory, in a tensor that names no key that a scan would know."""
    model = linear_policy(SPEC, np.ones((SPEC.n_observation, 2)))
    model.graph.initializer[0].data_location = onnx.TensorProto.EXTERNAL
    return save(model, tmp_path / 'p.onnx')


def with_function(tmp_path):
    model = linear_policy(SPEC)
    model.functions.add(name='f', domain='d')
    return save(model, tmp_path / 'p.onnx')


def with_loop(tmp_path):
    model = linear_policy(SPEC)
    model.graph.node[2].op_type = 'Loop'
    return save(model, tmp_path / 'p.onnx')


def saved(**changes):
    return lambda tmp_path: save(linear_policy(SPEC, **changes), tmp_path / 'p.onnx')


def meta(**changes):
    keys = {'spec': SPEC_KEY, 'parity': PARITY_KEY, 'golden': GOLDEN_KEY}
    metadata = {PARITY_KEY: '0', SPEC_KEY: SPEC.to_json()}
    return saved(metadata=metadata | {keys[name]: text for name, text in changes.items()})


def said(**changes):
    """A policy whose specification says something else."""
    return meta(spec=json.dumps(json.loads(SPEC.to_json()) | changes))


def observes(**changes):
    """A policy with another first field of its observation."""
    first, *others = json.loads(SPEC.to_json())['observation']
    return said(observation=[first | changes, *others])


def raw(content):
    def write(tmp_path):
        (tmp_path / 'p.onnx').write_bytes(content)
        return tmp_path / 'p.onnx'

    return write


def huge(tmp_path):
    with open(tmp_path / 'p.onnx', 'wb') as file:
        file.truncate(MAX_BYTES + 1)
    return tmp_path / 'p.onnx'


def unsealed(tmp_path):
    onnx.save(linear_policy(SPEC), str(tmp_path / 'p.onnx'))
    return tmp_path / 'p.onnx'


def golden(torque, observation=None):
    observation = [0.0] * SPEC.n_observation if observation is None else observation
    return json.dumps({'observation': [observation], 'torque': [torque]})


def ir_version(number):
    def write(tmp_path):
        model = linear_policy(SPEC)
        model.ir_version, model.producer_name = number, 'another exporter'
        return save(model, tmp_path / 'p.onnx')

    return write


BACKWARDS = reach_spec(position_lower=(3.0, 3.0)).to_json()
REFUSED = {
    'absent': (lambda tmp_path: tmp_path / 'none.onnx', 'cannot read the policy'),
    'a directory': (lambda tmp_path: tmp_path, 'cannot read the policy'),
    'empty': (raw(b''), 'does not end with'),
    'text': (raw(b'not an onnx file'), 'does not end with'),
    'no seal': (unsealed, 'export it again'),
    'sealed text': (raw(append_checksum(b'not an onnx file')), 'not a readable ONNX file'),
    'sealed nothing': (raw(append_checksum(b'')), 'operator sets'),
    'huge': (huge, 'at most'),
    'external data': (external, 'in other files'),
    'external data, hidden': (elsewhere, 'in other files'),
    'a function': (with_function, 'functions or training'),
    'a loop': (with_loop, 'uses the operator Loop'),
    'a strange operator': (saved(domain='com.example'), 'uses the operator com.exampleTanh'),
    'an old opset': (saved(opset=9), 'operator sets'),
    'a new opset': (saved(opset=99), 'operator sets'),
    'no metadata': (saved(metadata={}), 'not exported by sac_ros'),
    'no specification': (meta(spec='{}'), 'format version'),
    'limits backwards': (meta(spec=BACKWARDS), 'limits that limit nothing'),
    'no parity': (meta(parity=''), 'not checked against its network'),
    'bad parity': (meta(parity='0.1'), 'not checked against its network'),
    'NaN parity': (meta(parity='nan'), 'not checked against its network'),
    'no golden vectors': (meta(), 'no golden vectors'),
    'golden text': (meta(golden='[]'), 'no golden vectors'),
    'golden shapes': (meta(golden=golden([0.0])), r'must be \(1, 9\) and \(1, 2\)'),
    'golden torques of another': (meta(golden=golden([0.1, 0.0])), 'does not give its golden'),
    'golden NaN': (meta(golden=golden([math.nan, 0.0])), 'NaN is not standard JSON'),
    'golden null': (meta(golden=golden([None, 0.0])), 'must be a finite number'),
    'golden true': (meta(golden=golden([True, 0.0])), 'must be a finite number'),
    'golden text in a list': (meta(golden=golden(['0', 0.0])), 'must be a finite number'),
    'golden rows': (meta(golden='{"observation": [[0], [0, 0]], "torque": []}'), 'inhomogeneous'),
    'golden, deep': (meta(golden='[' * 100_000), 'nested too deeply'),
    'golden, too large a number': (meta(golden=golden([10**400, 0.0])), 'finite number'),
    'specification, deep': (meta(spec='[' * 100_000), 'nested too deeply'),
    'specification, a list': (meta(spec='[]'), 'format version None'),
    'another format': (said(format_version=2), 'format version 2'),
    'text in the limits': (said(position_lower=['a', 'b']), "position_lower is 'a', must be a"),
    'an object of limits': (said(velocity_limit={'j1': 1}), 'must be of type list'),
    'limits of true': (said(torque_limit=[True, True]), 'torque_limit is True'),
    'limits too large': (said(torque_limit=[10**400, 1]), 'must be a finite number'),
    'limits of too many': (said(torque_limit=[1.0, 1.0, 1.0]), '3 values for 2 joints'),
    'infinite torque': (said(torque_limit=[math.inf, 1]), 'Infinity is not standard JSON'),
    'offset NaN': (said(torque_offset=[math.nan, 0]), 'NaN is not standard JSON'),
    'gravity, text': (said(gravity_compensated='false'), 'gravity_compensated is .false.'),
    'gravity, number': (said(gravity_compensated=1), 'gravity_compensated is 1'),
    'control period of an hour': (said(control_period=3600), 'control period 3600 s'),
    'control period too short': (said(control_period=1e-4), 'control period 0.0001 s'),
    'control period, text': (said(control_period='0.02'), "control_period is '0.02'"),
    'an empty name': (said(joint_names=['j1', '']), 'empty name'),
    'a number as name': (said(joint_names=['j1', 2]), 'must be of type str'),
    'a name twice': (said(joint_names=['j1', 'j1']), 'joint names repeat'),
    'no names': (said(joint_names=None), 'must be of type list'),
    'size as text': (observes(size='2'), "size of observation is '2'"),
    'size of true': (observes(size=True), 'size of observation is True'),
    'negative size': (observes(size=-1), 'of size -1'),
    'size too large': (observes(size=10**18), 'of size 1000000000000000000'),
    'field without a name': (observes(name=''), "field '' of size"),
    'field twice': (observes(name='goal'), 'names of observation repeat'),
    'field with more': (observes(more=1), 'a field of observation has'),
    'unknown field': (said(more=1), 'unknown fields'),
    'key twice': (meta(spec='{"base_frame": "a", "base_frame": "b"}'), 'repeats one'),
    'a hash that is no text': (said(model_hash=7), 'model_hash is 7'),
    'much metadata': (meta(golden=' ' * MAX_METADATA), 'bytes of metadata'),
    'a future IR': (
        ir_version(99),
        r'Runtime .* \(IR version 99, opset 18, .*export it again',
    ),
    'wrong output': (saved(output='action'), 'output torque'),
    'wrong input': (saved(n_input=4), r'input observation tensor\(float\) \[batch, 9\]'),
    'NaN inside': (saved(bias=math.nan), 'for a finite observation'),
}


GOOD = {SPEC_KEY: SPEC.to_json(), PARITY_KEY: '0'}


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


def test_refuses_a_limit_over_the_largest_torque(tmp_path):
    path = save(linear_policy(SPEC), tmp_path / 'p.onnx')
    assert OnnxPolicy(path, max_torque=5.0).spec == SPEC
    with pytest.raises(PolicyError, match=r'up to 5 N·m, over max_torque \(4.9 N·m\)'):
        OnnxPolicy(path, max_torque=4.9)


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    """The bytes of a good file."""
    path = tmp_path_factory.mktemp('whole') / 'p.onnx'
    save(linear_policy(SPEC), path)
    OnnxPolicy(path)
    return path.read_bytes()


def refused(path, data):
    path.write_bytes(data)
    with pytest.raises(PolicyError) as error:
        OnnxPolicy(path)
    return str(error.value)


def test_a_file_cut_short_anywhere_is_refused(whole, tmp_path):
    for length in range(len(whole)):
        assert 'export it again' in refused(tmp_path / 'p.onnx', whole[:length])


def test_a_file_with_any_bit_flipped_is_refused(whole, tmp_path):
    for at in range(len(whole)):
        changed = bytearray(whole)
        changed[at] ^= 1 << at % 8
        assert 'export it again' in refused(tmp_path / 'p.onnx', bytes(changed))


def test_a_damaged_sealed_file_is_refused_or_harmless(whole, tmp_path):
    """What the seal does not catch: damage before the export was sealed."""
    path, rng = tmp_path / 'p.onnx', np.random.default_rng(0)
    body, refusals = whole[: -len(append_checksum(b''))], 0
    for _ in range(300):
        changed = bytearray(body)
        changed[rng.integers(len(body))] ^= 1 << rng.integers(8)
        path.write_bytes(append_checksum(bytes(changed)))
        try:
            assert OnnxPolicy(path).golden <= 1e-4
        except PolicyError:
            refusals += 1
    assert refusals > 200
