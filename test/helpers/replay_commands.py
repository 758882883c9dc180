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

"""The replay commands of the command line, and damage for them to find."""

import argparse

from replay_values import SMALL

from sac_ros.cli.replay import add_replay_parser


def command(*arguments):
    parser = argparse.ArgumentParser()
    add_replay_parser(parser.add_subparsers(required=True))
    options = parser.parse_args(['replay', *map(str, arguments)])
    return options.run(options)


def flip(directory, sequence):
    path = directory / f'{sequence // SMALL:010d}.seg'
    data = bytearray(path.read_bytes())
    data[sequence % SMALL * 128 + 5] ^= 1
    path.write_bytes(data)
