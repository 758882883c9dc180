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

"""Drive an arm with an exported policy in a plain loop, without ROS.

The arm is simulated; on a real one replace `arm` by its driver.

    python examples/policy_loop.py runs/arm --goal 0.3 0.1 0.4
"""

from __future__ import annotations

import argparse

import numpy as np

from sac_ros import ArmConfig, PolicyController, SimArm, State

PERIOD = 0.002  # [s] between two joint states


def main() -> None:
    """Move the tip to a goal for some seconds of simulated time."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('policy', help='ONNX file, or directory of a run')
    parser.add_argument('--goal', type=float, nargs=3, default=(0.3, 0.1, 0.4), help='point [m]')
    parser.add_argument('--seconds', type=float, default=5.0)
    options = parser.parse_args()

    arm = SimArm(ArmConfig(timestep=PERIOD))
    controller = PolicyController.from_file(
        options.policy, joint_names=arm.robot.joint_names, clock=lambda: arm.time
    )
    while arm.time < options.seconds:
        position, velocity = arm.read_sensors()
        command = controller.step(position, velocity, goal=options.goal, enabled=True)
        arm.step(command.torque)
        if command.state is State.FAULT:
            raise SystemExit(f'FAULT: {command.reason}')
    arm.step(controller.shutdown())

    distance = float(np.linalg.norm(arm.tip_position - options.goal))
    print(f'{command.state.name}, tip {1000 * distance:.1f} mm from the goal')


if __name__ == '__main__':
    main()
