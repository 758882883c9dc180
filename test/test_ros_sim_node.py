"""sim_node as a process, over DDS."""

import signal

from geometry_msgs.msg import PointStamped
from rclpy.qos import DurabilityPolicy, QoSProfile
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, String
from std_srvs.srv import SetBool, Trigger
from visualization_msgs.msg import MarkerArray

COMMAND = '/forward_effort_controller/commands'
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def test_behaves_like_a_robot(graph):
    states = graph.subscribe(JointState, '/joint_states')
    goals = graph.subscribe(PointStamped, '/policy_node/goal')
    markers = graph.subscribe(MarkerArray, '/sim_node/markers')
    sim = graph.start('sim_node', '--ros-args', '-p', 'goal_period:=1.0', '-p', 'seed:=3')
    graph.spin_until(lambda: len(states) > 50 and goals and markers, what='state, goal, markers')
    assert list(states[0].name) == [f'joint{i}' for i in range(1, 7)]
    assert {m.ns for m in markers[-1].markers} == {'tip', 'goal'}

    description = graph.subscribe(String, '/robot_description', LATCHED)  # joins late
    graph.spin_until(lambda: description, what='robot_description')
    assert description[0].data.lstrip().startswith('<')

    command = graph.node.create_publisher(Float64MultiArray, COMMAND, 1)
    graph.spin_until(lambda: command.get_subscription_count() == 1)
    torque = [0.5] * 6

    def obeys():
        command.publish(Float64MultiArray(data=torque))
        return list(states[-1].effort) == torque

    graph.spin_until(obeys, what='the commanded torque')
    graph.spin_until(lambda: list(states[-1].effort) == [0.0] * 6, what='the command watchdog')

    assert not graph.call(Trigger, '/sim_node/step').success
    assert graph.call(SetBool, '/sim_node/pause', data=True).success
    graph.spin_for(0.1)
    held = len(states)
    graph.spin_for(0.2)
    assert len(states) == held
    assert graph.call(Trigger, '/sim_node/step').success
    graph.spin_until(lambda: len(states) == held + 1, what='one state per step')
    before = list(states[-1].position)
    assert graph.call(Trigger, '/sim_node/reset').success
    graph.spin_until(lambda: list(states[-1].position) != before, what='another posture')
    assert graph.stop(sim) == 0
    assert 'Traceback' not in graph.output(sim)


def test_simulated_time_on_the_clock(graph):
    clocks = graph.subscribe(Clock, '/clock')
    states = graph.subscribe(JointState, '/joint_states')
    sim = graph.start('sim_node', '--ros-args', '-p', 'clock:=true', '-p', 'rate:=100')
    graph.spin_until(lambda: len(clocks) > 20 and len(states) > 20)
    times = [c.clock.sec + 1e-9 * c.clock.nanosec for c in clocks]
    assert times == sorted(times) and times[-1] < 100
    assert states[-1].header.stamp.sec < 100
    assert graph.stop(sim, signal.SIGTERM) == 0
