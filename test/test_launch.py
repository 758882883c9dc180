"""The launch files, really launched: needs `launch_ros`, which only a ROS installation has."""

import os
import signal
import subprocess
import sys
import time

import pytest
from policy_files import linear_policy, save
from test_package import copy_sources

from sac_ros.envs.reach import reach_spec
from sac_ros.envs.robot import load_robot

pytest.importorskip(
    'launch_ros.actions', reason='launch_ros is not installed: it comes with ROS 2, not from PyPI'
)

LAUNCH = """
import sys
from launch import LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch import LaunchDescription
source = PythonLaunchDescriptionSource(sys.argv[1])
arguments = [tuple(item.split(':=', 1)) for item in sys.argv[2:]]
service = LaunchService()
service.include_launch_description(
    LaunchDescription([IncludeLaunchDescription(source, launch_arguments=arguments)])
)
sys.exit(service.run())
"""


@pytest.fixture(scope='module')
def share(tmp_path_factory):
    """Install the package aside, as pip does, and let ROS and Python find it there."""
    prefix = tmp_path_factory.mktemp('prefix')
    source = copy_sources(tmp_path_factory.mktemp('source'))
    pip = [sys.executable, '-m', 'pip', 'install', '-q', '--no-deps', '--no-build-isolation']
    subprocess.run([*pip, '--no-index', '--prefix', str(prefix), str(source)], check=True)
    (site,) = prefix.glob('lib/python*/site-packages')
    with pytest.MonkeyPatch.context() as patch:
        for name, place in (('AMENT_PREFIX_PATH', prefix), ('PYTHONPATH', site)):
            patch.setenv(name, f'{place}{os.pathsep}{os.environ.get(name, "")}')
        patch.setenv('ROS_LOG_DIR', str(prefix / 'log'))
        yield prefix / 'share/sac_ros'


class Launched:
    """A launch file running in a process group of its own."""

    def __init__(self, file, *arguments):
        command = [sys.executable, '-u', '-c', LAUNCH, str(file), *arguments]
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
    return save(linear_policy(reach_spec(load_robot(), 0.05, True)), tmp_path / 'policy.onnx')


@pytest.mark.parametrize('name', ['train', 'deploy', 'sim', 'view'])
def test_every_argument_is_described(share, name):
    from launch.launch_description_sources import get_launch_description_from_python_launch_file

    file = str(share / 'launch' / f'{name}.launch.py')
    arguments = get_launch_description_from_python_launch_file(file).get_launch_arguments()
    named = {argument.name for argument in arguments}
    assert {'model', 'rviz', 'tf'} <= named
    assert all(len(argument.description) > 10 for argument in arguments)


def test_deploy_against_sim_ends_cleanly_at_ctrl_c(launch, policy):
    launched = launch('deploy', f'policy:={policy}')
    launched.wait_for('READY')
    launched.wait_for('tip tool0')
    os.killpg(launched.process.pid, signal.SIGINT)
    assert launched.end() == 0
    assert launched.text.count('has finished cleanly') == 2
    assert 'Traceback' not in launched.text


@pytest.mark.parametrize('victim', ['sim_node', 'policy_node'])
def test_a_node_that_dies_brings_the_launch_down(launch, policy, victim):
    launched = launch('deploy', f'policy:={policy}')
    launched.wait_for('READY')
    launched.wait_for('tip tool0')
    os.kill(launched.pid_of(victim), signal.SIGKILL)
    launched.end()
    assert 'has finished cleanly' in launched.text


def test_train_saves_at_ctrl_c(launch, tmp_path):
    settings = tmp_path / 'train.yaml'
    settings.write_text(
        f'train_node: {{ros__parameters: {{run_dir: {tmp_path}/run, compile: false}}}}'
    )
    launched = launch('train', f'params_file:={settings}')
    launched.wait_for('training arm-reach')
    time.sleep(1.0)
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
