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

"""A checkpoint is read as it was saved or refused with one kind of error."""

import io
import json
import random
import zipfile

import numpy as np
import pytest
from small_runs import config
from tensors import leaves, same

from sac_ros.errors import CheckpointError
from sac_ros.training.checkpoint import load_checkpoint, load_notes, save_checkpoint
from sac_ros.training.trainer import Trainer


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """A finished run of 30 steps."""
    trainer = Trainer(config(tmp_path_factory.mktemp('run'), steps=30))
    trainer.run()
    return trainer


def old_format(trainer):
    """Return the bytes of a checkpoint as it was written before there was a digest."""
    notes = {**load_notes(trainer.checkpoint), 'format_version': 2}
    with np.load(trainer.checkpoint) as file:
        arrays = {name: file[name] for name in file.files if name != 'notes'}
    buffer = io.BytesIO()
    np.savez(buffer, notes=np.frombuffer(json.dumps(notes).encode(), np.uint8), **arrays)
    return buffer.getvalue(), notes


def structure(content):
    """Return the places of everything in an archive but the numbers themselves."""
    archive = zipfile.ZipFile(io.BytesIO(content))
    places = list(range(archive.start_dir, len(content)))
    for entry in archive.infolist():
        places += range(entry.header_offset, entry.header_offset + 50 + len(entry.filename) + 128)
    return places


def flipped(content, count, seed):
    chance, places = random.Random(seed), structure(content)
    for i in range(count):
        bad = bytearray(content)
        place = chance.choice(places) if i % 4 else chance.randrange(len(content))
        bad[place] ^= 1 << chance.randrange(8)
        yield bytes(bad)


def test_every_flipped_bit_is_refused(run, tmp_path):
    path, content = tmp_path / 'checkpoint.npz', run.checkpoint.read_bytes()
    start = content.index(b'\x93NUMPY')  # the length of an array's header
    headers = [content[:i] + bytes([content[i] ^ 2]) + content[i + 1 :] for i in (start + 8,)]
    for bad in (*headers, *flipped(content, 400, 1), content[:-64], content[:-71]):
        path.write_bytes(bad)
        for read in (load_notes, lambda path: load_checkpoint(path, run.state)):
            with pytest.raises(CheckpointError, match=r'checkpoint\.npz'):
                read(path)


def test_a_bit_flip_in_an_older_checkpoint_is_refused_or_inert(run, tmp_path):
    path = tmp_path / 'checkpoint.npz'
    content, notes = old_format(run)
    path.write_bytes(content)
    state, found = load_checkpoint(path, run.state)
    assert same(state, run.state)
    assert found == notes
    refused = 0
    for bad in flipped(content, 400, 2):
        path.write_bytes(bad)
        try:
            state, found = load_checkpoint(path, run.state)
        except CheckpointError:
            refused += 1
        else:
            assert same(state, run.state)
            assert found == notes
    assert refused > 100


def test_a_run_of_an_older_checkpoint_goes_on(run, tmp_path):
    tmp_path.joinpath('checkpoint.npz').write_bytes(old_format(run)[0])
    trainer = Trainer(config(tmp_path, steps=30))
    assert trainer.step == 30
    assert same(trainer.state, run.state)


WRONG = {
    'step': [-1, 1.5, True, '3', None, 2**60],
    'updates': [-1, None],
    'episodes': [-3, [1]],
    'cursor': [-1, 0.0],
    'returns': [None, ['a'], [float('inf')], [0.0] * 21],
    'successes': [{}, [None]],
    'left': [[0.0], [0.0] * 1000, ['a']],
    'numpy_rng': [None, {}, {'bit_generator': 'PCG64', 'state': {'state': -1, 'inc': 1}}],
    'torch_rng': [None, [], [1, 2], [999] * 5056],
    'spec': [None, 3, '{}', 'no'],
}


@pytest.mark.parametrize('name', WRONG)
def test_notes_out_of_range_are_refused(run, tmp_path, name):
    notes = load_notes(run.checkpoint)
    for value in (*WRONG[name], 'absent'):
        changed = {k: v for k, v in notes.items() if k != name}
        if value != 'absent':
            changed[name] = value
        elif name == 'left':
            continue  # runs of environments that are no arms have none
        save_checkpoint(tmp_path / 'checkpoint.npz', run.state, changed)
        with pytest.raises(CheckpointError, match=r'checkpoint\.npz'):
            Trainer(config(tmp_path, steps=30))


def test_numbers_of_another_type_are_refused(run, tmp_path):
    path = tmp_path / 'checkpoint.npz'
    state = run.state._replace(actor={k: v.double() for k, v in run.state.actor.items()})
    save_checkpoint(path, state, {})
    with pytest.raises(CheckpointError, match=r'actor.*float32.*float64'):
        load_checkpoint(path, run.state)
    assert all(leaf.isfinite().all() for leaf in leaves(run.state))
