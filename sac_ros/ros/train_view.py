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

"""What train_node shows in RViz: the arm, past episodes, values of goals, the replay."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable

import numpy as np
from geometry_msgs.msg import Point
from rclpy.node import Node
from rclpy.publisher import Publisher
from sensor_msgs.msg import JointState
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from sac_ros.envs.arm_env import ArmEnv
from sac_ros.errors import SacRosError
from sac_ros.replay import ReplayReader
from sac_ros.ros import markers
from sac_ros.ros.arm_state import arm_state, relative_torque
from sac_ros.ros.arm_view import ArmView
from sac_ros.ros.qos import LATEST
from sac_ros.sim.geometry import arm_geometry
from sac_ros.tasks.registry import make_task
from sac_ros.training.trainer import Trainer
from sac_ros.types import Vector

EPISODES = 10  # whose trails are shown
GOALS = 300  # of past episodes that are shown
VALUES = 200  # reachable goals whose value is shown
SAMPLES = 2_000  # transitions that stand for the replay
CELLS = 24  # of the coverage, per reach
SLOW_PERIOD = 2.0  # [s] between two pictures of trails, goals, values and coverage
STALL = 0.5  # [s] without a picture after which the last one is published again
KEEP_PERIOD = 0.1  # [s]


class TrainView:
    """Publishes joint states and markers of a run on an arm."""

    def __init__(self, node: Node, trainer: Trainer, env: ArmEnv) -> None:
        """Open the topics."""
        self._node, self._trainer, self._env = node, trainer, env
        self._task = trainer.config.task
        self._view = ArmView(trainer.spec, arm_geometry(env.arm, self._task))
        self._shown: ArmEnv = env
        self._path: list[Vector] = []  # joint positions of the episode under way
        self._episodes = trainer.collector.episodes
        self._trails: deque[tuple[list[Vector], bool]] = deque(maxlen=EPISODES)
        self._goals: deque[tuple[Vector, bool]] = deque(maxlen=GOALS)
        self._candidates: list[tuple[Vector, Vector]] = []  # goals, and how they are observed
        self._states = node.create_publisher(JointState, 'joint_states', LATEST)
        self._load = node.create_publisher(JointState, '~/relative_torque', LATEST)
        self._markers = self._open('markers')
        self._slow: dict[str, tuple[Publisher[MarkerArray], Callable[[], Marker | None]]] = {
            'goals': (self._open('goals'), self._draw_goals),
            'goal_values': (self._open('goal_values'), self._draw_values),
            'coverage': (self._open('coverage'), self._draw_coverage),
        }
        self._trail_publisher = self._open('trails')
        self._next_slow = 0.0
        self._figures = ''
        self._kept: tuple[JointState, list[Marker]] | None = None
        self._kept_at = 0.0

    def _open(self, topic: str) -> Publisher[MarkerArray]:
        return self._node.create_publisher(MarkerArray, f'~/{topic}', LATEST)

    def record(self) -> None:
        """Note a step of training; call it after each."""
        position, trainer = self._env.arm.position, self._trainer
        self._path.append(position)
        self._view.record(self._env.arm.time, position)
        if trainer.collector.episodes != self._episodes:
            self._episodes = trainer.collector.episodes
            self._trails.append((self._path, trainer.last_success))
            self._goals.append((np.array(self._env.goal), trainer.last_success))
            self._path = []
            self._view.restart()

    def show(self, env: ArmEnv, value: float, entropy: float) -> None:
        """Publish the joint state and the marks of an arm: that of training or of evaluation."""
        if env is not self._shown:
            self._shown = env
            self._view.restart()
        arm, stamp = env.arm, self._node.get_clock().now().to_msg()
        if env is not self._env:
            self._view.record(arm.time, arm.position)
        progress = self._trainer.progress()
        episode = self._trainer.collector.episodes
        lines = [f'step {progress.step:,} of {progress.steps:,}   episode {episode:,}']
        if not math.isnan(progress.success_rate):
            lines.append(
                f'success {100 * progress.success_rate:.0f} %   return {progress.mean_return:.1f}'
            )
        if not math.isnan(value):
            lines.append(f'Q {value:.2f}   entropy {entropy:.2f}')
        self._figures = '\n'.join(lines)
        state, drawn = arm_state(arm, stamp), []
        if self._markers.get_subscription_count():
            goal = {**env.task.goal_observation(), 'goal': env.goal}
            drawn = self._view.draw_goal(goal, self._view.offset(goal, arm.position))
            drawn += self._view.draw_arm(arm.position, arm.applied_torque)
        if self._load.get_subscription_count():
            self._load.publish(relative_torque(arm, stamp))
        self._kept, self._kept_at = (state, drawn), time.monotonic()
        self._publish(state, drawn, self._trainer.activity)

    def show_slowly(self, now: float) -> None:
        """Publish trails, goals, their values and the coverage where they are due."""
        if now < self._next_slow:
            return
        self._next_slow = now + SLOW_PERIOD
        for publisher, draw in self._slow.values():
            if publisher.get_subscription_count() and (marker := draw()) is not None:
                publisher.publish(MarkerArray(markers=[_lasting(marker)]))
        if self._trails and self._trail_publisher.get_subscription_count():
            self._trail_publisher.publish(MarkerArray(markers=self._draw_trails()))

    def keep_alive(self, stop: threading.Event) -> None:
        """Publish the last picture again while nothing else does; for a thread of its own.

        The update is compiled for up to a minute, and the view shall not look dead meanwhile.
        Nothing of the run is touched.
        """
        while not stop.wait(KEEP_PERIOD):
            stalled = time.monotonic() - self._kept_at
            if self._kept is not None and stalled > STALL:
                state, drawn = self._kept
                state.header.stamp = self._node.get_clock().now().to_msg()
                self._publish(state, drawn, f'{self._trainer.activity} for {stalled:.0f} s')

    def _publish(self, state: JointState, drawn: list[Marker], activity: str) -> None:
        self._states.publish(state)
        if self._markers.get_subscription_count():
            text = self._view.draw_text(f'{activity}\n{self._figures}', markers.WHITE)
            self._markers.publish(MarkerArray(markers=[*drawn, text]))

    def _draw_trails(self) -> list[Marker]:
        """Draw the tip's way in the last episodes: green with success, orange without."""
        drawn = []
        geometry = self._view.geometry
        assert geometry is not None, 'that of a simulated arm is known'
        for number, (path, success) in enumerate(self._trails):
            shade = markers.faded(_verdict(success), 0.25 + 0.6 * (number + 1) / len(self._trails))
            places = _points(geometry.tip_pose(np.array(path))[0])
            trail = markers.mark(self._view.frame, 'trails', shade, number)
            drawn.append(_lasting(markers.line(trail, places, 0.005 * self._view.scale)))
        return drawn

    def _draw_goals(self) -> Marker | None:
        """Draw the goals of past episodes: green with success, orange without."""
        if not self._goals:
            return None
        places, verdicts = zip(*self._goals, strict=True)
        return self._cloud('goals', np.array(places), [_verdict(v) for v in verdicts])

    def _draw_values(self) -> Marker | None:
        """Draw reachable goals, each in the color of the value of where the arm is now."""
        seen = self._trainer.collector.observation
        if seen is None:
            return None
        if not self._candidates:
            self._candidates = list(self._sample_goals())
        where, fields = self._trainer.spec.slices(), self._env.task.fields
        at = np.concatenate([np.arange(s.start, s.stop) for s in (where[f.name] for f in fields)])
        observations = np.repeat(seen[None], len(self._candidates), axis=0)
        observations[:, at] = [observed for _, observed in self._candidates]
        values = self._trainer.learner.values(observations)
        low, high = np.quantile(values, [0.02, 0.98])
        shares = np.clip((values - low) / max(high - low, 1e-6), 0, 1)
        places = np.array([place for place, _ in self._candidates])
        return self._cloud('goal_values', places, [_scale(share) for share in shares.tolist()])

    def _sample_goals(self) -> list[tuple[Vector, Vector]]:
        """Draw reachable goals by a task and chance of their own: nothing of the run changes."""
        period = self._trainer.spec.control_period
        task, rng = make_task(self._env.arm, self._task, period), np.random.default_rng(0)
        goals = []
        for _ in range(VALUES):
            task.initialize_episode(rng)
            goals.append((np.array(task.goal), np.array(task.observe())))
        return goals

    def _draw_coverage(self) -> Marker | None:
        """Draw where in space the tip was in the replay, yellow where it was most often."""
        try:
            reader = ReplayReader(self._trainer.run_dir / 'replay', self._trainer.spec)
            seen = reader.sample(SAMPLES, np.random.default_rng(self._trainer.step)).observation
        except SacRosError:
            return None  # nothing is in it yet
        geometry = self._view.geometry
        assert geometry is not None, 'that of a simulated arm is known'
        where = self._trainer.spec.slices()['joint_position']
        places, _ = geometry.tip_pose(np.asarray(seen[:, where], np.float64))
        size = self._view.scale / CELLS
        cells, counts = np.unique(np.round(places / size).astype(int), axis=0, return_counts=True)
        shares = np.log1p(counts) / math.log1p(counts.max())
        return self._cloud('coverage', size * cells, [_scale(share) for share in shares.tolist()])

    def _cloud(self, name: str, places: Vector, shades: list[ColorRGBA]) -> Marker:
        marker = markers.mark(self._view.frame, name, markers.WHITE)
        return markers.cloud(marker, _points(places), 0.02 * self._view.scale, shades)


def _points(places: Vector) -> list[Point]:
    return [markers.to_point(place) for place in places]


def _verdict(success: bool) -> ColorRGBA:
    return markers.GREEN if success else markers.ORANGE


def _scale(share: float) -> ColorRGBA:
    """Return a color from dark blue (0) over red-violet to yellow (1)."""
    red, green = min(1.0, 0.2 + 1.2 * share), max(0.1, 1.3 * share - 0.4)
    return markers.color(red, green, 0.75 - 0.6 * share, 0.35 + 0.6 * share)


def _lasting(marker: Marker) -> Marker:
    """Let a marker last until a compilation or an evaluation is over."""
    marker.lifetime.sec, marker.lifetime.nanosec = 120, 0
    return marker
