/* What the files of src/oauth share: the authorization server of one worker, one request to it, and
 * the table of endpoints.
 *
 * An endpoint is one row `const struct endpoint endpoint_NAME` in a file of its own, named in the
 * list of oauth.c.  The dispatcher has judged path, method, media type and size, and has read the
 * body, when `run` is called.  `run` answers with one of the functions below, now or later; while
 * it waits for something (a store job, a fetch, a login) exchange_wait says how that is given up
 * when the client leaves. */
#ifndef OAUTH_EXCHANGE_H
#define OAUTH_EXCHANGE_H

#include "oauth/oauth.h"
#include "oauth/params.h"
#include "util/cleanup.h"
#include "util/limits.h"

struct document_flight;
struct refresh;
struct user_token;
struct keyset;

/* One worker's.  What a file keeps between requests hangs here, made by its NAME_new in oauth_new
 * and freed in oauth_free. */
struct oauth {
  struct oauth_options o;
  struct arena *arena;                  /* lives as long as this */
  const char *issuer;                   /* public_url, byte for byte (RFC 8414 section 2) */
  struct client_flight *client_flights; /* client_fetch.c: under way */
  struct refresh *refreshes;            /* token_refresh.c: under way */
  struct user_token *user_tokens;       /* user_token.c: under way */
  int64_t *provider_rest;               /* by index: until when it is not asked (mono ms) */
  struct keyset **assertion_keys;       /* of assertion_issuers; token_assertion.c */
  struct str metadata, openid_metadata; /* metadata.c */
  const char *page_policy;              /* Content-Security-Policy of pages */
};

struct oauth_exchange {
  struct oauth *oauth;
  struct http_request *rq;
  const struct endpoint *endpoint;
  struct str path, query; /* raw; query .p NULL when there is none */
  struct str below;       /* MATCH_BELOW: what follows the endpoint's path, with its '/', or "";
                             MATCH_END: what stands before it */
  const char *address;    /* of the caller, after trusted proxies */
  void *state;            /* the endpoint's own, usually in RQ's arena */

  void (*cancel)(void *waiting);
  void *waiting;
};

enum endpoint_match {
  MATCH_EXACT = 1,
  MATCH_BELOW, /* the path, and whatever lies below it */
  MATCH_END,   /* whatever path ends with it, itself included */
};

struct endpoint {
  const char *name; /* in audit records */
  const char *path;
  enum endpoint_match match;
  bool get, post;
  /* Called by programs: answers any Origin, looks at no cookie, fails in JSON.  Otherwise called by
   * browsers: fails with a page. */
  bool open;
  const char *content_type; /* that POST must have; NULL: application/x-www-form-urlencoded */
  size_t max_body;
  void (*run)(struct oauth_exchange *x);
};

/* What the exchange waits for: CANCEL (WAITING) is called when the request ends before.  A second
 * call replaces the first; exchange_waited says that it is over. */
void exchange_wait(struct oauth_exchange *x, void (*cancel)(void *waiting), void *waiting);
void exchange_waited(struct oauth_exchange *x);

/* The parameters of the query (GET) or of the body (POST); -1: malformed. */
int exchange_params(struct oauth_exchange *x, struct params *ret);
/* The value of the one cookie NAME; .p NULL when there is none, or more than one. */
struct str exchange_cookie(const struct oauth_exchange *x, const char *name);

/* ---- answers */

/* EXTRA are further headers.  Never cached. */
void exchange_send(struct oauth_exchange *x, int status, const char *content_type, struct str body,
                   const struct http_header *extra, size_t n_extra);
void exchange_json(struct oauth_exchange *x, int status, struct str json);
/* {"error", "error_description", "request_id"} (RFC 6749 section 5.2); 503 has Retry-After, and a
 * 401 of a client that used Authorization a challenge. */
void exchange_error(struct oauth_exchange *x, int status, const char *error,
                    const char *description);

/* What Allow says of the endpoint. */
struct str exchange_methods(const struct oauth_exchange *x);

/* ---- records */

/* Begins the members of an audit record of this exchange: endpoint, address.  Then member after
 * member with record_member; exchange_record writes it and frees B.  It is for what has happened
 * already: what cannot be recorded is logged. */
void exchange_record_begin(struct oauth_exchange *x, struct buf *b);
void record_member(struct buf *b, const char *key, struct str value);
void exchange_record(struct oauth_exchange *x, const char *event, struct buf *b);
/* The same for steps that strangers can take as often as they like: recorded up to a rate. */
void exchange_record_step(struct oauth_exchange *x, const char *event, struct buf *b);
/* A refusal before anybody was authenticated: recorded up to a rate (audit_refused). */
void exchange_refused(struct oauth_exchange *x, int status, const char *why);
/* The same with more members between. */
void exchange_refused_begin(struct oauth_exchange *x, int status, const char *why, struct buf *b);
void exchange_refused_end(struct oauth_exchange *x, struct buf *b);

#endif
