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

"""Tasks are apart from robots: each runs on each, tells the truth, and a user can write one."""

import math
import re

import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from paths import ROOT, TWO_JOINTS
from real_arms import ALL, arm_config, some_of

from sac_ros.cli.main import main
from sac_ros.config.robot import ArmConfig, TaskConfig
from sac_ros.config.training import SACConfig, TrainConfig
from sac_ros.envs.arm_env import ArmEnv, make_env_bundle
from sac_ros.errors import EnvError
from sac_ros.sac.features import Features
from sac_ros.sac.sac import SAC
from sac_ros.tasks.registry import TASKS, task_class
from sac_ros.training.export import export_policy

QUICK = ('default', 'two-joints', 'jaco', 'panda-urdf')
DOCS = ROOT / 'docs/tutorials/own_task.md'


@pytest.mark.filterwarnings('ignore:.*Box observation space')
@pytest.mark.parametrize('robot', some_of(['default', 'two-joints', *ALL], QUICK))
@pytest.mark.parametrize('task', TASKS)
def test_every_task_passes_the_checker_on_every_robot(robot, task):
    if robot == 'default':
        arm = ArmConfig()
    elif robot == 'two-joints':
        arm = ArmConfig(model=TWO_JOINTS)
    else:
        arm = arm_config(robot)
    env = ArmEnv(TrainConfig(arm=arm, task=TaskConfig(name=task, episode_steps=10)))
    check_env(env, skip_render_check=True)
    rng = np.random.default_rng(0)
    for seed in range(3):
        observation, _ = env.reset(seed=seed)
        assert np.linalg.norm(env.goal) < 3
        ended = False
        while not ended:
            n = env.action_space.shape[0]
            observation, reward, _, ended, _ = env.step(rng.uniform(-1, 1, n).astype(np.float32))
            assert 0 <= reward <= 1
            assert np.isfinite(observation).all()


@pytest.mark.parametrize('task', TASKS)
def test_a_policy_for_every_task_exports(task, tmp_path):
    problem = make_env_bundle(TrainConfig(task=TaskConfig(name=task)))
    sac = SAC(problem.spec, problem.chain, SACConfig(hidden=32))
    observation, _ = problem.env.reset(seed=0)
    policy = sac.policy(sac.initialize(0, 'cpu'))
    export_policy(policy, problem.spec, tmp_path / 'policy.onnx', observation[None])


def pose_env():
    return ArmEnv(TrainConfig(task=TaskConfig(name='reach-pose')))


def test_a_pose_is_reached_only_with_its_orientation():
    env = pose_env()
    env.reset(seed=1)
    task, motion = env.task, env.motion(np.zeros(6))
    there = motion._replace(tip=task.goal, rotation=task.rotation)
    assert task.reward(there) == pytest.approx(1)
    assert task.success(there)
    half = np.diag([1.0, -1.0, -1.0])
    turned = there._replace(rotation=task.rotation @ half)
    assert task.reward(turned) == pytest.approx((1 + (1 - math.tanh(math.pi)) / 2) / 2, abs=1e-3)
    assert not task.success(turned)


def test_features_see_the_turn_to_the_goal():
    env = pose_env()
    features = Features(env.policy_spec, env.arm.robot.chain)
    observation, _ = env.reset(seed=2)
    where, n = env.policy_spec.slices(), 6
    row = torch.from_numpy(observation)[None]
    seen = features(row)[0]
    start = 5 * n - n + 6 + 6 + 2 * n  # behind joints, tip and goal
    axes, turn, cosine = seen[start : start + 6], seen[start + 6 : start + 9], seen[start + 9]
    assert np.allclose(axes.reshape(3, 2), env.arm.tip_rotation[:, :2], atol=1e-5)
    error = env.task.rotation @ env.arm.tip_rotation.T
    assert cosine == pytest.approx((np.trace(error) - 1) / 2, abs=1e-5)
    wanted = [error[2, 1] - error[1, 2], error[0, 2] - error[2, 0], error[1, 0] - error[0, 1]]
    assert np.allclose(turn, np.array(wanted) / 2, atol=1e-5)
    row[:, where['goal_orientation']] *= -3  # the same orientation
    assert torch.allclose(features(row)[0], seen, atol=1e-5)
    row[:, where['goal_orientation']] = 0
    assert features(row).isfinite().all()


def test_a_moving_goal_says_its_velocity_and_keeps_its_speed():
    env = ArmEnv(TrainConfig(task=TaskConfig(name='track-point', goal_speed=0.3)))
    for seed in range(5):
        env.reset(seed=seed)
        places, speeds = [env.goal], [env.task.velocity]
        for _ in range(250):
            env.task.after_step()
            places.append(env.goal)
            speeds.append(env.task.velocity)
        moved = np.diff(places, axis=0) / env.task.control_period
        assert np.linalg.norm(moved, axis=1).max() <= 0.3 + 1e-6
        assert np.linalg.norm(moved, axis=1).max() > 0.05
        between = (np.array(speeds[1:]) + speeds[:-1]) / 2
        assert np.abs(moved - between).max() < 0.06


def example(folder):
    (code,) = re.findall(r'```python\n(.*?)```', DOCS.read_text(), re.S)
    file = folder / 'my_task.py'
    file.write_text(code)
    return file


def test_the_example_of_the_docs_trains_outside_the_package(tmp_path, capsys):
    task = f'{example(tmp_path)}:KeepHigh'
    run = str(tmp_path / 'run')
    arguments = ['--task', task, '--run_dir', run, '--steps', '150', '--learning_starts', '100']
    quick = [
        '--no-compile',
        '--final_eval_episodes',
        '2',
        '--sac.hidden',
        '16',
        '--controller.name',
        'none',
    ]
    assert main(['train', *arguments, *quick]) == 0
    policy = f'{run}/policy.onnx'
    assert main(['evaluate', policy, '--episodes', '1', '--task', task]) in (0, 1)
    assert main(['evaluate', policy, '--episodes', '1']) in (0, 1)
    assert main(['evaluate', policy, '--episodes', '1', '--task', 'reach-point']) == 2
    assert 'height[1]' in capsys.readouterr().err


@pytest.mark.filterwarnings('ignore:.*Box observation space')
def test_the_example_of_the_docs_passes_the_checker(tmp_path):
    env = ArmEnv(TrainConfig(task=TaskConfig(name=f'{example(tmp_path)}:KeepHigh')))
    check_env(env, skip_render_check=True)


def test_a_task_that_cannot_be_used_is_refused_by_name(tmp_path):
    file = example(tmp_path)
    with pytest.raises(EnvError, match='choose one of reach-point, reach-pose, track-point'):
        task_class('juggle')
    with pytest.raises(EnvError, match='no file'):
        task_class('absent.py:Task')
    with pytest.raises(EnvError, match=r'no class Low derived from .*; it has KeepHigh'):
        task_class(f'{file}:Low')
    file.write_text('import no_such_module\n')
    with pytest.raises(EnvError, match='ModuleNotFoundError'):
        task_class(f'{file}:KeepHigh')
    half = 'from sac_ros.tasks.task import Task\nclass Half(Task):\n    fields = ()\n'
    file.write_text(half)
    with pytest.raises(
        EnvError, match='Half must define initialize_episode, observe, reward, success'
    ):
        task_class(f'{file}:Half')
