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

"""An exported policy: raw observation in, torque out, by ONNX Runtime alone.

Nothing is unpickled and no other file is read: a file that fails any check is refused. The file
holds the torques that the network gave for a few observations (golden vectors); they must come
out again here, on this machine and with this runtime.
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state

from sac_ros import strict_json
from sac_ros.deploy import policy_file
from sac_ros.deploy.arm_geometry import ArmGeometry
from sac_ros.deploy.onnx_structure import check_structure
from sac_ros.errors import PolicyError, SpecMismatch
from sac_ros.spec import PolicySpec

SPEC_KEY = 'sac_ros.spec'
PARITY_KEY = 'sac_ros.parity'
GOLDEN_KEY = 'sac_ros.golden'
GEOMETRY_KEY = 'sac_ros.geometry'
INPUT, OUTPUT = 'observation', 'torque'

OLDEST_RUNTIME = '1.17'  # whose ONNX Runtime the exported files are made for

# Largest difference to the network the file was exported from, relative to the torque limit.
MAX_PARITY = 1e-5
# Largest difference to the golden vectors, likewise: another processor may add in another order.
MAX_GOLDEN = 1e-4

CONTROL_PERIODS = 0.001, 1.0  # [s] shortest and longest that a policy may have

# ONNX Runtime's exceptions share no base but Exception.
_RUNTIME_ERRORS: tuple[type[Exception], ...] = (
    RuntimeError,
    ValueError,
    *(
        kind
        for kind in vars(onnxruntime_pybind11_state).values()
        if isinstance(kind, type) and issubclass(kind, Exception)
    ),
)


class OnnxPolicy:
    """A policy that has passed every check and may be asked for torques.

    Attributes:
        path: the file it came from.
        spec: what it expects and gives.
        parity: largest difference to the network, relative to the torque limit.
        sha256: of the file.
        golden: largest difference to its golden torques, relative to the torque limit.
        geometry: of the arm, for displays; None in files that do not carry it.
    """

    def __init__(
        self,
        path: str | Path,
        sha256: str = '',
        model_hash: str = '',
        max_torque: float = math.inf,
        checked: bytes | None = None,
    ) -> None:
        """Load and check a file.

        Args:
            path: of the file.
            sha256: the only file to accept; '' accepts any that passes the checks.
            model_hash: the only robot to accept, as in its specification; '' accepts any.
            max_torque: largest torque limit to accept [N·m].
            checked: its bytes, if another process has already checked their structure.

        Raises:
            PolicyError: the file cannot be read, or is not a policy that may be loaded.
        """
        self.path = Path(path)
        data = policy_file.read(self.path) if checked is None else checked
        self.sha256 = hashlib.sha256(data).hexdigest()
        self._expect('SHA-256', sha256.lower(), self.sha256)
        if checked is None:
            check_structure(data, self.path)
        self._session = _session(data, self.path)
        metadata = _metadata(self._session, self.path)
        if SPEC_KEY not in metadata:
            raise PolicyError(
                f'{self.path} was not exported by sac_ros: it has no metadata {SPEC_KEY!r}; '
                'export it with `sac_ros export`'
            )
        try:
            self.spec = PolicySpec.from_json(metadata[SPEC_KEY])
        except SpecMismatch as error:
            raise PolicyError(f'{self.path}: {error}') from error
        self._expect('robot model hash', model_hash, self.spec.model_hash)
        self.parity = _parity(metadata.get(PARITY_KEY, ''), self.path)
        self._check_limits(max_torque)
        self._check_shapes()
        self._bind()
        self._check_outputs()
        self._check_golden(metadata.get(GOLDEN_KEY, ''))
        self.geometry = self._read_geometry(metadata.get(GEOMETRY_KEY))

    def __call__(self, observation: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the torque for one raw observation.

        Args:
            observation: (n_observation,), fields and units as `spec.observation` says.

        Returns:
            (n_joints,) [N·m]; not finite when the observation is not.
        """
        self._input[0] = observation
        self._session.run_with_iobinding(self._binding)
        torque: NDArray[np.float64] = self._output[0].astype(np.float64)
        return torque

    def _bind(self) -> None:
        """Let ONNX Runtime read and write two arrays of ours, so that a call allocates nothing."""
        self._input = np.zeros((1, self.spec.n_observation), np.float32)
        self._output = np.zeros((1, self.spec.n_action), np.float32)
        self._binding = self._session.io_binding()
        for bind, name, array in (
            (self._binding.bind_input, INPUT, self._input),
            (self._binding.bind_output, OUTPUT, self._output),
        ):
            bind(name, 'cpu', 0, np.float32, array.shape, array.ctypes.data)

    def _expect(self, what: str, wanted: str, found: str) -> None:
        if wanted and wanted != found:
            raise PolicyError(f'{self.path} has the {what} {found}, expected is {wanted}')

    def _check_limits(self, max_torque: float) -> None:
        spec = self.spec
        shortest, longest = CONTROL_PERIODS
        if not shortest <= spec.control_period <= longest:
            raise PolicyError(
                f'{self.path} has the control period {spec.control_period:g} s, must lie in '
                f'[{shortest:g}, {longest:g}]'
            )
        largest = np.array(spec.torque_limit) + np.abs(spec.torque_offset)
        if not (largest <= max_torque).all():
            raise PolicyError(
                f'{self.path} asks for up to {largest.max():g} N·m, over max_torque '
                f'({max_torque:g} N·m); raise that parameter if the robot is this strong'
            )
        lower, upper = np.array(spec.position_lower), np.array(spec.position_upper)
        if not (lower < upper).all() or not (np.array(spec.velocity_limit) > 0).all():
            raise PolicyError(
                f'{self.path} has limits that limit nothing: positions from {spec.position_lower} '
                f'to {spec.position_upper}, velocities {spec.velocity_limit}'
            )

    def _check_shapes(self) -> None:
        for what, tensors, name, size in (
            ('input', self._session.get_inputs(), INPUT, self.spec.n_observation),
            ('output', self._session.get_outputs(), OUTPUT, self.spec.n_action),
        ):
            found = ', '.join(f'{t.name} {t.type} {t.shape}' for t in tensors)
            good = len(tensors) == 1 and tensors[0].name == name
            good = good and tensors[0].type == 'tensor(float)'
            if not (good and len(tensors[0].shape) == 2 and tensors[0].shape[1] == size):
                raise PolicyError(
                    f'{self.path}: its specification asks for the {what} '
                    f'{name} tensor(float) [batch, {size}], the file has {found}'
                )

    def _check_outputs(self) -> None:
        limit = np.array(self.spec.torque_limit)
        offset = np.array(self.spec.torque_offset)
        trials = np.random.default_rng(0).normal(0, 3, (8, self.spec.n_observation))
        for observation in (np.zeros(self.spec.n_observation), *trials):
            try:
                torque = self(observation)
            except _RUNTIME_ERRORS as error:
                raise PolicyError(f'{self.path} does not run: {_one_line(error)}') from error
            if not (torque.shape == limit.shape and np.isfinite(torque).all()):
                raise PolicyError(f'{self.path} gives {torque} for a finite observation')
            if (np.abs(torque - offset) > limit * (1 + 1e-5)).any():
                raise PolicyError(
                    f'{self.path} gives the torque {torque}, over the limit {limit} [N·m]'
                )

    def _check_golden(self, text: str) -> None:
        n_obs, n_act = self.spec.n_observation, self.spec.n_action
        try:
            golden = strict_json.exact('the value', strict_json.loads(text), dict)
            observations = _rows(golden, 'observation').astype(np.float32)  # (k, n_obs)
            wanted = _rows(golden, 'torque')  # (k, n_act) [N·m]
        except ValueError as error:
            raise PolicyError(
                f'{self.path} has no golden vectors ({GOLDEN_KEY!r}): {error}; export it again'
            ) from error
        k = len(observations)
        if not k or observations.shape != (k, n_obs) or wanted.shape != (k, n_act):
            raise PolicyError(
                f'{self.path} has golden vectors of shapes {observations.shape} and '
                f'{wanted.shape}, must be ({k}, {n_obs}) and ({k}, {n_act}); export it again'
            )
        given = np.array([self(observation) for observation in observations])
        self.golden = float(np.max(np.abs(given - wanted) / np.array(self.spec.torque_limit)))
        if not self.golden <= MAX_GOLDEN:
            raise PolicyError(
                f'{self.path} does not give its golden torques here: they differ by '
                f'{self.golden:.1e} of the limit, at most {MAX_GOLDEN:g} is allowed; '
                'export it again with the runtime of this machine'
            )

    def _read_geometry(self, text: str | None) -> ArmGeometry | None:
        try:
            return None if text is None else ArmGeometry.from_json(text, self.spec.n_action)
        except ValueError as error:
            raise PolicyError(
                f'{self.path} has a geometry ({GEOMETRY_KEY!r}) that cannot be read: {error}; '
                'export it again'
            ) from error


