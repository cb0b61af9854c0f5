/* The only place that knows how libmicrohttpd behaves beyond its documentation, and in which
 * version: how a daemon is started, and what the *addresses* of what it hands over say about the
 * bytes that were received (design 8.1). */
#ifndef HTTP_COMPAT_H
#define HTTP_COMPAT_H

#include <sys/types.h>
#include <microhttpd.h>

#include "http/server.h"

struct compat_callbacks {
  MHD_AccessHandlerCallback call;
  void *(*line)(void *cls, const char *uri, struct MHD_Connection *c);
  MHD_RequestCompletedCallback completed;
  MHD_NotifyConnectionCallback connection;
};

struct compat_options {
  unsigned max_connections;
  const char *certificate, *key; /* PEM; NULL: plain */
  const char *client_ca;         /* PEM: clients are asked for a certificate; NULL: not */
  const struct compat_callbacks *callbacks;
  void *cls;
};

/* A daemon without sockets and threads of its own, driven by MHD_run; NULL with E. */
struct MHD_Daemon *compat_daemon_start(const struct compat_options *o, struct err *e);
int compat_daemon_descriptor(struct MHD_Daemon *d);
void *compat_conn_context(struct MHD_Connection *c);
/* The DER of the client's certificate, which hangs on one of client_ca and is good now; none
 * otherwise.  Lives as long as the connection. */
struct str compat_client_certificate(struct MHD_Connection *c);
/* The status of the answer that is queued, 0 if none is. */
int compat_status(struct MHD_Connection *c);

/* One request head as libmicrohttpd left it in its memory.  LINE is what the URI log callback got.
 */
struct compat_head {
  const char *method, *line, *version;
  size_t line_n;
  struct http_header *headers; /* filled; at most MAX */
  size_t max, n;
  size_t size; /* bytes from METHOD to the end of the head */
  bool more;   /* there were more than MAX fields */
};

void compat_collect(struct MHD_Connection *c, struct compat_head *h);
/* Whether every byte of the head is accounted for: lines ended by CRLF, nothing hidden behind a
 * NUL, no folded line, one space between the words of the request line. */
bool compat_intact(const struct compat_head *h);

/* Proves, on a socketpair and through a whole server, that such heads are refused. */
int compat_self_test(struct loop *l, struct err *e);

#endif
