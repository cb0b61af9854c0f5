/* config_load: the files of the folder, judged and read whole, then bound.  Nothing is skipped:
 * what cannot be read is an error (rows 141, 145). */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "config/bind.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include "util/safefile.h"

/* All files at their longest, and their names. */
#define SOURCES_MOST ((LIMIT_CONFIG_FILES + 1) * (MIB(1) + KIB(8)))

/* The user id while it is not known whom to become: who owns the files is judged afterwards. */
#define NOBODY_YET ((unsigned)-1)

struct folder {
  const char *dir;
  unsigned user_id;
  struct arena *arena;
  struct findings *f;
  const char *names[LIMIT_CONFIG_FILES];
  struct config_source sources[LIMIT_CONFIG_FILES];
  size_t n;
};

/* [a-z0-9][a-z0-9_-]*\.conf */
static bool good_name(const char *name)
{
  size_t stem = strlen(name) - strlen(".conf");
  for (size_t i = 0; i < stem; i++) {
    char c = name[i];
    bool alphanumeric = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (!alphanumeric && (i == 0 || (c != '_' && c != '-')))
      return false;
  }
  return stem > 0;
}

static void judge_name(struct folder *d, const char *name)
{
  if (name[0] == '.' || !str_ends(str_of(name), ".conf"))
    return; /* ignored: hub.conf.bak, README, .hub.conf.swp */
  char *path = arena_printf(d->arena, "%s/%s", d->dir, name);
  struct config_at at = {path, 0, 0};
  if (path == NULL)
    report_error(d->f, at, "out of memory");
  else if (!good_name(name))
    report_error(d->f, at,
                 "a configuration file's name has lower-case letters, digits, '-' and "
                 "'_' before .conf, and begins with a letter or digit");
  else if (d->n == LIMIT_CONFIG_FILES)
    report_error(d->f, at, "there are more than %d configuration files", LIMIT_CONFIG_FILES);
  else
    d->names[d->n++] = path;
}

static bool judge_folder(struct folder *d, int fd)
{
  struct stat st;
  struct config_at at = {d->dir, 0, 0};
  if (fstat(fd, &st) < 0)
    report_error(d->f, at, "%s", strerror(errno));
  else if (st.st_uid != 0 && st.st_uid != d->user_id && d->user_id != NOBODY_YET)
    report_error(d->f, at,
                 "the folder belongs to neither root nor the user that the daemon runs as");
  else if (st.st_mode & (S_IWGRP | S_IWOTH))
    report_error(d->f, at, "the folder can be written by others (mode %04o)",
                 (unsigned)(st.st_mode & 07777));
  else
    return true;
  return false;
}

static int by_bytes(const void *a, const void *b)
{
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool list_folder(struct folder *d)
{
  DIR *dir = opendir(d->dir);
  if (dir == NULL) {
    report_error(d->f, (struct config_at){d->dir, 0, 0}, "%s", strerror(errno));
    return false;
  }
  bool good = judge_folder(d, dirfd(dir));
  errno = 0;
  for (struct dirent *entry; good && (entry = readdir(dir)) != NULL; errno = 0)
    judge_name(d, entry->d_name);
  if (good && errno) {
    report_error(d->f, (struct config_at){d->dir, 0, 0}, "%s", strerror(errno));
    good = false;
  }
  closedir(dir);
  qsort(d->names, d->n, sizeof d->names[0], by_bytes);
  return good;
}

/* As long as nobody is named, whoever owns a file may: the load will judge it. */
static int read_file(struct folder *d, const char *path, struct buf *text, struct err *e)
{
  struct stat st;
  unsigned owner = d->user_id;
  if (owner == NOBODY_YET) {
    if (stat(path, &st) < 0)
      return err_set(e, "%s", strerror(errno));
    owner = st.st_uid;
  }
  return safefile_read_as(path, LIMIT_CONFIG_FILE, false, owner, text, NULL, e);
}

static void read_files(struct folder *d)
{
  for (size_t i = 0; i < d->n; i++) {
    struct err e = {""};
    struct buf text;
    buf_init(&text, LIMIT_CONFIG_FILE);
    if (read_file(d, d->names[i], &text, &e) < 0)
      report_error(d->f, (struct config_at){d->names[i], 0, 0}, "%s", e.text);
    d->sources[i] = (struct config_source){d->names[i], arena_str(d->arena, buf_view(&text))};
    buf_done(&text);
  }
}

static void free_arena(struct arena **p)
{
  arena_free(*p);
}

struct config *config_load(const char *dir, const struct config_modules *modules, unsigned user_id,
                           struct arena *report_arena, struct config_report *report)
{
  struct findings f;
  struct config *c = NULL;
  if (findings_init(&f, report_arena, report) < 0)
    return NULL;
  CLEANUP(free_arena) struct arena *scratch = arena_new(SOURCES_MOST);
  AUTO_FREE struct folder *d = calloc(1, sizeof *d);
  if (d == NULL || scratch == NULL) {
    report_error(&f, (struct config_at){NULL, 0, 0}, "out of memory");
    return NULL;
  }
  *d = (struct folder){.dir = dir, .user_id = user_id, .arena = scratch, .f = &f};
  if (list_folder(d))
    read_files(d);
  if (report->errors == 0)
    c = config_bind(dir, d->sources, d->n, modules, user_id, &f);
  findings_sort(&f);
  return c;
}

static int finding_err(const struct config_finding *f, struct err *e)
{
  if (f->at.line)
    return err_set(e, "%s:%u:%u: %s", f->at.file, f->at.line, f->at.column, f->text);
  return err_set(e, "%s: %s", f->at.file ? f->at.file : "configuration", f->text);
}

int config_user(const char *dir, struct arena *arena, const char **ret_user, struct err *e)
{
  CLEANUP(free_arena) struct arena *scratch = arena_new(SOURCES_MOST);
  AUTO_FREE struct folder *d = calloc(1, sizeof *d);
  struct config_report report;
  struct findings f;
  const char *user = "";
  if (scratch == NULL || d == NULL || findings_init(&f, scratch, &report) < 0)
    return err_set(e, "out of memory");
  *d = (struct folder){.dir = dir, .user_id = NOBODY_YET, .arena = scratch, .f = &f};
  if (list_folder(d))
    read_files(d);
  if (report.errors == 0)
    user = config_find_user(d->sources, d->n, scratch, &f);
  if (report.errors)
    return finding_err(&report.v[0], e);
  const char *copy = arena_dup(arena, str_of(user));
  if (copy == NULL)
    return err_set(e, "out of memory");
  *ret_user = copy;
  return 0;
}

void config_print(const struct config *c, FILE *to)
{
  fputs(c->canonical, to);
}
