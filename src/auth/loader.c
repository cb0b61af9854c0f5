/* Loads and validates providers; see loader.h.  One process loads a file once and keeps it. */
#include "auth/loader.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <ltdl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "auth/elfnote.h"
#include "util/cleanup.h"
#include "util/limits.h"

enum { MAX_MODULES = 128, MAX_OPTIONS = 128, MAX_CONFIG = 65536, MAX_DIRS = 8 };

struct module {
  char path[PATH_MAX];
  struct mcpauth_provider table; /* the module's, grown to our size with zeroes */
  struct elfnote note;
};

struct loader {
  struct arena *arena;
  const char *dirs[MAX_DIRS];
  size_t n_dirs;
  struct module *modules[MAX_MODULES];
  size_t n_modules;
};

/* ---- libltdl, made to bind at once and to say what dlopen said */

static struct err last_error;

static lt_module bind_open(lt_user_data data, const char *file, lt_dladvise advise)
{
  (void)data;
  (void)advise;
  void *handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);
  if (handle == NULL)
    err_set(&last_error, "%s", dlerror());
  return handle;
}

static int bind_close(lt_user_data data, lt_module module)
{
  (void)data;
  return dlclose(module);
}

static void *bind_symbol(lt_user_data data, lt_module module, const char *name)
{
  (void)data;
  return dlsym(module, name);
}

static const lt_dlvtable bind_now = {
    .name = "mcpauth-bind-now",
    .module_open = bind_open,
    .module_close = bind_close,
    .find_sym = bind_symbol,
    .priority = LT_DLLOADER_PREPEND,
};

static int start_ltdl(struct err *e)
{
  static bool ready;
  if (ready)
    return 0;
  if (lt_dlinit() != 0 || lt_dlloader_add(&bind_now) != 0)
    return err_set(e, "libltdl: %s", lt_dlerror());
  /* No other way in: the stock loaders bind lazily and search. */
  lt_dlloader_remove("lt_dlopen");
  lt_dlloader_remove("lt_preopen");
  ready = true;
  return 0;
}

/* ---- who could have changed the file */

static int judge(const struct stat *st, const char *path, struct err *e)
{
  bool sticky_folder = S_ISDIR(st->st_mode) && (st->st_mode & S_ISVTX);
  if (st->st_uid != 0 && st->st_uid != geteuid())
    return err_set(e, "%s belongs to neither root nor the user that runs this", path);
  if (!S_ISLNK(st->st_mode) && (st->st_mode & (S_IWGRP | S_IWOTH)) && !sticky_folder)
    return err_set(e, "%s can be written by others (mode %04o)", path, st->st_mode & 07777);
  return 0;
}

/* Every component of PATH, links themselves included. */
static int judge_path(const char *path, struct err *e)
{
  char prefix[PATH_MAX];
  struct stat st;
  for (size_t i = 1;; i++) {
    if (path[i] != '/' && path[i] != 0)
      continue;
    if (i >= sizeof prefix)
      return err_set(e, "%s is too long", path);
    memcpy(prefix, path, i);
    prefix[i] = 0;
    if (lstat(prefix, &st) < 0)
      return err_set(e, "%s: %s", prefix, strerror(errno));
    if (judge(&st, prefix, e) < 0)
      return -1;
    if (path[i] == 0)
      return 0;
  }
}

/* Opens the real file behind PATH.  REAL gets its path without links. */
static int open_judged(const char *path, char real[PATH_MAX], struct stat *ret, struct err *e)
{
  if (judge_path(path, e) < 0)
    return -1;
  if (realpath(path, real) == NULL)
    return err_set(e, "%s: %s", path, strerror(errno));
  if (judge_path(real, e) < 0)
    return -1;
  AUTO_CLOSE int fd = open(real, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0 || fstat(fd, ret) < 0)
    return err_set(e, "%s: %s", real, strerror(errno));
  if (!S_ISREG(ret->st_mode))
    return err_set(e, "%s is not a regular file", real);
  if (judge(ret, real, e) < 0)
    return -1;
  return steal_fd(&fd);
}

/* ---- what it says about itself */

static bool word(const char *s, bool dashes)
{
  if (s == NULL || s[0] < 'a' || s[0] > 'z')
    return false;
  for (; *s; s++)
    if (!((*s >= 'a' && *s <= 'z') || (*s >= '0' && *s <= '9') || *s == (dashes ? '-' : '_')))
      return false;
  return true;
}

