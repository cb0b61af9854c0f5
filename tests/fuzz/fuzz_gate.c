/* The JSON gate against jansson: what that takes is JSON here too, what the gate takes that takes,
 * and they read the same method, name and URI.  Pointers into what was taken never lead outside. */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "mcp/gate.h"
#include "util/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* Numbers that a double cannot hold are JSON all the same, and so are names with NUL in them, of
 * which the gate refuses those of the protocol alone. */
static json_t *other(struct str body, bool *cannot)
{
  json_error_t e;
  json_t *j =
      json_loadb(body.p, body.n, JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &e);
  *cannot = j == NULL && (json_error_code(&e) == json_error_numeric_overflow ||
                          json_error_code(&e) == json_error_null_byte_in_key);
  return j;
}

static void same(struct str ours, const json_t *object, const char *name)
{
  const json_t *theirs = json_object_get(object, name);
  if (!json_is_string(theirs) != (ours.p == NULL) ||
      (ours.p &&
       !str_eq(ours, (struct str){json_string_value(theirs), json_string_length(theirs)})))
    abort();
}

static void inside(struct str part, struct str body)
{
  if (part.p && (part.p < body.p || part.p + part.n > body.p + body.n))
    abort();
}

static void walk(struct str json)
{
  static const char *const pointers[] = {"", "/a", "/a/0", "/v/a", "/", "/~0/~1", "/name"};
  for (size_t i = 0; i < sizeof pointers / sizeof pointers[0]; i++) {
    struct gate_value v = gate_at(json, str_of(pointers[i])), each;
    if ((v.type == GATE_ABSENT || v.type == GATE_TWICE) != (v.raw.p == NULL))
      abort();
    inside(v.raw, json);
    struct str cursor = v.raw;
    while (v.type == GATE_ARRAY && gate_next(&cursor, &each))
      inside(each.raw, v.raw);
  }
}

static void check(struct str body, struct arena *a)
{
  struct gate g;
  struct gate_fault f;
  bool cannot, taken = gate_read(body, a, &g, &f) == 0;
  json_t *j = other(body, &cannot);
  bool nul = memchr(body.p, 0, body.n) != NULL; /* which jansson takes for the end */
  if (!taken && (f.what == NULL || f.at > body.n || (f.code == -32700 && j && !nul)))
    abort();
  if (taken && !j && !cannot)
    abort();
  if (taken && j) {
    const json_t *params = json_object_get(j, "params");
    same(g.method, j, "method");
    same(g.name, params, "name");
    same(g.uri, params, "uri");
    same(g.task_id, params, "taskId");
    same(g.ref_name, json_object_get(params, "ref"), "name");
    if (!json_object_get(j, "id") != (g.kind == GATE_NOTIFICATION))
      abort();
  }
  if (taken) {
    inside(g.id, body);
    inside(g.params, body);
    inside(g.arguments, g.params);
    if (g.arguments.p)
      walk(g.arguments);
  }
  json_decref(j);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
  struct arena *a = arena_new(1 << 20);
  char *copy = malloc(n + 1); /* so that reading behind the end is noticed */
  if (a == NULL || copy == NULL)
    abort();
  memcpy(copy, p, n);
  copy = realloc(copy, n ? n : 1);
  check((struct str){copy, n}, a);
  free(copy);
  arena_free(a);
  return 0;
}
