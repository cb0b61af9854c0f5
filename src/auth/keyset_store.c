/* The last good key set of each URL, in STATE_DIR/keys: a JWK Set with a few members of ours beside
 * `keys`.  Read at start and when a sibling has written it; written by jobs, to a temporary file
 * that is synced and renamed, so that a reader sees the old or the new one, whole. */
#include <config.h> /* asprintf */

#include "auth/keyset_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "ops/log.h"
#include "util/base64url.h"
#include "util/cleanup.h"
#include "util/digest.h"
#include "util/json.h"
#include "util/limits.h"
#include "util/safefile.h"

/* Our own members, and longer spelling, may make a document of the greatest size longer. */
enum { DOCUMENT_MAX = 2 * LIMIT_JWKS_BYTES };

char *store_path(const char *state_dir, const char *url)
{
  unsigned char sum[SHA256_SIZE];
  char *path = NULL;
  CLEANUP(buf_done) struct buf hex;
  buf_init(&hex, 65);
  if (sha256(str_of(url), sum) < 0 || hex_encode(&hex, (struct str){(char *)sum, sizeof sum}) < 0 ||
      asprintf(&path, "%s/keys/%s.json", state_dir, hex.p) < 0)
    return NULL;
  return path;
}

/* ------------------------------------------------------------------ reading */

static int read_members(const json_t *doc, const char *url, struct stored *ret, struct err *e)
{
  const json_t *fetched = json_object_get(doc, "fetched_ms");
  const json_t *lifetime = json_object_get(doc, "lifetime");
  struct str uri = json_str(doc, "jwks_uri");
  if (!str_is(json_str(doc, "url"), url) || !json_is_integer(fetched) || !json_is_integer(lifetime))
    return err_set(e, "not a stored key set of %s", url);
  ret->fetched_ms = json_integer_value(fetched);
  ret->lifetime_s = json_integer_value(lifetime);
  if (ret->fetched_ms < 0 || ret->lifetime_s < KEYSET_LIFETIME_MIN_MS / 1000 ||
      ret->lifetime_s > KEYSET_LIFETIME_MAX_MS / 1000)
    return err_set(e, "times out of range");
  if (uri.p && (ret->jwks_uri = strndup(uri.p, uri.n)) == NULL)
    return err_set(e, "out of memory");
  return 0;
}

static int read_keys(const json_t *doc, struct stored *ret, struct err *e)
{
  json_t *set = json_pack("{sO?}", "keys", json_object_get(doc, "keys"));
  AUTO_FREE char *text = set ? json_dumps(set, JSON_COMPACT) : NULL;
  json_decref(set);
  if (text == NULL)
    return err_set(e, "out of memory");
  ret->keys = jwks_parse(str_of(text), false, e);
  return ret->keys ? 0 : -1;
}

int store_load(const char *path, const char *url, struct stored *ret, struct stat *ret_stat,
               struct err *e)
{
  struct stored s = {.keys = NULL};
  CLEANUP(buf_done) struct buf text;
  buf_init(&text, DOCUMENT_MAX);
  if (safefile_read(path, DOCUMENT_MAX, false, &text, ret_stat, e) < 0)
    return -1;
  CLEANUP(json_drop)
  json_t *doc = json_parse(buf_view(&text), LIMIT_JWT_DEPTH, LIMIT_JSON_VALUES, e);
  if (doc == NULL || read_members(doc, url, &s, e) < 0 || read_keys(doc, &s, e) < 0) {
    free(s.jwks_uri);
    return err_prefix(e, "%s", path);
  }
  *ret = s;
  return 0;
}

/* ------------------------------------------------------------------ writing */

char *store_document(const char *url, const char *jwks_uri, struct str body, int64_t fetched_ms,
                     int64_t lifetime_s, struct err *e)
{
  CLEANUP(json_drop) json_t *reply = json_parse(body, LIMIT_JWT_DEPTH, LIMIT_JSON_VALUES, e);
  json_t *keys = json_object_get(reply, "keys");
  CLEANUP(json_drop)
  json_t *all = keys ? json_incref(keys) : json_pack("[O]", reply); /* one bare JWK */
  CLEANUP(json_drop)
  json_t *doc = json_pack("{sssssIsIsO}", "url", url, "jwks_uri", jwks_uri, "fetched_ms",
                          (json_int_t)fetched_ms, "lifetime", (json_int_t)lifetime_s, "keys", all);
  char *text = doc ? json_dumps(doc, JSON_COMPACT) : NULL;
  if (text == NULL)
    err_set(e, "out of memory");
  return text;
}

struct save {
  char *path, *document;
  struct err e;
};

static int replace(const char *folder, const char *path, const char *text, struct err *e)
{
  const struct safefile_how how = {.mode = 0600, .sync = true};
  if (mkdir(folder, 0700) < 0 && errno != EEXIST)
    return err_set(e, "%s: %s", folder, strerror(errno));
  return safefile_write(path, str_of(text), &how, e);
}

static void save_work(void *arg)
{
  struct save *s = arg;
  AUTO_FREE char *folder = strdup(s->path);
  if (folder == NULL) {
    err_set(&s->e, "out of memory");
    return;
  }
  *strrchr(folder, '/') = 0;
  replace(folder, s->path, s->document, &s->e);
}

static void save_done(void *arg)
{
  struct save *s = arg;
  if (s->e.text[0])
    log_warn("keys cannot be kept: %s", s->e.text);
}

static void save_release(void *arg)
{
  struct save *s = arg;
  free(s->path);
  free(s->document);
  free(s);
}

void store_save(struct lane *lane, const char *path, char *document)
{
  struct save *s = calloc(1, sizeof *s);
  struct job job = {save_work, save_done, save_release, s};
  if (s == NULL) {
    free(document);
    return;
  }
  s->document = document;
  s->path = strdup(path);
  if (s->path && job_submit(lane, &job))
    return;
  log_warn("keys cannot be kept: too many writes are waiting");
  save_release(s);
}
