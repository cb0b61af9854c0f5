/* mcpauth/provider.h: the one header that a provider includes.
 *
 * A provider is a shared object in plugindir that exports one symbol, `mcpauth_provider`, made by
 * MCPAUTH_PROVIDER (...).  The hub loads it once a process and makes an *instance* of it for every
 * `provider NAME { ... }` block that a stack names.  Nothing is global: an instance has a
 * configuration (a struct of yours, filled by the host from your option table) and a state (what
 * your `start` returns).
 *
 * Life of an instance, and why it has these phases:
 *   options parsed  by the host; you never see text
 *   check           in the leader and in `mcpauth check`, before the fork: rules between options.
 *                   No threads, descriptors, sockets or files may be left open by it.
 *   start           in each worker, after the fork: acquire what the worker needs (key sets, ...)
 *   claims, verify, account, login_begin, login_finish, refresh
 *                   in that worker's only loop thread, any number of times
 *   stop            in that worker, when it ends or drains
 *
 * Threads: all callbacks run in the worker's loop thread and must not block, except those of a
 * provider with MCPAUTH_BLOCKING, whose verify, account and login callbacks run in a job thread
 * (one call at a time a request; several requests may run at once: guard what your state shares).
 *
 * Strings that the host hands over are valid until the callback returns, unless stated; those that
 * you hand over are copied.  struct mcpauth_bytes may contain NUL bytes; all others are
 * NUL-terminated UTF-8.
 *
 * The ABI grows at the end of the structs only.  Before calling a host function newer than abi 1.0
 * ask with MCPAUTH_HAS, or say MCPAUTH_NEEDS.  Usable from C11 and C++.
 */
#ifndef MCPAUTH_PROVIDER_H
#define MCPAUTH_PROVIDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MCPAUTH_ABI_MAJOR 1u
#define MCPAUTH_ABI_MINOR 0u
#define MCPAUTH_ABI       ((MCPAUTH_ABI_MAJOR << 16) | MCPAUTH_ABI_MINOR)

/* ------------------------------------------------------------------ results (mcpauth.d(5)) */

/* What a line of a stack answers.  The numbers are part of the ABI; 0 and every value that is not
 * named here counts as MCPAUTH_ERROR. */
enum mcpauth_result {
  MCPAUTH_OK = 1,      /* valid; a principal has been set with set_principal */
  MCPAUTH_PASS = 2,    /* a guard has no objection; says nothing about who */
  MCPAUTH_IGNORE = 3,  /* not my credential */
  MCPAUTH_INVALID = 4, /* mine, and not good; another credential may help (401) */
  MCPAUTH_DENY = 5,    /* I know who this is; no credential of theirs will do (403) */
  MCPAUTH_UNAVAIL = 6, /* cannot tell now (503) */
  MCPAUTH_ERROR = 7,   /* anything else (500) */
  MCPAUTH_PENDING = 8, /* not a result: the continuation that you gave to the host will answer */
};

/* Why, for the closed list of descriptions that a client may see (design section 7).  What you say
 * in words (`reason`) goes to the audit record only. */
enum mcpauth_why {
  MCPAUTH_WHY_NONE = 0,
  MCPAUTH_WHY_EXPIRED = 1,
  MCPAUTH_WHY_NOT_YET_VALID = 2,
  MCPAUTH_WHY_WRONG_AUDIENCE = 3, /* not issued for this service */
  MCPAUTH_WHY_NOT_ACCEPTED = 4,   /* everything else */
};

/* ------------------------------------------------------------------ options */

/* The type of an option and of the member of your configuration struct at its offset. */
enum mcpauth_option_type {
  MCPAUTH_STRING = 1,   /* const char *              one word                                 */
  MCPAUTH_BOOL = 2,     /* bool                      on | off                                 */
  MCPAUTH_INTEGER = 3,  /* int64_t                   decimal, within min..max                 */
  MCPAUTH_DURATION = 4, /* int64_t, milliseconds     500ms 30s 10m 24h 7d, within min..max ms  */
  MCPAUTH_SIZE = 5,     /* int64_t, bytes            4096 64k 4m, within min..max             */
  MCPAUTH_URL = 6,      /* const char *              https:// or http://, no fragment         */
  MCPAUTH_PATH = 7,     /* const char *              absolute path, the file is yours to read */
  MCPAUTH_SECRET = 8,   /* const struct mcpauth_secret *   env:NAME file:PATH credential:NAME */
  MCPAUTH_CHOICE = 9,   /* int                       index of the word in `choices`           */
  MCPAUTH_LIST = 10,    /* struct mcpauth_list       one or more words; lines add up          */
  MCPAUTH_PAIRS = 11,   /* struct mcpauth_list       lines of exactly two words: k0 v0 k1 v1 … */
};

