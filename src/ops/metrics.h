/* Every metric, in one table that the shared page, the metrics page and the manual page read.
 * X(symbol, type, name, labels, help); new ones at the end, since the program before may still
 * count in the same page (hub/handover.h). */
#ifndef OPS_METRICS_H
#define OPS_METRICS_H

#include <stdint.h>

#define METRICS(X)                                                                                 \
  X(METRIC_CONNECTIONS, counter, "mcpauth_connections_total", "", "Connections accepted")          \
  X(METRIC_CONNECTIONS_OPEN, gauge, "mcpauth_connections_open", "", "Connections open now")        \
  X(METRIC_CONNECTIONS_REFUSED, counter, "mcpauth_connections_refused_total", "",                  \
    "Connections closed at a limit")                                                               \
  X(METRIC_ANSWERS_2XX, counter, "mcpauth_responses_total", "code=\"2xx\"", "Responses by class")  \
  X(METRIC_ANSWERS_3XX, counter, "mcpauth_responses_total", "code=\"3xx\"", "Responses by class")  \
  X(METRIC_ANSWERS_4XX, counter, "mcpauth_responses_total", "code=\"4xx\"", "Responses by class")  \
  X(METRIC_ANSWERS_5XX, counter, "mcpauth_responses_total", "code=\"5xx\"", "Responses by class")  \
  X(METRIC_ADMISSION_REFUSED, counter, "mcpauth_admission_refused_total", "",                      \
    "Requests refused as malformed before routing")                                                \
  X(METRIC_HEADERS_DROPPED, counter, "mcpauth_headers_dropped_total", "",                          \
    "Header fields taken out because their name has an underscore")                                \
  X(METRIC_GRANTED, counter, "mcpauth_decisions_total", "decision=\"grant\"", "Stack verdicts")    \
  X(METRIC_DENIED, counter, "mcpauth_decisions_total", "decision=\"deny\"", "Stack verdicts")      \
  X(METRIC_UNAVAILABLE, counter, "mcpauth_decisions_total", "decision=\"unavailable\"",            \
    "Stack verdicts")                                                                              \
  X(METRIC_SCOPE_REFUSED, counter, "mcpauth_scope_refused_total", "",                              \
    "Granted callers that lacked a required scope")                                                \
  X(METRIC_RULE_REFUSED, counter, "mcpauth_rule_refused_total", "",                                \
    "Requests that a rule refused whatever the scopes")                                            \
  X(METRIC_LIMITED, counter, "mcpauth_limited_total", "", "Requests over a limit per caller: 429") \
  X(METRIC_CACHE_HITS, counter, "mcpauth_identity_cache_total", "result=\"hit\"",                  \
    "Identity cache look-ups")                                                                     \
  X(METRIC_CACHE_MISSES, counter, "mcpauth_identity_cache_total", "result=\"miss\"",               \
    "Identity cache look-ups")                                                                     \
  X(METRIC_PROVIDER_CALLS, counter, "mcpauth_provider_calls_total", "", "Calls of providers")      \
  X(METRIC_PROVIDER_ERRORS, counter, "mcpauth_provider_errors_total", "",                          \
    "Provider calls that ended in ERROR or UNAVAIL")                                               \
  X(METRIC_UPSTREAM_CALLS, counter, "mcpauth_upstream_requests_total", "", "Requests forwarded")   \
  X(METRIC_UPSTREAM_ERRORS, counter, "mcpauth_upstream_errors_total", "",                          \
    "Requests forwarded that ended in 502 or 504")                                                 \
  X(METRIC_STREAMS_OPEN, gauge, "mcpauth_streams_open", "", "Event streams open now")              \
  X(METRIC_BYTES_IN, counter, "mcpauth_request_bytes_total", "", "Body bytes received")            \
  X(METRIC_BYTES_OUT, counter, "mcpauth_response_bytes_total", "", "Body bytes sent")              \
  X(METRIC_AUDIT_RECORDS, counter, "mcpauth_audit_records_total", "", "Audit records written")     \
  X(METRIC_AUDIT_FAILURES, counter, "mcpauth_audit_failures_total", "",                            \
    "Audit writes that failed: each request concerned was refused")                                \
  X(METRIC_AUDIT_SUPPRESSED, counter, "mcpauth_audit_suppressed_total", "",                        \
    "Refusals before authentication that were counted instead of recorded")                        \
  X(METRIC_JWKS_FETCHES, counter, "mcpauth_jwks_fetches_total", "result=\"ok\"",                   \
    "Key set fetches")                                                                             \
  X(METRIC_JWKS_FAILURES, counter, "mcpauth_jwks_fetches_total", "result=\"failed\"",              \
    "Key set fetches")                                                                             \
  X(METRIC_CONSENTS_GIVEN, counter, "mcpauth_consents_total", "answer=\"allow\"",                  \
    "Consent pages that were answered")                                                            \
  X(METRIC_CONSENTS_DENIED, counter, "mcpauth_consents_total", "answer=\"deny\"",                  \
    "Consent pages that were answered")                                                            \
  X(METRIC_LOGINS_BEGUN, counter, "mcpauth_logins_total", "step=\"begun\"", "Logins of people")    \
  X(METRIC_LOGINS_FINISHED, counter, "mcpauth_logins_total", "step=\"finished\"",                  \
    "Logins of people")                                                                            \
  X(METRIC_LOGINS_FAILED, counter, "mcpauth_logins_total", "step=\"failed\"", "Logins of people")  \
  X(METRIC_TOKENS_ISSUED, counter, "mcpauth_tokens_total", "result=\"issued\"",                    \
    "Requests for tokens")                                                                         \
  X(METRIC_TOKENS_REFUSED, counter, "mcpauth_tokens_total", "result=\"refused\"",                  \
    "Requests for tokens")                                                                         \
  X(METRIC_TOKENS_UNDECIDED, counter, "mcpauth_tokens_total", "result=\"undecided\"",              \
    "Requests for tokens")                                                                         \
  X(METRIC_GRANTS_REPLAYED, counter, "mcpauth_grants_replayed_total", "",                          \
    "Logins ended because a code or refresh token was used again")                                 \
  X(METRIC_CLIENTS_REGISTERED, counter, "mcpauth_clients_registered_total", "",                    \
    "Clients that registered")                                                                     \
  X(METRIC_STORE_COMMITS, counter, "mcpauth_store_commits_total", "result=\"ok\"",                 \
    "Transactions of the store, each for all that waited")                                         \
  X(METRIC_STORE_FAILURES, counter, "mcpauth_store_commits_total", "result=\"failed\"",            \
    "Transactions of the store, each for all that waited")                                         \
  X(METRIC_STORE_WAITING, gauge, "mcpauth_store_waiting", "", "Pieces of work for the store")      \
  X(METRIC_STORE_FAILING, gauge, "mcpauth_store_failing", "",                                      \
    "Workers whose store cannot be read or written")                                               \
  X(METRIC_AUDIT_FAILING, gauge, "mcpauth_audit_failing", "",                                      \
    "Workers that cannot write audit records")                                                     \
  X(METRIC_RELOADS, counter, "mcpauth_reloads_total", "result=\"ok\"", "Reloads")                  \
  X(METRIC_RELOADS_FAILED, counter, "mcpauth_reloads_total", "result=\"failed\"", "Reloads")       \
  X(METRIC_WORKERS, gauge, "mcpauth_workers", "", "Workers that serve")                            \
  X(METRIC_WORKER_CRASHES, counter, "mcpauth_worker_crashes_total", "",                            \
    "Workers that ended without being asked")

enum metric {
#define X(symbol, type, name, labels, help) symbol,
  METRICS(X)
#undef X
      METRIC_COUNT
};

struct metric_info {
  const char *type, *name, *labels, *help;
};

extern const struct metric_info metric_info[METRIC_COUNT];

#endif
