/* `listen ADDRESS [{ certificate, key, mode }]`: addresses, TLS material, and what may not stand
 * side by side.  Called through the hub's tables. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "config/binder.h"
#include "config/secrets.h"
#include "config/tables.h"
#include "util/cleanup.h"
#include "util/limits.h"

/* ---- addresses */

static int parse_port(struct str port, in_port_t *ret, struct err *e)
{
  uint64_t v;
  if (!str_u64(port, 65535, &v))
    return err_set(e, "the port must be a number from 0 to 65535");
  *ret = htons((uint16_t)v);
  return 0;
}

static int parse_v6(struct str text, struct config_listen *l, struct err *e)
{
  struct sockaddr_in6 *a = (struct sockaddr_in6 *)(void *)&l->address;
  size_t end = str_chr(text, ']');
  char host[64];
  if (end == text.n || end >= sizeof host || end + 1 >= text.n || text.p[end + 1] != ':')
    return err_set(e, "an IPv6 address is written [ADDRESS]:PORT");
  memcpy(host, text.p + 1, end - 1);
  host[end - 1] = 0;
  a->sin6_family = AF_INET6;
  if (inet_pton(AF_INET6, host, &a->sin6_addr) != 1)
    return err_set(e, "'%s' is no IPv6 address", host);
  l->address_len = sizeof *a;
  return parse_port(str_slice(text, end + 2, text.n), &a->sin6_port, e);
}

static int parse_v4(struct str text, struct config_listen *l, struct err *e)
{
  struct sockaddr_in *a = (struct sockaddr_in *)(void *)&l->address;
  size_t end = str_chr(text, ':');
  char host[64];
  if (str_starts(str_slice(text, end, text.n), "://"))
    return err_set(e, "is no URL: it must be ADDRESS:PORT, [ADDRESS]:PORT, unix:/PATH or "
                      "systemd:NAME");
  if (str_chr(str_slice(text, end + 1, text.n), ':') + end + 1 < text.n)
    return err_set(e, "an IPv6 address is written [ADDRESS]:PORT");
  if (end == text.n || end == 0 || end >= sizeof host)
    return err_set(e, "must be ADDRESS:PORT, [ADDRESS]:PORT, unix:/PATH or systemd:NAME");
  memcpy(host, text.p, end);
  host[end] = 0;
  a->sin_family = AF_INET;
  if (inet_pton(AF_INET, host, &a->sin_addr) != 1)
    return err_set(e, "'%s' is no numeric address (127.0.0.1 for this machine, 0.0.0.0 for all)",
                   host);
  l->address_len = sizeof *a;
  return parse_port(str_slice(text, end + 1, text.n), &a->sin_port, e);
}

static int parse_unix(struct str path, struct config_listen *l, struct err *e)
{
  struct sockaddr_un *a = (struct sockaddr_un *)(void *)&l->address;
  if (value_path(path, e) < 0)
    return -1;
  if (path.n >= sizeof a->sun_path)
    return err_set(e, "the path of a socket has at most %zu bytes", sizeof a->sun_path - 1);
  a->sun_family = AF_UNIX;
  memcpy(a->sun_path, path.p, path.n);
  l->address_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.n + 1);
  l->unix_mode = "0666";
  return 0;
}

static int parse_address(struct str text, struct config_listen *l, struct err *e)
{
  if (str_starts(text, "unix:"))
    return parse_unix(str_slice(text, 5, text.n), l, e);
  if (str_starts(text, "systemd:")) {
    l->systemd_name = l->text + 8;
    return value_name(str_slice(text, 8, text.n), e);
  }
  return str_starts(text, "[") ? parse_v6(text, l, e) : parse_v4(text, l, e);
}

/* Who can reach it: this machine only.  A socket from systemd could be any. */
static bool is_local(const struct config_listen *l)
{
  const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)&l->address;
  const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)&l->address;
  switch (l->address.ss_family) {
  case AF_INET:
    return (ntohl(v4->sin_addr.s_addr) >> 24) == 127;
  case AF_INET6:
    return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
  default:
    return l->address.ss_family == AF_UNIX;
  }
}

/* ---- the block */

static void free_x509(X509 **p)
{
  X509_free(*p);
}

static void free_pkey(EVP_PKEY **p)
{
  EVP_PKEY_free(*p);
}

