"""mcpauth explain --tool ...: the rule that decides, where it stands, and what the caller would get."""

import pytest

CONF = '''
provider p1 {{ module fault }}
scope notes:read  {{ text "Read" }}
scope notes:write {{ text "Write"; implies notes:read }}
scope notes:admin {{ text "Administer"; for claim /claim = boss }}
service notes {{
    path /notes; upstream {url}
    auth required p1
    tool delete_* require {{ scope notes:write; claim /claim in ann boss }}
    tool secret_* hide
    tool wipe     require scope notes:admin
    tool pay      require any {{ argument /amount <= 100; scope notes:admin }}
    tool open     allow
    resource note://public/* allow
    prompt hello  allow
    method logging/setLevel deny
    anonymous tools/call
    accept_risk anonymous-operation
}}
'''


@pytest.fixture
def h(hub, upstream):
    return hub(CONF.format(url=upstream.url), start=False)


def explain(h, *args, token='fault/p1.OK'):
    if token is None:
        return h.cli('explain', 'notes', *args)
    return h.cli('explain', 'notes', *args, '--token-file', '-', input=token + '\n')


def value(done, key):
    assert done.stdout, done.stderr
    [line] = [line for line in done.stdout.splitlines() if line.startswith(key + ' ')]
    return line[len(key):].strip()


def line_of(text):
    [number] = [n for n, line in enumerate(CONF.splitlines(), 1) if text in line]
    return number


def test_the_line_that_allows_is_named_with_its_place(h):
    done = explain(h, '--tool', 'open')
    assert value(done, 'operation') == 'tools/call open'
    assert value(done, 'rule').startswith('tool open allow (')
    assert value(done, 'rule').endswith(f'.conf:{line_of("tool open") + h_offset(h)})')
    assert value(done, 'listed') == 'yes'
    assert value(done, 'status').startswith('200')
    assert done.returncode == 0


def h_offset(h):
    """Lines that the harness puts in front of the configuration."""
    text = next(p.read_text() for p in h.confdir.glob('*.conf') if 'delete_*' in p.read_text())
    [number] = [n for n, line in enumerate(text.splitlines(), 1) if 'tool open' in line]
    return number - line_of('tool open')


def test_a_missing_scope_gives_the_challenge_with_the_scopes_of_the_token(h):
    done = explain(h, '--tool', 'delete_note', token='fault/p1.OK.sub~ann.claim~ann.scopes~notes:read')
    assert value(done, 'decision').startswith('scopes')
    assert value(done, 'missing') == 'notes:write'
    assert value(done, 'listed') == 'yes'
    assert value(done, 'status') == '403'
    assert 'error="insufficient_scope", scope="notes:read notes:write"' in value(done, 'challenge')


def test_a_condition_that_no_scope_helps_with_has_no_challenge(h):
    done = explain(h, '--tool', 'delete_note', token='fault/p1.OK.claim~eve')
    assert value(done, 'decision').startswith('deny')
    assert value(done, 'listed') == 'no'
    assert value(done, 'status').startswith('403')
    assert 'challenge' not in done.stdout


def test_a_scope_is_only_asked_of_those_who_may_hold_it(h):
    assert value(explain(h, '--tool', 'wipe', token='fault/p1.OK.claim~ann'), 'decision').startswith('deny')
    assert value(explain(h, '--tool', 'wipe', token='fault/p1.OK.claim~boss'), 'missing') == 'notes:admin'


def test_a_hidden_tool_and_an_unnamed_one(h):
    done = explain(h, '--tool', 'secret_key')
    assert value(done, 'decision').startswith('hide')
    assert value(done, 'listed') == 'no'
    done = explain(h, '--tool', 'other')
    assert value(done, 'rule') == 'none'
    assert value(done, 'decision') == 'deny: no line matches'
    assert done.returncode == 1


@pytest.mark.parametrize('argument, status', [
    ('/amount=100', '200'), ('/amount=1e2', '200'), ('/amount=100.5', '403'), ('/amount="100"', '403'),
    ('/amount=18446744073709551616', '403')])
def test_arguments_are_looked_at(h, argument, status):
    done = explain(h, '--tool', 'pay', '--argument', argument)
    assert value(done, 'status').startswith(status)
    assert value(done, 'listed') == 'yes'


def test_resources_prompts_and_methods(h):
    assert value(explain(h, '--resource', 'note://public/a'), 'status').startswith('200')
    assert value(explain(h, '--resource', 'note://public/../a'), 'status').startswith('403')
    assert value(explain(h, '--method', 'resources/subscribe', '--resource', 'note://public/a'),
                 'operation') == 'resources/subscribe note://public/a'
    assert value(explain(h, '--prompt', 'hello'), 'status').startswith('200')
    assert value(explain(h, '--method', 'logging/setLevel'), 'rule').startswith('method logging/setLevel deny')
    assert value(explain(h, '--method', 'server/discover'), 'status').startswith('200')
    assert value(explain(h, '--method', 'vendor/thing'), 'status').startswith('403')
    assert value(explain(h, '--method', 'tasks/get'), 'decision') == 'deny: tasks are off at this service'


@pytest.mark.parametrize('args', [[], ['--tool', 'x']])
def test_a_requirement_of_every_request_that_is_not_met_is_named_with_its_place(hub, upstream, args):
    conf = f'''provider p1 {{ module fault }}
service notes {{ path /notes; upstream {upstream.url}; auth required p1
    require claim /claim = eve
    require claim /claim = ann
}}'''
    done = explain(hub({'notes.conf': conf}, start=False), *args, token='fault/p1.OK.claim~eve')
    assert value(done, 'rule').startswith('require (') and value(done, 'rule').endswith('notes.conf:4)')
    assert value(done, 'decision') == 'deny: what every request must meet is not met'
    assert value(done, 'status').startswith('403')


def test_without_a_token_what_is_open_is_open(h):
    assert value(explain(h, '--tool', 'open', token=None), 'status').startswith('200')
    assert value(explain(h, '--tool', 'delete_note', token=None), 'status') == '401'
    assert value(explain(h, '--prompt', 'hello', token=None), 'status') == '401'


@pytest.mark.parametrize('args, words', [
    (['--tool', 'a', '--prompt', 'b'], 'one of --tool, --resource and --prompt'),
    (['--tool', 'a', '--argument', 'x=1'], 'POINTER=JSON'),
    (['--tool', 'a', '--argument', '/x=word'], 'Strings need their quotes'),
    (['--tool', 'a', '--argument', '/x=1', '--argument', '/x/y=1'], 'given twice'),
    (['--argument', '/x=1'], 'belongs to --tool or --prompt')])
def test_what_cannot_be_asked_is_said(h, args, words):
    done = explain(h, *args)
    assert words in done.stderr
    assert done.returncode == 1