enum mcpauth_option_flags {
  MCPAUTH_REQUIRED = 1u << 0, /* the block must have it */
  MCPAUTH_REPEAT = 1u << 1,   /* may stand more than once (LIST and PAIRS always may) */
  MCPAUTH_HTTPS = 1u << 2,    /* of a URL: https, or http to loopback */
};

struct mcpauth_list {
  size_t n;
  const char *const *v;
};

struct mcpauth_option {
  const char *name; /* [a-z][a-z0-9_]*; NULL ends the table */
  enum mcpauth_option_type type;
  uint32_t flags;
  size_t offset;              /* of the member: offsetof (struct config, member) */
  const char *fallback;       /* the value when absent, written as in a file; NULL: zero, or a
                                 LIST of none */
  int64_t min, max;           /* INTEGER, DURATION, SIZE; both 0: no range but >= 0 */
  const char *const *choices; /* CHOICE: the words, NULL at the end */
  const char *metavar;        /* for help: "URL", "SECONDS" */
  const char *help;           /* one line: for `provider show` and the manual page */
  const char *since;          /* release that brought it: "0.1" */
};

/* ------------------------------------------------------------------ what the host hands over */

struct mcpauth_bytes {
  const char *p;
  size_t n;
};

struct mcpauth_instance; /* one `provider NAME { }` block in one process */
struct mcpauth_request;  /* one line of a stack at work for one request */
struct mcpauth_secret;
struct mcpauth_claims; /* a JSON object, read-only */
struct mcpauth_keyset; /* verification keys, refreshed by the host */

/* Where the request's one credential was found. */
enum mcpauth_source {
  MCPAUTH_FROM_BEARER = 1, /* Authorization: Bearer */
  MCPAUTH_FROM_BASIC = 2,  /* Authorization: Basic; the credential is the decoded user:password */
  MCPAUTH_FROM_HEADER = 3, /* a header that the service names */
  MCPAUTH_FROM_QUERY = 4,  /* a query parameter that the service names */
};

struct mcpauth_credential {
  enum mcpauth_source source;
  const char *name; /* of the header or parameter; "" otherwise */
  /* 1..8192 bytes, printable ASCII but for BASIC; a secret: never log it */
  struct mcpauth_bytes value;
};

/* A client certificate that the listener has verified, or that a trusted proxy has and passed on.
 */
struct mcpauth_certificate {
  const char *subject, *issuer; /* distinguished names as RFC 4514 writes them */
  const char *sha256;           /* of the certificate: 64 lower-case hexadecimal digits */
  const char *thumbprint;       /* the same as base64url: `x5t#S256` of RFC 8705 */
  struct mcpauth_list names;    /* of subjectAltName: "DNS:…", "URI:…", "email:…" */
  int64_t expires_at;           /* seconds since 1970 */
};

/* Facts about the request.  A provider that looks at anything here but the service and its resource
 * must not let its OK be reused: reuse_ms 0. */
struct mcpauth_facts {
  const char *request_id;
  const char *service;  /* name of the service */
  const char *resource; /* its URL: what `aud` must contain (RFC 8707) */
  const char *address;  /* numeric address of the client, after trusted_proxy; "unix"; "unknown" */
  const char *method;   /* GET, POST, DELETE */
  bool tls;
  /* The client's, or NULL.  There when the host has `json_text`. */
  const struct mcpauth_certificate *certificate;
};

/* Who is calling.  Issuer and subject together name a person or machine; neither may be empty,
 * longer than 512 bytes, or contain control characters. */
struct mcpauth_principal {
  const char *issuer;
  const char *subject;
  const char *client;         /* the OAuth client, or NULL */
  struct mcpauth_list scopes; /* RFC 6749 scope tokens */
  int64_t expires_at;         /* seconds since 1970; 0: the credential does not expire */
  int64_t reuse_ms;           /* how long this answer may be reused for the same credential at the
                                 same service; 0: never */
};

/* One value inside claims.  Pointers are valid as long as the claims are. */
enum mcpauth_value_type {
  MCPAUTH_ABSENT = 0,
  MCPAUTH_NULL = 1,
  MCPAUTH_FALSE = 2,
  MCPAUTH_TRUE = 3,
  MCPAUTH_NUMBER = 4, /* .number; exact up to 2^53 */
  MCPAUTH_TEXT = 5,   /* .text, .count bytes; never contains NUL */
  MCPAUTH_ARRAY = 6,  /* .count elements, at POINTER/0 … */
  MCPAUTH_OBJECT = 7, /* .count members */
};

