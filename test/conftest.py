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

"""Settings of the test process."""

import os
import signal

from paths import HELPERS, ROOT

import sac_ros.robot  # noqa: F401 (chooses what MuJoCo draws with, before a test imports mujoco)

# Two OpenMP threads wait for each other as soon as another process wants a core.
os.environ.setdefault('OMP_NUM_THREADS', '1')

# Programs of the tests import the helpers and these sources.
os.environ['PYTHONPATH'] = os.pathsep.join(
    [str(HELPERS), str(ROOT), *filter(None, [os.environ.get('PYTHONPATH')])]
)

# A shell's background job ignores Ctrl-C and hands that on to the programs under test.
signal.signal(signal.SIGINT, signal.default_int_handler)