static size_t member_size(enum mcpauth_option_type type)
{
  switch (type) {
  case MCPAUTH_STRING:
  case MCPAUTH_URL:
  case MCPAUTH_PATH:
  case MCPAUTH_SECRET:
    return sizeof(void *);
  case MCPAUTH_BOOL:
    return sizeof(bool);
  case MCPAUTH_INTEGER:
  case MCPAUTH_DURATION:
  case MCPAUTH_SIZE:
    return sizeof(int64_t);
  case MCPAUTH_CHOICE:
    return sizeof(int);
  case MCPAUTH_LIST:
  case MCPAUTH_PAIRS:
    return sizeof(struct mcpauth_list);
  }
  return 0;
}

static int check_option(const struct mcpauth_provider *p, size_t i, struct err *e)
{
  static const char *const taken[] = {"module",  "scopes",       "deadline",
                                      "ca_file", "egress_proxy", "accept_risk"};
  const struct mcpauth_option *o = &p->options[i];
  size_t size = member_size(o->type);
  if (!word(o->name, false))
    return err_set(e, "option %zu has no proper name", i + 1);
  if (size == 0)
    return err_set(e, "option %s is of a type that this hub does not know", o->name);
  if (o->offset > p->config_size || size > p->config_size - o->offset)
    return err_set(e, "option %s lies outside the configuration struct", o->name);
  if (o->min > o->max)
    return err_set(e, "option %s has an empty range", o->name);
  if (o->type == MCPAUTH_CHOICE && (o->choices == NULL || o->choices[0] == NULL))
    return err_set(e, "option %s has no choices", o->name);
  if (o->help == NULL || o->help[0] == 0)
    return err_set(e, "option %s has no help", o->name);
  for (size_t k = 0; k < ARRAY_SIZE(taken); k++)
    if (strcmp(o->name, taken[k]) == 0)
      return err_set(e, "option %s is the hub's own", o->name);
  for (size_t k = 0; k < i; k++)
    if (strcmp(o->name, p->options[k].name) == 0)
      return err_set(e, "option %s stands twice in its table", o->name);
  return 0;
}

static int check_table(const struct mcpauth_provider *p, const char *name, struct err *e)
{
  if (p->name == NULL || strcmp(p->name, name) != 0)
    return err_set(e, "calls itself '%s'; the file's name must be the provider's",
                   p->name ? p->name : "");
  if (p->version == NULL || p->description == NULL)
    return err_set(e, "has no version or description");
  if (!p->login_begin != !p->login_finish || !p->login_begin != !p->refresh)
    return err_set(e, "has some of login_begin, login_finish and refresh, and not all");
  if (p->verify == NULL && p->account == NULL && p->login_begin == NULL)
    return err_set(e, "has neither verify nor account nor login_begin");
  if (p->config_size > MAX_CONFIG)
    return err_set(e, "wants a configuration struct of %zu bytes", p->config_size);
  for (size_t i = 0; p->options && p->options[i].name; i++) {
    if (i == MAX_OPTIONS)
      return err_set(e, "has more than %d options", MAX_OPTIONS);
    if (check_option(p, i, e) < 0)
      return -1;
  }
  return 0;
}

/* The smallest table that ever was: abi 1.0, up to `issuers`. */
enum { TABLE_LEAST = offsetof(struct mcpauth_provider, issuers) + sizeof(void *) };

static int take_table(struct module *m, const struct mcpauth_registration *r, const char *name,
                      struct err *e)
{
  if (r->abi >> 16 != MCPAUTH_ABI_MAJOR || r->struct_size < sizeof *r || r->host == NULL ||
      r->provider == NULL)
    return err_set(e, "its registration is not of this ABI");
  const struct mcpauth_provider *p = r->provider;
  if (p->abi >> 16 != MCPAUTH_ABI_MAJOR || p->struct_size < TABLE_LEAST)
    return err_set(e, "its table is not of this ABI");
  memcpy(&m->table, p, p->struct_size < sizeof m->table ? p->struct_size : sizeof m->table);
  if (check_table(&m->table, name, e) < 0)
    return -1;
  *r->host = &host_functions;
  return 0;
}

