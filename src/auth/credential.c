/* One credential, from listed places only; see credential.h. */
#include "auth/credential.h"

#include <openssl/evp.h>
#include <string.h>

#include "util/base64url.h"
#include "util/limits.h"

/* RFC 6750 section 2.1: 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"=" */
static bool b64token(struct str s)
{
  static const bool word[256] = {
      ['-'] = 1, ['.'] = 1, ['_'] = 1, ['~'] = 1, ['+'] = 1, ['/'] = 1, ['0'] = 1, ['1'] = 1,
      ['2'] = 1, ['3'] = 1, ['4'] = 1, ['5'] = 1, ['6'] = 1, ['7'] = 1, ['8'] = 1, ['9'] = 1,
      ['A'] = 1, ['B'] = 1, ['C'] = 1, ['D'] = 1, ['E'] = 1, ['F'] = 1, ['G'] = 1, ['H'] = 1,
      ['I'] = 1, ['J'] = 1, ['K'] = 1, ['L'] = 1, ['M'] = 1, ['N'] = 1, ['O'] = 1, ['P'] = 1,
      ['Q'] = 1, ['R'] = 1, ['S'] = 1, ['T'] = 1, ['U'] = 1, ['V'] = 1, ['W'] = 1, ['X'] = 1,
      ['Y'] = 1, ['Z'] = 1, ['a'] = 1, ['b'] = 1, ['c'] = 1, ['d'] = 1, ['e'] = 1, ['f'] = 1,
      ['g'] = 1, ['h'] = 1, ['i'] = 1, ['j'] = 1, ['k'] = 1, ['l'] = 1, ['m'] = 1, ['n'] = 1,
      ['o'] = 1, ['p'] = 1, ['q'] = 1, ['r'] = 1, ['s'] = 1, ['t'] = 1, ['u'] = 1, ['v'] = 1,
      ['w'] = 1, ['x'] = 1, ['y'] = 1, ['z'] = 1,
  };
  size_t i = 0;
  while (i < s.n && word[(unsigned char)s.p[i]])
    i++;
  if (i == 0)
    return false;
  while (i < s.n && s.p[i] == '=')
    i++;
  return i == s.n && s.n <= LIMIT_CREDENTIAL;
}

static bool visible(struct str s)
{
  for (size_t i = 0; i < s.n; i++)
    if (s.p[i] <= 0x20 || s.p[i] >= 0x7f)
      return false;
  return s.n > 0 && s.n <= LIMIT_CREDENTIAL;
}

static struct mcpauth_bytes bytes(struct str s)
{
  return (struct mcpauth_bytes){s.p, s.n};
}

static enum credential_status found(struct mcpauth_credential *ret, enum mcpauth_source source,
                                    const char *name, struct str value)
{
  *ret = (struct mcpauth_credential){source, name, bytes(value)};
  return CREDENTIAL_FOUND;
}

/* Whether TEXT is how IN is written, to the last bit: the decoder takes "-" for an end and ignores
 * what is behind it, and one password must not have two spellings. */
static bool canonical(struct str text, const unsigned char *in, int n, struct arena *arena)
{
  unsigned char *again = arena_alloc(arena, text.n + 1);
  return again && EVP_EncodeBlock(again, in, n) == (int)text.n &&
         memcmp(again, text.p, text.n) == 0;
}

/* RFC 7617: base64 of user:password.  Padding is required, other characters are refused. */
static enum credential_status basic(struct str text, struct arena *arena,
                                    struct mcpauth_credential *ret)
{
  if (!b64token(text) || text.n % 4)
    return CREDENTIAL_MALFORMED;
  unsigned char *out = arena_alloc(arena, text.n / 4 * 3 + 1);
  int n = out ? EVP_DecodeBlock(out, (const unsigned char *)text.p, (int)text.n) : -1;
  if (n < 0)
    return CREDENTIAL_MALFORMED;
  for (size_t i = text.n; i > 0 && text.p[i - 1] == '='; i--)
    n--;
  if (n <= 0 || !canonical(text, out, n, arena))
    return CREDENTIAL_MALFORMED;
  struct str pair = {(const char *)out, (size_t)n};
  if (str_chr(pair, ':') == pair.n || str_chr(pair, 0) != pair.n || !str_utf8(pair))
    return CREDENTIAL_MALFORMED;
  return found(ret, MCPAUTH_FROM_BASIC, "", pair);
}

/* The Authorization header against one accepted scheme; NONE when it is of another. */
static enum credential_status authorization(enum accept_kind kind, struct str value,
                                            struct arena *arena, struct mcpauth_credential *ret)
{
  size_t end = str_chr(value, ' ');
  struct str scheme = str_slice(value, 0, end), rest = str_slice(value, end + 1, value.n);
  if (!str_iis(scheme, kind == ACCEPT_BEARER ? "Bearer" : "Basic"))
    return CREDENTIAL_NONE;
  if (kind == ACCEPT_BASIC)
    return basic(rest, arena, ret);
  if (!b64token(rest))
    return CREDENTIAL_MALFORMED;
  return found(ret, MCPAUTH_FROM_BEARER, "", rest);
}

