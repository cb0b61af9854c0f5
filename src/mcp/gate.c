/* The JSON gate; see gate.h.
 *
 * Every object of the protocol is a table of its members; one function walks them all.  What no
 * table describes (arguments, results, other members) is stepped over by scan_value, which is where
 * the time goes. */
#include "mcp/gate.h"

#include <string.h>

#include "mcp/scan.h"
#include "util/limits.h"

enum { NOT_JSON = -32700, NOT_MESSAGE = -32600, BAD_PARAMS = -32602 };

/* What a member's value must be. */
enum shape {
  SHAPE_ANY,     /* anything */
  SHAPE_VERSION, /* "2.0" */
  SHAPE_ID,      /* a short string or an integer of 64 bits */
  SHAPE_TEXT,    /* a string, decoded */
  SHAPE_TEXTS,   /* an array of strings */
  SHAPE_OBJECT,  /* an object; with a table, its members are read */
  SHAPE_OBJECT_OR_NULL,
};

#define KEEP_NOTHING SIZE_MAX

struct table;

struct member {
  struct str name;
  enum shape shape;
  size_t keep; /* offset of a struct str in struct gate */
  const struct table *inside;
};

struct table {
  const struct member *members;
  size_t n;
  bool reserved; /* names that begin with mcpauth/ are refused */
  int code;      /* of what is wrong with a member */
};

struct reader {
  struct scan scan;
  struct arena *arena;
  struct gate gate;
  int code; /* of the failure, when it is not the scanner's */
};

#define KEEP(field) offsetof(struct gate, field)
#define TABLE(list, reserved_, code_)                                                              \
  {                                                                                                \
    .members = (list), .n = sizeof(list) / sizeof(list)[0], .reserved = (reserved_),               \
    .code = (code_)                                                                                \
  }

static const struct member ref_members[] = {
    {STR_INIT("type"), SHAPE_TEXT, KEEP(ref_type), NULL},
    {STR_INIT("name"), SHAPE_TEXT, KEEP(ref_name), NULL},
    {STR_INIT("uri"), SHAPE_TEXT, KEEP(ref_uri), NULL},
};
static const struct table ref_table = TABLE(ref_members, false, BAD_PARAMS);

static const struct member meta_members[] = {
    {STR_INIT("io.modelcontextprotocol/protocolVersion"), SHAPE_TEXT, KEEP(meta_version), NULL},
};
static const struct table meta_table = TABLE(meta_members, true, BAD_PARAMS);

static const struct member notifications_members[] = {
    {STR_INIT("resourceSubscriptions"), SHAPE_TEXTS, KEEP(subscriptions), NULL},
    {STR_INIT("taskIds"), SHAPE_TEXTS, KEEP(task_ids), NULL},
};
static const struct table notifications_table = TABLE(notifications_members, false, BAD_PARAMS);

static const struct table arguments_table = {.reserved = true, .code = BAD_PARAMS};

static const struct member params_members[] = {
    {STR_INIT("name"), SHAPE_TEXT, KEEP(name), NULL},
    {STR_INIT("arguments"), SHAPE_OBJECT_OR_NULL, KEEP(arguments), &arguments_table},
    {STR_INIT("_meta"), SHAPE_OBJECT, KEEP_NOTHING, &meta_table},
    {STR_INIT("uri"), SHAPE_TEXT, KEEP(uri), NULL},
    {STR_INIT("taskId"), SHAPE_TEXT, KEEP(task_id), NULL},
    {STR_INIT("ref"), SHAPE_OBJECT, KEEP_NOTHING, &ref_table},
    {STR_INIT("protocolVersion"), SHAPE_TEXT, KEEP(init_version), NULL},
    {STR_INIT("notifications"), SHAPE_OBJECT, KEEP_NOTHING, &notifications_table},
    {STR_INIT("task"), SHAPE_ANY, KEEP_NOTHING, NULL},
    {STR_INIT("requestState"), SHAPE_ANY, KEEP_NOTHING, NULL},
    {STR_INIT("inputResponses"), SHAPE_ANY, KEEP_NOTHING, NULL},
};
static const struct table params_table = TABLE(params_members, false, BAD_PARAMS);

/* In this order, for the bits of what was seen. */
enum { SEEN_VERSION = 1, SEEN_METHOD = 2, SEEN_ID = 4, SEEN_RESULT = 16, SEEN_ERROR = 32 };

static const struct member message_members[] = {
    {STR_INIT("jsonrpc"), SHAPE_VERSION, KEEP_NOTHING, NULL},
    {STR_INIT("method"), SHAPE_TEXT, KEEP(method), NULL},
    {STR_INIT("id"), SHAPE_ID, KEEP(id), NULL},
    {STR_INIT("params"), SHAPE_OBJECT, KEEP(params), &params_table},
    {STR_INIT("result"), SHAPE_OBJECT, KEEP_NOTHING, NULL},
    {STR_INIT("error"), SHAPE_OBJECT, KEEP_NOTHING, NULL},
};
static const struct table message_table = TABLE(message_members, false, NOT_MESSAGE);

