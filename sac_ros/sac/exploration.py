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

"""Noise for actions in training: white, pink, or along gSDE's function of the state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sac_ros.config.training import SACConfig

GSDE_STEPS = 8  # actions with one function (Raffin et al., 2021, section 4.1)
PINK_STEPS = 1024  # actions in one piece of pink noise, more than an episode usually has


class Exploration:
    """Standard normal noise for `SAC.act`, step by step; begun anew with every episode.

    Pink noise moves joints in one direction for longer than white noise and still changes its
    mind, which suits most tasks (Eberhard et al., 2023, "Pink Noise Is All You Need").
    """

    def __init__(
        self, config: SACConfig, n_action: int, rng: np.random.Generator, draw: torch.Generator
    ) -> None:
        self._kind, self._rng, self._draw = config.exploration, rng, draw
        self._shape = (config.hidden if self._kind == 'gsde' else 1, n_action)
        self._noise = torch.zeros(self._shape)
        self._steps = 0

    def begin_episode(self) -> None:
        """Forget what went before, so that an episode depends on the generators alone."""
        self._steps = 0

    @property
    def state(self) -> dict[str, Any]:
        """What the noise of the rest of an episode depends on beside the generators, as JSON."""
        return {'kind': self._kind, 'steps': self._steps, 'noise': self._noise.tolist()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state; noise of another kind begins anew.

        Raises:
            ValueError, TypeError, KeyError: it is no state.
        """
        self._steps = 0
        if state['kind'] != self._kind:
            return
        noise, steps = torch.tensor(state['noise'], dtype=torch.float32), state['steps']
        rows = PINK_STEPS if self._kind == 'pink' and steps else self._shape[0]
        if noise.shape != (rows, self._shape[1]) or type(steps) is not int or steps < 0:
            raise ValueError('state of the exploration')
        self._noise, self._steps = noise, steps

    def __call__(self) -> Tensor:
        """Return the noise of the next action (1, n_act), with gSDE (hidden, n_act)."""
        step, self._steps = self._steps, self._steps + 1
        if self._kind == 'pink':
            if step % PINK_STEPS == 0:
                noise = coloured_noise(1.0, PINK_STEPS, self._shape[1], self._rng)
                self._noise = torch.from_numpy(noise)
            return self._noise[step % PINK_STEPS, None]
        if self._kind == 'white' or step % GSDE_STEPS == 0:
            self._noise = torch.randn(self._shape, generator=self._draw)
        return self._noise


def coloured_noise(
    exponent: float, steps: int, n: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Draw n series (steps, n) whose power falls with frequency to the exponent, variance 1.

    Timmer and König, 1995, "On generating power law noise": random Fourier coefficients with
    standard deviation f^(-exponent/2), here with the constant one as strong as the slowest wave.
    """
    # Not colorednoise: its scale leaves the constant out, which gives 1,024 steps variance 1.07.
    scale = np.fft.rfftfreq(steps)
    scale[0] = scale[1]
    scale **= -exponent / 2
    real, imaginary = rng.standard_normal((2, n, len(scale))) * scale
    imaginary[:, 0] = 0  # the constant is real, and for an even number the fastest wave too
    real[:, 0] *= np.sqrt(2)
    if steps % 2 == 0:
        imaginary[:, -1] = 0
        real[:, -1] *= np.sqrt(2)
    # A real or imaginary part adds to the variance of the series 2 scale^2 / steps^2.
    share = 4 * scale[1:] ** 2
    share[-1] *= 0.5 if steps % 2 == 0 else 1.0
    variance = (share.sum() + 2 * scale[0] ** 2) / steps**2
    series = np.fft.irfft(real + 1j * imaginary, n=steps)
    result: NDArray[np.float32] = (series.T / np.sqrt(variance)).astype(np.float32)
    return result
