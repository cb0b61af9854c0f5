/* mcpauth provider list | show: what the installed providers are and what their option tables say.
 */
#include <config.h>

#include "cli/provider.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "auth/loader.h"
#include "cli/blame.h"
#include "util/cleanup.h"
#include "util/limits.h"

static const char *kinds(const struct mcpauth_provider *p)
{
  if (p->verify && p->account)
    return "auth,account";
  return p->verify ? "auth" : "account";
}

/* ---- list */

static void print_line(const struct mcpauth_provider *p, const char *where)
{
  printf("%-16s %-8s %-13s %s  (%s)\n", p->name, p->version, kinds(p), p->description, where);
}

static int list_one(struct loader *l, const char *name)
{
  struct err e = {""};
  const char *path;
  const struct mcpauth_provider *p = loader_open(l, name, &path, &e);
  if (p == NULL) {
    fprintf(stderr, "mcpauth provider: %s: %s\n", name, e.text);
    return CLI_FAILED;
  }
  print_line(p, path);
  return CLI_OK;
}

static int list(struct loader *l, const char *dirs)
{
  int status = CLI_OK;
  struct arena *a = arena_new(MIB(4));
  if (a == NULL)
    return CLI_FAILED;
  const char **names;
  size_t n = loader_names(l, a, &names);
  for (size_t i = 0; i < n; i++)
    if (i == 0 || strcmp(names[i - 1], names[i]) != 0)
      status |= list_one(l, names[i]);
  if (n == 0)
    printf("There is no provider in %s.\n", dirs);
  print_line(config_builtin(STR("clients")), "part of the hub");
  arena_free(a);
  return status;
}

/* ---- show */

static const char *type_name(enum mcpauth_option_type type)
{
  switch (type) {
  case MCPAUTH_STRING:
    return "WORD";
  case MCPAUTH_BOOL:
    return "on|off";
  case MCPAUTH_INTEGER:
    return "NUMBER";
  case MCPAUTH_DURATION:
    return "DURATION";
  case MCPAUTH_SIZE:
    return "SIZE";
  case MCPAUTH_URL:
    return "URL";
  case MCPAUTH_PATH:
    return "PATH";
  case MCPAUTH_SECRET:
    return "SECRET";
  case MCPAUTH_CHOICE:
    return "";
  case MCPAUTH_LIST:
    return "WORD ...";
  case MCPAUTH_PAIRS:
    return "NAME VALUE";
  }
  return "?";
}

void provider_value(const struct mcpauth_option *o, struct buf *out)
{
  if (o->type == MCPAUTH_CHOICE)
    for (size_t i = 0; o->choices[i]; i++)
      buf_printf(out, "%s%s", i ? "|" : "", o->choices[i]);
  else
    buf_puts(out, o->metavar ? o->metavar : type_name(o->type));
}

static void print_value(const struct mcpauth_option *o)
{
  CLEANUP(buf_done) struct buf b;
  buf_init(&b, KIB(4));
  provider_value(o, &b);
  fputs(b.p ? b.p : "", stdout);
}

