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

"""The mean policy as one ONNX file, written only if ONNX Runtime agrees with the network."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray

from sac_ros.deploy.arm_geometry import ArmGeometry
from sac_ros.deploy.onnx_policy import (
    GEOMETRY_KEY,
    GOLDEN_KEY,
    INPUT,
    MAX_PARITY,
    OUTPUT,
    PARITY_KEY,
    SPEC_KEY,
)
from sac_ros.deploy.policy_file import append_checksum
from sac_ros.errors import ExportError
from sac_ros.filesystem import write_atomically
from sac_ros.sac.networks import Policy
from sac_ros.spec import PolicySpec
from sac_ros.training.onnx_graph import to_onnx

N_RANDOM = 2_000
N_GOLDEN = 8  # random observations, and as many extreme ones, whose torques go into the file


def export_policy(
    policy: Policy,
    spec: PolicySpec,
    path: Path,
    replayed: NDArray[np.float32],
    geometry: ArmGeometry | None = None,
) -> float:
    """Write the policy as ONNX, with its specification in the metadata.

    Args:
        policy: on the CPU.
        spec: what the policy expects and gives.
        path: the file, replaced atomically.
        replayed: observations (n, n_obs) that were really seen, n may be 0.
        geometry: of the arm, for displays.

    Returns:
        The largest absolute difference between torch and ONNX Runtime over random, replayed and
        extreme observations, relative to the torque limit; it is in the metadata too.

    Raises:
        ExportError: that difference is above MAX_PARITY, or the policy calls what has no
            translation; nothing is written.
        StorageError: the disk fails; an older file is still there.
    """
    model, parity = to_graph(policy, spec, replayed)
    metadata = {
        SPEC_KEY: spec.to_json(),
        PARITY_KEY: f'{parity:.3e}',
        GOLDEN_KEY: _golden(policy, spec),
    }
    if geometry is not None:
        metadata[GEOMETRY_KEY] = geometry.to_json()
    onnx.helper.set_model_props(model, metadata)
    write_atomically(path, append_checksum(model.SerializeToString()))
    return parity


def to_graph(
    policy: Policy, spec: PolicySpec, replayed: NDArray[np.float32]
) -> tuple[onnx.ModelProto, float]:
    """Return the graph of a policy, and its difference to the network as in `export_policy`.

    Raises:
        ExportError: the policy has no translation, or the difference is above MAX_PARITY.
    """
    model = to_onnx(policy, spec.n_observation, INPUT, OUTPUT)
    parity = _parity(policy, spec, model.SerializeToString(), replayed)
    if not parity <= MAX_PARITY:
        raise ExportError(
            f'ONNX Runtime and torch differ by {parity:.1e} of the torque limit, more than '
            f'{MAX_PARITY:.0e}; nothing is written. Weights this large do not survive float32: '
            'train anew with a lower --sac.learning_rate'
        )
    return model, parity


def probe_observations(spec: PolicySpec, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return random and extreme observations (n, n_obs) in the spec's own units.

    Extreme are: every joint at a limit, speeds of twice the limit, goals 10 m away.
    """
    reach = np.ones(spec.n_observation)
    for name, where in spec.slices().items():
        if name == 'joint_position':
            limits = np.maximum(np.abs(spec.position_lower), np.abs(spec.position_upper))
            reach[where] = np.where(np.isfinite(limits), limits, math.pi)
        elif name == 'joint_velocity':
            limits = np.array(spec.velocity_limit)
            reach[where] = np.where(np.isfinite(limits), limits, math.pi)
    random = rng.uniform(-1, 1, (N_RANDOM, len(reach))) * reach
    far = np.where(reach == 1, 10.0, 2 * reach)
    extreme = rng.choice([-1.0, 0.0, 1.0], (N_RANDOM, len(reach))) * far
    return np.concatenate((random, extreme)).astype(np.float32)


def golden_json(observation: NDArray[np.float32], torque: NDArray[np.float32]) -> str:
    """Return golden vectors as they stand in the metadata; both (k, ...) without any rounding."""
    vectors = {'observation': observation.tolist(), 'torque': torque.tolist()}
    return json.dumps(vectors, allow_nan=False)


def _golden(policy: Policy, spec: PolicySpec) -> str:
    trials = probe_observations(spec, np.random.default_rng(1))
    observations = np.concatenate((trials[:N_GOLDEN], trials[-N_GOLDEN:]))
    with torch.no_grad():
        return golden_json(observations, policy(torch.from_numpy(observations)).numpy())


def _parity(
    policy: Policy, spec: PolicySpec, model: bytes, replayed: NDArray[np.float32]
) -> float:
    trials = probe_observations(spec, np.random.default_rng(0))
    observations = np.concatenate((trials, replayed.reshape(-1, spec.n_observation)))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=['CPUExecutionProvider'])
    batched = session.run([OUTPUT], {INPUT: observations})[0]
    single = np.concatenate(
        [session.run([OUTPUT], {INPUT: row[None]})[0] for row in observations[:: N_RANDOM // 100]]
    )
    with torch.no_grad():
        wanted = policy(torch.from_numpy(observations)).numpy()
    limit = np.array(spec.torque_limit)
    worst = max(
        np.max(np.abs(batched - wanted) / limit),
        np.max(np.abs(single - wanted[:: N_RANDOM // 100]) / limit),
    )
    return float(worst)
