"""The hub ends, or is configured anew, while logins are being refreshed. Rows 188, 192."""

import concurrent.futures
import http.client
import threading

from support.oauth import good, refresh, tokens_of


def test_what_is_under_way_when_the_hub_ends_can_be_asked_for_again(login_hub, oidc):  # row 192
    hub = login_hub('oauth { access_token_lifetime 5m }')
    logins = [tokens_of(hub)[1]['refresh_token'] for _ in range(4)]
    oidc.fault('/token', status=None, delay=0.5)  # slow: the provider's answer comes when nobody waits
    stop, failures = threading.Event(), []

    def go(i):
        while not stop.is_set():
            try:
                answer = refresh(hub, logins[i])
            except (OSError, http.client.HTTPException):
                return  # the hub has gone: the old token will do
            if answer.status == 200:
                logins[i] = answer.json()['refresh_token']
            elif answer.status != 503:
                failures.append(answer.body)
                return
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        running = [pool.submit(go, i) for i in range(4)]
        for _ in range(3):
            hub.call('/notes')
            hub.reload()
        hub.stop()
        stop.set()
        for one in running:
            one.result()
    assert not failures
    oidc.heal()
    hub.start()
    for token in logins:
        assert good(refresh(hub, token))
