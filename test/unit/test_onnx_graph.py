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

"""The recorded graph computes what the function of PyTorch does, for any batch."""

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sac_ros.deploy.onnx_structure import OPERATORS
from sac_ros.errors import ExportError
from sac_ros.training.onnx_graph import to_onnx


class Module(nn.Module):
    """A module that is one function."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x.double()).float()


def turned(x):
    """Vectors and matrices of each row."""
    matrix = x[:, :9].reshape(-1, 3, 3)
    return matrix, x[:, 3:6], x[:, 6:9]


W = torch.arange(12.0, dtype=torch.float64).reshape(12, 1) / 7
FUNCTIONS = {
    'arithmetic': lambda x: (1 - 2 * x) / (x * x + 1) - x / 3 + (-x).abs() ** 3,
    'angles': lambda x: torch.cos(x) + torch.sin(x) + torch.atan(x.float()).double(),
    'a small constant': lambda x: (x * 1e-12) * 1e12 + 1e-12,
    'exponentials': lambda x: torch.exp(-x.square()) + (x.abs() + 1).log() + x.tanh().sqrt(),
    'rectified': lambda x: x.relu() + F.relu(x - 1),
    'limits': lambda x: x.clamp(-1, 1) + x.clamp(min=0.2) + x.clamp(max=0.1),
    'extremes': lambda x: torch.maximum(x, x.amax(1, keepdim=True) / 2) - x.amin(1, keepdim=True),
    'comparisons': lambda x: torch.where((x > 0) & ~(x >= 1) | (x < -1), x, torch.sign(x)),
    'a constant choice': lambda x: torch.where(torch.tensor(True), x, x + 1),
    'parts': lambda x: torch.cat((x[:, 2:5], x[:, -1, None], x[:, None, 3]), dim=1),
    'chunks': lambda x: x.chunk(2, dim=1)[0] * torch.stack(x.split(6, dim=1), 2).sum(2),
    'products': lambda x: (turned(x)[0] @ turned(x)[1].unsqueeze(2)).squeeze(2),
    'transposes': lambda x: (turned(x)[0].transpose(1, 2) @ turned(x)[0]).flatten(1),
    'a product from the left': lambda x: (W.T @ x.T).T + F.linear(x, W.T, W[0]),
    'cross products': lambda x: torch.linalg.cross(turned(x)[1], turned(x)[2]),
    'normalized': lambda x: F.normalize(x, dim=1) * x.detach().expand(x.shape[0], 12),
    'diagonals': lambda x: turned(x)[0].diagonal(dim1=1, dim2=2) + x[:, :3].unbind(1)[0][:, None],
}  # fmt: skip


@pytest.mark.parametrize('name', FUNCTIONS)
def test_a_graph_is_its_function(name):
    module = Module(FUNCTIONS[name])
    model = to_onnx(module, 12, 'x', 'y')
    assert {node.op_type for node in model.graph.node} <= OPERATORS - {'Cos', 'Transpose'}
    session = onnxruntime.InferenceSession(model.SerializeToString())
    for rows in (1, 5):
        x = torch.from_numpy(np.random.default_rng(rows).normal(size=(rows, 12))).float()
        y = session.run(['y'], {'x': x.numpy()})[0]
        assert y.shape == module(x).shape
        np.testing.assert_allclose(y, module(x).numpy(), rtol=1e-6, atol=1e-7, equal_nan=True)


def test_what_is_computed_once_is_one_node():
    model = to_onnx(Module(lambda x: x.tanh() * x.tanh() + (x + 1) * 0.5), 12, 'x', 'y')
    assert [node.op_type for node in model.graph.node].count('Tanh') == 1


def test_what_the_result_does_not_need_is_left_out():
    def function(x):
        x.exp()
        return x + torch.ones_like(x) + torch.eye(12, dtype=x.dtype)[0].cumsum(0)

    names = [node.op_type for node in to_onnx(Module(function), 12, 'x', 'y').graph.node]
    assert names.count('Add') == 2 and len(names) <= 5 and 'Exp' not in names


@pytest.mark.parametrize(
    'function, message',
    [
        (lambda x: x.erfinv(), "the PyTorch function 'erfinv'"),
        (lambda x: torch.cat((x, torch.zeros_like(x)), dim=1), 'cannot be joined'),
        (lambda x: x[:, ::2], 'no steps'),
        (lambda x: torch.zeros(1, 3), 'does not depend on its observation'),
    ],
)
def test_what_has_no_translation_is_an_error(function, message):
    with pytest.raises(ExportError, match=message):
        to_onnx(Module(function), 12, 'x', 'y')
