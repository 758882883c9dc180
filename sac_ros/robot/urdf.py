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

"""Read a URDF as people have it: xacro, package paths, limits and meshes that are missing."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

import mujoco

from sac_ros.errors import ModelError
from sac_ros.robot.inertials import complete_inertials, use_shell_inertia
from sac_ros.robot.meshes import gather_meshes, make_absolute

DRAKE = '{http://drake.mit.edu}'
MAX_EFFORT = 1e5  # [N·m] or [N]: more is no limit but a placeholder
MAX_VELOCITY = 1e3  # [rad/s] or [m/s]: the same
XACRO_SECONDS = 60.0


@dataclass
class ParsedRobot:
    """A robot file as read: an editable MuJoCo specification and what else the file says."""

    spec: mujoco.MjSpec
    urdf: str = ''  # text for robot_description; empty for MJCF
    base: str = 'base_link'  # frame of everything that is given in the base frame
    velocity_limit: dict[str, float] = field(default_factory=dict)  # [rad/s] or [m/s]
    position_limits: frozenset[str] = frozenset()  # joints for which the URDF gives an end
    continuous: frozenset[str] = frozenset()  # joints that the URDF says have no end
    meshes: dict[str, Path] = field(default_factory=dict)  # files of the meshes of a URDF
    notes: list[str] = field(default_factory=list)  # what was left out or made up


def read_urdf(file: Path, text: str) -> ParsedRobot:
    """Parse the text of a URDF file, or what a .xacro file became.

    Raises:
        ModelError: it is no URDF, or the meshes of collision shapes are missing.
    """
    try:
        tree, shown = ElementTree.fromstring(text), ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise ModelError(f'{file} is not a robot description: {error}') from error
    notes: list[str] = []
    base = _root_link(tree, file)
    velocity_limit = _check_limits(tree, notes, file)
    _complete_elements(tree)
    assets, meshes = gather_meshes(file, tree, notes)
    _set_compiler(file, tree)
    try:
        spec = mujoco.MjSpec.from_string(
            ElementTree.tostring(tree, encoding='unicode'), assets=assets
        )
        _add_rotor_inertia(spec, tree)
    except ValueError as error:
        reason = ' '.join(str(error).split())
        raise ModelError(f'{file} is not a robot description: {reason}') from error
    hide_collision_shapes(spec)
    complete_inertials(spec, notes)
    use_shell_inertia(spec)
    absolute = make_absolute(file, shown)
    return ParsedRobot(
        spec=spec,
        urdf=ElementTree.tostring(shown, encoding='unicode') if absolute else text,
        base=base,
        velocity_limit=velocity_limit,
        position_limits=frozenset(
            name for name, limit in _limits(tree) if {'lower', 'upper'} & limit.attrib.keys()
        ),
        continuous=frozenset(
            joint.attrib['name']
            for joint in tree.findall('joint')
            if joint.get('type') == 'continuous'
        ),
        meshes=meshes,
        notes=notes,
    )


def expand_xacro(file: Path, arguments: str) -> str:
    """Run `xacro` on the file with `name:=value` arguments, spaces between.

    Raises:
        ModelError: an argument has another form, or xacro is not installed or refuses the file.
    """
    try:
        given = shlex.split(arguments)
    except ValueError as error:
        raise ModelError(f'xacro_args: {arguments!r} cannot be read: {error}') from error
    for argument in given:
        if not re.match(r'\w+:=', argument):
            raise ModelError(f'xacro_args: {argument!r} is not NAME:=VALUE')
    beside = str(Path(sys.executable).parent)
    program = shutil.which('xacro') or shutil.which('xacro', path=beside)
    if program is None:
        raise ModelError(
            f'{file} needs the program xacro, which is not on the PATH: pip install xacro, or '
            f'source ROS 2 where ros-$ROS_DISTRO-xacro is installed'
        )
    try:
        result = subprocess.run(
            [program, str(file), *given],
            capture_output=True,
            text=True,
            timeout=XACRO_SECONDS,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        reason = ' '.join(error.stderr.split()[-40:])
        raise ModelError(f'xacro refuses {file}: {reason}') from error
    except subprocess.TimeoutExpired as error:
        raise ModelError(f'xacro did not finish {file} within {XACRO_SECONDS:g} s') from error
    return result.stdout


def _set_compiler(file: Path, tree: ElementTree.Element) -> None:
    extension = tree.find('mujoco')
    if extension is None:
        extension = ElementTree.SubElement(tree, 'mujoco')
    compiler = extension.find('compiler')
    if compiler is None:
        compiler = ElementTree.SubElement(extension, 'compiler')
    compiler.attrib |= {'fusestatic': 'false', 'discardvisual': 'false', 'strippath': 'false'}
    compiler.attrib |= {'balanceinertia': 'true'}
    compiler.attrib.pop('meshdir', None)


def _add_rotor_inertia(spec: mujoco.MjSpec, tree: ElementTree.Element) -> None:
    for transmission in tree.iter('transmission'):
        joint, actuator = transmission.find('joint'), transmission.find('actuator')
        rotor = actuator.find(f'{DRAKE}rotor_inertia') if actuator is not None else None
        gear = actuator.find(f'{DRAKE}gear_ratio') if actuator is not None else None
        if joint is None or rotor is None or gear is None:
            continue
        armature = float(rotor.attrib['value']) * float(gear.attrib['value']) ** 2
        spec.joint(joint.attrib['name']).armature = armature


def hide_collision_shapes(spec: mujoco.MjSpec) -> None:
    """Move them to group 3, which is not drawn by default, where a link has visuals as well."""
    for body in spec.bodies:
        shapes = list(body.geoms)
        if any(not (geom.contype or geom.conaffinity) for geom in shapes):
            for geom in shapes:
                geom.group = 3 if geom.contype or geom.conaffinity else 1


def _root_link(tree: ElementTree.Element, file: Path) -> str:
    """Return the name of the one link that is no child of another.

    Raises:
        ModelError: there are several, or none.
    """
    children = {child.get('link') for child in tree.findall('joint/child')}
    links = [link.get('name', '') for link in tree.findall('link')]
    roots = [name for name in links if name not in children]
    if len(roots) > 1:
        raise ModelError(
            f'{file} has {len(roots)} root links: {", ".join(roots)}; a URDF has one: connect the '
            f'others to it with a fixed joint'
        )
    if links and not roots:
        raise ModelError(f'{file} has no root link: its joints form a loop')
    return roots[0] if roots else 'base_link'


def _complete_elements(tree: ElementTree.Element) -> None:
    """Take out inertials without a mass, and add the inertia that others lack, as zero."""
    for link in tree.findall('link'):
        for inertial in link.findall('inertial'):
            if inertial.find('mass') is None:
                link.remove(inertial)
            elif inertial.find('inertia') is None:
                zero = dict.fromkeys(('ixx', 'ixy', 'ixz', 'iyy', 'iyz', 'izz'), '0')
                ElementTree.SubElement(inertial, 'inertia', zero)


def _limits(tree: ElementTree.Element) -> Iterator[tuple[str, ElementTree.Element]]:
    for joint in tree.findall('joint'):
        limit = joint.find('limit')
        if limit is not None and joint.get('name'):
            yield joint.attrib['name'], limit


def _check_limits(tree: ElementTree.Element, notes: list[str], file: Path) -> dict[str, float]:
    """Return the velocity limits; take out efforts and velocities that are none.

    Raises:
        ModelError: one is no number.
    """
    velocity_limit, none = {}, []
    for name, limit in _limits(tree):
        if {'lower', 'upper'} & limit.attrib.keys():  # as the format says
            limit.attrib = {'lower': '0', 'upper': '0'} | limit.attrib
        for kind, most in (('effort', MAX_EFFORT), ('velocity', MAX_VELOCITY)):
            try:
                value = float(limit.get(kind, 0))
            except ValueError as error:
                raise ModelError(f'{file}: the {kind} of {name}: {error}') from error
            if value and not 0 < value < most:
                none.append(f'{kind} {limit.attrib.pop(kind)} of {name}')
            elif value and kind == 'velocity':
                velocity_limit[name] = value
    if none:
        notes.append(f'limits that count as not given: {", ".join(none)}')
    return velocity_limit
