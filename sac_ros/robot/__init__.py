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

"""Robot files and the descriptions that are made of them.

MuJoCo decides when it is imported what it draws with, and without a screen its choice fails. So
where there is no screen, and nobody has chosen, what is installed is chosen here.
"""

import ctypes.util
import os
import sys

RENDERERS = {'egl': 'EGL', 'osmesa': 'OSMesa'}  # value of MUJOCO_GL, library


def has_screen() -> bool:
    """Whether a window can be opened."""
    shown = os.environ.get('DISPLAY') or os.environ.get('WAYLAND_DISPLAY')
    return bool(shown) or sys.platform != 'linux'


if not has_screen() and 'MUJOCO_GL' not in os.environ and 'mujoco' not in sys.modules:
    for _value, _library in RENDERERS.items():
        if ctypes.util.find_library(_library):
            os.environ['MUJOCO_GL'] = _value
            break
