"""Simulated arms in MuJoCo."""

import sac_ros.robot  # noqa: F401 (chooses the renderer before mujoco is imported)
