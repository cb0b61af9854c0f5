"""mcpauth.d(5) says what the option tables say, and names every lint and every risk.

A section of the page that is generated stands between `=for options BLOCK` and `=for options end`;
`build/tests/support/option-pod BLOCK` prints what belongs there."""

import os
import pathlib
import re
import subprocess

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get('MCPAUTH_BUILD', TOP / 'build'))
PAGE = (TOP / 'docs/mcpauth.d.pod').read_text(encoding='utf-8')
BLOCKS = ['hub', 'admin', 'listen', 'provider', 'scope', 'policy', 'require', 'stack', 'service', 'oauth', 'client']


@pytest.mark.parametrize('block', BLOCKS)
def test_the_section_of_a_block_is_its_table(block):
    table = subprocess.run([BUILD / 'tests/support/option-pod', block], check=True, text=True, capture_output=True, timeout=30).stdout
    section = re.search(rf'^=for options {block}\n\n(.*?)\n=for options end$', PAGE, re.M | re.S)
    assert section, f'no section for {block}'
    assert section[1] == table


def test_every_lint_has_its_item():
    lints = set()
    for source in (TOP / 'src/config').glob('*.c'):
        text = source.read_text(encoding='utf-8')
        lints |= set(re.findall(r'\blint(?:_warning)?\(b,\s*"([a-z-]+)"', text))
        lints |= set(re.findall(r'\breport_lint\(b->f,\s*CONFIG_\w+,.*?"([a-z]+-[a-z-]+)"', text, re.S))
    assert len(lints) > 20
    items = set(re.findall(r'^=item B<([a-z-]+)> \((?:error|warning)', PAGE, re.M))
    assert lints == items


def test_every_risk_that_can_be_accepted_says_so():
    source = (TOP / 'src/config/lint.c').read_text(encoding='utf-8')
    table = source[source.index('acceptable[] = {'):]
    risks = set(re.findall(r'"([a-z-]+)"', table[:table.index('};')]))
    accepted = set(re.findall(r'^=item B<([a-z-]+)> \((?:error|warning), accept_risk\)', PAGE, re.M))
    assert risks == accepted
