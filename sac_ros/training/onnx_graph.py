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

"""A PyTorch function of one batch as an ONNX graph, recorded while it runs.

What does not depend on the input is computed here and stored as a constant. The graph is made for
old runtimes as well: no operator is used that ONNX Runtime 1.17 lacks for float64. There is no
`Cos`, and no `Transpose`, which it would fuse with a matrix product and then lack.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from sac_ros.errors import ExportError

OPSET, IR_VERSION = 18, 8  # the oldest IR version for this opset
_SAME = {
    'add': 'Add', 'radd': 'Add', 'mul': 'Mul', 'rmul': 'Mul', 'sub': 'Sub', 'div': 'Div',
    'truediv': 'Div', 'maximum': 'Max', 'minimum': 'Min', 'lt': 'Less',
    'gt': 'Greater', 'ge': 'GreaterOrEqual', 'or': 'Or', 'and': 'And', 'bitwise_not': 'Not',
    'invert': 'Not', 'abs': 'Abs', 'neg': 'Neg', 'sign': 'Sign', 'exp': 'Exp', 'log': 'Log',
    'tanh': 'Tanh', 'sqrt': 'Sqrt', 'sin': 'Sin', 'relu': 'Relu', 'atan': 'Atan',
}  # fmt: skip
_REDUCTIONS = {'sum': 'ReduceSum', 'amax': 'ReduceMax', 'amin': 'ReduceMin'}


def to_onnx(module: nn.Module, n_input: int, input_name: str, output_name: str) -> onnx.ModelProto:
    """Return the graph of a module from (B, n_input) to (B, m), float32 both, for any B.

    Raises:
        ExportError: the module calls what has no translation here.
    """
    # With a batch of one, constants broadcast over a batch of any size.
    observation = torch.zeros(1, n_input)
    recorder = _Recorder(observation, input_name)
    with torch.no_grad(), recorder:
        output = module(observation)
    return recorder.model(output, n_input, output_name)


class _Recorder(TorchFunctionMode):
    """Records a node, or several, for each function of PyTorch whose result depends on the input.

    Dimension 0 of all that depends on it is the batch.
    """

    def __init__(self, observation: Tensor, name: str) -> None:
        super().__init__()
        self._input = name
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], onnx.TensorProto] = {}
        self._results: dict[tuple[object, ...], list[str]] = {}  # names by what a node computes
        self._names: dict[int, str] = {id(observation): name}
        self._transposed: dict[int, str] = {}  # names of what a tensor is the transpose of
        self._alive = [observation]  # ids stay theirs

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = dict(kwargs or {})
        result = func(*args, **kwargs)
        leaves = tree_leaves((args, kwargs))
        known = self._names.keys() | self._transposed.keys()
        if not any(id(leaf) in known for leaf in leaves if isinstance(leaf, Tensor)):
            return result
        outputs = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        if all(id(output) in self._names for output in outputs):
            return result  # a shape or a type, or the very argument
        name = getattr(func, '__name__', str(func))
        if name == '__get__':
            name = func.__self__.__name__  # type: ignore[attr-defined]
        name = name.strip('_')
        if name in ('zeros_like', 'ones_like', 'full_like'):
            return result
        if name == 'T':
            self._transpose(args[0], outputs[0])
        elif name == 'matmul':
            self._multiply(args[0], args[1], outputs[0])
        else:
            self._record(name, args, kwargs, outputs)
        return result

    def model(self, output: Tensor, n_input: int, output_name: str) -> onnx.ModelProto:
        """Return the graph of everything that the output needs."""
        if id(output) not in self._names:
            raise ExportError('the policy does not depend on its observation')
        last = self._node('Identity', [self._names[id(output)]])
        nodes = _needed(self._nodes, last)
        nodes[-1].output[0] = output_name
        used = {name for node in nodes for name in node.input}
        kind = onnx.TensorProto.FLOAT
        graph = helper.make_graph(
            nodes,
            'policy',
            [helper.make_tensor_value_info(self._input, kind, ['batch', n_input])],
            [helper.make_tensor_value_info(output_name, kind, ['batch', output.shape[1]])],
            [constant for constant in self._constants.values() if constant.name in used],
        )
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid('', OPSET)], ir_version=IR_VERSION
        )
        onnx.checker.check_model(model, full_check=True)
        return model

    def _transpose(self, x: Tensor, output: Tensor) -> None:
        """Note a transpose, which a product with a constant on the left then avoids."""
        if id(x) in self._transposed:
            self._bind(output, self._transposed[id(x)])
        else:
            self._transposed[id(output)] = self._names[id(x)]
            self._alive.append(output)

    def _multiply(self, x: Tensor, y: Tensor, output: Tensor) -> None:
        if id(y) in self._transposed:  # x y = (y^T x^T)^T
            name = self._node('MatMul', [self._transposed[id(y)], self._name(x.T)])
            self._transposed[id(output)] = name
            self._alive.append(output)
        else:
            self._bind(output, self._node('MatMul', [self._name(x), self._name(y)]))

    def _record(
        self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], outputs: list[Tensor]
    ) -> None:
        first = next(leaf for leaf in tree_leaves(args) if isinstance(leaf, Tensor))
        dtype = first.dtype
        if name in _SAME:
            kind = torch.result_type(*args[-2:]) if len(args) > 1 else dtype
            inputs = [self._name(argument, kind) for argument in args]
            self._bind(outputs[0], self._node(_SAME[name], inputs))
            return
        if name in _REDUCTIONS:
            self._bind(outputs[0], self._reduce(_REDUCTIONS[name], first, *args[1:], **kwargs))
            return
        handler = getattr(self, f'_on_{name}', None)
        if handler is None:
            raise ExportError(
                f'no translation to ONNX for the PyTorch function {name!r}, which the policy '
                'calls; add one to sac_ros/training/onnx_graph.py'
            )
        names = handler(*args, **kwargs)
        names = [names] if isinstance(names, str) else names
        for output, result in zip(outputs, names, strict=True):
            self._bind(output, result)

    def _bind(self, tensor: Tensor, name: str) -> None:
        if self._names.setdefault(id(tensor), name) != name:
            raise ExportError('a function of PyTorch returned one of its arguments')
        self._alive.append(tensor)

    def _name(self, value: Any, dtype: torch.dtype | None = None) -> str:
        """Return the name of a tensor, a number or an array; constants get the type."""
        if isinstance(value, Tensor):
            if id(value) in self._names:
                return self._cast(self._names[id(value)], value.dtype, dtype)
            return self._constant(value.detach().to(dtype or value.dtype).numpy())
        return self._constant(torch.tensor(value, dtype=dtype).numpy())

    def _cast(self, name: str, present: torch.dtype, dtype: torch.dtype | None) -> str:
        if dtype is None or dtype == present:
            return name
        kind = helper.np_dtype_to_tensor_dtype(torch.empty(0, dtype=dtype).numpy().dtype)
        return self._node('Cast', [name], to=kind)

    def _constant(self, array: NDArray[Any]) -> str:
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            name = f'c{len(self._constants)}'
            self._constants[key] = numpy_helper.from_array(array.copy(order='C'), name)
        return self._constants[key].name

    def _integers(self, *values: int) -> str:
        return self._constant(np.array(values, np.int64))

    def _node(self, operator: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Return the name of what an operator gives."""
        return self._outputs(operator, inputs, 1, **attributes)[0]

    def _outputs(
        self, operator: str, inputs: Sequence[str], count: int, **attributes: Any
    ) -> list[str]:
        """Return the names of what an operator gives; the same again is not computed."""
        key = (operator, *inputs, *sorted(attributes.items()))
        if key not in self._results:
            name = f'{operator.lower()}{len(self._nodes)}'
            outputs = [f'{name}_{i}' for i in range(count)] if count > 1 else [name]
            self._nodes.append(helper.make_node(operator, inputs, outputs, name, **attributes))
            self._results[key] = outputs
        return self._results[key]

    def _reduce(self, operator: str, x: Tensor, dim: int, keepdim: bool = False) -> str:
        axes = self._integers(_positive(dim, x.dim()))
        return self._node(operator, [self._name(x), axes], keepdims=int(keepdim))

    def _reshape(self, name: str, shape: Iterable[int]) -> str:
        """Change all dimensions but the batch."""
        return self._node('Reshape', [name, self._integers(0, *shape)])

    def _slice(self, name: str, axis: int, start: int, stop: int) -> str:
        numbers = (self._integers(value) for value in (start, stop, axis))
        return self._node('Slice', [name, *numbers])

    # Functions of PyTorch: their arguments, and the names of what they give.

    def _on_cos(self, x: Tensor) -> str:
        quarter = self._name(math.pi / 2, x.dtype)
        return self._node('Sin', [self._node('Add', [self._name(x), quarter])])

    def _on_rsub(self, x: Tensor, y: Any) -> str:
        return self._node('Sub', [self._name(y, x.dtype), self._name(x)])

    def _on_square(self, x: Tensor) -> str:
        return self._node('Mul', [self._name(x)] * 2)

    def _on_pow(self, x: Tensor, exponent: float) -> str:
        if exponent not in (2, 3):
            return self._node('Pow', [self._name(x), self._name(exponent, x.dtype)])
        square = self._on_square(x)
        return square if exponent == 2 else self._node('Mul', [square, self._name(x)])

    def _on_clamp(self, x: Tensor, min: float | None = None, max: float | None = None) -> str:
        low, high = ('' if v is None else self._name(v, x.dtype) for v in (min, max))
        return self._node('Clip', [self._name(x), low, high])

    def _on_where(self, condition: Tensor, x: Any, y: Any) -> str:
        kind = torch.result_type(x, y)
        if id(condition) not in self._names and (condition.all() or not condition.any()):
            return self._name(x if condition.all() else y, kind)
        return self._node(
            'Where', [self._name(condition), self._name(x, kind), self._name(y, kind)]
        )

    def _on_to(self, x: Tensor, dtype: torch.dtype) -> str:
        return self._cast(self._name(x), x.dtype, dtype)

    def _on_float(self, x: Tensor) -> str:
        return self._on_to(x, torch.float32)

    def _on_double(self, x: Tensor) -> str:
        return self._on_to(x, torch.float64)

    def _on_linear(self, x: Tensor, weight: Tensor, bias: Tensor) -> str:
        product = self._node('MatMul', [self._name(x), self._name(weight.T)])
        return self._node('Add', [product, self._name(bias)])

    def _on_cross(self, x: Tensor, y: Tensor, dim: int = -1) -> str:
        """Sum a product of permuted vectors, the permutations being matrix products."""
        turn = torch.eye(3, dtype=x.dtype).roll(1, 1)  # x @ turn is x rolled by one
        back = turn.T
        left = self._constant(torch.cat((back, turn), 1).numpy())
        right = self._constant(torch.cat((turn, back), 1).numpy())
        signs = self._constant(torch.cat((torch.eye(3), -torch.eye(3))).to(x.dtype).numpy())
        factors = [self._node('MatMul', [self._name(v), m]) for v, m in ((x, left), (y, right))]
        return self._node('MatMul', [self._node('Mul', factors), signs])

    _on_linalg_cross = _on_cross

    def _on_normalize(
        self, x: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12, out: None = None
    ) -> str:
        if p != 2 or x.dim() != 2 or dim != 1:
            raise ExportError('only the 2-norm of rows is translated to ONNX')
        total = self._node('ReduceSum', [self._on_square(x), self._integers(1)], keepdims=1)
        length = self._node('Max', [self._node('Sqrt', [total]), self._name(eps, x.dtype)])
        return self._node('Div', [self._name(x), length])

    def _on_cat(self, tensors: Sequence[Tensor], dim: int = 0) -> str:
        axis = _positive(dim, tensors[0].dim())
        if axis == 0 or any(id(tensor) not in self._names for tensor in tensors):
            raise ExportError('a constant, or batches, cannot be joined in the exported graph')
        names = [self._name(tensor) for tensor in tensors]
        return names[0] if len(names) == 1 else self._node('Concat', names, axis=axis)

    def _on_stack(self, tensors: Sequence[Tensor], dim: int = 0) -> str:
        axis = _positive(dim, tensors[0].dim() + 1)
        where = self._integers(axis)
        parts = [self._node('Unsqueeze', [self._name(tensor), where]) for tensor in tensors]
        return self._node('Concat', parts, axis=axis)

    def _on_unsqueeze(self, x: Tensor, dim: int) -> str:
        axis = self._integers(_positive(dim, x.dim() + 1))
        return self._node('Unsqueeze', [self._name(x), axis])

    def _on_squeeze(self, x: Tensor, dim: int) -> str:
        return self._node('Squeeze', [self._name(x), self._integers(_positive(dim, x.dim()))])

    def _on_reshape(self, x: Tensor, *shape: Any) -> str:
        sizes = shape[0] if isinstance(shape[0], Sequence) else shape
        return self._reshape(self._name(x), sizes[1:])

    def _on_flatten(self, x: Tensor, start_dim: int, end_dim: int = -1) -> str:
        return self._reshape(self._name(x), x.flatten(start_dim, end_dim).shape[1:])

    def _on_detach(self, x: Tensor) -> str:
        return self._name(x)

    def _on_expand(self, x: Tensor, *shape: Any) -> str:
        return self._names[id(x)]  # it broadcasts

    def _on_transpose(self, x: Tensor, first: int, second: int) -> str:
        """Reorder by numbers of elements."""
        order = torch.arange(x[0].numel()).reshape(x.shape).transpose(first, second)
        if order.shape[0] != 1:
            raise ExportError('the batch cannot be transposed in the exported graph')
        flat = self._reshape(self._name(x), [-1])
        indices = self._constant(order.flatten().numpy())
        return self._reshape(self._node('Gather', [flat, indices], axis=1), order.shape[1:])

    def _on_diagonal(self, x: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> str:
        indices = torch.arange(x[0].numel()).reshape(x.shape).diagonal(offset, dim1, dim2)
        flat = self._reshape(self._name(x), [-1])
        gathered = self._node('Gather', [flat, self._constant(indices.flatten().numpy())], axis=1)
        return self._reshape(gathered, indices.shape[1:])

    def _on_unbind(self, x: Tensor, dim: int = 0) -> list[str]:
        axis = _positive(dim, x.dim())
        indices = (self._constant(np.array(i)) for i in range(x.shape[axis]))
        return [self._node('Gather', [self._name(x), index], axis=axis) for index in indices]

    def _on_split(self, x: Tensor, size: int, dim: int = 0) -> list[str]:
        axis = _positive(dim, x.dim())
        sizes = [part.shape[axis] for part in torch.split(x, size, axis)]
        if len(sizes) == 1:
            return [self._name(x)]
        inputs = [self._name(x), self._integers(*sizes)]
        return self._outputs('Split', inputs, len(sizes), axis=axis)

    def _on_chunk(self, x: Tensor, chunks: int, dim: int = 0) -> list[str]:
        return self._on_split(x, -(-x.shape[dim] // chunks), dim)

    def _on_getitem(self, x: Tensor, index: Any) -> str:
        name, axis, dim = self._name(x), 0, 0  # dim counts those of x
        for item in index if isinstance(index, tuple) else (index,):
            if item is None:
                name = self._node('Unsqueeze', [name, self._integers(axis)])
                axis += 1
            elif isinstance(item, slice):
                start, stop, step = item.indices(x.shape[dim])
                if step != 1 or (dim == 0 and (start, stop) != (0, 1)):
                    raise ExportError('the exported graph takes no steps and keeps the batch')
                if (start, stop) != (0, x.shape[dim]):
                    name = self._slice(name, axis, start, stop)
                axis, dim = axis + 1, dim + 1
            elif isinstance(item, int):
                number = self._constant(np.array(_positive(item, x.shape[dim])))
                name = self._node('Gather', [name, number], axis=axis)
                dim += 1
            else:
                raise ExportError(f'an index {item!r} has no translation to ONNX')
        return name


def _positive(dim: int, count: int) -> int:
    return dim % count


def _needed(nodes: list[onnx.NodeProto], last: str) -> list[onnx.NodeProto]:
    """Return the nodes that the last result depends on, in their order."""
    wanted, kept = {last}, []
    for node in reversed(nodes):
        if wanted.intersection(node.output):
            wanted.update(node.input)
            kept.append(node)
    return kept[::-1]
