"""Settings of the test process."""

import os
import signal

from paths import HELPERS, ROOT

import sac_ros.robot  # noqa: F401 (chooses what MuJoCo draws with, before a test imports mujoco)

# Two OpenMP threads wait for each other as soon as another process wants a core.
os.environ.setdefault('OMP_NUM_THREADS', '1')

# Programs of the tests import the helpers and these sources.
os.environ['PYTHONPATH'] = os.pathsep.join(
    [str(HELPERS), str(ROOT), *filter(None, [os.environ.get('PYTHONPATH')])]
)

# A shell's background job ignores Ctrl-C and hands that on to the programs under test.
signal.signal(signal.SIGINT, signal.default_int_handler)
