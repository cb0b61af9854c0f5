/* What can be said of a provider's file and tables before anything of it runs: which symbols it
 * gives and takes (ELF's dynamic table, read from the section headers), whether its tables make
 * sense.  See conform.h. */
#include <config.h>

#include "cli/conform.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "util/cleanup.h"

/* ---- symbols */

struct image {
  const char *p;
  size_t n;
};

static const void *at(const struct image *m, uint64_t offset, uint64_t n)
{
  return offset <= m->n && n <= m->n - offset ? m->p + offset : NULL;
}

/* Calls SEE for every dynamic symbol with a name; stops at -1. */
static int each_symbol(const struct image *m,
                       int (*see)(const char *name, bool defined, struct err *e), struct err *e)
{
  const ElfW(Ehdr) *h = at(m, 0, sizeof *h);
  const ElfW(Shdr) *sections =
      h ? at(m, h->e_shoff, (uint64_t)h->e_shnum * sizeof *sections) : NULL;
  if (sections == NULL)
    return err_set(e, "its sections cannot be read");
  for (unsigned i = 0; i < h->e_shnum; i++) {
    const ElfW(Shdr) *s = &sections[i];
    if (s->sh_type != SHT_DYNSYM || s->sh_link >= h->e_shnum)
      continue;
    const ElfW(Shdr) *t = &sections[s->sh_link];
    const ElfW(Sym) *symbols = at(m, s->sh_offset, s->sh_size);
    const char *names = at(m, t->sh_offset, t->sh_size);
    if (symbols == NULL || names == NULL || t->sh_size == 0 || names[t->sh_size - 1])
      return err_set(e, "its symbols cannot be read");
    for (size_t k = 0; k < s->sh_size / sizeof *symbols; k++)
      if (symbols[k].st_name && symbols[k].st_name < t->sh_size &&
          see(names + symbols[k].st_name, symbols[k].st_shndx != SHN_UNDEF, e) < 0)
        return -1;
  }
  return 0;
}

static int with_file(const char *path, int (*see)(const char *name, bool defined, struct err *e),
                     struct err *e)
{
  struct stat st;
  AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &st) < 0 || st.st_size <= 0)
    return err_set(e, "%s: %s", path, strerror(errno));
  struct image m = {.n = (size_t)st.st_size};
  void *map = mmap(NULL, m.n, PROT_READ, MAP_PRIVATE, fd, 0);
  if (map == MAP_FAILED)
    return err_set(e, "%s: %s", path, strerror(errno));
  m.p = map;
  int r = each_symbol(&m, see, e);
  munmap(map, m.n);
  return r;
}

static int see_export(const char *name, bool defined, struct err *e)
{
  if (!defined || strcmp(name, "mcpauth_provider") == 0 || strcmp(name, "_init") == 0 ||
      strcmp(name, "_fini") == 0)
    return 0;
  return err_set(e, "it exports '%s'; link with -fvisibility=hidden", name);
}

int file_exports(const char *path, struct err *e)
{
  return with_file(path, see_export, e);
}

/* What a provider has no business with, and what there is instead. */
static const struct {
  const char *name, *instead;
} forbidden[] = {
    {"pthread_create", "a job (host->job) or MCPAUTH_BLOCKING"},
    {"thrd_create", "a job (host->job) or MCPAUTH_BLOCKING"},
    {"fork", NULL},
    {"vfork", NULL},
    {"posix_spawn", NULL},
    {"execve", NULL},
    {"execvp", NULL},
    {"execl", NULL},
    {"system", NULL},
    {"popen", NULL},
    {"setenv", "an option"},
    {"putenv", "an option"},
    {"unsetenv", "an option"},
    {"clearenv", "an option"},
    {"getenv", "an option"},
    {"secure_getenv", "an option"},
    {"exit", "an answer"},
    {"_exit", "an answer"},
    {"quick_exit", "an answer"},
    {"atexit", "stop"},
    {"printf", "host->log"},
    {"__printf_chk", "host->log"},
    {"puts", "host->log"},
    {"putchar", "host->log"},
    {"fprintf", "host->log"},
    {"__fprintf_chk", "host->log"},
    {"perror", "host->log"},
    {"syslog", "host->log"},
    {"__syslog_chk", "host->log"},
    {"signal", NULL},
    {"sigaction", NULL},
    {"sigprocmask", NULL},
    {"setlocale", NULL},
    {"umask", NULL},
    {"chdir", NULL},
    {"setuid", NULL},
    {"setgid", NULL},
    {"dlopen", NULL},
    {"longjmp", NULL},
    {"socket", "host->http"},
    {"getaddrinfo", "host->http"},
    {"curl_easy_init", "host->http"},
    {"sleep", "host->timer"},
    {"usleep", "host->timer"},
    {"nanosleep", "host->timer"},
    {"gets", NULL},
    {"strtok", NULL},
    {"rand", NULL},
};

