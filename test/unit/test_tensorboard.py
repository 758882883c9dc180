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

"""Event files are whole, and TensorBoard reads them."""

import struct
from contextlib import closing

import numpy as np
import pytest
from event_files import records

from sac_ros.training.tensorboard import EventLog
from sac_ros.training.video import gif


def read_log(folder):
    """Return tags and scalars of a log with TensorBoard's own reader, where it is installed."""
    accumulators = pytest.importorskip(
        'tensorboard.backend.event_processing.event_accumulator',
        reason='tensorboard is not installed: pip install tensorboard',
    )
    log = accumulators.EventAccumulator(str(folder), size_guidance={'scalars': 0, 'images': 0})
    return log.Reload()


def test_every_event_is_whole(tmp_path):
    with closing(EventLog(tmp_path)) as log:
        log.scalars(3, {'a/b': 1.5, 'c': -2.0})
        log.picture(300, 'view', b'GIF89a', 7, 5)
    version, scalars, picture = records(log.path)
    assert version.endswith(b'brain.Event:2')
    assert b'a/b' in scalars and struct.pack('<f', 1.5) in scalars
    assert b'view' in picture and b'GIF89a' in picture


def test_tensorboard_reads_it(tmp_path):
    frames = [np.full((20, 30, 3), shade, np.uint8) for shade in (0, 100, 200)]
    with closing(EventLog(tmp_path)) as log:
        for step in (1, 1_000_000):
            log.scalars(step, {'train/x': step / 2})
        log.picture(7, 'eval/video', gif(frames, 0.05), 30, 20)
    read = read_log(tmp_path)
    assert [(e.step, e.value) for e in read.Scalars('train/x')] == [(1, 0.5), (1_000_000, 5e5)]
    (image,) = read.Images('eval/video')
    assert (image.step, image.width, image.height) == (7, 30, 20)
    assert image.encoded_image_string.startswith(b'GIF89a')
