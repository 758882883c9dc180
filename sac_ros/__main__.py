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
