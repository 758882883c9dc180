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

"""The view for RViz shows what the nodes publish: topic, type and durability of every display."""

from xml.etree import ElementTree

import yaml
from paths import ROOT, TWO_JOINTS
from rclpy.qos import DurabilityPolicy

from sac_ros.robot.loader import load_robot
from sac_ros.ros.rviz_config import ViewedArm, fit_view

VIEW = ROOT / 'config/sac_ros.rviz'
TYPES = {
    'rviz_default_plugins/RobotModel': 'std_msgs/msg/String',
    'rviz_default_plugins/MarkerArray': 'visualization_msgs/msg/MarkerArray',
    'rviz_default_plugins/PublishPoint': 'geometry_msgs/msg/PointStamped',
}
MARKERS_TO_DRAG = 'rviz_default_plugins/InteractiveMarkers'
MARKERS, TO_DRAG = '/policy_node/markers', '/policy_node/goal_marker/update'
WITHOUT_TOPIC = {'Grid', 'TF', 'Interact', 'MoveCamera'}


def parts():
    manager = yaml.safe_load(VIEW.read_text())['Visualization Manager']
    return manager, [*manager['Displays'], *manager['Tools']]


def topics():
    """Yield the topic, its message type and its durability in every display and tool."""
    for part in parts()[1]:
        kind = part['Class']
        if kind.rpartition('/')[2] not in WITHOUT_TOPIC:
            topic = part.get('Topic') or part.get('Description Topic')
            if kind == MARKERS_TO_DRAG:
                topic = part['Interactive Markers Namespace'] + '/update'
                yield topic, 'visualization_msgs/msg/InteractiveMarkerUpdate', 'Volatile'
                continue
            yield topic['Value'], TYPES[kind], topic['Durability Policy']


def publishers(graph, topic):
    return graph.node.get_publishers_info_by_topic(topic)


def subscriptions(graph, topic):
    return graph.node.get_subscriptions_info_by_topic(topic)


def check(graph, wanted):
    graph.spin_until(
        lambda: all(publishers(graph, topic) for topic, *_ in wanted), timeout=60, what='topics'
    )
    for topic, kind, durability in wanted:
        for info in publishers(graph, topic):
            assert info.topic_type == kind, topic
            latched = info.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
            assert latched or durability == 'Volatile', topic


def test_every_display_of_the_simulation_has_its_topic(graph):
    sim = graph.start('sim_node')
    wanted = [item for item in topics() if not item[0].startswith(('/train_node', '/policy_node'))]
    assert {topic for topic, *_ in wanted} == {'/robot_description', '/sim_node/markers'}
    check(graph, wanted)
    (clicked,) = (item for item in topics() if item[0] == '/policy_node/goal')
    graph.spin_until(lambda: subscriptions(graph, clicked[0]), what='the subscription of the goal')
    assert {info.topic_type for info in subscriptions(graph, clicked[0])} == {clicked[1]}
    assert graph.stop(sim) == 0


def test_every_display_of_the_policy_has_its_topic(graph):
    node = graph.start('policy_node')  # shows its state before a policy is loaded
    wanted = [item for item in topics() if item[0] in (MARKERS, TO_DRAG)]
    assert len(wanted) == 2
    check(graph, wanted)
    assert graph.stop(node) == 0


def test_every_display_of_the_training_has_its_topic(graph, tmp_path):
    arm = TWO_JOINTS
    given = {'arm.model': arm, 'run_dir': tmp_path / 'run', 'compile': 'false'}
    train = graph.start(
        'train_node',
        '--ros-args',
        *(part for name, value in given.items() for part in ('-p', f'{name}:={value}')),
    )
    wanted = [item for item in topics() if not item[0].startswith(('/sim_node', '/policy_node'))]
    check(graph, wanted)
    assert graph.stop(train, timeout=60) == 0


def test_frames_are_those_of_the_robot():
    manager, _ = parts()
    frames = {d['Reference Frame'] for d in manager['Displays'] if 'Reference Frame' in d}
    frames.add(manager['Views']['Current']['Target Frame'])
    assert frames == {'<Fixed Frame>'}  # which the launch files set to the root of other robots
    assert manager['Global Options']['Fixed Frame'] == 'base_link'
    model = VIEW.parents[1] / 'sac_ros/models/sac_arm.urdf'
    assert '<link name="base_link">' in model.read_text()


def test_names_of_displays_can_be_told_apart():
    names = [display['Name'] for display in parts()[0]['Displays']]
    assert len({name[:12] for name in names}) == len(names)  # where RViz cuts them off


def test_the_view_fits_the_reach_and_the_table_of_an_arm():
    small, large = (
        fit_view(yaml.safe_load(VIEW.read_text()), ViewedArm('root', reach, table))
        for reach, table in ((0.4, None), (1.6, -0.6))
    )
    for view, cell, ground, distance in ((small, 0.05, 0.0, 0.76), (large, 0.2, -0.6, 3.04)):
        manager = view['Visualization Manager']
        table, sheet = (d for d in manager['Displays'] if d['Class'].endswith('/Grid'))
        assert table['Cell Size'] == sheet['Cell Size'] == cell
        assert table['Offset']['Z'] == ground < sheet['Offset']['Z']
        assert manager['Views']['Current']['Distance'] == distance
        assert manager['Global Options']['Fixed Frame'] == 'root'


def test_the_layout_for_plots_shows_topics_of_policy_node_and_their_limits():
    root = ElementTree.parse(ROOT / 'config/plotjuggler.xml').getroot()
    (selected,) = (e.get('value').split(';') for e in root.iter('selected_topics'))
    curves = [curve.get('name') for curve in root.iter('curve')]
    joints = load_robot().joint_names
    for curve in curves:
        topic, joint, quantity = curve.rsplit('/', 2)
        assert topic in selected and joint in joints
        assert quantity in ('position', 'velocity', 'effort')
    assert {curve.rsplit('/', 2)[0] for curve in curves} == set(selected)
