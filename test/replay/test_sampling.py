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

"""What is drawn: uniform, repeatable, in proportion, and never across the end of an episode."""

import subprocess
import sys
import time

import numpy as np
import pytest
from paths import PROGRAMS
from replay_values import SMALL, assert_rows, fill, make_spec, transition

from sac_ros.errors import ReplayError
from sac_ros.replay import DataSource, MixedSampler, ReplayReader, ReplayWriter, SourceSampler

GAMMA = 0.5


def rewards(sampler, size, seed=0):
    return sampler.sample(size, np.random.default_rng(seed)).reward


@pytest.fixture
def writer(tmp_path):
    with ReplayWriter(tmp_path / 'r', make_spec(), segment_records=SMALL) as writer:
        yield writer


def test_draws_are_uniform(writer):
    fill(writer, 0, 100)
    counts = np.bincount(rewards(writer, 1_000_000).astype(int), minlength=100)
    chi_square = ((counts - 10_000) ** 2 / 10_000).sum()
    assert chi_square < 160  # 99 degrees of freedom: exceeded once in 10,000


def test_same_seed_same_draw_whether_written_read_or_reopened(writer, tmp_path):
    fill(writer, 0, 3 * SMALL)
    expected = rewards(writer, 500)
    reader = ReplayReader(tmp_path / 'r')
    np.testing.assert_array_equal(rewards(reader, 500), expected)
    writer.close()
    with ReplayWriter(tmp_path / 'r', make_spec()) as reopened:
        np.testing.assert_array_equal(rewards(reopened, 500), expected)
    assert (rewards(reader, 500, seed=1) != expected).any()


def test_draws_land_in_the_given_buffer_and_nowhere_else(writer):
    fill(writer, 0, 2 * SMALL)
    out = np.zeros((64, writer.words), np.float32)
    batch = writer.sample(64, np.random.default_rng(0), out)
    assert all(np.shares_memory(column, out) for column in batch)
    np.testing.assert_array_equal(batch.reward, rewards(writer, 64))
    assert batch.observation.shape == (64, 10)
    assert batch.action.shape == (64, 2)
    assert batch.terminated.shape == (64,)


def test_draws_land_in_a_torch_tensor(writer):
    torch = pytest.importorskip('torch', reason='torch is not installed')
    fill(writer, 0, 100)
    packed = torch.zeros(4, 32, writer.words)
    writer.sample((4, 32), np.random.default_rng(0), packed.numpy())
    batch = writer.layout.split(packed)
    assert isinstance(batch.observation, torch.Tensor)
    torch.testing.assert_close(batch.observation[..., 0], batch.reward)
    torch.testing.assert_close(batch.action[..., 1], -batch.reward)


def test_many_batches_at_once_are_the_same_as_one_long_batch(writer):
    fill(writer, 0, 2 * SMALL)
    many = writer.sample((7, 32), np.random.default_rng(0))
    assert many.observation.shape == (7, 32, 10)
    np.testing.assert_array_equal(many.reward.ravel(), rewards(writer, 7 * 32))


def test_empty_replay_says_so(writer):
    with pytest.raises(ReplayError, match='holds no transition'):
        writer.sample(1, np.random.default_rng(0))


@pytest.mark.parametrize('size', [256, 7, (3, 256)])
@pytest.mark.parametrize('given', [False, True])
def test_mixture_keeps_its_proportions_in_every_batch(tmp_path, size, given):
    with (
        ReplayWriter(tmp_path / 'prior', make_spec()) as prior,
        ReplayWriter(tmp_path / 'online', make_spec()) as online,
    ):
        fill(prior, 0, 1000)
        for i in range(5000, 5010):
            online.append(transition(i), truncated=False)
        mixture = MixedSampler([(prior, 3), (online, 1)])
        shape = size if isinstance(size, tuple) else (size,)
        out = np.zeros((*shape, mixture.words), np.float32) if given else None
        batch = mixture.sample(size, np.random.default_rng(0), out)
        of_prior = (batch.reward < 1000).sum(axis=-1)
        assert (of_prior == round(0.75 * shape[-1])).all()
        assert batch.reward[batch.reward >= 1000].min() >= 5000
        again = mixture.sample(size, np.random.default_rng(0))
        np.testing.assert_array_equal(again.reward, batch.reward)
        if given:
            assert np.shares_memory(batch.reward, out)


def test_mixture_refuses_what_does_not_fit(tmp_path):
    with (
        ReplayWriter(tmp_path / 'a', make_spec()) as a,
        ReplayWriter(tmp_path / 'b', make_spec(9)) as b,
    ):
        with pytest.raises(ReplayError, match='must agree'):
            MixedSampler([(a, 1), (b, 1)])
        with pytest.raises(ReplayError, match='share above 0'):
            MixedSampler([(a, 1), (a, 0)])


