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

"""Updates per second at equal mathematics: ours, Stable-Baselines3, SBX, a plain eager loop.

Batch 256, two hidden layers of 256, 23 observations, 7 actions, interleaved in one process, beside
the limit: the matrix products of one update alone in fp32, as torch has them, measured on the
spot. Everybody draws batches from a buffer of their own. Ours also with
the factors rounded to bfloat16, and DroQ-style: 20 critic updates to one of the actor. With
--device cuda all that is torch runs there.

    pip install -e '.[train,bench]'
    python benchmarks/updates.py [--quick] [--two] [--device cuda]
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ['OMP_NUM_THREADS'] = '2' if '--two' in sys.argv else '1'  # before anyone looks
if '--two' not in sys.argv:  # one core: JAX keeps threads of its own, whatever it is told
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
os.environ.setdefault('XLA_FLAGS', f'--xla_cpu_multi_thread_eigen={"--two" in sys.argv}'.lower())

import gymnasium
import numpy as np
import torch
from torch import nn

from sac_ros.accel.compiler import Compiler
from sac_ros.config.base import build
from sac_ros.config.training import TrainConfig
from sac_ros.replay import ReplayWriter
from sac_ros.sac.sac import SAC
from sac_ros.sac.state import LearnerState
from sac_ros.spec import ObservationField, PolicySpec
from sac_ros.types import Transition

N_OBS, N_ACT, BATCH, HIDDEN, STORED = 23, 7, 256, 256, 1_000
Run = Callable[[int], None]  # does as many updates


def spec() -> PolicySpec:
    """Return a problem of the benchmark's sizes."""
    return PolicySpec(
        joint_names=tuple(f'j{i}' for i in range(N_ACT)),
        observation=(ObservationField('observation', N_OBS, ''),),
        torque_limit=(1.0,) * N_ACT,
        position_lower=(-1.0,) * N_ACT,
        position_upper=(1.0,) * N_ACT,
        velocity_limit=(1.0,) * N_ACT,
        control_period=0.05,
        model_hash='benchmark',
    )


def transitions(n: int) -> Transition:
    """Return as many transitions of random numbers, on the CPU."""
    return Transition(
        torch.randn(n, N_OBS),
        torch.rand(n, N_ACT) * 2 - 1,
        torch.randn(n),
        torch.zeros(n),
        torch.randn(n, N_OBS),
    )


def ours(compile: bool, folder: Path, device: str, **settings: Any) -> Run:
    """Our update, eager or compiled, batches drawn from our replay on disk."""
    usual = {f'sac.{k}': v for k, v in {'hidden': HIDDEN, 'batch_size': BATCH, **settings}.items()}
    sac = SAC(spec(), None, build(TrainConfig, {'preset': 'sac', **usual}).sac)
    compiler = Compiler(device, sac.config.bf16) if compile else lambda function: function
    update, update_critics = compiler(sac.update), compiler(sac.update_critics)
    holder: list[LearnerState] = [sac.initialize(0, device)]
    generator = torch.Generator().manual_seed(0)

    replay = ReplayWriter(tempfile.mkdtemp(dir=folder), spec())
    rng = np.random.default_rng(0)
    for row in zip(*(part.numpy() for part in transitions(STORED)), strict=True):
        replay.append(Transition(*row), truncated=False)
    rows = np.empty((BATCH, replay.words), np.float32)

    def run(n: int) -> None:
        for i in range(n):
            batch = replay.sample(BATCH, rng, rows)
            tensors = Transition(*(torch.from_numpy(part).to(device) for part in batch))
            chosen = update if i % sac.config.policy_delay == 0 else update_critics
            holder[0], _ = chosen(holder[0], tensors, sac.noise(generator).to(device))

    return run


