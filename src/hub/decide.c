/* Steps 6 and 7 of a request's way: the body is there; what does it ask for, and may this caller
 * ask for it?  Works on the body alone, whole (row 53); the bytes that are forwarded are the ones
 * that were judged.  Called by request.c. */
#include "hub/hub.h"

/* ---- what is asked */

static void refuse_malformed(struct exchange *x, int status, int code, const char *what)
{
  record_refusal(x, status, what);
  refuse_rpc(x, status, code, what, NULL);
}

static bool understand(struct exchange *x)
{
  struct gate_fault bad;
  struct operation_fault wrong;
  bool post = str_is(x->rq->method, "POST");
  if (post && gate_read(buf_view(&x->rq->body), x->rq->arena, &x->gate, &bad) < 0) {
    x->gate = (struct gate){.kind = 0};
    refuse_malformed(x, 400, bad.code, bad.what);
    return false;
  }
  if (operation_of(x->rq, post ? &x->gate : NULL, &x->op, &wrong) < 0) {
    refuse_malformed(x, wrong.status, wrong.code, wrong.what);
    return false;
  }
  x->understood = true;
  return true;
}

/* ---- sessions */

static bool own_session(struct exchange *x)
{
  if (session_open(x))
    return true;
  record_refusal(x, 404, "session");
  refuse(x, 404, "not_found", "There is no such session at this service.");
  return false;
}

bool still_allowed(struct exchange *x, const struct grant *g)
{
  const struct config_service *s = x->service->config;
  for (size_t i = 0; i < s->n_require; i++)
    if (!principal_has_scope(grant_principal(g), x->hub->config, s->require[i]))
      return false;
  return true;
}

void decide(struct exchange *x)
{
  if (understand(x) && own_session(x) && limit_open(x))
    record_and_forward(x);
}
