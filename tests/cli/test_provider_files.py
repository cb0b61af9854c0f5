"""Provider files are judged before anything in them runs: who could have changed them, how they are
reached, what they say they are (rows 128, 129, 130, 131)."""

import itertools
import os
import pathlib
import re
import shutil
import signal
import subprocess
import threading
import time

import pytest

from support.hub import TOP

BUILD = pathlib.Path(os.environ.get('MCPAUTH_BUILD', TOP / 'build'))
FAULT = BUILD / 'plugins/.libs/fault.so'
CC = shutil.which('cc') or shutil.which('gcc')
root = pytest.mark.skipif(os.geteuid() != 0, reason='only root can give files away')


def show(folder, name, env=None, args=()):
    """`mcpauth provider show`: (status, everything it printed)."""
    done = subprocess.run([BUILD / 'mcpauth', '--plugin-dir', folder, *args, 'provider', 'show', str(name)],
                          capture_output=True, text=True, errors='replace', timeout=60, env={**os.environ, **(env or {})})
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def plugins(tmp_path):
    """A folder of our own with fault.so in it, below a folder that is safe too."""
    tmp_path.chmod(0o755)
    folder = tmp_path / 'plugins'
    folder.mkdir(mode=0o755)
    shutil.copy(FAULT, folder / 'fault.so')
    (folder / 'fault.so').chmod(0o644)
    return folder


def loads(plugins):
    status, text = show(plugins, 'fault')
    assert (status == 0) == text.startswith('fault ')
    return status == 0


# ---- who could have changed it (row 128)

@pytest.mark.parametrize('mode', [0o644, 0o755, 0o600, 0o444])
def test_a_file_that_only_its_owner_can_write_is_loaded(plugins, mode):
    (plugins / 'fault.so').chmod(mode)
    assert loads(plugins)


@pytest.mark.parametrize('mode', [0o664, 0o646, 0o666, 0o777, 0o622])
def test_a_file_that_others_can_write_is_refused(plugins, mode):
    (plugins / 'fault.so').chmod(mode)
    assert not loads(plugins)
    assert 'can be written by others' in show(plugins, 'fault')[1]


@pytest.mark.parametrize('mode', [0o775, 0o757, 0o777])
@pytest.mark.parametrize('level', ['.', '..'])
def test_a_folder_above_it_that_others_can_write_is_refused(plugins, level, mode):
    (plugins / level).chmod(mode)
    assert not loads(plugins)
    (plugins / level).chmod(0o755)
    assert loads(plugins)


def test_a_sticky_folder_above_it_is_no_danger(plugins):
    plugins.parent.chmod(0o1777)
    assert loads(plugins)


@root
@pytest.mark.parametrize('what', ['fault.so', '.', '..'])
def test_a_file_or_folder_of_somebody_else_is_refused(plugins, what):
    os.chown(plugins / what, 12345, -1)
    assert not loads(plugins)
    assert 'belongs to neither root nor the user' in show(plugins, 'fault')[1]


def test_a_link_into_an_unsafe_folder_is_refused(plugins, tmp_path):
    open_folder = tmp_path / 'open'
    open_folder.mkdir()
    shutil.move(plugins / 'fault.so', open_folder / 'fault.so')
    (plugins / 'fault.so').symlink_to(open_folder / 'fault.so')
    assert loads(plugins)
    open_folder.chmod(0o777)
    assert not loads(plugins)


def test_a_link_in_an_unsafe_folder_is_refused_wherever_it_leads(plugins, tmp_path):
    open_folder = tmp_path / 'open'
    open_folder.mkdir()
    (open_folder / 'fault.so').symlink_to(plugins / 'fault.so')
    assert loads(open_folder)
    open_folder.chmod(0o777)
    assert not loads(open_folder)


def test_what_is_no_regular_file_is_refused(plugins):
    (plugins / 'fault.so').unlink()
    (plugins / 'fault.so').mkdir()
    assert not loads(plugins)
    (plugins / 'fault.so').rmdir()
    os.mkfifo(plugins / 'fault.so', 0o600)
    assert not loads(plugins)


