"""A learner on disk: named arrays and JSON in one `.npz` file, replaced whole or not at all."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sac_ros.errors import CheckpointError
from sac_ros.sac_state import LearnerState

FORMAT_VERSION = 2


def save_checkpoint(path: Path, state: LearnerState, notes: dict[str, Any]) -> None:
    """Write a learner and JSON notes; a crash at any instant leaves the old or the new file.

    Args:
        path: the file, replaced atomically and synced to the disk.
        state: the learner.
        notes: anything JSON holds: specification, settings, counters, random states.
    """
    arrays = {name: value.cpu().numpy() for name, value in _flatten(state).items()}
    text = json.dumps({'format_version': FORMAT_VERSION, **notes})
    arrays['notes'] = np.frombuffer(text.encode(), np.uint8)
    temporary = path.with_suffix('.tmp')
    with temporary.open('wb') as file:
        np.savez(file, allow_pickle=False, **arrays)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def load_notes(path: Path) -> dict[str, Any]:
    """Read the notes alone.

    Raises:
        CheckpointError: the file is not a checkpoint of this format version.
    """
    return _notes(path, _read(path, only='notes'))


def load_checkpoint(path: Path, like: LearnerState) -> tuple[LearnerState, dict[str, Any]]:
    """Read a learner of the same shapes as `like`, on the same device, and its notes.

    Raises:
        CheckpointError: the file is not a checkpoint, or its networks have other shapes.
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
                f'give the sac.hidden, sac.normalization, sac.n_atoms that this run began with, '
                f'or another --run_dir'
            )
        flat[name] = torch.from_numpy(found).to(value)
    return _unflatten(like, flat), notes


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
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in ([only] if only else file.files)}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise CheckpointError(f'{path} is not a readable checkpoint: {error}') from error


def _notes(path: Path, arrays: dict[str, NDArray[Any]]) -> dict[str, Any]:
    try:
        notes: dict[str, Any] = json.loads(arrays['notes'].tobytes())
        version = notes['format_version']
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f'{path} is not a checkpoint of sac_ros: {error}') from error
    if version != FORMAT_VERSION:
        raise CheckpointError(f'{path} has format {version}, this program reads {FORMAT_VERSION}')
    return notes
