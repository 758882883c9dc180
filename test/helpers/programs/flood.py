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

"""Publish 10 000 messages a second: SECONDS TOPIC."""

import sys
import time

import rclpy
from geometry_msgs.msg import PointStamped
from sensor_msgs.msg import JointState

rclpy.init()
node, topic = rclpy.create_node('flood'), sys.argv[2]
message = (
    PointStamped()
    if 'goal' in topic
    else JointState(name=['j1', 'j2', 'j3'], position=[0.1, 0.2, 0.3], velocity=[0.0] * 3)
)
publisher = node.create_publisher(type(message), topic, 1)
while not publisher.get_subscription_count():
    time.sleep(0.01)
print('begin', flush=True)
start, sent, end = time.perf_counter(), 0, time.perf_counter() + float(sys.argv[1])
while (now := time.perf_counter()) < end:
    while sent < 10_000 * (now - start):
        publisher.publish(message)
        sent += 1
    time.sleep(0.0002)
print(sent / (time.perf_counter() - start))
