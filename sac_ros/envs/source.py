"""Read a robot file of any kind into an editable MuJoCo specification, and compile it."""

from __future__ import annotations

from pathlib import Path

import mujoco

from sac_ros.envs.holding import JOINT_EQUALITY
from sac_ros.envs.scene import remove_objects
from sac_ros.envs.urdf import Source, expand_xacro, hide_collision_shapes, read_urdf
from sac_ros.errors import ModelError


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
