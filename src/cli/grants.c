/* mcpauth grants: who let which client use which service, and ending it (security row 187). */
#include <config.h>

#include <getopt.h>
#include <string.h>

#include "cli/store_site.h"
#include "util/cleanup.h"
#include "util/limits.h"

enum {
  OPT_ISSUER = 256,
  OPT_SUBJECT,
  OPT_PROVIDER,
  OPT_CLIENT,
  OPT_SERVICE,
  OPT_ALL,
  OPT_JSON,
};

static const struct option options[] = {
    {"issuer", required_argument, NULL, OPT_ISSUER},
    {"subject", required_argument, NULL, OPT_SUBJECT},
    {"provider", required_argument, NULL, OPT_PROVIDER},
    {"client", required_argument, NULL, OPT_CLIENT},
    {"service", required_argument, NULL, OPT_SERVICE},
    {"all", no_argument, NULL, OPT_ALL},
    {"json", no_argument, NULL, OPT_JSON},
    {NULL, 0, NULL, 0},
};

struct grants {
  struct store_site site;
  struct store_grant_filter filter;
  bool filtered, json;
  struct arena *arena;
  struct grant_list found;
};

/* ---- looking */

static int find_work(void *arg, struct store_db *db)
{
  struct grants *x = arg;
  return grant_list_find(&x->found, db, &x->filter);
}

static json_t *describe(const struct store_grant *g)
{
  json_t *j = json_object();
  json_object_set_new(j, "id", json_of(g->id));
  json_object_set_new(j, "issuer", json_of(g->issuer));
  json_object_set_new(j, "subject", json_of(g->subject));
  json_object_set_new(j, "provider", json_of(g->provider));
  json_object_set_new(j, "client", json_of(g->client));
  json_object_set_new(j, "client_name", json_of(g->client_name));
  json_object_set_new(j, "service", json_of(g->service));
  json_object_set_new(j, "scopes", json_of(g->scopes));
  json_object_set_new(j, "created", json_of_time(g->created_at));
  json_object_set_new(j, "used", json_of_time(g->used_at));
  json_object_set_new(j, "checked", json_of_time(g->checked_at));
  json_object_set_new(j, "expires", json_of_time(g->expires_at));
  json_object_set_new(j, "revoked", json_of_time(g->revoked_at));
  if (g->revoked_at)
    json_object_set_new(j, "why", json_of(g->why));
  return j;
}

static int list_json(const struct grants *x)
{
  json_t *all = json_array();
  for (size_t i = 0; i < x->found.n; i++)
    json_array_append_new(all, describe(&x->found.v[i]));
  return show_json(all);
}

static int list(struct grants *x)
{
  if (x->json)
    return list_json(x);
  printf("%-26s %-24s %-14s %-24s %-14s %-20s %s\n", "ID", "SUBJECT", "PROVIDER", "CLIENT",
         "SERVICE", "LAST USED", "STATE");
  for (size_t i = 0; i < x->found.n; i++) {
    const struct store_grant *g = &x->found.v[i];
    char used[32];
    printf("%-26s %-24s %-14s %-24s %-14s %-20s %s\n", show_text(g->id, x->arena),
           show_text(g->subject, x->arena), show_text(g->provider, x->arena),
           show_text(g->client_name.n ? g->client_name : g->client, x->arena),
           show_text(g->service, x->arena), show_time(g->used_at, used),
           g->revoked_at ? "revoked" : "alive");
  }
  return CLI_OK;
}

static void line(struct grants *x, const char *name, struct str value)
{
  if (value.n)
    printf("%-12s %s\n", name, show_text(value, x->arena));
}

static void line_time(const char *name, int64_t value)
{
  char text[32];
  if (value)
    printf("%-12s %s\n", name, show_time(value, text));
}

static int show(struct grants *x)
{
  if (x->found.n == 0) {
    fprintf(stderr, "mcpauth grants show: there is no such grant\n");
    return CLI_FAILED;
  }
  const struct store_grant *g = &x->found.v[0];
  if (x->json)
    return show_json(describe(g));
  line(x, "id", g->id);
  line(x, "issuer", g->issuer);
  line(x, "subject", g->subject);
  line(x, "provider", g->provider);
  line(x, "client", g->client);
  line(x, "client name", g->client_name);
  line(x, "service", g->service);
  line(x, "scopes", g->scopes);
  line_time("created", g->created_at);
  line_time("last used", g->used_at);
  line_time("checked", g->checked_at);
  line_time("expires", g->expires_at);
  line_time("revoked", g->revoked_at);
  line(x, "why", g->why);
  return CLI_OK;
}

/* ---- ending */

