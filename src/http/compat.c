/* libmicrohttpd as it is; see compat.h.  Called by server.c and connection.c; self_test.c has the
 * proof. */
#include "http/compat.h"

#include <gnutls/gnutls.h>
#include <stdlib.h>
#include <string.h>

#include "ops/log.h"
#include "util/limits.h"

/* 0.9.72 has MHD_get_connection_values_n; from 0.9.77.1 on there is a discipline level that refuses
 * by itself part of what compat_intact looks for. */
#if MHD_VERSION < 0x00097500
#error "libmicrohttpd 0.9.75 or newer is needed"
#endif

enum {
  /* A head of LIMIT_HEADER_BYTES, what is kept beside it for each field, and our answer's head
   * must fit.  An idle stream costs about half of this, a kept connection all of it. */
  MEMORY = 24576,
};

static void on_panic(void *cls, const char *file, unsigned line, const char *reason)
{
  (void)cls;
  log_error("libmicrohttpd: %s:%u: %s", file, line, reason ? reason : "internal error");
  abort();
}

/* Nothing is decoded. */
static size_t as_is(void *cls, struct MHD_Connection *c, char *text)
{
  (void)cls;
  (void)c;
  return strlen(text);
}

struct MHD_Daemon *compat_daemon_start(const struct compat_options *o, struct err *e)
{
  unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_NO_LISTEN_SOCKET;
  struct MHD_OptionItem tls[] = {
      {MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)o->certificate},
      {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)o->key},
      {MHD_OPTION_HTTPS_PRIORITIES, 0,
       (void *)(uintptr_t) "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:%SERVER_PRECEDENCE"},
      {MHD_OPTION_HTTPS_MEM_TRUST, 0, (void *)(uintptr_t)o->client_ca},
      {MHD_OPTION_END, 0, NULL},
  };
  if (o->client_ca == NULL)
    tls[3].option = MHD_OPTION_END;
  if (o->certificate)
    flags |= MHD_USE_TLS;
  else
    tls[0].option = MHD_OPTION_END;
  MHD_set_panic_func(on_panic, NULL);
  struct MHD_Daemon *d = MHD_start_daemon(
      flags, 0, NULL, NULL, o->callbacks->call, o->cls, MHD_OPTION_CONNECTION_LIMIT,
      o->max_connections, MHD_OPTION_CONNECTION_TIMEOUT, 0u, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
      (size_t)MEMORY, MHD_OPTION_URI_LOG_CALLBACK, o->callbacks->line, o->cls,
      MHD_OPTION_UNESCAPE_CALLBACK, as_is, NULL, MHD_OPTION_NOTIFY_COMPLETED,
      o->callbacks->completed, o->cls, MHD_OPTION_NOTIFY_CONNECTION, o->callbacks->connection,
      o->cls, MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
  if (d == NULL)
    err_set(e, o->certificate ? "the TLS listener could not be started: is the certificate's PEM "
                                "complete, and does the key belong to it?"
                              : "libmicrohttpd could not be started");
  return d;
}

int compat_daemon_descriptor(struct MHD_Daemon *d)
{
  const union MHD_DaemonInfo *info = MHD_get_daemon_info(d, MHD_DAEMON_INFO_EPOLL_FD);
  return info ? info->epoll_fd : -1;
}

struct str compat_client_certificate(struct MHD_Connection *c)
{
  const union MHD_ConnectionInfo *info =
      MHD_get_connection_info(c, MHD_CONNECTION_INFO_GNUTLS_SESSION);
  const struct str none = {NULL, 0};
  if (info == NULL || info->tls_session == NULL)
    return none;
  unsigned status = ~0u, n = 0;
  gnutls_session_t session = info->tls_session;
  const gnutls_datum_t *chain = gnutls_certificate_get_peers(session, &n);
  if (chain == NULL || n == 0 || gnutls_certificate_type_get(session) != GNUTLS_CRT_X509 ||
      gnutls_certificate_verify_peers2(session, &status) < 0 || status != 0)
    return none;
  return (struct str){(const char *)chain[0].data, chain[0].size};
}

void *compat_conn_context(struct MHD_Connection *c)
{
  const union MHD_ConnectionInfo *info =
      MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
  return info ? info->socket_context : NULL;
}

int compat_status(struct MHD_Connection *c)
{
  const union MHD_ConnectionInfo *info =
      MHD_get_connection_info(c, MHD_CONNECTION_INFO_HTTP_STATUS);
  return info ? (int)info->http_status : 0;
}

static enum MHD_Result collect_one(void *cls, enum MHD_ValueKind kind, const char *name,
                                   size_t name_n, const char *value, size_t value_n)
{
  struct compat_head *h = cls;
  (void)kind;
  if (h->n == h->max) {
    h->more = true;
    return MHD_NO;
  }
  h->headers[h->n++] = (struct http_header){{name, name_n}, {value, value_n}};
  return MHD_YES;
}

void compat_collect(struct MHD_Connection *c, struct compat_head *h)
{
  const union MHD_ConnectionInfo *info =
      MHD_get_connection_info(c, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
  h->size = info ? info->header_size : 0;
  MHD_get_connection_values_n(c, MHD_HEADER_KIND, collect_one, h);
}

/* The line's end at P is CRLF: both bytes were overwritten by NUL. */
static bool line_ended(const char *p)
{
  return p[0] == 0 && p[1] == 0;
}

/* Between a name and its value lie the colon, overwritten by NUL, and blanks. */
static bool field_whole(const struct http_header *h)
{
  const char *p = h->name.p + h->name.n;
  if (h->value.p <= p || *p != 0)
    return false;
  for (p++; p < h->value.p; p++)
    if (*p != ' ' && *p != '\t')
      return false;
  return true;
}

bool compat_intact(const struct compat_head *h)
{
  if (h->line == NULL || h->method + strlen(h->method) + 1 != h->line ||
      h->line + h->line_n + 1 != h->version || strlen(h->version) != 8)
    return false;
  const char *at = h->version + 8;
  for (size_t i = 0; i < h->n; i++) {
    if (!line_ended(at) || h->headers[i].name.p != at + 2 || !field_whole(&h->headers[i]))
      return false;
    at = h->headers[i].value.p + h->headers[i].value.n;
  }
  return line_ended(at) && (h->more || (size_t)(at + 4 - h->method) == h->size);
}