struct mcpauth_value {
  enum mcpauth_value_type type;
  const char *text;
  double number;
  size_t count;
};

/* What a member of an object in a file of yours may be (json_misfit). */
enum mcpauth_member_type {
  MCPAUTH_MEMBER_NAME = 1,   /* 1 to 64 letters, digits, '.', '_' and '-' */
  MCPAUTH_MEMBER_TEXT = 2,   /* 1 to 512 bytes without control characters */
  MCPAUTH_MEMBER_SHA256 = 3, /* 64 lower-case hexadecimal digits, not those of nothing */
  MCPAUTH_MEMBER_SCOPES = 4, /* an array of at most 64 RFC 6749 scope tokens */
  MCPAUTH_MEMBER_CLAIMS = 5, /* an object of at most 64 members that set_claim takes */
  MCPAUTH_MEMBER_TIME = 6,   /* "2027-01-01T00:00:00Z" */
  MCPAUTH_MEMBER_BOOL = 7,
  MCPAUTH_MEMBER_ANY = 8,
};

struct mcpauth_member {
  const char *name; /* NULL ends the table */
  enum mcpauth_member_type type;
  uint32_t flags; /* MCPAUTH_REQUIRED */
};

/* ------------------------------------------------------------------ waiting for something */

/* All continuations run in the loop thread (of a blocking provider too), at most once, and return
 * the line's result, or MCPAUTH_PENDING after asking the host again.  When the client leaves or the
 * deadline passes, no continuation is called and everything outstanding is cancelled. */

struct mcpauth_http_request {
  const char *method;         /* "GET" or "POST" */
  const char *url;            /* from your configuration: https, or http to loopback */
  const char *const *headers; /* "Name: value" strings, NULL at the end; may be NULL */
  struct mcpauth_bytes body;
  int64_t timeout_ms; /* 0: the request's own deadline */
  size_t max_reply;   /* bytes; 0: 256 KiB, which is also the most */
};

struct mcpauth_http_reply {
  int status;               /* 0: no answer; `error` says why */
  const char *error;        /* "" when status is not 0 */
  const char *content_type; /* "" when absent */
  struct mcpauth_bytes body;
};

typedef enum mcpauth_result mcpauth_http_fn(struct mcpauth_request *rq, void *arg,
                                            const struct mcpauth_http_reply *reply);
typedef enum mcpauth_result mcpauth_timer_fn(struct mcpauth_request *rq, void *arg);
/* Runs in a job thread; ARG must be a copy that it alone owns.  It may call no host function. */
typedef void mcpauth_job_fn(void *arg);
typedef enum mcpauth_result mcpauth_done_fn(struct mcpauth_request *rq, void *arg);

/* Where verification keys come from: exactly one of these. */
struct mcpauth_keyset_source {
  const char *jwks_uri;                /* RFC 7517 document */
  const char *issuer;                  /* found by OpenID discovery, then RFC 8414 */
  const char *file;                    /* absolute path: PEM public keys or a JWKS */
  const struct mcpauth_secret *shared; /* HS256/384/512; at least 32 bytes */
};

/* Rules for one token (RFC 7519, RFC 8725, RFC 9068).  Zero or NULL means the stated default. */
struct mcpauth_jwt_policy {
  struct mcpauth_list issuers;    /* byte-exact; required */
  struct mcpauth_list audiences;  /* one must be in `aud`; required */
  struct mcpauth_list algorithms; /* empty: every asymmetric one that the keys support, or HS* for a
                                     shared secret */
  struct mcpauth_list types;      /* accepted `typ`, compared without case and "application/";
                                     empty: "at+jwt" "JWT" and absent */
  int64_t leeway_ms;              /* clock skew granted to exp, nbf, iat */
  int64_t max_age_ms;             /* since iat; 0: no limit */
  int64_t max_lifetime_ms;        /* exp - iat (or now); 0: no limit */
  bool require_iat, require_nbf, require_sub;
};

/* CLAIMS is NULL unless RESULT is MCPAUTH_OK; valid until the line has answered. */
typedef enum mcpauth_result mcpauth_jwt_fn(struct mcpauth_request *rq, void *arg,
                                           enum mcpauth_result result,
                                           const struct mcpauth_claims *claims);

/* ------------------------------------------------------------------ logging a person in */

/* One login at the provider: an authorization code grant (RFC 6749 section 4.1) with PKCE, whose
 * client is the hub. */
