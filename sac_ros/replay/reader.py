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

"""The reading side of a replay directory."""

from __future__ import annotations

import logging
from pathlib import Path

from sac_ros.replay.format import Layout, segment_numbers, segment_records
from sac_ros.replay.records import Records
from sac_ros.replay.spec_file import read_spec
from sac_ros.spec import PolicySpec

_log = logging.getLogger(__name__)


class ReplayReader(Records):
    """Read a replay directory while another process writes it.

    Args:
        directory: the replay directory.
        spec: what the transitions must be for; None takes what the directory says.

    Raises:
        ReplayError: there is no such replay directory.
        SpecMismatch: it belongs to another robot or task.
    """

    def __init__(self, directory: str | Path, spec: PolicySpec | None = None) -> None:
        directory = Path(directory)
        found = read_spec(directory)
        if spec is not None:
            spec.require_equal(found, 'this run', f'replay directory {directory}')
        layout = Layout.of(found)
        super().__init__(directory, found, segment_records(directory, layout))
        self._follow_directory()
        self._scan(to_the_end=True)
        if len(self.holes):
            _log.warning('%s: %d damaged records are skipped', directory, len(self.holes))

    def refresh(self) -> int:
        """Take in what was appended meanwhile; returns how many new records there are.

        Costs a look at two numbers when there is nothing new.
        """
        end = self._state[0]
        row = end - self._base
        there = self._sequence_of_row
        if (
            row > 0
            and end > self._start
            and there[row - 1] != end - 1
            and end - 1 not in self.holes
        ):
            self._state = (self._start, 0)  # the writer went back; look at everything again
            self._set_holes(self.holes[:0])
            self._scan(to_the_end=True)
            return 0
        if end + 1 < self._mapped and end // self._segment_records not in self._sparse:
            if there[row] != end and there[row + 1] != end + 1:
                return 0
        else:
            self._follow_directory()
        return self._scan(to_the_end=False)

    def _follow_directory(self) -> None:
        """Map new segments and let go of dropped ones."""
        numbers = segment_numbers(self.directory)
        if numbers:
            if not self._segment_records:
                self._segment_records = segment_records(self.directory, self.layout)
            self._show_segments(numbers)
            # Listed again: the writer may have dropped some between our list and our look.
            numbers = segment_numbers(self.directory)
            self._forget_before(min(numbers, default=0) * self._segment_records)
