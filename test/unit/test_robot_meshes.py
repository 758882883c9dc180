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

"""Meshes that cannot be used: a visual is left out, with a note; a collision shape is an error."""

import struct

import numpy as np
import pytest
from robot_texts import INERTIAL, urdf

from sac_ros.config.robot import ArmConfig
from sac_ros.errors import ModelError
from sac_ros.robot.loader import load_robot
from sac_ros.robot.meshes import MAX_TRIANGLES
from sac_ros.sim.arm import SimArm

CORNERS = np.array([[0, 0, 0], [0.1, 0, 0], [0, 0.1, 0], [0, 0, 0.1]])
TETRAHEDRON = CORNERS[[[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]]]
SQUARE = np.array([[[0, 0, 0], [1, 0, 0], [1, 1, 0]], [[0, 0, 0], [1, 1, 0], [0, 1, 0]]]) / 10


def stl(triangles, count=None, head=b''):
    count = len(triangles) if count is None else count
    records = b''.join(struct.pack('<12fH', 0, 0, 0, *np.ravel(t), 0) for t in triangles)
    return head.ljust(80) + struct.pack('<I', count) + records


def text_stl(triangles, upper=False):
    lines = ['solid thing']
    for triangle in triangles:
        lines += ['facet normal 0 0 0', 'outer loop']
        lines += [f'vertex {" ".join(map(str, corner))}' for corner in triangle]
        lines += ['endloop', 'endfacet']
    text = '\n'.join([*lines, 'endsolid'])
    return (text.upper() if upper else text).encode()


POINTER = b'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n'
USABLE = {
    'binary.stl': stl(TETRAHEDRON),
    'binary_that_begins_with_solid.stl': stl(TETRAHEDRON, head=b'solid'),
    'trailing_bytes.stl': stl(TETRAHEDRON) + b'\0\0',
    'text.stl': text_stl(TETRAHEDRON),
    'capitals.stl': text_stl(TETRAHEDRON, upper=True),
}
UNUSABLE = {
    'nothing.stl': (b'', 'is empty; export it again'),
    'no_triangle.stl': (stl([]), 'has no triangles; export it again'),
    'web_page.stl': (b'<html>404 Not Found</html>', 'has no triangles'),
    'truncated.stl': (stl(TETRAHEDRON)[:-30], 'is truncated: it has 254 bytes, and its 4 triang'),
    'many.stl': (stl([], MAX_TRIANGLES + 1), 'has 200,001 triangles, more than 200,000; simplify'),
    'text_cut.stl': (
        b'solid x\nfacet normal 0 0 0\nouter loop\nvertex 0 0',
        'is no STL that can be',
    ),
    'pointer.stl': (POINTER, 'is a Git LFS pointer instead of the mesh; run git lfs pull'),
    'pointer.obj': (POINTER, 'is a Git LFS pointer'),
    'pointer.dae': (POINTER, 'is a Git LFS pointer'),
    'pointer.glb': (POINTER, 'is a Git LFS pointer'),
    'nan.stl': (stl(TETRAHEDRON * np.nan), 'cannot be used .*not finite'),
    'one_triangle.stl': (stl(TETRAHEDRON[:1]), 'cannot be used .*4 vertices'),
    'no_mesh.obj': (b'hello', 'cannot be used .*4 vertices'),
    'no_mesh.msh': (b'xx', 'cannot be used .*header'),
}
MJCF = """<mujoco><compiler meshdir="meshes" angle="radian"/><asset>
  <mesh name="m" file="{file}"/></asset><worldbody><body name="l2">
  <joint name="j" actuatorfrcrange="-3 3" range="-2 2"/><inertial pos="0 0 0" mass="1"
    diaginertia=".1 .1 .1"/><geom type="mesh" mesh="m" {contacts}/></body></worldbody></mujoco>"""


def shape(kind, name, scale=''):
    mesh = f'<mesh filename="meshes/{name}" {scale}/>'
    return f'<{kind}><geometry>{mesh}</geometry></{kind}>'


