/* The file of the key ring, STATE_DIR/keys.ring:
 *
 *   {"version":1,"name":HEX,"sealing":[{"id":1,"created_at":…,"from":…,"key":BASE64URL}],
 *    "signing":[{"created_at":…,"from":…,"key":BASE64URL of the private key's DER}]}
 *
 * Readable by its owner alone; replaced whole. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "store/keyring_impl.h"
#include "util/base64url.h"
#include "util/cleanup.h"
#include "util/json.h"
#include "util/limits.h"
#include "util/safefile.h"

enum { DER_MAX = 512 };

void ring_free(struct ring *r)
{
  if (r == NULL)
    return;
  for (size_t i = 0; i < r->n_seal; i++)
    secret_free(r->seal[i].key);
  for (size_t i = 0; i < r->n_sign; i++)
    sign_key_done(&r->sign[i]);
  buf_done(&r->jwks);
  free(r);
}

/* ---- reading */

static int number(const json_t *o, const char *name, int64_t min, int64_t max, int64_t *ret)
{
  const json_t *v = json_object_get(o, name);
  if (!json_is_integer(v) || json_integer_value(v) < min || json_integer_value(v) > max)
    return -1;
  *ret = json_integer_value(v);
  return 0;
}

static struct secret *key_bytes(const json_t *o, size_t min, size_t max)
{
  unsigned char bytes[DER_MAX];
  size_t n;
  struct secret *s = NULL;
  if (base64url_decode(json_str(o, "key"), bytes, sizeof bytes, &n) == 0 && n >= min && n <= max)
    s = secret_new((struct str){(char *)bytes, n});
  explicit_bzero(bytes, sizeof bytes);
  return s;
}

static int read_seal(struct ring *r, const json_t *o)
{
  struct seal_key *s = &r->seal[r->n_seal];
  int64_t id, least = r->n_seal ? (int64_t)s[-1].id + 1 : 1;
  if (number(o, "id", least, UINT32_MAX - 1, &id) < 0 ||
      number(o, "created_at", 0, INT64_MAX / 4, &s->created_at) < 0 ||
      number(o, "from", 0, INT64_MAX / 4, &s->from) < 0)
    return -1;
  s->id = (uint32_t)id;
  s->key = key_bytes(o, KEYRING_KEY, KEYRING_KEY);
  if (s->key == NULL)
    return -1;
  r->n_seal++;
  return 0;
}

static int read_sign(struct ring *r, const json_t *o)
{
  struct sign_key *s = &r->sign[r->n_sign];
  if (number(o, "created_at", 0, INT64_MAX / 4, &s->created_at) < 0 ||
      number(o, "from", 0, INT64_MAX / 4, &s->from) < 0)
    return -1;
  s->der = key_bytes(o, 1, DER_MAX);
  if (s->der == NULL)
    return -1;
  r->n_sign++;
  return sign_key_derive(s, NULL);
}

static int read_list(struct ring *r, const json_t *list, int (*one)(struct ring *, const json_t *))
{
  size_t n = json_array_size(list);
  if (n == 0 || n > KEYRING_KEYS)
    return -1;
  for (size_t i = 0; i < n; i++)
    if (one(r, json_array_get(list, i)) < 0)
      return -1;
  return 0;
}

static struct ring *ring_parse(const char *path, struct str text, struct err *e)
{
  CLEANUP(json_drop) json_t *j = json_parse(text, 8, 2000, e);
  if (j == NULL) {
    err_prefix(e, "%s", path);
    return NULL;
  }
  int64_t version;
  struct str name = json_str(j, "name");
  struct ring *r = calloc(1, sizeof *r);
  unsigned char bytes[KEYRING_NAME];
  size_t n;
  if (r && number(j, "version", 1, 1, &version) == 0 &&
      hex_decode(name, bytes, sizeof bytes, &n) == 0 && name.n == KEYRING_NAME - 1 &&
      read_list(r, json_object_get(j, "sealing"), read_seal) == 0 &&
      read_list(r, json_object_get(j, "signing"), read_sign) == 0 && ring_publish(r, e) == 0) {
    memcpy(r->name, name.p, name.n);
    return r;
  }
  ring_free(r);
  err_set(e, "%s is damaged, or of a newer version of mcpauth", path);
  return NULL;
}

struct ring *ring_read(const struct keyring *k, struct stat *ret_stat, int *ret_errno,
                       struct err *e)
{
  CLEANUP(buf_wipe) struct buf b;
  struct stat dir;
  buf_init(&b, LIMIT_KEYRING);
  *ret_errno = 0;
  /* A command that root runs meets a file of the daemon's user, to whom the directory belongs. */
  uid_t owner = geteuid();
  if (owner == 0 && stat(k->dir, &dir) == 0)
    owner = dir.st_uid;
  if (access(k->path, F_OK) < 0 && errno == ENOENT) {
    *ret_errno = ENOENT;
    err_set(e, "%s: there is no key ring", k->path);
    return NULL;
  }
  if (safefile_read_as(k->path, LIMIT_KEYRING, true, owner, &b, ret_stat, e) < 0)
    return NULL;
  if (ret_stat->st_mode & (S_IRWXG | S_IRWXO)) {
    err_set(e, "%s must be readable by its owner alone (mode 0600, not %04o)", k->path,
            ret_stat->st_mode & 07777);
    return NULL;
  }
  return ring_parse(k->path, buf_view(&b), e);
}

/* ---- writing */

static void print_key(struct buf *b, int64_t created_at, int64_t from, const struct secret *key)
{
  buf_printf(b, "\"created_at\":%lld,\"from\":%lld,\"key\":\"", (long long)created_at,
             (long long)from);
  base64url_encode(b, secret_expose(key));
  buf_puts(b, "\"}");
}

static void ring_print(const struct ring *r, struct buf *b)
{
  buf_printf(b, "{\"version\":1,\"name\":\"%s\",\n \"sealing\":[", r->name);
  for (size_t i = 0; i < r->n_seal; i++) {
    buf_printf(b, "%s\n  {\"id\":%u,", i ? "," : "", r->seal[i].id);
    print_key(b, r->seal[i].created_at, r->seal[i].from, r->seal[i].key);
  }
  buf_puts(b, "],\n \"signing\":[");
  for (size_t i = 0; i < r->n_sign; i++) {
    buf_puts(b, i ? ",\n  {" : "\n  {");
    print_key(b, r->sign[i].created_at, r->sign[i].from, r->sign[i].der);
  }
  buf_puts(b, "]}\n");
}

int ring_give(const struct keyring *k, int fd)
{
  struct stat dir;
  if (geteuid() != 0)
    return 0;
  return stat(k->dir, &dir) < 0 ? -1 : fchown(fd, dir.st_uid, dir.st_gid);
}

int ring_write(const struct keyring *k, const struct ring *r, bool first, struct err *e)
{
  CLEANUP(buf_wipe) struct buf b;
  struct stat dir;
  buf_init(&b, LIMIT_KEYRING);
  ring_print(r, &b);
  if (b.failed)
    return err_set(e, "%s: out of memory", k->path);
  if (stat(k->dir, &dir) < 0)
    return err_set(e, "state directory %s: %s", k->dir, strerror(errno));
  dir.st_mode = 0600;
  /* What root writes belongs to whom the directory belongs. */
  const struct safefile_how how = {
      .mode = 0600, .like = geteuid() == 0 ? &dir : NULL, .sync = true, .first = first};
  return safefile_write(k->path, buf_view(&b), &how, e);
}