# ---- providers that are not what they should be

GOOD = r'''
#include <mcpauth/provider.h>
#include <fcntl.h>
#include <unistd.h>
static const struct mcpauth_provider table;
extern const struct mcpauth_host *host;
REGISTER
__attribute__((constructor)) static void mark(void)
{
  close(open(MARK, O_CREAT | O_WRONLY, 0600));
}
struct config { const char *word; long long number; int choice; };
static const char *const choices[] = {"a", "b", NULL};
static const struct mcpauth_option options[] = {
  {.name = "word", .type = MCPAUTH_STRING, .offset = offsetof(struct config, word), .help = "h"},
  OPTION
  {.name = NULL},
};
static enum mcpauth_result verify(struct mcpauth_request *rq, const void *config, void *state)
{
  (void)rq; (void)config; (void)state; (void)choices;
  EXTRA
  return MCPAUTH_IGNORE;
}
static const struct mcpauth_provider table = {
  .abi = MCPAUTH_ABI, .struct_size = sizeof(struct mcpauth_provider), .name = "odd", .version = "1",
  .description = "d", .options = options, .config_size = sizeof(struct config), .verify = verify,
  TABLE
};
'''
REGISTER = 'MCPAUTH_PROVIDER(&table);'


class Maker:
    """Compiles providers into a safe folder; `ran` tells whether their constructor did."""

    def __init__(self, folder):
        self.folder, self.mark = folder, folder / 'ran'
        self.include = folder / 'include'

    def make(self, register=REGISTER, option='', table='', extra='', abi=None, name='odd'):
        include = TOP / 'include'
        if abi is not None:
            header = (include / 'mcpauth/provider.h').read_text()
            (self.include / 'mcpauth').mkdir(parents=True, exist_ok=True)
            (self.include / 'mcpauth/provider.h').write_text(
                re.sub(r'(#define MCPAUTH_ABI_MAJOR) \d+u', rf'\1 {abi}u', header))
            include = self.include
        source = self.folder / 'odd.c'
        text = GOOD
        for word, value in (('REGISTER', register), ('OPTION', option), ('TABLE', table), ('EXTRA', extra)):
            text = re.sub(rf'^( *){word}$', lambda m: m[1] + value, text, flags=re.M)
        source.write_text(text)
        subprocess.run([CC, '-std=gnu11', '-w', '-shared', '-fPIC', f'-DMARK="{self.mark}"', '-I', include,
                        '-o', self.folder / f'{name}.so', source], check=True)
        (self.folder / f'{name}.so').chmod(0o644)
        return self.folder

    @property
    def ran(self):
        return self.mark.exists()


@pytest.fixture
def maker(tmp_path):
    if CC is None:
        pytest.skip('there is no C compiler')
    tmp_path.chmod(0o755)
    folder = tmp_path / 'made'
    folder.mkdir(mode=0o755)
    return Maker(folder)


def test_a_provider_in_order_is_loaded(maker):
    assert show(maker.make(), 'odd')[0] == 0
    assert maker.ran


def test_a_provider_of_another_abi_is_refused_before_its_code_runs(maker):  # row 130
    status, text = show(maker.make(abi=2), 'odd')
    assert status == 1 and 'was built for ABI 2.0' in text
    assert not maker.ran


def test_a_file_without_the_note_is_refused_before_its_code_runs(maker):  # row 130
    no_note = ('const struct mcpauth_host *host; MCPAUTH_EXPORT const struct mcpauth_registration '
               'mcpauth_provider = {MCPAUTH_ABI, sizeof(struct mcpauth_registration), &host, &table};')
    assert show(maker.make(register=no_note), 'odd')[0] == 1
    assert not maker.ran


