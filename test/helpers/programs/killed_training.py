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

"""Train until a step and die there: RUN_DIR STEP SAC CHANGES, both of them JSON objects."""

import dataclasses
import json
import os
import signal
import sys

from small_runs import HIDDEN, config

from sac_ros.config.robot import TaskConfig
from sac_ros.training.trainer import Trainer

run_dir, at = sys.argv[1], int(sys.argv[2])
sac, changes = map(json.loads, sys.argv[3:])
if 'task' in changes:
    changes['task'] = TaskConfig(**changes['task'])


def die(trainer):
    if trainer.step == at:
        os.kill(os.getpid(), signal.SIGKILL)


Trainer(config(run_dir, sac=dataclasses.replace(HIDDEN, **sac), **changes)).run(die)
