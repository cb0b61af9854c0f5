"""The provider ABI: every released header stands frozen in tests/abi/RELEASE.  Today's has the same
layout where they overlap; providers built against the old run today; one that is ahead of its time says
what it misses; C++ takes the header.  Rows 130, 131."""

import os
import re
import shutil
import subprocess

import pytest

from support.hub import RUN, SLOW, TOP

BUILD = os.environ.get('MCPAUTH_BUILD', str(TOP / 'build'))
TODAY = TOP / 'include'
HEADER = TODAY / 'mcpauth/provider.h'
RELEASES = sorted(path.name for path in (TOP / 'tests/abi').iterdir() if (path / 'mcpauth/provider.h').exists())


def run(*line, check=True, **kw):
    done = subprocess.run([str(w) for w in line], capture_output=True, text=True, timeout=280 * SLOW, **kw)
    assert not check or done.returncode == 0, f'{line}\n{done.stdout}{done.stderr}'
    return done


def structs(text):
    """{struct: [member, ...]} and the members of enums, of a header."""
    text = re.sub(r'/\*.*?\*/', '', text, flags=re.S)
    text = re.sub(r'^#.*(\\\n.*)*$', '', text, flags=re.M)
    found = {}
    for m in re.finditer(r'^struct (mcpauth_\w+) \{\n(.*?)^\};', text, re.M | re.S):
        body = re.sub(r'__attribute__\(\(.*?\)\)\)?', '', m[2], flags=re.S)
        members = []
        for part in body.split(';'):
            pointer = re.search(r'\(\*(\w+)\)\(', part)
            if pointer:
                members.append(pointer[1])
            elif part.strip():
                members += re.findall(r'(\w+)\s*(?:\[\w+\])?\s*(?:,|$)', part.strip())
        found[m[1]] = members
    enums = [name for m in re.finditer(r'^enum \w+ \{\n(.*?)^\};', text, re.M | re.S)
             for name in re.findall(r'^\s*(MCPAUTH_\w+)', m[1], re.M)]
    return found, enums


def layout(tmp_path, include, found, enums):
    """{what: number} as a compiler sees it."""
    lines = [f'P("{s}.{m}", offsetof(struct {s}, {m}) * 1000 + sizeof(((struct {s} *)0)->{m}))'
             for s, members in found.items() for m in members]
    lines += [f'P("{name}", {name})' for name in enums]
    source = tmp_path / 'layout.c'
    source.write_text('#include <mcpauth/provider.h>\n#include <stdio.h>\n'
                      '#define P(name, n) printf("%s %ld\\n", name, (long)(n));\nint main(void){' + '\n'.join(lines) + '}\n')
    run('cc', '-std=gnu11', '-I', include, '-o', tmp_path / 'layout', source)
    return dict(line.split() for line in run(tmp_path / 'layout').stdout.splitlines())


def compile_provider(source, name, include, folder, *more):
    so = folder / f'{name}.so'
    run('cc', '-std=gnu11', '-O1', '-fPIC', '-shared', '-fvisibility=hidden', '-I', include, '-Wl,-z,now,-z,nodelete',
        *more, '-o', so, source)
    return so


def test_a_header_of_abi_1_0_is_frozen():
    assert '1.0' in RELEASES


@pytest.mark.parametrize('release', RELEASES)
def test_what_a_released_header_laid_out_lies_there_today(tmp_path, release):
    old = TOP / 'tests/abi' / release
    found, enums = structs((old / 'mcpauth/provider.h').read_text())
    assert len(found) > 15 and len(found['mcpauth_host']) > 40 and len(enums) > 40, 'the header was not understood'
    then, now = layout(tmp_path, old, found, enums), layout(tmp_path, TODAY, found, enums)
    assert then == now