def test_a_file_that_is_no_elf_is_refused(maker):  # row 130
    for content in (b'', b'#!/bin/sh\n', b'\x7fELF', FAULT.read_bytes()[:200], FAULT.read_bytes()[:5000]):
        (maker.folder / 'odd.so').write_bytes(content)
        assert show(maker.folder, 'odd')[0] == 1


NUMBER = '.type = MCPAUTH_INTEGER, .offset = offsetof(struct config, number), .help = "h"'

BROKEN = {  # row 131
    'no symbol': dict(register='MCPAUTH_NOTE; const struct mcpauth_host *host;'),
    'a registration of another ABI': dict(
        register='MCPAUTH_NOTE; const struct mcpauth_host *host; MCPAUTH_EXPORT const struct '
                 'mcpauth_registration mcpauth_provider = {2u << 16, sizeof(struct mcpauth_registration), '
                 '&host, &table};'),
    'no place for the host': dict(
        register='MCPAUTH_NOTE; const struct mcpauth_host *host; MCPAUTH_EXPORT const struct '
                 'mcpauth_registration mcpauth_provider = {MCPAUTH_ABI, sizeof(struct '
                 'mcpauth_registration), 0, &table};'),
    'no table': dict(register='MCPAUTH_PROVIDER(0);'),
    'a table of another ABI': dict(table='.abi = 3u << 16,'),
    'a table that is too short': dict(table='.struct_size = 8,'),
    'no callback that answers': dict(table='.verify = 0,'),
    'another name than its file': dict(table='.name = "even",'),
    'no name': dict(table='.name = 0,'),
    'no version': dict(table='.version = 0,'),
    'a huge configuration': dict(table='.config_size = 100000000,'),
    'an option outside of it': dict(option='{.name = "n", ' + NUMBER + ', .offset = 1000},'),
    'an option half outside': dict(option='{.name = "n", ' + NUMBER + ', .offset = sizeof(struct config) - 4},'),
    'an option of no type': dict(option='{.name = "n", ' + NUMBER + ', .type = 99},'),
    'an option without help': dict(option='{.name = "n", ' + NUMBER + ', .help = 0},'),
    'an option with an empty range': dict(option='{.name = "n", ' + NUMBER + ', .min = 2, .max = 1},'),
    'an option twice': dict(option='{.name = "word", ' + NUMBER + '},'),
    'an option with a bad name': dict(option='{.name = "Word", ' + NUMBER + '},'),
    "an option of the hub's": dict(option='{.name = "scopes", ' + NUMBER + '},'),
    'a choice of nothing': dict(option='{.name = "c", .type = MCPAUTH_CHOICE, .offset = offsetof(struct '
                                       'config, choice), .help = "h"},'),
    'a function that nobody has': dict(extra='extern int nobody_has_this(void); nobody_has_this();'),
}


@pytest.mark.parametrize('what', BROKEN)
def test_a_broken_provider_is_refused(maker, what):
    status, text = show(maker.make(**BROKEN[what]), 'odd')
    assert status == 1, text
    assert 'mcpauth provider: ' in text and len(text.strip()) > 30


# ---- and that crashes

def test_a_provider_that_crashes_while_it_is_loaded_is_named(maker):
    status, text = show(maker.make(table='.options = (const void *)16,'), 'odd')
    assert status == -signal.SIGSEGV
    assert f'{maker.folder}/odd.so: the provider crashes' in text and 'provider test' in text


