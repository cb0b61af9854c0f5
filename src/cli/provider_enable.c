/* mcpauth provider enable, disable: a commented block for a provider, made from its option table,
 * in a file of its own; and out of the configuration again, without losing what was filled in. */
#include <config.h>

#include "cli/provider.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "auth/loader.h"
#include "cli/site.h"
#include "util/cleanup.h"
#include "util/limits.h"

enum { PATH_SIZE = 4096, WIDTH = 92 };

static int fail(const char *action, const struct err *e)
{
  fprintf(stderr, "mcpauth provider %s: %s\n", action, e->text);
  return CLI_FAILED;
}

/* What a file of the configuration, and so a block, may be called. */
static bool is_instance(const char *name)
{
  size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_");
  return n > 0 && n < 64 && name[n] == 0 && name[0] != '-' && name[0] != '_';
}

/* ---- the text */

/* TEXT as comment lines, broken between words. */
static void put_comment(struct buf *b, const char *text)
{
  for (const char *p = text; *p;) {
    size_t n = strlen(p);
    if (n > WIDTH)
      for (n = WIDTH; n > 40 && p[n] != ' '; n--)
        ;
    buf_printf(b, "    # %.*s\n", (int)n, p);
    p += n + (p[n] == ' ');
  }
}

static void put_option(struct buf *b, const struct mcpauth_option *o)
{
  CLEANUP(buf_done) struct buf text, value;
  bool required = o->flags & MCPAUTH_REQUIRED;
  buf_init(&text, KIB(4));
  buf_init(&value, KIB(1));
  provider_value(o, &value);
  buf_printf(&text, "%s%s", required ? "Required.  " : "", o->help);
  if (o->fallback)
    buf_printf(&text, " (default: %s)", o->fallback);
  buf_putc(b, '\n');
  put_comment(b, text.p ? text.p : "");
  buf_printf(b, "    # %s  %s\n", o->name, value.p ? value.p : "");
}

static void put_block(struct buf *b, const struct mcpauth_provider *p, const char *instance)
{
  buf_printf(
      b,
      "# %s.  mcpauth-%s(5) says more, and what of it belongs where.\n"
      "# Fill in what is required, and name it where callers are judged: in a `stack`, in a\n"
      "# `service` or in `hub`.  `mcpauth check` tells what is wrong; `mcpauth reload` takes\n"
      "# it up.\n\nprovider %s {\n    module  %s\n",
      p->description, p->name, instance, p->name);
  for (const struct mcpauth_option *o = p->options; o && o->name; o++)
    if (o->flags & MCPAUTH_REQUIRED)
      put_option(b, o);
  for (const struct mcpauth_option *o = p->options; o && o->name; o++)
    if (!(o->flags & MCPAUTH_REQUIRED))
      put_option(b, o);
  buf_puts(b, "}\n");
}

/* ---- the file */

static int write_new(const struct cli *cli, const char *path, const struct buf *text, struct err *e)
{
  AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0)
    return err_set(e, "%s: %s", path, strerror(errno));
  bool owned = geteuid() != 0 || fchown(fd, 0, site_group(cli)) == 0;
  if (text->failed || !owned || fchmod(fd, 0640) < 0 ||
      write(fd, text->p, text->n) != (ssize_t)text->n || fsync(fd) < 0) {
    unlink(path);
    return err_set(e, "%s: %s", path, text->failed ? "too long" : strerror(errno));
  }
  return 0;
}

static int path_of(char path[PATH_SIZE], const struct cli *cli, const char *instance,
                   const char *suffix, struct err *e)
{
  if (!is_instance(instance))
    return err_set(e, "'%s' is no name for a provider block: a-z, 0-9, - and _", instance);
  if (snprintf(path, PATH_SIZE, "%s/%s%s", cli->confdir, instance, suffix) >= PATH_SIZE)
    return err_set(e, "%s is too long", cli->confdir);
  return 0;
}

/* ---- enable */

static void tell(const struct mcpauth_provider *p, const char *path, const char *instance)
{
  size_t n = 0;
  printf("%s is there.\n", path);
  for (const struct mcpauth_option *o = p->options; o && o->name; o++)
    if (o->flags & MCPAUTH_REQUIRED)
      printf("%s %s", n++ ? "," : "Fill in:", o->name);
  if (n)
    putchar('\n');
  if (p->verify == NULL && p->account)
    printf("Then name it: account %s\n", instance);
  else
    printf("Then name it: auth %s %s\n", p->flags & MCPAUTH_GUARD ? "requisite" : "sufficient",
           instance);
}

static int enable(const struct cli *cli, const struct mcpauth_provider *p, const char *instance,
                  struct err *e)
{
  char path[PATH_SIZE], off[PATH_SIZE];
  CLEANUP(buf_done) struct buf text;
  buf_init(&text, KIB(256));
  if (path_of(path, cli, instance, ".conf", e) < 0 ||
      path_of(off, cli, instance, ".conf.disabled", e) < 0)
    return -1;
  if (access(path, F_OK) < 0 && access(off, F_OK) == 0) {
    if (rename(off, path) < 0)
      return err_set(e, "%s: %s", off, strerror(errno));
    printf("%s is back as it was.\n", path);
    return 0;
  }
  put_block(&text, p, instance);
  if (write_new(cli, path, &text, e) < 0)
    return -1;
  tell(p, path, instance);
  return 0;
}

int provider_enable(const struct cli *cli, int argc, char **argv)
{
  struct err e = {""};
  if (argc != 2 && !(argc == 4 && strcmp(argv[2], "as") == 0))
    return cli_usage(&cmd_provider, "enable takes NAME, or NAME as INSTANCE");
  struct loader *l = loader_new(cli->plugindir, &e);
  const struct mcpauth_provider *p = l ? loader_open(l, argv[1], NULL, &e) : NULL;
  int r = p ? enable(cli, p, argc == 4 ? argv[3] : argv[1], &e) : -1;
  loader_free(l);
  return r < 0 ? fail("enable", &e) : CLI_OK;
}

/* ---- disable */

static bool loads(const struct cli *cli, struct err *e)
{
  struct site s;
  if (site_open(cli, &s, e) < 0)
    return false;
  site_done(&s);
  return true;
}

/* A configuration that was good stays good, or nothing happens. */
static int disable(const struct cli *cli, const char *instance, struct err *e)
{
  char path[PATH_SIZE], off[PATH_SIZE];
  struct err why = {""};
  if (path_of(path, cli, instance, ".conf", e) < 0 ||
      path_of(off, cli, instance, ".conf.disabled", e) < 0)
    return -1;
  bool good = loads(cli, &why);
  if (rename(path, off) < 0)
    return err_set(e, "%s: %s", path, strerror(errno));
  if (good && !loads(cli, &why)) {
    if (rename(off, path) < 0)
      return err_set(e, "%s: %s", off, strerror(errno));
    return err_set(e, "it is still needed: %s", why.text);
  }
  printf("%s is out of the configuration; `mcpauth provider enable` brings it back.\n", off);
  return 0;
}

int provider_disable(const struct cli *cli, int argc, char **argv)
{
  struct err e = {""};
  if (argc != 2)
    return cli_usage(&cmd_provider, "disable takes the name of an instance");
  return disable(cli, argv[1], &e) < 0 ? fail("disable", &e) : CLI_OK;
}