/* A duration or size in the largest unit that divides it. */
static void print_number(enum mcpauth_option_type type, int64_t v)
{
  static const struct {
    int64_t factor;
    const char *name;
  } durations[] = {{86400000, "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}, {1, "ms"}},
    sizes[] = {{1073741824, "g"}, {1048576, "m"}, {1024, "k"}, {1, ""}};
  size_t i = 0;
  if (type == MCPAUTH_DURATION) {
    while (v && i + 1 < ARRAY_SIZE(durations) && v % durations[i].factor)
      i++;
    printf("%" PRId64 "%s", v / durations[v ? i : 4].factor, durations[v ? i : 3].name);
  } else if (type == MCPAUTH_SIZE) {
    while (v && i + 1 < ARRAY_SIZE(sizes) && v % sizes[i].factor)
      i++;
    printf("%" PRId64 "%s", v / sizes[v ? i : 3].factor, sizes[v ? i : 3].name);
  } else
    printf("%" PRId64, v);
}

static void print_option(const struct mcpauth_option *o)
{
  bool numeric =
      o->type == MCPAUTH_INTEGER || o->type == MCPAUTH_DURATION || o->type == MCPAUTH_SIZE;
  printf("  %s ", o->name);
  print_value(o);
  if (o->flags & MCPAUTH_REQUIRED)
    fputs("   (required)", stdout);
  if (o->fallback)
    printf("   (default %s)", o->fallback);
  if (o->flags & MCPAUTH_REPEAT || o->type == MCPAUTH_LIST || o->type == MCPAUTH_PAIRS)
    fputs("   (may be repeated)", stdout);
  if (numeric && (o->min || o->max)) {
    fputs("   (from ", stdout);
    print_number(o->type, o->min);
    fputs(" to ", stdout);
    print_number(o->type, o->max);
    putchar(')');
  }
  printf("\n      %s", o->help);
  if (o->since)
    printf(" (since %s)", o->since);
  putchar('\n');
}

static void print_properties(const struct mcpauth_provider *p)
{
  if (p->flags & MCPAUTH_BLOCKING)
    puts("            it may block: it runs in job threads");
  if (p->flags & MCPAUTH_REMOTE)
    puts("            it sends the credential off the box: only to the first line that claims it");
  if (p->flags & MCPAUTH_GUARD)
    puts("            it is a guard: it lets pass or refuses, and never says who is calling");
  if (p->claims)
    puts("            it tells its own credentials from others");
  if (p->login_begin)
    puts("            it logs people in, with their browser");
  if (p->issuers)
    puts("            it names the issuers of its tokens");
}

/* Those of abi 1.0 are in every hub of this major ABI; what else it needs it has to declare. */
static void print_needs(const struct elfnote *note)
{
  fputs("  needs     the host functions of ABI 1.0", stdout);
  for (size_t i = 0; i < note->n; i++)
    printf("%s%s", i ? ", " : ", and ", note->needs[i].function);
  putchar('\n');
}

/* PATH and NOTE are NULL of the one that is part of the hub. */
static void print_provider(const struct mcpauth_provider *p, const char *path,
                           const struct elfnote *note)
{
  printf("%s %s: %s\n\n", p->name, p->version, p->description);
  printf("  file      %s\n", path ? path : "none: it is part of the hub");
  printf("  abi       %u.%u\n", p->abi >> 16, p->abi & 0xffff);
  if (note)
    print_needs(note);
  printf("  serves    %s lines\n", kinds(p));
  print_properties(p);
  puts("\nOptions of its provider block:\n");
  for (const struct mcpauth_option *o = p->options; o && o->name; o++)
    print_option(o);
  if (p->options == NULL || p->options->name == NULL)
    puts("  none of its own");
  puts("\nAnd those of every provider: module, scopes, deadline, ca_file, egress_proxy, "
       "accept_risk;\n"
       "see mcpauth.d(5).");
}

static int show(struct loader *l, const char *what)
{
  struct err e = {""};
  const char *path;
  AUTO_FREE char *real = strchr(what, '/') ? realpath(what, NULL) : NULL;
  const struct mcpauth_provider *p = config_builtin(str_of(what));
  if (p) {
    print_provider(p, NULL, NULL);
    puts("What it answers for are the `client` blocks there.");
    return CLI_OK;
  }
  p = loader_open(l, real ? real : what, &path, &e);
  if (p == NULL) {
    fprintf(stderr, "mcpauth provider: %s\n", e.text);
    return CLI_FAILED;
  }
  print_provider(p, path, loader_note(l, p->name));
  return CLI_OK;
}

/* ---- */

static int run(const struct cli *cli, int argc, char **argv)
{
  static const struct {
    const char *name;
    int (*run)(const struct cli *cli, int argc, char **argv);
  } actions[] = {{"test", provider_test},
                 {"new", provider_new},
                 {"enable", provider_enable},
                 {"disable", provider_disable}};
  struct err e = {""};
  for (size_t i = 0; argc > 1 && i < ARRAY_SIZE(actions); i++)
    if (strcmp(argv[1], actions[i].name) == 0)
      return actions[i].run(cli, argc - 1, argv + 1);
  bool listing = argc == 2 && strcmp(argv[1], "list") == 0;
  bool showing = argc == 3 && strcmp(argv[1], "show") == 0;
  if (!listing && !showing)
    return cli_usage(&cmd_provider, "it takes list, show, enable, disable, new or test");
  struct loader *l = blame_loader(cli, &e);
  if (l == NULL) {
    fprintf(stderr, "mcpauth provider: %s\n", e.text);
    return CLI_FAILED;
  }
  int status = listing ? list(l, cli->plugindir) : show(l, argv[2]);
  loader_free(l);
  return status;
}

const struct cli_command cmd_provider = {
    .name = "provider",
    .actions = "list show enable disable new test",
    .synopsis = "list | show NAME|FILE.so\n"
                "       mcpauth provider enable NAME [as INSTANCE] | disable INSTANCE\n"
                "       mcpauth provider new NAME [--login] [--blocking] [--out-of-tree DIR]\n"
                "       mcpauth provider test [--script FILE] [--only RULE] FILE.so",
    .summary = "list, explain, configure, write and test providers",
    .example = "mcpauth provider show bearer-jwt",
    .run = run,
};