def _session(data: bytes, path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # its own lines say nothing that our error does not
    options.add_session_config_entry('session.intra_op.allow_spinning', '0')
    try:
        return onnxruntime.InferenceSession(data, options, providers=['CPUExecutionProvider'])
    except _RUNTIME_ERRORS as error:
        raise PolicyError(
            f'ONNX Runtime {onnxruntime.__version__} cannot load {path} '
            f'({check_structure(data, path)}): {_one_line(error)}; export it again with this '
            f'version of sac_ros, for ONNX Runtime {OLDEST_RUNTIME} and newer'
        ) from error


def _metadata(session: onnxruntime.InferenceSession, path: Path) -> dict[str, str]:
    try:
        return dict(session.get_modelmeta().custom_metadata_map)
    except UnicodeDecodeError as error:
        raise PolicyError(f'{path} is not a readable ONNX file: {error}') from error


def _rows(golden: dict[str, Any], name: str) -> NDArray[np.float64]:
    """Return rows of finite numbers of one length."""
    rows = [
        [strict_json.number(name, value) for value in strict_json.items(name, row, object)]
        for row in strict_json.items(name, golden.get(name), list)
    ]
    return np.array(rows, np.float64)


def _parity(text: str, path: Path) -> float:
    try:
        parity = float(text)
    except ValueError:
        parity = math.nan
    if not 0 <= parity <= MAX_PARITY:
        raise PolicyError(
            f'{path} was not checked against its network: metadata {PARITY_KEY!r} is '
            f'{text!r}, must be at most {MAX_PARITY:g}; export it again'
        )
    return parity


def _one_line(error: Exception) -> str:
    return ' '.join(str(error).split())[:300]
