/* The configuration as everybody else sees it: typed, bound, immutable, in one arena.
 *
 * config_load reads the folder (lexer, tree, option tables, binding, lints) and yields this or an
 * error with file:line:column; nothing half-loaded exists.  It is read as the user that the daemon
 * runs as.  Provider tables come from the loader through struct config_modules, so that this folder
 * does not know src/auth.
 *
 * Strings are NUL-terminated and live in the configuration's arena.  Lists keep the order of the
 * files. */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdio.h>
#include <sys/socket.h>

#include "config/vocabulary.h"
#include "ops/audit.h"
#include "util/arena.h"
#include "util/cidr.h"
#include "util/err.h"
#include "util/secret.h"
#include "util/url.h"

/* Where a thing stands in a file. */
struct config_at {
  const char *file;
  unsigned line, column; /* from 1 */
};

struct config_words {
  size_t n;
  const char **v;
};

/* accept_risk NAME: a named risk, taken. */
struct config_risks {
  struct config_words names;
};

/* listen ADDRESS:PORT | [V6]:PORT | unix:/PATH | systemd:NAME  [{ certificate, key }] */
struct config_listen {
  struct config_at at;
  const char *text;                /* as written: the identity of the socket across reloads */
  struct sockaddr_storage address; /* ss_family 0 for systemd */
  socklen_t address_len;
  const char *systemd_name;     /* FileDescriptorName, or NULL */
  const char *tls_certificate;  /* PEM content of the chain; NULL: plain */
  const struct secret *tls_key; /* PEM content */
  const char *client_ca;        /* PEM content: clients may show a certificate; NULL: not asked */
  const char *unix_mode;        /* octal, default "0666" for unix sockets */
};

/* One `provider NAME { }` that a stack names. */
struct config_provider {
  struct config_at at;
  const char *name;                     /* the instance */
  const char *module;                   /* the .so without its ending */
  const struct mcpauth_provider *table; /* of the loaded module */
  void *config;                         /* the module's own struct, filled from its table */
  const char *path;                     /* absolute, of the .so */
  const char *ca_file;                  /* for the host's fetches on its behalf; NULL: the hub's */
  const char *egress_proxy;             /* same */
  struct config_words scopes;           /* given to everybody that it recognises */
  int64_t deadline_ms;                  /* of one call, default 5 s */
  unsigned index;                       /* 0.. in config.providers */
};

struct config_line {
  struct config_at at;
  enum control control; /* of auth lines */
  const struct config_provider *provider;
};

/* A stack with its includes put in: what the evaluator runs. */
struct config_stack {
  size_t n_auth, n_account;
  const struct config_line *auth, *account;
};

struct config_scope {
  struct config_at at;
  const char *name, *text;
  const struct config_scope **implied; /* transitively closed, itself excluded */
  size_t n_implied;
  /* This scope and all that imply it, sorted by name: whoever holds one of them holds it. */
  const struct config_scope **satisfied_by;
  size_t n_satisfied_by;
  const struct config_condition *entitled; /* `for`; NULL: everybody who can sign in */
};

/* ---- rules (design section 5); the grammar of patterns is in config/pattern.h */

struct config_pattern {
  struct str text;
  bool glob;     /* has a '*', which stands for any run of bytes */
  size_t prefix; /* bytes before the first '*' */
};

/* What most items fail at: how a pattern begins and ends, and how long its items are at least. */
struct pattern_key {
  uint64_t head, head_mask, tail, tail_mask;
  size_t least;
  bool exact; /* and at most */
};

enum condition_kind {
  CONDITION_ALL = 1,
  CONDITION_ANY,
  CONDITION_SCOPE,  /* scopes: all of them */
  CONDITION_CLAIM,  /* pointer, op, and what it takes */
  CONDITION_ROLE,   /* words[0] */
  CONDITION_TENANT, /* one of words; so are those that follow */
  CONDITION_ISSUER,
  CONDITION_CLIENT,
  CONDITION_SUBJECT,
  CONDITION_EMAIL_DOMAIN, /* lower case */
  CONDITION_ADDRESS,      /* networks */
  CONDITION_PROVIDER,     /* words: instances */
  CONDITION_ARGUMENT,     /* like CONDITION_CLAIM; rules of tools and prompts only */
};

enum condition_op {
  OP_EQUAL = 1,
  OP_IN,
  OP_MATCHES,
  OP_LESS,
  OP_LESS_EQUAL,
  OP_GREATER,
  OP_GREATER_EQUAL,
};

