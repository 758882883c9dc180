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
