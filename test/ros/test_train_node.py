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

"""train_node as a process, over DDS."""

import signal

from diagnostic_msgs.msg import DiagnosticArray
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64
from std_srvs.srv import SetBool, Trigger
from train_node_runs import small_run
from visualization_msgs.msg import MarkerArray

from sac_ros.deploy.onnx_policy import OnnxPolicy


def test_is_steered_by_services_and_resumes(graph, tmp_path):
    steps = graph.subscribe(Float64, '/train_node/step')
    states = graph.subscribe(JointState, '/joint_states')
    markers = graph.subscribe(MarkerArray, '/train_node/markers')
    values = graph.subscribe(Float64, '/train_node/state_value')
    entropies = graph.subscribe(Float64, '/train_node/state_entropy')
    reports = graph.subscribe(DiagnosticArray, '/diagnostics')
    node = graph.start('train_node', *small_run(tmp_path))
    graph.spin_until(lambda: steps and states and markers and reports, what='progress')
    assert list(states[0].name) == ['shoulder', 'elbow']
    assert {'tip', 'goal', 'range', 'text'} <= {m.ns for m in markers[-1].markers}

    def words():
        return next((m.text for m in markers[-1].markers if m.ns == 'text'), '')

    graph.spin_until(lambda: 'entropy' in words(), what='value and entropy in RViz')
    assert words().startswith(('collecting\n', 'learning\n')) and 'step ' in words()
    assert 'Q ' in words() and 'episode' in words()
    graph.spin_until(lambda: values and entropies, what='value and entropy')
    assert reports[-1].status[0].message.startswith('step ')

    assert graph.call(SetBool, '/train_node/pause', data=True).success
    graph.spin_until(lambda: len(steps) > 3 and steps[-1].data == steps[-2].data, what='a halt')
    assert graph.call(Trigger, '/train_node/save').success
    assert (tmp_path / 'run/checkpoint.npz').exists()
    exported = graph.call(Trigger, '/train_node/export', timeout=90)
    assert exported.success and 'policy.onnx' in exported.message
    assert OnnxPolicy(tmp_path / 'run/policy.onnx').spec.joint_names == ('shoulder', 'elbow')
    assert graph.call(SetBool, '/train_node/pause', data=False).success
    reached = steps[-1].data
    graph.spin_until(lambda: steps[-1].data > reached, what='going on')
    assert graph.stop(node, signal.SIGINT, 60) == 0
    assert 'stopped at step' in graph.output(node)

    again = graph.start('train_node', *small_run(tmp_path))
    graph.spin_until(lambda: 'from step' in graph.output(again), what='the second start')
    assert int(graph.output(again).split('from step')[1].split()[0]) >= reached
    assert graph.stop(again, signal.SIGTERM, 60) == 0


def test_bad_input_is_one_line_and_writes_nothing(graph, tmp_path):
    node = graph.start('train_node', *small_run(tmp_path, **{'sac.gamma': 1.5}))
    assert node.wait(60) == 2
    graph.processes.remove(node)
    assert 'sac.gamma' in graph.output(node) and 'Traceback' not in graph.output(node)
    assert not (tmp_path / 'run').exists()


def test_the_view_shows_episodes_goals_values_and_the_replay(graph, tmp_path):
    names = ('trails', 'goals', 'goal_values', 'coverage')
    arrays = {name: graph.subscribe(MarkerArray, f'/train_node/{name}') for name in names}
    texts = graph.subscribe(MarkerArray, '/train_node/markers', 100)
    changes = {'task.episode_steps': 10, 'learning_starts': 50, 'gradient_steps': 1}
    node = graph.start('train_node', *small_run(tmp_path, **changes, eval_every=300))
    graph.spin_until(lambda: all(arrays.values()), timeout=60, what='every topic')
    assert {m.ns for array in arrays['trails'] for m in array.markers} == {'trails'}
    for name in names[1:]:
        (cloud,) = arrays[name][-1].markers
        assert len(cloud.points) == len(cloud.colors) > 0
        assert cloud.lifetime.sec == 120  # longer than an evaluation
    assert len(arrays['goal_values'][-1].markers[0].points) == 200

    def seen(word):
        return any(m.text.startswith(word) for array in texts for m in array.markers)

    graph.spin_until(lambda: seen('evaluating'), timeout=60, what='an evaluation in RViz')
    assert graph.stop(node, signal.SIGINT, 60) == 0


def test_the_view_is_alive_while_the_update_compiles(graph, tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))  # nothing is compiled there yet
    texts = graph.subscribe(MarkerArray, '/train_node/markers', 100)
    states = graph.subscribe(JointState, '/joint_states', 100)
    node = graph.start('train_node', *small_run(tmp_path, compile=True, learning_starts=20))

    def compiling():
        words = [m.text for array in texts[-5:] for m in array.markers if m.ns == 'text']
        return len([text for text in words if text.startswith('compiling for')]) > 2

    graph.spin_until(compiling, timeout=60, what='compiling, in RViz')
    count = len(states)
    graph.spin_until(lambda: len(states) > count, what='joint states meanwhile')
    node.kill()
    node.wait()
    graph.processes.remove(node)
