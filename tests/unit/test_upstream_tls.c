/* Upstreams over TLS: whom we believe (row 59), and HTTP/2 with one stream a connection. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <arpa/inet.h>
#include <unistd.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <cmocka.h>

#include "../support/upstream_client.h"

/* ---- certificates, made here */

struct identity {
  EVP_PKEY *key;
  X509 *certificate;
};

static void add_extension(X509 *x, X509 *issuer, int nid, const char *value)
{
  X509V3_CTX ctx;
  X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
  X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
  assert_non_null(e);
  X509_add_ext(x, e, -1);
  X509_EXTENSION_free(e);
}

/* NAMES: the subject alternative names, NULL for a CA.  ISSUER NULL: signed by itself. */
static struct identity make(const char *names, const struct identity *issuer, long from_s,
                            long to_s)
{
  static long serial;
  struct identity i = {EVP_EC_gen("P-256"), X509_new()};
  X509 *x = i.certificate;
  X509_set_version(x, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial);
  X509_gmtime_adj(X509_getm_notBefore(x), from_s);
  X509_gmtime_adj(X509_getm_notAfter(x), to_s);
  X509_set_pubkey(x, i.key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                             (const unsigned char *)(names ? "127.0.0.1" : "test CA"), -1, -1, 0);
  X509 *by = issuer ? issuer->certificate : x;
  X509_set_issuer_name(x, X509_get_subject_name(by));
  add_extension(x, by, NID_basic_constraints, names ? "CA:FALSE" : "critical,CA:TRUE");
  if (names && names[0])
    add_extension(x, by, NID_subject_alt_name, names);
  assert_true(X509_sign(x, issuer ? issuer->key : i.key, EVP_sha256()) > 0);
  return i;
}

static void drop(struct identity *i)
{
  EVP_PKEY_free(i->key);
  X509_free(i->certificate);
}

/* ---- a TLS server */

struct tls_server {
  SSL_CTX *ctx;
  int served, streams; /* under the server's lock */
};

static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_n,
                           const unsigned char *in, unsigned in_n, void *arg)
{
  (void)ssl, (void)arg;
  static const unsigned char h2[] = "\x02h2";
  return SSL_select_next_proto((unsigned char **)(uintptr_t)out, out_n, h2, 3, in, in_n) ==
                 OPENSSL_NPN_NEGOTIATED
             ? SSL_TLSEXT_ERR_OK
             : SSL_TLSEXT_ERR_NOACK;
}

static void setup(struct tls_server *t, const struct identity *i, int max_version, bool h2)
{
  *t = (struct tls_server){.ctx = SSL_CTX_new(TLS_server_method())};
  SSL_CTX_use_certificate(t->ctx, i->certificate);
  SSL_CTX_use_PrivateKey(t->ctx, i->key);
  SSL_CTX_set_min_proto_version(t->ctx, TLS1_VERSION);
  SSL_CTX_set_security_level(t->ctx, 0);
  if (max_version)
    SSL_CTX_set_max_proto_version(t->ctx, max_version);
  if (h2)
    SSL_CTX_set_alpn_select_cb(t->ctx, choose_protocol, NULL);
}

static void add(struct tiny_server *s, int *what)
{
  pthread_mutex_lock(&s->lock);
  ++*what;
  pthread_mutex_unlock(&s->lock);
}

static bool read_exactly(SSL *ssl, void *p, int n)
{
  for (int got = 0, r; got < n; got += r)
    if ((r = SSL_read(ssl, (char *)p + got, n - got)) <= 0)
      return false;
  return true;
}

static void h2_frame(SSL *ssl, int type, int flags, unsigned stream, const char *p, int n)
{
  unsigned char head[9] = {0,
                           (unsigned char)(n >> 8),
                           (unsigned char)n,
                           (unsigned char)type,
                           (unsigned char)flags,
                           0,
                           0,
                           (unsigned char)(stream >> 8),
                           (unsigned char)stream};
  SSL_write(ssl, head, 9);
  if (n)
    SSL_write(ssl, p, n);
}

enum { H2_DATA = 0, H2_HEADERS = 1, H2_SETTINGS = 4, END_STREAM = 1, END_HEADERS = 4, ACK = 1 };

/* Enough of RFC 9113 to answer `{}` to everything: ":status 200" is one byte of HPACK. */
static void serve_h2(struct tiny_server *s, struct tls_server *t, SSL *ssl)
{
  unsigned char head[9];
  static const char reply_fields[] = "\x88\x0f\x10\x10"
                                     "application/json";
  char payload[20000];
  if (!read_exactly(ssl, payload, 24) || memcmp(payload, "PRI * HTTP/2.0\r\n", 16) != 0)
    return;
  h2_frame(ssl, H2_SETTINGS, 0, 0, NULL, 0);
  while (read_exactly(ssl, head, 9)) {
    int n = head[0] << 16 | head[1] << 8 | head[2];
    unsigned stream = (unsigned)head[7] << 8 | head[8];
    if (n > (int)sizeof payload || !read_exactly(ssl, payload, n))
      return;
    if (head[3] == H2_SETTINGS && !(head[4] & ACK))
      h2_frame(ssl, H2_SETTINGS, ACK, 0, NULL, 0);
    if ((head[3] != H2_HEADERS && head[3] != H2_DATA) || !(head[4] & END_STREAM))
      continue;
    add(s, &t->streams);
    usleep(20000);
    h2_frame(ssl, H2_HEADERS, END_HEADERS, stream, reply_fields, sizeof reply_fields - 1);
    h2_frame(ssl, H2_DATA, END_STREAM, stream, "{}", 2);
  }
}