class Blank(gymnasium.Env):  # type: ignore[type-arg]
    """An environment of the right shapes that does nothing."""

    observation_space = gymnasium.spaces.Box(-1, 1, (N_OBS,), np.float32)
    action_space = gymnasium.spaces.Box(-1, 1, (N_ACT,), np.float32)

    def reset(self, *, seed: int | None = None, options: object = None) -> tuple[object, dict]:
        """Start."""
        super().reset(seed=seed)
        return self.observation_space.sample(), {}

    def step(self, action: object) -> tuple[object, float, bool, bool, dict]:
        """Go on."""
        return self.observation_space.sample(), 0.0, False, False, {}


def library(name: str, device: str) -> Run:
    """Learn with Stable-Baselines3 or SBX, batches drawn from their own filled buffer."""
    sac = importlib.import_module(name).SAC
    model = sac('MlpPolicy', Blank(), learning_starts=STORED, device=device, seed=0) if (
        name == 'stable_baselines3'
    ) else sac('MlpPolicy', Blank(), learning_starts=STORED, seed=0)  # fmt: skip
    model.learn(STORED + 2)

    def run(n: int) -> None:
        model.train(gradient_steps=n, batch_size=BATCH)

    return run


def eager(device: str) -> Run:
    """One file of plain autograd and torch.optim, as a single-file implementation has it."""

    def mlp(n_in: int, n_out: int) -> nn.Sequential:
        layers = [nn.Linear(n_in, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU()]
        return nn.Sequential(*layers, nn.Linear(HIDDEN, n_out)).to(device)

    actor = mlp(N_OBS, 2 * N_ACT)
    critics = [mlp(N_OBS + N_ACT, 1) for _ in range(2)]
    targets = [mlp(N_OBS + N_ACT, 1) for _ in range(2)]
    log_alpha = torch.zeros((), requires_grad=True, device=device)
    of_critics = [p for q in critics for p in q.parameters()]
    of_targets = [p for q in targets for p in q.parameters()]
    actor_adam = torch.optim.Adam(actor.parameters(), 3e-4)
    critic_adam = torch.optim.Adam(of_critics, 3e-4)
    alpha_adam = torch.optim.Adam([log_alpha], 3e-4)

    def sample(observation: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mean, log_std = actor(observation).chunk(2, -1)
        normal = torch.distributions.Normal(mean, log_std.clamp(-20, 2).exp())
        raw = normal.rsample()
        action = torch.tanh(raw)
        return action, (normal.log_prob(raw) - torch.log(1 - action**2 + 1e-6)).sum(-1)

    def least(networks: list[nn.Sequential], o: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
        x = torch.cat((o, a), -1)
        return torch.minimum(networks[0](x), networks[1](x)).squeeze(-1)

    def step(optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> None:
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    stored = Transition(*(part.to(device) for part in transitions(STORED)))

    def run(n: int) -> None:
        for _ in range(n):
            chosen = torch.randint(STORED, (BATCH,), device=device)
            b, alpha = Transition(*(part[chosen] for part in stored)), log_alpha.exp().detach()
            with torch.no_grad():
                a, log_prob = sample(b.next_observation)
                y = b.reward + 0.99 * (least(targets, b.next_observation, a) - alpha * log_prob)
            x = torch.cat((b.observation, b.action), -1)
            step(critic_adam, sum(0.5 * ((q(x).squeeze(-1) - y) ** 2).mean() for q in critics))
            a, log_prob = sample(b.observation)
            step(actor_adam, (alpha * log_prob - least(critics, b.observation, a)).mean())
            step(alpha_adam, -log_alpha * (log_prob.detach().mean() - N_ACT))
            with torch.no_grad():
                torch._foreach_lerp_(of_targets, of_critics, 0.005)

    return run


def products(device: str) -> Run:
    """Only the matrix products of an update, forward and backward, without anything between."""
    with torch.device(device):
        x, h = torch.randn(BATCH, HIDDEN), torch.randn(HIDDEN, HIDDEN)
        first = torch.randn(N_OBS + N_ACT, HIDDEN)
        narrow = torch.randn(BATCH, N_OBS + N_ACT)
    # (times, left, right). Actor: forward twice, backward once. Two critics: target forward, own
    # forward and backward, and for the actor forward and backward to the action.
    hidden = 2 + 2 + 2 * (1 + 1 + 2 + 1 + 1)
    outer = 2 + 1 + 2 * (1 + 1 + 1 + 1 + 1)

    def run(n: int) -> None:
        for _ in range(n):
            for _ in range(hidden):
                torch.mm(x, h)
            for _ in range(outer):
                torch.mm(narrow, first)

    return run


def main() -> None:
    """Measure, print a table, end with one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--quick', action='store_true', help='fewer rounds')
    parser.add_argument('--two', action='store_true', help='two threads for everyone')
    parser.add_argument('--device', choices=('cpu', 'cuda'), default='cpu')
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        compare(options, Path(folder))


def compare(options: argparse.Namespace, folder: Path) -> None:
    """Let everybody take turns."""
    rounds, each = (4, 40) if options.quick else (12, 100)
    torch.set_num_threads(2 if options.two else 1)
    torch.set_flush_denormal(True)  # for everybody, as training does
    torch.manual_seed(0)
    device = options.device
    contestants: dict[str, Run] = {'limit': products(device), 'eager loop': eager(device)}
    contestants['ours, eager'] = ours(False, folder, device)
    began = time.perf_counter()
    contestants['ours, compiled'] = ours(True, folder, device)
    contestants['ours, compiled'](1)
    compile_s = time.perf_counter() - began
    if not options.quick:
        contestants['ours, bf16'] = ours(True, folder, device, bf16=True)
        droq = {'normalization': 'layer', 'dropout': 0.01, 'policy_delay': 20}
        contestants['ours, DroQ'] = ours(True, folder, device, **droq)
        contestants['ours, DroQ, bf16'] = ours(True, folder, device, **droq, bf16=True)
    for name in ('stable_baselines3', 'sbx'):
        if importlib.util.find_spec(name):
            contestants[name] = library(name, device)
        else:
            print(f'{name} is not installed and left out')
    rates: dict[str, list[float]] = {name: [] for name in contestants}
    for run in contestants.values():
        run(10)
    for _ in range(rounds):
        for name, run in contestants.items():
            began = time.perf_counter()
            run(each)
            if device == 'cuda':
                torch.cuda.synchronize()
            rates[name].append(each / (time.perf_counter() - began))
    report(rates, compile_s)


def report(rates: dict[str, list[float]], compile_s: float) -> None:
    """Print medians and ratios, taken round by round so that a drifting machine cancels out."""

    def ratio(other: str, of: str = 'ours, compiled') -> float | None:
        if other not in rates or of not in rates:
            return None
        pairs = zip(rates[of], rates[other], strict=True)
        return round(statistics.median(a / b for a, b in pairs), 3)

    print(f'{"":20} updates/s   compiled over it   (compiled in {compile_s:.0f} s)')
    for name, values in sorted(rates.items(), key=lambda item: -statistics.median(item[1])):
        print(f'{name:20} {statistics.median(values):9.0f}   {ratio(name):16}')
    keys = {'fp32_vs_sb3': 'stable_baselines3', 'fp32_vs_sbx': 'sbx', 'fp32_of_limit': 'limit'}
    figures = {key: ratio(name) for key, name in keys.items()}
    figures['fp32_vs_eager'] = ratio('eager loop')
    figures['bf16_vs_sb3'] = ratio('stable_baselines3', 'ours, bf16')
    droq = max((rates[n] for n in rates if 'DroQ' in n), key=statistics.median, default=[])
    figures['utd20_hz'] = round(statistics.median(droq) / 20, 2) if droq else None
    print(json.dumps(figures))


if __name__ == '__main__':
    main()
