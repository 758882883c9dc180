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

"""A robot over DDS for tests of policy_node: the test is the robot."""

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import Point, PointStamped
from policy_files import reach_spec
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, String
from std_srvs.srv import SetBool, Trigger
from visualization_msgs.msg import Marker, MarkerArray

COMMAND = '/forward_effort_controller/commands'
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
SPEC = reach_spec(3)
# A robot in Python on a busy machine is slow: it is late only after a while.
PATIENT = ('-p', 'supervision.state_period:=0.3', '-p', 'supervision.state_timeout:=1.0')


class Robot:
    """Publishes joint states, takes commands, and sees what the node says."""

    def __init__(
        self, graph, policy, *parameters, autostart=True, program=None, namespace='', patient=True
    ):
        self.graph, self.namespace = graph, namespace
        self.names = list(SPEC.joint_names)
        self.position, self.velocity = [0.1, 0.2, 0.3], [0.0, 0.0, 0.0]
        self.commands = graph.subscribe(Float64MultiArray, namespace + COMMAND)
        self.states = graph.subscribe(String, f'{namespace}/policy_node/state', LATCHED)
        self.applied = graph.subscribe(JointState, f'{namespace}/policy_node/applied')
        self.markers = graph.subscribe(MarkerArray, f'{namespace}/policy_node/markers')
        self.reports = graph.subscribe(DiagnosticArray, '/diagnostics')
        self.joint_states = graph.node.create_publisher(JointState, f'{namespace}/joint_states', 1)
        self.goals = graph.node.create_publisher(PointStamped, f'{namespace}/policy_node/goal', 1)
        self.timer = graph.node.create_timer(0.005, self.publish)
        start = f'autostart:={str(autostart).lower()}'
        arguments = ('-p', f'policy:={policy}', '-p', start, *parameters)
        arguments += PATIENT if patient else ()
        arguments += ('-r', f'__ns:={namespace}') if namespace else ()
        self.process = graph.start('policy_node', '--ros-args', *arguments, program=program)

    def publish(self):
        message = JointState(name=self.names, position=self.position, velocity=self.velocity)
        self.joint_states.publish(message)

    def wait(self, *names):
        self.graph.spin_until(
            lambda: self.states and self.states[-1].data in names, what=f'state {names}'
        )

    def reported(self, text):
        return bool(self.reports) and text in self.reports[-1].status[0].message

    def shown(self, namespace):
        """Return the last marker of that name, if there is one."""
        sent = (m for array in reversed(self.markers) for m in array.markers if m.ns == namespace)
        last = next(sent, None)
        return last if last is not None and last.action == Marker.ADD else None

    def torque(self):
        return np.array(self.commands[-1].data)

    def call(self, name, **request):
        kind = SetBool if name == 'enable' else Trigger
        return self.graph.call(kind, f'{self.namespace}/policy_node/{name}', **request)

    @staticmethod
    def goal(point=(0.0, 0.0, 0.0)):
        return PointStamped(point=Point(**dict(zip('xyz', point, strict=True))))

    def run(self, goal=(0.0, 0.0, 0.0)):
        """Send a goal and enable as soon as the node agrees."""
        self.wait('READY')
        self.graph.spin_until(lambda: self.goals.get_subscription_count() == 1)
        self.goals.publish(self.goal(goal))
        self.graph.spin_until(lambda: self.call('enable', data=True).success, what='enabling')
        self.wait('RUN')
