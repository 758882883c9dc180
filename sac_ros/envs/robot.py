"""A robot as it is described: read a URDF or MJCF file, name its joints and limits."""

from __future__ import annotations

import hashlib
import importlib.resources
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

import mujoco
import numpy as np
from numpy.typing import NDArray

from sac_ros.config import ArmConfig
from sac_ros.errors import ModelError
from sac_ros.spec import Chain

DRAKE = '{http://drake.mit.edu}'
SLIDE = int(mujoco.mjtJoint.mjJNT_SLIDE)
HINGE = int(mujoco.mjtJoint.mjJNT_HINGE)


@dataclass(frozen=True)
class Robot:
    """A robot's joints in order, their limits, and the chain to its tip."""

    name: str
    path: Path
    joint_names: tuple[str, ...]
    position_lower: tuple[float, ...]  # [rad] or [m], -inf where the joint is unlimited
    position_upper: tuple[float, ...]
    velocity_limit: tuple[float, ...]  # [rad/s] or [m/s], inf where the file gives none
    torque_limit: tuple[float, ...]  # [N·m] or [N]
    tip: str
    chain: Chain = field(repr=False, compare=False)
    model_hash: str
    urdf: str = field(repr=False)  # text for robot_description; empty for an MJCF robot


def default_model() -> Path:
    """Return the file of the arm that comes with the package."""
    return Path(str(importlib.resources.files('sac_ros') / 'models' / 'sac_arm.urdf'))


def load_robot(path: str = '', tip: str = '') -> Robot:
    """Read a URDF or MJCF file.

    Args:
        path: the file; empty for the arm that comes with the package.
        tip: body whose origin is the tip; empty for the last body of the chain.

    Raises:
        ModelError: the file cannot be read, or a joint lacks a torque limit.
    """
    file = Path(path) if path else default_model()
    spec = read_spec(file)
    model = _compile(spec, file)
    joints = [j for j in range(model.njnt) if model.jnt_type[j] in (HINGE, SLIDE)]
    names = tuple(model.joint(j).name for j in joints)
    if not names:
        raise ModelError(f'{file} has no hinge or slide joint to drive')
    lacking = [model.joint(j).name for j in joints if not model.jnt_actfrclimited[j]]
    if lacking:
        raise ModelError(
            f'{file}: no torque limit for {", ".join(lacking)}; add <limit effort="..."> (URDF) '
            f'or actuatorfrcrange="..." (MJCF) to each of these joints'
        )
    limited = model.jnt_limited[joints].astype(bool)
    lower, upper = np.where(limited[:, None], model.jnt_range[joints], [-np.inf, np.inf]).T
    velocity = _velocity_limits(file)
    tip = tip or _last_body(model, joints[-1])
    return Robot(
        name=spec.modelname,
        path=file,
        joint_names=names,
        position_lower=tuple(lower.tolist()),
        position_upper=tuple(upper.tolist()),
        velocity_limit=tuple(velocity.get(name, np.inf) for name in names),
        torque_limit=tuple(np.abs(model.jnt_actfrcrange[joints]).min(axis=1).tolist()),
        tip=tip,
        chain=kinematic_chain(model, names, tip, file),
        model_hash=_hash(model),
        urdf=file.read_text() if _is_urdf(file) else '',
    )


def read_spec(file: Path) -> mujoco.MjSpec:
    """Parse a robot file into an editable MuJoCo specification: a URDF keeps its visuals.

    Raises:
        ModelError: there is no such file, or MuJoCo refuses it.
    """
    try:
        if not _is_urdf(file):
            return mujoco.MjSpec.from_file(str(file))
        tree = ElementTree.parse(file).getroot()
        extension = tree.find('mujoco')
        if extension is None:
            extension = ElementTree.SubElement(tree, 'mujoco')
        compiler = extension.find('compiler')
        if compiler is None:
            compiler = ElementTree.SubElement(extension, 'compiler')
        compiler.attrib |= {'fusestatic': 'false', 'discardvisual': 'false'}
        compiler.attrib.setdefault('meshdir', str(file.resolve().parent))
        spec = mujoco.MjSpec.from_string(ElementTree.tostring(tree, encoding='unicode'))
        _add_rotor_inertia(spec, tree)
        _hide_collision_shapes(spec)
    except OSError as error:
        raise ModelError(f'cannot read the robot file {file}: {error.strerror}') from error
    except (ValueError, ElementTree.ParseError) as error:
        reason = ' '.join(str(error).split())
        raise ModelError(f'{file} is not a robot description: {reason}') from error
    return spec


