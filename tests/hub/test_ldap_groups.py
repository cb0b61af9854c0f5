"""ldap-groups in a running hub, with a slapd of its own: groups, people whom it does not know, odd
names, a directory that is away or slow.  Rows 23, 134."""

import pathlib
import shutil
import socket
import subprocess
import time

import pytest

from support.hub import SLOW
from support.hub import TOP

pytestmark = pytest.mark.skipif(not list(TOP.glob('build*/plugins/.libs/ldap-groups.so')) or not shutil.which('slapd'),
                                reason='no libldap or slapd')
AUDIENCE = 'http://127.0.0.1:7070/notes'
BASE = 'dc=example,dc=com'
SETUP = f'''
dn: {BASE}
objectClass: dcObject
objectClass: organization
o: Example
dc: example

dn: cn=hub,{BASE}
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: hub
userPassword: hub-password

dn: ou=people,{BASE}
objectClass: organizationalUnit
ou: people

dn: ou=groups,{BASE}
objectClass: organizationalUnit
ou: groups
''' + ''.join(f'''
dn: cn={name},ou=people,{BASE}
objectClass: inetOrgPerson
cn: {name}
sn: {name}
uid: {uid}
''' for name, uid in [('ann', 'ann'), ('bob', 'bob'), ('star', '*'), ('odd', 'a(b)\\c'), ('twin1', 'twin'), ('twin2', 'twin')]) + ''.join(f'''
dn: cn={name},ou=groups,{BASE}
objectClass: groupOfNames
cn: {name}
''' + ''.join(f'member: cn={m},ou=people,{BASE}\n' for m in members)
    for name, members in [('mcp-users', ['ann', 'odd']), ('admins', ['ann']), ('stars', ['star'])])
CONF = '''
provider keys {{ module bearer-jwt; issuer {issuer} }}
provider ldap {{
    module ldap-groups; url ldap://127.0.0.1:{port}; issuer {ours}
    bind_dn cn=hub,dc=example,dc=com; password env:LDAP_SECRET
    base ou=people,dc=example,dc=com; group_base ou=groups,dc=example,dc=com
    {options}
}}
service notes {{ path /notes; upstream {url}; auth required keys; account ldap {rules} }}
'''


