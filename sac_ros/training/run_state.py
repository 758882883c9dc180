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

"""The state of a run that its checkpoint holds beside the networks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sac_ros.errors import CheckpointError, SpecMismatch
from sac_ros.sac.state import LearnerState
from sac_ros.spec import PolicySpec
from sac_ros.training.checkpoint import count_from, load_checkpoint, load_notes, numbers_from
from sac_ros.training.open_episode import OpenEpisode
from sac_ros.training.progress import EPISODE_WINDOW


class RunState(NamedTuple):
    """Counters, random states, running figures and the episode under way."""

    step: int  # environment steps
    updates: int
    episodes: int
    cursor: int  # sequence number of the learner's next transition in the replay
    episode: OpenEpisode | None
    evaluation_due: bool
    numpy_rng: dict[str, Any]
    torch_rng: list[int]  # bytes
    returns: list[float]
    successes: list[float]
    final_observation: NDArray[np.float32] | None  # (n_obs,) of the latest episode of an arm
    skipped: int = 0  # updates that an asynchronous learner left out

    def to_notes(self) -> dict[str, Any]:
        """Return it as JSON."""
        notes = self._asdict()
        final = notes.pop('final_observation')
        notes['left'] = None if final is None else final.tolist()
        notes['episode'] = None if self.episode is None else self.episode.to_notes()
        return notes

    @classmethod
    def from_notes(cls, notes: dict[str, Any], spec: PolicySpec) -> RunState:
        """Read what `to_notes` returned.

        Raises:
            CheckpointError, LookupError, TypeError, ValueError: the notes are something else.
        """
        episode, final = None, None
        if notes.get('left') is not None:
            left = numbers_from(notes, 'left', spec.n_observation)
            if len(left) < spec.n_observation:
                raise CheckpointError(f'left has {len(left)} numbers')
            final = np.array(left, np.float32)
        if notes.get('episode') is not None:
            episode = OpenEpisode.from_notes(notes['episode'], spec.n_action)
        return cls(
            step=count_from(notes, 'step'),
            updates=count_from(notes, 'updates'),
            episodes=count_from(notes, 'episodes'),
            cursor=count_from(notes, 'cursor'),
            episode=episode,
            evaluation_due=bool(notes.get('evaluation_due')),
            numpy_rng=notes['numpy_rng'],
            torch_rng=notes['torch_rng'],
            returns=numbers_from(notes, 'returns', EPISODE_WINDOW),
            successes=numbers_from(notes, 'successes', EPISODE_WINDOW),
            final_observation=final,
            skipped=count_from({'skipped': 0, **notes}, 'skipped'),
        )


def load_run(path: Path, spec: PolicySpec, like: LearnerState) -> tuple[LearnerState, RunState]:
    """Read the learner and the run state of a checkpoint.

    Args:
        path: of the checkpoint.
        spec: what it must be for.
        like: a learner of the same shapes.

    Raises:
        CheckpointError: the file is damaged or its networks have other shapes.
        SpecMismatch: it is of another robot or task.
    """
    try:
        found = PolicySpec.from_json(load_notes(path)['spec'])
    except (KeyError, TypeError, SpecMismatch) as error:
        raise CheckpointError(f'{path} has no specification: {error}') from error
    spec.require_equal(found, 'this run', f'checkpoint {path}')
    learner, notes = load_checkpoint(path, like)
    with named_errors(path):
        return learner, RunState.from_notes(notes, spec)


@contextmanager
def named_errors(path: Path) -> Iterator[None]:
    """Turn errors of a run state that is out of range into one that names the checkpoint."""
    try:
        yield
    except (LookupError, ValueError, TypeError, RuntimeError, ArithmeticError) as error:
        raise CheckpointError(f'{path} lacks or has a wrong {error}') from error
    except CheckpointError as error:
        raise CheckpointError(f'{path}: {error}') from error
