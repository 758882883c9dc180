"""Environments: arms with a task, and those of Gymnasium."""

import sac_ros.robot  # noqa: F401 (chooses the renderer before mujoco is imported)
