/* The list filter's way through a JSON document; see list.h.
 *
 * A machine that takes bytes as they come, one bit a level.  It calls `begins` and `ends` around
 * every value; they know the four places that matter: result, its lists, their items, cacheScope.
 * Bytes are handed on in runs: `flush` moves what was read since the last change of mode. */
#include "mcp/list.h"

#include <string.h>

#include "mcp/gate.h"
#include "mcp/scan.h"
#include "util/base64url.h"

enum { TOKEN_MAX = 256, KEEP = 4096 };

/* The bytes being read, and how many of them were handed on. */
struct run {
  struct str bytes;
  size_t done;
  bool real;
};

void list_init(struct list *l, bool sse, list_show_fn *show, void *arg)
{
  *l = (struct list){.show = show, .arg = arg, .sse = sse, .comma = SIZE_MAX};
  buf_init(&l->out, SIZE_MAX / 2);
  buf_init(&l->token, TOKEN_MAX);
  buf_init(&l->held, LIMIT_LIST_ITEM);
  buf_init(&l->item, LIMIT_LIST_ITEM);
  buf_init(&l->frame, LIMIT_LIST_ITEM);
}

void list_done(struct list *l)
{
  buf_done(&l->out);
  buf_done(&l->token);
  buf_done(&l->held);
  buf_done(&l->item);
  buf_done(&l->frame);
}

int list_fail(struct list *l, const char *what)
{
  if (l->what == NULL)
    l->what = what;
  return -1;
}

/* ---- handing bytes on */

static void flush(struct list *l, struct run *r, size_t upto)
{
  struct str part = str_slice(r->bytes, r->done, upto);
  r->done = upto;
  if (l->in_item)
    buf_str(&l->item, part);
  if (!r->real)
    return;
  if (l->mode == LIST_HOLD)
    buf_str(&l->held, part);
  else if (l->mode == LIST_PASS)
    buf_str(&l->out, part);
}

void list_frame(struct list *l, struct str bytes)
{
  if (l->mode != LIST_HOLD) {
    buf_str(&l->out, bytes);
    return;
  }
  buf_str(&l->held, bytes);
  buf_str(&l->frame, bytes);
}

static void forget(struct buf *b)
{
  if (b->cap > KEEP)
    buf_done(b);
  else
    buf_clear(b);
}

static void release(struct list *l)
{
  buf_clear(&l->held);
  buf_clear(&l->item);
  buf_clear(&l->frame);
  l->comma = SIZE_MAX;
}

/* ---- items */

static const char *const item_pointers[] = {[LIST_TOOLS] = "/name",
                                            [LIST_PROMPTS] = "/name",
                                            [LIST_RESOURCES] = "/uri",
                                            [LIST_TEMPLATES] = "/uriTemplate"};

/* RAW, which has escapes, decoded to OUT of LIMIT_ITEM bytes; .p NULL when it is longer. */
static struct str decode(struct str raw, char *out)
{
  struct str text = {NULL, 0};
  char c[4];
  bool plain = true;
  for (size_t n; (n = scan_char(&raw, c, &plain)); text.n += n) {
    if (n > LIMIT_ITEM - text.n)
      return (struct str){NULL, 0};
    memcpy(out + text.n, c, n);
  }
  text.p = out;
  return text;
}

static bool shown_escaped(struct list *l, struct str raw)
{
  char text[LIMIT_ITEM];
  struct str name = decode(raw, text);
  return name.p && l->show(l->arg, l->kind, name);
}

static bool shown(struct list *l)
{
  struct gate_value v = gate_at(buf_view(&l->item), str_of(item_pointers[l->kind]));
  if (v.type != GATE_TEXT)
    return false;
  struct str name = str_slice(v.raw, 1, v.raw.n - 1);
  if (str_chr(name, '\\') < name.n)
    return shown_escaped(l, name);
  return name.n <= LIMIT_ITEM && l->show(l->arg, l->kind, name);
}

