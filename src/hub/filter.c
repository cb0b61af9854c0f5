/* Lists show what may be used: the list filter on replies, with the rules of the service and the
 * caller of the exchange.  Called by forward.c and stream.c. */
#include "hub/hub.h"

enum { SCRATCH_MOST = 1 << 20, SCRATCH_ENOUGH = 1 << 16 };

/* Memory for the rules' answer about one item, used again for the next. */
struct arena *hub_scratch(struct hub *h)
{
  if (h->scratch && arena_size(h->scratch) > SCRATCH_ENOUGH) {
    arena_free(h->scratch);
    h->scratch = NULL;
  }
  if (h->scratch == NULL)
    h->scratch = arena_new(SCRATCH_MOST);
  return h->scratch;
}

static bool show(void *arg, enum list_kind kind, struct str item)
{
  struct exchange *x = arg;
  const struct config_service *s = x->service->config;
  struct policy_caller who = caller_of(x, x->grant);
  struct arena *a = hub_scratch(x->hub);
  if (a == NULL)
    return false;
  switch (kind) {
  case LIST_TOOLS:
    return policy_listed(s, &who, RULE_TOOL, item, a);
  case LIST_PROMPTS:
    return policy_listed(s, &who, RULE_PROMPT, item, a);
  case LIST_RESOURCES:
    return policy_listed(s, &who, RULE_RESOURCE, item, a);
  case LIST_TEMPLATES:
    return policy_listed_template(s, &who, item, a);
  case LIST_NONE:
  case LIST_PRIVATE:
    break;
  }
  return false;
}

/* Without rules every item is shown to whoever may use the service; the modern era still must not
 * share what one caller has read.  An upstream may send a reply again on another stream, so with
 * rules all streams are looked at. */
static bool wanted(const struct exchange *x)
{
  if (x->op.list != LIST_NONE && x->op.era == ERA_MODERN)
    return true;
  bool is_list = x->op.list != LIST_NONE && x->op.list != LIST_PRIVATE;
  return x->service->has_rules && (is_list || x->streaming);
}

int filter_begin(struct exchange *x)
{
  if (!wanted(x))
    return 0;
  x->list = arena_new_of(x->rq->arena, struct list);
  if (x->list == NULL)
    return -1;
  list_init(x->list, x->streaming, x->service->has_rules ? show : NULL, x);
  return 0;
}

void filter_done(struct exchange *x)
{
  if (x->list)
    list_done(x->list);
}

struct str filter_whole(struct exchange *x, struct str reply)
{
  struct str out = {NULL, 0};
  if (x->list == NULL || reply.n == 0)
    return reply;
  if (list_feed(x->list, reply, &out) < 0 || list_end(x->list) < 0)
    return (struct str){NULL, 0};
  return out.p ? out : STR("");
}
