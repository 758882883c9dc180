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

"""Snapshots of the actor for a collector in another process, which needs no torch.

`behavior.onnx` is written once per run: features, base action and authority of an observation.
`actor.npz` is written again and again: the weights of the networks after the features.
"""

from __future__ import annotations

import io
import os
import time
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from sac_ros.errors import CheckpointError
from sac_ros.filesystem import write_atomically
from sac_ros.spec import PolicySpec

Array = NDArray[np.float32]
GRAPH, SNAPSHOT = 'behavior.onnx', 'actor.npz'
INPUT, OUTPUT = 'observation', 'parts'
WAIT_PERIOD = 0.05  # [s] between two looks for the files


def write_snapshot(run_dir: Path, weights: Mapping[str, Array], updates: int) -> None:
    """Replace the snapshot of a run at once.

    Args:
        run_dir: of the run.
        weights: affine maps and bounds by name, as `ActorSnapshot` uses them.
        updates: critic updates that made them.

    Raises:
        StorageError: the disk fails; the snapshot before is still there.
    """
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, updates=np.int64(updates), **weights)
    write_atomically(run_dir / SNAPSHOT, buffer.getvalue())


class ActorSnapshot:
    """The actor at one time, evaluated with numpy.

    features -> normalizer, clipped -> norm 0 -> hidden 1, ReLU, norm 1 -> hidden 2, ReLU,
    norm 2 -> head -> mean and log_std. Normalizations are affine maps; missing ones are left out.
    """

    def __init__(self, path: Path) -> None:
        """Read a snapshot.

        Raises:
            CheckpointError: the file is damaged.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                self._weights = {name: file[name] for name in file.files}
            self.updates = int(self._weights['updates'])
            self._log_std_bounds = self._weights['log_std.bounds']
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise CheckpointError(f'{path} is no snapshot of an actor: {error}') from error

    def __call__(self, features: Array) -> tuple[Array, Array]:
        """Return mean and log_std (B, n_act) before the tanh for features (B, n_features)."""
        x = features
        if 'normalizer.scale' in self._weights:
            x = np.clip(self._affine(x, 'normalizer'), *self._weights['normalizer.bounds'])
        x = self._affine(x, 'norm0')
        for i in (1, 2):
            x = np.maximum(self._linear(x, f'hidden{i}'), 0)
            x = self._affine(x, f'norm{i}')
        mean, log_std = np.split(self._linear(x, 'head'), 2, axis=1)
        return mean, np.clip(log_std, *self._log_std_bounds)

    def _linear(self, x: Array, name: str) -> Array:
        result: Array = x @ self._weights[f'{name}.weight'].T + self._weights[f'{name}.bias']
        return result

    def _affine(self, x: Array, name: str) -> Array:
        if f'{name}.scale' not in self._weights:
            return x
        result: Array = x * self._weights[f'{name}.scale'] + self._weights[f'{name}.shift']
        return result


class SnapshotPolicy:
    """The stochastic policy of a run's newest snapshot: uniform residuals in the warm-up first.

    a = clip(base + authority * tanh(mean + std * noise), -1, 1)

    Attributes:
        snapshot: the newest one that was read.
    """

    def __init__(
        self, run_dir: Path, spec: PolicySpec, in_warm_up: Callable[[], bool], seed: int
    ) -> None:
        """Read graph and snapshot of a run.

        Args:
            run_dir: of the run.
            spec: of the environment.
            in_warm_up: whether the next action is uniform.
            seed: of the noise.

        Raises:
            CheckpointError: a file is damaged.
        """
        self._path, self._n_action = run_dir / SNAPSHOT, spec.n_action
        self._in_warm_up, self._rng = in_warm_up, np.random.default_rng(seed)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        try:
            self._session = onnxruntime.InferenceSession(
                str(run_dir / GRAPH), options, providers=['CPUExecutionProvider']
            )
        except Exception as error:  # ONNX Runtime has a class of its own for each reason
            raise CheckpointError(f'{run_dir / GRAPH} cannot be loaded: {error}') from error
        self._version = self._stamp()
        self.snapshot = ActorSnapshot(self._path)

    def refresh(self) -> None:
        """Take the newest snapshot; costs one look at the file where there is none."""
        version = self._stamp()
        if version != self._version:
            self.snapshot, self._version = ActorSnapshot(self._path), version

    def __call__(self, observation: Array) -> Array:
        """Return the action (n_act,) in [-1, 1] for a raw observation (n_obs,)."""
        action: Array = self.actions(observation[None])[0]
        return action

    def actions(self, observations: Array) -> Array:
        """Return actions (B, n_act) in [-1, 1] for raw observations (B, n_obs)."""
        self.refresh()
        n, shape = self._n_action, (len(observations), self._n_action)
        parts = self._session.run([OUTPUT], {INPUT: observations})[0]
        base, authority, features = parts[:, :n], parts[:, n, None], parts[:, n + 1 :]
        if self._in_warm_up():
            residual = self._rng.uniform(-1, 1, shape)
        else:
            mean, log_std = self.snapshot(features)
            residual = np.tanh(mean + np.exp(log_std) * self._rng.standard_normal(shape))
        action: Array = np.clip(base + authority * residual, -1, 1).astype(np.float32)
        return action

    def _stamp(self) -> tuple[int, int]:
        state = os.stat(self._path)
        return state.st_mtime_ns, state.st_ino


def wait_for_snapshot(run_dir: Path, should_stop: Callable[[], bool]) -> bool:
    """Wait until a learner has written graph and snapshot; return False when asked to stop."""
    while not ((run_dir / GRAPH).exists() and (run_dir / SNAPSHOT).exists()):
        if should_stop():
            return False
        time.sleep(WAIT_PERIOD)
    return True
