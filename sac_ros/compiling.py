"""Compiling the update into one graph, where the machine can."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import Any, ParamSpec, TypeVar

import torch
from torch.utils._pytree import tree_map_only

from sac_ros.products import Products

log = logging.getLogger(__name__)

P = ParamSpec('P')
R = TypeVar('R')
CACHE = 'TORCHINDUCTOR_CACHE_DIR'


class Compiler:
    """Compiles functions at their first call; after one failure all of them run eagerly.

    A compiled function must be called with tensors of the same shapes, types and device for ever:
    that is not checked, because the check takes a twentieth of an update.
    """

    def __init__(self, device: str = 'cpu', bf16: bool = False) -> None:
        """Compile nothing yet.

        Args:
            device: where the functions run, cpu or cuda.
            bf16: round the factors of matrix products to bfloat16, where that is faster.
        """
        self.seconds = 0.0  # spent on first calls, compiling or reading what is cached
        self.ready = self.failed = False
        # Worker processes would hear Ctrl-C too, and one graph gives them nothing to share.
        os.environ.setdefault('TORCHINDUCTOR_COMPILE_THREADS', '1')
        cache = Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache')
        os.environ.setdefault(CACHE, str(cache / 'sac_ros' / 'inductor'))
        self._cuda = device == 'cuda'
        self._products = Products.of(device, bf16)

    def _compile(self, function: Callable[P, R]) -> Callable[P, R]:
        self._products.load()
        # On a GPU the graph is captured once and replayed; on a CPU it is called without Python.
        options: dict[str, Any] = {
            'guard_filter_fn': lambda guards: [False] * len(guards),
            'post_grad_custom_pre_pass': self._products,
            'triton.cudagraphs' if self._cuda else 'cpp_wrapper': True,
        }
        fast: Callable[P, R] = torch.compile(
            _own(function), fullgraph=True, dynamic=False, options=options
        )
        if not self._cuda:
            return fast

        def replay(*args: P.args, **kwargs: P.kwargs) -> R:
            # A replay writes where the one before did: what shall last is copied out.
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
            result: R = tree_map_only(torch.Tensor, torch.clone, fast(*args, **kwargs))
            return result

        return replay

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Return the function as one graph; where that fails, warn once and run it eagerly."""
        fast: Callable[P, R] | None = None

        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            nonlocal fast
            if self.failed:
                return function(*args, **kwargs)
            if fast is not None:
                return fast(*args, **kwargs)
            began = time.monotonic()
            try:
                compiled = self._compile(function)
                result = compiled(*args, **kwargs)
            except Exception as error:  # noqa: BLE001 (a compiler can fail in any way)
                reason = str(error).strip().splitlines()[:1]
                log.warning('cannot compile the update, going on without: %s', *reason)
                self.failed = True
                return function(*args, **kwargs)
            finally:
                self.seconds += time.monotonic() - began
            self.ready, fast = True, compiled
            return result

        return call


def _own(function: Callable[P, R]) -> Callable[P, R]:
    """Return it with a code object of its own, where the compiler keeps what it made of it.

    Without the checks it would otherwise take one learner's graph for another's.
    """

    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        return function(*args, **kwargs)

    code = call.__code__.replace(co_name=f'call_{id(call)}')
    return FunctionType(code, call.__globals__, closure=call.__closure__)