def compile_model(robot: Robot, config: ArmConfig) -> mujoco.MjModel:
    """Compile the robot into a simulated torque-controlled arm standing on a table.

    Control i of the model is the torque [N·m] of joint i, clipped at its limit. Where gravity
    is compensated, that torque comes out of the same limit, as on a real arm.
    """
    spec = read_spec(robot.path)
    spec.option.timestep = config.timestep
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    for actuator in list(spec.actuators):
        spec.delete(actuator)
    for name, limit in zip(robot.joint_names, robot.torque_limit, strict=True):
        motor = spec.add_actuator(name=name, target=name, trntype=mujoco.mjtTrn.mjTRN_JOINT)
        motor.set_to_motor()
        motor.ctrlrange = [-limit, limit]
        motor.ctrllimited = True
        spec.joint(name).actgravcomp = config.gravity_compensation
    for body in spec.bodies:
        if body.name != 'world':
            body.gravcomp = float(config.gravity_compensation)
    _exclude_base_contacts(spec)
    if not any(geom.type == mujoco.mjtGeom.mjGEOM_PLANE for geom in spec.geoms):
        _add_table(spec)
    return _compile(spec, robot.path)


def kinematic_chain(
    model: mujoco.MjModel, joint_names: tuple[str, ...], tip: str, file: Path
) -> Chain:
    """Return the fixed transforms and joint axes from the world to the origin of body `tip`.

    Joints that are not in `joint_names` stay at their reference position.

    Raises:
        ModelError: there is no body of that name.
    """
    body = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_BODY, tip)
    if body < 0:
        bodies = ', '.join(model.body(i).name for i in range(1, model.nbody))
        raise ModelError(f'{file} has no body {tip!r} for the tip; it has {bodies}')
    path: list[int] = []
    while body > 0:
        path.insert(0, body)
        body = int(model.body_parentid[body])
    transforms = [(np.eye(3), np.zeros(3))]
    axes, prismatic, index = [], [], []
    for body in path:
        _then(transforms, _matrix(model.body_quat[body]), model.body_pos[body])
        for joint in range(
            model.body_jntadr[body], model.body_jntadr[body] + model.body_jntnum[body]
        ):
            name = model.joint(joint).name
            if name not in joint_names:
                continue
            anchor = model.jnt_pos[joint]
            _then(transforms, np.eye(3), anchor)
            axes.append(model.jnt_axis[joint].copy())
            prismatic.append(model.jnt_type[joint] == SLIDE)
            index.append(joint_names.index(name))
            transforms.append((np.eye(3), -anchor))
    return Chain(
        rotation=np.stack([r for r, _ in transforms]),
        translation=np.stack([t for _, t in transforms]),
        axis=np.array(axes).reshape(-1, 3),
        prismatic=np.array(prismatic, dtype=bool),
        joint=np.array(index, dtype=np.int64),
    )


def _then(
    transforms: list[tuple[NDArray[np.float64], NDArray[np.float64]]],
    rotation: NDArray[np.float64],
    translation: NDArray[np.float64],
) -> None:
    """Append a fixed transform to the last one."""
    last_rotation, last_translation = transforms[-1]
    transforms[-1] = (last_rotation @ rotation, last_translation + last_rotation @ translation)


def _matrix(quaternion: NDArray[np.float64]) -> NDArray[np.float64]:
    matrix = np.zeros(9)
    mujoco.mju_quat2Mat(matrix, quaternion)
    return matrix.reshape(3, 3)


