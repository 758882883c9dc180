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

"""The launch files, really launched: needs `launch_ros`, which only a ROS installation has."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from package_sources import copy_sources
from paths import PROGRAMS
from policy_files import linear_policy, planar_geometry, save

from sac_ros.robot.loader import load_robot
from sac_ros.tasks.reach import ReachPoseTask, reach_spec
from sac_ros.tasks.task import arm_spec
from sac_ros.training.checkpoint import load_notes

pytest.importorskip(
    'launch_ros.actions', reason='launch_ros is not installed: it comes with ROS 2, not from PyPI'
)


@pytest.fixture(scope='module')
def share(tmp_path_factory):
    """Install the package aside, as pip does, and let ROS and Python find it there."""
    prefix = tmp_path_factory.mktemp('prefix')
    source = copy_sources(tmp_path_factory.mktemp('source'))
    pip = [sys.executable, '-m', 'pip', 'install', '-q', '--no-deps', '--no-build-isolation']
    subprocess.run(
        [*pip, '--no-index', '--ignore-installed', '--prefix', str(prefix), str(source)],
        check=True,
    )
    (site,) = prefix.glob('lib/python*/site-packages')
    with pytest.MonkeyPatch.context() as patch:
        for name, place in (('AMENT_PREFIX_PATH', prefix), ('PYTHONPATH', site)):
            patch.setenv(name, f'{place}{os.pathsep}{os.environ.get(name, "")}')
        patch.setenv('ROS_LOG_DIR', str(prefix / 'log'))
        yield prefix / 'share/sac_ros'


class Launched:
    """A launch file running in a process group of its own."""

    def __init__(self, file, *arguments):
        self.begin([sys.executable, '-u', str(PROGRAMS / 'launch_file.py'), str(file), *arguments])

    def begin(self, command):
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )
        os.set_blocking(self.process.stdout.fileno(), False)
        self.text = ''

    def wait_for(self, text, timeout=30.0):
        end = time.monotonic() + timeout
        while text not in self.text:
            assert time.monotonic() < end, f'{text!r} did not come:\n{self.text}'
            self.read()

    def read(self):
        time.sleep(0.02)
        self.text += (self.process.stdout.read() or b'').decode()

    def pid_of(self, node):
        (line,) = (
            line for line in self.text.splitlines() if f'[{node}' in line and 'with pid [' in line
        )
        return int(line.split('with pid [')[1].rstrip(']'))

    def end(self, timeout=30.0):
        """Wait for the end and check that nothing of the group is left."""
        end = time.monotonic() + timeout
        while self.process.poll() is None:
            assert time.monotonic() < end, f'the launch did not end:\n{self.text}'
            self.read()
        self.read()
        with pytest.raises(ProcessLookupError):
            os.killpg(self.process.pid, 0)
        return self.process.returncode


@pytest.fixture
def launch(share, domain):
    started = []

    def start(name, *arguments):
        started.append(Launched(share / 'launch' / f'{name}.launch.py', *arguments))
        return started[-1]

    yield start
    for launched in started:
        if launched.process.poll() is None:
            os.killpg(launched.process.pid, signal.SIGKILL)
            launched.process.wait()


@pytest.fixture
def policy(tmp_path):
    return save(linear_policy(reach_spec(load_robot(), 0.02, True)), tmp_path / 'policy.onnx')


@pytest.mark.parametrize('name', ['train', 'deploy', 'sim', 'view'])
def test_every_argument_is_described(share, name):
    from launch.launch_description_sources import get_launch_description_from_python_launch_file

    file = str(share / 'launch' / f'{name}.launch.py')
    arguments = get_launch_description_from_python_launch_file(file).get_launch_arguments()
    named = {argument.name for argument in arguments}
    assert {'model', 'joints', 'tip', 'xacro_args', 'base_frame', 'rviz', 'tf'} <= named
    assert all(len(argument.description) > 10 for argument in arguments)


def test_deploy_against_sim_ends_cleanly_at_ctrl_c(launch, policy):
    launched = launch('deploy', f'policy:={policy}')
    launched.wait_for('READY')
    launched.wait_for('tip tool0')
    os.killpg(launched.process.pid, signal.SIGINT)
    assert launched.end() == 0, launched.text
    assert launched.text.count('has finished cleanly') == 3  # with effort_guard
    assert 'Traceback' not in launched.text


def test_random_poses_are_sent_to_a_policy_that_reaches_poses(launch, tmp_path):
    spec = arm_spec(load_robot(), ReachPoseTask.fields, 0.02, True)
    policy = save(linear_policy(spec), tmp_path / 'policy.onnx')
    points = launch('deploy', f'policy:={policy}')
    points.wait_for('goal refused: it is a point')
    os.killpg(points.process.pid, signal.SIGINT)
    assert points.end() == 0, points.text
    poses = launch('deploy', f'policy:={policy}', 'goals:=pose')
    poses.wait_for('READY')
    poses.wait_for('tip tool0')
    for _ in range(150):
        poses.read()
    os.killpg(poses.process.pid, signal.SIGINT)
    assert poses.end() == 0, poses.text
    assert 'refused' not in poses.text


@pytest.mark.parametrize('victim', ['sim_node', 'policy_node', 'effort_guard'])
def test_a_node_that_dies_brings_the_launch_down(launch, policy, victim):
    launched = launch('deploy', f'policy:={policy}')
    launched.wait_for('READY')
    launched.wait_for('tip tool0')
    os.kill(launched.pid_of(victim), signal.SIGKILL)
    assert launched.end() == 1
    assert 'failed with status -9' in launched.text and 'Traceback' not in launched.text
    assert 'has finished cleanly' in launched.text


def test_a_node_that_ends_in_peace_ends_the_launch_in_peace(launch, policy):
    launched = launch('deploy', f'policy:={policy}')
    launched.wait_for('READY')
    launched.wait_for('tip tool0')
    os.kill(launched.pid_of('policy_node'), signal.SIGTERM)
    assert launched.end() == 0, launched.text
    assert launched.text.count('has finished cleanly') == 3


def test_without_the_guard_the_log_says_what_is_lost(launch, policy):
    launched = launch('deploy', f'policy:={policy}', 'guard:=false')
    launched.wait_for('READY')
    assert 'without effort_guard: if this process is killed' in launched.text
    assert '[effort_guard' not in launched.text
    os.killpg(launched.process.pid, signal.SIGINT)
    assert launched.end() == 0, launched.text


def test_train_saves_at_ctrl_c(launch, tmp_path):
    settings = tmp_path / 'train.yaml'
    settings.write_text(
        f'train_node: {{ros__parameters: {{run_dir: {tmp_path}/run, compile: false}}}}'
    )
    launched = launch('train', f'params_file:={settings}')
    launched.wait_for('training arm-reach', 120)
    while not list((tmp_path / 'run/replay').glob('*.seg')):
        launched.read()
    os.killpg(launched.process.pid, signal.SIGINT)
    assert launched.end(60) == 0
    assert 'stopped at step' in launched.text
    assert (tmp_path / 'run/checkpoint.npz').exists()


def test_a_missing_package_is_one_line(launch):
    from ament_index_python.packages import get_packages_with_prefixes

    if {'rviz2', 'robot_state_publisher'} <= set(get_packages_with_prefixes()):
        pytest.skip('rviz2 and robot_state_publisher are installed here')
    launched = launch('sim', 'rviz:=true')
    assert launched.end() == 1
    assert 'which is not installed' in launched.text and 'Traceback' not in launched.text


ROS2 = 'import sys; from ros2cli.cli import main; sys.exit(main())'
MJCF = """<mujoco model="two"><worldbody><body name="a" pos="0 0 .3">
  <joint name="j1" axis="0 0 1" actuatorfrcrange="-3 3"/><geom size=".05" mass="1"/>
  <body name="b" pos="0 0 .3"><joint name="j2" axis="0 1 0" actuatorfrcrange="-7 7"/>
  <geom size=".05" mass="1"/></body></body></worldbody></mujoco>"""


@pytest.mark.parametrize('name', ['train', 'deploy', 'sim', 'view'])
def test_ros2_launch_shows_every_argument(share, name):
    pytest.importorskip('ros2launch', reason='ros2cli is not installed: it comes with ROS 2')
    command = [sys.executable, '-c', ROS2, 'launch', 'sac_ros', f'{name}.launch.py', '--show-args']
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr
    for argument in ('model', 'joints', 'tip', 'rviz', 'tf', 'base_frame'):
        assert f"'{argument}'" in result.stdout
    assert 'no description given' not in result.stdout


def test_ros2_launch_deploys_against_the_simulated_arm(share, domain, policy):
    pytest.importorskip('ros2launch', reason='ros2cli is not installed: it comes with ROS 2')
    command = [sys.executable, '-u', '-c', ROS2, 'launch', 'sac_ros', 'deploy.launch.py']
    launched = Launched.__new__(Launched)
    launched.begin([*command, f'policy:={policy}', 'randomization:=sim2real'])
    launched.wait_for('READY')
    launched.wait_for('tip tool0')
    os.killpg(launched.process.pid, signal.SIGINT)
    assert launched.end() == 0, launched.text
    assert launched.text.count('has finished cleanly') == 3


def stand_in(prefix, package, script):
    """Make a package with one program of its name, which is a shell script."""
    for folder in ('share/ament_index/resource_index/packages', f'lib/{package}'):
        (prefix / folder).mkdir(parents=True, exist_ok=True)
    (prefix / 'share/ament_index/resource_index/packages' / package).touch()
    program = prefix / 'lib' / package / package
    program.write_text(f'#!/bin/sh\n{script}\nexec sleep 60\n')
    program.chmod(0o755)


@pytest.fixture
def viewers(tmp_path, monkeypatch):
    """Stand-ins of robot_state_publisher and RViz that write down what they are given."""
    prefix = tmp_path / 'prefix'
    files = {name: tmp_path / f'{name}.given' for name in ('robot_state_publisher', 'rviz2')}
    for package, file in files.items():
        cat = f'echo "$@"; for word in "$@"; do [ -f "$word" ] && cat "$word"; done > {file}.files'
        stand_in(prefix, package, f'{cat}\necho "$@" > {file}')
    path = f'{prefix}{os.pathsep}{os.environ["AMENT_PREFIX_PATH"]}'
    monkeypatch.setenv('AMENT_PREFIX_PATH', path)
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    return files


def given_files(file):
    return file.with_name(f'{file.name}.files').read_text()


def wait_for_file(launched, file):
    while not file.exists():
        assert launched.process.poll() is None, launched.text
        launched.read()


def interrupt(launched):
    os.killpg(launched.process.pid, signal.SIGINT)
    launched.end()
    assert 'Traceback' not in launched.text


def test_an_mjcf_robot_is_shown_by_a_urdf_in_its_root_link(launch, tmp_path, viewers):
    model = tmp_path / 'two.xml'
    model.write_text(MJCF.replace('body name="a"', 'body name="base_link"'))
    launched = launch('sim', f'model:={model}', 'rviz:=true')
    launched.wait_for('tip b')
    for file in viewers.values():
        wait_for_file(launched, file)
    interrupt(launched)
    frames = given_files(viewers['robot_state_publisher'])
    assert '<link name=' in frames and 'j2' in frames
    assert 'publish_frequency: 50.0' in frames and 'use_sim_time: false' in frames
    assert '-f world' in viewers['rviz2'].read_text()


@pytest.mark.parametrize('by', ['argument', 'file'])
def test_the_view_follows_the_clock_of_the_simulation(launch, tmp_path, viewers, by):
    settings = tmp_path / 'sim.yaml'
    settings.write_text('/**/sim_node: {ros__parameters: {real_time_factor: 0.5}}')
    given = 'clock:=true' if by == 'argument' else f'sim_params_file:={settings}'
    launched = launch('sim', given, 'rviz:=true')
    launched.wait_for('tip tool0')
    for file in viewers.values():
        wait_for_file(launched, file)
    interrupt(launched)
    assert all('use_sim_time: true' in given_files(file) for file in viewers.values())


def test_the_frames_of_a_real_robot_are_left_alone(launch, tmp_path, viewers):
    spec = reach_spec(load_robot(), 0.02, True)
    spec = dataclasses.replace(spec, base_frame='pedestal')
    geometry = planar_geometry(6, 0.25).to_json()
    policy = save(linear_policy(spec, geometry=geometry), tmp_path / 'policy.onnx')
    launched = launch('deploy', f'policy:={policy}', 'sim:=false', 'rviz:=true')
    launched.wait_for('READY')
    wait_for_file(launched, viewers['rviz2'])
    interrupt(launched)
    assert not viewers['robot_state_publisher'].exists()
    assert '-f pedestal' in viewers['rviz2'].read_text()
    assert 'Distance: 2.85' in given_files(viewers['rviz2'])  # 1.9 times the reach
    explicit = launch('deploy', f'policy:={policy}', 'sim:=false', 'rviz:=true', 'tf:=true')
    explicit.wait_for('READY')
    wait_for_file(explicit, viewers['robot_state_publisher'])
    interrupt(explicit)


def test_a_model_that_is_no_robot_is_one_line(launch, tmp_path):
    launched = launch('sim', f'model:={tmp_path}/absent.urdf')
    assert launched.end() == 1
    assert 'ModelError: cannot read the robot file' in launched.text
    assert 'Traceback' not in launched.text


REFUSED = {
    'unknown': ('train', ['stepz:=5'], 'unknown launch argument stepz: did you mean steps?'),
    'unknown in sim': ('sim', ['policy:=x'], 'unknown launch argument policy'),
    'unknown in view': ('view', ['rvis:=true'], 'did you mean rviz?'),
    'of an included file': ('deploy', ['goal:=pose'], 'did you mean goals?'),
    'no file': ('train', ['params_file:=absent.yaml'], "cannot read the parameter file 'absent"),
    'directory': ('train', ['params_file:=.'], 'cannot read the parameter file'),
    'not YAML': ('train', ['params_file:=bad.yaml'], 'bad.yaml is not a YAML parameter file'),
    'other node': ('train', ['params_file:=sim.yaml'], 'no section for train_node'),
    'no file of sim': ('deploy', ['sim_params_file:=absent.yaml'], 'cannot read the parameter'),
    'not a number': ('train', ['steps:=many'], 'must be an integer: invalid literal for int'),
    'two policies': ('deploy', ['policy:=a', 'run_dir:=b'], 'exclude each other'),
}


@pytest.mark.parametrize(('name', 'arguments', 'message'), REFUSED.values(), ids=REFUSED.keys())
def test_a_wrong_argument_starts_nothing(launch, tmp_path, monkeypatch, name, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'bad.yaml').write_text('train_node: {')
    (tmp_path / 'sim.yaml').write_text('sim_node: {ros__parameters: {seed: 1}}')
    launched = launch(name, *arguments)
    assert launched.end() == 1, launched.text
    assert message in launched.text and 'Traceback' not in launched.text
    assert 'process started' not in launched.text and not (tmp_path / 'runs').exists()


def test_ros2_launch_refuses_an_unknown_argument(share, domain, tmp_path):
    pytest.importorskip('ros2launch', reason='ros2cli is not installed: it comes with ROS 2')
    command = [sys.executable, '-c', ROS2, 'launch', 'sac_ros', 'train.launch.py', 'stepz:=5']
    result = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path
    )
    assert result.returncode == 1
    assert 'unknown launch argument stepz: did you mean steps?' in result.stdout
    assert not list(tmp_path.iterdir())


def test_a_parameter_that_is_unknown_ends_the_launch(launch, tmp_path):
    settings = tmp_path / 'train.yaml'
    settings.write_text('train_node: {ros__parameters: {stepz: 5}}')
    launched = launch('train', f'params_file:={settings}', f'run_dir:={tmp_path}/run')
    assert launched.end(60) == 1
    assert 'unknown parameter stepz: did you mean steps?' in launched.text
    assert not (tmp_path / 'run').exists()


def test_arguments_reach_train_node_and_the_file_gives_the_rest(launch, tmp_path):
    settings = tmp_path / 'train.yaml'
    parameters = {
        'compile': False, 'randomization.preset': 'sim2real', 'steps': 9, 'learning_starts': 2,
        'eval_every': 5, 'eval_episodes': 1, 'final_eval_episodes': 1, 'arm.tip': 'link4',
        'sac.hidden': 16, 'sac.batch_size': 8, 'video': False, 'controller.name': 'none',
    }  # fmt: skip
    settings.write_text(json.dumps({'train_node': {'ros__parameters': parameters}}))
    launched = launch(
        'train', f'params_file:={settings}', f'run_dir:={tmp_path}/run', 'task:=reach-pose',
        'steps:=12', 'torque_limits:=joint1=7', 'velocity_limits:=joint*=1.5',
    )  # fmt: skip
    assert launched.end(120) == 0, launched.text
    config = load_notes(tmp_path / 'run/checkpoint.npz')['config']
    wanted = parameters | {
        'run_dir': f'{tmp_path}/run', 'task.name': 'reach-pose', 'steps': 12,
        'arm.torque_limits': 'joint1=7', 'arm.velocity_limits': 'joint*=1.5',
    }  # fmt: skip
    assert wanted.items() <= config.items()


INCLUDING = """
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

def generate_launch_description():
    source = PythonLaunchDescriptionSource('{file}')
    return LaunchDescription([
        DeclareLaunchArgument('mine', description='an argument of the including file'),
        IncludeLaunchDescription(source, launch_arguments=[('run_dir', '{run_dir}')]),
    ])
"""


def test_an_including_launch_file_has_arguments_of_its_own(share, launch, policy):
    file = Path(policy).parent / 'mine.launch.py'
    deploy = share / 'launch/deploy.launch.py'
    file.write_text(INCLUDING.format(file=deploy, run_dir=file.parent))
    launched = Launched(file, 'mine:=5')
    try:
        launched.wait_for('READY')
        launched.wait_for('tip tool0')
        os.killpg(launched.process.pid, signal.SIGINT)
        assert launched.end() == 0, launched.text
    finally:
        if launched.process.poll() is None:
            os.killpg(launched.process.pid, signal.SIGKILL)
