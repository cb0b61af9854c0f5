#!/usr/bin/python3
"""Breaks a copy of the gate in one place at a time; see tests/support/mutants.py.

    gate_mutants.py SOURCE-FOLDER LIBCORE.A [CC]"""

import pathlib
import sys

import gate_differential
import gate_oracle

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support import mutants  # noqa: E402

MUTANTS = [
    ('mcp/gate.c', 'a name may stand twice', 'if (seen & bit)', 'if (0)'),
    ('mcp/gate.c', 'a name may be written with escapes', '*ret = plain && whole ?', '*ret = whole ?'),
    ('mcp/gate.c', 'a name may differ in case', 'if (whole && find(t, name, str_ieq))', 'if (0)'),
    ('mcp/gate.c', 'a batch is a message', "if (c == '[')\n    return fail(r, NOT_MESSAGE,",
     "if (c == '[')\n    return fail(r, BAD_PARAMS,"),
    ('mcp/gate.c', 'bytes may follow', '&message_table, 0, &seen) < 0 || scan_end(&r->scan) < 0)',
     '&message_table, 0, &seen) < 0)'),
    ('mcp/gate.c', 'an id may be long', 'if (raw.n > LIMIT_RPC_ID)', 'if (0)'),
    ('mcp/gate.c', 'an id may be a fraction', "if (c != '\"' && !integer(raw))", 'if (0)'),
    ('mcp/gate.c', 'an id may be -0', 'return !negative || value != 0;', 'return true;'),
    ('mcp/gate.c', 'a request may be a response', 'if (result || error)', 'if (0)'),
    ('mcp/gate.c', 'a response needs no id', 'if (!(seen & SEEN_ID))', 'if (0)'),
    ('mcp/gate.c', 'a result and an error', 'if (result == error)', 'if (!result && !error)'),
    ('mcp/gate.c', 'a name may contain NUL', 'if (memchr(value.p, 0, value.n))', 'if (0)'),
    ('mcp/gate.c', 'a decoded name may be long', 'if (value.n > LIMIT_ITEM)\n      return', 'if (0)\n      return'),
    ('mcp/gate.c', 'names of the hub pass in arguments', '{.reserved = true, .code = BAD_PARAMS}',
     '{.reserved = false, .code = BAD_PARAMS}'),
    ('mcp/gate.c', 'names of the hub pass in another case', 'str_ieq(str_slice(name, 0, 8), STR("mcpauth/"))',
     'str_eq(str_slice(name, 0, 8), STR("mcpauth/"))'),
    ('mcp/gate.c', 'version 1.0', 'str_is(t.raw, "2.0") ? 0', 'str_ends(t.raw, ".0") ? 0'),
    ('mcp/scan.c', 'control characters pass', '(w - EACH(0x20)) & ~w', '(w - EACH(0x1f)) & ~w'),
    ('mcp/scan.c', 'high bytes pass', '(ascii ? w : 0)', '0'),
    ('mcp/scan.c', 'overlong UTF-8', "p[0] == 0xe0 && p[1] < 0xa0", '0'),
    ('mcp/scan.c', 'surrogates in UTF-8', 'p[0] == 0xed && p[1] >= 0xa0', '0'),
    ('mcp/scan.c', 'UTF-8 past the last character', 'p[0] == 0xf4 && p[1] >= 0x90', '0'),
    ('mcp/scan.c', 'a lone low surrogate', 'if (first < 0 || is_low(first))', 'if (first < 0)'),
    ('mcp/scan.c', 'a lone high surrogate', 'if (!is_high(first))', 'if (1)'),
    ('mcp/scan.c', 'two high surrogates', 'if (!is_low(second))', 'if (second < 0)'),
    ('mcp/scan.c', 'the second half is lost', '((unsigned)(first - 0xd800) << 10)', '((unsigned)(first - 0xd800) << 9)'),
    ('mcp/scan.c', 'a leading zero', " && (*from != '0' || behind == from + 1);", ';'),
    ('mcp/scan.c', 'a comma before the end', "  s->p++;\n  return 1;\n}",
     "  s->p++;\n  return scan_peek(s) == close ? s->p++, 0 : 1;\n}"),
    ('mcp/scan.c', 'no comma is needed', "if (!first && (p == end || *p != ','))", 'if (!first && p == end)'),
    ('mcp/scan.c', 'no comma is needed between members of the protocol', "if (c != ',')\n    return no_comma",
     "if (c < 0)\n    return no_comma"),
    ('mcp/scan.c', 'a comma before the end of what no table describes', 'p += !first;\n',
     "p += !first;\n    if (!first && blanks(p, end) < end && *blanks(p, end) == ']')\n      continue;\n"),
    ('mcp/scan.c', 'one value too many', 'if (s->values == 0)', 'if (s->values + 1 == 0)'),
    ('mcp/scan.c', 'one level too deep', 'if (depth >= LIMIT_JSON_DEPTH)', 'if (depth > LIMIT_JSON_DEPTH)'),
    ('mcp/scan.c', 'a form feed is blank', "c == '\\r' || c == '\\t'", "c == '\\r' || c == '\\t' || c == '\\f'"),
    ('mcp/scan.c', 'brackets need not match', "*p == (object ? '}' : ']')", "(*p == '}' || *p == ']')"),
]
DOCUMENTS = 12000

if __name__ == '__main__':
    batches = [(d, [gate_oracle.judge(x) for x in d]) for d in gate_differential.batches(DOCUMENTS, 2)]
    sys.exit(mutants.run(MUTANTS, 'gate-eval.c',
                         lambda program: any(gate_differential.compare(program, d, e) for d, e in batches),
                         *sys.argv[1:]))
