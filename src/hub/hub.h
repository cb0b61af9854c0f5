/* What the files of a worker's request path share: the worker's own objects and one exchange, the
 * state of one request from its headers to its `done` record.
 *
 *   request.c   the way of an exchange: route, credential, stack, scopes, body, record, forward
 *   decide.c    what the body asks for, and whether this caller may
 *   route.c     which service or document a request is for; Host
 *   origin.c    Origin and CORS
 *   task.c      whose a task is
 *   refuse.c    refusals: status, body, challenge
 *   limit.c     limits per caller
 *   record.c    audit records
 *   forward.c   the exchange with the upstream, both directions
 *   session.c   ids of sessions, sealed to whom they were given
 *   identity.c  who is calling, told to the upstream
 *   stream.c    event streams: endpoint rewrite, keep-alive comments
 *   ends.c      when an open stream must end
 *   worker.c    makes all of it after the fork
 *
 * An exchange waits for at most one thing at a time (stack, body, record, upstream), whose handle
 * is then set; `finished` cancels whatever is set. */
#ifndef HUB_HUB_H
#define HUB_HUB_H

#include <openssl/evp.h>

#include "auth/authenticate.h"
#include "auth/credential.h"
#include "auth/jwt.h"
#include "config/config.h"
#include "http/address.h"
#include "http/server.h"
#include "http/target.h"
#include "http/upstream.h"
#include "mcp/endpoint.h"
#include "mcp/list.h"
#include "mcp/policy.h"
#include "mcp/sse.h"
#include "oauth/oauth.h"
#include "oauth/resource.h"
#include "oauth/user_token.h"
#include "ops/audit.h"
#include "store/keyring.h"
#include "util/cleanup.h"

enum { STREAM_COMMENT_MS = 15000, STREAM_HELD_MAX = 65536, RETRY_AFTER_S = 5 };

/* A service with what is made of it once a worker. */
struct hub_service {
  const struct config_service *config;
  uint64_t key;   /* in the shared page */
  bool has_rules; /* what a list shows depends on the caller */
  struct upstream_target target;
  struct http_header *upstream_auth; /* NULL: none */
  bool has_document;
  struct resource_document document;
};

/* SHA-256, fetched once a worker. */
struct digest {
  EVP_MD_CTX *context;
  EVP_MD *sha256;
};

struct hub {
  const struct config *config;
  struct arena *arena;
  struct loop *loop;
  struct http_server *server;
  struct auth *auth;
  struct audit *audit;
  struct upstream_pool *pool;
  struct oauth *oauth;                     /* NULL: nobody can log in here */
  struct hub_service *services;            /* parallel to config->services */
  struct hub_service **by_path;            /* the same, sorted: a look-up does not grow with them */
  struct resource_document *only_document; /* the root form, or NULL */
  struct resource_document keys_document;  /* our public keys, where no OAuth server has them */
  struct networks proxies;
  struct digest digest;  /* of arguments, for the audit */
  struct arena *scratch; /* of one item of a list at a time */
  struct sealer *sealer;
  struct keyring *keys;
  struct identity *identity;
  bool assertions; /* some upstream is told assertions: our keys are published */
  struct shm *shm;
  uint64_t generation;
  bool state_writable;
  bool draining;       /* a later generation serves */
  uint64_t files_seen; /* auth_files at the last look at open streams */
  struct timer comment_timer;
  struct exchange *streams_first, *streams_last; /* oldest write first */
};

/* What an exchange counts towards while it is open (limit.c). */
enum open_slot { OPEN_PRINCIPAL, OPEN_CLIENT, OPEN_ADDRESS, OPEN_SLOTS };

struct exchange {
  struct hub *hub;
  struct http_request *rq;
  struct target target;
  struct hub_service *service;
  struct oauth_exchange *oauth; /* it is a request to the authorization server */
  char client[64];              /* address, after trusted proxies */
  struct str origin;            /* of an allowed Origin, to be echoed */
  struct mcpauth_credential credential;
  bool has_credential, anonymous;
  bool has_digest;
  unsigned char digest[SHA256_SIZE]; /* of the credential */
  char fingerprint[FINGERPRINT_SIZE];

  /* what it waits for */
  struct auth_run *auth;
  struct audit_ticket ticket;
  bool ticket_waiting;
  struct upstream_call *call;
  struct user_token *user_token;

