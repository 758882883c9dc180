"""The meshes that a URDF names: found by package, by address or by path, and made readable."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import numpy as np

from sac_ros.errors import ModelError

READABLE = ('.stl', '.obj', '.msh')  # mesh formats that MuJoCo reads


def gather_meshes(file: Path, tree: ElementTree.Element, notes: list[str]) -> dict[str, bytes]:
    """Read every mesh; leave out the visual ones that MuJoCo cannot read or that are missing.

    Raises:
        ModelError: meshes of collision shapes are missing; all are named.
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
            content = None if path is None else _read_mesh(path)
            if path is not None and content is not None:
                asset = names.setdefault(
                    path, f'mesh{len(names)}_{path.stem}{path.suffix.lower()}'
                )
                assets[asset] = content
                mesh.attrib['filename'] = asset
                continue
            link.remove(shape)
            if path is None and shape.tag == 'collision':
                missing.append(name)
            reason = 'is missing' if path is None else 'is in no format that MuJoCo reads'
            notes.append(
                f'{shape.tag} of {link.attrib.get("name")}: {name} {reason}; '
                f'left out of the simulation'
            )
    if missing:
        raise ModelError(
            f'{file}: meshes of collision shapes are missing: {", ".join(missing)}; put the '
            f'package into AMENT_PREFIX_PATH or ROS_PACKAGE_PATH, or beside the file'
        )
    return assets


def make_absolute(file: Path, tree: ElementTree.Element) -> bool:
    """Give every mesh that is found its absolute address, which RViz needs; True if any was."""
    folders, found = _mesh_folders(file, tree), False
    for mesh in tree.iter('mesh'):
        path = find_file(mesh.attrib.get('filename', ''), file, folders)
        if path is not None:
            mesh.attrib['filename'], found = path.resolve().as_uri(), True
    return found


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


def _read_mesh(path: Path) -> bytes | None:
    """Return what MuJoCo can read, an STL in text form made binary; None if there is no way."""
    if path.suffix.lower() not in READABLE:
        return None
    content = path.read_bytes()
    if path.suffix.lower() != '.stl' or not content.lstrip().startswith(b'solid'):
        return content
    if len(content) >= 84 and len(content) == 84 + 50 * struct.unpack('<I', content[80:84])[0]:
        return content  # binary in spite of its first word
    words = [line.split() for line in content.decode(errors='ignore').splitlines()]
    corners = [[float(x) for x in w[1:4]] for w in words if w[:1] == ['vertex']]
    triangles = np.array(corners, '<f4').reshape(-1, 9)
    records = (b'\0' * 12 + row.tobytes() + b'\0\0' for row in triangles)
    return b'\0' * 80 + struct.pack('<I', len(triangles)) + b''.join(records)