/* What was agreed to with it goes too: the next login is asked for consent again. */
static bool end_one(struct store_db *db, const struct store_grant *g)
{
  enum store_result r = store_grant_revoke(db, g->id, "revoked by an administrator");
  if (r != STORE_OK && r != STORE_USED)
    return false;
  r = store_consent_forget(db, g->issuer, g->subject, g->client);
  return r == STORE_OK || r == STORE_NONE;
}

static int revoke_work(void *arg, struct store_db *db)
{
  struct grants *x = arg;
  if (grant_list_find(&x->found, db, &x->filter) < 0)
    return -1;
  for (size_t i = 0; i < x->found.n; i++)
    if (!end_one(db, &x->found.v[i]))
      return -1;
  return 0;
}

static int revoke_all(struct grants *x)
{
  if (store_site_run(&x->site, STORE_WRITE, revoke_work, x) < 0)
    return CLI_FAILED;
  int status = grant_list_tell(&x->found, &x->site);
  printf("%zu revoked\n", x->found.n);
  if (x->found.n == 0)
    fputs("mcpauth grants revoke: nothing that is alive matches: `mcpauth grants list` shows what "
          "is\n",
          stderr);
  return x->found.n == 0 ? CLI_FAILED : status;
}

/* ---- the command line */

static int take_option(struct grants *x, int o)
{
  switch (o) {
  case OPT_ISSUER:
    x->filter.issuer = str_of(optarg);
    break;
  case OPT_SUBJECT:
    x->filter.subject = str_of(optarg);
    break;
  case OPT_PROVIDER:
    x->filter.provider = str_of(optarg);
    break;
  case OPT_CLIENT:
    x->filter.client = str_of(optarg);
    break;
  case OPT_SERVICE:
    x->filter.service = str_of(optarg);
    break;
  case OPT_ALL:
    x->filter.dead = true;
    return 0;
  case OPT_JSON:
    x->json = true;
    return 0;
  default:
    return -1;
  }
  x->filtered = true;
  return 0;
}

static const struct action {
  const char *name;
  const char *command;
  int (*run)(struct grants *x);
} actions[] = {
    {"list", "grants list", list},
    {"show", "grants show", show},
    {"revoke", "grants revoke", revoke_all},
};

static const char *judge(struct grants *x, const struct action *a)
{
  bool one = x->filter.id.n > 0;
  if (a->run == list && one)
    return "list takes no id (mcpauth grants show ID)";
  if (a->run == show && (!one || x->filtered))
    return "of which grant? Give its id (mcpauth grants list)";
  if (a->run == revoke_all && one == x->filtered)
    return "give the id of one grant, or --subject, --client … for all that match";
  if (a->run == revoke_all && (x->json || x->filter.dead))
    return "an option that this action does not take";
  if (a->run == show)
    x->filter.dead = true;
  return NULL;
}

static int start(const struct cli *cli, struct grants *x, const struct action *a)
{
  x->arena = x->found.arena = arena_new(MIB(256));
  if (x->arena == NULL || store_site_open(cli, a->command, true, &x->site) < 0) {
    arena_free(x->arena);
    return CLI_FAILED;
  }
  int status = CLI_FAILED;
  if (a->run == revoke_all || store_site_run(&x->site, STORE_READ, find_work, x) == 0)
    status = a->run(x);
  store_site_done(&x->site);
  arena_free(x->arena);
  return status;
}

static int run(const struct cli *cli, int argc, char **argv)
{
  struct grants x = {.json = false};
  const struct action *a = NULL;
  for (size_t i = 0; argc > 1 && i < ARRAY_SIZE(actions); i++)
    if (strcmp(argv[1], actions[i].name) == 0)
      a = &actions[i];
  if (a == NULL)
    return cli_usage(&cmd_grants, "which action? list, show or revoke");
  for (int o; (o = getopt_long(argc - 1, argv + 1, "", options, NULL)) != -1;)
    if (take_option(&x, o) < 0)
      return cli_usage(&cmd_grants, "an option that this action does not take");
  if (optind + 1 < argc)
    x.filter.id = str_of(argv[++optind]);
  if (optind + 1 < argc)
    return cli_usage(&cmd_grants, "one id at a time");
  const char *wrong = judge(&x, a);
  return wrong ? cli_usage(&cmd_grants, wrong) : start(cli, &x, a);
}

const struct cli_command cmd_grants = {
    .name = "grants",
    .actions = "list show revoke",
    .synopsis = "list [--subject NAME] [--issuer URL] [--provider INSTANCE] [--client ID]\n"
                "                           [--service NAME] [--all] [--json]\n"
                "       mcpauth grants show ID [--json]\n"
                "       mcpauth grants revoke ID | --subject NAME | --client ID | ...",
    .summary = "who let which client use which service: list, show, end",
    .example = "mcpauth grants revoke --provider google --subject 110000000000000000001",
    .run = run,
};
