/* Round trip: whatever goes in, the header reads back as exactly the parameters that could stand
 * there, by a reader of quoted-strings written here. */
#include <stdlib.h>
#include <string.h>

#include "http/challenge.h"
#include "http/headers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool truth)
{
  if (!truth)
    abort();
}

/* Reads `name="value"` from *Z. */
static void read_parameter(const char **z, const char *name, const char *value)
{
  size_t n = strlen(name);
  must(strncmp(*z, name, n) == 0 && strncmp(*z + n, "=\"", 2) == 0);
  *z += n + 2;
  n = strlen(value);
  must(strncmp(*z, value, n) == 0 && (*z)[n] == '"' && !memchr(value, '"', n));
  *z += n + 1;
  if (**z)
    must(strncmp(*z, ", ", 2) == 0);
  if (**z)
    *z += 2;
}

static bool readable(const char *z)
{
  if (z == NULL || !*z)
    return false;
  for (; *z; z++)
    if ((unsigned char)*z <= 0x20 || (unsigned char)*z >= 0x7f || strchr("\"\\", *z))
      return false;
  return true;
}

static void check(const struct challenge *c, const char *text)
{
  must(header_value(str_of(text)));
  must(strncmp(text, "Bearer", 6) == 0);
  const char *z = text + 6;
  if (*z)
    must(*z++ == ' ');
  if (readable(c->error))
    read_parameter(&z, "error", c->error);
  char scopes[4096] = "";
  bool all = c->n_scopes > 0;
  for (size_t i = 0; i < c->n_scopes; i++) {
    all = all && readable(c->scopes[i]);
    strcat(scopes, i ? " " : "");
    strcat(scopes, c->scopes[i]);
  }
  if (all)
    read_parameter(&z, "scope", scopes);
  if (readable(c->resource_metadata))
    read_parameter(&z, "resource_metadata", c->resource_metadata);
  must(*z == 0);
}

/* Lines of the input: error, resource_metadata, then scopes; an empty line is NULL for the first
 * two. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  char text[2048];
  const char *lines[18] = {0};
  size_t n = 0;
  if (size >= sizeof text)
    return 0;
  memcpy(text, data, size);
  text[size] = 0;
  for (char *line = text, *next; line && n < 18; line = next) {
    next = strchr(line, '\n');
    if (next)
      *next++ = 0;
    lines[n++] = line;
  }
  struct challenge c = {.error = lines[0], .scopes = lines + 2, .resource_metadata = lines[1]};
  c.n_scopes = n > 2 ? n - 2 : 0;
  struct buf out;
  buf_init(&out, 1 << 16);
  must(challenge_format(&out, &c) == 0);
  check(&c, out.p);
  buf_done(&out);
  return 0;
}
