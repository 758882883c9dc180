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

"""The specification file of a replay directory: its JSON with a checksum as the last key."""

from __future__ import annotations

import re
import zlib
from pathlib import Path

from sac_ros.errors import ReplayError, SpecMismatch
from sac_ros.replay.format import SPEC_FILE
from sac_ros.spec import PolicySpec

_CHECKSUM = re.compile(r', "crc32": "([0-9a-f]{8})"}\s*\Z')


def spec_text(spec: PolicySpec) -> str:
    """Return the contents of a specification file, with its checksum."""
    text = spec.to_json()
    return f'{text[:-1]}, "crc32": "{zlib.crc32(text.encode()):08x}"}}\n'


def parse_spec(text: str) -> PolicySpec:
    """Read a specification with a checksum, or one of an older program without.

    Raises:
        ReplayError: the text does not have the checksum that it carries.
        SpecMismatch: it is not a specification of this version.
    """
    found = _CHECKSUM.search(text)
    if found:
        text = text[: found.start()] + '}'
        if zlib.crc32(text.encode()) != int(found[1], 16):
            raise ReplayError(
                'the checksum does not fit, so it is damaged; put back a copy of it, or remove it '
                'and start the run again, which writes it anew'
            )
    return PolicySpec.from_json(text)


def read_spec(directory: Path) -> PolicySpec:
    """The specification of a replay directory.

    Raises:
        ReplayError: the directory is missing, is not a replay directory, or its specification is
            damaged.
        SpecMismatch: its specification has another version or cannot be read.
    """
    if not directory.is_dir():
        raise ReplayError(f'no replay directory {directory}; check the path, or record one first')
    return read_spec_file(directory / SPEC_FILE)


def read_spec_file(path: Path) -> PolicySpec:
    """The specification in a file.

    Raises:
        ReplayError: it is missing or damaged.
        SpecMismatch: it has another version or is no specification.
    """
    try:
        return parse_spec(path.read_text())
    except FileNotFoundError:
        raise ReplayError(
            f'{path.parent} is not a replay directory: it has no {path.name}; '
            'name one that has, or put the specification of its robot there'
        ) from None
    except (OSError, UnicodeDecodeError, ReplayError) as error:
        raise ReplayError(f'cannot read {path}: {error}') from error
    except SpecMismatch as error:
        raise SpecMismatch(f'{path}: {error}') from error