static void free_bio(BIO **p)
{
  BIO_free(*p);
}

static int no_passphrase(char *buf, int size, int writing, void *arg)
{
  (void)buf, (void)size, (void)writing, (void)arg;
  return -1;
}

static X509 *read_certificate(const char *pem)
{
  CLEANUP(free_bio) BIO *bio = BIO_new_mem_buf(pem, -1);
  return bio ? PEM_read_bio_X509(bio, NULL, no_passphrase, NULL) : NULL;
}

static EVP_PKEY *read_key(struct str pem)
{
  CLEANUP(free_bio) BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
  return bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
}

static void check_pair(struct binder *b, const struct config_listen *l, struct config_at at)
{
  CLEANUP(free_x509) X509 *certificate = read_certificate(l->tls_certificate);
  CLEANUP(free_pkey) EVP_PKEY *key = read_key(secret_expose(l->tls_key));
  if (certificate == NULL)
    report_error(b->f, at, "the certificate file holds no PEM certificate");
  if (key == NULL)
    report_error(b->f, at, "the key file holds no unencrypted PEM private key");
  if (certificate == NULL || key == NULL)
    return;
  if (X509_check_private_key(certificate, key) != 1)
    report_error(b->f, at, "the key does not belong to the certificate");
  if (X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0)
    report_lint(b->f, CONFIG_WARNING, at, "expired-certificate", "the certificate has expired");
}

static void custom_certificate(struct binder *b, const struct statement *s, void *target)
{
  struct config_listen *l = target;
  if (statement_form(b, s, 1, 1, "certificate PATH"))
    l->tls_certificate = bind_read_file(b, &s->words[1], LIMIT_CERTIFICATE_FILE).p;
}

static void custom_key(struct binder *b, const struct statement *s, void *target)
{
  struct config_listen *l = target;
  if (statement_form(b, s, 1, 1, "key file:PATH"))
    l->tls_key = secrets_resolve(b, &s->words[1]);
}

static void custom_client_ca(struct binder *b, const struct statement *s, void *target)
{
  struct config_listen *l = target;
  if (!statement_form(b, s, 1, 1, "client_ca PATH"))
    return;
  l->client_ca = bind_read_file(b, &s->words[1], LIMIT_CERTIFICATE_FILE).p;
  CLEANUP(free_x509) X509 *authority = l->client_ca ? read_certificate(l->client_ca) : NULL;
  if (l->client_ca && authority == NULL)
    report_error(b->f, s->words[1].at, "the file holds no PEM certificate");
}

static void custom_mode(struct binder *b, const struct statement *s, void *target)
{
  struct config_listen *l = target;
  if (!statement_form(b, s, 1, 1, "mode OCTAL"))
    return;
  struct str m = s->words[1].text;
  bool good = m.n == 4 && m.p[0] == '0';
  for (size_t i = 0; good && i < m.n; i++)
    good = m.p[i] >= '0' && m.p[i] <= '7';
  if (!good)
    report_error(b->f, s->words[1].at, "'mode' must be four octal digits: 0660");
  else if (l->address.ss_family != AF_UNIX)
    report_error(b->f, statement_at(s), "only a unix socket has a mode");
  else
    l->unix_mode = bind_dup(b, m);
}

static const struct option_spec rows[] = {
    STATEMENT("certificate", custom_certificate, "PATH",
              "the server's certificate and those that it hangs on (PEM): makes this TLS",
              .flags = 0),
    STATEMENT("key", custom_key, "file:PATH", "its private key (PEM, not encrypted)", .flags = 0),
    STATEMENT("client_ca", custom_client_ca, "PATH",
              "authorities (PEM) of client certificates: clients may show one, see mcpauth-mtls(5)",
              .flags = 0),
    STATEMENT("mode", custom_mode, "OCTAL",
              "of a unix socket: who may connect; 0666 when not given", .flags = 0),
};
const struct block_rows listen_rows = {"listen", rows, ARRAY_SIZE(rows)};