static int fail(struct reader *r, int code, const char *what)
{
  if (r->scan.what == NULL)
    r->code = code;
  return scan_fail(&r->scan, what);
}

/* ---- names */

static const struct member *find(const struct table *t, struct str name,
                                 bool (*same)(struct str, struct str))
{
  for (size_t i = 0; i < t->n; i++)
    if (t->members[i].name.n == name.n && same(t->members[i].name, name))
      return &t->members[i];
  return NULL;
}

static bool plain_ascii(const struct scan_text *name)
{
  unsigned char all = 0;
  for (size_t i = 0; i < name->raw.n; i++)
    all |= (unsigned char)name->raw.p[i];
  return !name->escaped && all < 0x80;
}

/* A name that is no member's as it stands: refused if a reader could take it for one. */
static int stranger(struct reader *r, const struct table *t, const struct scan_text *raw)
{
  char folded[SCAN_NAME_MAX];
  bool plain = true, whole = true;
  struct str name = raw->raw;
  if (!plain_ascii(raw))
    name = (struct str){folded, scan_decode(raw->raw, true, folded, &plain, &whole)};
  if (whole && find(t, name, str_ieq))
    return fail(r, NOT_MESSAGE, "A member's name differs from the protocol's in its spelling.");
  if (t->reserved && name.n >= 8 && str_ieq(str_slice(name, 0, 8), STR("mcpauth/")))
    return fail(r, BAD_PARAMS, "Names that begin with mcpauth/ are reserved.");
  return 0;
}

/* *RET is NULL for a member that no table describes. */
static int member_of(struct reader *r, const struct table *t, const struct scan_text *name,
                     const struct member **ret)
{
  char decoded[SCAN_NAME_MAX];
  bool plain = true, whole = true;
  struct str as = name->raw;
  if (name->escaped)
    as = (struct str){decoded, scan_decode(name->raw, false, decoded, &plain, &whole)};
  *ret = plain && whole ? find(t, as, str_eq) : NULL;
  return *ret ? 0 : stranger(r, t, name);
}

/* ---- values */

static void keep(struct reader *r, const struct member *m, struct str value)
{
  if (m->keep != KEEP_NOTHING)
    memcpy((char *)&r->gate + m->keep, &value, sizeof value);
}

static int text_member(struct reader *r, const struct member *m, int code)
{
  struct scan_text t;
  if (scan_peek(&r->scan) != '"')
    return fail(r, code, "A member of the protocol that must be a string is none.");
  if (scan_string(&r->scan, &t) < 0)
    return -1;
  struct str value = t.raw;
  if (value.n > (t.escaped ? 6 : 1) * (size_t)LIMIT_ITEM)
    return fail(r, code, "A name of the protocol is too long.");
  if (t.escaped) {
    struct str quoted = {t.raw.p - 1, t.raw.n + 2};
    value = gate_text(quoted, r->arena);
    if (value.p == NULL)
      return fail(r, code, "Out of memory.");
    if (value.n > LIMIT_ITEM)
      return fail(r, code, "A name of the protocol is too long.");
    if (memchr(value.p, 0, value.n))
      return fail(r, code, "A name of the protocol contains NUL.");
  }
  keep(r, m, value);
  return 0;
}

static int version_member(struct reader *r)
{
  struct scan_text t;
  if (scan_peek(&r->scan) != '"')
    return fail(r, NOT_MESSAGE, "The JSON-RPC version is not \"2.0\".");
  if (scan_string(&r->scan, &t) < 0)
    return -1;
  return str_is(t.raw, "2.0") ? 0 : fail(r, NOT_MESSAGE, "The JSON-RPC version is not \"2.0\".");
}

/* An integer of 64 bits in its one spelling. */
static bool integer(struct str raw)
{
  bool negative = raw.n && raw.p[0] == '-';
  uint64_t value;
  struct str magnitude = str_slice(raw, negative, raw.n);
  if (!str_u64(magnitude, (uint64_t)INT64_MAX + negative, &value))
    return false;
  return !negative || value != 0;
}

static int id_member(struct reader *r, const struct member *m)
{
  int c = scan_peek(&r->scan);
  const char *from = r->scan.p;
  if (c != '"' && c != '-' && (c < '0' || c > '9'))
    return fail(r, NOT_MESSAGE, "The id is neither a string nor an integer.");
  if (scan_value(&r->scan, 1) < 0)
    return -1;
  struct str raw = {from, (size_t)(r->scan.p - from)};
  if (raw.n > LIMIT_RPC_ID)
    return fail(r, NOT_MESSAGE, "The id is too long.");
  if (c != '"' && !integer(raw))
    return fail(r, NOT_MESSAGE, "The id is not an integer of 64 bits.");
  keep(r, m, raw);
  return 0;
}

