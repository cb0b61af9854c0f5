/* Origin and CORS for services (rows 50, 51): an explicit list, never with credentials.  Public
 * documents answer any origin and are not decided here. */
#include <string.h>

#include "http/headers.h"
#include "hub/hub.h"

/* scheme://host[:port] of RESOURCE equals ORIGIN. */
static bool own(const char *resource, struct str origin)
{
  struct str s = str_of(resource);
  size_t from = str_starts(s, "https://") ? 8 : 7;
  return str_eq(str_slice(s, 0, from + str_chr(str_slice(s, from, s.n), '/')), origin);
}

static bool loopback(struct str origin)
{
  struct url u;
  return url_parse(origin, &u, NULL) == 0 && u.path.n == 0 && url_loopback(&u);
}

bool origin_allowed(struct exchange *x)
{
  const struct config *c = x->hub->config;
  const struct config_service *s = x->service->config;
  struct str origin = http_header(x->rq, "Origin");
  if (origin.p == NULL)
    return true;
  if (own(s->resource, origin) || config_words_have_str(&s->allow_origin, origin) ||
      config_words_have_str(&c->allow_origin, origin) || (c->loopback_only && loopback(origin))) {
    x->origin = origin;
    return true;
  }
  return false;
}

size_t origin_headers(const struct exchange *x, struct http_header *out)
{
  if (x->origin.p == NULL)
    return 0;
  out[0] = (struct http_header){STR("Access-Control-Allow-Origin"), x->origin};
  out[1] = (struct http_header){STR("Access-Control-Expose-Headers"),
                                STR("WWW-Authenticate, Mcp-Session-Id, X-Request-Id")};
  out[2] = (struct http_header){STR("Vary"), STR("Origin")};
  return ORIGIN_HEADERS;
}

/* Those that a tool's schema names (2026-07-28, x-mcp-header): which, only the client knows. */
static void put_params(const struct exchange *x, struct buf *names)
{
  static const char prefix[] = "Mcp-Param-";
  struct str rest = http_header(x->rq, "Access-Control-Request-Headers"), one;
  while (str_next(&rest, ',', &one)) {
    one = str_trim(one);
    if (str_iis(str_slice(one, 0, sizeof prefix - 1), prefix) && header_token(one))
      buf_printf(names, ", %.*s", STR_ARG(one));
  }
}

size_t origin_preflight(const struct exchange *x, struct http_header *out)
{
  static const char fixed[] =
      "Authorization, Content-Type, Accept, Last-Event-ID, Mcp-Session-Id, MCP-Protocol-Version, "
      "Mcp-Method, Mcp-Name, traceparent, tracestate";
  const struct config_service *s = x->service->config;
  struct buf names;
  buf_init(&names, LIMIT_HEADER_BYTES);
  buf_puts(&names, fixed);
  for (size_t i = 0; i < s->n_accept; i++)
    if (s->accept[i].kind == ACCEPT_HEADER)
      buf_printf(&names, ", %s", s->accept[i].name);
  for (size_t i = 0; i < s->forward_header.n; i++)
    buf_printf(&names, ", %s", s->forward_header.v[i]);
  put_params(x, &names);
  struct str list = arena_str(x->rq->arena, buf_view(&names));
  buf_done(&names);
  size_t n = origin_headers(x, out);
  out[n++] = (struct http_header){STR("Access-Control-Allow-Methods"), STR("GET, POST, DELETE")};
  out[n++] = (struct http_header){STR("Access-Control-Allow-Headers"), list};
  out[n++] = (struct http_header){STR("Access-Control-Max-Age"), STR("600")};
  return n;
}
