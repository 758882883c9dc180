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

"""The contents of a run's replay: sources, age, acting policies, coverage, rewards, damage."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from sac_ros.errors import ReplayError
from sac_ros.replay.maintenance import summarize
from sac_ros.report.data import rounded
from sac_ros.report.run import Run

TIPS = 1_500  # tip positions in the map of the workspace
BINS = 40  # of the reward histogram
STEADY_GAP = 60.0  # [s] between two stamps from which recording counts as interrupted


def replay(run: Run) -> dict[str, Any]:
    """Return what the replay holds.

    Raises:
        ReplayError: there is no readable replay, or it is empty.
    """
    if run.replay is None or not len(run.replay):
        raise ReplayError('the run has no stored transition that can be read')
    summary, reader = summarize(run.path / 'replay'), run.replay
    rows = reader.rows(reader.sequences())
    parts, layout = reader.layout.split(rows), reader.layout
    counts, edges = np.histogram(parts.reward, BINS)
    gaps = np.diff(layout.stamp(rows)) / 1e9  # [s]
    recorded = gaps[(gaps >= 0) & (gaps < STEADY_GAP)]
    hashes, acted = np.unique(layout.policy_hash(rows), return_counts=True)
    return {
        'records': summary.records,
        'damaged': summary.damaged,
        'torn': summary.torn,
        'disk_bytes': summary.disk_bytes,
        'terminated': summary.terminated,
        'truncated': summary.truncated,
        'sources': {source.name.lower(): n for source, n in summary.by_source.items()},
        'policies': {
            f'{number:08x}' if number else 'unknown': n
            for number, n in zip(hashes.tolist(), acted.tolist(), strict=True)
        },
        'recorded_seconds': float(recorded.sum()),
        'interruptions': len(gaps) - len(recorded),
        'returns': rounded(summary.returns, 3),
        'lengths': summary.lengths.tolist(),
        'reward': {'edges': rounded(edges, 6), 'counts': counts.tolist()},
        'coverage': [
            {'name': c.name, 'unit': c.unit, 'low': c.low, 'high': c.high,
             'counts': c.counts.tolist(), 'outside': c.outside}
            for c in summary.coverage
        ],
        'tips': _tips(run, parts.observation),
    }  # fmt: skip


@torch.no_grad()
def _tips(run: Run, observations: Any) -> dict[str, Any] | None:
    """Return tip positions (k, 3) [m] spread over the replay; None without an arm."""
    if run.learner is None or run.learner.sac.features.kinematics is None:
        return None
    chosen = np.linspace(0, len(observations) - 1, min(TIPS, len(observations))).astype(int)
    place = run.learner.sac.features.place(torch.from_numpy(np.array(observations[chosen])))
    assert place is not None
    return {'points': rounded(place.tip.numpy(), 3), 'record': chosen.tolist()}
