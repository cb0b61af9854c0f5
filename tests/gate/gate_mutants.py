#!/usr/bin/python3
"""Breaks a copy of the gate in one place at a time and demands that the comparison sees it: a check that
cannot fail proves nothing.

    gate_mutants.py SOURCE-FOLDER [CC]

A mutant whose text is no longer there is an error: then this list must follow the gate."""

import pathlib
import subprocess
import sys
import tempfile

import gate_differential
import gate_oracle

MUTANTS = [
    ('gate.c', 'a name may stand twice', 'if (seen & bit)', 'if (0)'),
    ('gate.c', 'a name may be written with escapes', '*ret = plain && whole ?', '*ret = whole ?'),
    ('gate.c', 'a name may differ in case', 'if (whole && find(t, name, str_ieq))', 'if (0)'),
    ('gate.c', 'a batch is a message', "if (c == '[')\n    return fail(r, NOT_MESSAGE,",
     "if (c == '[')\n    return fail(r, BAD_PARAMS,"),
    ('gate.c', 'bytes may follow', '&message_table, 0, &seen) < 0 || scan_end(&r->scan) < 0)',
     '&message_table, 0, &seen) < 0)'),
    ('gate.c', 'an id may be long', 'if (raw.n > LIMIT_RPC_ID)', 'if (0)'),
    ('gate.c', 'an id may be a fraction', "if (c != '\"' && !integer(raw))", 'if (0)'),
    ('gate.c', 'an id may be -0', 'return !negative || value != 0;', 'return true;'),
    ('gate.c', 'a request may be a response', 'if (result || error)', 'if (0)'),
    ('gate.c', 'a response needs no id', 'if (!(seen & SEEN_ID))', 'if (0)'),
    ('gate.c', 'a result and an error', 'if (result == error)', 'if (!result && !error)'),
    ('gate.c', 'a name may contain NUL', 'if (memchr(value.p, 0, value.n))', 'if (0)'),
    ('gate.c', 'a decoded name may be long', 'if (value.n > LIMIT_ITEM)\n      return', 'if (0)\n      return'),
    ('gate.c', 'names of the hub pass in arguments', '{.reserved = true, .code = BAD_PARAMS}',
     '{.reserved = false, .code = BAD_PARAMS}'),
    ('gate.c', 'names of the hub pass in another case', 'str_ieq(str_slice(name, 0, 8), STR("mcpauth/"))',
     'str_eq(str_slice(name, 0, 8), STR("mcpauth/"))'),
    ('gate.c', 'version 1.0', 'str_is(t.raw, "2.0") ? 0', 'str_ends(t.raw, ".0") ? 0'),
    ('scan.c', 'control characters pass', '(w - EACH(0x20)) & ~w', '(w - EACH(0x1f)) & ~w'),
    ('scan.c', 'high bytes pass', '(ascii ? w : 0)', '0'),
    ('scan.c', 'overlong UTF-8', "p[0] == 0xe0 && p[1] < 0xa0", '0'),
    ('scan.c', 'surrogates in UTF-8', 'p[0] == 0xed && p[1] >= 0xa0', '0'),
    ('scan.c', 'UTF-8 past the last character', 'p[0] == 0xf4 && p[1] >= 0x90', '0'),
    ('scan.c', 'a lone low surrogate', 'if (first < 0 || is_low(first))', 'if (first < 0)'),
    ('scan.c', 'a lone high surrogate', 'if (!is_high(first))', 'if (1)'),
    ('scan.c', 'two high surrogates', 'if (!is_low(second))', 'if (second < 0)'),
    ('scan.c', 'the second half is lost', '((unsigned)(first - 0xd800) << 10)', '((unsigned)(first - 0xd800) << 9)'),
    ('scan.c', 'a leading zero', " && (*from != '0' || behind == from + 1);", ';'),
    ('scan.c', 'a comma before the end', "  s->p++;\n  return 1;\n}",
     "  s->p++;\n  return scan_peek(s) == close ? s->p++, 0 : 1;\n}"),
    ('scan.c', 'no comma is needed', "if (!first && (p == end || *p != ','))", 'if (!first && p == end)'),
    ('scan.c', 'no comma is needed between members of the protocol', "if (c != ',')\n    return no_comma",
     "if (c < 0)\n    return no_comma"),
    ('scan.c', 'a comma before the end of what no table describes', 'p += !first;\n',
     "p += !first;\n    if (!first && blanks(p, end) < end && *blanks(p, end) == ']')\n      continue;\n"),
    ('scan.c', 'one value too many', 'if (s->values == 0)', 'if (s->values + 1 == 0)'),
    ('scan.c', 'one level too deep', 'if (depth >= LIMIT_JSON_DEPTH)', 'if (depth > LIMIT_JSON_DEPTH)'),
    ('scan.c', 'a form feed is blank', "c == '\\r' || c == '\\t'", "c == '\\r' || c == '\\t' || c == '\\f'"),
    ('scan.c', 'brackets need not match', "*p == (object ? '}' : ']')", "(*p == '}' || *p == ']')"),
]
OTHERS = ['tests/support/gate-eval.c', 'src/mcp/gate.c', 'src/mcp/scan.c', 'src/mcp/gate_value.c', 'src/util/str.c',
          'src/util/arena.c']
DOCUMENTS = 12000


def compile(cc, top, source, target):
    subprocess.run([*cc.split(), '-std=gnu11', '-O1', '-w', '-c', '-I', top / 'include', '-I', top / 'src', '-o',
                    target, source], check=True)


def main(top, cc='cc'):
    top = pathlib.Path(top)
    batches = [(d, [gate_oracle.judge(x) for x in d]) for d in gate_differential.batches(DOCUMENTS, 2)]
    failures = 0
    with tempfile.TemporaryDirectory(prefix='mutants-') as folder:
        folder = pathlib.Path(folder)
        objects = {}
        for source in OTHERS:
            name = pathlib.Path(source).name
            objects[name] = folder / (name + '.o')
            compile(cc, top, top / source, objects[name])
        for file, what, old, new in [('gate.c', 'unchanged', '', '')] + MUTANTS:
            text = (top / 'src/mcp' / file).read_text()
            if old and text.count(old) != 1:
                print(f'mutant "{what}": its text stands {text.count(old)} times in {file}')
                failures += 1
                continue
            (folder / file).write_text(text.replace(old, new, 1) if old else text)
            compile(cc, top, folder / file, folder / 'mutant.o')
            parts = [folder / 'mutant.o' if name == file else o for name, o in objects.items()]
            subprocess.run([*cc.split(), '-o', folder / 'eval', *parts, '-lcrypto'], check=True)
            seen = any(gate_differential.compare(folder / 'eval', d, e) for d, e in batches)
            if seen != bool(old):
                print(f'mutant "{what}": {"survived" if old else "differs"}')
                failures += 1
    print(f'{len(MUTANTS)} mutants, {failures} not as they should be')
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
