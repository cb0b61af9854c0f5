/* Answers to the client; see answer.h. */
#include "oauth/answer.h"

#include "oauth/pages.h"
#include "util/redirect.h"

struct str answer_url(const struct oauth *o, const struct answer *an, struct arena *a)
{
  CLEANUP(buf_done) struct buf b;
  buf_init(&b, KIB(16));
  buf_str(&b, an->redirect);
  if (an->error) {
    param_append(&b, "error", str_of(an->error));
    param_append(&b, "error_description", str_of(an->description));
  } else {
    param_append(&b, "code", an->code);
  }
  if (an->state.p)
    param_append(&b, "state", an->state);
  param_append(&b, "iss", str_of(o->issuer));
  return b.failed ? (struct str){NULL, 0} : arena_str(a, buf_view(&b));
}

void answer_send(struct oauth_exchange *x, const struct answer *an, const struct http_header *extra,
                 size_t n_extra)
{
  struct redirect r;
  struct str url = answer_url(x->oauth, an, x->rq->arena);
  if (url.p == NULL || redirect_parse(an->redirect, true, &r) != REDIRECT_OK)
    page_ours(x, 500, "the answer could not be made");
  else if (r.kind == REDIRECT_KIND_PRIVATE)
    page_moving(x, url, TEXT_MOVING_BACK, STR(""), extra, n_extra);
  else
    page_redirect(x, url, extra, n_extra);
}