@pytest.mark.parametrize('release', RELEASES)
def test_structs_have_grown_at_their_end_only(release):
    then, _ = structs((TOP / 'tests/abi' / release / 'mcpauth/provider.h').read_text())
    now, _ = structs(HEADER.read_text())
    for name, members in then.items():
        assert now[name][:len(members)] == members, name


def test_what_grows_comes_with_a_new_minor_version():
    text = HEADER.read_text()
    today = '.'.join(re.search(rf'define MCPAUTH_ABI_{part} (\d+)u', text)[1] for part in ('MAJOR', 'MINOR'))
    newest = max(RELEASES, key=lambda r: [int(n) for n in r.split('.')])
    if today == newest:
        assert structs(text) == structs((TOP / 'tests/abi' / newest / 'mcpauth/provider.h').read_text())
    else:
        assert [int(n) for n in today.split('.')] > [int(n) for n in newest.split('.')]


@pytest.mark.parametrize('release', RELEASES)
def test_a_provider_built_against_a_released_header_keeps_every_rule_today(tmp_path, release):
    example = TOP / 'examples/hello-provider'
    so = compile_provider(example / 'hello-provider.c', 'hello-provider', TOP / 'tests/abi' / release, tmp_path)
    done = run(f'{BUILD}/mcpauth', 'provider', 'test', '--script', example / 'hello-provider.script', so, check=False)
    assert done.returncode == 0 and ' 0 broken' in done.stdout, done.stdout + done.stderr


@pytest.fixture
def newer(tmp_path):
    """newer.so, of a header whose host has one function more, and a configuration that uses it."""
    future = tmp_path / 'include/mcpauth'
    future.mkdir(parents=True)
    text = re.sub(r'(define MCPAUTH_ABI_MINOR )\d+u', r'\g<1>99u', HEADER.read_text())
    end = text.index('};', text.index('struct mcpauth_host {'))
    (future / 'provider.h').write_text(text[:end] + '  int (*from_the_future)(void);\n' + text[end:])
    plugins, conf = tmp_path / 'plugins', tmp_path / 'conf'
    plugins.mkdir(mode=0o700)
    conf.mkdir(mode=0o700)

    def check(option='', *flags):
        compile_provider(TOP / 'tests/abi/newer.c', 'newer', tmp_path / 'include', plugins, *flags)
        path = conf / 'hub.conf'
        path.write_text('hub { public_url http://127.0.0.1:7070; listen 127.0.0.1:0 }\n'
                        f'provider newer {{ {option} }}\n'
                        'service s { path /s; upstream http://127.0.0.1:9/mcp; auth required newer }\n')
        path.chmod(0o600)
        return run(f'{BUILD}/mcpauth', '--plugin-dir', plugins, '-c', conf, '--state-dir', tmp_path / 'state', 'check',
                   check=False)
    return check


def test_a_provider_for_a_newer_hub_does_without_what_is_not_there(newer):
    done = newer()
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_provider_that_cannot_do_without_says_which_hub_it_needs(newer):
    done = newer('insist on')
    assert done.returncode == 1
    assert 'a hub of ABI 1.99 is needed, this one has 1.0' in done.stdout + done.stderr


def test_a_provider_that_declares_what_it_needs_is_refused_with_the_functions_that_are_missing(newer):
    """row 131"""
    done = newer('', '-DNEEDS')
    assert done.returncode == 1
    assert ('newer.so: needs what this hub does not have: from_the_future (it was built for ABI 1.99, this hub has 1.0)'
            in done.stdout + done.stderr)


def needing(tmp_path, line):
    """hello-provider.so with one more line."""
    source = tmp_path / 'hello-provider.c'
    source.write_text((TOP / 'examples/hello-provider/hello-provider.c').read_text() + line)
    return compile_provider(source, 'hello-provider', TODAY, tmp_path)


