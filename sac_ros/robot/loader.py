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

"""A robot as it is described: read a URDF or MJCF file, name its joints and limits."""

from __future__ import annotations

import importlib.resources
import math
from dataclasses import dataclass, field, replace
from pathlib import Path

import mujoco
import numpy as np
from numpy.typing import NDArray

from sac_ros.config.limit_overrides import parse_limit_overrides
from sac_ros.config.robot import ArmConfig
from sac_ros.errors import ModelError
from sac_ros.robot.actuation import choose_joints, with_torque_limits
from sac_ros.robot.actuators import (
    add_default_drive_dynamics,
    remove_drives,
    servos,
    torque_limits_of,
)
from sac_ros.robot.contacts import complete_contacts, exclude_base_contacts
from sac_ros.robot.dynamics import dynamics_of
from sac_ros.robot.fixed_joints import fix_joints, following, held_joints
from sac_ros.robot.kinematics import SLIDE, kinematic_chain, last_body, path_to, tip_body
from sac_ros.robot.limits import check_position_limits, position_limits_of
from sac_ros.robot.mimic import Mimic, mimics_of, refuse_loops, stiffen
from sac_ros.robot.model_hash import hash_of_model, hash_with_tip
from sac_ros.robot.scene import move_base_to_origin
from sac_ros.robot.source import compile_source, compile_spec, read_source
from sac_ros.robot.table import Table, add_table, table_in, table_setting
from sac_ros.robot.tip_link import default_tip, gripper_joints
from sac_ros.robot.urdf import ParsedRobot
from sac_ros.types import KinematicChain

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
    chain: KinematicChain = field(repr=False, compare=False)
    model_hash: str
    urdf: str = field(repr=False)  # text for robot_description; empty for an MJCF robot
    base: str = 'base_link'  # frame of everything that is given in the base frame
    held: tuple[tuple[str, float], ...] = ()  # joints that stay where they are [rad] or [m]
    mimics: tuple[Mimic, ...] = field(default=(), compare=False)  # joints that follow others
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


def robot_from_config(config: ArmConfig) -> Robot:
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
    model = compile_source(source, file)
    movable = [j for j in range(model.njnt) if model.jnt_type[j] in (HINGE, SLIDE)]
    names = [model.joint(j).name for j in movable]
    if not names:
        raise ModelError(f'{file} has no hinge or slide joint to drive')
    limit = torque_limits_of(model) | parse_limit_overrides(torque_limits, names, 'torque_limits')
    followers = following(source, model, limit)
    end = tip_body(model, tip, file)[0] if tip else -1
    gripper = set() if joints.strip() else gripper_joints(model, movable, end)
    chosen = [n for n in choose_joints(names, joints, followers, file) if n not in gripper]
    if gripper:
        source.notes.append(
            f'held as a gripper: {", ".join(n for n in names if n in gripper)}; arm.joints that '
            f'names them actuates them'
        )
    if not chosen:
        raise ModelError(f'{file}: every joint follows another one or is locked; none can drive')
    last = movable[names.index(([name for name in chosen if name in limit] or chosen)[-1])]
    ends = set(names) - set(chosen) - {mimic.joint for mimic in mimics_of(model, chosen)}
    usual = last_body(model, last, ends)
    tip = tip or default_tip(model, usual)
    chosen = with_torque_limits(model, chosen, limit, tip=tip, named=bool(joints), source=file)
    turned = [name for name in servos(model) if name in chosen]
    if turned:
        source.notes.append(f'servos became torque motors: {", ".join(turned)}')
    check_position_limits(source, model, chosen, file)
    held = held_joints(model, source, chosen, names)
    fastest = source.velocity_limit | parse_limit_overrides(
        velocity_limits, names, 'velocity_limits'
    )
    add_default_drive_dynamics(source, model, chosen, limit, fastest)
    remove_drives(source.spec)
    fix_joints(source.spec, model, held)
    root = path_to(model, tip_body(model, tip, file)[0])[0]
    if not {model.joint(j).name for j in movable if model.jnt_bodyid[j] == root} - held.keys():
        move_base_to_origin(source.spec, model, root)
        source.base = source.base if source.urdf else str(model.body(root).name)
    asked = table_setting(table) or table_in(model)
    limits = limit, fastest
    robot = _to_robot(file, source, chosen, tip, held=held, limits=limits, table=asked)
    if tip == usual:
        return robot
    return replace(robot, model_hash=hash_with_tip(robot.model_hash, robot.chain))


def _to_robot(
    file: Path,
    source: ParsedRobot,
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
    stiffen(source.spec)
    standing = source.spec.copy()
    if (table or Table()).added:
        add_table(standing, (table or Table()).height)
    model = compile_spec(standing, file)
    refuse_loops(model, file)
    mimics = mimics_of(model, chosen)
    lower, upper = position_limits_of(model, tuple(chosen), mimics, file)
    torque, velocity = limits
    chain = kinematic_chain(model, tuple(chosen), tip, file, mimics)
    end = tip_body(model, tip, file)[0]
    dynamics = dynamics_of(model, tuple(chosen), chain, end, mimics)
    robot = Robot(
        name=source.spec.modelname,
        path=file,
        joint_names=tuple(chosen),
        position_lower=tuple(lower.tolist()),
        position_upper=tuple(upper.tolist()),
        velocity_limit=tuple(velocity.get(name, np.inf) for name in chosen),
        torque_limit=tuple(torque[name] for name in chosen),
        tip=tip,
        chain=chain._replace(dynamics=dynamics),
        model_hash=hash_of_model(model, mimics),
        urdf=source.urdf,
        base=source.base,
        held=tuple(held.items()),
        mimics=mimics,
        notes=tuple(source.notes),
        spec=source.spec,
    )
    if table is not None and table.body:  # its height may have changed with the base frame
        table = table_in(model)
    ends = zip(*(end.tolist() for end in robot.joint_ranges()), strict=True)
    ranges = dict(zip(chosen, ends, strict=True))
    standing_on, notes = complete_contacts(
        source.spec,
        model,
        ranges,
        mimics,
        table or Table(),
        asked=table is not None,
        source=file,
    )
    return replace(robot, table=standing_on, notes=(*robot.notes, *notes))
