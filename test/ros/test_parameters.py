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

"""Configuration classes as ROS parameters."""

from dataclasses import dataclass, field

import pytest
import rclpy
from rcl_interfaces.msg import ParameterType
from rclpy.parameter import Parameter

from sac_ros.config.base import Config, build, config_field
from sac_ros.config.training import TrainConfig
from sac_ros.errors import ConfigError
from sac_ros.ros.parameter_files import check_parameter_files
from sac_ros.ros.parameters import declare, undeclared


@dataclass(frozen=True)
class Inner(Config):
    """A group."""

    rate: float = config_field(2.0, 'a rate [Hz]', 0.5, 10)
    count: int = config_field(3, 'a count', 1)


@dataclass(frozen=True)
class Outer(Config):
    """All types."""

    name: str = config_field('blue', 'a colour', choices=('blue', 'red'))
    flag: bool = config_field(True, 'a flag')
    free: float = config_field(0, 'any number')
    inner: Inner = field(default_factory=Inner)


@pytest.fixture
def make_node(domain):
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=domain, args=[])
    nodes = []

    def make(**given):
        overrides = [Parameter(name.replace('__', '.'), value=v) for name, v in given.items()]
        node = rclpy.create_node('a_node', context=context, parameter_overrides=overrides)
        nodes.append(node)
        return node

    yield make
    for node in nodes:
        node.destroy_node()
    context.try_shutdown()


def test_defaults_and_given_values(make_node):
    assert declare(make_node(), Outer) == Outer()
    node = make_node(name='red', inner__rate=4.0, inner__count=9)
    assert declare(node, Outer) == Outer('red', inner=Inner(4.0, 9))


def test_a_preset_moves_the_defaults_and_what_is_given_stays(make_node):
    wanted = build(TrainConfig, {'preset': 'sac', 'sac.gamma': 0.9})
    assert declare(make_node(preset='sac', sac__gamma=0.9), TrainConfig) == wanted
    given = {'randomization__preset': 'sim2real', 'randomization__payload': 0.0}
    wanted = build(TrainConfig, {name.replace('__', '.'): v for name, v in given.items()})
    assert declare(make_node(**given), TrainConfig) == wanted
    assert wanted.randomization.torque_error > wanted.randomization.payload == 0


def test_descriptors_hold_text_and_range(make_node):
    node = make_node()
    declare(node, Outer)
    rate = node.describe_parameter('inner.rate')
    assert rate.description == 'a rate [Hz]' and rate.read_only
    assert rate.type == ParameterType.PARAMETER_DOUBLE
    assert rate.floating_point_range[0].from_value == 0.5
    assert node.describe_parameter('inner.count').integer_range[0].from_value == 1
    assert 'blue, red' in node.describe_parameter('name').additional_constraints
    assert node.describe_parameter('free').type == ParameterType.PARAMETER_DOUBLE


@pytest.mark.parametrize(
    'given',
    [
        {'inner__rate': 11.0},
        {'inner__rate': float('nan')},
        {'inner__rate': 3},
        {'inner__count': 0},
        {'inner__count': 1.5},
        {'name': 'green'},
        {'flag': 'yes'},
    ],
)
def test_bad_values_are_one_line(make_node, given):
    name = next(iter(given)).replace('__', '.')
    with pytest.raises(ConfigError) as error:
        declare(make_node(**given), Outer)
    assert name in str(error.value) and '\n' not in str(error.value)


def test_unknown_names_are_refused(make_node):
    node = make_node(inner__rat=4.0, nonsense=1, flag=False, use_sim_time=True)
    with pytest.raises(ConfigError) as error:
        declare(node, Outer)
    assert undeclared(node) == {'inner.rat', 'nonsense'}
    assert 'unknown parameter inner.rat: did you mean inner.rate?' in str(error.value)
    assert 'unknown parameter nonsense: known are ' in str(error.value)


FILES = {
    'absent': (None, 'cannot read the parameter file'),
    'no YAML': ('a_node: {', 'is not a YAML parameter file'),
    'not text': (b'\xff\xfe\x00', 'is not a YAML parameter file'),
    'empty': ('', 'it has no section with ros__parameters'),
    'other node': ('b_node: {ros__parameters: {}}', 'has no section for a_node: it has b_node'),
    'no section': ('a_node: {flag: true}', 'it has no section with ros__parameters'),
    'a list': ('[a_node]', 'it has no section with ros__parameters'),
}


@pytest.mark.parametrize(('content', 'message'), FILES.values(), ids=FILES.keys())
def test_a_file_without_parameters_of_the_node_is_refused(tmp_path, content, message):
    file = tmp_path / 'file.yaml'
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    words = ['program', '--ros-args', '--params-file', str(file)]
    with pytest.raises(ConfigError) as error:
        check_parameter_files(words, 'a_node')
    assert message in str(error.value) and '\n' not in str(error.value)


SECTIONS = [
    'a_node', '/a_node', '/**', '/*', '**', '*', '/**/a_node', '/*/a_node', '/left/a_node',
    '/left/*', '/left/**', 'left: {a_node', '/right/a_node', '/a*', '/other',
]  # fmt: skip


@pytest.mark.parametrize('section', SECTIONS)
@pytest.mark.parametrize('rules', [[], ['-r', '__ns:=/left'], ['--remap', '__node:=other']])
def test_a_file_is_taken_exactly_when_ros_reads_something_of_it(tmp_path, domain, section, rules):
    file = tmp_path / 'file.yaml'
    key = section if '{' in section else f'"{section}"'
    file.write_text(f'{key}: {{ros__parameters: {{flag: false}}}}' + '}' * section.count('{'))
    words = ['program', '--ros-args', '--params-file', str(file), *rules]
    context = rclpy.Context()
    try:
        rclpy.init(args=words, context=context, domain_id=domain)
    except RuntimeError:
        return  # ROS refuses the file itself
    node = rclpy.create_node('a_node', context=context)
    read = 'flag' in node._parameter_overrides
    node.destroy_node()
    context.try_shutdown()
    try:
        check_parameter_files(words, 'a_node')
    except ConfigError:
        assert not read
    else:
        assert read
