"""A robot as it is described: read a URDF or MJCF file, name its joints and limits."""

from __future__ import annotations

import hashlib
import importlib.resources
import math
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path

import mujoco
import numpy as np
from numpy.typing import NDArray

from sac_ros.config import ArmConfig
from sac_ros.envs.chain import SLIDE, kinematic_chain, last_body, path_to, tip_body
from sac_ros.envs.contacts import complete_contacts, exclude_base_contacts
from sac_ros.envs.drives import complete_drives, overrides, servos, torque_limits_of
from sac_ros.envs.dynamics import dynamics_of
from sac_ros.envs.holding import JOINT_EQUALITY, held_joints, weld
from sac_ros.envs.scene import move_base_to_origin, remove_objects
from sac_ros.envs.table import Table, add_table, table_in, table_setting
from sac_ros.envs.tip import default_tip, gripper_joints
from sac_ros.envs.urdf import Source, expand_xacro, hide_collision_shapes, read_urdf
from sac_ros.errors import ModelError
from sac_ros.spec import Chain

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
    tip: str  # a body or a site
    chain: Chain = field(repr=False, compare=False)
    model_hash: str
    urdf: str = field(repr=False)  # text for robot_description; empty for an MJCF robot
    base: str = 'base_link'  # frame of everything that is given in the base frame
    held: tuple[tuple[str, float], ...] = ()  # joints that stay where they are [rad] or [m]
    notes: tuple[str, ...] = ()  # what was left out of the file or made up
    table: Table = field(default_factory=Table)
    spec: mujoco.MjSpec = field(default=None, repr=False, compare=False)  # held joints are welded

    def joint_ranges(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return lower and upper ends (n,) of the ranges, [-pi, pi] where there is no limit."""
        lower, upper = np.array(self.position_lower), np.array(self.position_upper)
        free = ~(np.isfinite(lower) & np.isfinite(upper))
        return np.where(free, -math.pi, lower), np.where(free, math.pi, upper)


def default_model() -> Path:
    """Return the file of the arm that comes with the package."""
    return Path(str(importlib.resources.files('sac_ros') / 'models' / 'sac_arm.urdf'))


def robot_of(config: ArmConfig) -> Robot:
    """Read the robot of a configuration; raises ModelError as `load_robot` does."""
    return load_robot(
        config.model,
        config.tip,
        joints=config.joints,
        torque_limits=config.torque_limits,
        velocity_limits=config.velocity_limits,
        xacro_args=config.xacro_args,
        table=config.table,
    )


def load_robot(
    path: str = '',
    tip: str = '',
    *,
    joints: str = '',
    torque_limits: str = '',
    velocity_limits: str = '',
    xacro_args: str = '',
    table: str = '',
) -> Robot:
    """Read a URDF, .xacro or MJCF file.

    Args:
        path: the file; empty for the arm that comes with the package.
        tip: body or site whose origin is the tip; empty for the one that `default_tip` chooses.
        joints: names or patterns, comma between, of the joints to actuate; the others are held.
            Empty for every hinge and slide joint with a torque limit, those of a gripper apart.
        torque_limits: `name=value` pairs, comma between, that replace those of the file [N·m].
        velocity_limits: the same for velocities [rad/s].
        xacro_args: `name:=value` pairs for a .xacro file, spaces between.
        table: height of the table in the base frame [m], or none; empty for a table of the file,
            else 0.

    Raises:
        ModelError: the file cannot be read, or joints of the chain lack a torque limit.
    """
    file = Path(path) if path else default_model()
    source = read_source(file, xacro_args)
    model = compile_spec(source.spec, file)
    movable = [j for j in range(model.njnt) if model.jnt_type[j] in (HINGE, SLIDE)]
    names = [model.joint(j).name for j in movable]
    if not names:
        raise ModelError(f'{file} has no hinge or slide joint to drive')
    end = tip_body(model, tip, file)[0] if tip else -1
    gripper = set() if joints.strip() else gripper_joints(model, movable, end)
    chosen = [name for name in _chosen(source, names, joints, file) if name not in gripper]
    if gripper:
        source.notes.append(
            f'held as a gripper: {", ".join(n for n in names if n in gripper)}; arm.joints that '
            f'names them actuates them'
        )
    limit = torque_limits_of(model) | overrides(torque_limits, names, 'torque_limits')
    last = movable[names.index(([name for name in chosen if name in limit] or chosen)[-1])]
    usual = last_body(model, last, set(names) - set(chosen))
    tip = tip or default_tip(model, last, usual)
    chosen = _with_limits(model, chosen, limit, tip=tip, named=bool(joints), file=file)
    turned = [name for name in servos(model) if name in chosen]
    if turned:
        source.notes.append(f'servos became torque motors: {", ".join(turned)}')
    held = held_joints(model, source, chosen, names)
    fastest = source.velocity_limit | overrides(velocity_limits, names, 'velocity_limits')
    complete_drives(source, model, chosen, limit, fastest)
    weld(source.spec, model, held)
    root = path_to(model, tip_body(model, tip, file)[0])[0]
    if not {model.joint(j).name for j in movable if model.jnt_bodyid[j] == root} - held.keys():
        move_base_to_origin(source.spec, model, root)
        source.base = source.base if source.urdf else str(model.body(root).name)
    asked = table_setting(table) or table_in(model)
    limits = limit, fastest
    robot = _to_robot(file, source, chosen, tip, held=held, limits=limits, table=asked)
    return robot if tip == usual else replace(robot, model_hash=_hash_with_tip(robot))


def _to_robot(
    file: Path,
    source: Source,
    chosen: list[str],
    tip: str,
    *,
    held: dict[str, float],
    limits: tuple[dict[str, float], dict[str, float]],
    table: Table | None,
) -> Robot:
    """Gather what is known.

    Args:
        file: the robot file.
        source: what was read of it, held joints welded.
        chosen: the joints that are actuated.
        tip: body or site.
        held: the joints that are not.
        limits: of torque and of velocity.
        table: what was asked for, or is in the file; None for the mounting plane.
    """
    exclude_base_contacts(source.spec)
    standing = source.spec.copy()
    if (table or Table()).added:
        add_table(standing, (table or Table()).height)
    model = compile_spec(standing, file)
    index = [model.joint(name).id for name in chosen]
    limited = model.jnt_limited[index].astype(bool)
    lower, upper = np.where(limited[:, None], model.jnt_range[index], [-np.inf, np.inf]).T
    torque, velocity = limits
    chain = kinematic_chain(model, tuple(chosen), tip, file)
    robot = Robot(
        name=source.spec.modelname,
        path=file,
        joint_names=tuple(chosen),
        position_lower=tuple(lower.tolist()),
        position_upper=tuple(upper.tolist()),
        velocity_limit=tuple(velocity.get(name, np.inf) for name in chosen),
        torque_limit=tuple(torque[name] for name in chosen),
        tip=tip,
        chain=chain._replace(dynamics=dynamics_of(model, tuple(chosen), chain)),
        model_hash=_hash(model),
        urdf=source.urdf,
        base=source.base,
        held=tuple(held.items()),
        notes=tuple(source.notes),
        spec=source.spec,
    )
    if table is not None and table.body:  # its height may have changed with the base frame
        table = table_in(model)
    ends = zip(*(end.tolist() for end in robot.joint_ranges()), strict=True)
    ranges = dict(zip(chosen, ends, strict=True))
    standing_on, notes = complete_contacts(
        source.spec, model, ranges, table or Table(), asked=table is not None, source=file
    )
    return replace(robot, table=standing_on, notes=(*robot.notes, *notes))


def read_source(file: Path, xacro_args: str = '') -> Source:
    """Parse a robot file into an editable MuJoCo specification: a URDF keeps its visuals.

    Raises:
        ModelError: there is no such file, or it is no robot description.
    """
    try:
        if file.suffix.lower() == '.xacro':
            return read_urdf(file, expand_xacro(file, xacro_args))
        if xacro_args:
            raise ModelError(f'{file} is no .xacro file, so it takes no xacro_args')
        if file.suffix.lower() == '.urdf':
            return read_urdf(file, file.read_text())
        spec = mujoco.MjSpec.from_file(str(file))
    except OSError as error:
        raise ModelError(f'cannot read the robot file {file}: {error.strerror}') from error
    except ValueError as error:
        reason = ' '.join(str(error).split())
        raise ModelError(f'{file} is not a robot description: {reason}') from error
    for things, kind in ((spec.bodies, 'body'), (spec.joints, 'joint')):
        for number, thing in enumerate(things):
            thing.name = thing.name or f'{kind}{number}'
    notes: list[str] = []
    remove_objects(spec, notes)
    hide_collision_shapes(spec)
    bodies = {body.name for body in spec.bodies}
    return Source(
        spec=spec,
        base='world' if 'base_link' in bodies else 'base_link',
        mimics=frozenset(e.name1 for e in spec.equalities if e.type == JOINT_EQUALITY and e.name2),
        notes=notes,
    )


def compile_spec(spec: mujoco.MjSpec, source: object) -> mujoco.MjModel:
    """Compile, or raise a ModelError that names the file."""
    try:
        return spec.compile()
    except ValueError as error:
        reason = ' '.join(str(error).split())
        raise ModelError(f'{source} does not compile: {reason}') from error


def _chosen(source: Source, names: list[str], patterns: str, file: Path) -> list[str]:
    """Return the joints to actuate, in the order of the file."""
    wanted = [pattern.strip() for pattern in patterns.split(',') if pattern.strip()]
    if not wanted:
        return [name for name in names if name not in source.mimics]
    unknown = [w for w in wanted if not any(fnmatchcase(name, w) for name in names)]
    if unknown:
        raise ModelError(
            f'{file} has no joint {", ".join(map(repr, unknown))} to actuate; it has '
            f'{", ".join(names)}'
        )
    return [name for name in names if any(fnmatchcase(name, w) for w in wanted)]


def _with_limits(
    model: mujoco.MjModel,
    chosen: list[str],
    limit: dict[str, float],
    *,
    tip: str,
    named: bool,
    file: Path,
) -> list[str]:
    """Leave out joints beside the chain that have no torque limit, unless they were named.

    Raises:
        ModelError: joints of the chain, or joints that were named, have none; all are listed.
    """
    lacking = [name for name in chosen if name not in limit]
    chain = path_to(model, tip_body(model, tip, file)[0])
    needed = [n for n in lacking if named or int(model.joint(n).bodyid[0]) in chain]
    if needed or len(lacking) == len(chosen):
        raise ModelError(
            f'{file}: no torque limit for {", ".join(needed or lacking)}; add '
            f'<limit effort="..."> (URDF) or actuatorfrcrange="..." (MJCF) to each of these '
            f'joints, or give arm.torque_limits, or leave them out of arm.joints'
        )
    return [name for name in chosen if name in limit]


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


def _hash_with_tip(robot: Robot) -> str:
    """Hash a robot and where its tip is, which a policy depends on as well.

    Only for a tip that was chosen: the usual one follows from the robot.
    """
    digest = hashlib.sha256(robot.model_hash.encode())
    for part in (robot.chain.joint, robot.chain.rotation, robot.chain.translation):
        near = np.round(part, 6) + 0.0  # no digits of rounding errors, no minus zero
        digest.update(' '.join(f'{value:.6g}' for value in near.ravel()).encode())
    return digest.hexdigest()
