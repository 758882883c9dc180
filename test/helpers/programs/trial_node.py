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
