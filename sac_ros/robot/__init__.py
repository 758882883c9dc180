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
