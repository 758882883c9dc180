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

"""A disk that refuses is one line with the file's name, and the run goes on afterwards."""

import contextlib
import os
import resource
from contextlib import closing

import numpy as np
import pytest
from event_files import records
from small_runs import config, transitions
from tensors import same

from sac_ros.errors import CheckpointError, SacRosError, StorageError
from sac_ros.filesystem import write_atomically
from sac_ros.training.tensorboard import EventLog
from sac_ros.training.trainer import Trainer
from sac_ros.training.video import write_video


@contextlib.contextmanager
def limited(size):
    """Let no file of this process grow beyond a size, as on a full disk."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)


@pytest.mark.parametrize('size', [0, 1, 999])
def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, size):
    path = tmp_path / 'new' / 'a[/]\n.bin'
    write_atomically(path, b'old')
    with limited(size), pytest.raises(StorageError, match='ulimit -f') as refused:
        write_atomically(path, bytes(1000))
    assert r'a[/]\n.bin' in str(refused.value) and '\n' not in str(refused.value)
    assert path.read_bytes() == b'old'
    assert os.listdir(path.parent) == [path.name]
    write_atomically(path, b'new')
    assert path.read_bytes() == b'new'


def test_a_directory_that_cannot_be_made_names_it(tmp_path):
    (tmp_path / 'file').touch()
    for action in (lambda: write_atomically(tmp_path / 'file' / 'a', b''),
                   lambda: EventLog(tmp_path / 'file' / 'log')):  # fmt: skip
        with pytest.raises(StorageError, match=r'cannot write .*file/.*; use another path'):
            action()


def test_a_log_that_finds_no_space_keeps_what_it_has(tmp_path):
    with closing(EventLog(tmp_path)) as log:
        log.scalars(1, {'a': 1.0})
        size = log.path.stat().st_size
        with limited(size + 10), pytest.raises(StorageError, match=log.path.name):
            log.scalars(2, {'a': 2.0})
    os.truncate(log.path, size)
    assert len(list(records(log.path))) == 2


def test_a_video_that_finds_no_space_leaves_none(tmp_path):
    frames = [np.full((8, 8, 3), shade, np.uint8) for shade in (0, 200)]
    with limited(10), pytest.raises(StorageError, match=r'a\.gif'):
        write_video(tmp_path / 'a.gif', frames, 0.05)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ('at', 'kind', 'name'),
    [(45, StorageError, 'evaluations.jsonl'), (63, CheckpointError, 'checkpoint.npz')],
)
def test_a_run_on_a_full_disk_ends_with_one_line_and_resumes(tmp_path, at, kind, name):
    whole = Trainer(config(tmp_path / 'whole', steps=80))
    whole.run()
    full = contextlib.ExitStack()

    def fill(trainer):
        if trainer.step == at:
            full.enter_context(limited(0))
        if trainer.step == 65:
            trainer.request_stop()

    with full, pytest.raises(SacRosError) as refused:
        Trainer(config(tmp_path / 'full', steps=80)).run(fill)
    assert type(refused.value) is kind
    assert name in str(refused.value) and '\n' not in str(refused.value)
    assert not list((tmp_path / 'full').glob('*.tmp'))
    again = Trainer(config(tmp_path / 'full', steps=80))
    again.run()
    assert same(again.state, whole.state)
    assert (transitions(tmp_path / 'full') == transitions(tmp_path / 'whole')).all()