  struct auth_outcome outcome; /* its trace lives in the request's arena */
  struct grant *grant;
  uint32_t open[OPEN_SLOTS]; /* handles; 0: not counted */
  bool recorded;             /* a decision record exists: a done record must follow */
  bool awaits_body;          /* decided, but not recorded before the body is there */
  /* an answer that goes out when the (empty) body has been read, so that the connection lives on */
  int answer_status;
  const struct http_header *answer_headers;
  size_t n_answer_headers;
  struct str answer_body;

  /* what the body asks for */
  bool understood; /* GATE (of a POST) and OP hold */
  struct gate gate;
  struct operation op;
  struct policy_decision decision; /* .verdict 0: the rules were not asked */
  struct str item;                 /* that decided */

  /* its session at the upstream; .p NULL where there is none */
  uint64_t session;            /* the name of the sealed id (mcp/seal.h); 0: none */
  struct str session_given;    /* Mcp-Session-Id as the client has it */
  struct str session_id;       /* and as the upstream has it */
  struct str session_endpoint; /* path and query for messages of the legacy transport */

  struct str own_token; /* the caller's own for the upstream; .p NULL: none */

  /* the reply */
  int upstream_status;
  const char *upstream_error; /* why it ended early, for the done record */
  bool begun, dropping, streaming;
  struct list *list; /* cuts hidden items out of the reply; NULL: nothing to cut */
  struct sse sse;
  struct buf held; /* bytes before the first event of a GET stream */
  bool first_event_seen, endpoint_bad, endpoint_sealed;
  bool asked;          /* the reply comes on the session's stream */
  bool first_passes;   /* the first event is too long to be held */
  struct buf endpoint; /* the rewritten first event */
  int64_t last_write_ms;
  /* until when the stream may go on; see ends.c */
  uint64_t revocations, epoch; /* of the hub before the stack ran; of the caller */
  uint64_t files;              /* of providers, before the stack ran */
  int64_t expires_at;          /* of the credential; 0: never */
  bool ask_again;              /* the stack must be asked again, not before ASK_AT_MS */
  int64_t ask_at_ms;
  struct auth_run *recheck;
  struct arena *recheck_arena;
  const char *ending; /* why it ends at its next event boundary */
  int64_t ending_since_ms;
  struct exchange *stream_prev, *stream_next;
};

/* ---- route.c */

enum route {
  ROUTE_SERVICE,
  ROUTE_HEALTH,
  ROUTE_READY,
  ROUTE_DOCUMENT,
  ROUTE_OAUTH,
  ROUTE_NOT_FOUND,
  ROUTE_MISDIRECTED, /* Host names none of ours: 421 */
};
/* Sorts h->by_path, once a worker. */
void route_init(struct hub *h);
/* Sets x->service for ROUTE_SERVICE and *RET_DOCUMENT for ROUTE_DOCUMENT. */
/* Answered even when all connections are taken. */
bool route_urgent(struct str path);
enum route route_find(struct exchange *x, const struct resource_document **ret_document);

/* ---- origin.c */

/* Whether the request's Origin, if any, may talk to this service; sets x->origin. */
bool origin_allowed(struct exchange *x);
/* Adds CORS headers for an allowed origin: at most ORIGIN_HEADERS. */
enum { ORIGIN_HEADERS = 3, PREFLIGHT_HEADERS = 6 };
size_t origin_headers(const struct exchange *x, struct http_header *out);
size_t origin_preflight(const struct exchange *x, struct http_header *out);

/* ---- refuse.c */

/* One refusal: the JSON body, the challenge of 401 and insufficient_scope, Retry-After of 503.
 * ERROR is the OAuth or HTTP-ish code of the body. */
void refuse(struct exchange *x, int status, const char *error, const char *description);
/* 401 with a challenge; INVALID: a credential was sent. */
void refuse_unauthorized(struct exchange *x, bool invalid, enum mcpauth_why why);
/* 401 for a credential of a kind that the service does not take. */
void refuse_foreign(struct exchange *x);
/* 403 naming everything the operation needs and what the token has. */
void refuse_scope(struct exchange *x);

/* A JSON-RPC error for the request at hand, as a server would send it.  DATA: JSON, or NULL. */
void refuse_rpc(struct exchange *x, int status, int code, const char *message, const char *data);

/* 429, to be tried again in WAIT_MS. */
void refuse_later(struct exchange *x, int64_t wait_ms);

/* ---- limit.c; false: refused and recorded */

bool limit_address(struct exchange *x);
/* Whether the credential may be verified now. */
bool limit_guessing(struct exchange *x);
/* The stack has refused the credential. */
void limit_failed(struct exchange *x, const struct auth_outcome *o);
bool limit_caller(struct exchange *x);
/* One more that is open, until limit_closed. */
bool limit_open(struct exchange *x);
void limit_closed(struct exchange *x);

