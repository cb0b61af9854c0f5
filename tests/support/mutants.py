"""Breaks a copy of the sources in one place at a time and demands that a comparison sees it: a check that
cannot fail proves nothing.

A mutant is (file below src, what is wrong, text, text that replaces it).  One whose text is no longer there
is an error: then the list must follow the sources."""

import pathlib
import subprocess
import tempfile


def run(mutants, evaluator, notices, top, libcore, cc='cc'):
    """The exit status.  EVALUATOR, a C source of tests/support, is linked with the mutant and, for
    everything else, LIBCORE; NOTICES says whether the comparison sees that PROGRAM is wrong."""
    top, failures = pathlib.Path(top), 0
    flags = [*cc.split(), '-std=gnu11', '-O1', '-w', '-D_GNU_SOURCE', '-I', top / 'include', '-I', top / 'src', '-I',
             top / 'tests/support', '-I', pathlib.Path(libcore).resolve().parent]
    with tempfile.TemporaryDirectory(prefix='mutants-') as folder:
        folder = pathlib.Path(folder)
        subprocess.run([*flags, '-c', '-o', folder / 'eval.o', top / 'tests/support' / evaluator], check=True)
        for file, what, old, new in [(mutants[0][0], 'unchanged', '', '')] + mutants:
            text = (top / 'src' / file).read_text()
            if old and text.count(old) != 1:
                print(f'mutant "{what}": its text stands {text.count(old)} times in {file}')
                failures += 1
                continue
            (folder / 'mutant.c').write_text(text.replace(old, new, 1) if old else text)
            # What the mutant defines is not taken from the library.
            subprocess.run([*flags, '-c', '-o', folder / 'mutant.o', folder / 'mutant.c'], check=True)
            subprocess.run([*cc.split(), '-o', folder / 'eval', folder / 'eval.o', folder / 'mutant.o', libcore,
                            '-ljansson', '-lssl', '-lcrypto'], check=True)
            if bool(notices(folder / 'eval')) != bool(old):
                print(f'mutant "{what}": {"survived" if old else "differs"}')
                failures += 1
    print(f'{len(mutants)} mutants, {failures} not as they should be')
    return 1 if failures else 0
