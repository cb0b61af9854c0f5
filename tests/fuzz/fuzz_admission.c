/* What admission lets pass obeys the rules that the rest relies on, stated here a second time. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "http/admission.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct http_header fields[LIMIT_HEADERS + 20], before[LIMIT_HEADERS + 20];

/* "method target version", then a "name:value" a line. */
static struct admission split(struct str text)
{
  struct admission a = {.headers = fields};
  struct str line = {0}, rest = text;
  if (str_next(&rest, '\n', &line)) {
    str_next(&line, ' ', &a.method);
    str_next(&line, ' ', &a.target);
    a.version = line;
  }
  while (a.n_headers < sizeof fields / sizeof *fields && str_next(&rest, '\n', &line)) {
    size_t colon = str_chr(line, ':');
    fields[a.n_headers++] =
        (struct http_header){str_slice(line, 0, colon), str_slice(line, colon + 1, line.n)};
  }
  memcpy(before, fields, sizeof fields);
  return a;
}

static size_t count(size_t n, const char *name, struct str *ret_value)
{
  size_t found = 0;
  for (size_t i = 0; i < n; i++) {
    if (before[i].name.n != strlen(name) || strncasecmp(before[i].name.p, name, strlen(name)) != 0)
      continue;
    *ret_value = before[i].value;
    found++;
  }
  return found;
}

static void check_framing(const struct admission *a, size_t n)
{
  struct str v;
  size_t lengths = count(n, "Content-Length", &v), codings = count(n, "Transfer-Encoding", &v);
  if (lengths + codings > 1)
    abort();
  if (count(n, "Host", &v) > 1 || (!a->http10 && count(n, "Host", &v) != 1))
    abort();
  if (codings && (a->content_length != -1 || a->http10))
    abort();
  if (!lengths && !codings && a->content_length != 0)
    abort();
  if (a->content_length != 0 && !str_is(a->method, "POST"))
    abort();
}

static void check_kept(const struct admission *a, size_t n)
{
  if (a->n_headers > n || n > LIMIT_HEADERS)
    abort();
  for (size_t i = 0; i < a->n_headers; i++) {
    struct str name = a->headers[i].name, value = a->headers[i].value;
    if (name.n == 0 || memchr(name.p, '_', name.n))
      abort();
    for (size_t k = 0; k < name.n; k++)
      if (!isgraph((unsigned char)name.p[k]) || strchr("\"(),/:;<=>?@[\\]{}", name.p[k]))
        abort();
    for (size_t k = 0; k < value.n; k++)
      if (iscntrl((unsigned char)value.p[k]) && value.p[k] != '\t')
        abort();
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  struct admission a = split((struct str){(const char *)data, size});
  size_t n = a.n_headers;
  const char *why = NULL;
  int status = admission_check(&a, &why);
  if (status != 0) {
    if (why == NULL || status < 400 || status > 599)
      abort();
    return 0;
  }
  check_framing(&a, n);
  check_kept(&a, n);
  return 0;
}
