"""Small ONNX policies, written with onnx itself, for tests that need no training."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from sac_ros.policy import INPUT, OUTPUT, PARITY_KEY, SPEC_KEY
from sac_ros.spec import ObservationField, PolicySpec


def reach_spec(n=2, **changes):
    """The specification of a reaching policy for joints j1 ... jn."""
    fields = (('joint_position', n, 'rad'), ('joint_velocity', n, 'rad/s'), ('goal', 3, 'm'))
    values = {
        'joint_names': tuple(f'j{i + 1}' for i in range(n)),
        'observation': tuple(ObservationField(*f) for f in (*fields, ('previous_action', n, '1'))),
        'torque_limit': (5.0,) * n,
        'position_lower': (-2.0,) * n,
        'position_upper': (2.0,) * n,
        'velocity_limit': (4.0,) * n,
        'control_period': 0.02,
        'model_hash': 'a robot',
    }
    return PolicySpec(**(values | changes))


def linear_policy(spec, weight=None, bias=None, metadata=None, output=OUTPUT, n_input=None):
    """torque = limit * tanh(weight @ observation + bias), a model ready to save."""
    n, m = n_input or spec.n_observation, spec.n_action
    weight = np.zeros((n, m)) if weight is None else np.asarray(weight)
    bias = np.zeros(m) if bias is None else np.broadcast_to(np.asarray(bias, float), m)
    arrays = {'weight': weight, 'bias': bias, 'limit': np.array(spec.torque_limit)}
    graph = helper.make_graph(
        [
            helper.make_node('MatMul', [INPUT, 'weight'], ['product']),
            helper.make_node('Add', ['product', 'bias'], ['sum']),
            helper.make_node('Tanh', ['sum'], ['share']),
            helper.make_node('Mul', ['share', 'limit'], [output]),
        ],
        'linear',
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ['batch', n])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, ['batch', m])],
        [numpy_helper.from_array(a.astype(np.float32), name) for name, a in arrays.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 18)], ir_version=10)
    metadata = {SPEC_KEY: spec.to_json(), PARITY_KEY: '1e-7'} if metadata is None else metadata
    helper.set_model_props(model, metadata)
    return model


def save(model, path):
    """Write the model and return its path as text."""
    onnx.save(model, str(path))
    return str(path)
