/* What a request asks for; see operation.h.  The table below is the whole of what the hub knows of
 * MCP's methods: a method that is not in it, or not in it for the request's era, is unknown. */
#include "mcp/operation.h"

#include <string.h>

#include "util/base64url.h"

enum { MISMATCH = -32020, BAD_PARAMS = -32602, NOT_MESSAGE = -32600 };

/* Where the item of an operation stands. */
enum source {
  ITEM_NONE = 0,
  ITEM_NAME, /* params.name */
  ITEM_URI,  /* params.uri */
  ITEM_REF,  /* params.ref: a prompt's name or a resource's URI */
  ITEM_TASK, /* params.taskId */
};

enum { SESSION = 1, MODERN = 2 };

struct method {
  struct str name;
  int eras;
  enum source source;
  enum rule_kind kind;
  enum list_kind list;
  bool standing;
};

/* clang-format off */
static const struct method methods[] = {
  {STR_INIT("tools/call"), SESSION | MODERN, ITEM_NAME, RULE_TOOL, LIST_NONE, false},
  {STR_INIT("tools/list"), SESSION | MODERN, ITEM_NONE, RULE_METHOD, LIST_TOOLS, false},
  {STR_INIT("resources/read"), SESSION | MODERN, ITEM_URI, RULE_RESOURCE, LIST_PRIVATE, false},
  {STR_INIT("resources/list"), SESSION | MODERN, ITEM_NONE, RULE_METHOD, LIST_RESOURCES, false},
  {STR_INIT("resources/templates/list"), SESSION | MODERN, ITEM_NONE, RULE_METHOD, LIST_TEMPLATES, false},
  {STR_INIT("resources/subscribe"), SESSION, ITEM_URI, RULE_RESOURCE, LIST_NONE, false},
  {STR_INIT("resources/unsubscribe"), SESSION, ITEM_URI, RULE_RESOURCE, LIST_NONE, false},
  {STR_INIT("prompts/get"), SESSION | MODERN, ITEM_NAME, RULE_PROMPT, LIST_NONE, false},
  {STR_INIT("prompts/list"), SESSION | MODERN, ITEM_NONE, RULE_METHOD, LIST_PROMPTS, false},
  {STR_INIT("completion/complete"), SESSION | MODERN, ITEM_REF, RULE_METHOD, LIST_NONE, false},
  {STR_INIT("initialize"), SESSION, ITEM_NONE, RULE_METHOD, LIST_NONE, false},
  {STR_INIT("ping"), SESSION, ITEM_NONE, RULE_METHOD, LIST_NONE, false},
  {STR_INIT("logging/setLevel"), SESSION, ITEM_NONE, RULE_METHOD, LIST_NONE, false},
  {STR_INIT("server/discover"), MODERN, ITEM_NONE, RULE_METHOD, LIST_PRIVATE, false},
  {STR_INIT("subscriptions/listen"), MODERN, ITEM_NONE, RULE_METHOD, LIST_NONE, true},
  /* tasks: 2025-11-25 (experimental) and the extension of 2026-07-28 */
  {STR_INIT("tasks/get"), SESSION | MODERN, ITEM_TASK, RULE_METHOD, LIST_NONE, false},
  {STR_INIT("tasks/cancel"), SESSION | MODERN, ITEM_TASK, RULE_METHOD, LIST_NONE, false},
  {STR_INIT("tasks/update"), MODERN, ITEM_TASK, RULE_METHOD, LIST_NONE, false},
  {STR_INIT("tasks/result"), SESSION, ITEM_TASK, RULE_METHOD, LIST_NONE, false},
  {STR_INIT("tasks/list"), SESSION, ITEM_NONE, RULE_METHOD, LIST_NONE, false},
  {STR_INIT("notifications/cancelled"), SESSION | MODERN, ITEM_NONE, RULE_METHOD, LIST_NONE, false},
  {STR_INIT("notifications/initialized"), SESSION, ITEM_NONE, RULE_METHOD, LIST_NONE, false},
  {STR_INIT("notifications/progress"), SESSION, ITEM_NONE, RULE_METHOD, LIST_NONE, false},
  {STR_INIT("notifications/roots/list_changed"), SESSION, ITEM_NONE, RULE_METHOD, LIST_NONE, false},
  {STR_INIT("notifications/tasks/status"), SESSION, ITEM_NONE, RULE_METHOD, LIST_NONE, false},
};
/* clang-format on */

