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

"""A robot as URDF, whatever its file is: masses, inertias, limits and shapes as simulated."""

from __future__ import annotations

import math
import os
import struct
from pathlib import Path
from xml.etree import ElementTree

import mujoco
import numpy as np

from sac_ros.robot.kinematics import SLIDE
from sac_ros.robot.loader import HINGE, Robot
from sac_ros.robot.mimic import ratios_of
from sac_ros.robot.source import compile_spec
from sac_ros.types import Vector

GEOM = mujoco.mjtGeom
HIDDEN_GROUP = 3  # from this one on MuJoCo draws nothing by default


def robot_description(robot: Robot, mesh_folder: Path | None = None) -> str:
    """Return the URDF of a robot: its own text, or what `to_urdf` makes of an MJCF."""
    return robot.urdf or to_urdf(robot, mesh_folder or default_mesh_folder(robot))


def default_mesh_folder(robot: Robot) -> Path:
    """Return where the meshes of an MJCF robot are put for RViz."""
    cache = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    return Path(cache) / 'sac_ros' / 'meshes' / robot.model_hash[:16]


def to_urdf(robot: Robot, mesh_folder: Path) -> str:
    """Write the robot's meshes into a folder and return its URDF.

    A body becomes a link in the same frame; the world becomes the root link, which is called as
    `robot.base` unless that is a body, whose frame is the same. A joint whose axis does not pass
    through the frame of its body gets a link of its own. Held joints are fixed; others may mimic.
    """
    return _Writer(robot, mesh_folder).write()


