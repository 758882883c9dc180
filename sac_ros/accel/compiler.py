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

"""Compiling the update into one graph, where the machine can."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import FunctionType
from typing import Any, Concatenate, ParamSpec, TypeVar

import torch
import torch._inductor
from torch import fx
from torch._inductor.runtime.cache_dir_utils import default_cache_dir
from torch.utils._pytree import tree_leaves, tree_map_only

from sac_ros.accel.matmul import MatmulPass

log = logging.getLogger(__name__)

P = ParamSpec('P')
R = TypeVar('R')
S = TypeVar('S')  # the state
M = TypeVar('M')  # the metrics
Update = Callable[Concatenate[S, P], tuple[S, M]]
CACHE = 'TORCHINDUCTOR_CACHE_DIR'


class Compiler:
    """Compiles updates at their first call; after one failure all of them run eagerly.

    On a CPU a compiled update uses up the state that it is given: the new one takes its place in
    memory, as where JAX donates a buffer, which keeps more of it in the processor's cache.

    A compiled update must be called with tensors of the same shapes, types and device for ever:
    that is not checked, because the check takes a twentieth of an update.
    """

    def __init__(self, device: str = 'cpu', bf16: bool = False) -> None:
        """Compile nothing yet.

        Args:
            device: where the functions run, cpu or cuda.
            bf16: round the factors of matrix products to bfloat16, where that is faster.
        """
        self.seconds = 0.0  # spent on first calls, compiling or reading what is cached
        self.ready = self.failed = self.busy = False
        # Worker processes would hear Ctrl-C too, and one graph gives them nothing to share.
        os.environ.setdefault('TORCHINDUCTOR_COMPILE_THREADS', '1')
        if os.environ.get(CACHE) in (None, default_cache_dir()):  # which importing it had set
            cache = Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache')
            os.environ[CACHE] = str(cache / 'sac_ros' / 'inductor')
        self._cuda = device == 'cuda'
        self._products = MatmulPass.for_device(device, bf16)

    def _compile(self, function: Update[S, P, M]) -> Update[S, P, M]:
        # On a GPU the graph is captured once and replayed; on a CPU it is called without Python.
        options: dict[str, Any] = {
            'guard_filter_fn': lambda guards: [False] * len(guards),
            'post_grad_custom_pre_pass': self._products,
            'triton.cudagraphs' if self._cuda else 'cpp_wrapper': True,
        }
        compiled = partial(
            torch.compile, backend=self._inductor, fullgraph=True, dynamic=False, options=options
        )
        if not self._cuda:
            in_place = compiled(_with_unique_code(_in_place(function)))

            def donate(state: S, /, *args: P.args, **kwargs: P.kwargs) -> tuple[S, M]:
                return state, in_place(state, *args, **kwargs)

            return donate
        fast = compiled(_with_unique_code(function))

        def replay(state: S, /, *args: P.args, **kwargs: P.kwargs) -> tuple[S, M]:
            # A replay writes where the one before did: what shall last is copied out.
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
            result: tuple[S, M] = tree_map_only(
                torch.Tensor, torch.clone, fast(state, *args, **kwargs)
            )
            return result

        return replay

    def _inductor(
        self, graph: fx.GraphModule, inputs: Sequence[Any], options: dict[str, Any]
    ) -> Callable[..., Any]:
        compiled: Callable[..., Any] = torch._inductor.compile(graph, list(inputs), options)
        self._products.load().result()
        return compiled

    def __call__(self, function: Update[S, P, M]) -> Update[S, P, M]:
        """Return the function as one graph; where that fails, warn once and run it eagerly."""
        self._products.load()  # beside everything up to the first call, and compiling there
        fast: Update[S, P, M] | None = None

        def call(state: S, /, *args: P.args, **kwargs: P.kwargs) -> tuple[S, M]:
            nonlocal fast
            if self.failed:
                return function(state, *args, **kwargs)
            if fast is not None:
                return fast(state, *args, **kwargs)
            began, self.busy = time.monotonic(), True
            try:
                compiled = self._compile(function)
                result = compiled(state, *args, **kwargs)
            except Exception as error:  # noqa: BLE001 (a compiler can fail in any way)
                log.warning('cannot compile the update, going on without: %s', _reason(error))
                self.failed = True
                return function(state, *args, **kwargs)
            finally:
                self.busy = False
                self.seconds += time.monotonic() - began
            self.ready, fast = True, compiled
            return result

        return call


def _reason(error: Exception) -> str:
    """Return the one line that says most: of a compiler's output, its first error."""
    lines = str(getattr(error, 'inner_exception', error)).strip().splitlines()
    return next((line for line in lines if ' error: ' in line), (lines or [repr(error)])[0])


def _in_place(function: Update[S, P, M]) -> Callable[Concatenate[S, P], M]:
    """Return it as a function that puts the new state where the old one is."""

    def call(state: S, /, *args: P.args, **kwargs: P.kwargs) -> M:
        new, metrics = function(state, *args, **kwargs)
        for old, value in zip(tree_leaves(state), tree_leaves(new), strict=True):
            if value is not old:
                old.copy_(value)
        return metrics

    return call


def _with_unique_code(function: Callable[P, R]) -> Callable[P, R]:
    """Return it with a code object of its own, where the compiler keeps what it made of it.

    Without the checks it would otherwise take one learner's graph for another's.
    """

    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        return function(*args, **kwargs)

    code = call.__code__.replace(co_name=f'call_{id(call)}')
    return FunctionType(code, call.__globals__, closure=call.__closure__)
