/* Files of the use counts; see usage_file.h.
 *
 * A file is {"folded": ["PID.START", …], "keys": {"KEY": {"uses", "last", "address"}}}.  `folded`,
 * in INSTANCE.json only, names the parts that are in it already, so that one that was folded but
 * not yet removed is not counted again.  DIR/lock is held exclusively to fold, shared to read. */
#include "auth/usage_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/usage.h"
#include "ops/log.h"
#include "util/safefile.h"
#include "util/cleanup.h"
#include "util/json.h"
#include "util/buf.h"

enum { VALUES_MAX = 12 * USAGE_KEYS_MAX };

int usage_dir(const char *state_dir, char out[4096], struct err *e)
{
  int n = snprintf(out, 4096, "%s/usage", state_dir);
  if (n < 0 || n >= 3072)
    return err_set(e, "the path of the state directory is too long");
  if (mkdir(out, 0700) < 0 && errno != EEXIST)
    return err_set(e, "cannot make %s: %s", out, strerror(errno));
  return 0;
}

/* A job thread and the end of the process may write at once: each beside the file, under a name of
 * its own. */
static const struct safefile_how durably = {.mode = 0600, .sync = true};

int usage_write_part(const char *dir, const char *instance, const char *part, struct str text,
                     struct err *e)
{
  char path[4160];
  int n = snprintf(path, sizeof path, "%s/%s.%s.json", dir, instance, part);
  if (n < 0 || (size_t)n >= sizeof path)
    return err_set(e, "the name of the provider %.40s is too long for a file", instance);
  return safefile_write(path, text, &durably, e);
}

/* Judged by the folder alone (0700): the command line reads as root what the hub's user wrote. */
static int read_text(const char *path, struct buf *out, struct err *e)
{
  AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0)
    return err_set(e, "%s", strerror(errno));
  return safefile_read_fd(fd, USAGE_FILE_MAX, out, e);
}

/* NULL with E; a file that is not there is empty. */
static json_t *read_file(const char *dir, const char *name, struct err *e)
{
  char path[4160];
  CLEANUP(buf_done) struct buf text;
  buf_init(&text, USAGE_FILE_MAX + 65536);
  snprintf(path, sizeof path, "%s/%s", dir, name);
  if (access(path, F_OK) < 0 && errno == ENOENT)
    return json_pack("{s:[], s:{}}", "folded", "keys");
  json_t *j = read_text(path, &text, e) == 0 ? json_parse(buf_view(&text), 4, VALUES_MAX, e) : NULL;
  if (j && json_is_array(json_object_get(j, "folded")) &&
      json_is_object(json_object_get(j, "keys")))
    return j;
  if (j)
    err_set(e, "not a file of use counts");
  json_decref(j);
  err_prefix(e, "%s", path);
  return NULL;
}

static json_int_t number(const json_t *object, const char *key)
{
  return json_integer_value(json_object_get(object, key));
}

/* Makes room by forgetting the key that was used longest ago. */
static void forget_oldest(json_t *keys)
{
  const char *name, *oldest = NULL;
  json_t *value;
  json_int_t least = 0;
  json_object_foreach(keys, name, value) if (oldest == NULL || number(value, "last") < least)
  {
    oldest = name;
    least = number(value, "last");
  }
  if (oldest)
    json_object_del(keys, oldest);
}

/* Adds the uses in FROM to those in TO. */
static int merge(json_t *to, json_t *from)
{
  const char *name;
  json_t *value;
  json_object_foreach(from, name, value)
  {
    json_t *sum = json_object_get(to, name);
    if (!json_is_object(value))
      continue;
    if (sum == NULL) {
      if (json_object_size(to) >= USAGE_KEYS_MAX)
        forget_oldest(to);
      if (json_object_set_new(to, name, json_deep_copy(value)) < 0)
        return -1;
      continue;
    }
    json_int_t uses = number(sum, "uses") + number(value, "uses");
    if (number(value, "last") >= number(sum, "last") && json_object_update(sum, value) < 0)
      return -1;
    if (json_object_set_new(sum, "uses", json_integer(uses)) < 0)
      return -1;
  }
  return 0;
}

/* ------------------------------------------------------------------ names */

/* "INSTANCE.PID.START.json". */
struct part {
  char instance[128], id[64];
  long pid;
};

static bool part_parse(const char *file, struct part *ret)
{
  struct str name = str_of(file), word[4], rest = name;
  uint64_t pid, start;
  for (int i = 0; i < 4; i++)
    if (!str_next(&rest, '.', &word[i]))
      return false;
  if (rest.p || !str_is(word[3], "json") || word[0].n == 0 || word[0].n >= sizeof ret->instance ||
      !str_u64(word[1], INT32_MAX, &pid) || pid == 0 || !str_u64(word[2], INT64_MAX, &start))
    return false;
  snprintf(ret->instance, sizeof ret->instance, "%.*s", STR_ARG(word[0]));
  snprintf(ret->id, sizeof ret->id, "%llu.%llu", (unsigned long long)pid,
           (unsigned long long)start);
  ret->pid = (long)pid;
  return true;
}

