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

"""Errors with one root. A message names the cause and the fix in one line."""


class SacRosError(Exception):
    """Root of everything this package raises on bad input; command lines print it and exit 2."""

    def __str__(self) -> str:
        """Return the message as one line: a path in it may hold a line break."""
        text = super().__str__()
        return text if text.isprintable() else ''.join(map(_printable, text))


def _printable(character: str) -> str:
    return character if character.isprintable() else ascii(character)[1:-1]


class ConfigError(SacRosError):
    """A setting is unknown or outside its range."""


class SpecMismatch(SacRosError):
    """Two policy specifications that must agree do not; the message shows both sides."""


class StateError(SacRosError):
    """A joint state cannot be trusted."""


class ModelError(SacRosError):
    """A robot description cannot be read or lacks something that control needs."""


class EnvError(SacRosError):
    """An environment is unknown or of a kind that Soft Actor-Critic cannot act in."""


class ReplayError(SacRosError):
    """A replay directory cannot be opened, read or written."""


class StorageError(SacRosError):
    """A file cannot be written."""


class CheckpointError(SacRosError):
    """A checkpoint cannot be read or written, or belongs to another run."""


class ExportError(SacRosError):
    """The exported policy does not agree with the network it came from."""


class PolicyError(SacRosError):
    """A policy file is not one that may be loaded."""


class NodeError(SacRosError):
    """A ROS node cannot be started or does not answer."""


EXTRAS = {  # extra of the package by the module that it installs
    'gymnasium': 'sim',
    'mujoco': 'sim',
    'PIL': 'sim',
    'onnxruntime': 'deploy',
    'onnx': 'train',
    'rich': 'train',
    'tensorboardX': 'train',
    'torch': 'train',
    'plotly': 'report',
}


def install_hint(error: ModuleNotFoundError) -> str:
    """Return cause and fix of an import that failed, in one line."""
    missing = (error.name or '').partition('.')[0]
    if missing not in EXTRAS:
        return str(error)
    return f"{missing} is not installed; pip install 'sac_ros[{EXTRAS[missing]}]'"