static enum credential_status from_headers(const struct config_accept *a,
                                           const struct http_header *headers, size_t n,
                                           struct arena *arena, struct mcpauth_credential *ret)
{
  enum credential_status status = CREDENTIAL_NONE;
  bool own = a->kind == ACCEPT_HEADER;
  for (size_t i = 0; i < n; i++) {
    if (!str_iis(headers[i].name, own ? a->name : "Authorization"))
      continue;
    enum credential_status now;
    if (!own)
      now = authorization(a->kind, headers[i].value, arena, ret);
    else if (visible(headers[i].value))
      now = found(ret, MCPAUTH_FROM_HEADER, a->name, headers[i].value);
    else
      now = CREDENTIAL_MALFORMED;
    if (status != CREDENTIAL_NONE && now != CREDENTIAL_NONE)
      return CREDENTIAL_SEVERAL;
    if (now != CREDENTIAL_NONE)
      status = now;
  }
  return status;
}

static enum credential_status from_query(const struct config_accept *a, struct str query,
                                         struct mcpauth_credential *ret)
{
  enum credential_status status = CREDENTIAL_NONE;
  for (struct str pair; str_next(&query, '&', &pair);) {
    size_t eq = str_chr(pair, '=');
    if (!str_is(str_slice(pair, 0, eq), a->name))
      continue;
    if (status != CREDENTIAL_NONE)
      return CREDENTIAL_SEVERAL;
    struct str value = str_slice(pair, eq + 1, pair.n);
    status =
        b64token(value) ? found(ret, MCPAUTH_FROM_QUERY, a->name, value) : CREDENTIAL_MALFORMED;
  }
  return status;
}

static bool has_authorization(const struct http_header *headers, size_t n)
{
  for (size_t i = 0; i < n; i++)
    if (str_iis(headers[i].name, "Authorization"))
      return true;
  return false;
}

enum credential_status credential_find(const struct config_service *service,
                                       const struct http_header *headers, size_t n_headers,
                                       struct str query, struct arena *arena,
                                       struct mcpauth_credential *ret)
{
  enum credential_status status = CREDENTIAL_NONE;
  for (size_t i = 0; i < service->n_accept; i++) {
    const struct config_accept *a = &service->accept[i];
    struct mcpauth_credential one;
    enum credential_status now = a->kind == ACCEPT_QUERY
                                     ? from_query(a, query, &one)
                                     : from_headers(a, headers, n_headers, arena, &one);
    if (now == CREDENTIAL_NONE)
      continue;
    if (status != CREDENTIAL_NONE || now == CREDENTIAL_SEVERAL)
      return CREDENTIAL_SEVERAL;
    status = now;
    if (now == CREDENTIAL_FOUND)
      *ret = one;
  }
  if (status == CREDENTIAL_NONE && has_authorization(headers, n_headers))
    return CREDENTIAL_FOREIGN;
  return status;
}

static bool takes_credential(const struct config_service *service, struct str name)
{
  for (size_t i = 0; i < service->n_accept; i++)
    if (service->accept[i].kind == ACCEPT_QUERY && str_is(name, service->accept[i].name))
      return true;
  return false;
}

/* Browsers leave some characters of a query as they are that no URL can hold, and a '%' that begins
 * no escape. */
static bool must_escape(struct str s, size_t i)
{
  if (s.p[i] != '%')
    return strchr("\"<>\\^`{|}", s.p[i]) != NULL;
  return i + 2 >= s.n || hex_digit(s.p[i + 1]) < 0 || hex_digit(s.p[i + 2]) < 0;
}

static size_t put_pair(char *out, struct str pair)
{
  static const char digits[] = "0123456789ABCDEF";
  size_t n = 0;
  for (size_t i = 0; i < pair.n; i++) {
    unsigned char c = (unsigned char)pair.p[i];
    bool escaped = must_escape(pair, i);
    out[n++] = escaped ? '%' : (char)c;
    if (escaped) {
      out[n++] = digits[c >> 4];
      out[n++] = digits[c & 15];
    }
  }
  return n;
}

struct str credential_forward_query(const struct config_service *service, struct str query,
                                    struct arena *arena)
{
  char *out = service->forward_query.n && query.n ? arena_alloc(arena, 3 * query.n + 1) : NULL;
  size_t n = 0;
  if (out == NULL)
    return (struct str){NULL, 0};
  for (struct str pair; str_next(&query, '&', &pair);) {
    struct str name = str_slice(pair, 0, str_chr(pair, '='));
    if (!config_words_have_str(&service->forward_query, name) || takes_credential(service, name))
      continue;
    if (n)
      out[n++] = '&';
    n += put_pair(out + n, pair);
  }
  return (struct str){out, n};
}
