"""The shell lines of README.md: each is run, in their order, or stands in ELSEWHERE with where it runs
instead.  tools/check-docs calls `check_readme` and `check_tutorial`; each returns what is wrong, or ''.

The commands run as after `sudo make install` on a machine of one's own: `mcpauth`, `mcpauthd` and `sudo` are
on the PATH, the configuration is first the one that is installed and then the README's.  `mcpauthd` is left
running.  What a command reads is what the one before it printed."""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

from support import tutorial
from support.hub import RUN, SLOW, TOP

README = TOP / 'README.md'
KINDS = {'README.md': {'sh', 'mcpauth'}, 'tutorial.md': {'sh', 'c', 'script', 'conf', 'json'}}
# What would build or test everything again, or install for good: the line, and where it runs.
ELSEWHERE = {
    './demo': '`./demo --once` is a step of ./check, and runs on a bare Debian in make check-packages',
    './demo --login': 'the same: --once does both, with a client in place of the browser',
    './check': 'it is what runs this',
    'sudo apt install ./mcpauth_*.deb ./mcpauth-cli_*.deb': 'tests/packages, on a bare Debian: make check-packages',
    './bootstrap && ./configure && make && sudo make install': './check builds, and installs in `make distcheck`',
}
# What a line must say beyond ending well.
SAYS = {
    'mcpauth explain notes --token-file -': r'verdict +GRANT',
    'mcpauth audit tail': r' start - generation=1 ',
}
WRAPPERS = {
    'sudo': 'exec "$@"',
    'mcpauth': 'exec {run} mcpauth {where} "$@"',
    'mcpauthd': '{run} mcpauthd {where} --port-file {dir}/ports "$@" >{dir}/log 2>&1 </dev/null &\n'
                'echo $! >{dir}/pid\n'
                'until [ -e {dir}/ports ]; do kill -0 $! || {{ cat {dir}/log; exit 1; }}; sleep 0.05; done',
}


def foreign_blocks(path):
    """Blocks of code that no test would look at: of another kind, or indented instead of fenced."""
    text = path.read_text(encoding='utf-8')
    kinds = re.findall(r'^```(\w*)\n.*?^```$', text, re.M | re.S)
    wrong = [f'a block of kind "{kind}"' for kind in kinds if kind not in KINDS[path.name]]
    rest = re.sub(r'^```.*?^```$', '', text, flags=re.M | re.S)
    return wrong + [f'an indented block: {line.strip()}' for line in re.findall(r'(?<=\n\n)(?: {4}|\t)\S.*', rest)]


def lines(text):
    """Shell lines of TEXT without the comments behind them."""
    found = [line for m in re.finditer(r'^```sh\n(.*?)^```', text, re.M | re.S) for line in m[1].splitlines()]
    return [line for line in (re.sub(r'(^|\s+)#.*', '', line).strip() for line in found) if line]


class Machine:
    """A folder that looks like an installation to the commands."""

    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix='mcpauth-readme-'))
        self.conf, bin_ = self.dir / 'conf', self.dir / 'bin'
        self.conf.mkdir(mode=0o700)
        bin_.mkdir()
        where = f'-c {self.conf} --state-dir {self.dir}/state --control {self.dir}/control'
        for name, body in WRAPPERS.items():
            (bin_ / name).write_text(f'#!/bin/sh\n{body.format(run=RUN, where=where, dir=self.dir)}\n')
            (bin_ / name).chmod(0o755)
        self.env = {**os.environ, 'PATH': f'{bin_}:{os.environ["PATH"]}'}
        self.said = ''

    def configure(self, name, text):
        """TEXT as a file of the configuration, on ports and with files and servers of this machine."""
        text = re.sub(r'^(\s*(?:admin\s*\{ )?listen\s+\S+):\d+', r'\1:0', text, flags=re.M)
        text = text.replace('/etc/mcpauth.d', str(self.conf)).replace('https://login.example.com', 'http://127.0.0.1:9')
        for secret in re.findall(r'file:(\S+)', text):
            self.file(pathlib.Path(secret).name, 'a-secret-for-the-check-of-the-documents')
        self.file(name, text)

    def file(self, name, text):
        (self.conf / name).write_text(text)
        (self.conf / name).chmod(0o600)

    def run(self, line):
        """What is wrong with LINE, or ''.  One that must say something only looks, and may be early."""
        heard, end = self.said, time.monotonic() + 15 * SLOW
        while True:
            wrong = self.run_once(line, heard)
            if wrong or re.search(SAYS.get(line, ''), self.said):
                return wrong
            if time.monotonic() > end:
                return f'`{line}` said: {self.said}'
            time.sleep(0.1)

    def run_once(self, line, heard):
        with open(self.dir / 'out', 'w+') as out, open(self.dir / 'err', 'w+') as err:  # no pipes: the daemon goes on
            done = subprocess.run(line, shell=True, cwd=self.dir, env=self.env, input=heard, text=True, stdout=out,
                                  stderr=err, timeout=60 * SLOW)
        self.said = (self.dir / 'out').read_text()
        return '' if done.returncode == 0 else (f'`{line}` ended with {done.returncode}: {self.said}'
                                                f'{(self.dir / "err").read_text()}')

    def end(self):
        pid = self.dir / 'pid'
        if pid.exists():
            os.kill(int(pid.read_text()), signal.SIGTERM)
            limit = time.monotonic() + 30 * SLOW
            while pathlib.Path(f'/proc/{pid.read_text().strip()}').exists() and time.monotonic() < limit:
                time.sleep(0.05)
        shutil.rmtree(self.dir)


def run_readme(machine, text):
    """Works through TEXT from top to bottom; the first thing that is wrong, or ''."""
    machine.configure('hub.conf', (TOP / 'etc/mcpauth.d/hub.conf').read_text())
    fresh = True
    for block in re.finditer(r'^```(\w+)\n(.*?)^```', text, re.M | re.S):
        if block[1] == 'mcpauth' and fresh:  # the first is a whole; the others are checked as fragments
            fresh = False
            machine.configure('hub.conf', block[2])
        if block[1] != 'sh':
            continue
        for line in lines(block[0]):
            wrong = '' if line in ELSEWHERE else machine.run(line)
            if wrong:
                return wrong
    return ''


def check_readme():
    text = README.read_text(encoding='utf-8')
    wrong = foreign_blocks(README)
    wrong += [f'{line} is listed to run elsewhere, and is not in it' for line in ELSEWHERE if line not in lines(text)]
    wrong += [f'{line} is expected to say something, and is not in it' for line in SAYS if line not in lines(text)]
    if wrong:
        return '; '.join(wrong)
    machine = Machine()
    try:
        return run_readme(machine, text)
    finally:
        machine.end()


def check_tutorial():
    """tests/cli/test_tutorial.py runs tutorial.COMMANDS, in their order; nothing else looks like one."""
    path = TOP / 'docs/tutorial.md'
    wrong = foreign_blocks(path)
    found = lines(path.read_text(encoding='utf-8'))
    if found != tutorial.COMMANDS:
        wrong.append(f'run are {tutorial.COMMANDS}, and it says {found}')
    return '; '.join(wrong)
