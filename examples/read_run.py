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

"""Read a run directory and plot its evaluations and the returns of its training episodes.

pip install 'sac_ros[train,report]'
python examples/read_run.py runs/arm --output run.html
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import plotly.graph_objects as go

from sac_ros import ReplayReader, open_run


def episode_returns(replay: ReplayReader) -> tuple[np.ndarray, np.ndarray]:
    """Return the last step (E,) and the return (E,) of each episode in a replay."""
    rows = replay.rows(replay.sequences())  # (N, words)
    episode, reward = replay.layout.episode(rows), replay.layout.split(rows).reward
    ends = np.flatnonzero(np.diff(episode, append=episode[-1] + 1))
    return ends + 1, np.diff(np.cumsum(reward)[ends], prepend=0.0)


def main() -> None:
    """Write one HTML page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('run_dir', type=Path)
    parser.add_argument('--output', type=Path, default=Path('run.html'))
    options = parser.parse_args()

    run = open_run(options.run_dir)
    for line in run.missing:
        print(f'missing: {line}')
    figure = go.Figure()
    if run.replay is not None:
        steps, returns = episode_returns(run.replay)
        figure.add_scatter(x=steps, y=returns, name='training episodes', mode='markers')
    figure.add_scatter(
        x=[row['step'] for row in run.evaluations],
        y=[row['mean_return'] for row in run.evaluations],
        name='evaluations',
    )
    figure.update_layout(xaxis_title='environment steps', yaxis_title='return')
    figure.write_html(options.output)
    print(f'{len(run.evaluations)} evaluations and the learner of step {run.step} of {run.name}')
    print(f'plot {options.output}')


if __name__ == '__main__':
    main()
