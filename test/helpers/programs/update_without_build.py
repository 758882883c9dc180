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

"""Compare compiled with eager updates where nothing can be built: [SOURCE]."""

import sys
from pathlib import Path

from learner_inputs import SMALL, batch, noise, problem
from tensors import same

from sac_ros.accel import matmul
from sac_ros.accel.compiler import Compiler
from sac_ros.sac.sac import SAC

if sys.argv[1:]:
    matmul.SOURCE = Path(sys.argv[1])
sac, compiler = SAC(problem(), None, SMALL), Compiler()
state, whole, critics = sac.initialize(0), compiler(sac.update), compiler(sac.update_critics)
wanted, _ = sac.update_critics(sac.update(state, batch(), noise(sac))[0], batch(), noise(sac))
state, _ = whole(state, batch(), noise(sac))
state, _ = critics(state, batch(), noise(sac))
print(compiler.failed, same(state, wanted))
