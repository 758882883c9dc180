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

"""Small ONNX policies, written with onnx itself, for tests that need no training."""

import dataclasses
import json
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from sac_ros.deploy.arm_geometry import ArmGeometry
from sac_ros.deploy.onnx_policy import (
    GEOMETRY_KEY,
    GOLDEN_KEY,
    INPUT,
    OUTPUT,
    PARITY_KEY,
    SPEC_KEY,
)
from sac_ros.deploy.policy_file import append_checksum
from sac_ros.spec import ObservationField, PolicySpec
from sac_ros.types import KinematicChain


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


def pose_spec(n=2, **changes):
    """The specification of a policy that reaches poses."""
    spec = reach_spec(n, **changes)
    *fields, previous = spec.observation
    orientation = ObservationField('goal_orientation', 4, '1')
    return dataclasses.replace(spec, observation=(*fields, orientation, previous))


def linear_policy(
    spec, weight=None, bias=None, metadata=None, output=OUTPUT, n_input=None, domain='', opset=18,
    geometry='',
):  # fmt: skip
    """torque = limit * tanh(weight @ observation + bias), a model ready to save."""
    n, m = n_input or spec.n_observation, spec.n_action
    weight = np.zeros((n, m)) if weight is None else np.asarray(weight)
    bias = np.zeros(m) if bias is None else np.broadcast_to(np.asarray(bias, float), m)
    arrays = {'weight': weight, 'bias': bias, 'limit': np.array(spec.torque_limit)}
    graph = helper.make_graph(
        [
            helper.make_node('MatMul', [INPUT, 'weight'], ['product']),
            helper.make_node('Add', ['product', 'bias'], ['sum']),
            helper.make_node('Tanh', ['sum'], ['share'], domain=domain),
            helper.make_node('Mul', ['share', 'limit'], [output]),
        ],
        'linear',
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ['batch', n])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, ['batch', m])],
        [numpy_helper.from_array(a.astype(np.float32), name) for name, a in arrays.items()],
    )
    opsets = [helper.make_opsetid('', opset)]
    opsets += [helper.make_opsetid(domain, 1)] if domain else []
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    golden = golden_of(spec, weight, bias) if weight.shape[0] == spec.n_observation else ''
    metadata = meta(spec, golden) if metadata is None else metadata
    more = {GEOMETRY_KEY: geometry} if geometry else {}
    helper.set_model_props(model, metadata | more)
    return model


def golden_of(spec, weight, bias):
    """Golden vectors of such a policy, as they stand in the metadata."""
    observation = np.random.default_rng(3).normal(size=(4, spec.n_observation))
    torque = np.array(spec.torque_limit) * np.tanh(observation @ weight + bias)
    return golden_json(observation, torque)


def golden_json(observation, torque):
    """Golden vectors as text."""
    return json.dumps({'observation': observation.tolist(), 'torque': torque.tolist()})


def meta(spec, golden):
    """Metadata with which a file is accepted."""
    return {SPEC_KEY: spec.to_json(), PARITY_KEY: '1e-7', GOLDEN_KEY: golden}


def save(model, path):
    """Write the model with its seal and return its path as text."""
    Path(path).write_bytes(append_checksum(model.SerializeToString()))
    return str(path)


def planar_geometry(n=3, link=0.3):
    """Return an arm of n links along x [m], whose joints turn about z; the table is at -0.1 m."""
    z = np.tile([0.0, 0.0, 1.0], (n, 1))
    return ArmGeometry(
        chain=KinematicChain(
            rotation=np.tile(np.eye(3), (n + 1, 1, 1)),
            translation=np.array([[0.0, 0.0, 0.0]] + n * [[link, 0.0, 0.0]]),
            axis=z,
            prismatic=np.zeros(n, bool),
            joint=np.arange(n),
            ratio=np.ones(n),
        ),
        frames=tuple(f'link{i + 1}' for i in range(n)),
        axis=z,
        anchor=np.zeros((n, 3)),
        radius=np.full(n, 0.05),
        slides=(False,) * n,
        tip_frame='tip',
        success_radius=0.05,
        success_angle=0.2,
        table=-0.1,
    )