struct mcpauth_login {
  const char *callback;       /* the hub's redirect URI, to be registered at the provider */
  const char *state;          /* opaque; goes along as it is */
  const char *nonce;          /* for an ID token (OpenID Connect Core section 3.1.2.1) */
  const char *code_challenge; /* S256 (RFC 7636) */
  const char *login_hint;     /* or NULL */
  bool again;                 /* the person must show who she is, whatever session she has there */
  /* login_finish only */
  const char *code;
  const char *code_verifier;
  struct mcpauth_list parameters; /* name, value, … of the callback's query, decoded */
};

/* What the provider issued.  The hub seals it, gives it to nobody but services with `upstream_auth
 * user_token`, and hands it back to `refresh`. */
struct mcpauth_tokens {
  const char *access_token;  /* or NULL */
  const char *refresh_token; /* or NULL */
  int64_t access_expires_at; /* seconds since 1970; 0: unknown */
  const char *extra;         /* a JSON object of your own, at most 4 KiB, or NULL */
};

/* The hub as an OAuth client of the provider.  One request to a token endpoint (RFC 6749 section
 * 3.2): the code of this login from login_finish, the refresh token that is kept from refresh; the
 * host adds what these grants need. */
struct mcpauth_grant {
  const char *url;
  const char *client_id;
  const struct mcpauth_secret *client_secret; /* NULL: a public client */
  bool secret_in_form;                        /* instead of in an Authorization: Basic header */
  const char *client_assertion;               /* RFC 7523, instead of a secret; or NULL */
  struct mcpauth_list parameters;             /* more of them: name, value, … */
};

struct mcpauth_granted {
  const struct mcpauth_claims *reply; /* the whole; an object, also when it came as a form */
  struct mcpauth_tokens tokens;       /* set with set_tokens already */
  const char *id_token;               /* or NULL */
  const char *scope;                  /* as the reply says it, or NULL */
};

/* RESULT: OK, with GRANTED; INVALID: the code or the refresh token is not good (any more); UNAVAIL;
 * ERROR: the provider refuses the client (logged: the configuration is wrong).  The reason for the
 * audit record is set: mostly you return what is not OK. */
typedef enum mcpauth_result mcpauth_grant_fn(struct mcpauth_request *rq, void *arg,
                                             enum mcpauth_result result,
                                             const struct mcpauth_granted *granted);

/* A question to an API that answers in JSON. */
struct mcpauth_question {
  const char *url;
  const char *bearer;         /* access token, or NULL */
  const char *const *headers; /* more of them, NULL at the end; may be NULL */
  struct mcpauth_bytes body;  /* JSON; a POST when there is one, else a GET */
};

/* RESULT: OK: a 2xx, and ANSWER, an object or an array ("/0/name"); INVALID: 401; UNAVAIL: no
 * answer, or 408, 425, 429, 5xx, or one that is not JSON where it should be; ERROR: everything
 * else, with STATUS, and ANSWER when it is JSON. */
typedef enum mcpauth_result mcpauth_answer_fn(struct mcpauth_request *rq, void *arg,
                                              enum mcpauth_result result, int status,
                                              const struct mcpauth_claims *answer);

/* A provider's metadata, found by OpenID Connect Discovery or RFC 8414 and kept fresh. */
struct mcpauth_issuer;

/* RESULT is OK, with DOCUMENT, or UNAVAIL. */
typedef enum mcpauth_result mcpauth_issuer_fn(struct mcpauth_request *rq, void *arg,
                                              enum mcpauth_result result,
                                              const struct mcpauth_claims *document);

/* An ID token of this login (OpenID Connect Core section 3.1.3.7). */
struct mcpauth_id_token {
  struct mcpauth_keyset *keys;
  struct mcpauth_list issuers; /* byte-exact */
  const char *client_id;       /* `aud`, and `azp` when it is there */
  const char *token;
  const char *nonce;              /* NULL: not compared (refresh) */
  const char *access_token;       /* that came with it, for at_hash; or NULL */
  struct mcpauth_list algorithms; /* empty: every asymmetric one that the keys support */
  int64_t leeway_ms;
};

enum mcpauth_level {
  MCPAUTH_LOG_ERROR = 0,
  MCPAUTH_LOG_WARN = 1,
  MCPAUTH_LOG_INFO = 2,
  MCPAUTH_LOG_DEBUG = 3
};

/* ------------------------------------------------------------------ what the host can do for you
 */

/* abi 1.0.  Functions that take SELF may be called from `start` on (log and report: from `check`
 * on); those that take RQ from verify, account, the login callbacks and continuations.  In a job
 * thread only those marked [any thread] may be called; from the callbacks of a blocking provider
 * that run in one also those that take RQ, but for the four that wait.  int results: 0, or -1 when
 * the arguments are unusable or memory is short.
 *
 * One thing at a time: a second request to the host while one is outstanding, an answer while one
 * is, PENDING while none is, and every argument that the host refuses in set_principal, set_claim,
 * login_redirect and set_tokens make the line's result MCPAUTH_ERROR, whatever it returns. */
