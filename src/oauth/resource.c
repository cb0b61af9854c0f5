/* Protected resource metadata; see resource.h. */
#include "oauth/resource.h"

#include "oauth/json_text.h"
#include "util/limits.h"

static void scopes(struct buf *b, const struct config_service *s)
{
  const char *names[LIMIT_SCOPES_DECLARED];
  for (size_t i = 0; i < s->n_login_scope; i++)
    names[i] = s->login_scope[i]->name;
  member_words(b, "scopes_supported", names, s->n_login_scope);
}

/* RFC 9728 section 2 names "header" (Authorization) and "query" (access_token) alone. */
static void methods(struct buf *b, const struct config_service *s)
{
  static const char *const header[] = {"header"};
  for (size_t i = 0; i < s->n_accept; i++)
    if (s->accept[i].kind == ACCEPT_BEARER)
      member_words(b, "bearer_methods_supported", header, 1);
}

bool resource_has_document(const struct config_service *service)
{
  return service->authorization_servers.n > 0;
}

/* scheme://authority of an absolute URL */
static struct str origin_of(const char *url)
{
  struct str s = str_of(url);
  size_t from = str_starts(s, "https://") ? 8 : 7;
  return str_slice(s, 0, from + str_chr(str_slice(s, from, s.n), '/'));
}

int resource_document(const struct config_service *service, struct arena *arena,
                      struct resource_document *ret)
{
  struct buf b;
  buf_init(&b, KIB(64));
  const struct config_words *servers = &service->authorization_servers;
  members_begin(&b);
  member_text(&b, "resource", str_of(service->resource));
  member_words(&b, "authorization_servers", servers->v, servers->n);
  scopes(&b, service);
  methods(&b, service);
  if (service->resource_name)
    member_text(&b, "resource_name", str_of(service->resource_name));
  members_end(&b);
  struct resource_document d = {
      .path = str_of(arena_printf(arena, RESOURCE_WELL_KNOWN "%.*s", STR_ARG(service->path))),
      .url = arena_printf(arena, "%.*s" RESOURCE_WELL_KNOWN "%.*s",
                          STR_ARG(origin_of(service->resource)), STR_ARG(service->path)),
      .json = arena_str(arena, buf_view(&b)),
  };
  bool bad = b.failed || d.path.p == NULL || d.url == NULL || d.json.p == NULL;
  buf_done(&b);
  if (bad)
    return -1;
  *ret = d;
  return 0;
}

/* RESOURCE in parts, its case ignored where RFC 3986 section 6.2.2.1 does. */
struct place {
  struct str scheme, authority, rest;
};

static bool take_apart(struct str s, struct place *ret)
{
  size_t at = str_iis(str_slice(s, 0, 8), "https://")  ? 8
              : str_iis(str_slice(s, 0, 7), "http://") ? 7
                                                       : 0;
  struct str after = str_slice(s, at, s.n);
  size_t end = str_chr(after, '/');
  ret->scheme = str_slice(s, 0, at);
  ret->authority = str_slice(after, 0, end);
  ret->rest = str_slice(after, end, after.n);
  const char *port = at == 8 ? ":443" : ":80";
  if (str_ends(ret->authority, port))
    ret->authority.n -= str_of(port).n;
  if (str_ends(ret->rest, "/"))
    ret->rest.n--;
  return at > 0;
}

bool resource_is(struct str resource, const struct config_service *service)
{
  struct place a, b;
  return take_apart(resource, &a) && take_apart(str_of(service->resource), &b) &&
         str_ieq(a.scheme, b.scheme) && str_ieq(a.authority, b.authority) && str_eq(a.rest, b.rest);
}
