/* The key ring: which keys there are, which one is in use, reading it again, rotation; see
 * keyring.h.  The file is keyring_file.c's, the cryptography keyring_seal.c's and
 * keyring_sign.c's. */
#include <config.h>

#include "store/keyring.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#include "store/keyring_impl.h"
#include "util/base64url.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/safefile.h"

/* ---- which key */

const struct seal_key *ring_sealing(const struct ring *r)
{
  int64_t now = clock_wall();
  const struct seal_key *best = &r->seal[0];
  for (size_t i = 1; i < r->n_seal; i++)
    if (r->seal[i].from <= now)
      best = &r->seal[i];
  return best;
}

const struct sign_key *ring_signing(const struct ring *r)
{
  int64_t now = clock_wall();
  const struct sign_key *best = &r->sign[0];
  for (size_t i = 1; i < r->n_sign; i++)
    if (r->sign[i].from <= now)
      best = &r->sign[i];
  return best;
}

uint32_t keyring_sealing(const struct keyring *k)
{
  return ring_sealing(atomic_load(&k->now))->id;
}

const char *keyring_name(const struct keyring *k)
{
  return atomic_load(&k->now)->name;
}

uint64_t keyring_changes(const struct keyring *k)
{
  return atomic_load(&k->now)->number;
}

struct str keyring_jwks(const struct keyring *k)
{
  return buf_view(&atomic_load(&k->now)->jwks);
}

/* ---- new keys */

int ring_add_seal(struct ring *r, int64_t from, struct err *e)
{
  unsigned char bytes[KEYRING_KEY];
  if (r->n_seal == KEYRING_KEYS)
    return err_set(e, "the key ring is full: re-wrap first (mcpauth keys rewrap)");
  if (RAND_bytes(bytes, sizeof bytes) != 1)
    return err_set(e, "no random numbers for a key");
  struct seal_key *s = &r->seal[r->n_seal];
  uint32_t last = r->n_seal ? r->seal[r->n_seal - 1].id : 0;
  *s = (struct seal_key){.id = last + 1, .created_at = clock_wall(), .from = from};
  s->key = secret_new((struct str){(char *)bytes, sizeof bytes});
  OPENSSL_cleanse(bytes, sizeof bytes);
  if (s->key == NULL)
    return err_set(e, "out of memory");
  r->n_seal++;
  return 0;
}

int ring_add_sign(struct ring *r, int64_t from, struct err *e)
{
  if (r->n_sign == KEYRING_KEYS)
    return err_set(e, "the key ring is full: old signing keys leave it a day after they were "
                      "replaced");
  struct sign_key *s = &r->sign[r->n_sign];
  *s = (struct sign_key){.created_at = clock_wall(), .from = from};
  s->der = sign_key_generate(e);
  if (s->der == NULL)
    return -1;
  r->n_sign++; /* ring_free's from now on */
  return sign_key_derive(s, e);
}

struct ring *ring_new(struct err *e)
{
  unsigned char name[(KEYRING_NAME - 1) / 2];
  struct ring *r = calloc(1, sizeof *r);
  if (r == NULL || RAND_bytes(name, sizeof name) != 1) {
    free(r);
    err_set(e, "out of memory or random numbers");
    return NULL;
  }
  for (size_t i = 0; i < sizeof name; i++)
    snprintf(r->name + 2 * i, 3, "%02x", name[i]);
  int64_t now = clock_wall();
  if (ring_add_seal(r, now, e) == 0 && ring_add_sign(r, now, e) == 0)
    return r;
  ring_free(r);
  return NULL;
}

/* ---- loading */

static int judge_dir(const char *dir, struct err *e)
{
  struct stat st;
  if (stat(dir, &st) < 0)
    return err_set(e, "state directory %s: %s", dir, strerror(errno));
  if (!S_ISDIR(st.st_mode))
    return err_set(e, "state directory %s is not a directory", dir);
  if (st.st_mode & (S_IWGRP | S_IWOTH))
    return err_set(e, "state directory %s can be written by others (mode %04o)", dir,
                   st.st_mode & 07777);
  return 0;
}