static bool ended(const struct part *p, const char *own)
{
  if (own && strcmp(p->id, own) == 0)
    return true;
  if (p->pid == getpid()) /* an earlier process with our number */
    return own != NULL;
  return kill((pid_t)p->pid, 0) < 0 && errno == ESRCH;
}

static bool listed(const json_t *names, const char *id)
{
  size_t i;
  json_t *name;
  json_array_foreach(names, i, name) if (str_is(json_text(name), id)) return true;
  return false;
}

/* All parts in DIR: {"INSTANCE": ["PID.START", …]}; only those of ended processes when OWN is not
 * NULL. */
static json_t *list_parts(const char *dir, bool only_ended, const char *own)
{
  json_t *all = json_object();
  DIR *d = all ? opendir(dir) : NULL;
  if (d == NULL) {
    json_decref(all);
    return NULL;
  }
  for (struct dirent *entry; (entry = readdir(d));) {
    struct part p;
    if (!part_parse(entry->d_name, &p) || (only_ended && !ended(&p, own)))
      continue;
    json_t *list = json_object_get(all, p.instance);
    if (list == NULL) {
      list = json_array();
      json_object_set_new(all, p.instance, list);
    }
    json_array_append_new(list, json_string(p.id));
  }
  closedir(d);
  return all;
}

static int lock(const char *dir, int how, struct err *e)
{
  char path[4160];
  snprintf(path, sizeof path, "%s/lock", dir);
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd >= 0 && flock(fd, how) == 0)
    return fd;
  err_set(e, "cannot lock %s: %s", path, strerror(errno));
  if (fd >= 0)
    close(fd);
  return -1;
}

/* ------------------------------------------------------------------ folding and reading */

static int add_part(const char *dir, const char *instance, const char *id, json_t *base,
                    struct err *e)
{
  char name[256];
  if (listed(json_object_get(base, "folded"), id))
    return 0;
  snprintf(name, sizeof name, "%s.%s.json", instance, id);
  CLEANUP(json_drop) json_t *part = read_file(dir, name, e);
  if (part == NULL)
    return -1;
  return merge(json_object_get(base, "keys"), json_object_get(part, "keys")) < 0
             ? err_set(e, "out of memory")
             : 0;
}

static int store(const char *dir, const char *name, const json_t *base, struct err *e)
{
  char path[4160];
  AUTO_FREE char *text = json_dumps(base, JSON_COMPACT);
  snprintf(path, sizeof path, "%s/%s", dir, name);
  return text ? safefile_write(path, str_of(text), &durably, e) : err_set(e, "out of memory");
}

static int fold_instance(const char *dir, const char *instance, json_t *parts, struct err *e)
{
  char name[256];
  size_t i;
  json_t *id;
  snprintf(name, sizeof name, "%s.json", instance);
  CLEANUP(json_drop) json_t *base = read_file(dir, name, e);
  if (base == NULL)
    return -1;
  json_array_foreach(parts, i,
                     id) if (add_part(dir, instance, json_string_value(id), base, e) < 0) return -1;
  /* Names of parts that are gone since the last time drop out here. */
  if (json_object_set(base, "folded", parts) < 0 || store(dir, name, base, e) < 0)
    return -1;
  json_array_foreach(parts, i, id)
  {
    char path[4500];
    snprintf(path, sizeof path, "%s/%s.%s.json", dir, instance, json_string_value(id));
    if (unlink(path) < 0 && errno != ENOENT)
      return err_set(e, "cannot remove %s: %s", path, strerror(errno));
  }
  return 0;
}

int usage_fold(const char *dir, const char *own, struct err *e)
{
  const char *instance;
  json_t *parts;
  AUTO_CLOSE int locked = lock(dir, LOCK_EX, e);
  if (locked < 0)
    return -1;
  CLEANUP(json_drop) json_t *all = list_parts(dir, true, own ? own : "");
  if (all == NULL)
    return err_set(e, "cannot read %s: %s", dir, strerror(errno));
  int r = 0;
  json_object_foreach(all, instance, parts) if (fold_instance(dir, instance, parts, e) < 0) r = -1;
  return r;
}

int usage_read(const char *state_dir, const char *instance, json_t **ret_keys, struct err *e)
{
  char dir[4096], name[256];
  size_t i;
  json_t *id;
  snprintf(dir, sizeof dir, "%s/usage", state_dir);
  if (access(dir, F_OK) < 0 && errno == ENOENT) {
    *ret_keys = json_object();
    return *ret_keys ? 0 : err_set(e, "out of memory");
  }
  AUTO_CLOSE int locked = lock(dir, LOCK_SH, e);
  if (locked < 0)
    return -1;
  snprintf(name, sizeof name, "%s.json", instance);
  CLEANUP(json_drop) json_t *base = read_file(dir, name, e);
  CLEANUP(json_drop) json_t *all = list_parts(dir, false, NULL);
  if (base == NULL || all == NULL)
    return base ? err_set(e, "cannot read %s: %s", dir, strerror(errno)) : -1;
  json_array_foreach(json_object_get(all, instance), i,
                     id) if (add_part(dir, instance, json_string_value(id), base, e) < 0) return -1;
  *ret_keys = json_incref(json_object_get(base, "keys"));
  return 0;
}
