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

"""Video of an episode: a GIF, or an MP4 where ffmpeg is installed."""

from __future__ import annotations

import io
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sac_ros.envs.arm_env import ArmEnv
from sac_ros.errors import ConfigError
from sac_ros.filesystem import write_atomically, writing
from sac_ros.training.rollout import PolicyFn, rollout

# Not imageio: its GIFs are Pillow's as well, and the ffmpeg that it brings takes 165 MB.
Frames = Sequence[NDArray[np.uint8]]  # each (height, width, 3)


def film(env: ArmEnv, act: PolicyFn, seed: int) -> Frames:
    """Run one episode and return its frames.

    Raises:
        EnvError: there is nothing to draw with.
    """
    return [env.draw() for _ in rollout(env, act, seed)]


def gif(frames: Frames, period: float) -> bytes:
    """Return the file of a moving GIF that repeats.

    Args:
        frames: at least one.
        period: time between two [s]; a GIF knows hundredths.
    """
    pictures = [Image.fromarray(frame).quantize(128) for frame in frames]
    file = io.BytesIO()
    pictures[0].save(
        file,
        format='GIF',
        save_all=True,
        append_images=pictures[1:],
        duration=max(20, round(1000 * period)),
        loop=0,
    )
    return file.getvalue()


def default_suffix() -> str:
    """Return `.mp4` where ffmpeg is installed, else `.gif`."""
    return '.mp4' if shutil.which('ffmpeg') else '.gif'


def write_video(path: Path, frames: Frames, period: float) -> None:
    """Write frames as the suffix of the path says; the file is there whole or not at all.

    Raises:
        ConfigError: the suffix is neither .gif nor .mp4, or ffmpeg is missing or refuses.
        StorageError: the disk fails.
    """
    suffix = path.suffix.lower()
    if suffix == '.gif':
        write_atomically(path, gif(frames, period))
    elif suffix == '.mp4':
        write_atomically(path, _mp4(path, frames, period))
    else:
        raise ConfigError(f'{path}: a video is written as .gif or .mp4')


def _mp4(path: Path, frames: Frames, period: float) -> bytes:
    if shutil.which('ffmpeg') is None:
        raise ConfigError(f'{path}: MP4 needs the program ffmpeg; install it, or write a .gif')
    height, width, _ = frames[0].shape
    source = ['-f', 'rawvideo', '-pix_fmt', 'rgb24', '-s', f'{width}x{height}']
    content = b''.join(np.ascontiguousarray(frame).tobytes() for frame in frames)
    with writing(path), tempfile.TemporaryDirectory(prefix='sac_ros') as folder:
        made = Path(folder) / 'video.mp4'  # of a name that ffmpeg takes for no option or protocol
        target = ['-pix_fmt', 'yuv420p', '-loglevel', 'error', str(made)]
        command = ['ffmpeg', '-y', *source, '-r', f'{1 / period:g}', '-i', '-', *target]
        result = subprocess.run(command, input=content, capture_output=True, check=False)
        if result.returncode:
            raise ConfigError(f'ffmpeg cannot write {path}: {result.stderr.decode().strip()}')
        return made.read_bytes()
