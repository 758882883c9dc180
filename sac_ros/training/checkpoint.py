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

"""A learner on disk: named arrays and JSON in one `.npz` file, replaced whole or not at all.

The comment at the end of the archive is the SHA-256 of every byte before it.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sac_ros.config.base import build, with_current_names
from sac_ros.config.training import TrainConfig
from sac_ros.errors import CheckpointError
from sac_ros.filesystem import write_atomically
from sac_ros.sac.state import LearnerState

FORMAT_VERSION = 3
FORMAT_WITHOUT_DIGEST = 2  # still read
DIGEST_TAG = b'sha256:'
DIGEST_LENGTH = 64  # hexadecimal digits
MAX_COUNT = 2**53


def save_checkpoint(path: Path, state: LearnerState, notes: dict[str, Any]) -> None:
    """Write a learner and JSON notes; a crash at any instant leaves the old or the new file.

    Args:
        path: the file, replaced atomically and synced to the disk.
        state: the learner.
        notes: anything JSON holds: specification, settings, counters, random states.

    Raises:
        CheckpointError: the disk fails; the old file is still there.
    """
    arrays = {name: value.cpu().numpy() for name, value in _flatten(state).items()}
    text = json.dumps({'format_version': FORMAT_VERSION, **notes})
    arrays['notes'] = np.frombuffer(text.encode(), np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    with zipfile.ZipFile(buffer, 'a') as archive:
        archive.comment = DIGEST_TAG + bytes(DIGEST_LENGTH)
    content = buffer.getbuffer()
    digest = hashlib.sha256(content[:-DIGEST_LENGTH]).hexdigest()
    content[-DIGEST_LENGTH:] = digest.encode()
    write_atomically(path, content, CheckpointError)


def load_notes(path: Path) -> dict[str, Any]:
    """Read the notes alone.

    Raises:
        CheckpointError: the file is damaged or not a checkpoint that this version reads.
    """
    return _notes(path, _read(path, only='notes'))


def load_checkpoint(path: Path, like: LearnerState) -> tuple[LearnerState, dict[str, Any]]:
    """Read a learner of the same shapes as `like`, on the same device, and its notes.

    Raises:
        CheckpointError: the file is damaged, not a checkpoint, or its networks have other shapes.
    """
    arrays = _read(path)
    notes = _notes(path, arrays)
    flat: dict[str, torch.Tensor] = {}
    for name, value in _flatten(like).items():
        found = arrays.get(name)
        if found is None or found.shape != tuple(value.shape):
            shape = 'nothing' if found is None else str(found.shape)
            raise CheckpointError(
                f'{path}: {name} should have shape {tuple(value.shape)}, the file has {shape}; '
                f'give the sac.hidden, sac.normalization and sac.critic_loss that this run began '
                f'with, or another --run_dir'
            )
        tensor = torch.from_numpy(found)
        if tensor.dtype != value.dtype:
            raise CheckpointError(
                f'{path}: {name} should have type {value.dtype}, the file has {tensor.dtype}'
            )
        flat[name] = tensor.to(value)
    return _unflatten(like, flat), notes


def config_of(notes: Mapping[str, Any]) -> TrainConfig:
    """Return the settings of a run from the notes of its checkpoint.

    Raises:
        ConfigError: a setting is unknown or outside its range.
    """
    values = with_current_names(TrainConfig, notes.get('config', {}))
    if 'sac.critic_loss' not in values:
        values = _translated(values)
    config: TrainConfig = build(TrainConfig, values)
    return config


def _translated(values: dict[str, Any]) -> dict[str, Any]:
    """Return settings of an earlier version in terms of this one.

    In these -1 and auto stood for a choice by hindsight, and with a preset 0 for its value.
    """
    values = {k: v for k, v in values.items() if not k.startswith('sac.caps_')}
    if values.get('randomization.preset', 'none') != 'none':
        group = 'randomization.'
        values = {k: v for k, v in values.items() if v != 0 or not k.startswith(group)}
    if values.get('sac.adam_beta1', -1) < 0:
        values.pop('sac.adam_beta1', None)
    atoms = values.pop('sac.n_atoms', -1)
    without_hindsight = values.get('her_fraction') == 0
    if atoms > 0:
        values |= {'sac.critic_loss': 'categorical', 'sac.n_atoms': atoms}
    elif atoms == 0 or without_hindsight:
        values['sac.critic_loss'] = 'categorical' if atoms else 'squared'
    if without_hindsight and values.get('sac.normalization') == 'auto':
        values['sac.normalization'] = 'layer' if values.get('sac.dropout') else 'batch'
    return values


def count_from(notes: Mapping[str, Any], name: str) -> int:
    """Return a counter of the notes.

    Raises:
        CheckpointError: it is missing, not an integer, or out of range.
    """
    value = notes.get(name)
    if type(value) is not int or not 0 <= value <= MAX_COUNT:
        raise CheckpointError(f'{name} is {value!r}; it must be an integer from 0 on')
    return value


def numbers_from(notes: Mapping[str, Any], name: str, most: int) -> list[float]:
    """Return a list of at most `most` numbers of the notes; NaN stands for unknown.

    Raises:
        CheckpointError: it is missing, too long, or holds something else or an infinity.
    """
    values = notes.get(name)
    if not isinstance(values, list) or len(values) > most:
        raise CheckpointError(f'{name} must be a list of at most {most} numbers')
    if any(type(value) not in (int, float) or math.isinf(value) for value in values):
        raise CheckpointError(f'{name} holds something that is not a finite number')
    return values


def _flatten(part: Any, path: str = '') -> dict[str, torch.Tensor]:
    """Name every tensor by its path, e.g. `actor_adam.first.mean.weight`."""
    if isinstance(part, torch.Tensor):
        return {path: part}
    inside = part if isinstance(part, dict) else part._asdict()
    flat: dict[str, torch.Tensor] = {}
    for name, value in inside.items():
        flat |= _flatten(value, f'{path}.{name}' if path else name)
    return flat


def _unflatten(like: Any, flat: dict[str, torch.Tensor], path: str = '') -> Any:
    if isinstance(like, torch.Tensor):
        return flat[path]
    inside = like if isinstance(like, dict) else like._asdict()
    parts = {
        name: _unflatten(value, flat, f'{path}.{name}' if path else name)
        for name, value in inside.items()
    }
    return parts if isinstance(like, dict) else type(like)(**parts)


def _read(path: Path, only: str = '') -> dict[str, NDArray[Any]]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f'{path} is not readable: {error.strerror}') from error
    append_checksum = _is_sealed(path, content)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = [f'{only}.npy'] if only else archive.namelist()
            arrays = {name.removesuffix('.npy'): _array(archive.read(name)) for name in names}
    except Exception as error:  # damage makes zipfile and numpy raise a dozen classes
        raise CheckpointError(
            f'{path} is not a readable checkpoint: {error or type(error).__name__}'
        ) from error
    if not append_checksum and _notes(path, arrays)['format_version'] != FORMAT_WITHOUT_DIGEST:
        raise CheckpointError(f'{path} is not whole: it lacks its digest; {_RESTORE}')
    return arrays


_RESTORE = 'put back a copy of it, or remove it to start the learner again with the same samples'


def _is_sealed(path: Path, content: bytes) -> bool:
    """Return whether a file carries its digest; raise CheckpointError if it does not fit."""
    body, digest = content[:-DIGEST_LENGTH], content[-DIGEST_LENGTH:]
    if not body.endswith(DIGEST_TAG):
        return False
    if hashlib.sha256(body).hexdigest().encode() != digest:
        raise CheckpointError(f'{path} is not what was saved: its digest differs; {_RESTORE}')
    return True


def _array(content: bytes) -> NDArray[Any]:
    """Parse an .npy file, whose checksum `ZipFile.read` has compared, to its last byte."""
    file = io.BytesIO(content)
    array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
    if file.tell() != len(content):
        raise ValueError('an array is shorter than its file')
    return array


def _notes(path: Path, arrays: dict[str, NDArray[Any]]) -> dict[str, Any]:
    try:
        notes: dict[str, Any] = json.loads(arrays['notes'].tobytes())
        version = notes['format_version']
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f'{path} is not a checkpoint of sac_ros: {error}') from error
    if version not in (FORMAT_VERSION, FORMAT_WITHOUT_DIGEST):
        raise CheckpointError(f'{path} has format {version}, this program reads {FORMAT_VERSION}')
    return notes
