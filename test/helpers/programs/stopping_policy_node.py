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

"""policy_node that stops itself between its 300th torque and the command."""

import itertools
import os
import signal
import sys

from sac_ros.deploy.controller import Controller
from sac_ros.ros import policy_node

unstopped, count = Controller.step, itertools.count(1)


def step(self, *state):
    torque = unstopped(self, *state)
    if torque.any() and next(count) == 300:
        os.kill(os.getpid(), signal.SIGSTOP)  # the torque is on its way
    return torque


Controller.step = step
sys.exit(policy_node.main(sys.argv))
