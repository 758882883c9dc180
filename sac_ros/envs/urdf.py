"""Read a URDF as people have it: xacro, package paths, meshes and inertials that are missing."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

import mujoco

from sac_ros.envs.meshes import gather_meshes, make_absolute
from sac_ros.errors import ModelError

DRAKE = '{http://drake.mit.edu}'
DENSITY = 1000.0  # [kg/m^3] of the shapes of a link without an inertial
LEAST_MASS, LEAST_INERTIA = 1e-3, 1e-6  # [kg], [kg·m^2] of a moving link that has no shape either
XACRO_SECONDS = 60.0


@dataclass
class Source:
    """A robot file as read: an editable MuJoCo specification and what else the file says."""

    spec: mujoco.MjSpec
    urdf: str = ''  # text for robot_description; empty for MJCF
    base: str = 'base_link'  # frame of everything that is given in the base frame
    velocity_limit: dict[str, float] = field(default_factory=dict)  # [rad/s] or [m/s]
    mimics: frozenset[str] = frozenset()  # joints that follow another one
    notes: list[str] = field(default_factory=list)  # what was left out or made up


def read_urdf(file: Path, text: str) -> Source:
    """Parse the text of a URDF file, or what a .xacro file became.

    Raises:
        ModelError: it is no URDF, or the meshes of collision shapes are missing.
    """
    try:
        tree, shown = ElementTree.fromstring(text), ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise ModelError(f'{file} is not a robot description: {error}') from error
    notes: list[str] = []
    assets = gather_meshes(file, tree, notes)
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
    _complete_inertials(spec, notes)
    absolute = make_absolute(file, shown)
    return Source(
        spec=spec,
        urdf=ElementTree.tostring(shown, encoding='unicode') if absolute else text,
        base=_root_link(tree),
        velocity_limit=_velocity_limits(tree),
        mimics=frozenset(mimic_joints(tree)),
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


def _complete_inertials(spec: mujoco.MjSpec, notes: list[str]) -> None:
    """Give links without an inertial the mass of their collision shapes, or of their visuals."""
    for body in spec.bodies:
        shapes = list(body.geoms)
        if body.name == 'world' or (body.explicitinertial and body.mass > 0):
            for geom in shapes:
                if geom.meshname:  # its volume does not matter, and may be none
                    spec.mesh(geom.meshname).inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL
            continue
        if not any(geom.contype for geom in shapes):
            for geom in shapes:
                geom.density = DENSITY
        if shapes:
            body.explicitinertial = False
            notes.append(f'{body.name} has no inertial; its shapes count {DENSITY:g} kg/m^3')
        elif body.joints:
            body.mass, body.inertia = LEAST_MASS, [LEAST_INERTIA] * 3
            body.explicitinertial = True
            notes.append(f'{body.name} has neither inertial nor shape; it weighs {LEAST_MASS} kg')


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


def _root_link(tree: ElementTree.Element) -> str:
    children = {child.attrib.get('link') for child in tree.findall('joint/child')}
    roots = [link.attrib.get('name', '') for link in tree.findall('link')]
    return next((name for name in roots if name not in children), 'base_link')


def mimic_joints(tree: ElementTree.Element) -> list[str]:
    """Name the joints that follow another one."""
    joints = tree.findall('joint')
    return [joint.attrib['name'] for joint in joints if joint.find('mimic') is not None]


def _velocity_limits(tree: ElementTree.Element) -> dict[str, float]:
    limits = {}
    for joint in tree.findall('joint'):
        limit = joint.find('limit')
        if limit is not None and float(limit.get('velocity', 0)) > 0:
            limits[joint.attrib['name']] = float(limit.attrib['velocity'])
    return limits
