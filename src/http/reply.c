/* Reply heads; see reply.h. */
#include "http/reply.h"

#include "http/headers.h"

void reply_init(struct reply *r)
{
  *r = (struct reply){.length = -1};
  buf_init(&r->fields, LIMIT_UPSTREAM_HEADERS);
}

void reply_done(struct reply *r)
{
  buf_done(&r->fields);
  reply_init(r);
}

static enum reply_step bad(const char **why, const char *what)
{
  *why = what;
  return REPLY_BAD;
}

/* "HTTP/1.1 200 OK", "HTTP/2 200 ". */
static enum reply_step status_line(struct reply *r, struct str line, const char **why)
{
  struct str version;
  uint64_t status;
  str_next(&line, ' ', &version);
  if (line.p == NULL || !str_u64(str_slice(line, 0, 3), 599, &status) || status < 100 ||
      (line.n > 3 && line.p[3] != ' '))
    return bad(why, "malformed status line");
  r->status = (int)status;
  return REPLY_MORE;
}

/* The fields that frame the body: one reading only. */
static const char *framing(struct reply *r, struct str name, struct str value)
{
  uint64_t n;
  if (str_iis(name, "Content-Length")) {
    if (r->length >= 0 || !str_u64(value, INT64_MAX, &n))
      return "bad or repeated Content-Length";
    r->length = (int64_t)n;
  } else if (str_iis(name, "Transfer-Encoding")) {
    if (r->chunked || !str_iis(value, "chunked"))
      return "a Transfer-Encoding other than chunked";
    r->chunked = true;
  } else if (str_iis(name, "Content-Encoding")) {
    return str_iis(value, "identity") ? NULL : "a Content-Encoding that nobody asked for";
  } else if (str_iis(name, "Content-Type")) {
    if (r->media_type)
      return "repeated Content-Type";
    r->media_type = true;
  }
  return NULL;
}

static enum reply_step field(struct reply *r, struct str line, const char **why)
{
  size_t colon = str_chr(line, ':');
  struct str name = str_slice(line, 0, colon);
  struct str value = str_trim(str_slice(line, colon + 1, line.n));
  if (colon == line.n || !header_token(name) || !header_value(value))
    return bad(why, "malformed header field");
  if (++r->n > LIMIT_HEADERS)
    return bad(why, "too many header fields");
  const char *wrong = framing(r, name, value);
  if (wrong)
    return bad(why, wrong);
  buf_str(&r->fields, name);
  buf_putc(&r->fields, '\n');
  buf_str(&r->fields, value);
  buf_putc(&r->fields, '\n');
  return r->fields.failed ? bad(why, "header fields are too large") : REPLY_MORE;
}

static enum reply_step head_end(struct reply *r, const char **why)
{
  size_t bytes = r->bytes;
  if (r->status == 0)
    return bad(why, "no status line");
  if (r->status == 101)
    return bad(why, "switched to a protocol that nobody asked for");
  if (r->status < 200) {
    reply_done(r);
    r->bytes = bytes;
    return REPLY_MORE;
  }
  if (r->chunked && r->length >= 0)
    return bad(why, "both Content-Length and Transfer-Encoding");
  if (r->status == 204 || r->status == 304)
    r->length = 0;
  r->complete = true;
  return REPLY_HEAD;
}

enum reply_step reply_line(struct reply *r, struct str line, const char **why)
{
  if (line.n > LIMIT_UPSTREAM_HEADERS - r->bytes)
    return bad(why, "header fields are too large");
  r->bytes += line.n;
  if (r->complete)
    return REPLY_MORE;
  if (line.n && line.p[line.n - 1] == '\n')
    line.n--;
  if (line.n && line.p[line.n - 1] == '\r')
    line.n--;
  if (line.n == 0)
    return head_end(r, why);
  if (r->status)
    return field(r, line, why);
  return str_starts(line, "HTTP/") ? status_line(r, line, why) : bad(why, "no status line");
}

size_t reply_fields(const struct reply *r, struct http_header *out)
{
  struct str rest = buf_view(&r->fields);
  size_t n = 0;
  while (n < r->n && str_next(&rest, '\n', &out[n].name) && str_next(&rest, '\n', &out[n].value))
    n++;
  return n;
}
