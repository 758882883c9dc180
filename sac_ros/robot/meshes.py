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

"""The meshes that a robot file names: found by package, address or path, and made readable."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from sac_ros.errors import ModelError
from sac_ros.robot.collada import read_collada

READABLE = ('.stl', '.obj', '.msh')  # mesh formats that MuJoCo reads
LFS_POINTER = b'version https://git-lfs.github.com/spec/'
MAX_TRIANGLES = 200_000  # in an STL that MuJoCo reads


def gather_meshes(
    file: Path, tree: ElementTree.Element, notes: list[str]
) -> tuple[dict[str, bytes], dict[str, Path]]:
    """Read every mesh; leave out the visual ones that are missing or cannot be read.

    Returns:
        Content and path of each, by the name that takes the place of its own in the tree.

    Raises:
        ModelError: meshes of collision shapes are missing, and all are named; or one of them
            cannot be read.
    """
    folders = _mesh_folders(file, tree)
    assets: dict[str, bytes] = {}
    names: dict[Path, str] = {}
    missing: list[str] = []
    for link in tree.iter('link'):
        for shape in [*link.findall('visual'), *link.findall('collision')]:
            mesh = shape.find('geometry/mesh')
            if mesh is None:
                continue
            name = mesh.attrib.get('filename', '')
            path = find_file(name, file, folders)
            try:
                if path is not None and path not in names:
                    content, suffix = read_mesh(path)
                    names[path] = f'mesh{len(names)}_{path.stem}{suffix}'
                    assets[names[path]] = content
                reason = 'it is missing'
            except (ModelError, OSError) as error:
                reason = f'{path}: {error.strerror}' if isinstance(error, OSError) else str(error)
                if shape.tag == 'collision':
                    raise ModelError(f'{file}: collision shape: {reason}') from error
                path = None
            if path is not None:
                mesh.attrib['filename'] = names[path]
                continue
            link.remove(shape)
            if shape.tag == 'collision':
                missing.append(name)
            notes.append(
                f'{shape.tag} of {link.attrib.get("name")}: {name} is left out of the simulation: '
                f'{reason}'
            )
    if missing:
        raise ModelError(
            f'{file}: meshes of collision shapes are missing: {", ".join(missing)}; put the '
            f'package into AMENT_PREFIX_PATH or ROS_PACKAGE_PATH, or beside the file'
        )
    return assets, {name: path for path, name in names.items()}


def make_absolute(file: Path, tree: ElementTree.Element) -> bool:
    """Give every mesh that is found its absolute address, which RViz needs; True if any was.

    Addresses in packages that ROS finds stay as they are: they are right on other machines, too.
    """
    folders, found = _mesh_folders(file, tree), False
    for mesh in tree.iter('mesh'):
        path = find_file(mesh.attrib.get('filename', ''), file, folders)
        if path is not None:
            found = True
            if not _in_installed_package(mesh.attrib['filename']):
                mesh.attrib['filename'] = path.resolve().as_uri()
    return found


def _in_installed_package(name: str) -> bool:
    """Whether an address package://PACKAGE/path leads to a package in the index of ament."""
    scheme, _, rest = name.partition('://')
    package = rest.partition('/')[0]
    prefixes = filter(None, os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep))
    index = 'share/ament_index/resource_index/packages'
    return scheme == 'package' and any((Path(p) / index / package).is_file() for p in prefixes)


def find_file(name: str, near: Path, folders: tuple[Path, ...] = ()) -> Path | None:
    """Find a file by the name a URDF gives it; None when it is nowhere.

    Args:
        name: package://PACKAGE/path, file://path, or a path.
        near: the URDF; relative paths start in its folder, and a package is looked for among the
            folders above it as well as in AMENT_PREFIX_PATH and ROS_PACKAGE_PATH.
        folders: where else relative paths may start.
    """
    scheme, _, rest = name.rpartition('://')
    rest = unquote(rest) if scheme else rest
    here = near.resolve().parent
    if scheme in {'package', 'model'}:
        package, _, inside = rest.partition('/')
        candidates = (place / inside for place in _package_places(package, here))
    else:
        candidates = (place / rest for place in (here, *folders))
    return next((path for path in candidates if path.is_file()), None)


def _package_places(package: str, here: Path) -> Iterator[Path]:
    for prefix in filter(None, os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep)):
        yield Path(prefix) / 'share' / package
    for place in filter(None, os.environ.get('ROS_PACKAGE_PATH', '').split(os.pathsep)):
        yield Path(place) / package
    for folder in (here, *here.parents):
        manifest = folder / 'package.xml'
        if folder.name == package or (
            manifest.is_file() and f'<name>{package}</name>' in manifest.read_text(errors='ignore')
        ):
            yield folder
        yield folder / package


def _mesh_folders(file: Path, tree: ElementTree.Element) -> tuple[Path, ...]:
    compiler = tree.find('mujoco/compiler')
    folder = compiler.attrib.get('meshdir') if compiler is not None else None
    return (file.resolve().parent / folder,) if folder else ()


def read_mesh(path: Path) -> tuple[bytes, str]:
    """Return what MuJoCo can read and its suffix; COLLADA and STL in text form become binary STL.

    Raises:
        ModelError: there is no way to read it.
    """
    suffix = path.suffix.lower()
    content = path.read_bytes()
    if content.startswith(LFS_POINTER):
        raise ModelError(f'{path} is a Git LFS pointer instead of the mesh; run git lfs pull')
    if not content:
        raise ModelError(f'{path} is empty; export it again')
    if suffix == '.dae':
        return _binary_stl(path, read_collada(path)), '.stl'
    if suffix not in READABLE:
        raise ModelError(f'{path} is in no format that can be read; convert it to .stl or .obj')
    if suffix != '.stl':
        return content, suffix
    size = struct.unpack('<I', content[80:84])[0] if len(content) >= 84 else 0
    if not content[:512].lstrip().lower().startswith(b'solid') or len(content) == 84 + 50 * size:
        _check_triangles(path, size)
        if len(content) < 84 + 50 * size:
            raise ModelError(
                f'{path} is truncated: it has {len(content):,} bytes, and its {size:,} triangles '
                f'need {84 + 50 * size:,}; copy or export it again'
            )
        return content[: 84 + 50 * size], suffix
    words = [line.lower().split() for line in content.decode(errors='ignore').splitlines()]
    try:
        corners = [[float(x) for x in w[1:4]] for w in words if w[:1] == ['vertex']]
        triangles = np.array(corners, np.float64).reshape(-1, 3, 3)
    except ValueError as error:
        raise ModelError(f'{path} is no STL that can be read: {error}; export it again') from error
    return _binary_stl(path, triangles), suffix


def _check_triangles(path: Path, count: int) -> None:
    """Raise a ModelError where MuJoCo does not read that many triangles."""
    if count == 0:
        raise ModelError(f'{path} has no triangles; export it again')
    if count > MAX_TRIANGLES:
        raise ModelError(
            f'{path} has {count:,} triangles, more than {MAX_TRIANGLES:,}; simplify it'
        )


def _binary_stl(path: Path, triangles: NDArray[np.float64]) -> bytes:
    """Return triangles (n, 3, 3) [m] as binary STL.

    Raises:
        ModelError: there are none, or more than MuJoCo reads.
    """
    _check_triangles(path, len(triangles))
    records = np.zeros(len(triangles), np.dtype([('v', '<f4', (4, 3)), ('flags', '<u2')]))
    records['v'][:, 1:] = triangles
    return b'\0' * 80 + struct.pack('<I', len(triangles)) + records.tobytes()
