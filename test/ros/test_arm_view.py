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

"""The marks of an arm, without DDS."""

import math

import numpy as np
import pytest
from policy_files import planar_geometry, pose_spec, reach_spec
from visualization_msgs.msg import Marker

from sac_ros.ros import markers
from sac_ros.ros.arm_view import SEGMENTS, ArmView

GEOMETRY = planar_geometry(2, 0.3)
SPEC = reach_spec(2, base_frame='base')  # joints from -2 to 2 rad, 5 N·m


@pytest.fixture
def view():
    return ArmView(SPEC, GEOMETRY)


def shown(drawn):
    return {m.ns: m for m in drawn if m.action == Marker.ADD}


def test_every_mark_vanishes_with_its_process_and_moves_with_its_frame(view):
    view.record(0.0, np.zeros(2))
    view.record(0.1, np.ones(2))
    goal = {'goal': np.array([0.3, 0.0, 0.2]), 'goal_orientation': np.array([0, 0, 0, 1.0])}
    drawn = view.draw_arm(np.array([0.0, 1.95]), np.array([2.0, -3.0]))
    drawn += view.draw_goal(goal, view.offset(goal, np.zeros(2)))
    drawn.append(view.draw_text('words', markers.WHITE))
    for mark in drawn:
        if mark.action == Marker.ADD:
            assert mark.lifetime == markers.LIFETIME and mark.lifetime.sec == 2
            assert mark.frame_locked and mark.header.stamp.sec == 0
            assert mark.color.a > 0
    frames = {m.ns: m.header.frame_id for m in drawn if m.action == Marker.ADD}
    assert frames['tip'] == frames['tip_axes'] == 'tip'
    assert frames['goal'] == frames['trail'] == frames['text'] == 'base'
    assert frames['limit'] == 'link2'


def test_the_goal_says_how_far_the_tip_is_and_turns_green(view):
    goal = {'goal': np.array([0.6, 0.0, 0.04])}
    near, far = (view.offset(goal, q) for q in (np.zeros(2), np.array([0.0, math.pi / 2])))
    assert near.distance == pytest.approx(0.04) and near.success and near.angle is None
    assert far.distance == pytest.approx(math.hypot(0.3, 0.3, 0.04)) and not far.success
    reached, missed = (shown(view.draw_goal(goal, offset)) for offset in (near, far))
    assert reached['goal_distance'].text == '40 mm'
    assert missed['goal_distance'].text == '426 mm'
    assert reached['goal'].color == markers.GREEN and missed['goal'].color == markers.BLUE
    assert reached['goal_radius'].scale.x == 0.1  # twice the success radius
    foot = reached['goal_drop'].points[1]
    assert (foot.x, foot.y, foot.z) == (0.6, 0.0, -0.1)
    assert not shown(view.draw_goal({}, None))


def test_a_pose_needs_its_angle_and_has_axes_that_a_point_removes():
    view = ArmView(pose_spec(2, base_frame='base'), GEOMETRY)
    quarter = np.array([0.0, 0.0, math.sqrt(0.5), math.sqrt(0.5)])
    goal = {'goal': np.array([0.6, 0.0, 0.0]), 'goal_orientation': quarter}
    offset = view.offset(goal, np.zeros(2))
    assert offset.distance < 1e-9 and offset.angle == pytest.approx(math.pi / 2)
    assert not offset.success and str(offset) == '0 mm  90°'
    arrows = [m for m in view.draw_goal(goal, offset) if m.ns == 'goal_axes']
    for arrow, axis in zip(arrows, np.eye(3), strict=True):
        assert (arrow.action, arrow.type) == (Marker.ADD, Marker.ARROW)
        assert arrow.pose == markers.to_pose(goal)
        assert [arrow.color.r, arrow.color.g, arrow.color.b] == axis.tolist()
    point = {'goal': goal['goal']}
    gone = [m for m in view.draw_goal(point, view.offset(point, np.zeros(2)))
            if m.action == Marker.DELETE]  # fmt: skip
    assert {(m.ns, m.id) for m in gone} == {
        (name, number) for name in ('goal_axes', 'tip_axes') for number in range(3)
    }


def test_an_arc_is_the_share_of_the_limit_with_its_sign(view):
    ring = shown(view.draw_joint(0, 0.0, 0.0))['range'].points
    assert len(ring) == 2 * SEGMENTS + 1
    assert all(math.hypot(p.x, p.y) == pytest.approx(0.05) and p.z == 0 for p in ring)
    assert ring[SEGMENTS].x == pytest.approx(-0.05)  # opposite to the link
    plus, minus = (shown(view.draw_joint(0, 0.0, torque))['torque'].points for torque in (5, -5))
    assert (plus, minus) == (ring[SEGMENTS:], ring[: SEGMENTS + 1])
    turned = [math.atan2(p.y, p.x) % (2 * math.pi) for p in plus]
    assert turned == sorted(turned)  # right-handed about the axis
    half = shown(view.draw_joint(0, 0.0, 2.5))['torque'].points
    assert len(half) == SEGMENTS // 2 + 1
    assert 'torque' not in shown(view.draw_joint(0, 0.0, 0.0))
    assert shown(view.draw_joint(0, 0.0, 50.0))['torque'].points == plus  # beyond the limit


def test_a_joint_near_its_limit_is_named(view):
    for position, words in ((1.9, 'j1 at upper limit'), (-1.9, 'j1 at lower limit')):
        drawn = shown(view.draw_joint(0, position, 0.0))
        assert drawn['limit'].text == words and drawn['range'].color == markers.RED
    assert 'limit' not in shown(view.draw_joint(0, 1.7, 0.0))
    endless = reach_spec(2, position_lower=(-math.inf,) * 2, position_upper=(math.inf,) * 2)
    assert 'limit' not in shown(ArmView(endless, GEOMETRY).draw_joint(0, 9.0, 0.0))


def trail(view):
    mark = shown(view.draw_tip()).get('trail')
    return [] if mark is None else [(p.x, p.y) for p in mark.points]


def test_the_trail_has_50_places_a_second_and_is_bounded_in_time(view):
    for tick in range(2500):  # 5 s at 500 Hz
        view.record(0.002 * tick, np.array([0.001 * tick, 0.0]))
        if tick % 50 == 0:
            view.draw_tip()
    places = trail(view)
    assert len(places) == 150
    angles = np.unwrap([math.atan2(y, x) for x, y in places])
    assert np.diff(angles) == pytest.approx(0.01)
    assert angles[-1] % (2 * math.pi) == pytest.approx(2.49, abs=0.011)


def test_a_trail_ends_where_time_jumps(view):
    for now in (0.0, 0.1, 0.2):
        view.record(now, np.zeros(2))
    assert len(trail(view)) == 3
    for now in (0.05, 0.1):  # an episode later
        view.record(now, np.ones(2))
    assert len(trail(view)) == 2
    view.restart()
    assert not trail(view)


def test_without_geometry_the_goal_alone_is_drawn():
    view = ArmView(SPEC, None)
    goal = {'goal': np.array([0.6, 0.0, 0.04])}
    view.record(0.0, np.zeros(2))
    assert view.offset(goal, np.zeros(2)) is None
    assert set(shown(view.draw_goal(goal, None))) == {'goal'}
    assert not view.draw_arm(np.zeros(2), np.ones(2))