static void serve_h1(SSL *ssl)
{
  char request[4096];
  while (SSL_read(ssl, request, sizeof request) > 0)
    SSL_write(ssl, OK_REPLY, sizeof OK_REPLY - 1);
}

static void serve_tls(struct tiny_server *s, int fd, int nth)
{
  struct tls_server *t = (struct tls_server *)(uintptr_t)s->arg;
  const unsigned char *protocol = NULL;
  unsigned n = 0;
  SSL *ssl = SSL_new(t->ctx);
  (void)nth;
  SSL_set_fd(ssl, fd);
  if (SSL_accept(ssl) == 1) {
    add(s, &t->served);
    SSL_get0_alpn_selected(ssl, &protocol, &n);
    if (n == 2)
      serve_h2(s, t, ssl);
    else
      serve_h1(ssl);
  }
  SSL_free(ssl);
}

/* ---- the tests */

struct place {
  struct tls_server tls;
  struct tiny_server server;
  struct client client;
  char ca_file[64];
};

static void open_place(struct place *p, const struct identity *server, const struct identity *ca,
                       int max_version, bool h2)
{
  char url[64];
  setup(&p->tls, server, max_version, h2);
  tiny_start(&p->server, serve_tls, &p->tls, NULL);
  snprintf(url, sizeof url, "https://127.0.0.1:%d/mcp", p->server.port);
  client_open(&p->client, url);
  p->client.target.connect_timeout_ms = 30000; /* the system's authorities take valgrind seconds */
  strcpy(p->ca_file, "/tmp/mcpauth-test-ca-XXXXXX");
  FILE *f = fdopen(mkstemp(p->ca_file), "w");
  PEM_write_X509(f, ca->certificate);
  fclose(f);
  p->client.target.ca_file = p->ca_file;
}

static void close_place(struct place *p)
{
  client_close(&p->client);
  tiny_stop(&p->server);
  SSL_CTX_free(p->tls.ctx);
  unlink(p->ca_file);
}

enum { DAY = 86400 };

static void test_a_certificate_of_the_configured_authority_is_good(void **state)
{
  (void)state;
  struct place p;
  struct identity ca = make(NULL, NULL, -DAY, DAY), i = make("IP:127.0.0.1", &ca, -DAY, DAY);
  open_place(&p, &i, &ca, 0, false);
  for (int n = 0; n < 3; n++) {
    CALL(c);
    post(&p.client, &c, STR("{}"));
    assert_complete(&c, 200, "{}");
  }
  assert_int_equal(tiny_connections(&p.server), 1);
  close_place(&p);
  drop(&i);
  drop(&ca);
}

/* row 59: none of these gets as much as the request line */
static void test_bad_certificates_are_refused(void **state)
{
  (void)state;
  struct identity ca = make(NULL, NULL, -DAY, DAY), stranger = make(NULL, NULL, -DAY, DAY);
  struct identity old_ca = make(NULL, NULL, -3 * DAY, -DAY);
  const struct {
    const char *what;
    struct identity server;
    const struct identity *trusted;
  } cases[] = {
      {"another name", make("DNS:other.test", &ca, -DAY, DAY), &ca},
      {"another address", make("IP:127.0.0.2", &ca, -DAY, DAY), &ca},
      {"a name that looks like the address", make("DNS:127.0.0.1", &ca, -DAY, DAY), &ca},
      {"expired", make("IP:127.0.0.1", &ca, -2 * DAY, -60), &ca},
      {"not yet valid", make("IP:127.0.0.1", &ca, 3600, DAY), &ca},
      {"signed by itself", make("IP:127.0.0.1", NULL, -DAY, DAY), &ca},
      {"of an unknown authority", make("IP:127.0.0.1", &stranger, -DAY, DAY), &ca},
      {"of an expired authority", make("IP:127.0.0.1", &old_ca, -DAY, DAY), &old_ca},
  };
  for (size_t n = 0; n < ARRAY_SIZE(cases); n++) {
    struct place p;
    print_message("%s\n", cases[n].what);
    open_place(&p, &cases[n].server, cases[n].trusted, 0, false);
    CALL(c);
    post(&p.client, &c, STR("{}"));
    assert_int_equal(c.end, UPSTREAM_UNREACHABLE);
    assert_string_not_equal(c.error, "");
    close_place(&p);
    drop((struct identity *)(uintptr_t)&cases[n].server);
  }
  drop(&ca);
  drop(&stranger);
  drop(&old_ca);
}

