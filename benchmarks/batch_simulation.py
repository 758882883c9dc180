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

"""Guarded arms stepped together against the same number of bare MuJoCo steps.

    python benchmarks/batch_simulation.py [--quick] [--arms N] [--threads N]

Interleaves control periods of `BatchArmEnv` (guards, task, observations) with the same number of
bare steps: by `mujoco.batch.Batch` on as many threads, and by a loop of `mj_step`. Ends with one
line of JSON: {share_of_batch, share_of_loop, share_randomized, steps_per_s, arms, threads}; shares
are medians over rounds of bare time divided by guarded time.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable

import mujoco
import numpy as np
from mujoco.batch import Batch

from sac_ros.config.robot import RandomizationConfig
from sac_ros.config.training import TrainConfig
from sac_ros.envs.batch_env import BatchArmEnv


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--quick', action='store_true', help='a few rounds')
    parser.add_argument('--arms', type=int, default=64, help='arms that step together (64)')
    parser.add_argument('--threads', type=int, default=1, help='of both (1)')
    options = parser.parse_args()
    rounds = 20 if options.quick else 200
    print(json.dumps(measure(options.arms, options.threads, rounds)))
    return 0


def measure(n_arms: int, n_threads: int, rounds: int) -> dict[str, float]:  # noqa: C901
    """Return the shares."""
    kinds = {
        'guarded': RandomizationConfig(),
        'randomized': RandomizationConfig(preset='sim2real'),
    }
    envs = {
        name: BatchArmEnv(TrainConfig(randomization=kind), n_arms, n_threads)
        for name, kind in kinds.items()
    }
    model = envs['guarded'].arms.arm.model
    steps = round(TrainConfig().arm.control_period / TrainConfig().arm.timestep)
    batch = Batch(model, nsim=n_arms, nthread=n_threads, persistent=True)
    single = [mujoco.MjData(model) for _ in range(n_arms)]
    rng = np.random.default_rng(0)
    shape = envs['guarded'].action_space.shape or ()

    def bare_batch() -> None:
        for _ in range(steps):
            batch.step()

    def bare_loop() -> None:
        for _ in range(steps):
            for data in single:
                mujoco.mj_step(model, data)

    work: dict[str, Callable[[], object]] = {'batch': bare_batch, 'loop': bare_loop}
    for name, env in envs.items():
        env.reset(seed=0)
        work[name] = lambda env=env: env.step(rng.uniform(-0.2, 0.2, shape).astype(np.float32))
    times: dict[str, list[float]] = {name: [] for name in work}
    arms, qpos, qvel = envs['guarded'].arms, batch.bind('qpos'), batch.bind('qvel')
    for _ in range(rounds):
        qpos[:], qvel[:] = arms.position, arms.velocity  # the same postures cost the same
        for data, position, velocity in zip(single, qpos, qvel, strict=True):
            data.qpos[:], data.qvel[:] = position, velocity
        for name, call in work.items():
            began = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - began)

    def share(bare: str, guarded: str) -> float:
        pairs = zip(times[bare], times[guarded], strict=True)
        return round(statistics.median(b / g for b, g in pairs), 3)

    return {
        'share_of_batch': share('batch', 'guarded'),
        'share_of_loop': share('loop', 'guarded'),
        'share_randomized': share('batch', 'randomized'),
        'steps_per_s': round(n_arms * steps / statistics.median(times['guarded'])),
        'arms': n_arms,
        'threads': n_threads,
    }


if __name__ == '__main__':
    sys.exit(main())
