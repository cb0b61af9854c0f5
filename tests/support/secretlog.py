"""Secrets that a test uses, so that every test can end with the question: did one of them leak?

Helpers that make a credential call remember().  After each test conftest.py looks for every one in
the hub's log, its audit records and everything that a mock upstream received (rows 28, 32, 33).
"""

import threading

_lock = threading.Lock()
_secrets = {}


def remember(text, *, upstream_ok=False):
    """Registers TEXT as a secret of this test and returns it.

    upstream_ok: it belongs to the upstream (upstream_auth) and may appear there."""
    if isinstance(text, bytes):
        text = text.decode('latin-1')
    if len(text) < 8:
        raise ValueError('too short to be told from chance')
    with _lock:
        _secrets[text] = _secrets.get(text, True) and upstream_ok
        if text.count('.') == 2:  # a JWT: its signature alone is a leak as well
            signature = text.rsplit('.', 1)[1]
            if len(signature) >= 16:
                _secrets[signature] = upstream_ok
    return text


def forget_all():
    with _lock:
        _secrets.clear()


def found_in(data, *, upstream=False):
    """The remembered secrets that occur in DATA (bytes)."""
    with _lock:
        wanted = [s for s, ok in _secrets.items() if not (upstream and ok)]
    return [s for s in wanted if s.encode('latin-1') in data]