/* Whether this host has all that the file says it needs. */
static int check_needs(const struct elfnote *note, struct err *e)
{
  CLEANUP(buf_done) struct buf lacking;
  buf_init(&lacking, KIB(8));
  for (size_t i = 0; i < note->n; i++)
    if (note->needs[i].end > host_functions.struct_size)
      buf_printf(&lacking, "%s%s", lacking.n ? ", " : "", note->needs[i].function);
  if (lacking.n == 0 && !lacking.failed)
    return 0;
  return err_set(e,
                 "needs what this hub does not have: %s (it was built for ABI %u.%u, this hub has "
                 "%u.%u)",
                 lacking.failed ? "?" : lacking.p, note->abi >> 16, note->abi & 0xffff,
                 MCPAUTH_ABI_MAJOR, MCPAUTH_ABI_MINOR);
}

static int check_note(int fd, struct elfnote *note, struct err *e)
{
  if (elfnote_read(fd, note, e) < 0)
    return -1;
  if (note->abi >> 16 != MCPAUTH_ABI_MAJOR)
    return err_set(e, "was built for ABI %u.%u, this hub has %u.%u", note->abi >> 16,
                   note->abi & 0xffff, MCPAUTH_ABI_MAJOR, MCPAUTH_ABI_MINOR);
  return check_needs(note, e);
}

/* Whether the library that is loaded as PATH is the file behind FD: names may have been changed and
 * changed back in between, but the linker knows a file that it has by device and inode.  It also
 * remembers names, so every module gets a number of its own. */
static bool loaded_from(int fd, const char *path)
{
  static int next = 64;
  char name[64];
  if (access("/proc/self/fd", F_OK) < 0)
    return true; /* then the names must do */
  AUTO_CLOSE int copy = fcntl(fd, F_DUPFD_CLOEXEC, next);
  if (copy < 0)
    return false;
  next = copy + 1;
  snprintf(name, sizeof name, "/proc/self/fd/%d", copy);
  void *judged = dlopen(name, RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD);
  void *loaded = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD);
  bool same = judged && judged == loaded;
  if (judged)
    dlclose(judged);
  if (loaded)
    dlclose(loaded);
  return same;
}

const char *volatile loader_at_work;

static int load_file(struct module *m, const char *path, const char *name, struct err *e)
{
  struct stat checked, loaded;
  AUTO_CLOSE int fd = open_judged(path, m->path, &checked, e);
  if (fd < 0)
    return -1;
  if (check_note(fd, &m->note, e) < 0)
    return err_prefix(e, "%s", m->path);
  lt_dlhandle handle = lt_dlopen(m->path);
  if (handle == NULL)
    return err_set(e, "%s: %s", m->path, last_error.text);
  if (stat(m->path, &loaded) < 0 || loaded.st_dev != checked.st_dev ||
      loaded.st_ino != checked.st_ino || !loaded_from(fd, m->path))
    return err_set(e, "%s changed while it was loaded", m->path);
  const struct mcpauth_registration *r = lt_dlsym(handle, "mcpauth_provider");
  if (r == NULL)
    return err_set(e, "%s does not export mcpauth_provider", m->path);
  if (take_table(m, r, name, e) < 0)
    return err_prefix(e, "%s", m->path);
  return 0;
}

static int load(struct module *m, const char *path, const char *name, struct err *e)
{
  loader_at_work = path;
  int r = load_file(m, path, name, e);
  loader_at_work = NULL;
  return r;
}

/* ---- the loader */

struct loader *loader_new(const char *dirs, struct err *e)
{
  struct arena *arena = arena_new(MIB(8));
  struct loader *l = arena ? arena_new_of(arena, struct loader) : NULL;
  if (l == NULL) {
    arena_free(arena);
    err_set(e, "out of memory");
    return NULL;
  }
  l->arena = arena;
  struct str rest = str_of(dirs), dir;
  while (str_next(&rest, ':', &dir)) {
    if (dir.n == 0 || dir.p[0] != '/' || l->n_dirs == MAX_DIRS) {
      err_set(e, "plugin folder '%.*s' is not an absolute path", STR_ARG(dir));
      arena_free(arena);
      return NULL;
    }
    l->dirs[l->n_dirs++] = arena_dup(arena, dir);
  }
  if (start_ltdl(e) < 0) {
    arena_free(arena);
    return NULL;
  }
  return l;
}

void loader_free(struct loader *l)
{
  if (l)
    arena_free(l->arena);
}

