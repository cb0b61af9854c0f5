/* Finding the one credential of a request.  A second count of the places that have one must agree:
 * two are never one, what is found is of a listed place and of its grammar, and no parameter that
 * carries a credential goes on to the upstream.
 *
 * The first byte of the input says which places the service lists; then the query's line, then
 * "name:value" a line. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "auth/credential.h"
#include "util/cleanup.h"
#include "util/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct config_accept kinds[] = {{ACCEPT_BEARER, NULL},
                                             {ACCEPT_BASIC, NULL},
                                             {ACCEPT_HEADER, "X-API-Key"},
                                             {ACCEPT_QUERY, "token"}};
static const char *forwarded[] = {"token", "room", "q"};

static bool lists(const struct config_service *s, enum accept_kind kind)
{
  for (size_t i = 0; i < s->n_accept; i++)
    if (s->accept[i].kind == kind)
      return true;
  return false;
}

static bool named(struct http_header h, const char *name)
{
  return h.name.n == strlen(name) && strncasecmp(h.name.p, name, h.name.n) == 0;
}

static bool of_scheme(struct http_header h, const char *scheme)
{
  size_t n = strlen(scheme);
  return named(h, "Authorization") && h.value.n >= n && strncasecmp(h.value.p, scheme, n) == 0 &&
         (h.value.n == n || h.value.p[n] == ' ');
}

static size_t count_parameters(struct str query, const char *name)
{
  size_t found = 0, n = strlen(name);
  for (const char *p = query.p, *end = query.p ? query.p + query.n : NULL; p && p < end;) {
    const char *amp = memchr(p, '&', (size_t)(end - p));
    size_t length = (size_t)((amp ? amp : end) - p);
    if (length >= n && memcmp(p, name, n) == 0 && (length == n || p[n] == '='))
      found++;
    p = amp ? amp + 1 : end;
  }
  return found;
}

/* How many listed places have something. */
static size_t count_places(const struct config_service *s, const struct http_header *h, size_t n,
                           struct str query)
{
  size_t found = lists(s, ACCEPT_QUERY) ? count_parameters(query, "token") : 0;
  for (size_t i = 0; i < n; i++) {
    found += lists(s, ACCEPT_BEARER) && of_scheme(h[i], "Bearer");
    found += lists(s, ACCEPT_BASIC) && of_scheme(h[i], "Basic");
    found += lists(s, ACCEPT_HEADER) && named(h[i], "X-API-Key");
  }
  return found;
}

static void check_found(const struct config_service *s, const struct mcpauth_credential *c)
{
  static const enum accept_kind of[] = {[MCPAUTH_FROM_BEARER] = ACCEPT_BEARER,
                                        [MCPAUTH_FROM_BASIC] = ACCEPT_BASIC,
                                        [MCPAUTH_FROM_HEADER] = ACCEPT_HEADER,
                                        [MCPAUTH_FROM_QUERY] = ACCEPT_QUERY};
  if (!lists(s, of[c->source]) || c->value.n == 0 || c->value.n > LIMIT_CREDENTIAL)
    abort();
  const char *p = (const char *)c->value.p;
  if (memchr(p, 0, c->value.n))
    abort();
  if (c->source == MCPAUTH_FROM_BASIC && !memchr(p, ':', c->value.n))
    abort();
  for (size_t i = 0; c->source != MCPAUTH_FROM_BASIC && i < c->value.n; i++)
    if (p[i] <= ' ' || p[i] > '~')
      abort();
}

/* What a URL cannot hold is escaped, each byte by three. */
static void check_escaped(struct str query, struct str out)
{
  if (out.n > 3 * query.n)
    abort();
  for (size_t i = 0; i < out.n; i++)
    if (strchr("\"<>\\^`{|}", out.p[i]) ||
        (out.p[i] == '%' && (i + 2 >= out.n || !isxdigit((unsigned char)out.p[i + 1]) ||
                             !isxdigit((unsigned char)out.p[i + 2]))))
      abort();
}

static void check_forwarded(const struct config_service *s, struct str query, struct str out)
{
  if (lists(s, ACCEPT_QUERY) && count_parameters(out, "token") != 0)
    abort();
  check_escaped(query, out);
  for (size_t i = 0; i < sizeof forwarded / sizeof *forwarded; i++)
    if ((i > 0 || !lists(s, ACCEPT_QUERY)) &&
        count_parameters(out, forwarded[i]) != count_parameters(query, forwarded[i]))
      abort();
  for (struct str pair; out.n && str_next(&out, '&', &pair);) {
    bool known = false;
    for (size_t i = 0; i < sizeof forwarded / sizeof *forwarded; i++)
      known = known || count_parameters(pair, forwarded[i]) == 1;
    if (!known)
      abort();
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (size == 0)
    return 0;
  struct config_accept accept[4];
  struct config_service s = {.accept = accept, .forward_query = {.v = forwarded, .n = 3}};
  for (size_t i = 0; i < 4; i++)
    if (data[0] >> i & 1)
      accept[s.n_accept++] = kinds[i];
  struct str rest = {(const char *)data + 1, size - 1}, query = {NULL, 0}, line;
  str_next(&rest, '\n', &query);
  struct http_header headers[20];
  size_t n = 0;
  bool authorization = false;
  while (n < 20 && str_next(&rest, '\n', &line)) {
    size_t colon = str_chr(line, ':');
    headers[n] =
        (struct http_header){str_slice(line, 0, colon), str_slice(line, colon + 1, line.n)};
    authorization = authorization || named(headers[n], "Authorization");
    n++;
  }
  struct arena *arena = arena_new(1 << 20);
  struct mcpauth_credential got = {0};
  enum credential_status status = credential_find(&s, headers, n, query, arena, &got);
  size_t places = count_places(&s, headers, n, query);
  if (places > 1 ? status != CREDENTIAL_SEVERAL : status == CREDENTIAL_SEVERAL)
    abort();
  if ((places == 1) != (status == CREDENTIAL_FOUND || status == CREDENTIAL_MALFORMED) && places < 2)
    abort();
  if (places == 0 && status != (authorization ? CREDENTIAL_FOREIGN : CREDENTIAL_NONE))
    abort();
  if (status == CREDENTIAL_FOUND)
    check_found(&s, &got);
  check_forwarded(&s, query, credential_forward_query(&s, query, arena));
  arena_free(arena);
  return 0;
}