static int texts_member(struct reader *r, const struct member *m, int code, unsigned depth)
{
  if (scan_peek(&r->scan) != '[')
    return fail(r, code, "A member of the protocol that must be an array is none.");
  const char *from = r->scan.p;
  bool first = true;
  int more;
  if (scan_open(&r->scan, depth) < 0)
    return -1;
  while ((more = scan_more(&r->scan, ']', &first)) > 0) {
    if (scan_peek(&r->scan) != '"')
      return fail(r, code, "A member of the protocol that must be an array of strings is none.");
    if (scan_value(&r->scan, depth + 1) < 0)
      return -1;
  }
  keep(r, m, (struct str){from, (size_t)(r->scan.p - from)});
  return more;
}

static int read_object(struct reader *r, const struct table *t, unsigned depth, unsigned *ret_seen);

static int object_member(struct reader *r, const struct member *m, int code, unsigned depth)
{
  int c = scan_peek(&r->scan);
  const char *from = r->scan.p;
  unsigned unused;
  if (c != '{' && (m->shape != SHAPE_OBJECT_OR_NULL || c != 'n'))
    return fail(r, code, "A member of the protocol that must be an object is none.");
  int rc = c == '{' && m->inside ? read_object(r, m->inside, depth, &unused)
                                 : scan_value(&r->scan, depth);
  keep(r, m, (struct str){from, (size_t)(r->scan.p - from)});
  return rc;
}

static int read_member(struct reader *r, const struct member *m, int code, unsigned depth)
{
  switch (m->shape) {
  case SHAPE_ANY:
    return scan_value(&r->scan, depth);
  case SHAPE_VERSION:
    return version_member(r);
  case SHAPE_ID:
    return id_member(r, m);
  case SHAPE_TEXT:
    return text_member(r, m, code);
  case SHAPE_TEXTS:
    return texts_member(r, m, code, depth);
  case SHAPE_OBJECT:
  case SHAPE_OBJECT_OR_NULL:
    return object_member(r, m, code, depth);
  }
  return -1;
}

/* The object at the cursor, in DEPTH others; *RET_SEEN has a bit for each member of the table. */
static int read_object(struct reader *r, const struct table *t, unsigned depth, unsigned *ret_seen)
{
  const struct member *m;
  struct scan_text name;
  bool first = true;
  unsigned seen = 0;
  int more;
  if (scan_open(&r->scan, depth) < 0)
    return -1;
  while ((more = scan_more(&r->scan, '}', &first)) > 0) {
    if (scan_name(&r->scan, &name) < 0 || member_of(r, t, &name, &m) < 0)
      return -1;
    unsigned bit = m ? 1u << (m - t->members) : 0;
    if (seen & bit)
      return fail(r, NOT_MESSAGE, "A member of the protocol stands twice.");
    seen |= bit;
    int rc = m ? read_member(r, m, t->code, depth + 1) : scan_value(&r->scan, depth + 1);
    if (rc < 0)
      return -1;
  }
  *ret_seen = seen;
  return more;
}

/* ---- the message */

static int kind_of(struct reader *r, unsigned seen)
{
  bool result = seen & SEEN_RESULT, error = seen & SEEN_ERROR;
  if (!(seen & SEEN_VERSION))
    return fail(r, NOT_MESSAGE, "The JSON-RPC version is missing.");
  if (seen & SEEN_METHOD) {
    if (result || error)
      return fail(r, NOT_MESSAGE, "The message is both a request and a response.");
    if (r->gate.method.n == 0)
      return fail(r, NOT_MESSAGE, "The method is empty.");
    r->gate.kind = seen & SEEN_ID ? GATE_REQUEST : GATE_NOTIFICATION;
    return 0;
  }
  if (result == error)
    return fail(r, NOT_MESSAGE, "The message is neither a request nor a response.");
  if (!(seen & SEEN_ID))
    return fail(r, NOT_MESSAGE, "The response has no id.");
  r->gate.kind = GATE_RESPONSE;
  return 0;
}

static int message(struct reader *r)
{
  int c = scan_peek(&r->scan);
  unsigned seen;
  if (c == '[')
    return fail(r, NOT_MESSAGE, "Batches are not accepted.");
  if (c != '{') {
    int rc = scan_value(&r->scan, 0) < 0 || scan_end(&r->scan) < 0;
    return rc ? -1 : fail(r, NOT_MESSAGE, "The body is not a JSON-RPC message.");
  }
  if (read_object(r, &message_table, 0, &seen) < 0 || scan_end(&r->scan) < 0)
    return -1;
  return kind_of(r, seen);
}

int gate_read(struct str body, struct arena *a, struct gate *ret, struct gate_fault *fault)
{
  struct reader r = {.arena = a};
  scan_init(&r.scan, body);
  const char *begin = r.scan.p;
  if (message(&r) < 0) {
    int code = r.code ? r.code : r.scan.limited ? NOT_MESSAGE : NOT_JSON;
    *fault = (struct gate_fault){code, r.scan.what, (size_t)(r.scan.p - begin)};
    return -1;
  }
  *ret = r.gate;
  return 0;
}
