/* Audit records of exchanges: what a security engineer needs to answer who called, what, and why it
 * was allowed (row 181).  Never a credential: its fingerprint (row 180). */
#include <stdio.h>
#include <string.h>

#include "hub/hub.h"
#include "ops/log.h"
#include "util/base64url.h"
#include "util/clock.h"

enum { ARGUMENTS_MOST = 8192, ITEM_MOST = 1024 };

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

/* "FILE:LINE" */
static void put_place(struct buf *b, const struct config_at *at)
{
  char place[512];
  snprintf(place, sizeof place, "%s:%u", at->file, at->line);
  buf_json(b, str_of(place));
}

static void arguments_members(struct buf *b, const struct exchange *x)
{
  const struct digest *d = &x->hub->digest;
  struct str a = x->gate.arguments;
  unsigned char sum[32];
  buf_printf(b, ",\"arguments_size\":%zu", a.n);
  if (EVP_DigestInit_ex(d->context, d->sha256, NULL) != 1 ||
      EVP_DigestUpdate(d->context, a.p, a.n) != 1 ||
      EVP_DigestFinal_ex(d->context, sum, NULL) != 1) {
    b->failed = true; /* a record that lacks what it must have is none */
    return;
  }
  buf_puts(b, ",\"arguments_sha256\":\"");
  hex_encode(b, (struct str){(char *)sum, sizeof sum});
  buf_putc(b, '"');
  if (x->hub->config->audit_arguments && a.n <= ARGUMENTS_MOST)
    member(b, "arguments", a);
}

/* What the body asked for, and the rule that decided. */
static void operation_members(struct buf *b, const struct exchange *x)
{
  const struct policy_decision *d = &x->decision;
  const struct config_at *at = d->rule ? &d->rule->at : d->demand;
  if (!x->understood)
    return;
  member(b, "era", x->op.era == ERA_MODERN ? STR("modern") : STR("session"));
  if (x->op.method.n)
    member(b, "method", str_slice(x->op.method, 0, ITEM_MOST));
  if (x->op.item.n)
    member(b, "item", str_slice(x->op.item, 0, ITEM_MOST));
  if (at) {
    buf_puts(b, ",\"rule\":");
    put_place(b, at);
  }
  if (x->gate.arguments.p)
    arguments_members(b, x);
  if (x->session)
    buf_printf(b, ",\"session\":\"%016llx\"", (unsigned long long)x->session);
}

void record_refused(struct exchange *x, const struct auth_outcome *o, int status, const char *why)
{
  struct buf b;
  buf_init(&b, LIMIT_AUDIT_RECORD);
  request_members(&b, x);
  number(&b, ",\"status\":", status);
  member(&b, "why", str_of(why));
  operation_members(&b, x);
  if (o)
    trace_members(&b, o);
  if (b.failed)
    log_error("request %s: refused (%s), but not recorded", x->rq->id, why);
  else
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
  operation_members(&b, x);
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
  if (b.failed)
    log_error("request %s: over, but not recorded", rq->id);
  else
    audit_put(x->hub->audit, "done", rq->id, buf_view(&b), NULL);
  buf_done(&b);
}
