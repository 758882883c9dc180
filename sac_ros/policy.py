"""An exported policy: raw observation in, torque out, by ONNX Runtime alone.

Nothing is unpickled and no other file is read: a file that fails any check is refused.
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state

from sac_ros.errors import PolicyError, SpecMismatch
from sac_ros.spec import PolicySpec

SPEC_KEY = 'sac_ros.spec'
PARITY_KEY = 'sac_ros.parity'
INPUT, OUTPUT = 'observation', 'torque'

# Largest difference to the network the file was exported from, relative to the torque limit.
MAX_PARITY = 1e-5
MAX_BYTES = 64 * 2**20

# How a tensor stored outside the file begins in the encoded message: key `location`, then a path.
_EXTERNAL_DATA = b'\n\x08location\x12'

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
    """

    def __init__(self, path: str | Path) -> None:
        """Load and check a file.

        Raises:
            PolicyError: the file cannot be read, or is not a policy that may be loaded.
        """
        self.path = Path(path)
        data = _read(self.path)
        self.sha256 = hashlib.sha256(data).hexdigest()
        self._session = _session(data, self.path)
        metadata = self._session.get_modelmeta().custom_metadata_map
        if SPEC_KEY not in metadata:
            raise PolicyError(
                f'{self.path} was not exported by sac_ros: it has no metadata {SPEC_KEY!r}; '
                'export it with `sac_ros export`'
            )
        try:
            self.spec = PolicySpec.from_json(metadata[SPEC_KEY])
        except SpecMismatch as error:
            raise PolicyError(f'{self.path}: {error}') from error
        self.parity = _parity(metadata.get(PARITY_KEY, ''), self.path)
        self._check_shapes()
        self._input = np.zeros((1, self.spec.n_observation), np.float32)
        self._check_outputs()

    def __call__(self, observation: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the torque for one raw observation.

        Args:
            observation: (n_observation,), fields and units as `spec.observation` says.

        Returns:
            (n_joints,) [N·m]; not finite when the observation is not.
        """
        self._input[0] = observation
        torque = self._session.run([OUTPUT], {INPUT: self._input})[0]  # (1, n_joints)
        return np.asarray(torque[0], dtype=np.float64)

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


def _read(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise PolicyError(f'{path} has {size} bytes; a policy has at most {MAX_BYTES}')
        data = path.read_bytes()
    except OSError as error:
        raise PolicyError(f'cannot read the policy {path}: {error.strerror}') from error
    if _EXTERNAL_DATA in data:
        raise PolicyError(f'{path} keeps tensors in other files, which is refused')
    return data


def _session(data: bytes, path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # its own lines say nothing that our error does not
    options.add_session_config_entry('session.intra_op.allow_spinning', '0')
    try:
        return onnxruntime.InferenceSession(data, options, providers=['CPUExecutionProvider'])
    except _RUNTIME_ERRORS as error:
        raise PolicyError(f'{path} is not a readable ONNX file: {_one_line(error)}') from error


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
