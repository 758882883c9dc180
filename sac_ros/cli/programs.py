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

"""Entry points of the nodes as programs; Ctrl-C during their imports leaves no traceback."""

from __future__ import annotations

import importlib

from sac_ros.interrupts import exit_until_handled


def sim_node() -> int:
    """Run sim_node; returns the exit status."""
    return _run('sim_node')


def policy_node() -> int:
    """Run policy_node; returns the exit status."""
    return _run('policy_node')


def effort_guard() -> int:
    """Run effort_guard; returns the exit status."""
    return _run('guard_node')


def train_node() -> int:
    """Run train_node; returns the exit status."""
    return _run('train_node')


def _run(module: str) -> int:
    exit_until_handled()
    status: int = importlib.import_module(f'sac_ros.ros.{module}').main()
    return status
