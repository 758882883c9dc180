"""`python -m sac_ros` is the command line."""

import sys

from sac_ros.cli import main

sys.exit(main())