/* What a `require` demands.  `not` is pushed down to the leaves when it is bound (de Morgan), where
 * it is NEGATED; a leaf whose claim is absent or of another type is not met either way. */
struct config_condition {
  struct config_at at;
  enum condition_kind kind;
  bool negated;                     /* never of ALL, ANY, SCOPE */
  const struct config_condition *v; /* of ALL and ANY */
  size_t n;
  const struct config_scope **scopes;
  size_t n_scopes;
  struct str pointer; /* RFC 6901 */
  enum condition_op op;
  struct config_words words; /* OP_MATCHES has its glob in pattern instead */
  struct config_pattern pattern;
  const struct cidr *networks;
  size_t n_networks;
};

/* One line of `tool`, `resource`, `prompt` or `method`. */
struct config_rule {
  struct config_at at;
  enum rule_kind kind;
  enum rule_action action;
  struct config_pattern pattern;
  struct config_condition require; /* of ACTION_REQUIRE: a CONDITION_ALL */
  const char *text; /* "tool delete_* require scope notes:admin", for explain and the audit */
};

/* The hub's lines, then the service's own.  Of either the first that matches counts, and the worse
 * of the two answers is that of the lines. */
struct config_rules {
  const struct config_rule *v;
  const struct pattern_key *keys; /* of each */
  size_t n;
  size_t n_hub; /* of them the hub's */
};

enum accept_kind { ACCEPT_BEARER = 1, ACCEPT_BASIC, ACCEPT_HEADER, ACCEPT_QUERY };

struct config_accept {
  enum accept_kind kind;
  const char *name; /* HEADER (compared without case), QUERY (byte for byte) */
};

enum upstream_auth_kind {
  UPSTREAM_AUTH_NONE = 0,
  UPSTREAM_AUTH_BEARER,
  UPSTREAM_AUTH_HEADER,
  UPSTREAM_AUTH_ASSERTION,  /* about the caller, signed by the hub */
  UPSTREAM_AUTH_USER_TOKEN, /* the caller's own, of the provider she logged in through */
};

/* How the upstream learns who is calling. */
enum identity_kind { IDENTITY_NONE = 0, IDENTITY_HEADERS, IDENTITY_ASSERTION };

struct config_upstream {
  const char *url;         /* as written, without a unix: prefix */
  struct url parts;        /* of url */
  const char *unix_socket; /* upstream unix:/run/x.sock http://name/mcp */
  enum upstream_auth_kind auth;
  const char *auth_header;                     /* of UPSTREAM_AUTH_HEADER */
  const struct config_provider *auth_provider; /* of UPSTREAM_AUTH_USER_TOKEN */
  const struct secret *auth_secret;
  int identity;                       /* enum identity_kind */
  const char *audience;               /* `aud` of assertions: by default the URL */
  const char *ca_file, *egress_proxy; /* NULL: the hub's */
  int64_t connect_timeout_ms;         /* 5 s */
  int64_t first_byte_timeout_ms;      /* 60 s; 0: none */
};

struct config_service {
  struct config_at at;
  const char *name;
  struct str path;      /* "/notes": what the raw target is matched with; never ends in '/' ("" only
                           for a url without a path) */
  const char *resource; /* its public URL, byte-exact: what `aud` and metadata say */
  const char *host;     /* authority that Host must name (lower case, default port dropped) */
  const char *resource_name;
  struct config_upstream upstream;
  struct config_accept *accept;
  size_t n_accept;
  struct config_stack stack;           /* hub account lines first */
  const struct config_scope **require; /* hub's and its own, sorted by name, no duplicates */
  size_t n_require;
  /* What else `require` demands of every request, the hub's first; no `argument` in it. */
  const struct config_condition *conditions;
  size_t n_conditions;
  struct config_rules rules[RULE_METHOD + 1]; /* by enum rule_kind, the hub's lines first */
  bool tasks;                                 /* `tasks on`: tasks/... for whoever got the id */
  bool list_granted; /* lists leave out what only a missing scope keeps from the caller */
  const struct config_scope **login_scope; /* challenge and scopes_supported; sorted */
  size_t n_login_scope;
  struct config_words authorization_servers; /* empty: no metadata document */
  struct config_words forward_header, forward_query, return_header;
  struct config_words allow_origin;
  bool anonymous;                        /* `anonymous *` */
  struct config_words anonymous_methods; /* `anonymous OPERATION ...`: methods, as written */
  size_t max_body;                       /* 4 MiB */
  int64_t call_limit_ms;     /* 1 h: the most that one exchange may take, streams that stand open
                                excluded */
  int64_t stream_max_age_ms; /* 24 h */
  uint64_t access;           /* equal in two configurations: the same callers may do the same */
  unsigned index;            /* 0.. in config.services */
};