/* The item in hand is whole. */
static void decide(struct list *l)
{
  struct str held = buf_view(&l->held);
  l->in_item = false;
  if (!shown(l)) {
    buf_str(&l->out, buf_view(&l->frame));
  } else if (l->kept || l->comma == SIZE_MAX) {
    buf_str(&l->out, held);
    l->kept = true;
  } else { /* the first that is kept has nothing before it to be separated from */
    buf_str(&l->out, str_slice(held, 0, l->comma));
    buf_str(&l->out, str_slice(held, l->comma + 1, held.n));
    l->kept = true;
  }
  release(l);
}

/* ---- places */

static bool in_object(const struct list *l)
{
  unsigned level = l->depth - 1;
  return l->objects[level / 64] >> level % 64 & 1;
}

/* Whether the names of the object that is open may matter. */
static bool names_matter(const struct list *l)
{
  return l->depth == l->message_depth || l->depth == l->result_depth;
}

static const struct {
  struct str name;
  enum list_member member;
  enum list_kind kind;
} result_members[] = {
    {STR_INIT("tools"), LIST_ITEMS, LIST_TOOLS},
    {STR_INIT("prompts"), LIST_ITEMS, LIST_PROMPTS},
    {STR_INIT("resources"), LIST_ITEMS, LIST_RESOURCES},
    {STR_INIT("resourceTemplates"), LIST_ITEMS, LIST_TEMPLATES},
    {STR_INIT("cacheScope"), LIST_SCOPE, LIST_NONE},
};

/* The name in l->token, with its quotes, is whole. */
static int member_named(struct list *l)
{
  char folded[SCAN_NAME_MAX];
  bool plain = true, whole;
  struct scan s;
  struct scan_text t;
  l->member = LIST_OTHER;
  if (l->token.failed) /* longer than any that matters */
    return 0;
  scan_init(&s, buf_view(&l->token));
  if (scan_string(&s, &t) < 0)
    return list_fail(l, s.what);
  struct str name = {folded, scan_decode(t.raw, true, folded, &plain, &whole)};
  if (!whole)
    return 0;
  if (l->depth == l->message_depth) {
    l->member = str_iis(name, "result") ? LIST_RESULT : LIST_OTHER;
    return 0;
  }
  for (size_t i = 0; i < sizeof result_members / sizeof result_members[0]; i++)
    if (str_ieq(name, result_members[i].name)) {
      l->kind = result_members[i].kind;
      l->member = result_members[i].member;
      if (l->member == LIST_ITEMS && l->show == NULL)
        l->member = LIST_OTHER;
    }
  return 0;
}

/* A value begins with C at AT. */
static int begins(struct list *l, struct run *r, size_t at, char c)
{
  bool opens = c == '{' || c == '[';
  if (l->depth == 0)
    l->message_depth = c == '[' ? 2 : 1;
  if (l->items_depth && l->depth == l->items_depth) {
    flush(l, r, at);
    l->in_item = true;
  } else if (l->member == LIST_SCOPE) {
    if (opens)
      return list_fail(l, "cacheScope is not a string");
    flush(l, r, at);
    l->mode = LIST_DROP;
  } else if (l->member == LIST_ITEMS && c != '[' && c != 'n') {
    return list_fail(l, "a list is not an array");
  }
  return 0;
}

/* A value ended before AT. */
static int ends(struct list *l, struct run *r, size_t at)
{
  l->state = LIST_AFTER;
  l->member = LIST_OTHER;
  if (l->in_item && l->depth == l->items_depth) {
    flush(l, r, at);
    if (l->held.failed || l->item.failed || l->frame.failed)
      return list_fail(l, "an item of a list is too long");
    decide(l);
  } else if (l->mode == LIST_DROP) {
    flush(l, r, at);
    l->mode = LIST_PASS;
    buf_puts(&l->out, "\"private\"");
  }
  return 0;
}

