"""A copy of the sources that the package is built from."""

import shutil

from paths import ROOT


def copy_sources(target):
    """Copy what the package is built from."""
    for name in ('sac_ros', 'launch', 'config', 'resource'):
        shutil.copytree(
            ROOT / name, target / name, ignore=shutil.ignore_patterns('__pycache__', '*.egg-info')
        )
    for name in ('package.xml', 'setup.py', 'setup.cfg', 'pyproject.toml'):
        shutil.copy(ROOT / name, target / name)
    return target
