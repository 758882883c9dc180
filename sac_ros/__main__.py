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

"""The command line, as the program `sac_ros` and as `python -m sac_ros`."""

import sys

from sac_ros.interrupts import exit_on_interrupt


def main() -> int:
    """Run one command; returns the exit status."""
    with exit_on_interrupt():
        from sac_ros.cli.main import main as run
    return run()


if __name__ == '__main__':
    sys.exit(main())
