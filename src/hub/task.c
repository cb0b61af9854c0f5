/* Tasks of upstreams (`tasks on`) name no tool, so that no rule can judge them: only the caller who
 * was given a task's id may use it.  Ids are learned from replies, for the bytes of messages stay
 * as they are, and kept in the shared page: a bounded table, in which old tasks are forgotten and
 * then belong to nobody. */
#include "hub/hub.h"

#include "ops/callers.h"
#include "util/json.h"

/* A reply that makes a task is short. */
enum { LONGEST = 65536, DEEPEST = 32, MOST = 2000 };

static uint64_t key_of(struct exchange *x, struct str id)
{
  return caller_key(x->hub->shm, CALLER_TASK, str_of(x->service->config->name), id, STR(""));
}

static bool is_own(struct exchange *x, struct str id)
{
  uint64_t owner = session_owner_key(x);
  return owner && id.n && caller_task_is(x->hub->shm, key_of(x, id), owner);
}

/* What a client says about tasks of its own (notifications/tasks/...) is nobody else's. */
bool task_owned(struct exchange *x)
{
  if (str_starts(x->op.method, "notifications/"))
    return true;
  struct str cursor = x->op.task_ids;
  struct gate_value v;
  if (x->op.task_id.p && !is_own(x, x->op.task_id))
    return false;
  while (cursor.p && gate_next(&cursor, &v))
    if (v.type != GATE_TEXT || !is_own(x, gate_text(v.raw, x->rq->arena)))
      return false;
  return x->op.task_id.p || x->op.task_ids.p;
}

bool task_learns(const struct exchange *x)
{
  return x->service->config->tasks && x->grant && x->gate.kind == GATE_REQUEST && !x->op.task;
}

void task_learn(struct exchange *x, struct str message)
{
  if (message.n == 0 || message.n > LONGEST)
    return;
  CLEANUP(json_drop) json_t *root = json_parse(message, DEEPEST, MOST, NULL);
  struct str id = json_text(json_pointer(root, STR("/result/task/taskId")));
  if (id.p == NULL)
    id = json_text(json_pointer(root, STR("/result/taskId")));
  if (id.n && id.n <= LIMIT_ITEM)
    caller_task_given(x->hub->shm, key_of(x, id), session_owner_key(x));
}
