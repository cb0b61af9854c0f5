/* Which service or document a request is for; see hub.h.  Works on the raw path alone (row 48). */
#include <stdlib.h>
#include <string.h>

#include "hub/hub.h"

/* HOST against an authority of ours: equal, or equal but for the scheme's own port. */
static bool same_authority(struct str host, struct str ours, bool https)
{
  if (str_ieq(host, ours))
    return true;
  const char *port = https ? ":443" : ":80";
  return str_ends(host, port) && str_ieq(str_slice(host, 0, host.n - strlen(port)), ours);
}

/* localhost, 127.0.0.1, [::1], with any port: names that no DNS rebinding can take on. */
static bool loopback_name(struct str host)
{
  size_t end = host.n && host.p[0] == '[' ? str_chr(host, ']') + 1 : str_chr(host, ':');
  struct str name = str_slice(host, 0, end);
  return str_iis(name, "localhost") || str_is(name, "127.0.0.1") || str_is(name, "[::1]");
}

static bool service_on_host(const struct hub *h, const struct config_service *s, struct str host)
{
  bool https = str_starts(str_of(s->resource), "https://");
  if (same_authority(host, str_of(s->host), https))
    return true;
  /* A hub that is loopback in name and fact answers to every loopback name and port: with
   * `listen 127.0.0.1:0` the port is not known to the configuration. */
  return h->config->loopback_only && loopback_name(str_of(s->host)) && loopback_name(host);
}

static bool hub_host(const struct hub *h, struct str host)
{
  const struct url *u = &h->config->public_parts;
  if (same_authority(host, u->authority, u->https))
    return true;
  return h->config->loopback_only && url_loopback(u) && loopback_name(host);
}

static enum route find_document(struct exchange *x, struct str host,
                                const struct resource_document **ret)
{
  struct hub *h = x->hub;
  if (str_is(x->target.path, RESOURCE_WELL_KNOWN) && h->only_document) {
    *ret = h->only_document;
    return ROUTE_DOCUMENT;
  }
  if (h->assertions && hub_host(h, host) && str_is(x->target.path, "/.well-known/jwks.json")) {
    h->keys_document.json = keyring_jwks(h->keys);
    *ret = &h->keys_document;
    return ROUTE_DOCUMENT;
  }
  for (size_t i = 0; i < h->config->n_services; i++) {
    struct hub_service *s = &h->services[i];
    if (s->has_document && service_on_host(h, s->config, host) &&
        str_eq(x->target.path, s->document.path)) {
      *ret = &s->document;
      return ROUTE_DOCUMENT;
    }
  }
  return ROUTE_NOT_FOUND;
}

static int compare_paths(struct str a, struct str b)
{
  int order = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);
  return order ? order : (a.n > b.n) - (a.n < b.n);
}

/* A URL without a path is asked for with "/". */
static struct str path_of(const struct hub_service *s)
{
  return s->config->path.n ? s->config->path : STR("/");
}

static int by_path(const void *a, const void *b)
{
  return compare_paths(path_of(*(struct hub_service *const *)a),
                       path_of(*(struct hub_service *const *)b));
}

void route_init(struct hub *h)
{
  qsort(h->by_path, h->config->n_services, sizeof h->by_path[0], by_path);
}

/* The first service whose path is not before PATH. */
static size_t lower_bound(const struct hub *h, struct str path)
{
  size_t from = 0, to = h->config->n_services;
  while (from < to) {
    size_t middle = from + (to - from) / 2;
    if (compare_paths(path_of(h->by_path[middle]), path) < 0)
      from = middle + 1;
    else
      to = middle;
  }
  return from;
}

/* Several services may have one path, on hosts of their own. */
static struct hub_service *find_service(const struct hub *h, struct str path, struct str host)
{
  for (size_t i = lower_bound(h, path); i < h->config->n_services; i++) {
    struct hub_service *s = h->by_path[i];
    if (!str_eq(path_of(s), path))
      return NULL;
    if (service_on_host(h, s->config, host))
      return s;
  }
  return NULL;
}

static bool our_host(const struct hub *h, struct str host)
{
  if (hub_host(h, host))
    return true;
  for (size_t i = 0; i < h->config->n_services; i++)
    if (service_on_host(h, h->services[i].config, host))
      return true;
  return false;
}

static bool is_health(struct str path)
{
  return str_is(path, "/health") || str_is(path, "/healthz");
}

static bool is_ready(struct str path)
{
  return str_is(path, "/readyz");
}

bool route_urgent(struct str path)
{
  return is_health(path) || is_ready(path);
}

enum route route_find(struct exchange *x, const struct resource_document **ret_document)
{
  struct hub *h = x->hub;
  struct str path = x->target.path, host = http_header(x->rq, "Host");
  if (is_health(path))
    return ROUTE_HEALTH;
  if (is_ready(path))
    return ROUTE_READY;
  x->service = find_service(h, path, host);
  if (x->service)
    return ROUTE_SERVICE;
  if (hub_host(h, host) && oauth_has(h->oauth, path))
    return ROUTE_OAUTH;
  return our_host(h, host) ? find_document(x, host, ret_document) : ROUTE_MISDIRECTED;
}
