#!/usr/bin/python3
"""Breaks a copy of the evaluator in one place at a time and demands that the exhaustive comparison sees
it: a check that cannot fail proves nothing.

    mutants.py SOURCE-FOLDER [CC]

A mutant whose text is no longer in stack.c is an error: then this list must follow the evaluator."""

import pathlib
import subprocess
import sys
import tempfile

import exhaustive

MUTANTS = [
    ('an unknown result counts as nothing', '!known || result == MCPAUTH_ERROR', 'result == MCPAUTH_ERROR'),
    ('ERROR is not sticky', '!known || result == MCPAUTH_ERROR || result == MCPAUTH_DENY',
     '!known || result == MCPAUTH_DENY'),
    ('DENY does not refuse', '|| result == MCPAUTH_DENY;', ';'),
    ('UNAVAIL counts as OK', 'read_line(&s->actual, control, result, s->refused);',
     'read_line(&s->actual, control, result == MCPAUTH_UNAVAIL ? MCPAUTH_OK : result, s->refused);'),
    ('UNAVAIL is forgotten', 'result == MCPAUTH_UNAVAIL ? MCPAUTH_OK : result', 'result'),
    ('a guard grants', 'bool ok = result == MCPAUTH_OK;',
     'bool ok = result == MCPAUTH_OK || result == MCPAUTH_PASS;'),
    ('a guard fails', 'r->failed |= !ok && result != MCPAUTH_PASS;', 'r->failed |= !ok;'),
    ('required ignores IGNORE', 'r->failed |= !ok && result != MCPAUTH_PASS;',
     'r->failed |= !ok && result != MCPAUTH_PASS && result != MCPAUTH_IGNORE;'),
    ('required ignores INVALID', 'r->failed |= !ok && result != MCPAUTH_PASS;',
     'r->failed |= !ok && result != MCPAUTH_PASS && result != MCPAUTH_INVALID;'),
    ('requisite does not stop', 'return control == CONTROL_REQUISITE && ', 'return false && '),
    ('required stops too', 'return control == CONTROL_REQUISITE && ',
     'return control != CONTROL_SUFFICIENT && control != CONTROL_OPTIONAL && '),
    ('sufficient decides whatever failed before', 'r->decided = ok && !r->failed && !refused;',
     'r->decided = ok && !refused;'),
    ('sufficient never decides', 'r->decided = ok && !r->failed && !refused;', 'r->decided = false;'),
    ('optional grants', 'case CONTROL_OPTIONAL:\n    return;',
     'case CONTROL_OPTIONAL:\n    r->grantor |= ok;\n    return;'),
    ('no line grants', 'return r->grantor && !r->failed;', 'return !r->failed;'),
    ('a failed line does not matter', 'return r->grantor && !r->failed;', 'return r->grantor;'),
    ('a refusal does not matter', 'if (s->refused)\n    return VERDICT_DENY;', ''),
    ('what comes after the decision counts', 'if (r->decided)\n    return;', ''),
]
OTHERS = ['tests/support/stack-eval.c', 'src/config/vocabulary.c', 'src/util/str.c']
DEPTH = 3


def compile(cc, top, source, program, objects):
    subprocess.run([*cc.split(), '-std=gnu11', '-w', '-I', top / 'include', '-I', top / 'src', '-o', program,
                    source, *objects], check=True)


def killed(program):
    """How many stacks it took, by depth, or None when it survived."""
    for depth in range(DEPTH + 1):
        _, wrong = exhaustive.compare(str(program), depth)
        if wrong:
            return depth, wrong[0]
    return None


def main(top, cc='cc'):
    top = pathlib.Path(top)
    text = (top / 'src/auth/stack.c').read_text()
    survivors = 0
    with tempfile.TemporaryDirectory(prefix='mutants-') as folder:
        folder = pathlib.Path(folder)
        objects = []
        for source in OTHERS:
            objects.append(folder / (pathlib.Path(source).stem + '.o'))
            subprocess.run([*cc.split(), '-std=gnu11', '-w', '-c', '-I', top / 'include', '-I', top / 'src',
                            '-o', objects[-1], top / source], check=True)
        for number, (what, old, new) in enumerate([('unchanged', '', '')] + MUTANTS):
            if text.count(old) != 1 and old:
                print(f'mutant "{what}": its text stands {text.count(old)} times in stack.c')
                survivors += 1
                continue
            source = folder / f'stack{number}.c'
            source.write_text(text.replace(old, new, 1) if old else text)
            compile(cc, top, source, folder / 'eval', objects)
            death = killed(folder / 'eval')
            if (death is None) != (not old):
                print(f'mutant "{what}": {"survived" if old else death}')
                survivors += 1
    print(f'{len(MUTANTS)} mutants, {survivors} not killed')
    return 1 if survivors else 0


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