static int make_first(struct keyring *k, struct err *e)
{
  char store[4096];
  struct stat st;
  int n = snprintf(store, sizeof store, "%s/store.db", k->dir);
  if (n < 0 || (size_t)n >= sizeof store)
    return err_set(e, "the path of the state directory is too long");
  if (lstat(store, &st) == 0)
    return err_set(e,
                   "%s is there, but the key ring %s that sealed it is not: restore the key ring, "
                   "or move the store away and lose what is in it",
                   store, k->path);
  struct ring *r = ring_new(e);
  int result = r ? ring_write(k, r, true, e) : -1;
  ring_free(r);
  return result;
}

static void show(struct keyring *k, struct ring *r, const struct stat *st)
{
  k->seen = *st;
  r->older = atomic_load(&k->now);
  r->number = r->older ? r->older->number + 1 : 0;
  atomic_store(&k->now, r);
}

static int load_first(struct keyring *k, bool make, struct err *e)
{
  struct stat st;
  int error = 0;
  if (judge_dir(k->dir, e) < 0)
    return -1;
  struct ring *r = ring_read(k, &st, &error, e);
  if (r == NULL && error == ENOENT && make)
    r = make_first(k, e) < 0 ? NULL : ring_read(k, &st, &error, e);
  if (r == NULL)
    return -1;
  show(k, r, &st);
  return 0;
}

struct keyring *keyring_load(const char *state_dir, bool make, struct err *e)
{
  struct keyring *k = calloc(1, sizeof *k);
  if (k == NULL || (k->dir = strdup(state_dir)) == NULL ||
      asprintf(&k->path, "%s/keys.ring", state_dir) < 0) {
    err_set(e, "out of memory");
    keyring_free(k);
    return NULL;
  }
  if (load_first(k, make, e) == 0)
    return k;
  keyring_free(k);
  return NULL;
}

void keyring_free(struct keyring *k)
{
  if (k == NULL)
    return;
  for (struct ring *r = atomic_load(&k->now), *older; r; r = older) {
    older = r->older;
    ring_free(r);
  }
  free(k->path);
  free(k->dir);
  free(k);
}

int keyring_poll(struct keyring *k, struct err *e)
{
  struct stat st;
  int error = 0;
  if (stat(k->path, &st) < 0)
    return err_set(e, "%s: %s", k->path, strerror(errno));
  if (safefile_same(&st, &k->seen))
    return 0;
  struct ring *r = ring_read(k, &st, &error, e);
  if (r == NULL)
    return -1;
  if (strcmp(r->name, keyring_name(k)) != 0) {
    ring_free(r);
    return err_set(e, "%s is another key ring now: put the old one back, or start anew", k->path);
  }
  show(k, r, &st);
  return 1;
}

/* ---- management */

static int lock_ring(const struct keyring *k, int *ret_fd, struct err *e)
{
  CLEANUP(buf_done) struct buf path;
  buf_init(&path, 8192);
  buf_printf(&path, "%s.lock", k->path);
  if (path.failed)
    return err_set(e, "out of memory");
  AUTO_CLOSE int fd = open(path.p, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0 || ring_give(k, fd) < 0 || flock(fd, LOCK_EX) < 0)
    return err_set(e, "cannot lock %s: %s", path.p, strerror(errno));
  *ret_fd = steal_fd(&fd);
  return 0;
}

/* What it signed has expired: the next one took over KEYRING_KEEP_S ago. */
static void drop_signing(struct ring *r, int64_t now)
{
  while (r->n_sign > 1 && r->sign[1].from + KEYRING_KEEP_S < now) {
    sign_key_done(&r->sign[0]);
    r->n_sign--;
    memmove(&r->sign[0], &r->sign[1], r->n_sign * sizeof r->sign[0]);
    r->sign[r->n_sign] = (struct sign_key){.der = NULL};
  }
}

static unsigned drop_sealing(struct ring *r, int64_t before)
{
  unsigned n = 0;
  uint32_t current = ring_sealing(r)->id;
  while (r->seal[0].id != current && r->seal[1].from <= before) {
    secret_free(r->seal[0].key);
    r->n_seal--;
    memmove(&r->seal[0], &r->seal[1], r->n_seal * sizeof r->seal[0]);
    r->seal[r->n_seal] = (struct seal_key){.key = NULL};
    n++;
  }
  return n;
}

