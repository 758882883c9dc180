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

"""Files whose encoding would show a parser another graph than a reader are refused."""

import numpy as np
import pytest
from onnx import TensorProto, helper
from policy_files import linear_policy, reach_spec

from sac_ros.deploy.onnx_structure import check_structure
from sac_ros.errors import PolicyError

SPEC = reach_spec()


def varint(value):
    high, low = divmod(value, 128)
    return bytes([low | 128]) + varint(high) if high else bytes([low])


def field(number, content):
    """An encoded field: text and messages, or a number."""
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    return varint(number << 3 | 2) + varint(len(content)) + content


def with_node(*parts):
    """A model with one more node, encoded."""
    return model(graph=field(1, b''.join(parts)))


def model(*parts, graph=b''):
    """A model with more fields, encoded, and more fields in its graph."""
    whole = linear_policy(SPEC)
    inside = whole.graph.SerializeToString() + graph
    whole.ClearField('graph')
    return whole.SerializeToString() + field(7, inside) + b''.join(parts)


def tensor(*parts):
    """A model with one more initializer."""
    return model(graph=field(5, b''.join(parts)))


def loop():
    """A node that runs a graph of its own."""
    value = helper.make_tensor_value_info('x', TensorProto.FLOAT, [1])
    body = helper.make_graph([], 'body', [value], [value])
    return helper.make_node('Loop', ['n', 'c', 'x'], ['y'], body=body).SerializeToString()


ADD = helper.make_node('Add', ['a', 'b'], ['c']).SerializeToString()
WHERE = field(1, b'location') + field(2, b'/etc/passwd')
REFUSED = {
    'a loop': (with_node(loop()), 'uses the operator Loop'),
    'a loop whose name is there again as a number': (
        with_node(loop(), field(4, 0)), 'another type'
    ),
    'a graph within an operator': (with_node(ADD, field(5, field(6, b''))), 'within operators'),
    'two names': (with_node(ADD, field(4, b'Mul')), 'more than once'),
    'an operator that is not listed': (with_node(field(4, b'Loop')), 'uses the operator Loop'),
    'no operator': (with_node(field(3, b'name')), 'uses the operator , which'),
    'a foreign domain': (with_node(ADD, field(7, b'com.microsoft')), 'com.microsoftAdd'),
    'a domain that is there again as a number': (
        with_node(ADD, field(7, b'com.microsoft'), field(7, 0)), 'another type'
    ),
    'an overload': (with_node(ADD, field(8, b'other')), 'unknown field 8 in a node'),
    'a constant in another file': (
        with_node(field(4, b'Constant'), field(5, field(5, field(13, WHERE)))), 'other files'
    ),
    'a key whose length takes two bytes': (
        tensor(field(13, b'\x0a\x88\x00location' + field(2, b'/etc/passwd'))), 'other files'
    ),
    'a tensor elsewhere': (tensor(field(14, 1)), 'other files'),
    'sparse tensors': (model(graph=field(15, b'')), 'sparse'),
    'a second graph': (model(field(7, b'')), 'field 7 of a model more than once'),
    'a second operator set': (model(field(8, field(1, b'ai.onnx.ml') + field(2, 3))), 'onnx.ml'),
    'the operator set again': (model(field(8, field(2, 18))), 'operator sets'),
    'an operator set with two versions': (model(field(8, field(2, 18) * 2)), 'more than once'),
    'functions': (model(field(25, b'')), 'functions or training'),
    'an unknown field': (model(field(99, b'')), 'unknown field 99 in a model'),
    'a tag of more than 32 bits': (model(varint((1 << 32) + 58) + b'\x00'), 'unknown field'),
    'a number without an end': (model(b'\xff' * 11), 'more than ten bytes'),
    'a group': (model(varint(7 << 3 | 3)), 'unknown wire type 3'),
    'cut within a field': (model()[:-1], 'in the middle'),
    'an operator that is no text': (with_node(field(4, b'\xff')), 'not a readable ONNX file'),
}  # fmt: skip


@pytest.mark.parametrize('case', REFUSED)
def test_refuses(case):
    data, message = REFUSED[case]
    with pytest.raises(PolicyError, match=message):
        check_structure(data, 'p.onnx')


def test_takes_a_model_in_any_order_of_its_fields():
    structure = check_structure(model(), 'p.onnx')
    assert (structure.ir_version, structure.opset) == (10, 18)
    weight = np.ones((SPEC.n_observation, 2))
    assert check_structure(linear_policy(SPEC, weight).SerializeToString(), 'p.onnx') == structure