def load(folder, text, **meshes):
    (folder / 'meshes').mkdir(exist_ok=True)
    for name, content in meshes.items():
        (folder / 'meshes' / name).write_bytes(content)
    file = folder / 'robot.xml'
    file.write_text(text)
    return load_robot(str(file), table='none')


def meshes_of(robot):
    return SimArm(ArmConfig(), robot).model.nmesh


@pytest.mark.parametrize('name', USABLE)
def test_every_kind_of_stl_is_read(tmp_path, name):
    for kind in ('visual', 'collision'):
        text = urdf(link=INERTIAL + shape(kind, name))
        robot = load(tmp_path, text, **{name: USABLE[name]})
        assert 'left out' not in ' '.join(robot.notes)
        assert meshes_of(robot) == 1


@pytest.mark.parametrize('name', UNUSABLE)
def test_a_mesh_that_cannot_be_used(tmp_path, name):
    content, reason = UNUSABLE[name]
    robot = load(tmp_path, urdf(link=INERTIAL + shape('visual', name)), **{name: content})
    (note,) = (note for note in robot.notes if 'left out of the simulation' in note)
    path = tmp_path / 'meshes' / name
    assert note.startswith('visual of l2')
    assert str(path) in note
    assert meshes_of(robot) == 0
    with pytest.raises(ModelError, match=f'collision shape.*{path} .*{reason}|{path} {reason}'):
        load(tmp_path, urdf(link=INERTIAL + shape('collision', name)))


@pytest.mark.parametrize('name', ['pointer.stl', 'truncated.stl', 'nan.stl', 'absent.stl'])
def test_meshes_of_an_mjcf_are_treated_alike(tmp_path, name):
    meshes = {name: UNUSABLE[name][0]} if name in UNUSABLE else {}
    robot = load(
        tmp_path, MJCF.format(file=name, contacts='contype="0" conaffinity="0"'), **meshes
    )
    (note,) = (note for note in robot.notes if 'left out of the simulation' in note)
    assert str(tmp_path / 'meshes' / name) in note
    with pytest.raises(ModelError, match=f'collision shape of l2: .*{name}'):
        load(tmp_path, MJCF.format(file=name, contacts=''))


def test_a_flat_mesh_is_a_visual_without_a_mass(tmp_path):
    flat = {'flat.stl': stl(SQUARE)}
    robot = load(tmp_path, urdf(link=INERTIAL + shape('visual', 'flat.stl')), **flat)
    assert meshes_of(robot) == 1
    robot = load(tmp_path, urdf(link=shape('visual', 'flat.stl')))
    assert 'l2 has neither inertial nor shape; it weighs 0.001 kg' in robot.notes
    assert meshes_of(robot) == 1
    with pytest.raises(ModelError, match=r'collision shape of l2: .*flat\.stl'):
        load(tmp_path, urdf(link=INERTIAL + shape('collision', 'flat.stl')))


def test_a_mesh_without_a_size_is_left_out(tmp_path):
    visual = shape('visual', 'm.stl', 'scale="0 0 0"')
    robot = load(tmp_path, urdf(link=INERTIAL + visual), **{'m.stl': stl(TETRAHEDRON)})
    assert any('m.stl is a mesh that cannot be used' in note for note in robot.notes)


def test_an_unusable_visual_beside_an_impossible_inertia(tmp_path):
    zero = INERTIAL.replace('.01', '0')
    visual = shape('visual', 'nan.stl') + shape('collision', 'm.stl')
    meshes = {'nan.stl': UNUSABLE['nan.stl'][0], 'm.stl': stl(TETRAHEDRON)}
    notes = ' '.join(load(tmp_path, urdf(link=zero + visual), **meshes).notes)
    assert 'visual of l2 is left out' in notes
    assert 'l2: no body of 1 kg has its inertia, which is replaced by that of its shapes' in notes
