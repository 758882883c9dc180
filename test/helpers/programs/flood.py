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
