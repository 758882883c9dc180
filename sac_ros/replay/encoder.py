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

"""Packing one transition into the bytes of its record."""

from __future__ import annotations

import struct
from math import isfinite
from zlib import crc32

import numpy as np

from sac_ros.errors import ReplayError
from sac_ros.replay.format import TRAILER, DataSource, Layout, flags_of
from sac_ros.types import Transition

_CRC = struct.Struct('<I')
_SCALARS = struct.Struct('<ff')  # reward, terminated
# Flag words by source.
RUNNING = tuple(flags_of(False, source) for source in DataSource)
TRUNCATED = tuple(flags_of(True, source) for source in DataSource)


class Encoder:
    """A scratch record, with all that filling it needs bound once.

    Packing takes about as long as a system call, so attributes are slots and vectors go through
    views made beforehand.
    """

    __slots__ = (
        'action',
        'covered',
        'crc_at',
        'dot',
        'layout',
        'n_action',
        'n_observation',
        'next_observation',
        'observation',
        'payload',
        'raw',
        'scalars_at',
        'trailer_at',
    )

    def __init__(self, layout: Layout) -> None:
        row = np.zeros(layout.words, np.float32)
        into = layout.split(row)
        self.layout = layout
        self.observation, self.action = into.observation, into.action
        self.next_observation = into.next_observation
        self.n_observation, self.n_action = layout.n_observation, layout.n_action
        self.payload = row[: layout.payload]
        self.dot = self.payload.dot
        self.raw = row.data.cast('B')  # (record_bytes,)
        self.crc_at = layout.record_bytes - 4
        self.covered = self.raw[: self.crc_at]
        self.scalars_at, self.trailer_at = 4 * layout.reward, 4 * layout.trailer

    def pack(
        self,
        transition: Transition,
        flags: int,
        stamp_ns: int,
        numbers: tuple[int, int, int],
    ) -> memoryview:
        """The record of a transition; overwritten by the next one.

        Args:
            transition: observation (n_obs,), action (n_act,), scalars.
            flags: the flag word.
            stamp_ns: steady-clock time [ns].
            numbers: sequence, episode and policy hash.

        Raises:
            ReplayError: a vector has another length, or a number does not fit or is not finite.
        """
        observation, action, reward, terminated, next_observation = transition
        raw, n = self.raw, self.n_observation
        try:
            # Lengths are compared because numpy would stretch a single number over all fields.
            if len(observation) != n or len(next_observation) != n or len(action) != self.n_action:
                raise ValueError('the lengths differ')
            self.observation[...] = observation
            self.action[...] = action
            self.next_observation[...] = next_observation
            _SCALARS.pack_into(raw, self.scalars_at, reward, 1.0 if terminated else 0.0)
            TRAILER.pack_into(raw, self.trailer_at, stamp_ns, *numbers, flags)
        except (ValueError, TypeError, OverflowError, struct.error) as error:
            raise self._misfit(transition, stamp_ns, numbers[2], error) from error
        if not isfinite(self.dot(self.payload)):
            self._refuse_nonfinite()
        _CRC.pack_into(raw, self.crc_at, crc32(self.covered))
        return raw

    def _misfit(
        self, transition: Transition, stamp_ns: int, policy_hash: int, error: Exception
    ) -> ReplayError:
        shapes = ', '.join(
            f'{name} {np.shape(value)}'
            for name, value in zip(Transition._fields, transition, strict=True)
        )
        return ReplayError(
            f'the transition does not fit: {error}; a record has observations '
            f'({self.n_observation},), actions ({self.n_action},), single numbers for reward and '
            f'terminated, a 64-bit stamp_ns and a 32-bit unsigned policy_hash, this one has '
            f'{shapes}, stamp_ns {stamp_ns} and policy_hash {policy_hash}'
        )

    def _refuse_nonfinite(self) -> None:
        finite = np.isfinite(self.payload)
        if not finite.all():  # else only the sum of squares was too large
            parts = self.layout.split(finite)
            names = [n for n, p in zip(Transition._fields, parts, strict=True) if not p.all()]
            raise ReplayError(
                f'{", ".join(names)} of the transition is not finite; '
                'drop the step: one NaN in the replay spoils every network trained on it'
            )