def test_show_names_the_host_functions_that_a_provider_needs(tmp_path):
    so = needing(tmp_path, '\nMCPAUTH_NEEDS(discover);\nMCPAUTH_NEEDS(issuer);\n')
    shown = run(RUN, 'mcpauth', 'provider', 'show', so).stdout
    assert '  needs     the host functions of ABI 1.0, and discover, issuer\n' in shown


@pytest.mark.parametrize('name', ['', '\\033[31m', 'UPPER', 'a b', 'x' * 60])
def test_a_need_that_is_no_name_of_a_function_is_refused_unprinted(tmp_path, name):
    """row 130"""
    so = needing(tmp_path, f"""
__attribute__((section(".note.mcpauth"), used, aligned(4))) static const struct {{
  uint32_t name_size, descriptor_size, type; char name[8]; uint32_t end; char needed[60];
}} forged = {{8, 64, 2, "mcpauth", 0xffffffff, "{name}"}};
""")
    done = run(RUN, 'mcpauth', 'provider', 'show', so, check=False)
    assert done.returncode == 1 and done.stderr.endswith('its mcpauth notes are not those of MCPAUTH_NEEDS, or too many\n')


def test_a_provider_of_another_major_abi_is_refused_with_both_numbers(tmp_path):
    """row 130"""
    future = tmp_path / 'include/mcpauth'
    future.mkdir(parents=True)
    text = re.sub(r'(define MCPAUTH_ABI_MAJOR )\d+u', r'\g<1>2u', HEADER.read_text())
    (future / 'provider.h').write_text(text)
    so = compile_provider(TOP / 'examples/hello-provider/hello-provider.c', 'hello-provider', tmp_path / 'include', tmp_path)
    done = run(RUN, 'mcpauth', 'provider', 'show', so, check=False)
    assert done.returncode == 1 and 'was built for ABI 2.0, this hub has 1.0' in done.stderr


@pytest.mark.parametrize('compiler, standard', [('g++', 'c++17'), ('clang++', 'c++20'), ('gcc', 'c11'), ('clang', 'c17')])
def test_compilers_of_c_and_cplusplus_take_the_header_without_a_warning(tmp_path, compiler, standard):
    if not shutil.which(compiler):
        pytest.skip(f'no {compiler}')
    source = tmp_path / ('x.cc' if '++' in compiler else 'x.c')
    source.write_text('#include <mcpauth/provider.h>\nMCPAUTH_NEEDS(log);\n'
                      'int main(void) { return sizeof(struct mcpauth_provider) == 0; }\n')
    run(compiler, f'-std={standard}', '-Wall', '-Wextra', '-Wpedantic', '-Werror', '-I', TODAY, '-fsyntax-only', source)


def test_a_provider_can_be_written_in_cplusplus(tmp_path):
    if not shutil.which('g++'):
        pytest.skip('no g++')
    source = tmp_path / 'plus.cc'
    source.write_text('''#include <mcpauth/provider.h>
extern "C" const struct mcpauth_host *host;
static enum mcpauth_result verify(struct mcpauth_request *rq, const void *, void *)
{
  return host->refuse(rq, MCPAUTH_INVALID, MCPAUTH_WHY_NOT_ACCEPTED, "nobody");
}
static struct mcpauth_provider make()
{
  struct mcpauth_provider p = {};
  p.abi = MCPAUTH_ABI;
  p.struct_size = sizeof p;
  p.name = "plus";
  p.version = "1.0.0";
  p.description = "Written in C++";
  p.verify = verify;
  return p;
}
static const struct mcpauth_provider provider = make();
extern "C" { MCPAUTH_PROVIDER(&provider); }
''')
    so = tmp_path / 'plus.so'
    run('g++', '-std=c++17', '-fPIC', '-shared', '-fvisibility=hidden', '-I', TODAY, '-Wl,-z,now,-z,nodelete', '-o', so, source)
    done = run(RUN, 'mcpauth', 'provider', 'show', so)
    assert done.stdout.startswith('plus 1.0.0: Written in C++')
