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

"""How far the guards let joints pass their limits in simulation, at full torque towards them.

    python benchmarks/joint_limits.py [--arms default,panda-urdf] [--quick]

End stops and contacts are off; the guards run at 500 Hz with their default settings. Each joint
alone is driven towards each of its limits, from rest and from the velocity that is allowed where
it is. Then all joints at once are driven, each towards a limit that is drawn anew twice in 1.5 s.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import mujoco
import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent))
from arms import arm_config

from sac_ros.deploy.safety_filter import SafetyConfig, SafetyFilter
from sac_ros.sim.arm import SimArm
from sac_ros.tasks.task import arm_spec

Vector = NDArray[np.float64]
STATE_PERIOD = 0.002  # [s]
SECONDS = 1.5  # of each push
TRIALS = 40  # pushes of all joints at once
ARMS = ('default', 'panda-urdf', 'ur5', 'xarm7', 'openarm-left')


class GuardedArm:
    """An arm without end stops and contacts, whose torque passes the guards."""

    def __init__(self, name: str) -> None:
        """Load an arm of benchmarks/arms.py."""
        config = arm_config(name)
        self.arm = SimArm(config)
        self.spec = arm_spec(self.arm.robot, (), 0.02, config.gravity_compensation)
        model = self.arm.model
        model.opt.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_CONTACT)
        model.jnt_limited[[model.joint(name).id for name in self.spec.joint_names]] = 0
        self.steps = round(STATE_PERIOD / config.timestep)
        self.lower = np.array(self.spec.position_lower)
        self.upper = np.array(self.spec.position_upper)
        self.limit = np.array(self.spec.torque_limit)
        self.limited = np.flatnonzero(np.isfinite(self.upper - self.lower))
        self.faults = 0

    def sample(self, rng: np.random.Generator) -> Vector:
        """Return positions (n,) [rad] in the middle of the joint ranges."""
        lower = np.where(np.isfinite(self.lower), self.lower, -np.pi)
        upper = np.where(np.isfinite(self.upper), self.upper, np.pi)
        middle: Vector = lower + (upper - lower) * rng.uniform(0.3, 0.7, len(lower))
        return middle

    def push(self, position: Vector, velocity: Vector, torques: list[Vector]) -> Vector:
        """Ask for torques, one after the other, and return the overshoot of each joint [rad].

        Args:
            position: at the start, (n,) [rad].
            velocity: at the start, (n,) [rad/s].
            torques: each (n,) [N·m].
        """
        guards, past = SafetyFilter(self.spec, SafetyConfig()), np.zeros(len(position))
        self.arm.reset(position, velocity)
        periods = round(SECONDS / STATE_PERIOD)
        for period in range(periods):
            torque = torques[period * len(torques) // periods]
            result = guards.apply(torque, *self.arm.read_sensors(), STATE_PERIOD)
            if result.fault:
                self.faults += 1
                break
            self.arm.step(result.torque, self.steps)
            now = self.arm.position
            past = np.maximum(past, np.maximum(now - self.upper, self.lower - now))
        return past

    def push_one(self, joint: int, side: int, share: float, rng: np.random.Generator) -> Vector:
        """Push one joint towards a limit and return the overshoot of each joint (n,) [rad].

        Args:
            joint: index.
            side: -1 or 1, the limit.
            share: of the allowed velocity, at the start.
            rng: of the posture.
        """
        position = self.sample(rng)
        gap = rng.uniform(0.05, 0.6) * (self.upper - self.lower)[joint]
        limit = self.upper if side > 0 else self.lower
        position[joint] = limit[joint] - side * gap
        guards = SafetyFilter(self.spec, SafetyConfig())
        slowest, fastest = guards.allowed_velocity(position)
        velocity, torque = np.zeros(len(position)), np.zeros(len(position))
        velocity[joint] = share * (fastest if side > 0 else slowest)[joint]
        torque[joint] = side * self.limit[joint]
        return self.push(position, velocity, [torque])

    def push_all(self, rng: np.random.Generator) -> Vector:
        """Push all joints at once and return the overshoot of each joint (n,) [rad]."""
        torques = [self.limit * rng.choice((-1.0, 1.0), len(self.limit)) for _ in range(3)]
        return self.push(self.sample(rng), np.zeros(len(self.limit)), torques)


def measure(name: str, trials: int) -> dict[str, float]:
    """Return the largest overshoots of an arm [rad], and how many pushes ended in a fault."""
    guarded, rng = GuardedArm(name), np.random.default_rng(0)
    one = [
        guarded.push_one(joint, side, share, rng).max()
        for joint in guarded.limited.tolist()
        for side in (-1, 1)
        for share in (0.0, 1.0)
    ]
    alone = guarded.faults
    everything = [guarded.push_all(rng).max() for _ in range(trials)]
    return {
        'one_joint': round(float(max(one)), 4),
        'all_joints': round(float(max(everything)), 4),
        'faults_one_joint': alone,
        'faults_all_joints': guarded.faults - alone,
    }


def main() -> None:
    """Measure, print a table and a line of JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('--arms', default=','.join(ARMS), help='names, with commas')
    parser.add_argument('--quick', action='store_true', help='the default arm alone, 8 trials')
    options = parser.parse_args()
    names = ['default'] if options.quick else options.arms.split(',')
    found = {}
    print('| arm | one joint | all joints | faults |\n|---|---|---|---|')
    for name in names:
        found[name] = row = measure(name, 8 if options.quick else TRIALS)
        faults = row['faults_one_joint'] + row['faults_all_joints']
        print(f'| {name} | {row["one_joint"]} rad | {row["all_joints"]} rad | {faults} |')
    print(json.dumps({'joint_limits': found}))


if __name__ == '__main__':
    main()
