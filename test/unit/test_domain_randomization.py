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

"""A worse robot: late, noisy, weak and heavy by as much as was asked for, and never by default."""

import numpy as np
import pytest

from sac_ros.config.robot import ArmConfig, RandomizationConfig
from sac_ros.config.training import TrainConfig
from sac_ros.envs.arm_env import ArmEnv
from sac_ros.sim.arm import SimArm
from sac_ros.sim.domain_randomization import RandomizedArm, make_arm

POSTURE = np.array([0.3, 0.8, 0.9, 0.2, 0.4, 0.0])


def specimen(seed=0, **randomization):
    arm = make_arm(ArmConfig(), RandomizationConfig(**randomization))
    arm.randomise(np.random.default_rng(seed))
    arm.reset(POSTURE)
    return arm


def test_nothing_is_worse_by_default():
    assert type(make_arm(ArmConfig(), RandomizationConfig())) is SimArm
    assert isinstance(make_arm(ArmConfig(), RandomizationConfig(preset='sim2real')), RandomizedArm)


def test_a_preset_gives_way_to_what_is_given():
    config = RandomizationConfig(preset='sim2real', payload=1.5)
    assert config.payload == 1.5
    assert config.torque_error == 0.1


def test_commands_arrive_late_by_up_to_the_latency():
    delays = []
    for seed in range(20):
        arm = specimen(seed, action_latency=2.0)
        steps = 0
        while not arm.applied_torque.any():
            arm.step(np.ones(6))
            steps += 1
        delays.append((steps - 1) * arm.timestep)
    latest = 2.0 * ArmConfig().control_period
    assert 0.6 * latest < max(delays) <= latest + arm.timestep
    assert min(delays) < 0.4 * latest


def test_states_are_seen_late():
    arm = specimen(3, observation_delay=2.0)
    seen, true = [], []
    for _ in range(200):
        true.append(arm.position)
        seen.append(arm.read_sensors()[0])
        arm.step(np.ones(6))
    delay = next(d for d in range(60) if np.allclose(seen[150], true[150 - d], atol=1e-12))
    assert 0 < delay * arm.timestep <= 2.0 * ArmConfig().control_period
    assert np.allclose(seen[199], true[199 - delay], atol=1e-12)


def test_noise_has_the_spread_asked_for():
    arm = specimen(position_noise=0.01, velocity_noise=0.2)
    samples = np.array([arm.read_sensors() for _ in range(2000)])
    assert samples[:, 0].std(axis=0) == pytest.approx(np.full(6, 0.01), rel=0.1)
    assert samples[:, 1].std(axis=0) == pytest.approx(np.full(6, 0.2), rel=0.1)


def test_strength_and_friction_vary_by_episode_and_are_restored():
    arm = specimen(1, torque_error=0.2, friction_error=0.5)
    nominal = SimArm(ArmConfig()).model.dof_damping
    arm.step(np.ones(6))
    assert (np.abs(arm.applied_torque - 1) <= 0.2).all()
    assert np.ptp(arm.applied_torque) > 0.01
    ratios = []
    for seed in range(50):
        arm.randomise(np.random.default_rng(seed))
        ratios.append(arm.model.dof_damping / nominal)
    assert np.min(ratios) >= 0.5 - 1e-9 and np.max(ratios) <= 1.5 + 1e-9
    assert np.abs(np.mean(ratios) - 1) < 0.1


def test_a_payload_is_not_compensated():
    light, heavy = specimen(payload=1e-9), specimen(0, payload=3.0)
    added = heavy.model.body_mass.sum() - light.model.body_mass.sum()
    assert 0.1 < added <= 3
    for arm in (light, heavy):
        arm.step(np.zeros(6), 100)
    assert np.abs(light.position - POSTURE).max() < 1e-3
    assert heavy.tip_position[2] < light.tip_position[2] - 0.005


def test_lost_commands_leave_the_last_one_in_force():
    arm, lost, rng = specimen(0, command_loss_probability=0.5), 0, np.random.default_rng(0)
    for _ in range(300):
        before, command = arm.applied_torque, rng.uniform(-1, 1, 6)
        arm.step(command)
        assert (arm.applied_torque == command).all() or (arm.applied_torque == before).all()
        lost += (arm.applied_torque == before).all()
    assert 100 < lost < 200


def test_an_episode_is_decided_by_its_seed_and_rewards_are_true():
    def episode():
        env = ArmEnv(TrainConfig(randomization=RandomizationConfig(preset='sim2real')))
        seen = [env.reset(seed=4)[0]]
        for _ in range(10):
            observation, reward, *_ = env.step(np.full(6, 0.1, np.float32))
            assert reward == env.reward(env.motion(np.full(6, 0.1)))
            seen.append(observation)
        return np.array(seen)

    assert (episode() == episode()).all()
