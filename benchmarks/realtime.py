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

"""Which update ratio holds at 20 Hz: a collector and a learner in processes of their own.

The collector steps the default arm in real time, 20 times a second, with the newest actor, and
appends to the replay directory. The learner reads that directory and updates as fast as it can,
DroQ-style: layer normalisation, dropout 0.01, one actor update per 20 critic updates. Its rate
over 20 Hz is the update ratio that holds; what matters to the arm is how late the collector is.

    pip install -e '.[train]'
    python benchmarks/realtime.py [--quick]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

os.environ.setdefault('OMP_NUM_THREADS', '1')

import numpy as np
import torch

from sac_ros.accel.compiler import Compiler
from sac_ros.config.training import SACConfig, TrainConfig
from sac_ros.envs.arm_env import make_env_bundle
from sac_ros.replay import ReplayReader, ReplayWriter
from sac_ros.sac.sac import SAC
from sac_ros.types import Transition

PERIOD, RATIO, FIRST = 0.05, 20, 300  # [s], critic updates per actor update, steps before learning
USUAL = {
    'normalization': 'layer', 'policy_delay': RATIO, 'batch_size': 256, 'critic_loss': 'squared',
}  # fmt: skip
VARIANTS: dict[str, dict[str, Any]] = {
    'layer norm, dropout': {'dropout': 0.01, 'bf16': False},
    'layer norm': {'bf16': False},
    'layer norm, dropout, bf16': {'dropout': 0.01, 'bf16': True},
    'layer norm, bf16': {'bf16': True},
    'layer norm, bf16, batch of 128': {'bf16': True, 'batch_size': 128},
    'layer norm, bf16, batch of 128, 51 atoms': {
        'bf16': True,
        'batch_size': 128,
        'critic_loss': 'categorical',
    },
}


def learner_of(settings: dict[str, Any]) -> tuple[SAC, Any]:
    """Return the equations and a first state."""
    _, spec, chain = make_env_bundle(TrainConfig())
    sac = SAC(spec, chain, SACConfig(**USUAL | settings))
    return sac, sac.initialize(0)


def collect(
    directory: Path, settings: dict[str, Any], shared: dict[str, torch.Tensor], pipe: Connection
) -> None:
    """Step in real time until told to stop, then send how late every step was [s]."""
    torch.set_num_threads(1)
    env, spec, _ = make_env_bundle(TrainConfig())
    sac, state = learner_of(settings)
    draw, rng = torch.Generator().manual_seed(0), np.random.default_rng(0)
    late: list[float] = []
    with ReplayWriter(directory, spec) as replay, torch.no_grad():
        observation, _ = env.reset(seed=0)
        due = time.perf_counter()
        while not pipe.poll():
            if len(replay) < FIRST:  # as fast as possible, so that the learner can begin
                action = rng.uniform(-1, 1, spec.n_action).astype(np.float32)
            else:
                due += PERIOD
                time.sleep(max(0.0, due - time.perf_counter()))
                now = time.perf_counter()
                late.append(now - due)
                due = max(due, now - PERIOD)
                row = torch.from_numpy(observation).unsqueeze(0)
                noise = torch.randn((1, spec.n_action), generator=draw)
                state = state._replace(actor={k: v.clone() for k, v in shared.items()})
                action = sac.act(state, row, noise)[0].numpy()
            next_observation, reward, terminated, truncated, _ = env.step(action)
            replay.append(
                Transition(observation, action, reward, terminated, next_observation),
                truncated=truncated,
            )
            if len(replay) == FIRST:
                pipe.send('begin')
                pipe.recv()
                due = time.perf_counter()
            observation = env.reset()[0] if terminated or truncated else next_observation
    pipe.send(late)


def measure(settings: dict[str, Any], seconds: float) -> dict[str, float]:
    """Learn beside a collector for as long; returns rates and lateness."""
    sac, state = learner_of(settings)
    config, rng, draw = sac.config, np.random.default_rng(0), torch.Generator().manual_seed(0)
    compiler = Compiler(bf16=config.bf16)
    whole, critics = compiler(sac.update), compiler(sac.update_critics)
    shared = {name: value.clone().share_memory_() for name, value in state.actor.items()}
    here, there = multiprocessing.Pipe()
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / 'replay'
        collector = multiprocessing.get_context('spawn').Process(
            target=collect, args=(directory, settings, shared, there)
        )
        collector.start()
        here.recv()
        replay = ReplayReader(directory, sac.spec)

        def step(update: Any) -> None:
            nonlocal state
            replay.refresh()
            batch = replay.sample(config.batch_size, rng)
            tensors = Transition(*(torch.from_numpy(part) for part in batch))
            state, _ = update(state, tensors, sac.noise(draw), None)

        step(whole)
        step(critics)
        here.send('go')
        began, first, updates = time.perf_counter(), len(replay), 0
        while time.perf_counter() - began < seconds:
            for _ in range(RATIO - 1):
                step(critics)
            step(whole)
            updates += RATIO
            for name, value in state.actor.items():
                shared[name].copy_(value)
        spent = time.perf_counter() - began
        replay.refresh()
        steps = len(replay) - first
        here.send('stop')
        late = np.array(here.recv()) * 1e3
        collector.join()
    return {
        'updates_hz': updates / spent,
        'ratio': updates / spent * PERIOD,
        'control_hz': steps / spent,
        'late_p50_ms': float(np.percentile(late, 50)),
        'late_p99_ms': float(np.percentile(late, 99)),
        'late_max_ms': float(late.max()),
    }


def main() -> None:
    """Measure every variant, print a table, end with one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--quick', action='store_true', help='one variant, a few seconds')
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # as the trainer does
    variants = dict(list(VARIANTS.items())[:1]) if quick else VARIANTS
    print(f'{"":41} updates/s  ratio at 20 Hz  control Hz   late p50 / p99 / max [ms]')
    results = {}
    for name, settings in variants.items():
        row = results[name] = measure(settings, 5 if quick else 20)
        print(
            f'{name:41} {row["updates_hz"]:9.0f} {row["ratio"]:14.1f} {row["control_hz"]:11.2f}   '
            f'{row["late_p50_ms"]:.2f} / {row["late_p99_ms"]:.2f} / {row["late_max_ms"]:.2f}',
            flush=True,
        )
    print(json.dumps({n: {k: round(v, 3) for k, v in r.items()} for n, r in results.items()}))


if __name__ == '__main__':
    main()
