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

"""The ROS package: its manifest, and what colcon and pip really install."""

import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy
import pytest
import yaml
from package_sources import copy_sources
from paths import ROOT

import sac_ros
from sac_ros.config.base import settings
from sac_ros.config.training import TrainConfig

PROGRAMS = {'sac_ros', 'sim_node', 'policy_node', 'effort_guard', 'train_node'}
SHARE = {
    'package.xml',
    'config/sac_ros.rviz',
    'config/deploy.yaml',
    'config/sim.yaml',
    'config/train.yaml',
    'launch/deploy.launch.py',
    'launch/sim.launch.py',
    'launch/train.launch.py',
    'launch/view.launch.py',
    'models/sac_arm.urdf',
}


def run(command, cwd, env=None):
    """Run a command with this environment's programs first on the PATH."""
    path = f'{Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}'
    env = {**os.environ, 'PATH': path, **(env or {})}
    result = subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, text=True, timeout=240, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def files_in(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob('*') if path.is_file()}


def test_the_manifest_is_a_format_3_manifest_of_this_version():
    package = ElementTree.parse(ROOT / 'package.xml').getroot()
    assert package.get('format') == '3'
    assert package.findtext('export/build_type') == 'ament_python'
    assert package.findtext('version') == sac_ros.__version__
    packages = pytest.importorskip('catkin_pkg.package', reason='catkin_pkg is not installed')
    packages.parse_package(str(ROOT / 'package.xml'), warnings=(warnings := []))
    assert warnings == []


def test_changelog_and_citation_are_of_this_version():
    from catkin_pkg.changelog import get_changelog_from_path

    citation = yaml.safe_load((ROOT / 'CITATION.cff').read_text())
    assert citation['version'] == sac_ros.__version__
    changelog = get_changelog_from_path(str(ROOT), 'sac_ros')
    version, date = next((v, date) for v, date, _ in changelog.foreach_version() if date)
    assert (citation['version'], citation['date-released']) == (version, date.date())


def test_settings_files_name_only_settings_that_exist():
    from sac_ros.envs.simulator import SimConfig
    from sac_ros.ros.policy_node import PolicyNodeConfig

    files = {'train': TrainConfig, 'sim': SimConfig, 'deploy': PolicyNodeConfig}
    for name, cls in files.items():
        (given,) = yaml.safe_load((ROOT / f'config/{name}.yaml').read_text()).values()
        known = {setting.name: setting.type for setting in settings(cls)}
        for key, value in given['ros__parameters'].items():
            assert type(value) is known[key], f'{key} in config/{name}.yaml'


def test_locked_packages_have_hashes_and_constrained_versions():
    pins = {}
    for name in ('constraints', 'constraints-kilted'):
        lines = (ROOT / f'requirements/{name}.txt').read_text().splitlines()
        pins |= dict(line.split('==') for line in lines if '==' in line)
    pins = {name.lower().replace('_', '-'): version for name, version in pins.items()}
    text = (ROOT / 'requirements/deploy.lock').read_text()
    entries = re.findall(
        r'^([a-z][^=\n]*)==(\S+)((?: \\\n    --hash=sha256:[0-9a-f]{64})+)$', text, re.M
    )
    assert len(entries) == text.count('==') > 50
    assert {name: version for name, version, _ in entries}.items() <= pins.items()


def test_the_rviz_file_shows_topics_that_the_nodes_publish():
    view = yaml.safe_load((ROOT / 'config/sac_ros.rviz').read_text())['Visualization Manager']
    topics = {
        display[key]['Value']
        for display in view['Displays']
        for key in ('Topic', 'Description Topic')
        if key in display
    }
    markers = {f'/{node}/markers' for node in ('sim_node', 'policy_node', 'train_node')}
    training = {f'/train_node/{name}' for name in ('trails', 'goals', 'goal_values', 'coverage')}
    assert topics == {'/robot_description', *markers, *training}
    assert view['Global Options']['Fixed Frame'] == 'base_link'