/* How a client proves who it is at /token. */
enum config_client_proof { PROOF_NONE = 0, PROOF_SECRET, PROOF_KEY };

enum grant_type {
  GRANT_CODE = 1 << 0,               /* authorization_code */
  GRANT_REFRESH = 1 << 1,            /* refresh_token */
  GRANT_CLIENT_CREDENTIALS = 1 << 2, /* client_credentials */
  GRANT_ASSERTION = 1 << 3,          /* jwt-bearer: an identity provider's assertion (ID-JAG) */
};

/* One `client NAME { }`: registered before anybody asks. */
struct config_client {
  struct config_at at;
  const char *name; /* the client_id */
  const char *text; /* for people; NULL: the name */
  enum config_client_proof proof;
  const struct secret *secret; /* of PROOF_SECRET */
  struct str keys;             /* of PROOF_KEY: JWK Set or PEM public keys */
  unsigned grants;             /* enum grant_type */
  struct config_words redirect_uris;
  struct config_words scopes; /* the most it may have; none: no such bound, but login_scope with
                                 client_credentials */
  const struct config_service **services; /* that it may have tokens for; none: all */
  size_t n_services;
  bool introspection; /* may ask about tokens (RFC 7662) */
  unsigned index;     /* 0.. in config.clients */
};

/* assertion_issuer URL PROVIDER [JWKS_URI]: whose ID-JAG assertions are exchanged for tokens of the
 * line PROVIDER. */
struct config_assertion_issuer {
  struct config_at at;
  const char *issuer, *jwks_uri; /* NULL: by discovery */
  const struct config_provider *provider;
};

/* oauth { }: the hub as authorization server (design section 10). */
struct config_oauth {
  bool enabled; /* a line of a stack can log somebody in, or a client is configured */
  int64_t access_token_lifetime_ms;   /* 10 min */
  int64_t refresh_token_lifetime_ms;  /* 30 d without use */
  int64_t refresh_grace_ms;           /* 120 s: the same successor for a replay */
  int64_t upstream_grace_ms;          /* 24 h after the provider's last good answer */
  bool registration;                  /* RFC 7591 */
  bool client_documents;              /* Client ID Metadata Documents */
  bool fetch_for_clients;             /* their URLs may be fetched: no proxy, or one to rely on */
  unsigned registrations_per_address; /* a minute and worker */
  unsigned max_registrations;         /* not used yet, in the whole hub */
  struct config_words redirect_allow; /* URIs that others may register; none: all sound ones */
  struct config_words token_claims;   /* claims of the principal that tokens show */
  const struct config_service *default_service; /* for clients that send no resource */
  struct config_assertion_issuer *assertion_issuers;
  size_t n_assertion_issuers;
};

struct config_limits {
  unsigned max_connections;             /* a worker; 4096 */
  unsigned max_connections_per_address; /* the hub's share of a worker; 256 */
  int64_t header_timeout_ms;            /* 10 s: handshake and header, absolute */
  int64_t body_timeout_ms;              /* 60 s, absolute */
  int64_t keepalive_timeout_ms;         /* 60 s idle between requests */
  int64_t stall_timeout_ms;             /* 30 s: client reads nothing while bytes wait for it */
  /* over all workers; 0: no limit */
  unsigned requests_per_principal, requests_per_client, requests_per_address; /* a second */
  unsigned open_per_principal, open_per_client, open_per_address;             /* at once */
  unsigned failures_per_address; /* credentials that are no good, a minute, at one service; 60 */
  size_t body_budget;            /* a worker's buffered bodies together; 256 MiB */
};

struct config {
  struct arena *arena;
  const char *dir;
  const char *canonical;     /* what config_print writes */
  struct config_words notes; /* one sentence each, for `mcpauth check -v`: risks that were accepted,
                                and who may do what at which service */
  char fingerprint[65]; /* SHA-256 of the effective configuration, secrets included: two that are
                           equal need no reload */

