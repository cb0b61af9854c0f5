"""preload.c, loaded into a hub: time that passes at once, and death or failure at a chosen system call.

    p = Preload(); h = hub(conf, env=p.env); p.watch(h)
    p.advance(3600)                                 # for every process of the hub
    p.kill_at(Step(HEARD, 'access_token'))          # when the provider's answer has arrived
    with p.failing(Step(STORE_WRITE), errno.ENOSPC): ...

Steps come in order; the last one is where it happens. `after` a call means when it has returned."""

import atexit
import collections
import contextlib
import errno
import functools
import mmap
import os
import pathlib
import shutil
import struct
import subprocess
import tempfile
import time

from support.hub import SLOW, TOP

STORE_WRITE, STORE_SYNC, AUDIT_WRITE, HEARD, ASKED = 1, 2, 4, 8, 16
ANSWER, STORE_OPEN, STORE_READ, BELL = 32, 64, 128, 256
SOURCE = TOP / 'tests/support/preload.c'
STEPS, STEP, HEAD = 4, struct.Struct('=iii116s'), struct.Struct('=qiiiiii')


class Step(collections.namedtuple('Step', 'what text after skip')):
    """A call of one of the kinds in WHAT that has TEXT in its bytes; SKIP: not the first so many."""

    def __new__(cls, what, text='', after=False, skip=0):
        return super().__new__(cls, what, text, after or what in (HEARD, ASKED), skip)


def unusable():
    """Why the shim cannot be loaded here, or None."""
    program = pathlib.Path(os.environ.get('MCPAUTH_BUILD', TOP / 'build')) / 'mcpauthd'
    if os.environ.get('MCPAUTH_VALGRIND'):
        return 'valgrind has clocks and calls of its own'
    if b'__asan_init' in program.read_bytes():
        return 'AddressSanitizer must be the first library of a process'
    return None


@functools.lru_cache(None)
def compiled():
    """The library, made once a session."""
    folder = tempfile.mkdtemp(prefix='mcpauth-preload-')
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    so = pathlib.Path(folder) / 'preload.so'
    done = subprocess.run(['cc', '-std=gnu11', '-O1', '-fPIC', '-shared', '-o', so, SOURCE, '-ldl'],
                          capture_output=True, text=True, timeout=60 * SLOW)
    assert done.returncode == 0, done.stderr
    return so


class Preload:
    def __init__(self):
        self._folder = tempfile.TemporaryDirectory(prefix='mcpauth-preload-')
        folder = pathlib.Path(self._folder.name)
        file = folder / 'control'
        file.write_bytes(bytes(mmap.PAGESIZE))
        with open(file, 'r+b') as f:
            self.memory = mmap.mmap(f.fileno(), mmap.PAGESIZE)
        self.env = {'LD_PRELOAD': str(compiled()), 'MCPAUTH_TEST_PRELOAD': str(file)}

    def _get(self):
        return HEAD.unpack_from(self.memory)

    def _put(self, at, value):
        struct.pack_into('=i', self.memory, at, value)

    def watch(self, hub):
        """Whose connections are those of clients."""
        self._put(8, hub.port)

    # time

    @property
    def ahead(self):
        """By how many seconds the hub is ahead of us."""
        return self._get()[0] / 1e9

    def advance(self, seconds):
        struct.pack_into('=q', self.memory, 0, self._get()[0] + int(seconds * 1e9))

    def now(self):
        """What the hub takes for the time."""
        return time.time() + self.ahead

    # places

    def _arm(self, steps, error):
        assert 0 < len(steps) <= STEPS
        self._put(12, 0)
        for i, s in enumerate(steps):
            assert len(s.text) < 116
            STEP.pack_into(self.memory, HEAD.size + i * STEP.size, s.what, s.after, s.skip, s.text.encode())
        for at, value in ((16, 0), (20, error), (24, 0), (28, 0), (12, len(steps))):
            self._put(at, value)

    def disarm(self):
        self._put(12, 0)

    def kill_at(self, *steps):
        """The process that comes there kills itself with SIGKILL, once."""
        self._arm(steps, 0)

    @property
    def killed(self):
        """The pid of who did, or 0."""
        return self._get()[5]

    @contextlib.contextmanager
    def failing(self, *steps, error=errno.ENOSPC):
        """From there on these calls fail, until the block ends."""
        self._arm(steps, error)
        try:
            yield
        finally:
            self.disarm()

    @property
    def calls(self):
        """How many calls have fitted the last step."""
        return self._get()[6]

    def close(self):
        self.memory.close()
        self._folder.cleanup()