class _Writer:
    def __init__(self, robot: Robot, folder: Path) -> None:
        self._robot, self._folder = robot, folder
        self._model = compile_spec(robot.spec.copy(), robot.path)
        self._root = ElementTree.Element('robot', name=robot.name or 'robot')
        self._left_out: set[int] = set()
        ratios = ratios_of(self._model, robot.joint_names, robot.mimics)
        self._mimics = {name: ratios[name] for name in ratios if name not in robot.joint_names}
        bodies = {self._model.body(body).name for body in range(1, self._model.nbody)}
        self._world = next(n for n in (robot.base, 'world', 'map', '') if n not in bodies)

    def write(self) -> str:
        for body in range(self._model.nbody):
            parent = int(self._model.body_parentid[body])
            joints = self._joints(body)
            floats = any(self._model.jnt_type[j] not in (HINGE, SLIDE) for j in joints)
            if floats or (body and parent in self._left_out):
                self._left_out.add(body)
                continue
            if body:
                self._add_joints(body, parent, joints)
            self._add_link(body)
        self._add_tip()
        ElementTree.indent(self._root)
        return ElementTree.tostring(self._root, encoding='unicode')

    def _joints(self, body: int) -> list[int]:
        first = int(self._model.body_jntadr[body])
        return list(range(first, first + int(self._model.body_jntnum[body])))

    def _name(self, body: int) -> str:
        return str(self._model.body(body).name) if body else self._world

    def _add_joints(self, body: int, parent: int, joints: list[int]) -> None:
        """Connect a body's link with that of its parent.

        The way is T_body, then for every joint T(anchor) J(q) J(-reference) T(-anchor).
        """
        model, name, last = self._model, self._name(body), self._name(parent)
        place, turn = np.array(model.body_pos[body]), _matrix(model.body_quat[body])
        for number, joint in enumerate(joints):
            anchor = model.jnt_pos[joint]
            back = self._back(joint)
            simple = not anchor.any() and np.array_equal(back[1], np.eye(3)) and not back[0].any()
            direct = simple and number == len(joints) - 1
            child = name if direct else f'{name}_{model.joint(joint).name}_axis'
            self._add_moving(joint, last, child, place + turn @ anchor, turn)
            if direct:
                return
            ElementTree.SubElement(self._root, 'link', name=child)
            last = child
            place, turn = back[0] - back[1] @ anchor, back[1]
        self._add_fixed(f'{name}_fixed', last, name, place, turn)

    def _back(self, joint: int) -> tuple[Vector, Vector]:
        """Return translation and rotation J(-reference)."""
        model = self._model
        reference = float(model.qpos0[model.jnt_qposadr[joint]])
        if model.jnt_type[joint] == SLIDE:
            return -reference * model.jnt_axis[joint], np.eye(3)
        quaternion = np.zeros(4)
        mujoco.mju_axisAngle2Quat(quaternion, model.jnt_axis[joint], -reference)
        return np.zeros(3), _matrix(quaternion) if reference else np.eye(3)

    def _add_moving(
        self, joint: int, parent: str, child: str, place: Vector, turn: Vector
    ) -> None:
        model, robot = self._model, self._robot
        name = str(model.joint(joint).name)
        limited = bool(model.jnt_limited[joint])
        slides = model.jnt_type[joint] == SLIDE
        kind = 'prismatic' if slides else 'revolute' if limited else 'continuous'
        element = self._connect(name, kind, parent, child, (place, turn))
        ElementTree.SubElement(element, 'axis', xyz=_numbers(model.jnt_axis[joint]))
        lower, upper = model.jnt_range[joint] if limited else (-1e3, 1e3)
        known = name in robot.joint_names
        index = robot.joint_names.index(name) if known else 0
        effort = robot.torque_limit[index] if known else 0.0
        velocity = robot.velocity_limit[index] if known else 0.0
        limit = {'effort': effort, 'velocity': velocity if math.isfinite(velocity) else 0.0}
        if kind != 'continuous':
            limit |= {'lower': lower, 'upper': upper}
        ElementTree.SubElement(element, 'limit', {k: _number(v) for k, v in limit.items()})
        if name in self._mimics:
            leader, ratio, offset = self._mimics[name]
            values = {'multiplier': _number(ratio), 'offset': _number(offset)}
            ElementTree.SubElement(element, 'mimic', {'joint': leader} | values)
        dof = model.jnt_dofadr[joint]
        friction = {'damping': model.dof_damping[dof], 'friction': model.dof_frictionloss[dof]}
        ElementTree.SubElement(element, 'dynamics', {k: _number(v) for k, v in friction.items()})

    def _add_fixed(self, name: str, parent: str, child: str, place: Vector, turn: Vector) -> None:
        self._connect(name, 'fixed', parent, child, (place, turn))

    def _connect(
        self, name: str, kind: str, parent: str, child: str, pose: tuple[Vector, Vector]
    ) -> ElementTree.Element:
        element = ElementTree.SubElement(self._root, 'joint', name=name, type=kind)
        _add_origin(element, *pose)
        ElementTree.SubElement(element, 'parent', link=parent)
        ElementTree.SubElement(element, 'child', link=child)
        return element

    def _add_link(self, body: int) -> None:
        model = self._model
        link = ElementTree.SubElement(self._root, 'link', name=self._name(body))
        if body and model.body_mass[body] > 0:
            inertial = ElementTree.SubElement(link, 'inertial')
            _add_origin(inertial, model.body_ipos[body], _matrix(model.body_iquat[body]))
            ElementTree.SubElement(inertial, 'mass', value=_number(model.body_mass[body]))
            x, y, z = (_number(value) for value in model.body_inertia[body])
            ElementTree.SubElement(
                inertial, 'inertia', ixx=x, iyy=y, izz=z, ixy='0', ixz='0', iyz='0'
            )
        for geom in np.flatnonzero(model.geom_bodyid == body):
            if model.geom_group[geom] < HIDDEN_GROUP:
                self._add_shapes(link, 'visual', int(geom))
            if model.geom_contype[geom] or model.geom_conaffinity[geom]:
                self._add_shapes(link, 'collision', int(geom))

    def _add_shapes(self, link: ElementTree.Element, kind: str, geom: int) -> None:
        model = self._model
        place, turn = model.geom_pos[geom], _matrix(model.geom_quat[geom])
        for offset, tag, values in self._shapes(geom):
            element = ElementTree.SubElement(link, kind)
            _add_origin(element, place + turn @ offset, turn)
            geometry = ElementTree.SubElement(element, 'geometry')
            ElementTree.SubElement(geometry, tag, values)
            if kind == 'visual':
                material = ElementTree.SubElement(element, 'material', name=f'colour{geom}')
                matter = int(model.geom_matid[geom])
                rgba = model.mat_rgba[matter] if matter >= 0 else model.geom_rgba[geom]
                ElementTree.SubElement(material, 'color', rgba=_numbers(rgba))

    def _shapes(self, geom: int) -> list[tuple[Vector, str, dict[str, str]]]:
        """Return offset, tag and size of the URDF shapes that make up a geom."""
        model, middle = self._model, np.zeros(3)
        kind, size = int(model.geom_type[geom]), model.geom_size[geom]
        radius, length = _number(size[0]), _number(2 * size[1])
        if kind == GEOM.mjGEOM_MESH:
            file = self._write_mesh(int(model.geom_dataid[geom]))
            return [(middle, 'mesh', {'filename': file.resolve().as_uri()})]
        if kind == GEOM.mjGEOM_BOX:
            return [(middle, 'box', {'size': _numbers(2 * size)})]
        if kind == GEOM.mjGEOM_SPHERE:
            return [(middle, 'sphere', {'radius': radius})]
        if kind == GEOM.mjGEOM_ELLIPSOID:
            return [(middle, 'sphere', {'radius': _number(float(size.mean()))})]
        if kind in (GEOM.mjGEOM_CYLINDER, GEOM.mjGEOM_CAPSULE):
            shapes = [(middle, 'cylinder', {'radius': radius, 'length': length})]
            if kind == GEOM.mjGEOM_CAPSULE:
                end = np.array([0.0, 0.0, size[1]])
                shapes += [(offset, 'sphere', {'radius': radius}) for offset in (end, -end)]
            return shapes
        return []  # planes and height fields are no part of a robot

    def _write_mesh(self, mesh: int) -> Path:
        """Write a mesh as simulated, in the frame of its geom, as binary STL."""
        model = self._model
        file = self._folder / f'{mesh}_{model.mesh(mesh).name or "mesh"}.stl'.replace('/', '_')
        first, face = int(model.mesh_vertadr[mesh]), int(model.mesh_faceadr[mesh])
        corners = model.mesh_vert[first : first + int(model.mesh_vertnum[mesh])]
        faces = model.mesh_face[face : face + int(model.mesh_facenum[mesh])]
        records = np.zeros(len(faces), np.dtype([('v', '<f4', (4, 3)), ('flags', '<u2')]))
        records['v'][:, 1:] = corners[faces]
        edges = records['v'][:, 2:] - records['v'][:, 1:2]
        normal = np.cross(edges[:, 0], edges[:, 1])
        records['v'][:, 0] = normal / np.maximum(np.linalg.norm(normal, axis=1), 1e-30)[:, None]
        content = b'sac_ros'.ljust(80) + struct.pack('<I', len(faces)) + records.tobytes()
        if not (file.exists() and file.stat().st_size == len(content)):
            self._folder.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        return file

    def _add_tip(self) -> None:
        """Add a link for a tip that is a site."""
        site = mujoco.mj_name2id(self._model, mujoco.mjtObj.mjOBJ_SITE, self._robot.tip)
        links = {link.attrib['name'] for link in self._root.iter('link') if 'name' in link.attrib}
        if site < 0 or self._robot.tip in links:
            return
        ElementTree.SubElement(self._root, 'link', name=self._robot.tip)
        place, turn = self._model.site_pos[site], _matrix(self._model.site_quat[site])
        body = self._name(int(self._model.site_bodyid[site]))
        self._add_fixed(f'{self._robot.tip}_fixed', body, self._robot.tip, place, turn)


def _add_origin(element: ElementTree.Element, place: Vector, turn: Vector) -> None:
    xyz, rpy = _numbers(place), _numbers(roll_pitch_yaw(turn))
    ElementTree.SubElement(element, 'origin', xyz=xyz, rpy=rpy)


def roll_pitch_yaw(turn: Vector) -> Vector:
    """Return the fixed-axis angles (3,) [rad] of a rotation (3, 3), as URDF writes them."""
    level = math.hypot(turn[0, 0], turn[1, 0])
    pitch = math.atan2(-turn[2, 0], level)
    if level < 1e-9:  # straight up or down, roll and yaw turn about the same axis
        return np.array([math.atan2(-turn[1, 2], turn[1, 1]), pitch, 0.0])
    roll = math.atan2(turn[2, 1], turn[2, 2])
    return np.array([roll, pitch, math.atan2(turn[1, 0], turn[0, 0])])


def _matrix(quaternion: Vector) -> Vector:
    matrix = np.zeros(9)
    mujoco.mju_quat2Mat(matrix, quaternion)
    return matrix.reshape(3, 3)


def _number(value: float) -> str:
    return f'{float(value):.15g}'


def _numbers(values: Vector) -> str:
    return ' '.join(_number(value) for value in values)
