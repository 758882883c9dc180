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

"""The interactive report of runs: one HTML page that opens from disk, without a network.

`run` reads a run directory; `overview`, `curves`, `boltzmann`, `critics`, `arm` and `replay` each
compute one part of the page as plain data; `page` writes the file. The JavaScript files draw.
"""
