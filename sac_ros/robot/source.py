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

"""Read a robot file of any kind into an editable MuJoCo specification, and compile it."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

import mujoco

from sac_ros.errors import ModelError
from sac_ros.robot.inertials import replace_impossible_inertias
from sac_ros.robot.mesh_check import leave_out_unusable
from sac_ros.robot.scene import remove_objects
from sac_ros.robot.urdf import ParsedRobot, expand_xacro, hide_collision_shapes, read_urdf

MARKS = {
    codecs.BOM_UTF8: 'utf-8-sig',
    codecs.BOM_UTF16_LE: 'utf-16',
    codecs.BOM_UTF16_BE: 'utf-16',
}
DECLARATION = re.compile(r'\s*<\?xml[^>]*?\?>')
ENCODING = re.compile(rb'\s*<\?xml[^>]*?encoding=["\']([\w.:-]+)["\']')
ROOT = re.compile(r'(?:\s|<\?.*?\?>|<!--.*?-->|<![^>]*>)*<([\w:.-]+)', re.DOTALL)
XACRO = re.compile(r'<xacro:\w')


def read_source(file: Path, xacro_args: str = '') -> ParsedRobot:
    """Parse a robot file into an editable MuJoCo specification: a URDF keeps its visuals.

    Its root element says what it is, whatever the file is called.

    Raises:
        ModelError: there is no such file, or it is no robot description.
    """
    try:
        text, encoding = _read_text(file)
        root = ROOT.match(text)
        if root is not None and root[1] not in ('robot', 'mujoco'):
            raise ModelError(
                f'{file} is no robot description: its root is <{root[1]}>; a URDF has <robot>, an '
                f'MJCF <mujoco>'
            )
        is_urdf = root is not None and root[1] == 'robot'
        is_xacro = file.suffix.lower() == '.xacro' or (is_urdf and XACRO.search(text))
        if xacro_args and not is_xacro:
            raise ModelError(f'{file} is no .xacro file, so it takes no xacro_args')
        if is_xacro:
            source = read_urdf(file, expand_xacro(file, xacro_args))
        elif is_urdf:
            source = read_urdf(file, text)
        elif encoding:
            raise ModelError(f'{file} is in {encoding}; save it in UTF-8, which MuJoCo reads')
        else:
            source = _read_mjcf(file)
    except OSError as error:
        raise ModelError(f'cannot read the robot file {file}: {error.strerror}') from error
    except ValueError as error:
        reason = ' '.join(str(error).split())
        raise ModelError(f'{file} is not a robot description: {reason}') from error
    remove_objects(source.spec, source.notes)
    replace_impossible_inertias(source.spec, source.meshes, source.notes, file)
    return source


def _read_mjcf(file: Path) -> ParsedRobot:
    spec = mujoco.MjSpec.from_file(str(file))
    for things, kind in ((spec.bodies, 'body'), (spec.joints, 'joint')):
        for number, thing in enumerate(things):
            thing.name = thing.name or f'{kind}{number}'
    spec.compiler.balanceinertia = True
    hide_collision_shapes(spec)
    bodies = {body.name for body in spec.bodies}
    return ParsedRobot(spec=spec, base='world' if 'base_link' in bodies else 'base_link')


def _read_text(file: Path) -> tuple[str, str]:
    """Return the text of a file, and its encoding where that is not UTF-8.

    Raises:
        ModelError: it is not in the encoding that it declares, or in an unknown one.
    """
    content = file.read_bytes()
    declared = ENCODING.match(content)
    encoding = next((name for mark, name in MARKS.items() if content.startswith(mark)), '')
    encoding = encoding or (declared[1].decode() if declared else 'utf-8')
    try:
        text = content.decode(encoding)
    except (UnicodeDecodeError, LookupError) as error:
        raise ModelError(
            f'{file} cannot be read as {encoding}: {error}; declare its encoding or save it in '
            f'UTF-8'
        ) from error
    if codecs.lookup(encoding).name in ('utf-8', 'utf-8-sig', 'ascii'):
        return text, ''
    return DECLARATION.sub('', text, count=1), encoding


def compile_source(source: ParsedRobot, file: Path) -> mujoco.MjModel:
    """Compile what was read, without the visuals whose meshes cannot be used.

    Raises:
        ModelError: it does not compile, or a collision shape has such a mesh.
    """
    untouched = source.spec.copy()  # one that did not compile cannot be read any more
    try:
        model: mujoco.MjModel = source.spec.compile()
    except ValueError:
        source.spec = untouched
        leave_out_unusable(source.spec, source.meshes, source.notes, file)
        return compile_spec(source.spec, file)
    return model


def compile_spec(spec: mujoco.MjSpec, source: object) -> mujoco.MjModel:
    """Compile, or raise a ModelError that names the file."""
    try:
        return spec.compile()
    except ValueError as error:
        reason = ' '.join(str(error).split())
        raise ModelError(f'{source} does not compile: {reason}') from error