/* One that is used at once overtakes those that are still coming: the last in the ring wins. */
static int add(struct ring *r, enum keyring_kind kind, int64_t delay_s, struct err *e)
{
  int64_t from, now = clock_wall();
  switch (kind) {
  case KEYRING_SEALING:
    from = now + (delay_s < 0 ? KEYRING_SPREAD_S : delay_s);
    return ring_add_seal(r, from, e);
  case KEYRING_SIGNING:
    drop_signing(r, now);
    from = now + (delay_s < 0 ? KEYRING_PUBLISH_S : delay_s);
    return ring_add_sign(r, from, e);
  }
  return err_set(e, "there is no such kind of key");
}

/* Reads the file anew under its lock; *RET is to be changed and written. */
static int begin(struct keyring *k, int *ret_lock, struct ring **ret, struct err *e)
{
  struct stat st;
  int error;
  AUTO_CLOSE int lock = -1;
  if (lock_ring(k, &lock, e) < 0)
    return -1;
  *ret = ring_read(k, &st, &error, e);
  if (*ret == NULL)
    return -1;
  *ret_lock = steal_fd(&lock);
  return 0;
}

static int commit(struct keyring *k, struct ring *r, struct err *e)
{
  int result = ring_write(k, r, false, e);
  ring_free(r);
  return result < 0 || keyring_poll(k, e) < 0 ? -1 : 0;
}

int keyring_rotate(struct keyring *k, enum keyring_kind kind, int64_t delay_s, struct err *e)
{
  struct ring *r;
  AUTO_CLOSE int lock = -1;
  if (begin(k, &lock, &r, e) < 0)
    return -1;
  if (add(r, kind, delay_s, e) < 0) {
    ring_free(r);
    return -1;
  }
  return commit(k, r, e);
}

int keyring_drop_old(struct keyring *k, int64_t keep_s, struct err *e)
{
  struct ring *r;
  AUTO_CLOSE int lock = -1;
  if (begin(k, &lock, &r, e) < 0)
    return -1;
  unsigned n = drop_sealing(r, clock_wall() - keep_s);
  if (n == 0) {
    ring_free(r);
    return 0;
  }
  return commit(k, r, e) < 0 ? -1 : (int)n;
}

static int drop_one(struct ring *r, struct str kid, struct err *e)
{
  size_t i = 0;
  while (i < r->n_sign && !str_is(kid, r->sign[i].kid))
    i++;
  if (i == r->n_sign)
    return err_set(e, "there is no such signing key");
  if (&r->sign[i] == ring_signing(r))
    return err_set(e, "this key is in use: rotate first (mcpauth keys rotate signing --now)");
  sign_key_done(&r->sign[i]);
  r->n_sign--;
  memmove(&r->sign[i], &r->sign[i + 1], (r->n_sign - i) * sizeof r->sign[0]);
  r->sign[r->n_sign] = (struct sign_key){.der = NULL};
  return 0;
}

int keyring_drop(struct keyring *k, struct str kid, struct err *e)
{
  struct ring *r;
  AUTO_CLOSE int lock = -1;
  if (begin(k, &lock, &r, e) < 0)
    return -1;
  if (drop_one(r, kid, e) < 0) {
    ring_free(r);
    return -1;
  }
  return commit(k, r, e);
}

static enum keyring_state state_of(int64_t from, bool current)
{
  return current ? KEYRING_CURRENT : from > clock_wall() ? KEYRING_COMING : KEYRING_OLD;
}

size_t keyring_list(const struct keyring *k, struct keyring_info *ret, size_t max)
{
  const struct ring *r = atomic_load(&k->now);
  size_t n = 0;
  for (size_t i = 0; i < r->n_seal && n < max; i++, n++) {
    const struct seal_key *s = &r->seal[i];
    ret[n] = (struct keyring_info){.kind = KEYRING_SEALING,
                                   .state = state_of(s->from, s == ring_sealing(r)),
                                   .created_at = s->created_at,
                                   .from = s->from};
    snprintf(ret[n].id, sizeof ret[n].id, "%u", s->id);
  }
  for (size_t i = 0; i < r->n_sign && n < max; i++, n++) {
    const struct sign_key *s = &r->sign[i];
    ret[n] = (struct keyring_info){.kind = KEYRING_SIGNING,
                                   .state = state_of(s->from, s == ring_signing(r)),
                                   .created_at = s->created_at,
                                   .from = s->from};
    memcpy(ret[n].id, s->kid, sizeof ret[n].id);
  }
  return n;
}