def _is_urdf(file: Path) -> bool:
    return file.suffix.lower() == '.urdf'


def _compile(spec: mujoco.MjSpec, file: Path) -> mujoco.MjModel:
    try:
        return spec.compile()
    except ValueError as error:
        reason = ' '.join(str(error).split())
        raise ModelError(f'{file} does not compile: {reason}') from error


def _add_rotor_inertia(spec: mujoco.MjSpec, tree: ElementTree.Element) -> None:
    for transmission in tree.iter('transmission'):
        joint, actuator = transmission.find('joint'), transmission.find('actuator')
        rotor = actuator.find(f'{DRAKE}rotor_inertia') if actuator is not None else None
        gear = actuator.find(f'{DRAKE}gear_ratio') if actuator is not None else None
        if joint is None or rotor is None or gear is None:
            continue
        armature = float(rotor.attrib['value']) * float(gear.attrib['value']) ** 2
        spec.joint(joint.attrib['name']).armature = armature


def _hide_collision_shapes(spec: mujoco.MjSpec) -> None:
    """Move them to group 3, which is not drawn by default, where a link has visuals as well."""
    for body in spec.bodies:
        shapes = list(body.geoms)
        if any(not geom.contype for geom in shapes):
            for geom in shapes:
                geom.group = 3 if geom.contype else 1


def _velocity_limits(file: Path) -> dict[str, float]:
    if not _is_urdf(file):
        return {}
    limits = {}
    for joint in ElementTree.parse(file).getroot().iter('joint'):
        limit = joint.find('limit')
        if limit is not None and float(limit.get('velocity', 0)) > 0:
            limits[joint.attrib['name']] = float(limit.attrib['velocity'])
    return limits


def _last_body(model: mujoco.MjModel, joint: int) -> str:
    """Follow first children from the last joint's body to the end of the chain."""
    body = int(model.jnt_bodyid[joint])
    while True:
        children = np.flatnonzero(model.body_parentid == body)
        if not len(children):
            return str(model.body(body).name)
        body = int(children[0])


def _exclude_base_contacts(spec: mujoco.MjSpec) -> None:
    """A link may touch the fixed link that carries it: MuJoCo frees only moving pairs."""
    moving = {joint.parent.name for joint in spec.joints}
    for name in moving:
        parent = spec.body(name).parent
        while parent is not None and parent.name not in moving and parent.name != 'world':
            spec.add_exclude(bodyname1=parent.name, bodyname2=name)
            parent = parent.parent


def _add_table(spec: mujoco.MjSpec) -> None:
    spec.add_texture(
        name='sky',
        type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
        rgb1=[0.93, 0.95, 0.97],
        rgb2=[0.75, 0.80, 0.86],
        width=64,
        height=384,
    )
    spec.worldbody.add_geom(
        name='table', type=mujoco.mjtGeom.mjGEOM_PLANE, size=[2, 2, 0.1], rgba=[0.7, 0.74, 0.78, 1]
    )
    spec.worldbody.add_light(
        type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
        pos=[0.6, -1.2, 2.5],
        dir=[-0.25, 0.5, -1],
        diffuse=[0.6] * 3,
        ambient=[0.25] * 3,
    )


def _hash(model: mujoco.MjModel) -> str:
    """Hash what the robot is, so that a reformatted file stays the same robot."""
    digest = hashlib.sha256()
    for j in range(model.njnt):
        digest.update(model.joint(j).name.encode())
    parts = (
        model.body_parentid, model.body_pos, model.body_quat, model.body_mass, model.body_ipos,
        model.body_iquat, model.body_inertia, model.jnt_type, model.jnt_axis, model.jnt_pos,
        model.jnt_range, model.jnt_actfrcrange, model.dof_damping, model.dof_frictionloss,
        model.dof_armature,
    )  # fmt: skip
    for part in parts:
        digest.update(' '.join(f'{value:.6g}' for value in np.ravel(part)).encode())
    return digest.hexdigest()