def test_a_provider_that_crashes_while_it_checks_its_options_is_named(maker, tmp_path):
    maker.make(table='.check = (void *)16,')
    conf = tmp_path / 'conf'
    conf.mkdir(mode=0o755)
    (conf / 'hub.conf').write_text(
        'hub { public_url http://127.0.0.1:8080 }\nprovider odd { }\n'
        'service notes { path /notes; upstream http://127.0.0.1:9/mcp; auth required odd }\n')
    (conf / 'hub.conf').chmod(0o644)
    done = subprocess.run([BUILD / 'mcpauth', '--plugin-dir', maker.folder, '-c', conf, 'check'],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == -signal.SIGSEGV
    assert f'{maker.folder}/odd.so: the provider crashes' in done.stderr


# ---- how it is reached (row 129)

def test_only_names_of_the_grammar_reach_a_file(plugins):
    (plugins / 'Fault.so').write_bytes(b'')
    for name in ('../plugins/fault', './fault', 'fault.so', 'Fault', '', '-fault', 'fault\n', 'f*'):
        status, text = show(plugins, name)
        assert status != 0, f'{name!r} was loaded: {text}'


def test_the_environment_adds_no_folder(plugins, maker):
    maker.make(name='elsewhere', table='.name = "elsewhere",')
    env = {v: str(maker.folder) for v in ('LTDL_LIBRARY_PATH', 'LD_LIBRARY_PATH')}
    status, text = show(plugins, 'elsewhere', env)
    assert status == 1 and "there is no module 'elsewhere'" in text
    assert not maker.ran


def test_a_libtool_file_leads_nowhere(plugins, maker):
    maker.make(name='elsewhere', table='.name = "elsewhere",')
    (plugins / 'elsewhere.la').write_text(
        f"dlname='elsewhere.so'\nlibrary_names='elsewhere.so'\ninstalled=yes\nlibdir='{maker.folder}'\n")
    assert show(plugins, 'elsewhere')[0] == 1
    assert not maker.ran


def test_a_relative_folder_is_refused(plugins):
    done = subprocess.run([BUILD / 'mcpauth', '--plugin-dir', 'plugins', 'provider', 'show', 'fault'],
                          capture_output=True, text=True, cwd=plugins.parent, timeout=60)
    assert done.returncode == 1 and 'not an absolute path' in done.stderr


def test_a_file_that_is_swapped_while_it_is_judged_is_never_used(maker, tmp_path):
    """What was judged and what was loaded must be one file, whoever keeps renaming others over it.
    Either file stays for no time or for some, so that renames fall between judgement and load often."""
    maker.make(table='.name = "fault",')
    bad, good = maker.folder / 'odd.so', tmp_path / 'good.so'
    bad.chmod(0o666)
    shutil.copy(FAULT, good)
    good.chmod(0o644)
    name, stop = maker.folder / 'fault.so', threading.Event()

    def put(file):
        link = maker.folder / '.next'
        os.link(file, link)
        link.rename(name)

    def allowed(status, text):
        return status == 1 or text.startswith('fault 0.1.0: Does what it is told')

    def swap():
        for pause in itertools.cycle((0,) * 100 + (0.0003, 0.001, 0.003)):
            for file in (bad, good):
                put(file)
                if stop.wait(pause):
                    return
    put(bad)
    assert show(maker.folder, 'fault')[0] == 1
    bad.chmod(0o644)
    status, text = show(maker.folder, 'fault')
    assert status == 0 and not allowed(status, text)  # it would be seen
    bad.chmod(0o666)
    put(good)
    assert show(maker.folder, 'fault')[0] == 0
    thread = threading.Thread(target=swap)
    thread.start()
    answers, end = [], time.monotonic() + 4
    try:
        while len(answers) < 150 or time.monotonic() < end:
            answers.append(show(maker.folder, 'fault'))
    finally:
        stop.set()
        thread.join()
    assert [text for status, text in answers if not allowed(status, text)] == []


def test_a_file_that_was_cut_short_is_refused(plugins):
    whole = FAULT.read_bytes()
    # A sanitizer's leak report would itself read the debug sections that are cut off here.
    quiet = {'ASAN_OPTIONS': os.environ.get('ASAN_OPTIONS', '') + ':detect_leaks=0'}
    for n in range(0, len(whole) * 9 // 10, max(1, len(whole) // 25)):
        (plugins / 'fault.so').write_bytes(whole[:n])
        status, text = show(plugins, 'fault', env=quiet)
        assert status in (0, 1), f'{n} of {len(whole)} bytes: {status} {text}'
