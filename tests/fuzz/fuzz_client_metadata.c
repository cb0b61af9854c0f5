/* What clients say about themselves: what is accepted has only redirect URIs that are acceptable,
 * and its normal form reads back the same. */
#include <stdlib.h>

#include "oauth/client_metadata.h"
#include "util/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static struct redirect_policy policy(struct url *own)
{
  if (url_parse(STR("https://mcp.example.com"), own, NULL) < 0)
    abort();
  return (struct redirect_policy){.own = own};
}

static void read_back(const struct client_metadata *m, struct arena *a)
{
  struct buf b, again;
  struct client_metadata read;
  buf_init(&b, MIB(1));
  buf_init(&again, MIB(1));
  if (client_metadata_put(m, &b) < 0 || client_metadata_read(buf_view(&b), a, &read) < 0 ||
      client_metadata_put(&read, &again) < 0 || !str_eq(buf_view(&b), buf_view(&again)))
    abort();
  buf_done(&b);
  buf_done(&again);
}

static void check(const struct redirect_policy *rules, const struct client_metadata *m,
                  bool document)
{
  struct redirect r;
  if (m->redirect_uris.n == 0 || !(m->grants & GRANT_CODE) ||
      (document && m->auth == CLIENT_AUTH_SECRET) ||
      (m->auth == CLIENT_AUTH_KEY) != ((m->keys.n > 0) != (m->keys_uri.n > 0)))
    abort();
  for (size_t i = 0; i < m->redirect_uris.n; i++)
    if (redirect_acceptable(rules, str_of(m->redirect_uris.v[i]), m->auth == CLIENT_AUTH_NONE,
                            &r) != REDIRECT_OK)
      abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
  struct url own;
  struct client_metadata m;
  struct metadata_error e = {NULL, ""};
  struct redirect_policy rules = policy(&own);
  struct arena *a = arena_new(MIB(8));
  json_t *o = n > 1 ? json_parse((struct str){(const char *)p + 1, n - 1}, 8, 1000, NULL) : NULL;
  bool document = n && (p[0] & 1);
  if (a && o && client_metadata_judge(&rules, o, document, a, &m, &e) == 0) {
    check(&rules, &m, document);
    read_back(&m, a);
  } else if (a && o && (e.error == NULL || e.text[0] == 0)) {
    abort();
  }
  json_decref(o);
  arena_free(a);
  return 0;
}
