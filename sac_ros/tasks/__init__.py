"""Tasks of an arm: goals, rewards and observations."""

import sac_ros.robot  # noqa: F401 (chooses the renderer before mujoco is imported)
