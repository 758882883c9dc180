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

"""Save a checkpoint under many file-size limits, each too low: CHECKPOINT RUN_DIR SIZE."""

import resource
import signal
import sys
from pathlib import Path

from small_runs import config

from sac_ros.errors import CheckpointError
from sac_ros.training.checkpoint import save_checkpoint
from sac_ros.training.trainer import Trainer

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path, size = Path(sys.argv[1]), int(sys.argv[3])
state = Trainer(config(sys.argv[2])).state
for limit in range(0, size // 2, size // 40):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        save_checkpoint(path, state, {})
    except CheckpointError as error:
        assert str(path) in str(error) and 'ulimit -f' in str(error), error
        assert not list(path.parent.glob('*.tmp'))
        continue
    sys.exit('a file larger than the limit was written')
