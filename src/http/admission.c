/* Admission; see admission.h.  Called by connection.c when the head of a request is complete. */
#include "http/admission.h"

#include <string.h>

#include "http/headers.h"
#include "http/target.h"

/* Fields that have one value and may come once.  A second one is how two parsers are made to
 * disagree.  The order is that of the bits in `seen`. */
#define SINGLE(X)                                                                                  \
  X(HOST, "Host")                                                                                  \
  X(CONTENT_LENGTH, "Content-Length")                                                              \
  X(TRANSFER_ENCODING, "Transfer-Encoding")                                                        \
  X(EXPECT, "Expect")                                                                              \
  X(CONTENT_ENCODING, "Content-Encoding")                                                          \
  X(AUTHORIZATION, "Authorization")                                                                \
  X(PROXY_AUTHORIZATION, "Proxy-Authorization")                                                    \
  X(CONTENT_TYPE, "Content-Type")                                                                  \
  X(CONTENT_RANGE, "Content-Range")                                                                \
  X(COOKIE, "Cookie")                                                                              \
  X(ORIGIN, "Origin")                                                                              \
  X(REFERER, "Referer")                                                                            \
  X(USER_AGENT, "User-Agent")                                                                      \
  X(DATE, "Date")                                                                                  \
  X(RANGE, "Range")                                                                                \
  X(PROTOCOL_VERSION, "MCP-Protocol-Version")                                                      \
  X(SESSION_ID, "Mcp-Session-Id")                                                                  \
  X(MCP_METHOD, "Mcp-Method")                                                                      \
  X(MCP_NAME, "Mcp-Name")                                                                          \
  X(LAST_EVENT_ID, "Last-Event-ID")                                                                \
  X(TRACEPARENT, "traceparent")                                                                    \
  X(REQUEST_METHOD, "Access-Control-Request-Method")

enum single {
#define X(symbol, name) SINGLE_##symbol,
  SINGLE(X)
#undef X
      SINGLE_COUNT
};

#define LENGTH(name) (sizeof(name) - 1)
static const struct {
  const char *name, *twice;
  size_t n;
} singles[SINGLE_COUNT] = {
#define X(symbol, text) {text, text " occurs twice", LENGTH(text)},
    SINGLE(X)
#undef X
};

/* Fields that ask a server to be something else than it is: taken out (row 52). */
static const struct str ignored[] = {
    {"Upgrade", 7},
    {"HTTP2-Settings", 14},
    {"X-HTTP-Method", 13},
    {"X-HTTP-Method-Override", 22},
    {"X-Method-Override", 17},
};

/* Where the fields of one request were found. */
struct seen {
  uint32_t bits;
  struct str raw[SINGLE_COUNT]; /* with the blanks around them */
};

static int refuse(const char **why, int status, const char *text)
{
  *why = text;
  return status;
}

static bool has(const struct seen *seen, enum single s)
{
  return seen->bits >> s & 1;
}

static enum single single_of(struct str name)
{
  for (unsigned i = 0; i < SINGLE_COUNT; i++)
    if (singles[i].n == name.n && str_iis(name, singles[i].name))
      return (enum single)i;
  return SINGLE_COUNT;
}

static bool is_ignored(struct str name)
{
  for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
    if (ignored[i].n == name.n && str_ieq(name, ignored[i]))
      return true;
  return false;
}

static int check_method(const struct admission *a, const char **why)
{
  static const char *const allowed[] = {"POST", "GET", "DELETE", "OPTIONS"};
  if (a->method.n > LIMIT_METHOD || !header_token(a->method))
    return refuse(why, 400, "the method is not a token");
  for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++)
    if (str_is(a->method, allowed[i]))
      return 0;
  return refuse(why, 405, "the method is not one that is used here");
}

static int check_target(const struct admission *a, const char **why)
{
  struct target t;
  switch (target_parse(a->target, &t)) {
  case TARGET_OK:
    return 0;
  case TARGET_TOO_LONG:
    return refuse(why, 414, "the request target is too long");
  case TARGET_NOT_ORIGIN_FORM:
    return refuse(why, 400, "the request target is not a path");
  case TARGET_BAD_PATH:
    return refuse(why, 400, "the path has characters or segments that are not accepted");
  case TARGET_BAD_QUERY:
    break;
  }
  return refuse(why, 400, "the query has characters that are not accepted");
}

static int check_version(struct admission *a, const char **why)
{
  a->http10 = str_is(a->version, "HTTP/1.0");
  if (!a->http10 && !str_is(a->version, "HTTP/1.1"))
    return refuse(why, 505, "the protocol version is not HTTP/1.1");
  return 0;
}

