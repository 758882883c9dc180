"""Folders of the tests."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HELPERS = ROOT / 'test/helpers'
PROGRAMS = HELPERS / 'programs'
DATA = ROOT / 'test/data'
TWO_JOINTS = str(DATA / 'two_joints.urdf')
