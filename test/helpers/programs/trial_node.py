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

"""A node that runs, breaks or refuses to start: run|break|refuse."""

import sys

from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from std_msgs.msg import String

from sac_ros.errors import ConfigError
from sac_ros.ros.process import ClosingNode, run_node


class Trial(ClosingNode):
    def __init__(self):
        super().__init__('trial')
        if sys.argv[1] == 'refuse':
            raise ConfigError('the cause and the fix')
        self.publisher = self.create_publisher(String, 'x', 1)
        self.create_timer(0.05, self.tick, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def tick(self):
        print('alive', flush=True)
        if sys.argv[1] == 'break':
            raise ValueError('a mistake of ours')

    def close(self):
        self.publisher.publish(String())
        print('last words', flush=True)


sys.exit(run_node('trial', Trial, ['trial', *sys.argv[2:]]))
