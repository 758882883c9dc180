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

"""How a node's process ends: by signals, by errors, by bad input."""

import signal
import subprocess
import sys
import time

import pytest
from paths import PROGRAMS


@pytest.fixture
def start(domain):
    started = []

    def start(*arguments, hang_up=signal.SIG_DFL):
        command = [sys.executable, PROGRAMS / 'trial_node.py', *arguments]
        before = signal.signal(signal.SIGHUP, hang_up)  # a process inherits what is ignored
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        signal.signal(signal.SIGHUP, before)
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
            process.wait()


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_even_twice_leaves_time_for_last_words(start, number):
    node = start('run')
    assert node.stdout.readline() == 'alive\n'
    node.send_signal(number)
    time.sleep(0.001)
    node.send_signal(number)
    out, err = node.communicate(timeout=20)
    assert node.returncode == 0
    assert out.count('last words') == 1 and 'Traceback' not in err


def test_nohup_is_heeded(start):
    node = start('run', hang_up=signal.SIG_IGN)
    assert node.stdout.readline() == 'alive\n'
    node.send_signal(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        node.wait(0.5)
    node.send_signal(signal.SIGTERM)
    assert node.wait(20) == 0


def test_an_error_of_ours_ends_the_program_after_the_last_words(start):
    node = start('break')
    out, err = node.communicate(timeout=20)
    assert node.returncode == 1
    assert out == 'alive\nlast words\n' and 'ValueError: a mistake of ours' in err


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['refuse'], 'trial: ConfigError: the cause and the fix\n'),
        (['run', '--ros-args', '--bogus'], '--bogus'),
        (['run', '--ros-args', '--params-file', '/none.yaml'], '/none.yaml'),
    ],
)
def test_bad_input_is_one_line_and_status_2(start, arguments, message):
    node = start(*arguments)
    out, err = node.communicate(timeout=20)
    assert node.returncode == 2
    assert message in err and 'Traceback' not in err and out == ''


@pytest.mark.parametrize(
    ('strategy', 'made'),
    [('Enforce', None), ('Enforce', ''), ('Enforce', 'enclaves'), ('Permissive', 'enclaves')],
)
def test_security_that_cannot_be_had_is_one_line(start, monkeypatch, tmp_path, strategy, made):
    """No keystore, an empty one, an enclave without keys; other Permissive ones talk in the clear.

    Where the DDS has no security, it says so of the last two.
    """
    monkeypatch.setenv('ROS_SECURITY_ENABLE', 'true')
    monkeypatch.setenv('ROS_SECURITY_STRATEGY', strategy)
    if made is not None:
        monkeypatch.setenv('ROS_SECURITY_KEYSTORE', str(tmp_path))
        (tmp_path / made).mkdir(exist_ok=True)
    node = start('run')
    out, err = node.communicate(timeout=20)
    lines = [line for line in err.splitlines() if not line.startswith('[INFO]')]
    assert node.returncode == 2 and out == '' and len(lines) == 1
    assert lines[0].startswith('trial: ConfigError: ')
    assert 'ROS_SECURITY_KEYSTORE' in lines[0] and 'docs/reference/security.md' in lines[0]
