/* Audit records of exchanges: what a security engineer needs to answer who called, what, and why it
 * was allowed (row 181).  Never a credential: its fingerprint (row 180). */
#include <string.h>

#include "hub/hub.h"
#include "ops/log.h"
#include "util/clock.h"

static const char *const ends[] = {
    [HTTP_END_COMPLETE] = "complete", [HTTP_END_CLIENT_GONE] = "client_gone",
    [HTTP_END_TIMEOUT] = "timeout",   [HTTP_END_SHUTDOWN] = "shutdown",
    [HTTP_END_ERROR] = "error",
};

static void member(struct buf *b, const char *key, struct str value)
{
  buf_puts(b, ",\"");
  buf_puts(b, key);
  buf_puts(b, "\":");
  buf_json(b, value);
}

/* NAME is what stands before the number, its comma and colon included. */
static void number(struct buf *b, const char *name, int64_t value)
{
  buf_puts(b, name);
  buf_u64(b, value < 0 ? 0 : (uint64_t)value);
}

/* The first members of every record, without a leading comma. */
static void request_members(struct buf *b, const struct exchange *x)
{
  const struct http_request *rq = x->rq;
  number(b, "\"generation\":", (int64_t)x->hub->generation);
  if (x->service)
    member(b, "service", str_of(x->service->config->name));
  member(b, "address", str_of(x->client));
  member(b, "http", rq->method);
  /* The path only: a query may carry what is nobody's business. */
  member(b, "path", str_slice(x->target.path, 0, LIMIT_SERVICE_PATH));
  if (x->has_credential)
    member(b, "credential", str_of(x->fingerprint));
}

static void principal_members(struct buf *b, const struct principal *p)
{
  member(b, "issuer", str_of(p->issuer));
  member(b, "subject", str_of(p->subject));
  if (p->client)
    member(b, "client", str_of(p->client));
  buf_puts(b, ",\"scopes\":[");
  for (size_t i = 0; i < p->scopes.n; i++) {
    if (i)
      buf_putc(b, ',');
    buf_json(b, str_of(p->scopes.v[i]));
  }
  buf_putc(b, ']');
}

static void trace_members(struct buf *b, const struct auth_outcome *o)
{
  if (o->decided)
    member(b, "line", str_of(o->decided->line->provider->name));
  buf_puts(b, ",\"trace\":[");
  for (size_t i = 0; i < o->n_trace; i++) {
    const struct trace_line *t = &o->trace[i];
    const char *result = result_name(t->result);
    buf_puts(b, i ? ",{\"kind\":\"" : "{\"kind\":\"");
    buf_puts(b, t->account ? "account\"" : "auth\"");
    if (!t->account)
      member(b, "control", str_of(control_name(t->line->control)));
    member(b, "provider", str_of(t->line->provider->name));
    member(b, "result", str_of(result ? result : "ERROR"));
    if (t->reason && t->reason[0])
      member(b, "reason", str_of(t->reason));
    if (t->cached)
      buf_puts(b, ",\"cached\":true");
    number(b, ",\"us\":", t->us);
    buf_putc(b, '}');
  }
  buf_putc(b, ']');
}

void record_refused(struct exchange *x, const struct auth_outcome *o, int status, const char *why)
{
  struct buf b;
  buf_init(&b, LIMIT_AUDIT_RECORD);
  request_members(&b, x);
  number(&b, ",\"status\":", status);
  member(&b, "why", str_of(why));
  if (o)
    trace_members(&b, o);
  if (!b.failed)
    audit_refused(x->hub->audit, x->rq->id, buf_view(&b));
  buf_done(&b);
}

int record_decision(struct exchange *x, const struct auth_outcome *o, const char *decision,
                    int status, const char *why, bool ticket)
{
  struct buf b;
  buf_init(&b, LIMIT_AUDIT_RECORD);
  request_members(&b, x);
  member(&b, "decision", str_of(decision));
  number(&b, ",\"status\":", status);
  if (why)
    member(&b, "why", str_of(why));
  if (x->grant)
    principal_members(&b, grant_principal(x->grant));
  else if (o && o->who)
    principal_members(&b, o->who);
  if (o)
    trace_members(&b, o);
  int rc = b.failed ? -1
                    : audit_put(x->hub->audit, "decision", x->rq->id, buf_view(&b),
                                ticket ? &x->ticket : NULL);
  buf_done(&b);
  if (rc == 0) {
    x->recorded = true;
    x->ticket_waiting = ticket;
  }
  return rc;
}

void record_refusal(struct exchange *x, int status, const char *why)
{
  const struct auth_outcome *o = x->grant ? &x->outcome : NULL;
  if (record_decision(x, o, "deny", status, why, false) < 0)
    log_error("request %s: refused (%s), but not recorded", x->rq->id, why);
}

void record_done(struct exchange *x)
{
  const struct http_request *rq = x->rq;
  struct buf b;
  buf_init(&b, LIMIT_AUDIT_RECORD);
  number(&b, "\"status\":", rq->status);
  member(&b, "end", str_of(ends[rq->end] ? ends[rq->end] : "error"));
  number(&b, ",\"bytes\":", (int64_t)rq->bytes_out);
  number(&b, ",\"ms\":", clock_mono_ms() - rq->started_ms);
  if (x->ending)
    member(&b, "ended", str_of(x->ending));
  if (x->upstream_status)
    number(&b, ",\"upstream_status\":", x->upstream_status);
  if (x->upstream_error)
    member(&b, "upstream_error", str_of(x->upstream_error));
  if (!b.failed)
    audit_put(x->hub->audit, "done", rq->id, buf_view(&b), NULL);
  buf_done(&b);
}
