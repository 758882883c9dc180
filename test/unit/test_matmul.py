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

"""Matrix products of a compiled update: equal to torch's, and put where those were."""

import pytest
import torch
from torch.func import grad

from sac_ros.accel.matmul import MatmulPass

OWN = MatmulPass.for_device('cpu', bf16=True)
needs_own = pytest.mark.skipif(not OWN.own, reason='matmul.cpp is not for this processor')
SIZES = [
    (256, 256, 256), (128, 30, 256), (30, 256, 256), (256, 256, 14), (37, 100, 51), (1, 7, 1),
    (5, 1, 33), (29, 1100, 40),
]  # fmt: skip


def product(a, b, bf16=False, bias=None, relu=False, positive=None):
    OWN.load().result()
    return torch.ops.sac_ros.product(a, b, bf16, bias, relu, positive)


def exact(a, b, bf16=False):
    if bf16:
        a, b = a.bfloat16(), b.bfloat16()
    return a.double() @ b.double()


def factors(rows, depth, columns, n, transposed):
    shape = (n,) if n else ()
    left, right = transposed
    a = torch.randn(*shape, depth, rows).mT if left else torch.randn(*shape, rows, depth)
    b = torch.randn(*shape, columns, depth).mT if right else torch.randn(*shape, depth, columns)
    return a, b


@needs_own
@pytest.mark.parametrize('sizes', SIZES)
@pytest.mark.parametrize('bf16', [False, True])
def test_products_of_any_size_and_layout(sizes, bf16):
    if bf16 and not OWN.bf16:
        pytest.skip('this processor has no bfloat16')
    for n in (0, 1, 3):
        for transposed in ((0, 0), (0, 1), (1, 0), (1, 1)):
            a, b = factors(*sizes, n, transposed)
            difference = (product(a, b, bf16) - exact(a, b, bf16)).abs().max()
            assert difference < 2e-6 * sizes[1] + 1e-6


@needs_own
def test_products_of_parts_of_larger_matrices():
    a, b = torch.randn(4, 60, 90)[::2, ::3, 5:40:5], torch.randn(2, 14, 80)[:, 1::2, 7:60]
    assert torch.allclose(product(a, b).double(), exact(a, b), atol=1e-5)
    shared = torch.randn(20, 7).expand(2, 20, 7)
    assert torch.allclose(product(shared, b).double(), exact(shared, b), atol=1e-5)


@needs_own
@pytest.mark.parametrize('depth', [40, 1100])
@pytest.mark.parametrize('columns', [51, 256])
def test_what_follows_a_product(depth, columns):
    a, b = torch.randn(2, 70, depth), torch.randn(2, depth, columns)
    saved = torch.randn(2, 70, columns).relu()
    for bias in (torch.randn(columns), torch.randn(2, 1, columns)):
        wanted = (exact(a, b) + bias).relu()
        assert torch.allclose(product(a, b, bias=bias, relu=True).double(), wanted, atol=1e-3)
    wanted = torch.where(saved <= 0, 0, exact(a, b))
    assert torch.allclose(product(a, b, positive=saved).double(), wanted, atol=1e-3)


@needs_own
def test_rows_of_zeros_give_zeros_where_they_are():
    a, b = torch.randn(2, 70, 40), torch.randn(2, 40, 51)
    saved = torch.randn(2, 70, 51).relu()
    a[0, torch.rand(70) < 0.5] = a[1, 3:] = 0
    wanted = torch.where(saved <= 0, 0, exact(a, b))
    assert torch.allclose(product(a, b, positive=saved).double(), wanted, atol=1e-4)
    assert torch.allclose(product(a, b).double(), exact(a, b), atol=1e-4)
    a[0] = 0
    assert torch.equal(product(a, b)[0], torch.zeros(70, 51))


@needs_own
def test_nan_is_not_hidden():
    a, b = torch.randn(20, 30), torch.randn(30, 40)
    a[3, 4] = torch.nan
    bias = torch.zeros(40)
    assert product(a, b, bias=bias, relu=True)[3].isnan().all()
    assert product(a, b, bias=bias, relu=True).isnan().sum() == 40


@needs_own
def test_what_does_not_fit_is_refused():
    a, b = torch.randn(20, 30), torch.randn(30, 40)
    for wrong in ((a, b.T), (a.double(), b.double()), (a, b[None]), (a[0], b)):
        with pytest.raises(RuntimeError, match='product takes'):
            product(*wrong)
    with pytest.raises(RuntimeError, match='bias'):
        product(a, b, bias=torch.randn(39))
    with pytest.raises(RuntimeError, match='mask'):
        product(a, b, positive=torch.randn(40, 20).T)