/* ---- record.c */

/* A refusal before anybody was authenticated: recorded up to a rate.  O may be NULL. */
void record_refused(struct exchange *x, const struct auth_outcome *o, int status, const char *why);
/* The decision record of this outcome (NULL: anonymous service).  TICKET: x->ticket is used. */
int record_decision(struct exchange *x, const struct auth_outcome *o, const char *decision,
                    int status, const char *why, bool ticket);
/* The same for a refusal after the caller, or that there is none, was established. */
void record_refusal(struct exchange *x, int status, const char *why);
void record_done(struct exchange *x);

/* ---- decide.c */

/* The caller as rules see her; G NULL: nobody. */
struct policy_caller caller_of(const struct exchange *x, const struct grant *g);
/* Reads what is asked; false: refused and recorded. */
bool understand(struct exchange *x);
/* Refuses, or goes on to record_and_forward. */
void decide(struct exchange *x);
/* Whether what X asked for is open to the caller as GRANT knows her now. */
bool still_allowed(struct exchange *x, const struct grant *g);

/* ---- task.c */

/* Whether every task that the request names was given to this caller. */
bool task_owned(struct exchange *x);
/* Whether the reply may give this caller a task; MESSAGE is one JSON-RPC message of it. */
bool task_learns(const struct exchange *x);
void task_learn(struct exchange *x, struct str message);

/* ---- session.c */

/* Opens what names a session in the request; false: it is none of this caller's. */
bool session_open(struct exchange *x);
/* What the client sees for the session ID of the upstream; .p NULL: it cannot be sealed. */
struct str session_header(struct exchange *x, struct str id);
/* The same for the data of an endpoint event. */
int session_endpoint(struct exchange *x, struct str data, struct buf *out, struct err *e);
/* A number for (issuer, subject, client); 0 for nobody. */
uint64_t session_owner_key(const struct exchange *x);

/* ---- identity.c */

struct identity;
struct identity *identity_new(void);
void identity_free(struct identity *i); /* NULL is fine */
enum { IDENTITY_HEADERS_MOST = 8 };
/* -1: the caller cannot be told, and nothing may be forwarded. */
int identity_headers(struct exchange *x, struct http_header *out, size_t *ret_n);

/* ---- filter.c */

/* Whether the reply is one whose items depend on the caller: sets x->list.  -1: out of memory. */
int filter_begin(struct exchange *x);
void filter_done(struct exchange *x);
/* Memory for a moment: valid until the next call.  NULL: there is none. */
struct arena *hub_scratch(struct hub *h);
/* One whole reply; .p NULL when it cannot be filtered. */
struct str filter_whole(struct exchange *x, struct str reply);

/* ---- forward.c, stream.c */

void forward(struct exchange *x);
/* Whether the header fields that would be passed on can be. */
bool forward_sendable(const struct exchange *x);
void forward_drained(struct exchange *x);
void forward_stop(struct exchange *x);
/* A reply that has begun cannot go on, and has no end that the client could take for one. */
void break_off(struct exchange *x, const char *why);

void stream_begin(struct exchange *x);
/* Bytes of an event stream towards the client; false: stop until drained. */
bool stream_bytes(struct exchange *x, struct str bytes);
void stream_end(struct exchange *x);
void stream_forget(struct exchange *x);
void stream_tick(struct timer *t);
/* Ends, with a whole body, every stream that stands at an event boundary. */
void streams_finish(struct hub *h);

/* ---- ends.c */

/* Before the stack runs; when it has granted. */
void ends_before_auth(struct exchange *x);
void ends_granted(struct exchange *x);
/* Whether somebody was revoked, or a file of a provider has changed, since before the stack ran. */
bool ends_outdated(const struct exchange *x);
/* Ends the stream if it must end and may do so here. */
bool ends_at_boundary(struct exchange *x);
void ends_tick(struct hub *h);
void ends_forget(struct exchange *x);

/* ---- request.c */

/* What the stack is asked for this request, again or for the first time; its memory is in ARENA. */
void auth_request_of(struct exchange *x, struct arena *arena, struct auth_request *ret);

extern const struct http_handler hub_handler; /* .self is to be set */
void record_and_forward(struct exchange *x);
/* Answers a request without a body once that is read, keeping the connection. */
void answer(struct exchange *x, int status, const struct http_header *headers, size_t n,
            struct str body);

#endif
