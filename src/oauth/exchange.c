/* What every endpoint needs of a request: parameters, cookies, answers, records; see exchange.h. */
#include "oauth/exchange.h"

#include "oauth/json_text.h"
#include "ops/log.h"

enum { MAX_EXTRA = 8 };

void exchange_wait(struct oauth_exchange *x, void (*cancel)(void *waiting), void *waiting)
{
  x->cancel = cancel;
  x->waiting = waiting;
}

void exchange_waited(struct oauth_exchange *x)
{
  x->cancel = NULL;
  x->waiting = NULL;
}

int exchange_params(struct oauth_exchange *x, struct params *ret)
{
  bool post = str_is(x->rq->method, "POST");
  return params_parse(post ? buf_view(&x->rq->body) : x->query, x->rq->arena, ret);
}

struct str exchange_cookie(const struct oauth_exchange *x, const char *name)
{
  struct str rest = http_header(x->rq, "Cookie"), pair, found = {NULL, 0};
  size_t n = str_of(name).n;
  while (str_next(&rest, ';', &pair)) {
    pair = str_trim(pair);
    if (!str_starts(pair, name) || pair.n == n || pair.p[n] != '=')
      continue;
    if (found.p)
      return (struct str){NULL, 0};
    found = str_slice(pair, n + 1, pair.n);
  }
  return found;
}

/* ---- answers */

void exchange_send(struct oauth_exchange *x, int status, const char *content_type, struct str body,
                   const struct http_header *extra, size_t n_extra)
{
  struct http_header headers[MAX_EXTRA + 4];
  size_t n = 0;
  if (content_type)
    headers[n++] = (struct http_header){STR("Content-Type"), str_of(content_type)};
  headers[n++] = (struct http_header){STR("Cache-Control"), STR("no-store")};
  if (x->endpoint->open) {
    headers[n++] = (struct http_header){STR("Access-Control-Allow-Origin"), STR("*")};
    headers[n++] =
        (struct http_header){STR("Access-Control-Expose-Headers"), STR("WWW-Authenticate")};
  }
  for (size_t i = 0; i < n_extra && i < MAX_EXTRA; i++)
    headers[n++] = extra[i];
  http_respond(x->rq, status, headers, n, body);
}

void exchange_json(struct oauth_exchange *x, int status, struct str json)
{
  exchange_send(x, status, "application/json", json, NULL, 0);
}

void exchange_error(struct oauth_exchange *x, int status, const char *error,
                    const char *description)
{
  struct buf b;
  struct http_header extra = {STR("Retry-After"), STR("5")};
  bool challenge = status == 401 && http_header(x->rq, "Authorization").p;
  if (challenge)
    extra = (struct http_header){STR("WWW-Authenticate"), STR("Basic realm=\"mcpauth\"")};
  buf_init(&b, 4096);
  members_begin(&b);
  member_text(&b, "error", str_of(error));
  member_text(&b, "error_description", str_of(description));
  member_text(&b, "request_id", str_of(x->rq->id));
  members_end(&b);
  buf_putc(&b, '\n');
  struct str body = b.failed ? STR("{\"error\":\"server_error\"}\n") : buf_view(&b);
  exchange_send(x, status, "application/json", body, &extra, status == 503 || challenge);
  buf_done(&b);
}

struct str exchange_methods(const struct oauth_exchange *x)
{
  const struct endpoint *p = x->endpoint;
  if (p->get && p->post)
    return STR("GET, POST");
  return p->get ? STR("GET") : STR("POST");
}

/* ---- records */

void record_member(struct buf *b, const char *key, struct str value)
{
  member_text(b, key, value);
}

void exchange_record_begin(struct oauth_exchange *x, struct buf *b)
{
  buf_init(b, LIMIT_AUDIT_RECORD);
  buf_printf(b, "\"endpoint\":\"%s\"", x->endpoint->name);
  record_member(b, "address", str_of(x->address));
}

void exchange_record(struct oauth_exchange *x, const char *event, struct buf *b)
{
  if (b->failed || audit_put(x->oauth->o.audit, event, x->rq->id, buf_view(b), NULL) < 0)
    log_error("request %s: the record %s could not be written", x->rq->id, event);
  buf_done(b);
}

void exchange_record_step(struct oauth_exchange *x, const char *event, struct buf *b)
{
  if (!b->failed)
    audit_limited(x->oauth->o.audit, event, x->rq->id, buf_view(b));
  buf_done(b);
}

void exchange_refused_begin(struct oauth_exchange *x, int status, const char *why, struct buf *b)
{
  exchange_record_begin(x, b);
  record_member(b, "http", x->rq->method);
  buf_printf(b, ",\"status\":%d", status);
  record_member(b, "why", str_of(why));
}

void exchange_refused_end(struct oauth_exchange *x, struct buf *b)
{
  if (!b->failed)
    audit_refused(x->oauth->o.audit, x->rq->id, buf_view(b));
  buf_done(b);
}

void exchange_refused(struct oauth_exchange *x, int status, const char *why)
{
  struct buf b;
  exchange_refused_begin(x, status, why, &b);
  exchange_refused_end(x, &b);
}
