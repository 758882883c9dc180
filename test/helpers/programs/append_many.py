"""Append 60 000 records: DIRECTORY."""

import sys

from replay_values import SMALL, fill, make_spec

from sac_ros.replay import ReplayWriter

writer = ReplayWriter(sys.argv[1], make_spec(), capacity=8 * SMALL, segment_records=SMALL)
print('ready', flush=True)
fill(writer, 0, 60_000)
writer.close()
