/* What the files of the server share: server.c (daemons, turns, drain), accept.c (sockets and
 * limits), connection.c (libmicrohttpd's callbacks, the phases of a request), body.c (uploads and
 * their budget), respond.c (whole answers), flow.c (streamed answers), deadlines.c,
 * linger.c.  Nobody else includes this. */
#ifndef HTTP_INSIDE_H
#define HTTP_INSIDE_H

#include "http/compat.h"
#include "http/server.h"
#include "util/cleanup.h"

/* A connection has at most one deadline at a time. */
enum deadline {
  DEADLINE_NONE = 0,
  DEADLINE_HEAD,  /* handshake and request head, absolute */
  DEADLINE_BODY,  /* upload, or waiting for room for it */
  DEADLINE_IDLE,  /* between requests */
  DEADLINE_STALL, /* the client takes nothing of its answer */
  DEADLINE_SPARE, /* head on a connection beyond the limit */
  DEADLINE_CLOSE, /* was told goodbye by hand; time to go */
  DEADLINE_WATCH, /* suspended for a while: time to look whether the client is still there */
  DEADLINE_COUNT,
};

/* Where a request stands; one function each in connection.c. */
enum phase {
  PHASE_NEW = 0, /* the request line was seen */
  PHASE_HEAD,    /* admitted, body unread; the handler thinks */
  PHASE_GO,      /* the handler wants the body; the next call starts it */
  PHASE_BODY,    /* the body is coming */
  PHASE_BARE,    /* admitted, there is no body; the handler is asked at the next call */
  PHASE_WHOLE,   /* all is received; the handler thinks */
  PHASE_ANSWERED,
  PHASE_COUNT,
};

struct address_count;

struct conn {
  struct http_server *server;
  struct MHD_Connection *mhd; /* NULL until libmicrohttpd has taken it */
  struct daemon *daemon;
  struct request *request;      /* the one being served */
  struct conn *prev, *next;     /* all */
  struct conn *earlier, *later; /* by deadline */
  struct conn *next_ended;      /* see server_ended */
  enum deadline deadline;
  int64_t due_ms;
  int fd;
  bool tls, admin;
  bool spare;  /* beyond the limit: for what is urgent */
  bool used;   /* had a complete request before */
  bool linger; /* answered with input unread */
  bool ended;  /* in that list */
  struct watch away;
  struct address_count *counted; /* NULL: exempt */
  socklen_t peer_size;
  struct sockaddr_storage peer;
  char peer_address[64];
};

/* A streamed answer. */
struct flow {
  bool open;      /* http_stream was called */
  bool started;   /* libmicrohttpd has the head */
  bool ended;     /* http_end was called */
  bool idle;      /* suspended inside the reader: everything before has been sent */
  bool direct;    /* chunks may be written past libmicrohttpd while idle */
  bool events;    /* text/event-stream */
  bool boundary;  /* what was written last ended an event */
  bool choked;    /* http_write returned false */
  int64_t length; /* -1: not known */
  uint64_t written;
  const struct http_header *headers;
  size_t n_headers;
  struct buf out;
  size_t out_at; /* bytes of OUT that are gone */
  char frame_head[24];
  size_t frame_n;    /* bytes of OUT in the chunk being written; 0: none */
  size_t frame_sent; /* of that chunk, its head and tail included */
};

struct request {
  struct http_request rq; /* first */
  struct conn *conn;
  enum phase phase;
  bool given;   /* the handler has seen it: finished is owed */
  bool in_call; /* inside a callback of libmicrohttpd for this request */
  bool suspended;
  bool resuming, flushing, draining; /* in that list */
  bool asked_body, discarding, waits_for_room;
  bool http10;
  bool close;              /* the connection ends with this answer */
  enum http_end ending;    /* set: it is dead, and why */
  enum http_end whole_end; /* the end to report when the answer got out in full */
  const char *line;        /* the raw target as it lies in libmicrohttpd's memory */
  size_t line_n;
  struct MHD_Response *response; /* made, not queued yet */
  size_t body_max, reserved;
  size_t discarded;
  int64_t body_started_ms;
  size_t answer_n; /* bytes of a whole answer */
  char *large;     /* the bytes of one that is sent in pieces */
  struct flow flow;
  struct request *next_resume, *next_flush, *next_drained, *next_dead;
  struct request *prev_waiting, *next_waiting;
};

