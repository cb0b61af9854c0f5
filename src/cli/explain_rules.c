/* The operation of `mcpauth explain`; see explain_rules.h. */
#include "cli/explain_rules.h"

#include <stdio.h>
#include <string.h>

#include "util/limits.h"

/* ---- --argument POINTER=JSON, any number of them, as one object */

struct node {
  struct str name;
  const char *raw; /* JSON; NULL: an object of the children */
  struct node *child, *next;
};

/* TOKEN of a pointer with ~0 and ~1 undone. */
static struct str token_text(struct str token, struct arena *a)
{
  char *out = arena_alloc(a, token.n + 1);
  struct str text = {out, 0};
  for (size_t i = 0; out && i < token.n; i++) {
    bool escape = token.p[i] == '~' && i + 1 < token.n;
    out[text.n++] = escape ? (token.p[++i] == '1' ? '/' : '~') : token.p[i];
  }
  return text;
}

/* The child NAME of IN, made if there is none. */
static struct node *child(struct node *in, struct str name, struct arena *a)
{
  struct node **at = &in->child;
  for (; *at; at = &(*at)->next)
    if (str_eq((*at)->name, name))
      return *at;
  *at = arena_new_of(a, struct node);
  if (*at)
    (*at)->name = name;
  return *at;
}

static int add_argument(struct node *root, const char *text, struct arena *a, struct err *e)
{
  struct str rest = str_of(text), token;
  size_t equal = str_chr(rest, '=');
  struct node *at = root;
  if (rest.n == 0 || rest.p[0] != '/' || equal == rest.n)
    return err_set(e, "--argument takes POINTER=JSON, as in /amount=100 or '/name=\"x\"'");
  rest = str_slice(rest, 1, equal);
  while (at && at->raw == NULL && str_next(&rest, '/', &token))
    at = child(at, token_text(token, a), a);
  if (at == NULL)
    return err_set(e, "out of memory");
  if (at->raw || at->child || rest.p)
    return err_set(e, "the arguments are given twice at '%.*s'", (int)equal, text);
  at->raw = text + equal + 1;
  return 0;
}

static void put_node(struct buf *out, const struct node *n)
{
  if (n->raw) {
    buf_puts(out, n->raw);
    return;
  }
  buf_putc(out, '{');
  for (const struct node *c = n->child; c; c = c->next) {
    buf_json(out, c->name);
    buf_putc(out, ':');
    put_node(out, c);
    if (c->next)
      buf_putc(out, ',');
  }
  buf_putc(out, '}');
}

/* ---- the message */

bool explain_asks(const struct explain_question *q)
{
  return q->tool || q->resource || q->prompt || q->method;
}

static const char *method_of(const struct explain_question *q)
{
  return q->method ? q->method
                   : (q->tool     ? "tools/call"
                      : q->prompt ? "prompts/get"
                                  : "resources/read");
}

static void put_member(struct buf *out, const char *name, const char *value)
{
  if (value) {
    buf_printf(out, ",\"%s\":", name);
    buf_json(out, str_of(value));
  }
}

/* What the methods of the schemas take; each reads its own. */
static void put_params(struct buf *out, const struct explain_question *q, bool modern)
{
  buf_puts(out, "\"params\":{\"taskId\":\"explain\"");
  put_member(out, "name", q->tool ? q->tool : q->prompt);
  put_member(out, "uri", q->resource);
  if (q->prompt || q->resource) {
    buf_printf(out, ",\"ref\":{\"type\":\"%s\"", q->prompt ? "ref/prompt" : "ref/resource");
    put_member(out, "name", q->prompt);
    put_member(out, "uri", q->prompt ? NULL : q->resource);
    buf_putc(out, '}');
  }
  if (modern)
    buf_puts(out, ",\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\"}");
}

static int put_message(struct buf *out, const struct explain_question *q, bool modern,
                       struct arena *a, struct err *e)
{
  struct node root = {.raw = NULL};
  for (size_t i = 0; i < q->n_arguments; i++)
    if (add_argument(&root, q->arguments[i], a, e) < 0)
      return -1;
  buf_puts(out, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":");
  buf_json(out, str_of(method_of(q)));
  buf_putc(out, ',');
  put_params(out, q, modern);
  buf_puts(out, ",\"arguments\":");
  put_node(out, &root);
  buf_puts(out, "}}");
  return out->failed ? err_set(e, "the arguments are too long") : 0;
}

/* As the hub reads a request. */
static int read_message(const struct explain_question *q, bool modern, struct arena *a,
                        struct operation *ret_op, struct str *ret_arguments, struct err *e)
{
  struct buf body;
  struct gate g;
  struct gate_fault bad;
  struct operation_fault fault;
  struct str item = str_of(q->tool ? q->tool : q->prompt ? q->prompt : q->resource);
  const struct http_header headers[] = {{STR("MCP-Protocol-Version"), STR("2026-07-28")},
                                        {STR("Mcp-Method"), str_of(method_of(q))},
                                        {STR("Mcp-Name"), item.n ? item : STR("explain")}};
  const struct http_request rq = {
      .method = STR("POST"), .headers = headers, .n_headers = modern ? 3 : 0};
  buf_init(&body, MIB(1));
  int rc = put_message(&body, q, modern, a, e);
  struct str text = arena_str(a, buf_view(&body));
  buf_done(&body);
  if (rc < 0)
    return -1;
  if (text.p == NULL)
    return err_set(e, "out of memory");
  if (gate_read(text, a, &g, &bad) < 0)
    return err_set(e, "the arguments cannot be read: %s Strings need their quotes: /name='\"x\"'",
                   bad.what);
  if (operation_of(&rq, &g, ret_op, &fault) < 0)
    return err_set(e, "%s", fault.what);
  *ret_arguments = g.arguments;
  return 0;
}

int explain_operation(const struct explain_question *q, struct arena *a, struct operation *ret_op,
                      struct str *ret_arguments, struct err *e)
{
  if ((q->tool != NULL) + (q->resource != NULL) + (q->prompt != NULL) > 1)
    return err_set(e, "it takes one of --tool, --resource and --prompt");
  if (read_message(q, false, a, ret_op, ret_arguments, e) < 0)
    return -1;
  /* some methods are of 2026-07-28 only */
  if (!ret_op->known && method_known(ret_op->method))
    return read_message(q, true, a, ret_op, ret_arguments, e);
  return 0;
}

/* ---- what the rules say */

static bool of_hub(const struct config_service *s, const struct config_rule *r)
{
  const struct config_rules *rules = &s->rules[r->kind];
  return r < rules->v + rules->n_hub;
}

void explain_demand(const struct policy_decision *d)
{
  if (d->demand)
    printf("rule       require (%s:%u)\n", d->demand->file, d->demand->line);
  printf("decision   %s: %s\n", policy_verdict_name(d->verdict), d->why);
}

void explain_decision(const struct config_service *s, const struct policy_caller *who,
                      const struct operation *op, const struct policy_decision *d, struct arena *a)
{
  bool item = op->kind != RULE_METHOD;
  printf("operation  %.*s%s%.*s\n", STR_ARG(op->method), item ? " " : "", STR_ARG(op->item));
  if (d->rule)
    printf("rule       %s (%s%s:%u)\n", d->rule->text, of_hub(s, d->rule) ? "of the hub, " : "",
           d->rule->at.file, d->rule->at.line);
  else if (d->demand == NULL)
    puts("rule       none");
  explain_demand(d);
  if (item && str_chr(op->item, '{') == op->item.n)
    printf("listed     %s\n", policy_listed(s, who, op->kind, op->item, a) ? "yes" : "no");
}