def networks_gradient(weights, x):
    """Return the gradient of a network of two layers, a single one and three at once."""

    def loss(weights):
        first, bias, second, other_bias = weights
        h = torch.relu(x @ first.T + bias)
        return torch.relu(h.expand(3, *h.shape) @ second + other_bias).square().sum()

    return grad(loss)(weights)


def arguments():
    torch.manual_seed(0)
    shapes = ((16, 6), (16,), (3, 16, 24), (3, 1, 24))
    return tuple(torch.randn(s) / 4 for s in shapes), torch.randn(33, 6)


class Watched(MatmulPass):
    """Remembers what it made of the graph; never taken from a cache."""

    def __call__(self, graph):
        super().__call__(graph)
        self.nodes = [node for node in graph.nodes if node.op == 'call_function']
        self.targets = {str(node.target) for node in self.nodes}

    def uuid(self):
        return None


def compiled(products, function, *arguments):
    products.load().result()
    options = {'post_grad_custom_pre_pass': products, 'cpp_wrapper': True}
    return torch.compile(function, fullgraph=True, options=options)(*arguments)


@needs_own
def test_a_graph_gets_our_products_with_what_follows_them():
    products = Watched(bf16=False, own=True)
    got = compiled(products, networks_gradient, *arguments())
    for ours, wanted in zip(got, networks_gradient(*arguments()), strict=True):
        assert torch.allclose(ours, wanted, rtol=1e-4, atol=1e-5)
    assert not {'aten.mm.default', 'aten.bmm.default', 'aten.relu.default'} & products.targets
    following = [n.args[3:] for n in products.nodes if 'product' in str(n.target)]
    biases, relus, masks = zip(*following, strict=True)
    assert len(following) == 5
    assert (sum(b is not None for b in biases), sum(relus)) == (2, 2)
    assert not any(masks)  # the gradient is summed over the three before it meets the first ReLU


@needs_own
def test_the_mask_of_a_relu_follows_its_product():
    def function(x, first, second):
        return torch.relu(x @ first) @ second

    def gradient(x, first, second):
        return grad(lambda x: function(x, first, second).sum())(x)

    products = Watched(bf16=False, own=True)
    given = torch.randn(33, 6), torch.randn(6, 16), torch.randn(16, 9)
    got = compiled(products, gradient, *given)
    assert torch.allclose(got, gradient(*given), rtol=1e-4, atol=1e-5)
    assert 'aten.where.self' not in products.targets


@pytest.mark.parametrize('own', [False, pytest.param(True, marks=needs_own)])
def test_rounded_factors_err_no_more_than_bfloat16(own):
    if own and not OWN.bf16:
        pytest.skip('this processor has no bfloat16')
    got = compiled(Watched(bf16=True, own=own), networks_gradient, *arguments())
    for rounded, wanted in zip(got, networks_gradient(*arguments()), strict=True):
        assert rounded.dtype == torch.float32
        assert 0 < (rounded - wanted).norm() < 0.02 * wanted.norm()


def test_torchs_products_stay_where_nothing_is_better():
    products = Watched(bf16=False, own=False)
    compiled(products, lambda a, b: a @ b, torch.randn(3, 4), torch.randn(4, 5))
    assert products.targets == {'aten.mm.default'}


@pytest.mark.parametrize(
    ('name', 'has', 'own', 'bf16'),
    [
        ('AMD EPYC', ['avx512_bw', 'avx512_bf16'], True, True),
        ('AMD EPYC', ['avx512_bw', 'amx_bf16'], True, False),
        ('AMD EPYC', [], False, False),
        ('Intel(R) Xeon(R)', ['avx512_bw', 'avx512_bf16'], False, True),
        ('Intel(R) Xeon(R)', ['avx512_bw', 'amx_bf16'], False, True),
        ('Intel(R) Xeon(R)', ['avx512_bw'], False, False),
    ],
)
def test_what_is_used_depends_on_the_processor(monkeypatch, name, has, own, bf16):
    capabilities = {'cpu_name': name} | dict.fromkeys(has, True)
    monkeypatch.setattr(torch.cpu, 'get_capabilities', lambda: capabilities)
    chosen = MatmulPass.for_device('cpu', bf16=True)
    assert (chosen.own, chosen.bf16) == (own, bf16)
    assert not MatmulPass.for_device('cpu', bf16=False).bf16
    assert chosen.uuid() != MatmulPass(not bf16, own).uuid()