struct mcpauth_host {
  uint32_t abi;
  uint32_t struct_size;

  /* [any thread] One line to the hub's log, prefixed with the instance's name. */
  void (*log)(struct mcpauth_instance *self, enum mcpauth_level level, const char *format, ...)
#ifdef __GNUC__
      __attribute__((format(printf, 3, 4)))
#endif
      ;
  /* From `check` only: refuses the configuration; OPTION names the option at fault or is NULL. */
  int (*report)(struct mcpauth_instance *self, const char *option, const char *format, ...)
#ifdef __GNUC__
      __attribute__((format(printf, 3, 4)))
#endif
      ;
  const char *(*instance_name)(const struct mcpauth_instance *self);
  /* The bytes of a secret option; valid as long as the instance. */
  struct mcpauth_bytes (*secret_bytes)(const struct mcpauth_secret *secret);

  /* Zeroed memory that lives as long as the request; NULL past a megabyte. */
  void *(*alloc)(struct mcpauth_request *rq, size_t n);
  const struct mcpauth_facts *(*facts)(struct mcpauth_request *rq);
  /* The request's credential; NULL when it carries none (guards) and in account lines. */
  const struct mcpauth_credential *(*credential)(struct mcpauth_request *rq);
  struct mcpauth_instance *(*self)(struct mcpauth_request *rq);

  /* [any thread] Names the principal; the answer must then be MCPAUTH_OK.  The last call counts. */
  int (*set_principal)(struct mcpauth_request *rq, const struct mcpauth_principal *principal);
  /* [any thread] Sets a claim of the principal from JSON text: POINTER is "/name" (verify) or is
   * put under /account/INSTANCE/name (account). */
  int (*set_claim)(struct mcpauth_request *rq, const char *pointer, const char *json);
  /* Account lines: who was granted, and what is known of them.  refresh: whom the grant names. */
  const struct mcpauth_principal *(*principal)(struct mcpauth_request *rq);
  const struct mcpauth_claims *(*principal_claims)(struct mcpauth_request *rq);
  /* [any thread] For the audit record; return RESULT from your callback: `return host->refuse (rq,
   * MCPAUTH_INVALID, MCPAUTH_WHY_EXPIRED, "expired at %s", when);` */
  enum mcpauth_result (*refuse)(struct mcpauth_request *rq, enum mcpauth_result result,
                                enum mcpauth_why why, const char *reason, ...)
#ifdef __GNUC__
      __attribute__((format(printf, 4, 5)))
#endif
      ;

  /* These four return MCPAUTH_PENDING, or MCPAUTH_ERROR when they cannot start; return what they
   * return.  jwt_verify may call THEN at once and then returns what THEN returned. */
  enum mcpauth_result (*http)(struct mcpauth_request *rq,
                              const struct mcpauth_http_request *request, mcpauth_http_fn *then,
                              void *arg);
  enum mcpauth_result (*timer)(struct mcpauth_request *rq, int64_t ms, mcpauth_timer_fn *then,
                               void *arg);
  /* Runs WORK (ARG) in a job thread, then THEN; RELEASE (ARG) when both are over, or after WORK
   * when the request was cancelled.  Too many stuck jobs of an instance: MCPAUTH_UNAVAIL. */
  enum mcpauth_result (*job)(struct mcpauth_request *rq, mcpauth_job_fn *work,
                             mcpauth_done_fn *then, void *arg, void (*release)(void *arg));
  enum mcpauth_result (*jwt_verify)(struct mcpauth_request *rq, struct mcpauth_keyset *keys,
                                    const struct mcpauth_jwt_policy *policy,
                                    struct mcpauth_bytes token, mcpauth_jwt_fn *then, void *arg);

  /* From `start`: opens a key set; NULL with the reason logged.  An unreachable source is no error:
   * verification answers UNAVAIL until keys arrive.  Freed by the host with the instance. */
  struct mcpauth_keyset *(*keyset)(struct mcpauth_instance *self,
                                   const struct mcpauth_keyset_source *source);

  /* [any thread] RFC 6901 look-up in claims; MCPAUTH_ABSENT when there is nothing. */
  struct mcpauth_value (*claim)(const struct mcpauth_claims *claims, const char *pointer);
  /* Parses TEXT strictly as one JSON object (no duplicate names, bounded); NULL when it is not.
   * Lives as long as the request. */
  const struct mcpauth_claims *(*json)(struct mcpauth_request *rq, struct mcpauth_bytes text);
  /* Compact JSON text of the value at POINTER, for set_claim; NULL when absent. */
  const char *(*claim_json)(struct mcpauth_request *rq, const struct mcpauth_claims *claims,
                            const char *pointer);