static int see_import(const char *name, bool defined, struct err *e)
{
  for (size_t i = 0; !defined && i < ARRAY_SIZE(forbidden); i++)
    if (strcmp(name, forbidden[i].name) == 0)
      return err_set(e, "it calls %s%s%s", name, forbidden[i].instead ? "; there is " : "",
                     forbidden[i].instead ? forbidden[i].instead : "");
  return 0;
}

int file_imports(const char *path, struct err *e)
{
  return with_file(path, see_import, e);
}

/* ---- tables */

static bool one_line(const char *s)
{
  return s && *s && strpbrk(s, "\n\r\t") == NULL && str_utf8(str_of(s));
}

static bool is_version(const char *s)
{
  size_t n = s ? strspn(s, "0123456789.") : 0;
  return n >= 3 && s[0] != '.' && strchr(s, '.') && (s[n] == 0 || s[n] == '-' || s[n] == '~');
}

int table_sane(const struct mcpauth_provider *p, struct err *e)
{
  const uint32_t known = MCPAUTH_BLOCKING | MCPAUTH_REMOTE | MCPAUTH_GUARD | MCPAUTH_BARE;
  int logins = (p->login_begin != NULL) + (p->login_finish != NULL) + (p->refresh != NULL);
  if (!one_line(p->description))
    return err_set(e, "its description is not one line");
  if (!is_version(p->version))
    return err_set(e, "its version '%s' is no version like 1.0.0", p->version);
  if (p->flags & ~known)
    return err_set(e, "it has flags that this release does not know");
  if (logins % 3)
    return err_set(e, "of login_begin, login_finish and refresh it has some and not all");
  if ((p->flags & MCPAUTH_GUARD) && (p->flags & MCPAUTH_REMOTE))
    return err_set(e, "a guard looks at no credential, and so sends none away");
  if ((p->flags & MCPAUTH_REMOTE) && p->verify && p->claims == NULL)
    return err_set(e, "it sends credentials away and has no `claims`: others' would be among them");
  return 0;
}

static size_t size_of(enum mcpauth_option_type t)
{
  if (t == MCPAUTH_LIST || t == MCPAUTH_PAIRS)
    return sizeof(struct mcpauth_list);
  if (t == MCPAUTH_BOOL)
    return sizeof(bool);
  if (t == MCPAUTH_CHOICE)
    return sizeof(int);
  return 8;
}

static size_t align_of(enum mcpauth_option_type t)
{
  size_t n = size_of(t);
  return n > 8 ? 8 : n;
}

static int option_sane(const struct mcpauth_option *o, struct err *e)
{
  if (!one_line(o->help) || strlen(o->help) < 10)
    return err_set(e, "option %s: its help is no sentence", o->name);
  if (!is_version(o->since))
    return err_set(e, "option %s: `since` names no release", o->name);
  if (o->flags & ~(uint32_t)(MCPAUTH_REQUIRED | MCPAUTH_REPEAT | MCPAUTH_HTTPS))
    return err_set(e, "option %s: unknown flags", o->name);
  if ((o->flags & MCPAUTH_REQUIRED) && o->fallback)
    return err_set(e, "option %s: required, and yet it has a fallback", o->name);
  if (o->offset % align_of(o->type))
    return err_set(e, "option %s: its member is not aligned", o->name);
  return 0;
}

int options_sane(const struct mcpauth_provider *p, struct err *e)
{
  const struct mcpauth_option *v = p->options;
  for (size_t i = 0; v && v[i].name; i++) {
    if (option_sane(&v[i], e) < 0)
      return -1;
    for (size_t k = 0; k < i; k++)
      if (v[i].offset < v[k].offset + size_of(v[k].type) &&
          v[k].offset < v[i].offset + size_of(v[i].type))
        return err_set(e, "options %s and %s share their member", v[k].name, v[i].name);
  }
  return 0;
}
