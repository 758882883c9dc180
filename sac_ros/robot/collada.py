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

"""Read the triangles of a COLLADA file (.dae), which MuJoCo does not read.

As in RViz the unit of the file counts and its up axis does not: a robot file places the mesh.
"""

# Not trimesh: pycollada leaves out, without an error, geometry whose texture is missing (all 4,604
# triangles of one foot of the ANYmal).
from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from sac_ros.errors import ModelError

Array = NDArray[np.float64]
FACES = ('triangles', 'polylist', 'polygons')


def read_collada(path: Path) -> Array:
    """Return the triangles (n, 3, 3) [m] of the scene of a file.

    Raises:
        ModelError: it is no COLLADA file, or one whose triangles cannot be found.
    """
    try:
        root = ElementTree.parse(path).getroot()
        for element in root.iter():
            element.tag = element.tag.rpartition('}')[2]
        unit = root.find('asset/unit')
        scale = float(unit.get('meter', 1)) if unit is not None else 1.0
        scenes = root.findall('library_visual_scenes/visual_scene')
        names = {e.attrib['id']: e for e in root.iter() if 'id' in e.attrib}
        placed = [
            triangles @ turn[:3, :3].T + turn[:3, 3]
            for scene in scenes
            for node in scene.findall('node')
            for triangles, turn in _placed(node, np.eye(4), names)
        ]
    except (ElementTree.ParseError, KeyError, ValueError, IndexError) as error:
        raise ModelError(f'{path} is no COLLADA file that can be read: {error!r}') from error
    if not placed or not sum(map(len, placed)):
        raise ModelError(f'{path} has no triangles; convert it to .stl or .obj')
    return scale * np.concatenate(placed)


def _placed(
    node: ElementTree.Element, turn: Array, names: dict[str, ElementTree.Element]
) -> Iterator[tuple[Array, Array]]:
    """Yield triangles (n, 3, 3) and the transform (4, 4) of every geometry below a node."""
    turn = turn @ _transform(node)
    for instance in [*node.findall('instance_geometry'), *node.findall('instance_controller')]:
        shape = names[instance.attrib['url'][1:]]
        if shape.tag == 'controller':
            shape = names[shape.find('skin').attrib['source'][1:]]  # type: ignore[union-attr]
        for mesh in shape.findall('mesh'):
            for faces in (f for kind in FACES for f in mesh.findall(kind)):
                yield _triangles(faces, names), turn
    for instance in node.findall('instance_node'):
        yield from _placed(names[instance.attrib['url'][1:]], turn, names)
    for child in node.findall('node'):
        yield from _placed(child, turn, names)


def _transform(node: ElementTree.Element) -> Array:
    total = np.eye(4)
    for step in node:
        if step.tag not in ('matrix', 'translate', 'rotate', 'scale'):
            continue
        values, matrix = _numbers(step), np.eye(4)
        if step.tag == 'matrix':
            matrix = values.reshape(4, 4)
        elif step.tag == 'translate':
            matrix[:3, 3] = values
        elif step.tag == 'scale':
            matrix[:3, :3] = np.diag(values)
        else:
            axis, angle = values[:3] / np.linalg.norm(values[:3]), math.radians(values[3])
            skew = np.cross(np.eye(3), axis)
            matrix[:3, :3] += math.sin(angle) * skew + (1 - math.cos(angle)) * skew @ skew
        total = total @ matrix
    return total


def _triangles(faces: ElementTree.Element, names: dict[str, ElementTree.Element]) -> Array:
    """Return the triangles (n, 3, 3) of one element, its polygons cut into fans."""
    inputs = {i.attrib['semantic']: i for i in faces.findall('input')}
    stride = 1 + max(int(i.attrib['offset']) for i in inputs.values())
    vertex = inputs['VERTEX']
    source = names[vertex.attrib['source'][1:]]
    (position,) = (i for i in source.findall('input') if i.get('semantic') == 'POSITION')
    array = names[position.attrib['source'][1:]].find('float_array')
    points = _numbers(array).reshape(-1, 3)
    offset = int(vertex.attrib['offset'])
    corners = [_integers(p).reshape(-1, stride)[:, offset] for p in faces.findall('p')]
    if faces.tag == 'triangles':
        polygons = [row for p in corners for row in p.reshape(-1, 3)]
    elif faces.tag == 'polygons':
        polygons = corners
    else:
        counts = _integers(faces.find('vcount'))
        polygons = np.split(corners[0], np.cumsum(counts)[:-1]) if len(counts) else []
    fans = [(p[0], p[k], p[k + 1]) for p in polygons for k in range(1, len(p) - 1)]
    return points[np.array(fans, np.int64).reshape(-1, 3)]


def _numbers(element: ElementTree.Element | None) -> Array:
    return np.array((element.text or '').split() if element is not None else [], np.float64)


def _integers(element: ElementTree.Element | None) -> NDArray[np.int64]:
    return np.array((element.text or '').split() if element is not None else [], np.int64)
