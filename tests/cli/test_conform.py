"""`mcpauth provider test`: a decent provider keeps every rule, each planted fault is found by the rule
that it breaks, and every provider that we ship keeps them all.  Rows 23, 131, 134, 135, 136."""

import os
import re
import subprocess

import pytest

from support.hub import SLOW, TOP

pytestmark = pytest.mark.skipif(SLOW > 1, reason='it counts memory, and a sanitizer keeps memory of its own')

BUILD = os.environ.get('MCPAUTH_BUILD', str(TOP / 'build'))
SOURCE = TOP / 'tests/conform/broken/broken.c'
# rule -> faults that it must find
FAULTS = {
    'exports': ['EXTRA_EXPORT'],
    'imports': ['THREAD', 'SETENV', 'PRINTF'],
    'loads': ['NO_HELP', 'OTHER_NAME', 'NO_NOTE', 'HALF_A_LOGIN'],
    'tables': ['NO_SINCE', 'SHARED_MEMBER', 'NO_VERSION', 'NO_CLAIMS'],
    'check': ['BAD_FALLBACK', 'CHECK_LEAVES_OPEN', 'CHECK_REFUSES', 'CHECK_CRASHES'],
    'valid': ['NO_PRINCIPAL', 'NO_SUCH_RESULT', 'ENDS_PROCESS'],
    'garbage': ['YES_TO_ALL'],
    'expired': ['EXPIRED'],
    'audience': ['AUDIENCE'],
    'foreign': ['CLAIMS_ALL'],
    'claims': ['CLAIMS_OVERREAD', 'CLAIMS_FICKLE'],
    'error': ['OPEN', '500_IS_DENY'],
    'limited': ['LIMITED_IS_INVALID'],
    'malformed': ['MALFORMED_IS_INVALID', 'MALFORMED_CRASHES'],
    'timeout': ['DOWN_IS_INVALID'],
    'reload': ['STOP_WHILE_WAITING'],
    'twins': ['GLOBAL_CONFIG'],
    'reuse': ['REUSE_BY_ADDRESS'],
    'cycles': ['STATE_LEAK'],
    'leaks': ['MEMORY_LEAK', 'DESCRIPTOR_LEAK'],
    'process': ['UMASK', 'ENVIRONMENT'],
    'blocking': ['BLOCKS'],
    'protocol': ['PENDING_BARE', 'TWO_AT_ONCE', 'ANSWERS_WHILE_ASKING', 'BAD_METHOD'],
    'output': ['WRITES'],
    'secrets': ['LOGS_SECRET', 'LOGS_CREDENTIAL', 'TOKEN_IN_URL'],
}
# A script in which garbage and the like are claimed, so that what is said of them counts.
SCRIPT = 'credential garbage {jwt}\n'
# `ldap-groups` waits for each of its timeouts: its own test does what needs a directory.
SHIPPED = sorted(name[:-3] for name in os.listdir(os.path.join(BUILD, 'plugins', '.libs'))
                 if name.endswith('.so') and not name.startswith('fault')) \
    if os.path.isdir(os.path.join(BUILD, 'plugins', '.libs')) else []


def compile_broken(folder, *faults):
    so = folder / 'broken.so'
    subprocess.run(['cc', '-std=gnu11', '-O1', '-fPIC', '-shared', '-fvisibility=hidden', '-w', '-I', TOP / 'include',
                    *(f'-DFAULT_{f}' for f in faults), '-Wl,-z,now,-z,nodelete', '-o', so, SOURCE], check=True, timeout=120)
    return so


def conform(so, script=None, only=None):
    """{rule: (word, text)} of the table, and the exit status."""
    line = [f'{BUILD}/mcpauth', 'provider', 'test', *(['--script', str(script)] if script else []),
            *(['--only', only] if only else []), str(so)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=280 * SLOW)
    rows = re.findall(r'^(ok|FAIL|-) +(\w+) +(.*)$', done.stdout, re.M)
    assert rows, done.stdout + done.stderr
    return {rule: (word, text) for word, rule, text in rows}, done.returncode


def broken_rules(rows):
    return {rule: text for rule, (word, text) in rows.items() if word == 'FAIL'}


@pytest.fixture
def script(tmp_path):
    path = tmp_path / 'broken.script'
    path.write_text(SCRIPT)
    return path


def test_a_decent_provider_keeps_every_rule(tmp_path, script):
    rows, status = conform(compile_broken(tmp_path), script)
    assert broken_rules(rows) == {} and status == 0
    assert {rule for rule, (word, _) in rows.items() if word == '-'} == {'begin', 'finish', 'refused', 'away'}


@pytest.mark.parametrize('rule, fault', [(rule, fault) for rule, faults in FAULTS.items() for fault in faults])
def test_a_planted_fault_is_found_by_its_rule(tmp_path, script, rule, fault):
    rows, status = conform(compile_broken(tmp_path, fault), script, only=rule)
    assert rule in broken_rules(rows), rows
    assert status == 1


@pytest.mark.parametrize('name', SHIPPED)
def test_every_provider_that_we_ship_keeps_the_rules(name):
    script = TOP / 'tests/conform' / f'{name}.script'
    rows, status = conform(f'{BUILD}/plugins/.libs/{name}.so', script if script.exists() else None)
    assert broken_rules(rows) == {} and status == 0


def test_a_script_that_is_not_understood_is_refused_with_its_line(tmp_path):
    script = tmp_path / 'bad.script'
    script.write_text('# fine\ncredential nowhere x\n')
    done = subprocess.run([f'{BUILD}/mcpauth', 'provider', 'test', '--script', script, SOURCE], capture_output=True,
                          text=True, timeout=60)
    assert done.returncode == 1 and 'bad.script:2: not understood' in done.stderr
