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

"""Trains with ROS around it: a node that only wires.

The trainer has the process; between two of its steps ROS is asked for what has come. So a service
answers after the step it falls into, at the latest after a compilation or an evaluation.
"""

from __future__ import annotations

import contextlib
import math
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from std_msgs.msg import Float64, Header, String
from std_srvs.srv import SetBool, Trigger

from sac_ros.config.training import TrainConfig
from sac_ros.envs.arm_env import ArmEnv
from sac_ros.errors import SacRosError
from sac_ros.robot.urdf_writer import robot_description
from sac_ros.ros.diagnostics import status_name, to_status
from sac_ros.ros.parameters import declare
from sac_ros.ros.process import StopRequest, run_ros
from sac_ros.ros.qos import LATCHED, LATEST
from sac_ros.ros.train_view import TrainView
from sac_ros.training.result import export_chosen, finish
from sac_ros.training.trainer import Trainer

SHOW_PERIOD = 0.05  # [s] between two joint states
REPORT_PERIOD = 1.0  # [s] between two reports


class TrainNode(Node):
    """Topics and services of one Trainer."""

    def __init__(self) -> None:
        super().__init__('train_node')
        self.trainer = Trainer(declare(self, TrainConfig))
        self._next_show = self._next_report = 0.0
        self._figures = {
            name: self.create_publisher(Float64, f'~/{name}', LATEST)
            for name in (
                'step', 'mean_return', 'success_rate', 'alpha', 'entropy', 'updates_per_second',
                'state_value', 'state_entropy',
            )
        }  # fmt: skip
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self._description = self.create_publisher(String, 'robot_description', LATCHED)
        env = self.trainer.env
        self._arm_env = env if isinstance(env, ArmEnv) else None
        self.view: TrainView | None = None
        if self._arm_env is not None:
            self.view = TrainView(self, self.trainer, self._arm_env)
            self._description.publish(String(data=robot_description(self._arm_env.arm.robot)))
        self.create_service(SetBool, '~/pause', self._on_pause)
        self.create_service(Trigger, '~/save', self._on_save)
        self.create_service(Trigger, '~/export', self._on_export)

    def on_step(self, now: float) -> None:
        """Publish what is due after a step: the view often, figures once a second."""
        if self.view is not None:
            self.view.record()
        self.show(now)
        if self.view is not None:
            self.view.show_slowly(now)

    def show(self, now: float) -> None:
        """Publish the view and the figures where they are due; within an evaluation, its arm."""
        evaluating = self.trainer.activity == 'evaluating'
        env = self.trainer.eval_env if evaluating else self._arm_env
        if now >= self._next_show and isinstance(env, ArmEnv) and self.view is not None:
            self._next_show = now + SHOW_PERIOD
            value, entropy = math.nan, math.nan
            if not evaluating:
                value, entropy = self.trainer.evaluate_state()
            self.view.show(env, value, entropy)
            for name, figure in (('state_value', value), ('state_entropy', entropy)):
                if not math.isnan(figure):
                    self._figures[name].publish(Float64(data=figure))
        if now >= self._next_report:
            self._next_report = now + REPORT_PERIOD
            self._report()

    @contextlib.contextmanager
    def kept_alive(self) -> Iterator[None]:
        """Keep the view alive while the run is busy with something long."""
        if self.view is None:
            yield
            return
        self.show(time.monotonic())
        end = threading.Event()
        thread = threading.Thread(target=self.view.keep_alive, args=(end,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            end.set()
            thread.join()

    def _report(self) -> None:
        values = self.trainer.progress()._asdict()
        for name, publisher in self._figures.items():
            if name in values and not math.isnan(values[name]):
                publisher.publish(Float64(data=float(values[name])))
        line = f'step {values["step"]} of {values["steps"]}'
        status = to_status(status_name(self), 'ok', line, values)
        now = self.get_clock().now().to_msg()
        self._diagnostics.publish(DiagnosticArray(header=Header(stamp=now), status=[status]))

    def _on_pause(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self.trainer.request_pause(request.data)
        response.success, response.message = True, 'paused' if request.data else 'running'
        return response

    def _on_save(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        return self._try(self._save, response)

    def _on_export(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        return self._try(self.export, response)

    def _save(self) -> str:
        self.trainer.save()
        return f'saved {self.trainer.checkpoint}'

    def export(self) -> str:
        """Export the policy and say where it is."""
        _, parity = export_chosen(self.trainer)
        path = self.trainer.policy_path.resolve()
        return f'exported {path}, which agrees with the network to {parity:.1e}'

    def _try(self, work: Callable[[], str], response: Trigger.Response) -> Trigger.Response:
        try:
            response.message, response.success = work(), True
        except SacRosError as error:
            response.message, response.success = f'{type(error).__name__}: {error}', False
        self.get_logger().info(response.message)
        return response


def train() -> None:
    """Train until all steps are done, then evaluate and export; a signal saves and ends it."""
    stop = StopRequest()
    node = TrainNode()
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    logger, config = node.get_logger(), node.trainer.config

    def on_step(_: Trainer) -> None:
        executor.spin_once(timeout_sec=0)
        node.on_step(time.monotonic())

    def should_stop() -> bool:  # asked in every step of an evaluation, too
        if node.trainer.activity == 'evaluating':
            node.show(time.monotonic())
        return stop.requested

    node.trainer.check_export()
    logger.info(f'training {config.env} in {config.run_dir} from step {node.trainer.step}')
    with node.kept_alive():
        complete = node.trainer.run(on_step, should_stop)
        result = finish(node.trainer) if complete else None
    if result is not None:
        evaluation = result.evaluation
        logger.info(
            f'success {100 * evaluation.success_rate:.0f} % of {evaluation.episodes} episodes, '
            f'return {evaluation.mean_return:.2f}; exported {node.trainer.policy_path.resolve()}, '
            f'which agrees with the network to {result.parity:.1e}'
        )
        if result.acceptance is not None:
            logger.info(result.acceptance.verdict)
    else:
        logger.info(f'stopped at step {node.trainer.step}; start again to go on from there')
    executor.shutdown()
    node.destroy_node()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the node; returns the exit status."""
    return run_ros('train_node', train, arguments)


if __name__ == '__main__':
    sys.exit(main())
