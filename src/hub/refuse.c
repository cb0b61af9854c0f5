/* Refusals (design section 7): one JSON body, one challenge, descriptions from a closed list. */
#include <stdlib.h>
#include <string.h>

#include "hub/hub.h"
#include "http/challenge.h"
#include "util/cleanup.h"

enum { MAX_EXTRA = 4 };

static struct str body_of(struct exchange *x, const char *error, const char *description)
{
  struct buf b;
  buf_init(&b, 4096);
  buf_puts(&b, "{\"error\":");
  buf_json(&b, str_of(error));
  buf_puts(&b, ",\"error_description\":");
  buf_json(&b, str_of(description));
  buf_printf(&b, ",\"request_id\":\"%s\"}\n", x->rq->id);
  struct str text = arena_str(x->rq->arena, buf_view(&b));
  buf_done(&b);
  return text;
}

/* EXTRA headers first, then CORS where a browser of ours asked. */
static void send_json(struct exchange *x, int status, const char *error, const char *description,
                      const struct http_header *extra, size_t n_extra)
{
  struct http_header headers[MAX_EXTRA + ORIGIN_HEADERS + 2];
  size_t n = 0;
  headers[n++] = (struct http_header){STR("Content-Type"), STR("application/json")};
  for (size_t i = 0; i < n_extra && i < MAX_EXTRA; i++)
    headers[n++] = extra[i];
  n += origin_headers(x, headers + n);
  http_respond(x->rq, status, headers, n, body_of(x, error, description));
}

void refuse(struct exchange *x, int status, const char *error, const char *description)
{
  struct http_header extra = {{NULL, 0}, {NULL, 0}};
  if (status == 503)
    extra = (struct http_header){STR("Retry-After"), STR("5")};
  else if (status == 405)
    extra = (struct http_header){STR("Allow"),
                                 x->service ? STR("GET, POST, DELETE, OPTIONS") : STR("GET")};
  send_json(x, status, error, description, &extra, extra.name.n ? 1 : 0);
}

void refuse_later(struct exchange *x, int64_t wait_ms)
{
  const char *seconds = arena_printf(x->rq->arena, "%lld", (long long)(wait_ms + 999) / 1000);
  struct http_header h = {STR("Retry-After"), seconds ? str_of(seconds) : STR("1")};
  send_json(x, 429, "too_many_requests", "This caller asks too often, or has too much open.", &h,
            1);
}

void refuse_rpc(struct exchange *x, int status, int code, const char *message, const char *data)
{
  struct buf b;
  buf_init(&b, 8 * LIMIT_ITEM + LIMIT_RPC_ID + 1024); /* escaped, a byte may become six */
  buf_puts(&b, "{\"jsonrpc\":\"2.0\",\"id\":");
  buf_str(&b, x->gate.id.p ? x->gate.id : STR("null"));
  buf_printf(&b, ",\"error\":{\"code\":%d,\"message\":", code);
  buf_json(&b, str_of(message));
  if (data)
    buf_printf(&b, ",\"data\":%s", data);
  buf_puts(&b, "}}\n");
  struct http_header headers[ORIGIN_HEADERS + 1] = {{STR("Content-Type"), STR("application/json")}};
  size_t n = 1 + origin_headers(x, headers + 1);
  struct str body = b.failed ? STR("") : arena_str(x->rq->arena, buf_view(&b));
  buf_done(&b);
  http_respond(x->rq, status, headers, n, body);
}

static struct str challenge(struct exchange *x, const char *error, const char *const *scopes,
                            size_t n_scopes)
{
  struct challenge c = {.error = error, .scopes = scopes, .n_scopes = n_scopes};
  if (x->service->has_document)
    c.resource_metadata = x->service->document.url;
  struct buf b;
  buf_init(&b, LIMIT_HEADER_BYTES);
  int bad = challenge_format(&b, &c);
  struct str text = bad < 0 ? STR("Bearer") : arena_str(x->rq->arena, buf_view(&b));
  buf_done(&b);
  return text;
}

