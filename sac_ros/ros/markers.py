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

"""RViz markers as pure functions: marks in a frame, with a lifetime."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point, Pose, Quaternion, Vector3
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker

from sac_ros.types import Vector

LIFETIME = Duration(sec=2, nanosec=500_000_000)  # after which marks of a dead process vanish


def color(red: float, green: float, blue: float, alpha: float = 1.0) -> ColorRGBA:
    """Return a color of components in [0, 1]."""
    return ColorRGBA(r=red, g=green, b=blue, a=alpha)


# After Okabe and Ito: told apart by color-blind people too.
WHITE, GREY = color(0.95, 0.95, 0.95), color(0.72, 0.74, 0.76, 0.8)
BLUE, GREEN = color(0.34, 0.71, 0.98), color(0.15, 0.85, 0.55)
ORANGE, RED = color(1.0, 0.62, 0.1), color(1.0, 0.38, 0.25)
LEVEL_COLORS = {'ok': WHITE, 'warn': ORANGE, 'error': RED}


def faded(shade: ColorRGBA, alpha: float) -> ColorRGBA:
    """Return a color with another opacity."""
    return color(shade.r, shade.g, shade.b, alpha)


def mark(frame: str, namespace: str, shade: ColorRGBA, number: int = 0) -> Marker:
    """Make a marker at the origin of a frame, that moves with the frame; its shape is open."""
    marker = Marker(
        header=Header(frame_id=frame),  # without a stamp: as the frame is now
        ns=namespace,
        id=number,
        color=shade,
        lifetime=LIFETIME,
        frame_locked=True,
    )
    marker.pose.orientation.w = 1.0
    return marker


def gone(namespace: str, number: int = 0) -> Marker:
    """Make the message that takes a marker away."""
    return Marker(ns=namespace, id=number, action=Marker.DELETE)


def ball(marker: Marker, place: Vector, diameter: float) -> Marker:
    """Make a marker a sphere at a place (3,) [m] of a diameter [m]."""
    marker.type, marker.pose.position = Marker.SPHERE, to_point(place)
    marker.scale = Vector3(x=diameter, y=diameter, z=diameter)
    return marker


def line(marker: Marker, places: Iterable[Point], width: float) -> Marker:
    """Make a marker a line strip of a width [m]."""
    marker.type, marker.points, marker.scale.x = Marker.LINE_STRIP, list(places), width
    return marker


def cloud(
    marker: Marker, places: Iterable[Point], size: float, shades: Sequence[ColorRGBA]
) -> Marker:
    """Make a marker a ball of a diameter [m] at each place, each of a color."""
    marker.type, marker.points, marker.colors = Marker.SPHERE_LIST, list(places), list(shades)
    marker.scale = Vector3(x=size, y=size, z=size)
    return marker


def text(marker: Marker, words: str, place: Vector, height: float) -> Marker:
    """Make a marker a text that faces the viewer, in letters of a height [m], at a place (3,)."""
    marker.type, marker.pose.position = Marker.TEXT_VIEW_FACING, to_point(place)
    marker.scale.z, marker.text = height, words
    return marker


def axes(frame: str, namespace: str, pose: Pose, length: float) -> list[Marker]:
    """Make an arrow along each axis of a pose: x red, y green, z blue."""
    arrows = []
    for number, direction in enumerate(np.eye(3)):
        red, green, blue = direction.tolist()
        marker = mark(frame, namespace, color(red, green, blue, 0.9), number)
        marker.type, marker.pose = Marker.ARROW, pose
        marker.points = [Point(), to_point(length * direction)]  # in the pose
        marker.scale = Vector3(x=0.08 * length, y=0.16 * length)  # of shaft and head
        arrows.append(marker)
    return arrows


def to_point(place: Vector) -> Point:
    """Make a point of (3,) [m]."""
    x, y, z = place.tolist()
    return Point(x=x, y=y, z=z)


def to_pose(goal: Mapping[str, Vector]) -> Pose:
    """Make a pose of the `goal` (3,) [m] and, if there is one, the `goal_orientation` (4,)."""
    pose = Pose(position=to_point(goal['goal']))
    if 'goal_orientation' in goal:
        x, y, z, w = goal['goal_orientation'].tolist()
        pose.orientation = Quaternion(x=x, y=y, z=z, w=w)
    return pose
