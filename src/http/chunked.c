/* The chunked coding; see chunked.h. */
#include "http/chunked.h"

#include <string.h>

#include "util/base64url.h"
#include "util/limits.h"

enum { DIGITS_MAX = 15 };

static bool visible(char c)
{
  return ((unsigned char)c >= ' ' && c != 0x7f) || c == '\t';
}

static void refuse(struct chunked *c, const char *what)
{
  c->bad = what;
}

static void size_byte(struct chunked *c, char byte)
{
  int digit = hex_digit(byte);
  if (digit >= 0 && c->digits < DIGITS_MAX) {
    c->left = c->left * 16 + (unsigned)digit;
    c->digits++;
  } else if (c->digits == 0 || digit >= 0) {
    refuse(c, "malformed chunk size");
  } else if (byte == '\r') {
    c->state = CHUNKED_SIZE_LF;
  } else if (byte == ';' || byte == ' ' || byte == '\t') {
    c->state = CHUNKED_EXTENSION;
  } else {
    refuse(c, "malformed chunk size");
  }
}

/* Bytes that nobody reads: extensions, trailers.  Their line ends with CR LF. */
static void ignored_byte(struct chunked *c, char byte, enum chunked_state at_cr)
{
  if (byte == '\r')
    c->state = at_cr;
  else if (!visible(byte))
    refuse(c, "control byte in a chunk's line");
  else if (++c->ignored > LIMIT_UPSTREAM_HEADERS)
    refuse(c, "chunk extensions and trailers are too large");
}

static void size_end(struct chunked *c)
{
  c->digits = 0;
  c->state = c->left ? CHUNKED_DATA : CHUNKED_TRAILER;
}

static void expect(struct chunked *c, char byte, char wanted, enum chunked_state next)
{
  if (byte == wanted)
    c->state = next;
  else
    refuse(c, "a chunk does not end where it should");
}

static void control_byte(struct chunked *c, char byte)
{
  switch (c->state) {
  case CHUNKED_SIZE:
    size_byte(c, byte);
    break;
  case CHUNKED_EXTENSION:
    ignored_byte(c, byte, CHUNKED_SIZE_LF);
    break;
  case CHUNKED_SIZE_LF:
    expect(c, byte, '\n', CHUNKED_SIZE_LF);
    size_end(c);
    break;
  case CHUNKED_DATA_CR:
    expect(c, byte, '\r', CHUNKED_DATA_LF);
    break;
  case CHUNKED_DATA_LF:
    expect(c, byte, '\n', CHUNKED_SIZE);
    break;
  case CHUNKED_TRAILER:
    c->state = CHUNKED_FIELD;
    ignored_byte(c, byte, CHUNKED_LAST_LF);
    break;
  case CHUNKED_FIELD:
    ignored_byte(c, byte, CHUNKED_FIELD_LF);
    break;
  case CHUNKED_FIELD_LF:
    expect(c, byte, '\n', CHUNKED_TRAILER);
    break;
  case CHUNKED_LAST_LF:
    expect(c, byte, '\n', CHUNKED_DONE);
    break;
  case CHUNKED_DATA:
  case CHUNKED_DONE:
    break;
  }
}

size_t chunked_decode(struct chunked *c, char *p, size_t n, size_t *ret_data)
{
  size_t used = 0, data = 0;
  while (used < n && c->state != CHUNKED_DONE && c->bad == NULL) {
    if (c->state != CHUNKED_DATA) {
      control_byte(c, p[used++]);
      continue;
    }
    size_t part = n - used < c->left ? n - used : (size_t)c->left;
    memmove(p + data, p + used, part);
    data += part;
    used += part;
    c->left -= part;
    if (c->left == 0)
      c->state = CHUNKED_DATA_CR;
  }
  *ret_data = data;
  return used;
}
