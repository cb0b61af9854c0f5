/* The list filter's way through an event stream; see list.h.
 *
 * The data of every event that is a message, or may yet become one, goes through the JSON machine;
 * everything else of the stream is framing and passes.  Lines end in LF, CRLF or CR, as in sse.c;
 * the data of an event may stand in several lines. */
#include <string.h>

#include "mcp/list.h"

static bool word_is(const struct list *l, const char *word)
{
  size_t n = strlen(word);
  return l->line.n == n && memcmp(l->line.word, word, n) == 0;
}

/* Keeps the first bytes of a field's name or of a type; counts all. */
static void word_add(struct list *l, char c)
{
  if (l->line.n < sizeof l->line.word)
    l->line.word[l->line.n] = c;
  l->line.n++;
}

/* A line of data begins. */
static int data_begins(struct list *l)
{
  bool more = l->line.have_data;
  l->line.have_data = true;
  l->line.passed |= l->line.foreign;
  if (more && !l->line.plain && !l->line.foreign)
    return list_json(l, STR("\n"), false);
  return 0;
}

/* The colon, or the end, of a field's name. */
static int field_begins(struct list *l)
{
  bool data = word_is(l, "data"), type = word_is(l, "event");
  l->line.at = data ? SSE_DATA_SPACE : type ? SSE_TYPE_SPACE : SSE_REST;
  l->line.n = 0;
  return data ? data_begins(l) : 0;
}

static int type_ends(struct list *l)
{
  l->line.foreign = l->line.n && !word_is(l, "message");
  if (!l->line.foreign && l->line.passed)
    return list_fail(l, "an event calls itself something else first, then a message");
  return 0;
}

/* A blank line: the event, if there is one, is over. */
static int event_ends(struct list *l)
{
  bool json = l->line.have_data && l->began;
  l->line.have_data = l->line.foreign = l->line.passed = l->line.plain = false;
  l->began = false;
  return json ? list_json_end(l) : 0;
}

static int line_ends(struct list *l)
{
  int rc = 0;
  if (l->line.at == SSE_NAME)
    rc = l->line.n == 0 ? event_ends(l) : field_begins(l);
  if (rc == 0 && (l->line.at == SSE_TYPE || l->line.at == SSE_TYPE_SPACE))
    rc = type_ends(l);
  l->line.started = true;
  l->line.at = SSE_NAME;
  l->line.n = 0;
  return rc;
}

/* Data that is no JSON object or array is none of ours: an endpoint, an empty priming event. */
static int data(struct list *l, struct str bytes)
{
  size_t i = 0;
  while (!l->began && i < bytes.n && (bytes.p[i] == ' ' || bytes.p[i] == '\t'))
    i++;
  if (!l->began && i < bytes.n && !l->line.plain && !l->line.foreign) {
    l->line.plain = bytes.p[i] != '{' && bytes.p[i] != '[';
    l->began = !l->line.plain;
  }
  if (!l->began || l->line.foreign || l->line.plain) {
    list_frame(l, bytes);
    return 0;
  }
  return list_json(l, bytes, true);
}

static bool bom(const struct list *l)
{
  return !l->line.started && l->line.n == 3 && memcmp(l->line.word, "\xef\xbb\xbf", 3) == 0;
}

/* One byte behind the colon of data or event: a space there belongs to neither. */
static int value_begins(struct list *l, struct str one)
{
  bool type = l->line.at == SSE_TYPE_SPACE, space = one.p[0] == ' ';
  l->line.at = type ? SSE_TYPE : SSE_DATA;
  if (!type && !space)
    return data(l, one);
  if (!space)
    word_add(l, one.p[0]);
  list_frame(l, one);
  return 0;
}

/* One byte that is not inside data. */
static int framing(struct list *l, struct str one)
{
  char c = one.p[0];
  bool of_crlf = l->line.after_cr && c == '\n', ends = c == '\n' || c == '\r';
  l->line.after_cr = c == '\r';
  if (!ends && (l->line.at == SSE_DATA_SPACE || l->line.at == SSE_TYPE_SPACE))
    return value_begins(l, one);
  list_frame(l, one);
  if (of_crlf)
    return 0; /* the line has ended already */
  if (ends)
    return line_ends(l);
  if (l->line.at == SSE_NAME && c == ':')
    return field_begins(l);
  if (l->line.at != SSE_REST)
    word_add(l, c);
  if (l->line.at == SSE_NAME && bom(l)) {
    l->line.started = true;
    l->line.n = 0;
  }
  return 0;
}

/* The end of the line that begins in BYTES, or the end of BYTES. */
static size_t line_length(struct str bytes)
{
  size_t lf = str_chr(bytes, '\n');
  return str_chr(str_slice(bytes, 0, lf), '\r');
}

int list_sse(struct list *l, struct str bytes)
{
  int rc = 0;
  while (bytes.n && rc == 0) {
    bool in_data = l->line.at == SSE_DATA;
    size_t n = in_data || l->line.at == SSE_REST ? line_length(bytes) : 0;
    if (n == 0)
      rc = framing(l, str_slice(bytes, 0, n = 1));
    else if (in_data)
      rc = data(l, str_slice(bytes, 0, n));
    else
      list_frame(l, str_slice(bytes, 0, n));
    bytes = str_slice(bytes, n, bytes.n);
  }
  return rc;
}
