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

"""Pictures of an arm and its goal, drawn by MuJoCo, and a window with them."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from sac_ros.errors import EnvError
from sac_ros.robot.loader import default_model
from sac_ros.sim.arm import SimArm

GOAL_COLOUR = (0.15, 0.7, 0.3, 0.6)
DOT_COLOUR = (0.1, 0.5, 0.9, 0.4)
BOX_COLOUR = (0.95, 0.55, 0.1, 1.0)
TIP_COLOUR = (0.9, 0.1, 0.5, 1.0)


class OffscreenRenderer:
    """Draws an arm from one side.

    Raises:
        EnvError: there is nothing to draw with.
    """

    def __init__(self, arm: SimArm, width: int = 640, height: int = 480) -> None:
        self._arm = arm
        arm.model.vis.global_.offwidth = max(width, arm.model.vis.global_.offwidth)
        arm.model.vis.global_.offheight = max(height, arm.model.vis.global_.offheight)
        try:
            self._renderer = mujoco.Renderer(arm.model, height, width)
        except Exception as error:  # each drawing library fails in a way of its own
            raise EnvError(
                f'MuJoCo cannot draw here ({error}); without a screen start the program with '
                f'MUJOCO_GL=egl (Debian package libegl1) or MUJOCO_GL=osmesa (libosmesa6)'
            ) from error
        self._view = mujoco.MjvCamera()
        frame_camera(self._view, arm)

    def draw(
        self, goal: NDArray[np.float64] | None = None, radius: float = 0.05
    ) -> NDArray[np.uint8]:
        """Return a picture (height, width, 3) uint8, with the goal (3,) [m] as a ball."""
        self._renderer.update_scene(self._arm.data, self._view)
        if goal is not None:
            add_goal(self._renderer.scene, goal, radius)
        return np.array(self._renderer.render(), np.uint8)

    def survey(
        self, goals: NDArray[np.float64] | None, box: tuple[Any, Any] | None
    ) -> NDArray[np.uint8]:
        """Return a picture of the arm, its goals (n, 3) [m], its base frame, and a box.

        Args:
            goals: drawn as dots; None for none.
            box: its lower and upper corner [m]; None for none.
        """
        points = np.zeros((0, 3)) if goals is None else goals
        corners = np.array(box).reshape(-1, 3) if box else np.zeros((0, 3))
        view = self._view
        view.lookat[:], view.distance = _surroundings(self._arm, np.vstack((points, corners)))
        view.azimuth, view.elevation, view.distance = 140, -20, 0.85 * view.distance
        self._renderer.update_scene(self._arm.data, view)
        scene, unit = self._renderer.scene, view.distance
        scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = False  # of hundreds of dots
        for axis in np.eye(3):
            _add_line(scene, np.zeros(3), 0.12 * unit * axis, 0.003 * unit, (*axis, 1.0))
        add_goal(scene, self._arm.tip_position, 0.008 * unit, TIP_COLOUR)
        for point in points:
            add_goal(scene, point, 0.0045 * unit, DOT_COLOUR)
        if box:
            _add_box(scene, corners[0], corners[1], 0.0015 * unit)
        return np.array(self._renderer.render(), np.uint8)

    def close(self) -> None:
        """Let the drawing surface go."""
        self._renderer.close()


def frame_camera(view: mujoco.MjvCamera, arm: SimArm) -> None:
    """Let a camera see the whole arm from one side."""
    view.azimuth, view.elevation = 140, -16
    if arm.robot.path == default_model():
        view.lookat[:], view.distance = (0.1, 0.03, 0.33), 1.35
    else:
        view.lookat[:], view.distance = _surroundings(arm)


def add_goal(
    scene: mujoco.MjvScene,
    goal: NDArray[np.float64],
    radius: float,
    colour: tuple[float, ...] = GOAL_COLOUR,
) -> None:
    """Put a ball of that radius [m] at the goal (3,) [m] into a scene."""
    _add_geom(scene, mujoco.mjtGeom.mjGEOM_SPHERE, np.full(3, radius), goal, colour)


def _add_geom(
    scene: mujoco.MjvScene,
    kind: mujoco.mjtGeom,
    size: NDArray[np.float64],
    position: NDArray[np.float64],
    colour: tuple[float, ...],
) -> mujoco.MjvGeom:
    geom = scene.geoms[scene.ngeom]
    mujoco.mjv_initGeom(
        geom,
        int(kind),
        size,
        np.asarray(position, np.float64),
        np.eye(3).ravel(),
        np.array(colour, np.float32),
    )
    scene.ngeom += 1
    return geom


def _add_line(
    scene: mujoco.MjvScene,
    start: NDArray[np.float64],
    end: NDArray[np.float64],
    radius: float,
    colour: tuple[float, ...],
) -> None:
    kind = mujoco.mjtGeom.mjGEOM_CAPSULE
    geom = _add_geom(scene, kind, np.zeros(3), start, colour)
    mujoco.mjv_connector(geom, int(kind), radius, start, end)


def _add_box(
    scene: mujoco.MjvScene,
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
    radius: float,
) -> None:
    """Put the edges of a box of two corners (3,) [m] into a scene."""
    centre, half = (lower + upper) / 2, (upper - lower) / 2
    for axis in range(3):
        along = np.eye(3)[axis] * half
        for sides in ((-1.0, -1.0), (-1.0, 1.0), (1.0, -1.0), (1.0, 1.0)):
            middle = centre + np.insert(np.array(sides), axis, 0.0) * half
            _add_line(scene, middle - along, middle + along, radius, BOX_COLOUR)


@contextmanager
def window(arm: SimArm) -> Iterator[Any]:
    """Open MuJoCo's viewer on an arm, and wait at the end until it is gone.

    Its thread would go on drawing into what the end of the program takes away.

    Raises:
        EnvError: no window can be opened.
    """
    import mujoco.viewer

    _check_window()
    others = set(threading.enumerate())
    try:
        with mujoco.viewer.launch_passive(
            arm.model, arm.data, show_left_ui=False, show_right_ui=False
        ) as viewer:
            frame_camera(viewer.cam, arm)
            yield viewer
    finally:
        for thread in set(threading.enumerate()) - others:
            thread.join()


def _check_window() -> None:
    """Raise EnvError where no window can be opened: MuJoCo's viewer would end the process."""
    import glfw

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        glfw.init()
        glfw.window_hint(glfw.VISIBLE, glfw.FALSE)
        shown = glfw.create_window(8, 8, '', None, None)
        glfw.terminate()
    if not shown:
        reason = str(caught[0].message) if caught else 'no reason given'
        raise EnvError(
            f'no window can be opened here: {reason}; without a screen unset DISPLAY and '
            f'WAYLAND_DISPLAY, and a video is written'
        )


def _surroundings(
    arm: SimArm, points: NDArray[np.float64] | None = None
) -> tuple[NDArray[np.float64], float]:
    """Return a point (3,) to look at and a distance [m] that shows the arm and points (n, 3)."""
    shapes = np.flatnonzero(arm.model.geom_bodyid > 0)
    places = arm.data.geom_xpos[shapes] if len(shapes) else arm.data.xpos
    if points is not None:
        places = np.vstack((places, points))
    centre = (places.min(axis=0) + places.max(axis=0)) / 2
    radius = float(np.linalg.norm(places - centre, axis=1).max()) if len(places) else 0.0
    return centre, 0.5 + 2.6 * radius
