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

"""Parameter files for short runs of train_node."""

import yaml
from paths import TWO_JOINTS


def settings_file(path, **settings):
    path.write_text(yaml.safe_dump({'train_node': {'ros__parameters': settings}}))
    return ('--ros-args', '--params-file', str(path))


def small_run(tmp_path, **changes):
    settings = {
        'run_dir': str(tmp_path / 'run'),
        'compile': False,
        'arm.model': TWO_JOINTS,
        'sac.hidden': 16,
        'sac.batch_size': 16,
        'controller.name': 'none',
        'final_eval_episodes': 2,
    }
    return settings_file(tmp_path / 'train.yaml', **(settings | changes))