  const char *public_url; /* origin, no path, no trailing slash */
  struct url public_parts;
  bool loopback_only; /* every listener is loopback or unix */
  struct config_listen *listen;
  size_t n_listen;
  struct config_listen *admin_listen;
  size_t n_admin_listen;
  const char *user; /* NULL: stay who we are */
  const char *state_dir;
  unsigned workers;     /* 0: one a core */
  unsigned job_threads; /* a worker; 4 */
  int64_t drain_timeout_ms, watchdog_ms;
  unsigned max_generations;
  struct config_words trusted_proxy;     /* CIDRs, and "unix" */
  const char *client_certificate_header; /* of trusted proxies, or NULL */
  struct config_words allow_origin;
  const char *ca_file, *egress_proxy;

  enum audit_to audit_to;
  const char *audit_file; /* NULL: audit.log in the state directory */
  bool audit_sync_strict;
  bool audit_arguments;     /* arguments are recorded, not only their digest */
  size_t audit_rotate_size; /* 0: never */
  unsigned audit_keep;
  int log_level; /* enum mcpauth_level */
  bool log_json;

  struct config_limits limits;
  struct config_oauth oauth;
  struct config_client *clients;
  size_t n_clients;
  struct config_scope **scopes; /* by name */
  size_t n_scopes;
  struct config_provider *providers; /* those that stacks name */
  size_t n_providers;
  struct config_service *services;
  size_t n_services;
};

/* What the parser asks of whoever can load modules. */
struct config_modules {
  void *self;
  /* The provider in MODULE.so, checked and loaded, or NULL with E set. *RET_PATH, in ARENA. */
  const struct mcpauth_provider *(*load)(void *self, const char *module, struct arena *arena,
                                         const char **ret_path, struct err *e);
  /* Runs the provider's `check` on an instance; -1 with E and, when it named one, *RET_OPTION. */
  int (*check)(void *self, const struct config_provider *p, const char **ret_option, struct err *e);
  /* Names of the modules that exist, for "nearest name". */
  size_t (*names)(void *self, struct arena *arena, const char ***ret);
};

enum config_severity { CONFIG_ERROR = 1, CONFIG_WARNING };

/* One finding: an error, or a named lint. */
struct config_finding {
  enum config_severity severity;
  struct config_at at; /* file NULL when it is about the whole */
  const char *lint;    /* its name; NULL for plain errors */
  const char *text;
};

/* Findings of one load, errors first to last in the order of the files; at most 100 errors. */
struct config_report {
  struct config_finding *v;
  size_t n, errors, warnings;
};

/* Everything in DIR.  USER_ID/GROUP_ID are those that the daemon runs as: files must belong to root
 * or that user.  Returns NULL when there was an error.  *REPORT (in ARENA_FOR_REPORT) is filled in
 * either case. */
struct config *config_load(const char *dir, const struct config_modules *modules, unsigned user_id,
                           struct arena *report_arena, struct config_report *report);
void config_free(struct config *c);
/* The hub's `user` without anything else being looked at, for a process that must become that user
 * before it reads the configuration (started as root).  *RET_USER is put in ARENA; "" when there is
 * none.  -1 with E when a file cannot be read or parsed. */
int config_user(const char *dir, struct arena *arena, const char **ret_user, struct err *e);
/* "file:line:column: error: text [lint]" */
void config_finding_print(const struct config_finding *f, FILE *to);
/* The effective configuration in its own grammar, secrets masked, defaults included. */
void config_print(const struct config *c, FILE *to);
/* The table of the module that is part of the hub; NULL when MODULE is none. */
const struct mcpauth_provider *config_builtin(struct str module);
/* Whether P is the built-in provider of configured clients: its line answers for the tokens that
 * they get with client_credentials. */
bool config_is_clients(const struct config_provider *p);
/* Whether people log in to the hub through P. */
bool config_logs_in(const struct config_provider *p);
/* Whether somebody can log in through a line of S. */
bool config_can_log_in(const struct config_service *s);
/* By name; NULL when there is none. */
const struct config_service *config_find_service(const struct config *c, struct str name);
/* The provider instance of that name, if a line of S names it; NULL. */
const struct config_provider *config_find_line(const struct config_service *s, struct str provider);
/* Whether C may have to do with S: the administrator binds some clients to services.  C NULL: a
 * client that is not configured, which nothing binds. */
bool config_client_serves(const struct config_client *c, const struct config_service *s);
/* Byte for byte. */
bool config_words_have(const struct config_words *w, const char *word);
bool config_words_have_str(const struct config_words *w, struct str word);

#endif
