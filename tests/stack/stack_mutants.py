#!/usr/bin/python3
"""Breaks a copy of the evaluator in one place at a time; see tests/support/mutants.py.

    stack_mutants.py SOURCE-FOLDER LIBCORE.A [CC]"""

import pathlib
import sys

import exhaustive

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support import mutants  # noqa: E402

MUTANTS = [
    ('auth/stack.c', 'an unknown result counts as nothing', '!known || result == MCPAUTH_ERROR',
     'result == MCPAUTH_ERROR'),
    ('auth/stack.c', 'ERROR is not sticky', '!known || result == MCPAUTH_ERROR || result == MCPAUTH_DENY',
     '!known || result == MCPAUTH_DENY'),
    ('auth/stack.c', 'DENY does not refuse', '|| result == MCPAUTH_DENY;', ';'),
    ('auth/stack.c', 'UNAVAIL counts as OK', 'read_line(&s->actual, control, result, s->refused);',
     'read_line(&s->actual, control, result == MCPAUTH_UNAVAIL ? MCPAUTH_OK : result, s->refused);'),
    ('auth/stack.c', 'UNAVAIL is forgotten', 'result == MCPAUTH_UNAVAIL ? MCPAUTH_OK : result', 'result'),
    ('auth/stack.c', 'a guard grants', 'bool ok = result == MCPAUTH_OK;',
     'bool ok = result == MCPAUTH_OK || result == MCPAUTH_PASS;'),
    ('auth/stack.c', 'a guard fails', 'r->failed |= !ok && result != MCPAUTH_PASS;', 'r->failed |= !ok;'),
    ('auth/stack.c', 'required ignores IGNORE', 'r->failed |= !ok && result != MCPAUTH_PASS;',
     'r->failed |= !ok && result != MCPAUTH_PASS && result != MCPAUTH_IGNORE;'),
    ('auth/stack.c', 'required ignores INVALID', 'r->failed |= !ok && result != MCPAUTH_PASS;',
     'r->failed |= !ok && result != MCPAUTH_PASS && result != MCPAUTH_INVALID;'),
    ('auth/stack.c', 'requisite does not stop', 'return control == CONTROL_REQUISITE && ', 'return false && '),
    ('auth/stack.c', 'required stops too', 'return control == CONTROL_REQUISITE && ',
     'return control != CONTROL_SUFFICIENT && control != CONTROL_OPTIONAL && '),
    ('auth/stack.c', 'sufficient decides whatever failed before', 'r->decided = ok && !r->failed && !refused;',
     'r->decided = ok && !refused;'),
    ('auth/stack.c', 'sufficient never decides', 'r->decided = ok && !r->failed && !refused;', 'r->decided = false;'),
    ('auth/stack.c', 'optional grants', 'case CONTROL_OPTIONAL:\n    return;',
     'case CONTROL_OPTIONAL:\n    r->grantor |= ok;\n    return;'),
    ('auth/stack.c', 'no line grants', 'return r->grantor && !r->failed;', 'return !r->failed;'),
    ('auth/stack.c', 'a failed line does not matter', 'return r->grantor && !r->failed;', 'return r->grantor;'),
    ('auth/stack.c', 'a refusal does not matter', 'if (s->refused)\n    return VERDICT_DENY;', ''),
    ('auth/stack.c', 'what comes after the decision counts', 'if (r->decided)\n    return;', ''),
]
DEPTH = 3

if __name__ == '__main__':
    sys.exit(mutants.run(MUTANTS, 'stack-eval.c',
                         lambda program: any(exhaustive.compare(str(program), depth)[1] for depth in range(DEPTH + 1)),
                         *sys.argv[1:]))
