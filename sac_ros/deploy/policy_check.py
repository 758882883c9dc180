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

"""Checks a policy file in a process of its own, then loads the same bytes.

Parsing and running a strange graph may take for ever, take all memory, or crash. In the other
process that is a refusal.
"""

from __future__ import annotations

import json
import math
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sac_ros.deploy import policy_file
from sac_ros.errors import PolicyError

if TYPE_CHECKING:
    from sac_ros.deploy.onnx_policy import OnnxPolicy

DEADLINE = 20.0  # [s] for the check, start of the process included
MAX_MEMORY = 4 * 2**30  # bytes of address space


def load_checked(
    path: str | Path, sha256: str = '', model_hash: str = '', max_torque: float = math.inf
) -> OnnxPolicy:
    """Check a file in another process and load it; arguments are those of `OnnxPolicy`.

    Raises:
        PolicyError: the file cannot be read, is not a policy that may be loaded, or its check
            crashed or took too long.
    """
    from sac_ros.deploy.onnx_policy import OnnxPolicy

    path = Path(path)
    data = policy_file.read(path)
    arguments = {'sha256': sha256, 'model_hash': model_hash, 'max_torque': max_torque}
    _check(path, data, json.dumps(arguments))
    return OnnxPolicy(path, sha256, model_hash, max_torque, checked=data)


def _check(path: Path, data: bytes, arguments: str) -> None:
    command = [sys.executable, '-m', 'sac_ros.deploy.policy_check', str(path), arguments]
    try:
        done = subprocess.run(
            command,
            input=data,
            capture_output=True,
            timeout=DEADLINE,
            check=False,
            cwd=Path(__file__).parents[2],
            env=os.environ | {'OPENBLAS_NUM_THREADS': '1', 'PYTHONIOENCODING': 'utf-8'},
        )
    except subprocess.TimeoutExpired as error:
        raise PolicyError(
            f'the check of {path} took more than {DEADLINE:g} s and was ended: the file is '
            'refused; if the machine was busy, try again'
        ) from error
    except OSError as error:
        raise PolicyError(f'cannot start the check of {path}: {error.strerror}') from error
    if not done.returncode:
        return
    refusal = done.stdout.decode(errors='replace').strip()
    if refusal:
        raise PolicyError(refusal)
    if done.returncode < 0:
        reason = f'was ended by {signal.Signals(-done.returncode).name}'
    else:
        lines = done.stderr.decode(errors='replace').split('\n')
        reason = f'failed: {" ".join(line for line in lines if line)[-300:]}'
    raise PolicyError(f'the check of {path} {reason}; the file is refused')


def main() -> int:
    """Check the bytes on standard input; print the refusal, and return 1, if there is one."""
    # The process that started this one may have a real-time priority.
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    os.nice(5)
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(DEADLINE),) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    from sac_ros.deploy.onnx_policy import OnnxPolicy
    from sac_ros.deploy.onnx_structure import check_structure

    path, data = Path(sys.argv[1]), sys.stdin.buffer.read()
    try:
        check_structure(data, path)
        OnnxPolicy(path, **json.loads(sys.argv[2]), checked=data)
    except PolicyError as error:
        sys.stdout.write(str(error))
        return 1
    except Exception as error:  # noqa: BLE001
        unexpected = PolicyError(f'{path} is refused: {type(error).__name__}: {error}')
        sys.stdout.write(str(unexpected))
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
