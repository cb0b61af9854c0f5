/* mcpauth provider new: a provider that builds and passes its test at once, from the templates of
 * src/cli/templates, with another name.  In the source tree it gets a folder, a manual page, a
 * script for its test and its lines in the make files; out of it a folder with a Makefile. */
#include <config.h>

#include "cli/provider.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/provider_text.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/limits.h"

enum { PATH_SIZE = 4096 };

struct new
{
  const char *name, *dir; /* DIR: out of the tree */
  const char *const *source, *const *script;
};

static bool is_name(const char *name)
{
  size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");
  return n > 1 && n < 40 && name[n] == 0 && name[0] >= 'a' && name[0] <= 'z' && name[n - 1] != '-';
}

/* The template's name becomes this one's, in each spelling. */
static void put_line(struct buf *b, const char *line, const char *name)
{
  static const char dashed[] = "hello-provider", prefix[] = "hello_";
  for (const char *p = line; *p;)
    if (strncmp(p, dashed, sizeof dashed - 1) == 0) {
      buf_puts(b, name);
      p += sizeof dashed - 1;
    } else if (strncmp(p, prefix, sizeof prefix - 1) == 0) {
      buf_printf(b, "%s_", name);
      p += sizeof prefix - 1;
    } else
      buf_putc(b, *p++);
}

static int write_template(const char *path, const char *const *lines, const char *name,
                          struct err *e)
{
  CLEANUP(buf_done) struct buf b;
  buf_init(&b, KIB(256));
  for (; *lines; lines++)
    put_line(&b, *lines, name);
  FILE *f = b.failed ? NULL : fopen(path, "wxe");
  if (f == NULL)
    return err_set(e, "%s: %s", path, b.failed ? "out of memory" : strerror(errno));
  bool good = fwrite(b.p, 1, b.n, f) == b.n;
  if (fclose(f) != 0 || !good)
    return err_set(e, "%s: %s", path, strerror(errno));
  printf("  %s\n", path);
  return 0;
}

static int make_folder(const char *path, struct err *e)
{
  return mkdir(path, 0777) == 0 || errno == EEXIST ? 0
                                                   : err_set(e, "%s: %s", path, strerror(errno));
}

static int put_file(const struct new *n, const char *format, const char *const *lines,
                    struct err *e)
{
  char path[PATH_SIZE];
  const char *folder = n->dir ? n->dir : "";
  CLEANUP(buf_done) struct buf name;
  buf_init(&name, PATH_SIZE);
  for (const char *p = format; *p; p++)
    if (*p == '@')
      buf_puts(&name, n->name);
    else
      buf_putc(&name, *p);
  if (name.failed ||
      snprintf(path, sizeof path, "%s%s%s", folder, n->dir ? "/" : "", name.p) >= PATH_SIZE)
    return err_set(e, "the path is too long");
  return write_template(path, lines, n->name, e);
}

/* ---- out of the tree */

static int out_of_tree(const struct new *n, struct err *e)
{
  if (make_folder(n->dir, e) < 0 || put_file(n, "@.c", n->source, e) < 0 ||
      put_file(n, "mcpauth-@.pod", template_page_pod, e) < 0 ||
      put_file(n, "@.script", n->script, e) < 0 ||
      put_file(n, "Makefile", template_Makefile, e) < 0)
    return -1;
  printf("Now: cd %s && make check\n", n->dir);
  return 0;
}

/* ---- in the tree */

static int append(const char *path, const struct buf *text, struct err *e)
{
  FILE *f = text->failed ? NULL : fopen(path, "ae");
  if (f == NULL)
    return err_set(e, "%s: %s", path, strerror(errno));
  bool good = fwrite(text->p, 1, text->n, f) == text->n;
  if (fclose(f) != 0 || !good)
    return err_set(e, "%s: %s", path, strerror(errno));
  printf("  %s (added to)\n", path);
  return 0;
}

static int add_make_lines(const struct new *n, struct err *e)
{
  CLEANUP(buf_done) struct buf plugin, page;
  char id[64];
  snprintf(id, sizeof id, "%s", n->name);
  for (char *p = id; *p; p++)
    if (*p == '-')
      *p = '_';
  buf_init(&plugin, KIB(4));
  buf_init(&page, KIB(4));
  buf_printf(&plugin,
             "plugin_LTLIBRARIES += plugins/%s.la\n"
             "plugins_%s_la_SOURCES = plugins/%s/%s.c\n"
             "plugins_%s_la_CFLAGS = $(MODULE_COMPILE)\n"
             "plugins_%s_la_LDFLAGS = $(MODULE_LINK)\n"
             "EXTRA_DIST += plugins/%s/mcpauth-%s.pod\n",
             n->name, id, n->name, n->name, id, id, n->name, n->name);
  buf_printf(&page,
             "MANUAL += docs/mcpauth-%s.5\n"
             "docs/mcpauth-%s.5: plugins/%s/mcpauth-%s.pod\n",
             n->name, n->name, n->name, n->name);
  return append("plugins/local.mk", &plugin, e) < 0 || append("docs/local.mk", &page, e) < 0 ? -1
                                                                                             : 0;
}

static int in_tree(const struct new *n, struct err *e)
{
  char folder[PATH_SIZE];
  if (access("plugins/local.mk", W_OK) < 0 || access("tests/conform", W_OK) < 0)
    return err_set(e, "this is not the top of mcpauth's sources: go there, or give --out-of-tree");
  snprintf(folder, sizeof folder, "plugins/%s", n->name);
  if (make_folder(folder, e) < 0 || put_file(n, "plugins/@/@.c", n->source, e) < 0 ||
      put_file(n, "plugins/@/mcpauth-@.pod", template_page_pod, e) < 0 ||
      put_file(n, "tests/conform/@.script", n->script, e) < 0 || add_make_lines(n, e) < 0)
    return -1;
  printf("Now: make -C build && ./run mcpauth provider test --script tests/conform/%s.script "
         "build/plugins/.libs/%s.so\n",
         n->name, n->name);
  return 0;
}

/* ---- the command */

int provider_new(const struct cli *cli, int argc, char **argv)
{
  static const struct option options[] = {{"login", no_argument, NULL, 'l'},
                                          {"blocking", no_argument, NULL, 'b'},
                                          {"out-of-tree", required_argument, NULL, 'o'},
                                          {NULL, 0, NULL, 0}};
  struct new n = {.source = template_plain_c, .script = template_plain_script};
  struct err e = {""};
  bool login = false, blocking = false;
  (void)cli;
  for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;)
    if (o == 'l') {
      login = true;
      n.source = template_login_c;
      n.script = template_login_script;
    } else if (o == 'b') {
      blocking = true;
      n.source = template_blocking_c;
      n.script = template_blocking_script;
    } else if (o == 'o')
      n.dir = optarg;
    else
      return CLI_USAGE;
  if (login && blocking)
    return cli_usage(&cmd_provider, "new makes one that logs in, or one that blocks");
  if (optind + 1 != argc || !is_name(argv[optind]))
    return cli_usage(&cmd_provider, "new takes a name like badge-groups: a-z, 0-9 and -");
  n.name = argv[optind];
  if ((n.dir ? out_of_tree(&n, &e) : in_tree(&n, &e)) == 0)
    return CLI_OK;
  fprintf(stderr, "mcpauth provider new: %s\n", e.text);
  return CLI_FAILED;
}