class Directory:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        data, conf = self.folder / 'data', self.folder / 'slapd.conf'
        data.mkdir()
        self.cert, key = self.folder / 'cert.pem', self.folder / 'key.pem'
        subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes',
                        '-days', '2', '-subj', '/CN=directory', '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key,
                        '-out', self.cert], check=True, capture_output=True, timeout=60)
        conf.write_text(f'''include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {self.folder}/pid
TLSCertificateFile {self.cert}
TLSCertificateKeyFile {key}
database mdb
suffix {BASE}
directory {data}
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact=cn=hub,{BASE} read by * none
''')
        ldif = self.folder / 'setup.ldif'
        ldif.write_text(SETUP)
        subprocess.run(['slapadd', '-q', '-f', conf, '-l', ldif], check=True, capture_output=True, timeout=60)
        with socket.socket() as s, socket.socket() as t:
            s.bind(('127.0.0.1', 0))
            t.bind(('127.0.0.1', 0))
            self.port, self.tls_port = s.getsockname()[1], t.getsockname()[1]
        self.process = subprocess.Popen(['slapd', '-d', '0', '-f', conf, '-h',
                                         f'ldap://127.0.0.1:{self.port} ldaps://127.0.0.1:{self.tls_port}'],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 20 * SLOW
        while socket.socket().connect_ex(('127.0.0.1', self.port)):
            assert time.monotonic() < end and self.process.poll() is None, 'slapd does not listen'
            time.sleep(0.05)

    def stop(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def directory(tmp_path):
    d = Directory(tmp_path)
    yield d
    d.stop()


@pytest.fixture
def notes(hub, upstream, idp, directory):
    def start(options='', ours=None, secret='hub-password', rules='', port=None, scheme='ldap'):
        text = CONF.format(issuer=idp.issuer, url=upstream.url, port=port or directory.port, options=options,
                           ours=ours or idp.issuer, rules=rules).replace('url ldap:', f'url {scheme}:')
        return hub(text, env={'LDAP_SECRET': secret})
    return start


def status(h, idp, who):
    return h.call('/notes', token=idp.token(aud=AUDIENCE, sub=who)).status


def test_members_of_a_required_group_pass_and_others_are_403(notes, idp):
    h = notes('require mcp-users others')
    assert [status(h, idp, who) for who in ('ann', 'bob', 'nobody')] == [200, 403, 403]
    assert 'in no required group' in str(h.wait_audit('decision', decision='deny'))


def test_without_required_groups_nobody_is_refused(notes, idp):
    h = notes()
    assert [status(h, idp, who) for who in ('ann', 'bob', 'nobody')] == [200, 200, 200]


def test_names_are_not_patterns(notes, idp):
    h = notes('require stars')
    assert status(h, idp, '*') == 200
    assert [status(h, idp, who) for who in ('s*', 'ann)(uid=*', 'ann')] == [403, 403, 403]


def test_a_name_with_parentheses_and_backslashes_finds_its_person(notes, idp):
    assert status(notes('require mcp-users'), idp, 'a(b)\\c') == 200


def test_two_people_of_one_name_are_nobody(notes, idp):
    assert status(notes(), idp, 'twin') == 500


def test_principals_of_other_issuers_are_not_looked_up(notes, idp):
    """row 23"""
    h = notes('require mcp-users', ours='https://another.example')
    assert status(h, idp, 'ann') == 403


def test_a_directory_that_is_away_is_503_and_one_that_comes_back_serves(notes, idp, directory):
    h = notes('require mcp-users; reuse 0s')
    assert status(h, idp, 'ann') == 200
    directory.stop()
    assert status(h, idp, 'ann') == 503


def test_groups_are_believed_for_the_time_of_reuse(notes, idp, directory):
    h = notes('require mcp-users; reuse 5m')
    assert status(h, idp, 'ann') == 200
    directory.stop()
    assert status(h, idp, 'ann') == 200
    assert status(h, idp, 'bob') == 503


def test_a_directory_that_does_not_answer_is_503_after_the_timeout(notes, idp):
    with socket.create_server(('127.0.0.1', 0)) as silent:
        h = notes('timeout 300ms', port=silent.getsockname()[1])
        assert status(h, idp, 'ann') == 503


def test_a_tls_handshake_that_is_not_answered_ends_and_its_thread_serves_again(notes, idp):  # row 133
    with socket.create_server(('127.0.0.1', 0)) as silent:
        h = notes('timeout 300ms', port=silent.getsockname()[1], scheme='ldaps')
        for _ in range(4):  # more than there are job threads for a provider
            assert status(h, idp, 'ann') == 503
    said = [str(record) for record in h.wait_audit('decision', 4)]
    assert all("Can't contact LDAP server" in record for record in said), said


@pytest.mark.parametrize('scheme, more', [('ldaps', ''), ('ldap', 'start_tls on;')])
def test_over_tls_the_directory_must_show_a_certificate_of_the_authority(notes, idp, directory, scheme, more):  # row 59
    port = directory.tls_port if scheme == 'ldaps' else directory.port
    good = notes(f'require mcp-users; {more} tls_ca {directory.cert}', port=port, scheme=scheme)
    assert status(good, idp, 'ann') == 200 and status(good, idp, 'bob') == 403
    assert status(notes(more, port=port, scheme=scheme), idp, 'ann') in (500, 503)


def test_a_wrong_password_is_500_with_the_directorys_words_in_the_record(notes, idp):
    h = notes(secret='wrong')
    assert status(h, idp, 'ann') == 500
    assert 'Invalid credentials' in str(h.wait_audit('decision', decision='deny'))


@pytest.mark.parametrize('change, word', [
    ('url ldap://ldap.example.com', 'ldaps'), ('url "ldap://127.0.0.1 ldap://ldap.example.com"', 'one server'),
    ('url "ldaps://ldap.example.com,ldap://ldap.example.com"', 'one server'), ('url ldap://127.0.0.1.example.com', 'ldaps'),
    ('url http://127.0.0.1', 'ldaps'), ('user_filter uid=%s', 'parentheses'), ('group_filter (cn=%s%s)', '%s once')])
def test_check_refuses_what_cannot_be_meant(notes, hub, upstream, idp, change, word):
    text = CONF.format(issuer=idp.issuer, url=upstream.url, port=389, options='', ours=idp.issuer, rules='')
    if change.startswith('url'):
        text = text.replace('url ldap://127.0.0.1:389', change)
    else:
        text = text.replace('module ldap-groups;', f'module ldap-groups; {change};')
    done = hub(text, env={'LDAP_SECRET': 'x'}, start=False).cli('check')
    assert done.returncode == 1 and word in done.stdout + done.stderr