static int by_name(const void *a, const void *b)
{
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorts the N names; how many are left when each stands once. */
static size_t sorted_once(const char **names, size_t n)
{
  size_t kept = 0;
  if (n)
    qsort(names, n, sizeof *names, by_name);
  for (size_t i = 0; i < n; i++)
    if (kept == 0 || strcmp(names[kept - 1], names[i]) != 0)
      names[kept++] = names[i];
  return kept;
}

/* The service's login scopes, and what the operation needs besides when that is known. */
static const char **login_scopes(struct exchange *x, size_t *ret_n)
{
  const struct config_service *s = x->service->config;
  const struct policy_decision *d = &x->decision;
  const char **names = arena_array(x->rq->arena, s->n_login_scope + d->n_needs, sizeof *names);
  size_t n = 0;
  for (size_t i = 0; names && i < s->n_login_scope; i++)
    names[n++] = s->login_scope[i]->name;
  for (size_t i = 0; names && i < d->n_needs; i++)
    names[n++] = d->needs[i]->name;
  *ret_n = sorted_once(names, n);
  return names;
}

static void unauthorized(struct exchange *x, bool invalid, const char *description)
{
  size_t n;
  const char **scopes = login_scopes(x, &n);
  struct http_header h = {STR("WWW-Authenticate"),
                          challenge(x, invalid ? "invalid_token" : NULL, scopes, n)};
  send_json(x, 401, invalid ? "invalid_token" : "unauthorized", description, &h, 1);
}

static const char *const descriptions[] = {
    [MCPAUTH_WHY_NONE] = "The credential was not accepted.",
    [MCPAUTH_WHY_EXPIRED] = "The credential has expired.",
    [MCPAUTH_WHY_NOT_YET_VALID] = "The credential is not yet valid.",
    [MCPAUTH_WHY_WRONG_AUDIENCE] = "The credential was not issued for this service.",
    [MCPAUTH_WHY_NOT_ACCEPTED] = "The credential was not accepted.",
};

void refuse_unauthorized(struct exchange *x, bool invalid, enum mcpauth_why why)
{
  size_t i = (size_t)why < ARRAY_SIZE(descriptions) ? (size_t)why : MCPAUTH_WHY_NONE;
  unauthorized(x, invalid, invalid ? descriptions[i] : "This service needs a credential.");
}

void refuse_foreign(struct exchange *x)
{
  static const char *const words[] = {[ACCEPT_BEARER] = "Authorization: Bearer",
                                      [ACCEPT_BASIC] = "Authorization: Basic",
                                      [ACCEPT_HEADER] = "header ",
                                      [ACCEPT_QUERY] = "query parameter "};
  const struct config_service *s = x->service->config;
  struct buf b;
  buf_init(&b, 2048);
  buf_puts(&b, "Not a kind of credential that this service takes; it takes ");
  for (size_t i = 0; i < s->n_accept; i++) {
    bool named = s->accept[i].kind == ACCEPT_HEADER || s->accept[i].kind == ACCEPT_QUERY;
    buf_printf(&b, "%s%s%s", i ? ", " : "", words[s->accept[i].kind],
               named ? s->accept[i].name : "");
  }
  buf_putc(&b, '.');
  unauthorized(x, true, b.failed ? "Not a kind of credential that this service takes." : b.p);
  buf_done(&b);
}

static bool declared(const struct config *c, const char *scope)
{
  for (size_t i = 0; i < c->n_scopes; i++)
    if (strcmp(c->scopes[i]->name, scope) == 0)
      return true;
  return false;
}

void refuse_scope(struct exchange *x)
{
  const struct policy_decision *d = &x->decision;
  const struct config_words *held = &grant_principal(x->grant)->scopes;
  const char **names = arena_array(x->rq->arena, d->n_needs + held->n, sizeof *names);
  size_t n = 0;
  for (size_t i = 0; names && i < d->n_needs; i++)
    names[n++] = d->needs[i]->name;
  for (size_t i = 0; names && i < held->n; i++)
    if (declared(x->hub->config, held->v[i]))
      names[n++] = held->v[i];
  n = sorted_once(names, n);
  struct http_header h = {STR("WWW-Authenticate"), challenge(x, "insufficient_scope", names, n)};
  send_json(x, 403, "insufficient_scope", "The credential lacks a scope that this needs.", &h, 1);
}