static const struct method *method_find(struct str name)
{
  for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
    if (str_eq(methods[i].name, name))
      return &methods[i];
  return NULL;
}

static int fail(struct operation_fault *fault, int code, const char *what)
{
  *fault = (struct operation_fault){400, code, what};
  return -1;
}

/* ---- the era */

static bool older_version(struct str v)
{
  return str_is(v, "2024-11-05") || str_is(v, "2025-03-26") || str_is(v, "2025-06-18") ||
         str_is(v, "2025-11-25");
}

/* A header that two readers could read differently (row 61). */
static int routing_headers_once(const struct http_request *rq, struct operation_fault *fault)
{
  static const char *const names[] = {"MCP-Protocol-Version", "Mcp-Method", "Mcp-Name",
                                      "Mcp-Session-Id"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (http_header_count(rq, names[i]) > 1)
      return fail(fault, MISMATCH, "A header of the protocol stands twice.");
  return 0;
}

/* ---- modern: header against body */

/* The name that Mcp-Name must have, .p NULL when the method has none. */
static struct str routed_name(const struct method *m, const struct gate *g)
{
  switch (m && (m->eras & MODERN) ? m->source : ITEM_NONE) {
  case ITEM_NAME:
    return g->name;
  case ITEM_URI:
    return g->uri;
  case ITEM_TASK:
    return g->task_id;
  case ITEM_REF:
  case ITEM_NONE:
    break;
  }
  return (struct str){NULL, 0};
}

/* Whether a header's value is NAME, which may be written =?base64?...?= (SEP-2243). */
static bool header_is(struct str value, struct str name)
{
  char decoded[LIMIT_ITEM];
  size_t n;
  if (!str_starts(value, "=?base64?") || !str_ends(value, "?=") || value.n < 11)
    return str_eq(value, name);
  if (base64_decode(str_slice(value, 9, value.n - 2), decoded, sizeof decoded, &n) < 0)
    return false;
  return str_eq((struct str){decoded, n}, name);
}

static int modern_version(struct str header, const struct gate *g, struct operation_fault *fault)
{
  if (g->meta_version.p == NULL)
    return g->kind == GATE_NOTIFICATION
               ? 0 /* no version belongs there */
               : fail(fault, BAD_PARAMS, "params._meta lacks the protocol version.");
  if (!str_eq(header, g->meta_version))
    return fail(fault, MISMATCH, "MCP-Protocol-Version and the body name different versions.");
  return 0;
}

static int modern_headers(const struct http_request *rq, const struct method *m,
                          const struct gate *g, struct operation_fault *fault)
{
  struct str method = http_header(rq, "Mcp-Method"), name = http_header(rq, "Mcp-Name");
  struct str wanted = routed_name(m, g);
  if (g->kind == GATE_RESPONSE)
    return fail(fault, NOT_MESSAGE, "Responses are not posted in this version of the protocol.");
  if (modern_version(http_header(rq, "MCP-Protocol-Version"), g, fault) < 0)
    return -1;
  if (method.p == NULL || !str_eq(method, g->method))
    return fail(fault, MISMATCH, "Mcp-Method is not the method of the body.");
  if (wanted.p && (name.p == NULL || !header_is(name, wanted)))
    return fail(fault, MISMATCH, "Mcp-Name is not the name in the body.");
  return 0;
}

/* Sets the era and holds header against body. */
static int era_of(const struct http_request *rq, const struct method *m, const struct gate *g,
                  struct operation *op, struct operation_fault *fault)
{
  struct str version = http_header(rq, "MCP-Protocol-Version");
  if (routing_headers_once(rq, fault) < 0)
    return -1;
  op->era = version.p && !older_version(version) ? ERA_MODERN : ERA_SESSION;
  if (g && op->era == ERA_MODERN)
    return modern_headers(rq, m, g, fault);
  if (g && g->meta_version.p && (version.p == NULL || !str_eq(version, g->meta_version)))
    return fail(fault, MISMATCH, "MCP-Protocol-Version and the body name different versions.");
  return 0;
}

/* ---- the item */

static int item_needed(struct str item, struct operation *op, struct operation_fault *fault)
{
  if (item.n == 0)
    return fail(fault, BAD_PARAMS, "The params of this method lack its name or URI.");
  op->item = item;
  return 0;
}

static int item_of_ref(const struct gate *g, struct operation *op, struct operation_fault *fault)
{
  bool prompt = str_is(g->ref_type, "ref/prompt"), resource = str_is(g->ref_type, "ref/resource");
  if (!prompt && !resource)
    return fail(fault, BAD_PARAMS, "params.ref is of no known type.");
  op->kind = prompt ? RULE_PROMPT : RULE_RESOURCE;
  return item_needed(prompt ? g->ref_name : g->ref_uri, op, fault);
}

static int item_of(const struct method *m, const struct gate *g, struct operation *op,
                   struct operation_fault *fault)
{
  switch (m->source) {
  case ITEM_NONE:
    return 0;
  case ITEM_NAME:
    return item_needed(g->name, op, fault);
  case ITEM_URI:
    return item_needed(g->uri, op, fault);
  case ITEM_REF:
    return item_of_ref(g, op, fault);
  case ITEM_TASK:
    if (g->task_id.n == 0)
      return fail(fault, BAD_PARAMS, "The params of this method lack the task's id.");
    op->task_id = g->task_id;
    return 0;
  }
  return fail(fault, NOT_MESSAGE, "The method cannot be judged.");
}

static int from_body(const struct method *m, const struct gate *g, struct operation *op,
                     struct operation_fault *fault)
{
  int era = op->era == ERA_MODERN ? MODERN : SESSION;
  op->method = g->kind == GATE_RESPONSE ? STR("") : g->method;
  op->known = g->kind == GATE_RESPONSE || (m && (m->eras & era));
  op->task = str_starts(op->method, "tasks/") || str_starts(op->method, "notifications/tasks/") ||
             g->task_ids.p;
  op->task_ids = g->task_ids;
  if (m == NULL)
    return 0;
  /* also out of its era: an item stays what it is, whatever version is claimed (row 62) */
  op->kind = m->kind;
  op->list = m->list;
  op->standing = m->standing;
  op->also_resources = m->standing ? g->subscriptions : (struct str){NULL, 0};
  if (item_of(m, g, op, fault) == 0)
    return 0;
  if (op->known)
    return -1;
  op->kind = RULE_METHOD; /* a method that is no more: the answer is that, not what it lacks */
  return 0;
}

int operation_of(const struct http_request *rq, const struct gate *g, struct operation *ret,
                 struct operation_fault *fault)
{
  struct operation op = {.kind = RULE_METHOD, .known = true, .method = STR(""), .item = STR("")};
  const struct method *m = g && g->kind != GATE_RESPONSE ? method_find(g->method) : NULL;
  if (era_of(rq, m, g, &op, fault) < 0)
    return -1;
  if (g == NULL)
    op.standing = str_is(rq->method, "GET");
  else if (from_body(m, g, &op, fault) < 0)
    return -1;
  *ret = op;
  return 0;
}

int operation_each(const struct operation *op, struct str *cursor, struct arena *a,
                   struct operation *ret)
{
  struct gate_value v;
  if (cursor->p == NULL) {
    *cursor = op->also_resources.p ? op->also_resources : STR("]");
    *ret = *op;
    return 1;
  }
  if (!gate_next(cursor, &v))
    return 0;
  struct operation each = *op;
  each.kind = RULE_RESOURCE;
  each.item = gate_text(v.raw, a);
  if (each.item.p == NULL)
    return -1;
  *ret = each;
  return 1;
}
