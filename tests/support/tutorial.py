"""docs/tutorial.md as a person works through it: its commands in order, and what she writes in between.

`follow` does that with any way to run a command and to reach files, so that the same steps are tried
from `make install` (tests/cli/test_tutorial.py) and from the packages (tests/packages)."""

import re

from support.hub import TOP

TEXT = (TOP / 'docs/tutorial.md').read_text(encoding='utf-8')


def blocks(kind):
    return [m[1] for m in re.finditer(rf'^```{kind}\n(.*?)^```', TEXT, re.M | re.S)]


COMMANDS = [line for block in blocks('sh') for line in block.splitlines()]


def by_hand():
    """The lines that the reader writes herself."""
    lines = [line for kind in ('c', 'script', 'conf') for block in blocks(kind) for line in block.splitlines()]
    return [line for line in lines if line.strip()]


def your_function(source, text):
    """SOURCE with the function `answered`, its comment included, replaced by TEXT."""
    start = source.index('/* YOURS')
    end = source.index('\n}\n', start) + 3
    return source[:start] + text + source[end:]


def your_replies(script, text):
    lines = [line for line in script.splitlines() if not line.startswith('reply ')]
    at = next(i for i, line in enumerate(script.splitlines()) if line.startswith('reply '))
    return '\n'.join(lines[:at] + text.splitlines() + lines[at:]) + '\n'


def fill_in(where):
    """Her part of the provider in the folder WHERE."""
    source, script = where / 'hello-provider.c', where / 'hello-provider.script'
    source.write_text(your_function(source.read_text(), blocks('c')[0]))
    script.write_text(your_replies(script.read_text(), blocks('script')[0]))


def configure(conf, badges, upstream):
    """Her part of the configuration in the folder CONF, with these two URLs for those of the text."""
    option, service = blocks('conf')
    path = conf / 'hello-provider.conf'
    path.write_text(path.read_text().replace('    # url  URL\n', option.replace('http://127.0.0.1:9000/badges', badges)))
    (conf / 'notes.conf').write_text(service.replace('http://127.0.0.1:3001/mcp', upstream))
    (conf / 'notes.conf').chmod(0o644)


def follow(run, here, conf, badges, upstream):
    """All of it.  RUN (command, folder) returns its output and fails when it fails; HERE is the empty
    folder that she begins in, CONF the folder of the configuration."""
    for command in COMMANDS:
        if command.startswith('cd '):
            here = here / command[3:]
            fill_in(here)
            continue
        if command == 'mcpauth check':
            configure(conf, badges, upstream)
        assert 'FAIL' not in run(command, here)


def badge_service(x):
    """Handler of a MockUpstream: the badge service of the text, which knows badges with `good` in them."""
    if b'good' in x.request.body:
        x.reply({'badge': 'valid', 'employee': 'e-1001', 'groups': ['doors']}, status=200)
    else:
        x.reply({}, status=404)
