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

"""While a run lives known steps again, nothing from its cursor on is drawn, and no step twice."""

import logging

import numpy as np
import pytest
from replay_values import SMALL, make_spec, transition

from sac_ros.errors import ReplayError
from sac_ros.replay import ReplayWriter
from sac_ros.replay.resumable import ResumableReplay

HOLES = (2 * SMALL + 3, 2 * SMALL + 4, 3 * SMALL)
END = 3 * SMALL + 20


@pytest.fixture
def replay(tmp_path):
    """A ring of which the oldest segments are gone, reopened with three damaged records."""
    with ReplayWriter(tmp_path, make_spec(), capacity=SMALL, segment_records=SMALL) as writer:
        for i in range(END):
            writer.append(transition(i), truncated=i % 10 == 9)
    for hole in HOLES:
        segment = tmp_path / f'{hole // SMALL:010d}.seg'
        data = bytearray(segment.read_bytes())
        data[hole % SMALL * (len(data) // SMALL)] ^= 1
        segment.write_bytes(data)
    with ReplayWriter(tmp_path, make_spec()) as writer:
        assert writer.start == 2 * SMALL
        assert writer.holes.tolist() == list(HOLES)
        yield writer


@pytest.mark.parametrize('ahead', [0, 1, 10, 20, 21, 400, END - 2 * SMALL - 4])
def test_draws_are_uniform_over_what_lies_before_the_cursor(replay, ahead):
    experience = ResumableReplay(replay, END - ahead)
    before = replay.sequences()
    before = before[before < END - ahead]
    assert len(experience) == len(before)
    drawn = experience.draw((3, 256), np.random.default_rng(5))
    chosen = np.random.default_rng(5).integers(0, len(before), (3, 256))
    np.testing.assert_array_equal(drawn, before[chosen])
    got, discount = experience.sample_n_step((3, 256), np.random.default_rng(5), 4, 0.5)
    np.testing.assert_array_equal(got.observation[..., 0], drawn)
    last = got.next_observation[..., 0].astype(int) - 1
    assert last.max() < END - ahead
    np.testing.assert_array_equal(discount, 0.5 ** (last - drawn + 1))


def test_nothing_before_the_cursor_is_one_clear_error(replay):
    for cursor in (0, replay.start):
        experience = ResumableReplay(replay, cursor)
        assert len(experience) == 0
        with pytest.raises(ReplayError, match='holds no transition'):
            experience.sample(1, np.random.default_rng(0))


def test_known_steps_are_not_stored_twice_and_others_are_kept(replay, caplog):
    caplog.set_level(logging.INFO)
    experience = ResumableReplay(replay, END - 5)
    for i in range(END - 5, END - 2):
        experience.store(transition(i), truncated=False)
    assert (experience.cursor, replay.end) == (END - 2, END)
    experience.store(transition(7), truncated=False)
    assert experience.cursor == replay.end == END + 1
    assert 'turn out otherwise' in caplog.text
    experience.store(transition(8), truncated=False)
    assert experience.cursor == replay.end == END + 2
    rewards = replay.layout.split(replay.rows(replay.sequences(END - 2))).reward
    assert rewards.tolist() == [END - 2, END - 1, 7, 8]


def test_lost_transitions_that_the_learner_knew_are_reported(replay, caplog):
    experience = ResumableReplay(replay, END + 7)
    assert experience.cursor == END
    assert 'lacks 7 transitions that the learner was trained on' in caplog.text


@pytest.mark.parametrize('ended', ['', 'terminated', 'truncated'])
def test_steps_after_known_ones_continue_their_episode(tmp_path, ended):
    def store(experience, i):
        end = ended if i == 5 else ''
        experience.store(transition(i, terminated=end == 'terminated'), end == 'truncated')

    with ReplayWriter(tmp_path, make_spec()) as writer:
        for i in range(6):
            store(ResumableReplay(writer, i), i)
    with ReplayWriter(tmp_path, make_spec()) as writer:
        experience = ResumableReplay(writer, 3)
        for i in range(3, 9):
            store(experience, i)
        episodes = writer.layout.episode(writer.rows(np.arange(9))).tolist()
    assert episodes == [0] * 6 + [1 if ended else 0] * 3
