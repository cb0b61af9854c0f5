/* What the files of the plain HTTP/1.1 transport share; private to them:
 *
 *   upstream_h1.c  calls: the request, connecting, sending, the end
 *   h1_reply.c     reading the reply
 *   h1_peer.c      whom targets lead to, and the connections kept to them */
#ifndef HTTP_H1_H
#define HTTP_H1_H

#include <sys/socket.h>

#include "http/chunked.h"
#include "http/upstream_inside.h"
#include "util/cleanup.h"

enum {
  H1_READ_SIZE = 65536, /* one buffer a worker */
  H1_ADDRESSES = 2,     /* localhost has two */
  H1_BUCKETS = 256,
};

struct h1_address {
  struct sockaddr_storage to;
  socklen_t size;
};

/* Who is connected to: targets of one peer share its connections. */
struct h1_peer {
  struct h1_address v[H1_ADDRESSES];
  unsigned n;
  struct h1_conn *idle; /* newest first */
  struct h1_peer *next; /* in its bucket */
};

struct h1_site {
  struct h1_peer *peer;
  char host[300]; /* of the Host field */
};

struct h1_conn {
  struct watch watch; /* not watched while its call is held */
  int fd;             /* -1: closed */
  struct upstream_pool *pool;
  struct h1_peer *peer;
  struct h1_call *call; /* NULL: idle */
  int64_t idle_since_ms;
  bool inside;                 /* its reply is being read: it must not be freed */
  struct h1_call *stopped;     /* meanwhile: to be released afterwards */
  struct h1_conn *next, *prev; /* idle ones of the peer */
};

enum h1_body { BODY_NONE, BODY_LENGTH, BODY_CHUNKED, BODY_TO_END };

struct h1_call {
  struct upstream_call call;
  struct h1_conn *conn;
  unsigned address; /* that is tried, of the peer's */
  struct buf head;  /* of the request */
  struct str payload;
  size_t sent;       /* of head and payload */
  struct task begin; /* at the end of the turn that it was started in */
  struct buf line;   /* unfinished, of the reply's head */
  enum h1_body body;
  uint64_t left;
  struct chunked chunked;
  bool keep; /* the connection */
  bool old;  /* HTTP/1.0 */
};

struct h1 {
  struct timer sweep;
  struct upstream_pool *pool;
  struct h1_peer *peers[H1_BUCKETS];
  char in[H1_READ_SIZE];
};

/* Whom the target leads to: H1_ADDRESSES at most; 0 is a name that somebody must look up. */
unsigned h1_addresses(const struct upstream_target *t, const struct url *u,
                      struct h1_address v[H1_ADDRESSES]);
/* The peer of these addresses, made when it is new; NULL when out of memory. */
struct h1_peer *h1_peer_of(struct h1 *h, const struct h1_address *v, unsigned n);
/* A kept connection on which nothing has come since its last reply, or NULL. */
struct h1_conn *h1_take_idle(struct h1_peer *peer);
void h1_put_idle(struct h1_conn *n);
/* Closes it; it is freed now, or by whoever reads from it. */
void h1_drop(struct h1_conn *n);
/* Closes what is idle for too long, or everything. */
void h1_sweep(struct timer *t);
void h1_free_peers(struct h1 *h);

/* Reads what has come of the reply; its events may stop the call, end it, or use the connection for
 * the next. */
void h1_read(struct h1_conn *n);

/* The call is over: its connection is kept, or closed. */
void h1_complete(struct h1_call *c);
void h1_fail(struct h1_call *c, enum upstream_end end, const char *why);

#endif