  /* [any thread] Constant time in the content. */
  bool (*equal)(struct mcpauth_bytes a, struct mcpauth_bytes b);
  /* [any thread] */
  void (*sha256)(struct mcpauth_bytes data, unsigned char out[32]);
  /* [any thread] Wall clock, seconds since 1970. */
  int64_t (*now)(void);

  /* Files of an instance.  `watch_file` (from `start`) calls CHANGED in the loop thread with the
   * whole content now, and again whenever the file has changed (looked at once a second): 0 keeps
   * the new content, -1 keeps the old and logs.  In `check` it looks once.  The first call's -1, or
   * an unsafe or unreadable file, makes watch_file fail.  NULL content never happens.  Ownership
   * and mode are judged as for secret files. */
  int (*watch_file)(struct mcpauth_instance *self, const char *path, size_t max_size,
                    int (*changed)(void *arg, struct mcpauth_bytes content), void *arg);
  /* Adds one use of the thing called KEY (a token's id) by the client at ADDRESS; kept in the state
   * directory, summed in the worker and written at most once a minute (mcpauth token list). */
  void (*count_use)(struct mcpauth_request *rq, const char *key);

  /* [any thread] For `claims`: copies the `iss` that TOKEN states about itself to OUT (SIZE bytes,
   * the NUL included).  Nothing is verified: it tells whose token this would be, and no more.  -1
   * when TOKEN has not the form of a JWT, states no issuer, or one that does not fit. */
  int (*jwt_issuer)(struct mcpauth_bytes token, char *out, size_t size);

  /* For documents that outlive a request (files): parses TEXT as strictly as `json`.  The caller
   * gives it back with json_free.  NULL: ERROR (SIZE bytes) says where and why ("column N: …" when
   * TEXT is one line). */
  const struct mcpauth_claims *(*json_new)(struct mcpauth_bytes text, char *error, size_t size);
  void (*json_free)(const struct mcpauth_claims *claims);
  /* Name of member INDEX (from 0) of the object at POINTER; NULL behind the last.  Valid as long as
   * the claims are. */
  const char *(*member)(const struct mcpauth_claims *claims, const char *pointer, size_t index);
  /* NULL when OBJECT has the members of TABLE and no other; else why not, in words for the
   * administrator, and *NAME is the member at fault. */
  const char *(*json_misfit)(const struct mcpauth_claims *object,
                             const struct mcpauth_member *table, const char **name);
  /* [any thread] Seconds since 1970 of "2027-01-01T00:00:00Z"; 0 when TEXT is NULL, -1 when it is
   * no time. */
  int64_t (*time_of)(const char *text);

  /* From login_begin, login_finish and refresh.  The login at work. */
  const struct mcpauth_login *(*login)(struct mcpauth_request *rq);
  /* From refresh: what set_tokens was given last. */
  const struct mcpauth_tokens *(*tokens)(struct mcpauth_request *rq);
  /* From login_begin, which then answers MCPAUTH_OK: where the browser is to be sent.  https, or
   * http to loopback. */
  int (*login_redirect)(struct mcpauth_request *rq, const char *url);
  /* From login_finish and refresh: replaces what the hub keeps of this person's tokens, whatever
   * the answer will be: call it as soon as they are there.  In refresh NULL for refresh_token and
   * extra keeps the old (RFC 6749 section 6). */
  int (*set_tokens)(struct mcpauth_request *rq, const struct mcpauth_tokens *tokens);
  /* "name=value&…" of PAIRS (name, value, …), encoded as application/x-www-form-urlencoded; a pair
   * whose value is NULL is left out.  Lives as long as the request; NULL when memory is short. */
  const char *(*form)(struct mcpauth_request *rq, const struct mcpauth_list *pairs);