static int opens(struct list *l, struct run *r, size_t at, char c)
{
  bool object = c == '{';
  unsigned level = l->depth++;
  if (level >= LIMIT_LIST_DEPTH)
    return list_fail(l, "the reply is nested too deep");
  uint64_t bit = UINT64_C(1) << level % 64;
  l->objects[level / 64] = object ? l->objects[level / 64] | bit : l->objects[level / 64] & ~bit;
  l->state = object ? LIST_FIRST_NAME : LIST_FIRST_ELEMENT;
  if (l->member == LIST_RESULT && object) {
    l->result_depth = l->depth;
  } else if (l->member == LIST_ITEMS) {
    flush(l, r, at + 1);
    l->items_depth = l->depth;
    l->mode = LIST_HOLD;
    l->kept = false;
  }
  l->member = LIST_OTHER;
  return 0;
}

/* The container that C closes, at AT. */
static int closes(struct list *l, struct run *r, size_t at, char c)
{
  if (l->depth == 0 || c != (in_object(l) ? '}' : ']'))
    return list_fail(l, "the reply's brackets do not match");
  if (l->depth == l->items_depth) { /* white space behind the last item */
    flush(l, r, at);
    buf_str(&l->out, buf_view(&l->held));
    release(l);
    l->mode = LIST_PASS;
    l->items_depth = 0;
  }
  if (l->depth == l->result_depth)
    l->result_depth = 0;
  l->depth--;
  return ends(l, r, at + 1);
}

/* ---- the machine: one function a state, which takes the byte at AT and says how many it took */