def test_colcon_installs_it_where_ros_looks(tmp_path):
    pytest.importorskip('colcon_core', reason='colcon is not installed')
    source = copy_sources(tmp_path / 'src')
    colcon = [sys.executable, '-m', 'colcon', '--log-base', str(tmp_path / 'log')]
    assert 'ros.ament_python' in run([*colcon, 'list', '--base-paths', str(source)], tmp_path)
    run([*colcon, 'build', '--base-paths', str(source)], tmp_path)
    installed = tmp_path / 'install' / 'sac_ros'
    assert files_in(installed / 'share/sac_ros') >= SHARE
    assert {path.name for path in (installed / 'lib/sac_ros').iterdir()} == PROGRAMS
    assert (installed / 'share/ament_index/resource_index/packages/sac_ros').exists()

    script = f'. {tmp_path}/install/setup.sh && {installed}/lib/sac_ros/sac_ros --version'
    assert sac_ros.__version__ in run(['sh', '-c', script], tmp_path)
    where = (
        'import sac_ros; from ament_index_python.packages import get_package_share_directory as g;'
        'print(sac_ros.__file__, g("sac_ros"))'
    )
    script = f". {tmp_path}/install/setup.sh && {sys.executable} -c '{where}'"
    assert run(['sh', '-c', script], tmp_path).count(str(installed)) == 2


@pytest.fixture(scope='module')
def prefix(tmp_path_factory):
    """A folder into which pip has installed the package without its dependencies."""
    folder = tmp_path_factory.mktemp('pip')
    source = copy_sources(folder / 'src')
    install = [sys.executable, '-m', 'pip', 'install', '--no-deps', '--no-build-isolation']
    # Without --ignore-installed pip would first remove the package from this environment.
    options = ['--ignore-installed', '--no-index', '-q', '--prefix', str(folder / 'prefix')]
    run([*install, *options, str(source)], folder)
    return folder / 'prefix'


@pytest.fixture(scope='module')
def site(prefix):
    (folder,) = prefix.glob('lib/python*/site-packages')
    return folder


def test_pip_installs_it_where_ros_looks(prefix, site, tmp_path):
    assert files_in(prefix / 'share/sac_ros') >= SHARE
    assert {path.name for path in (prefix / 'lib/sac_ros').iterdir()} == PROGRAMS
    assert all(os.access(prefix / 'lib/sac_ros' / name, os.X_OK) for name in PROGRAMS)
    assert (site / 'sac_ros/models/sac_arm.urdf').exists()
    assert (site / 'sac_ros/py.typed').exists()
    starter = str(prefix / 'lib/sac_ros/sac_ros')
    assert sac_ros.__version__ in run([starter, '--version'], tmp_path, {'PYTHONPATH': str(site)})


def test_replay_needs_numpy_alone(site, tmp_path):
    (info,) = site.glob('sac_ros-*.dist-info')
    text = (info / 'METADATA').read_text()
    always = {
        line.split(':')[1].strip() for line in text.splitlines()
        if line.startswith('Requires-Dist:') and 'extra ==' not in line
    }  # fmt: skip
    assert always == {'setuptools', 'numpy'}
    assert 'Provides-Extra: replay' in text

    place = Path(numpy.__file__).parents[1]
    (tmp_path / 'numpy').symlink_to(place / 'numpy')
    if (place / 'numpy.libs').exists():
        (tmp_path / 'numpy.libs').symlink_to(place / 'numpy.libs')
    script = f"""
import sys
sys.path += [{str(site)!r}, {str(tmp_path)!r}]
import numpy as np
from sac_ros import ReplayReader, ReplayWriter, Transition
with ReplayWriter('replay', n_observation=2, n_action=1) as writer:
    for i in range(5):
        writer.append(Transition([i, i], [0.5], i, False, [i, 1]), truncated=i == 4)
print(ReplayReader('replay').sample(8, np.random.default_rng(0)).reward.mean())
from sac_ros.cli.main import main
assert main(['replay', 'info', 'replay']) == 0
assert main(['train']) == 2
"""
    isolated = [sys.executable, '-I', '-S', '-c', script]
    result = subprocess.run(
        isolated, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert result.returncode == 0, result.stderr
    assert "is not installed; pip install 'sac_ros[" in result.stderr