def test_selection_draws_only_its_sources_and_follows_the_ring(tmp_path):
    with ReplayWriter(
        tmp_path / 'r', make_spec(), capacity=SMALL, segment_records=SMALL
    ) as writer:
        real = SourceSampler(writer, {DataSource.REAL})
        with pytest.raises(ReplayError, match='source REAL'):
            real.sample(1, np.random.default_rng(0))
        for i in range(5 * SMALL):
            source = DataSource.REAL if i % 5 == 0 else DataSource.SIM
            writer.append(transition(i), truncated=False, source=source)
            if i % 50 == 0:
                real.refresh()
        real.refresh()
        expected = {i for i in range(writer.start, writer.end) if i % 5 == 0}
        assert len(real) == len(expected)
        assert set(rewards(real, 20_000).astype(int).tolist()) == expected
        half = MixedSampler(
            [(real, 1), (SourceSampler(writer, {DataSource.SIM, DataSource.HUMAN}), 1)]
        )
        assert (rewards(half, 100).astype(int) % 5 == 0).sum() == 50


def n_step_by_hand(episodes, first, n):
    """The sum that the definition asks for, from a list of (reward, end) steps."""
    total, discount, last = 0.0, 1.0, first
    for step in range(n):
        reward, end = episodes[first + step]
        total, discount, last = total + discount * reward, discount * GAMMA, first + step
        if end or first + step + 1 == len(episodes):
            break
    return total, discount, last


@pytest.mark.parametrize('n', [1, 2, 3, 10])
def test_n_step_returns_stop_where_the_episode_does(writer, n):
    chance = np.random.default_rng(0)
    ends = chance.choice(['', '', '', '', 'terminated', 'truncated'], 2 * SMALL)
    for i, end in enumerate(ends):
        writer.append(transition(i, terminated=end == 'terminated'), truncated=end == 'truncated')
    steps = [(i, bool(end)) for i, end in enumerate(ends)]
    drawn = writer.draw((4, 512), np.random.default_rng(7))
    out = np.zeros((4, 512, writer.words), np.float32)
    got, discount = writer.sample_n_step((4, 512), np.random.default_rng(7), n, GAMMA, out)
    for index in np.ndindex(4, 512):
        total, expected_discount, last = n_step_by_hand(steps, int(drawn[index]), n)
        assert got.observation[index][0] == drawn[index]
        np.testing.assert_allclose(got.reward[index], total, rtol=1e-6)
        assert discount[index] == expected_discount
        assert got.next_observation[index][0] == last + 1
        assert got.terminated[index] == (ends[last] == 'terminated')
    assert np.shares_memory(got.reward, out)


def test_n_step_returns_never_cross_a_restart_or_damage(tmp_path):
    for first in (0, 10):
        with ReplayWriter(tmp_path / 'r', make_spec(), segment_records=SMALL) as writer:
            fill(writer, first, first + 10)
    segment = tmp_path / 'r' / '0000000000.seg'
    data = bytearray(segment.read_bytes())
    data[15 * 128] ^= 1
    segment.write_bytes(data)
    reader = ReplayReader(tmp_path / 'r')
    got, discount = reader.sample_n_step(1000, np.random.default_rng(0), 3, GAMMA)
    first = got.observation[:, 0].astype(int)
    last = got.next_observation[:, 0].astype(int) - 1
    for stop in (9, 14, 19):
        assert (last[(first > stop - 3) & (first <= stop)] == stop).all()
    assert 15 not in first
    np.testing.assert_array_equal(discount, GAMMA ** (last - first + 1))


def test_mixture_of_n_step_returns(tmp_path):
    with (
        ReplayWriter(tmp_path / 'a', make_spec()) as a,
        ReplayWriter(tmp_path / 'b', make_spec()) as b,
    ):
        fill(a, 0, 50)
        fill(b, 0, 50)
        got, discount = MixedSampler([(a, 1), (b, 1)]).sample_n_step(
            (2, 64), np.random.default_rng(0), 3, GAMMA
        )
    first, last = got.observation[..., 0], got.next_observation[..., 0]
    assert discount.shape == (2, 64)
    np.testing.assert_array_equal(discount, GAMMA ** (last - first))


def test_a_learner_process_samples_while_a_collector_appends(tmp_path):
    """Every row drawn meanwhile is whole, and new ones come without reopening."""
    with subprocess.Popen(
        [sys.executable, PROGRAMS / 'append_many.py', tmp_path / 'r'],
        stdout=subprocess.PIPE,
    ) as collector:
        assert collector.stdout.readline() == b'ready\n'
        reader, rng = ReplayReader(tmp_path / 'r'), np.random.default_rng(0)
        looks, deadline = 0, time.monotonic() + 100
        while reader.end < 60_000:
            assert time.monotonic() < deadline
            looks += reader.refresh() > 0
            if len(reader):
                drawn = reader.draw(256, rng)
                assert_rows(reader, drawn)
                assert_rows(reader, np.array([reader.start, reader.end - 1]))
        assert looks > 1
        assert collector.wait(30) == 0
    assert reader.start > 0
    assert not reader.holes.size