static void bind_block(struct binder *b, const struct statement *s, struct config_listen *l)
{
  options_open(b, s);
  options_bind(b, s, &(struct option_table){rows, ARRAY_SIZE(rows), l}, 1);
  options_close(b);
  bool certificate = false, key = false;
  for (const struct statement *in = s->block->first; in; in = in->next) {
    certificate = certificate || str_is(in->words[0].text, "certificate");
    key = key || str_is(in->words[0].text, "key");
  }
  if (certificate != key)
    report_error(b->f, statement_at(s), "TLS needs both `certificate PATH` and `key file:PATH`");
  if (l->client_ca && !certificate)
    report_error(b->f, statement_at(s), "only a TLS listener can ask for client certificates");
  if (l->tls_certificate && l->tls_key)
    check_pair(b, l, statement_at(s));
}

void custom_listen(struct binder *b, const struct statement *s, void *target)
{
  struct listen_list *list = target;
  struct err e = {""};
  if (!statement_form(b, s, 1, 1, "listen ADDRESS [{ ... }]"))
    return;
  struct config_listen *v = bind_alloc(b, list->n + 1, sizeof *v);
  if (v == NULL)
    return;
  if (list->n)
    memcpy(v, list->v, list->n * sizeof *v);
  struct config_listen *l = &v[list->n];
  l->at = s->words[1].at;
  l->text = bind_dup(b, s->words[1].text);
  if (parse_address(str_of(l->text), l, &e) < 0)
    report_error(b->f, l->at, "'listen' %s", e.text);
  if (s->block)
    bind_block(b, s, l);
  else
    options_line(b, s);
  list->v = v;
  list->n++;
}

/* ---- what listeners must not be together */

static in_port_t port_of(const struct config_listen *l)
{
  const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)&l->address;
  return l->address.ss_family == AF_INET ? v4->sin_port : 0;
}

static bool all_v4(const struct config_listen *l)
{
  const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)&l->address;
  return l->address.ss_family == AF_INET && v4->sin_addr.s_addr == 0;
}

/* Port 0: the kernel chooses, and never twice the same. */
static bool any_port(const struct config_listen *l)
{
  const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)&l->address;
  return (l->address.ss_family == AF_INET && port_of(l) == 0) ||
         (l->address.ss_family == AF_INET6 && v6->sin6_port == 0);
}

/* The same socket, or one that the kernel would refuse beside the other.  Of one KIND, public or
 * administration, the text alone tells listeners apart. */
static bool collide(const struct config_listen *x, const struct config_listen *y, bool one_kind)
{
  if (strcmp(x->text, y->text) == 0)
    return one_kind || !any_port(x);
  if (x->address_len == 0 || x->address.ss_family != y->address.ss_family)
    return false;
  if (port_of(x) && port_of(x) == port_of(y) && (all_v4(x) || all_v4(y)))
    return true;
  return !any_port(x) && x->address_len == y->address_len &&
         memcmp(&x->address, &y->address, x->address_len) == 0;
}

static void check_pairs(struct binder *b, const struct config_listen *x,
                        const struct listen_list *l, bool one_kind)
{
  for (size_t i = 0; i < l->n && &l->v[i] != x; i++)
    if (collide(x, &l->v[i], one_kind)) {
      report_error(b->f, x->at, "'%s' collides with '%s' at %s:%u:%u", x->text, l->v[i].text,
                   l->v[i].at.file, l->v[i].at.line, l->v[i].at.column);
      return;
    }
}

void listen_finish(struct binder *b, const struct listen_list *list,
                   const struct listen_list *admin)
{
  b->c->loopback_only = true;
  for (size_t i = 0; i < list->n; i++) {
    const struct config_listen *l = &list->v[i];
    check_pairs(b, l, list, true);
    if (is_local(l))
      continue;
    b->c->loopback_only = false;
    if (l->tls_certificate == NULL && l->systemd_name == NULL && l->address_len)
      lint_warning(b, "plain-http-listen", l->at,
                   "'%s' takes clear text from other machines: what is in front of it must speak "
                   "TLS to the clients",
                   l->text);
  }
  for (size_t i = 0; i < admin->n; i++) {
    check_pairs(b, &admin->v[i], admin, true);
    check_pairs(b, &admin->v[i], list, false);
    if (!is_local(&admin->v[i]) && admin->v[i].address_len)
      report_lint(b->f, CONFIG_ERROR, admin->v[i].at, "public-admin",
                  "the administration listener must be on loopback or a unix socket");
    else if (admin->v[i].systemd_name)
      report_error(b->f, admin->v[i].at, "the administration listener cannot come from systemd");
  }
}
