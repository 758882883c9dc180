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

"""Joint states of a simulated arm."""

from __future__ import annotations

import numpy as np
from builtin_interfaces.msg import Time
from sensor_msgs.msg import JointState

from sac_ros.ros.conversions import to_joint_state
from sac_ros.sim.arm import SimArm


def relative_torque(arm: SimArm, stamp: Time) -> JointState:
    """Return the torque of each joint as a share of its limit, in the place of the effort."""
    message = JointState(name=list(arm.robot.joint_names))
    message.header.stamp = stamp
    message.effort = (arm.applied_torque / np.array(arm.robot.torque_limit)).tolist()
    return message


def arm_state(arm: SimArm, stamp: Time) -> JointState:
    """Make the joint state of an arm as its sensors see it, the held joints of a URDF included.

    RViz wants all joints; policies find theirs by name.
    """
    held = dict(arm.robot.held) if arm.robot.urdf else {}
    position, velocity = arm.read_sensors()
    still = np.zeros(len(held))
    return to_joint_state(
        (*arm.robot.joint_names, *held),
        np.concatenate((position, list(held.values()))),
        np.concatenate((velocity, still)),
        np.concatenate((arm.applied_torque, still)),
        stamp,
    )
