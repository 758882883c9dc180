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

"""Tasks by name: those of the package, and a class in a file of the user's own."""

from __future__ import annotations

import importlib.util
import inspect
from pathlib import Path

from sac_ros.config.robot import TaskConfig
from sac_ros.errors import EnvError
from sac_ros.sim.arm import SimArm
from sac_ros.tasks.reach import ReachPoseTask, ReachTask, TrackTask
from sac_ros.tasks.task import Task

TASKS: dict[str, type[Task]] = {
    'reach-point': ReachTask,
    'reach-pose': ReachPoseTask,
    'track-point': TrackTask,
}


def make_task(arm: SimArm, config: TaskConfig, control_period: float) -> Task:
    """Make the task that `config.name` names, for a simulated arm.

    Raises:
        EnvError: there is no such task, or its file or class cannot be used.
    """
    return task_class(config.name)(arm, config, control_period)


def task_class(name: str) -> type[Task]:
    """Return a task of the package, or the class of `path.py:Class`.

    Raises:
        EnvError: there is no such task, or its file or class cannot be used.
    """
    if name in TASKS:
        return TASKS[name]
    path, colon, wanted = name.rpartition(':')
    if not colon:
        raise EnvError(
            f'unknown task {name!r}; choose one of {", ".join(TASKS)}, or give a class in a '
            f'file of your own as path.py:MyTask'
        )
    file = Path(path)
    if not file.is_file():
        raise EnvError(f'task {name!r}: there is no file {file}')
    specification = importlib.util.spec_from_file_location(file.stem, file)
    if specification is None or specification.loader is None:
        raise EnvError(f'task {name!r}: {file} is no Python file')
    module = importlib.util.module_from_spec(specification)
    try:
        specification.loader.exec_module(module)
    except Exception as error:  # the user's code may fail in any way
        raise EnvError(f'task {name!r}: {type(error).__name__}: {error}') from error
    found = getattr(module, wanted, None)
    if not (inspect.isclass(found) and issubclass(found, Task)):
        classes = [n for n, c in vars(module).items() if inspect.isclass(c) and c is not Task]
        own = ', '.join(n for n in classes if issubclass(vars(module)[n], Task)) or 'none'
        raise EnvError(
            f'task {name!r}: {file} has no class {wanted} derived from sac_ros.tasks.task.Task; '
            f'it has {own}'
        )
    if inspect.isabstract(found):
        lacking = ', '.join(sorted(found.__abstractmethods__))
        raise EnvError(
            f'task {name!r}: {wanted} must define {lacking}; see docs/tutorials/own_task.md'
        )
    return found
