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

"""The SROS2 policy says what the nodes really publish, hear and answer, and who may command."""

import xml.etree.ElementTree as ElementTree

import pytest
from paths import ROOT
from policy_files import linear_policy, reach_spec, save
from train_node_runs import small_run

POLICY = ROOT / 'security/sac_ros.policy.xml'
COMMAND = '/forward_effort_controller/commands'
HIDDEN = '/_action/'


def allowed(node):
    """What the policy allows a node, by kind and direction, with ~ resolved."""
    found = {}
    root = ElementTree.parse(POLICY).getroot()
    for profile in root.iter('profile'):
        if profile.get('node') != node:
            continue
        for block in profile:
            (direction,) = set(block.keys())
            assert block.get(direction) == 'ALLOW'
            names = {entry.text.replace('~', f'/{node}') for entry in block}
            found.setdefault((block.tag, direction), set()).update(names)
    return found


def test_only_policy_node_and_its_guard_may_command():
    profiles = [profile.get('node') for profile in ElementTree.parse(POLICY).iter('profile')]
    assert profiles == ['policy_node', 'effort_guard', 'sim_node', 'train_node', 'operator']
    may = [n for n in profiles if COMMAND in allowed(n).get(('topics', 'publish'), ())]
    assert may == ['policy_node', 'effort_guard']


@pytest.mark.parametrize('name', ['policy_node', 'effort_guard', 'sim_node', 'train_node'])
def test_a_running_node_does_what_it_may_and_no_more(graph, name, tmp_path):
    policy = save(linear_policy(reach_spec(3)), tmp_path / 'policy.onnx')
    pair = ['-p', f'policy:={policy}', '-p', 'autostart:=true', '-p', 'guard:=true']
    if name in ('policy_node', 'effort_guard'):  # the one does its part only with the other
        graph.start('guard_node')
        graph.start('policy_node', '--ros-args', *pair)
    else:
        graph.start(name, *(small_run(tmp_path) if name == 'train_node' else ()))
    node, may = graph.node, allowed(name)
    asked = {
        ('topics', 'publish'): node.get_publisher_names_and_types_by_node,
        ('topics', 'subscribe'): node.get_subscriber_names_and_types_by_node,
        ('services', 'reply'): node.get_service_names_and_types_by_node,
    }
    last = COMMAND if name == 'effort_guard' else '/joint_states'
    graph.spin_until(
        lambda: (
            name in node.get_node_names()
            and last in {t for ask in list(asked.values())[:2] for t, _ in ask(name, '/')}
        ),
        timeout=60,
        what='the node',
    )

    def missing(kind):
        rare = {'/clock', '/parameter_events'}
        done = {topic for topic, _ in asked[kind](name, '/')}
        return {n for n in may[kind] - done - rare if 'type_description' not in n}

    graph.spin_until(
        lambda: not any(map(missing, asked)),
        what=f'all of the policy: {list(map(missing, asked))}',
    )
    for kind, ask in asked.items():
        does = {topic for topic, _ in ask(name, '/')}
        assert does <= may[kind], f'{kind}: {does - may[kind]} not in the policy'
