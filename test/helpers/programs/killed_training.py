"""Train until a step and die there: RUN_DIR STEP SAC CHANGES, both of them JSON objects."""

import dataclasses
import json
import os
import signal
import sys

from small_runs import HIDDEN, config

from sac_ros.config.training import TaskConfig
from sac_ros.training.trainer import Trainer

run_dir, at = sys.argv[1], int(sys.argv[2])
sac, changes = map(json.loads, sys.argv[3:])
if 'task' in changes:
    changes['task'] = TaskConfig(**changes['task'])


def die(trainer):
    if trainer.step == at:
        os.kill(os.getpid(), signal.SIGKILL)


Trainer(config(run_dir, sac=dataclasses.replace(HIDDEN, **sac), **changes)).run(die)