  /* TEXT as a JSON string with its quotes; what is not UTF-8 or not printable is escaped.  Lives as
   * long as the request; NULL when memory is short. */
  const char *(*json_text)(struct mcpauth_request *rq, struct mcpauth_bytes text);
  /* [any thread] HMAC-SHA-256 (RFC 2104). */
  void (*hmac_sha256)(struct mcpauth_bytes key, struct mcpauth_bytes data, unsigned char out[32]);
  /* "Authorization: Basic …" of an OAuth client (RFC 6749 section 2.3.1: both are form-encoded
   * first).  Lives as long as the request, and is a secret; NULL when memory is short. */
  const char *(*basic)(struct mcpauth_request *rq, const char *client_id,
                       const struct mcpauth_secret *secret);
  /* A signed JWT (RFC 7515 compact, typ JWT) of CLAIMS, a JSON object, by KEY, a private key in
   * PEM: RS256, ES256, ES384, ES512 or EdDSA as the key is; KID may be NULL.  Lives as long as the
   * request; NULL when the key is unfit.  From `check`, where RQ is NULL: "" when KEY can sign. */
  const char *(*jwt_sign)(struct mcpauth_request *rq, const struct mcpauth_secret *key,
                          const char *kid, const char *claims);
  /* The scopes at POINTER: words between spaces (RFC 6749 section 3.3) or an array of words; none
   * when it is absent.  They live as long as the request.  -1: they are malformed, or too many. */
  int (*scopes)(struct mcpauth_request *rq, const struct mcpauth_claims *claims,
                const char *pointer, struct mcpauth_list *ret);
  /* set_claim of every member of the object at POINTER; nothing when it is absent. */
  int (*set_claims)(struct mcpauth_request *rq, const struct mcpauth_claims *claims,
                    const char *pointer);

  /* Text as printf makes it; lives as long as the request.  NULL when memory is short. */
  const char *(*text)(struct mcpauth_request *rq, const char *format, ...)
#ifdef __GNUC__
      __attribute__((format(printf, 2, 3)))
#endif
      ;
  /* set_claim from CLAIMS for PAIRS of pointers (from, to, …); those that are absent are left out.
   */
  int (*copy_claims)(struct mcpauth_request *rq, const struct mcpauth_claims *claims,
                     const struct mcpauth_list *pairs);

  /* From login_begin: login_redirect to an authorization endpoint (RFC 6749 section 4.1.1) with
   * CLIENT_ID, the callback, state, PKCE and MORE parameters (name, value, …; may be NULL).  Return
   * what it returns. */
  enum mcpauth_result (*authorize)(struct mcpauth_request *rq, const char *endpoint,
                                   const char *client_id, const struct mcpauth_list *more);
  /* These four are like `http` and `jwt_verify`: return what they return; they may call THEN at
   * once.  Strings in their arguments are copied. */
  enum mcpauth_result (*grant)(struct mcpauth_request *rq, const struct mcpauth_grant *grant,
                               mcpauth_grant_fn *then, void *arg);
  enum mcpauth_result (*ask)(struct mcpauth_request *rq, const struct mcpauth_question *question,
                             mcpauth_answer_fn *then, void *arg);
  enum mcpauth_result (*discover)(struct mcpauth_request *rq, struct mcpauth_issuer *issuer,
                                  mcpauth_issuer_fn *then, void *arg);
  enum mcpauth_result (*id_token)(struct mcpauth_request *rq, const struct mcpauth_id_token *id,
                                  mcpauth_jwt_fn *then, void *arg);
  /* From `start`: the metadata of the provider at URL.  Its `issuer` must be URL, or NAMED when
   * that is not NULL (providers that name another, or a pattern).  NULL when memory is short. Freed
   * by the host with the instance. */
  struct mcpauth_issuer *(*issuer)(struct mcpauth_instance *self, const char *url,
                                   const char *named);
};

/* Whether the host at H has FIELD. */
#define MCPAUTH_HAS(h, field)                                                                      \
  ((h)->struct_size >= offsetof(struct mcpauth_host, field) + sizeof((h)->field) &&                \
   (h)->field != NULL)

/* ------------------------------------------------------------------ the provider */

enum mcpauth_provider_flags {
  MCPAUTH_BLOCKING = 1u << 0, /* verify, account and login callbacks may block: they run in a job
                                 thread */
  MCPAUTH_REMOTE = 1u << 1,   /* verify sends the credential off the box: of such lines only the
                                 first that claims it is called */
  MCPAUTH_GUARD = 1u << 2,    /* verify never names a principal: its lines answer PASS at best */
  MCPAUTH_BARE = 1u << 3,     /* verify is called without a credential too: it looks at something
                                 else, a client certificate */
};

struct mcpauth_provider {
  uint32_t abi;         /* MCPAUTH_ABI */
  uint32_t struct_size; /* sizeof (struct mcpauth_provider) */
  const char *name;     /* [a-z][a-z0-9-]*, the file is NAME.so */
  const char *version;
  const char *description; /* one line */
  uint32_t flags;
  const struct mcpauth_option *options; /* ends with a NULL name; may be NULL */
  size_t config_size;                   /* of the struct that the offsets are in */

  /* A NULL callback means: not capable.  At least one of verify, account and login_begin must be
   * there. */

