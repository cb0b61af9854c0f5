"""What a stack must decide, written from the words of mcpauth.d(5) and not from the evaluator: no state
is carried along, every clause is a statement about the set of lines that ran.

A stack is a tuple of (control, result).  Results are the seven names; whatever else stands there is
an ERROR."""

RESULTS = ('OK', 'PASS', 'IGNORE', 'INVALID', 'DENY', 'UNAVAIL', 'ERROR')
CONTROLS = ('required', 'requisite', 'sufficient', 'optional')
BINDING = {'required', 'requisite'}
FINE = {'OK', 'PASS'}


def meaning(result):
    return result if result in RESULTS else 'ERROR'


def ends(before, line):
    """Whether no further line may run after LINE, the lines BEFORE having run."""
    control, result = line
    if result == 'DENY':
        return True
    if control == 'requisite':
        return result not in FINE
    if control == 'sufficient' and result == 'OK':
        bound = {r for c, r in before if c in BINDING}
        return bound <= FINE and 'ERROR' not in {r for _, r in before}
    return False


def ran(stack):
    """The lines that run: all up to and including the first that ends it."""
    lines = [(c, meaning(r)) for c, r in stack]
    for i, line in enumerate(lines):
        if ends(lines[:i], line):
            return lines[:i + 1]
    return lines


def grants(stack):
    lines = ran(stack)
    said = {r for _, r in lines}
    return (any(r == 'OK' and c != 'optional' for c, r in lines)
            and not said & {'DENY', 'ERROR'}
            and {r for c, r in lines if c in BINDING} <= FINE)


def undecidable(stack):
    """Given that it does not grant."""
    lines = ran(stack)
    if {r for _, r in lines} & {'DENY', 'ERROR'}:
        return False
    if grants([(c, 'OK' if r == 'UNAVAIL' else r) for c, r in lines]):
        return True
    if lines and lines[-1] == ('requisite', 'UNAVAIL'):
        return not {r for c, r in lines[:-1] if c in BINDING} & {'IGNORE', 'INVALID'}
    return False


def verdict(stack):
    if grants(stack):
        return 'GRANT'
    return 'UNAVAILABLE' if undecidable(stack) else 'DENY'


def status(stack, credential=True):
    """The HTTP status that follows (mcpauthd(8), ANSWERS): a bug before a no before a don't-know."""
    v = verdict(stack)
    said = {r for _, r in ran(stack)}
    if v == 'GRANT':
        return 200
    if 'ERROR' in said:
        return 500
    if 'DENY' in said:
        return 403
    return 503 if v == 'UNAVAILABLE' else 401


def account_status(results):
    """Of the account lines: all run in order, the first that is not PASS ends it."""
    for r in results:
        if meaning(r) != 'PASS':
            return {'DENY': 403, 'INVALID': 401, 'UNAVAIL': 503}.get(meaning(r), 500)
    return 200