static void test_a_private_authority_is_not_believed_unless_configured(void **state)
{
  (void)state;
  struct place p;
  struct identity ca = make(NULL, NULL, -DAY, DAY), i = make("IP:127.0.0.1", &ca, -DAY, DAY);
  open_place(&p, &i, &ca, 0, false);
  p.client.target.ca_file = NULL; /* the system's */
  CALL(c);
  post(&p.client, &c, STR("{}"));
  assert_int_equal(c.end, UPSTREAM_UNREACHABLE);
  close_place(&p);
  drop(&i);
  drop(&ca);
}

static void test_tls_below_1_2_is_refused(void **state)
{
  (void)state;
  static const int versions[] = {TLS1_VERSION, TLS1_1_VERSION, TLS1_2_VERSION};
  struct identity ca = make(NULL, NULL, -DAY, DAY), i = make("IP:127.0.0.1", &ca, -DAY, DAY);
  for (size_t n = 0; n < ARRAY_SIZE(versions); n++) {
    struct place p;
    open_place(&p, &i, &ca, versions[n], false);
    CALL(c);
    post(&p.client, &c, STR("{}"));
    assert_int_equal(c.end,
                     versions[n] == TLS1_2_VERSION ? UPSTREAM_COMPLETE : UPSTREAM_UNREACHABLE);
    close_place(&p);
  }
  drop(&i);
  drop(&ca);
}

/* row 58 */
static void test_session_keys_are_not_written_where_the_environment_says(void **state)
{
  (void)state;
  assert_null(getenv("SSLKEYLOGFILE"));
  assert_int_equal(access("/tmp/mcpauth-test-keylog", F_OK), -1);
}

static void test_http2_is_spoken_and_its_connection_kept(void **state)
{
  (void)state;
  struct place p;
  struct identity ca = make(NULL, NULL, -DAY, DAY), i = make("IP:127.0.0.1", &ca, -DAY, DAY);
  open_place(&p, &i, &ca, 0, true);
  for (int n = 0; n < 3; n++) {
    CALL(c);
    post(&p.client, &c, STR("{\"jsonrpc\":\"2.0\"}"));
    assert_complete(&c, 200, "{}");
    assert_string_equal(c.headers, "content-type=application/json;");
    client_run_for(&p.client, 20);
  }
  assert_int_equal(p.tls.streams, 3);
  assert_int_equal(tiny_connections(&p.server), 1);
  close_place(&p);
  drop(&i);
  drop(&ca);
}

static void test_http2_streams_do_not_share_a_connection(void **state)
{
  (void)state;
  enum { AT_ONCE = 4 };
  struct place p;
  struct call calls[AT_ONCE];
  int left = AT_ONCE;
  struct identity ca = make(NULL, NULL, -DAY, DAY), i = make("IP:127.0.0.1", &ca, -DAY, DAY);
  open_place(&p, &i, &ca, 0, true);
  for (int n = 0; n < AT_ONCE; n++) {
    calls[n] = (struct call){.left = &left};
    begin(&p.client, &calls[n], STR("{}"));
  }
  client_run(&p.client);
  for (int n = 0; n < AT_ONCE; n++) {
    assert_complete(&calls[n], 200, "{}");
    call_free(&calls[n]);
  }
  assert_int_equal(tiny_connections(&p.server), AT_ONCE);
  close_place(&p);
  drop(&i);
  drop(&ca);
}

static void stop_in_head(struct call *c)
{
  upstream_cancel(c->call);
  loop_stop(c->loop);
}

static void test_cancelling_an_http2_call_closes_its_connection(void **state)
{
  (void)state;
  struct place p;
  struct identity ca = make(NULL, NULL, -DAY, DAY), i = make("IP:127.0.0.1", &ca, -DAY, DAY);
  open_place(&p, &i, &ca, 0, true);
  for (int n = 1; n <= 2; n++) {
    CALL(c);
    c.in_head = stop_in_head;
    begin(&p.client, &c, STR("{}"));
    client_run(&p.client);
    client_run_for(&p.client, 20);
    assert_int_equal(tiny_connections(&p.server), n);
  }
  close_place(&p);
  drop(&i);
  drop(&ca);
}

int main(void)
{
  signal(SIGPIPE, SIG_IGN); /* OpenSSL writes to connections that were closed */
  setenv("SSLKEYLOGFILE", "/tmp/mcpauth-test-keylog", 1); /* before libcurl starts */
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_certificate_of_the_configured_authority_is_good),
      cmocka_unit_test(test_bad_certificates_are_refused),
      cmocka_unit_test(test_a_private_authority_is_not_believed_unless_configured),
      cmocka_unit_test(test_tls_below_1_2_is_refused),
      cmocka_unit_test(test_session_keys_are_not_written_where_the_environment_says),
      cmocka_unit_test(test_http2_is_spoken_and_its_connection_kept),
      cmocka_unit_test(test_http2_streams_do_not_share_a_connection),
      cmocka_unit_test(test_cancelling_an_http2_call_closes_its_connection),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
