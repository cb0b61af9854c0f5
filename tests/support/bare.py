"""A bare Debian 12 in a folder, and commands in it: with processes and mounts of their own, so that
everything a command leaves running ends with it.  Needs root and debootstrap.

The base is made once (.cache/bare/base) and copied for each use; only apt reaches the network."""

import os
import pathlib
import shutil
import subprocess
import time

from support.hub import SLOW, TOP

BASE = TOP / '.cache/bare/base'
# What a login shell of root has, and nothing of ours.
ENVIRONMENT = {'PATH': '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'HOME': '/root',
               'LC_ALL': 'C.UTF-8', 'TERM': 'dumb', 'DEBIAN_FRONTEND': 'noninteractive'}


def missing():
    """Why there can be no bare machine here, or ''."""
    if os.geteuid() != 0:
        return 'needs root (chroot, apt-get)'
    lost = [tool for tool in ('debootstrap', 'unshare', 'mount', 'ip') if not shutil.which(tool)]
    return f'there is no {", ".join(lost)}: tools/setup-debian --packages' if lost else ''


def make_base():
    if BASE.exists():
        return
    part = BASE.with_name('part')
    shutil.rmtree(part, ignore_errors=True)
    part.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(['debootstrap', '--variant=minbase', 'bookworm', part], check=True, timeout=900,
                   stdout=subprocess.DEVNULL)
    shutil.copy('/etc/resolv.conf', part / 'etc/resolv.conf')
    subprocess.run(['chroot', part, 'apt-get', '-qq', 'update'], check=True, timeout=300, env=ENVIRONMENT)
    (part / 'etc/dpkg/dpkg.cfg.d/quick').write_text('force-unsafe-io\n')  # nobody keeps these machines
    part.rename(BASE)


def call(*line, timeout=120):
    subprocess.run([str(word) for word in line], check=True, stdout=subprocess.DEVNULL, timeout=timeout)


class Bare:
    """A machine of one's own in FOLDER, like the base or like another one, that must not change any more.
    What it changes lies in a layer of its own; where the kernel has no overlays it is a copy."""

    def __init__(self, folder, like=None):
        folder = pathlib.Path(folder)
        make_base()
        self.root, upper, work = folder / 'root', folder / 'upper', folder / 'work'
        below = like.layers if like else [BASE]
        for path in (self.root, upper, work):
            path.mkdir(parents=True)
        layers = ':'.join(str(layer) for layer in below)
        self.mounted = subprocess.run(
            ['mount', '-t', 'overlay', 'mcpauth-bare', '-o', f'lowerdir={layers},upperdir={upper},workdir={work}', self.root],
            stderr=subprocess.DEVNULL).returncode == 0
        self.layers = [upper, *below] if self.mounted else [self.root]
        if not self.mounted:
            call('cp', '-a', f'{below[0]}/.', self.root)

    def remove(self):
        if self.mounted:
            call('umount', self.root)
        shutil.rmtree(self.root.parent)

    def line(self, command, folder='/root', offline=False):
        """The words that run COMMAND, for bash, in FOLDER; OFFLINE: its network is a loopback of its own."""
        inside = f'cd {folder} || exit\n{command}'
        enter = ['unshare', '--mount', '--pid', '--fork', '--kill-child', f'--mount-proc={self.root}/proc',
                 'chroot', str(self.root), 'bash', '-c', inside]
        return ['unshare', '--net', 'sh', '-ec', 'ip link set lo up; exec "$@"', 'sh', *enter] if offline else enter

    def try_(self, command, timeout=300, **kw):
        return subprocess.run(self.line(command, **kw), text=True, stdin=subprocess.DEVNULL, env=ENVIRONMENT,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout)

    def run(self, command, **kw):
        """What COMMAND printed; it must succeed."""
        done = self.try_(command, **kw)
        assert done.returncode == 0, f'{command}: {done.returncode}\n{done.stdout}'
        return done.stdout

    def put(self, package):
        """PACKAGE, a file, as apt-get takes it on this machine."""
        shutil.copy(package, self.root / 'root')
        return f'./{package.name}'

    def install(self, packages, options=''):
        return self.run(f'apt-get -y {options} install {" ".join(map(self.put, packages))}')

    def path(self, name):
        return self.root / name.lstrip('/')


def wait_file(path, process, timeout=60):
    """The content of the file at PATH as soon as it is there; PROCESS is to write it."""
    end = time.monotonic() + timeout * SLOW
    while not path.exists():
        assert process.poll() is None, f'it ended with {process.returncode}'
        assert time.monotonic() < end, f'{path} did not come'
        time.sleep(0.05)
    return path.read_text()
