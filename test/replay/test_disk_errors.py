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

"""A disk that refuses: a clear error, nothing stored is harmed, and on it goes when it is well."""

import errno
import os
import resource
import shutil
import subprocess
import sys

import numpy as np
import pytest
from paths import PROGRAMS
from replay_values import SMALL, NoSync, assert_rows, fill, make_spec, transition

from sac_ros.errors import ReplayError
from sac_ros.replay import ReplayReader, ReplayWriter

BIG = make_spec(2042)  # 16 KiB a record: four records fill a segment
TOTAL = 21


class Failing(NoSync):
    """Fails from the n-th call on, `times` times, some writes after having written a part."""

    def __init__(self, n=0, code=errno.EIO, times=1, partly=False):
        self.calls, self.n, self.code, self.times, self.partly = 0, n, code, times, partly

    def _call(self, method, *arguments):
        self.calls += 1
        if self.n <= self.calls < self.n + self.times:
            if method.__name__ == 'write' and self.partly and self.calls == self.n:
                fd, data, offset = arguments
                return method(fd, data[: len(data) // 2], offset)
            raise OSError(self.code, os.strerror(self.code))
        return method(*arguments)


for _name in ('open', 'allocate', 'write', 'sync', 'sync_directory', 'rename', 'remove'):

    def _failing(self, *arguments, _name=_name):
        return self._call(getattr(super(Failing, self), _name), *arguments)

    setattr(Failing, _name, _failing)


def insist(action, wrong):
    """Do it until the disk lets us; every refusal must be a ReplayError that says what to do."""
    for _ in range(10):
        try:
            return action()
        except ReplayError as error:
            assert 'try again' in str(error)
            wrong.append(error)
    raise AssertionError(f'still refused after ten attempts: {wrong[-1]}')


def write_it(directory, files):
    """Append TOTAL records through a failing disk; returns the errors met."""
    wrong = []

    def reopened():
        return ReplayWriter(
            directory,
            BIG,
            segment_records=4,
            capacity=8,
            sync_every=3,
            archive=True,
            files=files,
        )

    writer = insist(reopened, wrong)
    for i in range(TOTAL):
        assert insist(lambda i=i: writer.append(transition(i, BIG), truncated=False), wrong) == i
        if wrong:  # a reader that comes now finds all that was acknowledged
            assert ReplayReader(directory).end >= i
        assert_rows(writer, np.arange(writer.start, writer.end))
    insist(writer.sync, wrong)
    writer.close()
    return wrong


@pytest.mark.parametrize(
    ('code', 'times', 'partly'),
    [(errno.ENOSPC, 1, True), (errno.ENOSPC, 3, True), (errno.EIO, 1, False)],
)
def test_failure_at_every_call_harms_nothing(tmp_path, code, times, partly):
    counting = Failing()
    assert not write_it(tmp_path / 'well', counting)
    for n in range(1, counting.calls + 1):
        directory = tmp_path / str(n)
        wrong = write_it(directory, Failing(n, code, times, partly))
        assert wrong or partly
        live, archive = ReplayReader(directory, BIG), ReplayReader(directory / 'archive', BIG)
        assert archive.end == live.start
        assert live.end == TOTAL
        assert_rows(live, np.arange(live.start, TOTAL))
        assert_rows(archive, np.arange(live.start))
        shutil.rmtree(directory)


def test_error_names_the_cause_and_the_mend(tmp_path):
    files = Failing(code=errno.ENOSPC)
    with ReplayWriter(tmp_path / 'r', make_spec(), files=files) as writer:
        fill(writer, 0, 5)
        files.n = files.calls + 1
        with pytest.raises(ReplayError, match=r'No space left on device; free some space'):
            writer.append(transition(5), truncated=False)
        assert len(writer) == 5
        fill(writer, 5, 10)


def test_a_failed_fsync_is_made_good_by_writing_again(tmp_path):
    """The kernel calls pages clean after a failed fsync; a second one alone proves nothing."""

    class Counting(Failing):
        def write(self, fd, data, offset):
            written.append((offset, len(data)))
            return super().write(fd, data, offset)

    written = []
    files = Counting()
    with ReplayWriter(tmp_path / 'r', make_spec(), files=files) as writer:
        fill(writer, 0, 10)
        writer.sync()
        fill(writer, 10, 15)
        files.n = files.calls + 1
        with pytest.raises(ReplayError):
            writer.sync()
        assert writer.durable_end == 10
        written.clear()
        writer.sync()
        assert written == [(10 * 128, 5 * 128)]
        assert writer.durable_end == 15


def test_an_interrupt_leaves_a_record_whole_or_absent(tmp_path):
    class Interrupted(Failing):
        def _call(self, method, *arguments):
            self.calls += 1
            if self.calls == self.n:
                if self.partly:
                    method(*arguments)
                raise KeyboardInterrupt
            return method(*arguments)

    for partly in (False, True):
        for n in range(10, 60):
            directory = tmp_path / f'{n}-{partly}'
            writer = ReplayWriter(
                directory, BIG, segment_records=4, sync_every=2, files=Interrupted(n, 0, 0, partly)
            )
            interrupts = 0
            while writer.end < TOTAL:
                try:
                    i = writer.end
                    assert writer.append(transition(i, BIG), truncated=i % 3 == 2) == i
                except KeyboardInterrupt:
                    interrupts += 1
            assert interrupts == 1
            rows = writer.rows(np.arange(TOTAL))
            assert writer.layout.episode(rows).tolist() == [i // 3 for i in range(TOTAL)]
            writer.close()
            assert_rows(ReplayReader(directory), np.arange(TOTAL))


def test_a_real_limit_on_file_sizes(tmp_path):
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    with ReplayWriter(tmp_path / 'r', make_spec(), segment_records=SMALL) as writer:
        fill(writer, 0, SMALL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, old[1]))
        try:
            with pytest.raises(ReplayError, match='ulimit -f'):
                writer.append(transition(SMALL), truncated=False)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, old)
        fill(writer, SMALL, 2 * SMALL)
    assert_rows(ReplayReader(tmp_path / 'r'), np.arange(2 * SMALL))


@pytest.mark.parametrize(('program', 'size'), [('full_disk', '1m'), ('sparse_copy', '8m')])
def test_a_really_full_disk(tmp_path, program, size):
    file = PROGRAMS / f'{program}.py'
    disk = tmp_path / 'disk'
    disk.mkdir()
    unshare = ['unshare', '--mount'] if os.geteuid() == 0 else ['unshare', '-Urm']
    mount = f'mount -t tmpfs -o size={size} none {disk}'
    probe = subprocess.run([*unshare, 'sh', '-c', mount], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip('this machine lets no test mount a small file system')
    done = subprocess.run(
        [
            *unshare,
            'sh',
            '-c',
            f'{mount} && exec {sys.executable} {file} {disk} {tmp_path}/source',
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == 'went on\n', done.stderr