/* One field; *RET_KEEP says whether it stays. */
static int check_field(struct http_header *h, struct seen *seen, bool *ret_keep, const char **why)
{
  if (!header_token(h->name))
    return refuse(why, 400, "a header name is not a token");
  if (!header_value(h->value))
    return refuse(why, 400, "a header value has control characters");
  enum single s = single_of(h->name);
  if (s < SINGLE_COUNT) {
    if (has(seen, s))
      return refuse(why, 400, singles[s].twice);
    seen->bits |= 1u << s;
    seen->raw[s] = h->value;
  }
  h->value = str_trim(h->value);
  *ret_keep = !memchr(h->name.p, '_', h->name.n) && !is_ignored(h->name);
  return 0;
}

static int check_fields(struct admission *a, struct seen *seen, const char **why)
{
  size_t bytes = 0, kept = 0;
  if (a->n_headers > LIMIT_HEADERS)
    return refuse(why, 431, "too many header fields");
  for (size_t i = 0; i < a->n_headers; i++)
    bytes += a->headers[i].name.n + a->headers[i].value.n + LENGTH(": \r\n");
  if (bytes > LIMIT_HEADER_BYTES)
    return refuse(why, 431, "the header fields are too large");
  for (size_t i = 0; i < a->n_headers; i++) {
    bool keep;
    int status = check_field(&a->headers[i], seen, &keep, why);
    if (status)
      return status;
    if (keep)
      a->headers[kept++] = a->headers[i];
    else if (memchr(a->headers[i].name.p, '_', a->headers[i].name.n))
      a->dropped++; /* WSGI and CGI servers read it as '-' (row 41) */
  }
  a->n_headers = kept;
  return 0;
}

static int check_host(const struct admission *a, const struct seen *seen, const char **why)
{
  if (!has(seen, SINGLE_HOST))
    return a->http10 ? 0 : refuse(why, 400, "Host is missing");
  if (!header_authority(str_trim(seen->raw[SINGLE_HOST])))
    return refuse(why, 400, "Host is not a host with an optional port");
  return 0;
}

/* How long the body is (rows 36-38).  The library below compares the coding with the blanks still
 * on, so that "chunked " is another length to it: no blanks. */
static int check_length(struct admission *a, const struct seen *seen, const char **why)
{
  bool sized = has(seen, SINGLE_CONTENT_LENGTH), coded = has(seen, SINGLE_TRANSFER_ENCODING);
  if (sized && coded)
    return refuse(why, 400, "both Content-Length and Transfer-Encoding");
  if (coded) {
    if (a->http10)
      return refuse(why, 400, "Transfer-Encoding in HTTP/1.0");
    if (!str_iis(seen->raw[SINGLE_TRANSFER_ENCODING], "chunked"))
      return refuse(why, 400, "a Transfer-Encoding other than chunked");
    a->content_length = -1;
  } else if (sized) {
    uint64_t n;
    if (!str_u64(str_trim(seen->raw[SINGLE_CONTENT_LENGTH]), INT64_MAX, &n))
      return refuse(why, 400, "Content-Length is not a number");
    a->content_length = (int64_t)n;
  }
  if (a->content_length != 0 && !str_is(a->method, "POST"))
    return refuse(why, 400, "a body with a method that has none");
  return 0;
}

static int check_expectations(struct admission *a, const struct seen *seen, const char **why)
{
  if (has(seen, SINGLE_EXPECT)) {
    if (!str_iis(str_trim(seen->raw[SINGLE_EXPECT]), "100-continue"))
      return refuse(why, 417, "an expectation other than 100-continue");
    a->expects_continue = true;
  }
  if (has(seen, SINGLE_CONTENT_ENCODING) &&
      !str_iis(str_trim(seen->raw[SINGLE_CONTENT_ENCODING]), "identity"))
    return refuse(why, 415, "a Content-Encoding other than identity");
  return 0;
}

int admission_check(struct admission *a, const char **ret_why)
{
  struct seen seen = {0};
  a->content_length = 0;
  a->expects_continue = false;
  a->dropped = 0;
  int status = check_version(a, ret_why);
  if (status == 0)
    status = check_method(a, ret_why);
  if (status == 0)
    status = check_target(a, ret_why);
  if (status == 0)
    status = check_fields(a, &seen, ret_why);
  if (status == 0)
    status = check_host(a, &seen, ret_why);
  if (status == 0)
    status = check_length(a, &seen, ret_why);
  if (status == 0)
    status = check_expectations(a, &seen, ret_why);
  return status;
}
