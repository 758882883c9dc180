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

"""An environment with arguments, registered under two names."""

import gymnasium
import numpy as np
from gymnasium.spaces import Box


class Plain(gymnasium.Env):
    action_space = Box(-1, 1, (1,), np.float32)
    observation_space = Box(-9, 9, (1,), np.float32)

    def __init__(self, port, length=5):
        self.length = length
        if port == 'absent':
            raise ConnectionError('no controller on absent')

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.k = 0
        return self.np_random.normal(size=1), {}

    def step(self, action):
        self.k += 1
        ended = self.k == self.length
        return self.np_random.normal(size=1), -float(action[0] ** 2), False, ended, {}


for name in ('Plain-v0', 'arm/Plain-v0'):
    gymnasium.registry.pop(name, None)
    gymnasium.register(name, Plain)
