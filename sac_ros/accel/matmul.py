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

"""Which matrix products a compiled update uses: torch's, ours (matmul.cpp), in bfloat16."""

from __future__ import annotations

from concurrent.futures import Future
from functools import cache
from pathlib import Path
from threading import Thread
from typing import Any

import torch
from torch import Tensor, fx
from torch._inductor.codecache import CppCodeCache
from torch._inductor.custom_graph_pass import CustomGraphPass, get_hash_for_files

SOURCE = Path(__file__).with_suffix('.cpp')
aten, prims = torch.ops.aten, torch.ops.prims

torch.library.define(
    'sac_ros::product',
    '(Tensor a, Tensor b, bool bf16, Tensor? bias, bool relu, Tensor? positive) -> Tensor',
)


def _shape(a: Tensor, b: Tensor, *_: object) -> Tensor:
    return a.new_empty((*a.shape[:-1], b.shape[-1]))


torch.library.register_fake('sac_ros::product', _shape)


class MatmulPass(CustomGraphPass):
    """Replaces every product of float32 matrices in a graph that is being compiled.

    With `own` it is the operator of matmul.cpp, which also takes over what follows a product in
    a network: a bias, a ReLU, or the mask through which a ReLU's gradient goes. It is for
    processors with AVX-512 that MKL, torch's library, is not made for.

    With `bf16` the factors are rounded to bfloat16 and sums are kept in float32.
    """

    def __init__(self, bf16: bool, own: bool) -> None:
        self.bf16, self.own = bf16, own

    @staticmethod
    def for_device(device: str, bf16: bool) -> MatmulPass:
        """Return what suits the machine; bfloat16 only where that is faster.

        Args:
            device: where the graph runs, cpu or cuda.
            bf16: whether rounding is allowed.
        """
        if device == 'cuda':
            return MatmulPass(bf16 and torch.cuda.is_bf16_supported(False), own=False)
        has = torch.cpu.get_capabilities()
        own = has.get('avx512_bw', False) and 'Intel' not in has['cpu_name']
        fast = has.get('avx512_bf16') or (has.get('amx_bf16') and not own)
        return MatmulPass(bf16 and bool(fast), own)

    def load(self) -> Future[None]:
        """Begin to build matmul.cpp, or to take it from the compiler's cache.

        Returns:
            What is done when a graph can run, or failed as the compiler did.
        """
        if self.own:
            return _load()
        nothing: Future[None] = Future()
        nothing.set_result(None)
        return nothing

    def __call__(self, graph: fx.Graph) -> None:
        """Replace them."""
        if not (self.own or self.bf16):
            return
        replace = self._use_own if self.own else _round
        for node in list(graph.nodes):
            matrices = node.target in (aten.mm.default, aten.bmm.default)
            if matrices and node.meta['val'].dtype == torch.float32:
                replace(graph, node)
        graph.eliminate_dead_code()

    def uuid(self) -> bytes:
        """Return what compiled graphs are cached under."""
        return get_hash_for_files((__file__, str(SOURCE)), f'{self.bf16} {self.own}')

    def _use_own(self, graph: fx.Graph, product: fx.Node) -> None:
        bias: fx.Node | None = None
        positive: fx.Node | None = None
        relu, last = False, product
        add = _only_user(last, aten.add.Tensor)
        if add is not None and _is_bias(other := _other(add, last), product):
            bias, last = other, add
        following = _only_user(last, aten.relu.default)
        if following is not None:
            relu, last = True, following
        where = _only_user(last, aten.where.self)
        if where is not None and (saved := _saved_by_relu(where, last)) is not None:
            positive, last = saved, where
        with graph.inserting_before(last):
            new = graph.call_function(
                torch.ops.sac_ros.product.default,
                (*product.args, self.bf16, bias, relu, positive),
            )
        new.meta = dict(last.meta)
        last.replace_all_uses_with(new)


@cache
def _load() -> Future[None]:
    done: Future[None] = Future()

    def build() -> None:
        try:
            CppCodeCache.load(SOURCE.read_text(), needs_vec_isa=True)
            done.set_result(None)
        except BaseException as error:  # noqa: BLE001 (raised where it is waited for)
            done.set_exception(error)

    Thread(target=build, name='matmul.cpp', daemon=True).start()
    return done


def _round(graph: fx.Graph, product: fx.Node) -> None:
    def cast(node: Any, dtype: torch.dtype) -> fx.Node:
        new = graph.call_function(prims.convert_element_type.default, (node, dtype))
        new.meta['val'] = node.meta['val'].to(dtype)
        return new

    with graph.inserting_before(product):
        factors = [cast(factor, torch.bfloat16) for factor in product.args]
        rounded = graph.create_node('call_function', product.target, tuple(factors))
        rounded.meta['val'] = product.meta['val'].to(torch.bfloat16)
        exact = cast(rounded, torch.float32)
    product.replace_all_uses_with(exact)


def _only_user(node: fx.Node, target: object) -> fx.Node | None:
    user = next(iter(node.users), None)
    return user if user is not None and len(node.users) == 1 and user.target is target else None


def _other(add: fx.Node, summand: fx.Node) -> Any:
    return add.args[1] if add.args[0] is summand else add.args[0]


def _is_bias(node: object, product: fx.Node) -> bool:
    if not isinstance(node, fx.Node):
        return False
    value, result = node.meta['val'], product.meta['val']
    fits = value.shape in (result.shape[-1:], (*result.shape[:-2], 1, result.shape[-1]))
    return fits and value.dtype == torch.float32 and value.is_contiguous()


def _saved_by_relu(where: fx.Node, gradient: fx.Node) -> fx.Node | None:
    """Return x if this is where(x <= 0, 0, gradient)."""
    condition: Any
    zero: Any
    condition, zero, other = where.args
    if other is not gradient or (condition.target, zero.target) != (
        aten.le.Scalar,
        aten.full.default,
    ):
        return None
    saved: fx.Node = condition.args[0]
    value, result = saved.meta['val'], gradient.meta['val']
    fits = value.shape == result.shape and value.dtype == torch.float32 and value.is_contiguous()
    return saved if fits and condition.args[1] == zero.args[1] == 0 else None