static const char *find_file(struct loader *l, const char *name)
{
  for (size_t i = 0; i < l->n_dirs; i++) {
    const char *path = arena_printf(l->arena, "%s/%s.so", l->dirs[i], name);
    if (path && access(path, F_OK) == 0)
      return path;
  }
  return NULL;
}

static int missing(struct loader *l, const char *name, struct err *e)
{
  const char **names;
  size_t n = loader_names(l, l->arena, &names);
  const char *near = str_nearest(str_of(name), names, n);
  if (near)
    return err_set(e, "there is no module '%s' (no %s.so in %s); did you mean '%s'?", name, name,
                   l->n_dirs ? l->dirs[0] : "any folder", near);
  return err_set(e, "there is no module '%s' (no %s.so in %s)", name, name,
                 l->n_dirs ? l->dirs[0] : "any folder");
}

/* "bearer-jwt" of "/usr/lib/mcpauth/bearer-jwt.so"; NULL when it has no such form. */
static const char *name_of_path(struct loader *l, const char *path)
{
  const char *base = strrchr(path, '/') + 1;
  struct str s = str_of(base);
  if (!str_ends(s, ".so"))
    return NULL;
  const char *name = arena_dup(l->arena, str_slice(s, 0, s.n - 3));
  return word(name, true) ? name : NULL;
}

static struct module *known(const struct loader *l, const char *name)
{
  for (size_t i = 0; i < l->n_modules; i++)
    if (strcmp(l->modules[i]->table.name, name) == 0)
      return l->modules[i];
  return NULL;
}

const struct mcpauth_provider *loader_open(struct loader *l, const char *name_or_path,
                                           const char **ret_path, struct err *e)
{
  bool by_path = name_or_path[0] == '/';
  const char *name = by_path ? name_of_path(l, name_or_path) : name_or_path;
  if (!word(name, true)) {
    err_set(e, "'%s' is no module name ([a-z][a-z0-9-]*)", name_or_path);
    return NULL;
  }
  struct module *m = known(l, name);
  if (m == NULL) {
    const char *path = by_path ? name_or_path : find_file(l, name);
    if (path == NULL) {
      missing(l, name, e);
      return NULL;
    }
    m = l->n_modules < MAX_MODULES ? arena_new_of(l->arena, struct module) : NULL;
    if (m == NULL) {
      err_set(e, "too many modules");
      return NULL;
    }
    if (load(m, path, name, e) < 0)
      return NULL;
    l->modules[l->n_modules++] = m;
  }
  if (ret_path)
    *ret_path = m->path;
  return &m->table;
}

const struct elfnote *loader_note(const struct loader *l, const char *name)
{
  const struct module *m = known(l, name);
  return m ? &m->note : NULL;
}

static int by_name(const void *a, const void *b)
{
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

size_t loader_names(struct loader *l, struct arena *arena, const char ***ret)
{
  size_t n = 0;
  const char **names = arena_array(arena, MAX_MODULES, sizeof *names);
  for (size_t i = 0; names && i < l->n_dirs; i++) {
    DIR *d = opendir(l->dirs[i]);
    if (d == NULL)
      continue;
    for (struct dirent *f; n < MAX_MODULES && (f = readdir(d));) {
      struct str s = str_of(f->d_name);
      const char *name = str_ends(s, ".so") ? arena_dup(arena, str_slice(s, 0, s.n - 3)) : NULL;
      if (word(name, true))
        names[n++] = name;
    }
    closedir(d);
  }
  if (n)
    qsort(names, n, sizeof *names, by_name);
  *ret = names;
  return n;
}

static const struct mcpauth_provider *modules_load(void *self, const char *module,
                                                   struct arena *arena, const char **ret_path,
                                                   struct err *e)
{
  const char *path;
  const struct mcpauth_provider *p = loader_open(self, module, &path, e);
  if (p)
    *ret_path = arena_dup(arena, str_of(path));
  return p;
}

static int modules_check(void *self, const struct config_provider *p, const char **ret_option,
                         struct err *e)
{
  (void)self;
  return host_check(p, ret_option, e);
}

static size_t modules_names(void *self, struct arena *arena, const char ***ret)
{
  return loader_names(self, arena, ret);
}

struct config_modules loader_modules(struct loader *l)
{
  return (struct config_modules){l, modules_load, modules_check, modules_names};
}