struct daemon {
  char *client_ca; /* PEM, or NULL */
  struct http_server *server;
  struct MHD_Daemon *mhd;
  struct watch watch;
  bool dirty; /* has something to do this turn */
  char *key, *certificate;
  size_t key_n;
};

struct listener {
  struct http_server *server;
  struct watch watch;
  struct daemon *daemon;
  int fd;
  bool admin;
};

struct lingerer {
  struct lingerer *next, *prev;
  struct http_server *server;
  struct watch watch;
  int64_t due_ms;
  size_t left;
};

enum { ADDRESS_BUCKETS = 1024, RANDOM_POOL = 4096 };

struct http_server {
  struct loop *loop;
  struct http_server_options options;
  struct http_handler handler;
  struct turn_hook hook;
  uint64_t hook_turn;
  bool in_hook, draining, shut, ended;
  struct daemon *daemons;
  size_t n_daemons;
  struct listener *listeners;
  size_t n_listeners;
  struct timer pause; /* out of descriptors: accept again when it fires */
  bool paused;
  unsigned descriptors; /* the process's limit */
  struct conn *conns, *adding, *ended_conns;
  unsigned n_conns, n_spare;
  struct address_count *addresses[ADDRESS_BUCKETS];
  struct conn *first[DEADLINE_COUNT], *last[DEADLINE_COUNT];
  int64_t deadline_ms[DEADLINE_COUNT];
  struct timer tick;
  struct request *resumes, *flushes, *drained, *dead;
  struct request *waiting_first, *waiting_last; /* for body budget */
  size_t body_used;
  struct lingerer *lingerers, *last_lingerer;
  unsigned n_lingerers;
  struct timer linger_tick;
  void (*empty)(void *arg);
  void *empty_arg;
  unsigned char random[RANDOM_POOL];
  size_t random_left;
};

/* accept.c */
int accept_start(struct http_server *s, struct err *e);
void accept_stop(struct http_server *s);
/* Gives FD to the daemon; closed in any case when it cannot. */
int conn_adopt(struct http_server *s, struct daemon *d, int fd, const struct sockaddr_storage *peer,
               socklen_t size, bool admin);
void conn_free(struct conn *c);
void accept_resume(struct http_server *s);

/* connection.c */
extern const struct compat_callbacks connection_callbacks;
void request_suspend(struct request *r);
void request_resume(struct request *r); /* at the end of this turn */
void request_die(struct request *r, enum http_end why);
bool request_answered(const struct request *r);
void conn_reset(struct conn *c); /* RST where the transport has one */
void conn_watch_away(struct conn *c, uint32_t more);

/* body.c */
void body_begin(struct request *r); /* the upload starts */
/* 0: go on; -1: the connection must end. */
int body_data(struct request *r, const char *data, size_t *n);
void body_ended(struct request *r);
void body_release(struct request *r); /* gives back what it reserved */
void body_timeout(struct request *r);
bool body_too_slow(const struct request *r, int64_t now_ms);

/* respond.c */
extern const char answer_503[], answer_408[], answer_413[];
void answer_refusal(struct request *r, int status, const char *error, const char *why);
/* RESPONSE with our headers and HEADERS, or the 500 that replaces it. */
struct MHD_Response *answer_headers(struct request *r, struct MHD_Response *response,
                                    const struct http_header *headers, size_t n);
void answer_ready(struct request *r); /* r->response is there: queue when possible */
int answer_queue(struct request *r);
void answer_done(struct request *r); /* frees what an answer holds */

/* flow.c */
void flow_flush(struct request *r);
void flow_end_for_shutdown(struct request *r);
void flow_writable(struct request *r);

/* server.c */
struct http_server *http_server_new_untested(struct loop *l, const struct http_server_options *o,
                                             const struct http_listener *listeners, size_t n,
                                             const struct http_handler *h, struct err *e);
/* The daemon that serves such a listener, started when there is none yet; NULL with E. */
struct daemon *daemon_for(struct http_server *s, const struct http_listener *l, struct err *e);
void server_flush_later(struct request *r);
void server_drained_later(struct request *r);
void server_wake(struct http_server *s);
/* C's last request ended, and libmicrohttpd may forget to clear C away. */
void server_ended(struct conn *c);
void server_not_ended(struct conn *c);
void server_conn_gone(struct http_server *s);

/* deadlines.c */
void deadlines_init(struct http_server *s);
void deadlines_done(struct http_server *s);
void deadline_set(struct conn *c, enum deadline d);

/* linger.c */
void linger_start(struct http_server *s, int fd); /* takes FD */
void linger_done(struct http_server *s);

#endif
