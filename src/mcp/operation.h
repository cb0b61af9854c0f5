/* What a request asks for, in the terms of rules: the method of every schema of MCP from 2025-03-26
 * to 2026-07-28 mapped to a kind and an item, and the checks between header and body that
 * 2026-07-28 demands (security rows 61, 62, 66, 67).  Pure.
 *
 * A request is of the modern era when its MCP-Protocol-Version is none of the four older versions:
 * so that a version nobody knows yet meets the stricter checks. */
#ifndef MCP_OPERATION_H
#define MCP_OPERATION_H

#include "config/config.h"
#include "http/server.h"
#include "mcp/gate.h"

enum mcp_era {
  ERA_SESSION = 1, /* up to 2025-11-25: the body alone counts */
  ERA_MODERN,      /* 2026-07-28: stateless, headers must agree with the body */
};

/* Which reply carries a list that must be filtered. */
enum list_kind {
  LIST_NONE = 0,
  LIST_TOOLS,
  LIST_PROMPTS,
  LIST_RESOURCES,
  LIST_TEMPLATES,
  LIST_PRIVATE, /* no list, but only for this caller: its cacheScope must not be public */
};

struct operation {
  enum mcp_era era;
  struct str method;   /* "" for a posted response, and for GET and DELETE */
  bool known;          /* a schema of this era has it; else only a `method` line can allow it */
  bool task;           /* tasks/..., or about tasks: refused unless the service says `tasks on` */
  bool standing;       /* stands open without an end of its own (subscriptions/listen, GET) */
  enum rule_kind kind; /* RULE_TOOL, RULE_RESOURCE, RULE_PROMPT for operations on an item */
  struct str item;     /* name or URI; "" for RULE_METHOD */
  enum list_kind list;
  /* arrays of strings, as they stand in the body; .p NULL when there are none */
  struct str also_resources; /* the caller must be allowed to read each of these as well */
  struct str task_ids;       /* each must be the caller's own; the id of tasks/... is TASK_ID */
  struct str task_id;
};

struct operation_fault {
  int status;       /* HTTP */
  int code;         /* JSON-RPC: -32020 for header against body */
  const char *what; /* one sentence, static */
};

/* G is NULL for GET and DELETE.  0, or -1 with *FAULT. */
int operation_of(const struct http_request *rq, const struct gate *g, struct operation *ret,
                 struct operation_fault *fault);
/* What must be allowed for the whole to be allowed, one operation at a time: OP itself, then one
 * on each of also_resources.  *CURSOR begins as {NULL, 0}.  1: *RET is the next, 0: that was all,
 * -1: out of memory. */
int operation_each(const struct operation *op, struct str *cursor, struct arena *a,
                   struct operation *ret);

#endif