static bool blank(char c)
{
  return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static void string_begins(struct list *l, bool is_name)
{
  l->state = LIST_STRING;
  l->is_name = is_name;
  buf_clear(&l->token);
  if (is_name && names_matter(l))
    buf_putc(&l->token, '"');
}

static int value(struct list *l, struct run *r, size_t at, char c)
{
  if (c == ']' && l->state == LIST_FIRST_ELEMENT)
    return closes(l, r, at, c);
  if (begins(l, r, at, c) < 0)
    return -1;
  if (c == '{' || c == '[')
    return opens(l, r, at, c);
  if (c == '"') {
    string_begins(l, false);
    return 0;
  }
  l->state = LIST_SCALAR;
  buf_clear(&l->token);
  return buf_putc(&l->token, c);
}

static int after(struct list *l, struct run *r, size_t at, char c)
{
  if (c != ',')
    return closes(l, r, at, c);
  if (l->depth == 0)
    return list_fail(l, "bytes follow the reply");
  l->state = in_object(l) ? LIST_NAME : LIST_VALUE;
  if (l->depth == l->items_depth) {
    flush(l, r, at);
    l->comma = l->held.n;
  }
  return 0;
}

static int between(struct list *l, struct run *r, size_t at, char c)
{
  switch (l->state) {
  case LIST_VALUE:
  case LIST_FIRST_ELEMENT:
    return value(l, r, at, c);
  case LIST_FIRST_NAME:
    if (c == '}')
      return closes(l, r, at, c);
    __attribute__((fallthrough));
  case LIST_NAME:
    if (c != '"')
      return list_fail(l, "a member's name is missing");
    string_begins(l, true);
    return 0;
  case LIST_COLON:
    l->state = LIST_VALUE;
    return c == ':' ? 0 : list_fail(l, "a colon is missing");
  case LIST_AFTER:
    return after(l, r, at, c);
  case LIST_STRING:
  case LIST_ESCAPE:
  case LIST_HEX:
  case LIST_SCALAR:
    break;
  }
  return list_fail(l, "the filter lost its way");
}

/* Inside a string, up to the next byte that matters.  Returns where it stopped; SIZE_MAX: failed.
 */
static size_t string(struct list *l, struct run *r, size_t at)
{
  const char *from = r->bytes.p + at;
  size_t n = (size_t)(scan_text_end(from, r->bytes.p + r->bytes.n) - from);
  if (l->token.n) /* a name that may matter */
    buf_add(&l->token, from, n);
  at += n;
  if (at == r->bytes.n)
    return at;
  char c = r->bytes.p[at++];
  if (l->token.n)
    buf_putc(&l->token, c);
  if (c == '\\') {
    l->state = LIST_ESCAPE;
    return at;
  }
  if (c != '"')
    return list_fail(l, "a string contains a control character"), SIZE_MAX;
  if (!l->is_name)
    return ends(l, r, at) < 0 ? SIZE_MAX : at;
  l->state = LIST_COLON;
  l->member = LIST_OTHER;
  return l->token.n && member_named(l) < 0 ? SIZE_MAX : at;
}

static int escape(struct list *l, char c)
{
  if (l->token.n)
    buf_putc(&l->token, c);
  if (l->state == LIST_ESCAPE) {
    if (c == 0 || strchr("\"\\/bfnrtu", c) == NULL)
      return list_fail(l, "a string has a malformed escape");
    l->hex = c == 'u' ? 4 : 0;
  } else {
    if (hex_digit(c) < 0)
      return list_fail(l, "a string has a malformed escape");
    l->hex--;
  }
  l->state = l->hex ? LIST_HEX : LIST_STRING;
  return 0;
}

static bool of_scalar(char c)
{
  return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '+' ||
         c == '-' || c == '.';
}

/* The number or word before AT is whole. */
static int scalar_ends(struct list *l, struct run *r, size_t at)
{
  struct scan s;
  if (l->token.failed)
    return list_fail(l, "a number is too long");
  scan_init(&s, buf_view(&l->token));
  if (scan_value(&s, 0) < 0 || scan_end(&s) < 0)
    return list_fail(l, "a value is malformed");
  return ends(l, r, at);
}

/* Takes the byte at AT, or more; returns where it stopped, SIZE_MAX when the reply is malformed. */
static size_t step(struct list *l, struct run *r, size_t at)
{
  char c = r->bytes.p[at];
  if (l->state == LIST_STRING)
    return string(l, r, at);
  if (l->state == LIST_ESCAPE || l->state == LIST_HEX)
    return escape(l, c) < 0 ? SIZE_MAX : at + 1;
  if (l->state == LIST_SCALAR) {
    if (!of_scalar(c))
      return scalar_ends(l, r, at) < 0 ? SIZE_MAX : at;
    buf_putc(&l->token, c);
    return at + 1;
  }
  if (blank(c))
    return at + 1;
  return between(l, r, at, c) < 0 ? SIZE_MAX : at + 1;
}

int list_json(struct list *l, struct str bytes, bool real)
{
  struct run r = {bytes, 0, real};
  for (size_t at = 0; at < bytes.n;) {
    at = step(l, &r, at);
    if (at == SIZE_MAX)
      return list_fail(l, "out of memory");
  }
  flush(l, &r, bytes.n);
  if (l->held.failed || l->item.failed || l->frame.failed)
    return list_fail(l, "an item of a list is too long");
  return 0;
}

int list_json_end(struct list *l)
{
  struct run nothing = {STR(""), 0, true};
  if (l->state == LIST_SCALAR && l->depth == 0 && scalar_ends(l, &nothing, 0) < 0)
    return -1;
  bool whole = l->state == LIST_AFTER && l->depth == 0;
  l->state = LIST_VALUE;
  l->member = LIST_OTHER;
  forget(&l->held);
  forget(&l->item);
  forget(&l->frame);
  return whole ? 0 : list_fail(l, "the reply is cut off");
}

/* ---- the whole */

int list_feed(struct list *l, struct str bytes, struct str *ret)
{
  buf_clear(&l->out);
  if (l->what)
    return -1;
  int rc = l->sse ? list_sse(l, bytes) : list_json(l, bytes, true);
  if (rc < 0 || l->out.failed)
    return list_fail(l, "out of memory");
  *ret = buf_view(&l->out);
  return 0;
}

int list_end(struct list *l)
{
  if (l->what)
    return -1;
  bool empty = l->state == LIST_VALUE && l->depth == 0;
  return l->sse || empty ? 0 : list_json_end(l);
}

void list_idle(struct list *l)
{
  forget(&l->out);
}
