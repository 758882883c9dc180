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

"""Builds the package, for colcon as well as for pip; the version is the one of package.xml."""

import sys
from glob import glob
from pathlib import Path
from xml.etree import ElementTree

from setuptools import find_packages, setup

NAME = 'sac_ros'
NODES = ('sim_node', 'policy_node', 'effort_guard', 'train_node')
PROGRAMS = {
    NAME: f'{NAME}.__main__:main',
    **{node: f'{NAME}.cli.programs:{node}' for node in NODES},
}
SHARE = f'share/{NAME}'
DEPLOY = ['onnxruntime>=1.17']
SIM = ['mujoco>=3.3', 'gymnasium>=1.0', 'pillow']
DATA = [
    ('share/ament_index/resource_index/packages', [f'resource/{NAME}']),
    (SHARE, ['package.xml']),
    (f'{SHARE}/launch', glob('launch/*.launch.py')),
    (f'{SHARE}/config', glob('config/*')),
    (f'{SHARE}/models', glob(f'{NAME}/models/*')),
]


def launchers() -> list[str]:
    """Write a starter per program for lib/sac_ros, where `ros2 run` and `ros2 launch` look.

    Under colcon setup.cfg puts the programs there; pip puts them into bin/ only.
    """
    folder = Path('build/launchers')
    folder.mkdir(parents=True, exist_ok=True)
    for program in PROGRAMS:
        file = folder / program
        file.write_text(f'#!/bin/sh\nexec "$(dirname "$0")/../../bin/{program}" "$@"\n')
        file.chmod(0o755)
    return [str(folder / program) for program in PROGRAMS]


if 'bdist_wheel' in sys.argv:
    DATA.append((f'lib/{NAME}', launchers()))

setup(
    name=NAME,
    version=ElementTree.parse('package.xml').getroot().findtext('version'),
    description='Soft Actor-Critic for torque-controlled robot arms, with ROS 2',
    license='Apache-2.0',
    maintainer='sac_ros maintainers',
    maintainer_email='maintainers@sac-ros.example',
    packages=find_packages(include=[NAME, f'{NAME}.*']),
    package_data={NAME: ['py.typed', 'models/*', 'accel/*.cpp', 'report/page/*']},
    data_files=DATA,
    python_requires='>=3.10',
    # The replay needs no more than this; `colcon build` needs setuptools.
    install_requires=['setuptools', 'numpy'],
    extras_require={
        'replay': [],
        'deploy': DEPLOY,
        'sim': SIM,
        'train': [*DEPLOY, *SIM, 'torch>=2.10', 'onnx>=1.21', 'rich', 'tensorboardX>=2.6'],
        'minari': ['minari>=0.5.4', 'h5py', 'pillow'],
        'report': ['plotly>=6', 'tensorboardX>=2.6'],
        'mcap': ['rosbags>=0.11.9'],
        'bench': [
            'stable-baselines3==2.9.2',
            'sbx-rl==0.28.0',
            'matplotlib',
            'gymnasium[mujoco]',
            'cpprb==11.0.0',
            'torchrl==0.14.1',
            'tensordict==0.14.3',
        ],
    },
    zip_safe=False,
    entry_points={'console_scripts': [f'{name} = {place}' for name, place in PROGRAMS.items()]},
)