  /* 0, or -1 after host->report.  CONFIG lives as long as the instance, in this process. */
  int (*check)(const struct mcpauth_host *host, struct mcpauth_instance *self, const void *config);
  /* 0 and *STATE, or -1 after host->log: the worker does not start. */
  int (*start)(const struct mcpauth_host *host, struct mcpauth_instance *self, const void *config,
               void **state);
  void (*stop)(void *state);
  /* Pure, fast, no I/O: is this credential mine by its form (prefix, issuer)?  NULL: claims all. */
  bool (*claims)(const void *config, void *state, const struct mcpauth_credential *credential);
  /* An `auth` line. */
  enum mcpauth_result (*verify)(struct mcpauth_request *rq, const void *config, void *state);
  /* An `account` line: PASS, or a refusal. */
  enum mcpauth_result (*account)(struct mcpauth_request *rq, const void *config, void *state);
  /* Issuers whose tokens this instance accepts, for the service's metadata (RFC 9728
   * authorization_servers) and for the lint that finds two lines that claim the same. */
  struct mcpauth_list (*issuers)(const void *config);

  /* Logging a person in; all three or none.  The hub is the client of the authorization code grant
   * that these speak; `state`, PKCE and the browser's cookie are the hub's work.  Begin: OK after
   * login_redirect. */
  enum mcpauth_result (*login_begin)(struct mcpauth_request *rq, const void *config, void *state);
  /* The browser is back with a code: OK after set_principal (claims and tokens as you like), DENY
   * when this person may not, INVALID when the code was not good. */
  enum mcpauth_result (*login_finish)(struct mcpauth_request *rq, const void *config, void *state);
  /* Is the person still who she was?  OK after set_principal for the same issuer and subject, or
   * without it when nothing that is known of her has changed; INVALID when the provider has ended
   * it, DENY when she may no longer, UNAVAIL when it cannot be asked now. */
  enum mcpauth_result (*refresh)(struct mcpauth_request *rq, const void *config, void *state);
  /* Whether this instance logs people in; NULL: each does, if the three are there. */
  bool (*logs_in)(const void *config);
};

#ifdef __cplusplus
#define MCPAUTH_EXPORT extern "C" __attribute__((visibility("default")))
#else
#define MCPAUTH_EXPORT __attribute__((visibility("default")))
#endif

/* The exported symbol.  HOST is set before any callback runs; the ELF note lets the loader refuse a
 * foreign or too new file before one instruction of it runs. */
#define MCPAUTH_PROVIDER(...)                                                                      \
  MCPAUTH_NOTE;                                                                                    \
  const struct mcpauth_host *host;                                                                 \
  MCPAUTH_EXPORT const struct mcpauth_registration mcpauth_provider = {                            \
      MCPAUTH_ABI, sizeof(struct mcpauth_registration), &host, __VA_ARGS__}

/* What the symbol `mcpauth_provider` points at. */
struct mcpauth_registration {
  uint32_t abi;
  uint32_t struct_size;
  const struct mcpauth_host **host; /* written by the loader */
  const struct mcpauth_provider *provider;
};

/* ELF note "mcpauth", type 1, descriptor: the ABI as a 32-bit number in the machine's byte order.
 */
#define MCPAUTH_NOTE                                                                               \
  __attribute__((section(".note.mcpauth"), used, aligned(4))) static const struct {                \
    uint32_t name_size, descriptor_size, type;                                                     \
    char name[8];                                                                                  \
    uint32_t abi;                                                                                  \
  } mcpauth_note = {8, 4, 1, "mcpauth", MCPAUTH_ABI}

/* At file scope: the provider cannot do without this function of the host, which is newer than abi
 * 1.0: `MCPAUTH_NEEDS (frobnicate);`.  A host that lacks it refuses the file, before anything of it
 * runs, and says which function that is.  What a provider can do without, it asks for with
 * MCPAUTH_HAS instead.
 *
 * ELF note "mcpauth", type 2, descriptor: where in struct mcpauth_host the function ends, and its
 * name. */
#define MCPAUTH_NEEDS(function)                                                                    \
  __attribute__((section(".note.mcpauth"), used, aligned(4))) static const struct {                \
    uint32_t name_size, descriptor_size, type;                                                     \
    char name[8];                                                                                  \
    uint32_t end;                                                                                  \
    char needed[60];                                                                               \
  } mcpauth_needs_##function = {8,                                                                 \
                                64,                                                                \
                                2,                                                                 \
                                "mcpauth",                                                         \
                                offsetof(struct mcpauth_host, function) +                          \
                                    sizeof(((struct mcpauth_host *)0)->function),                  \
                                #function}

#ifdef __cplusplus
}
#endif

#endif
