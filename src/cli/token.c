/* mcpauth token: the tokens of static-token providers.  A secret is printed once, when it is made,
 * and read from standard input, never from the command line, where every user of the machine sees
 * it (row 33). */
#include <config.h>

#include "cli/token.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

enum {
  OPT_FILE = 256,
  OPT_PROVIDER,
  OPT_SUBJECT,
  OPT_SCOPE,
  OPT_CLAIM,
  OPT_EXPIRES,
  OPT_NOTE,
  OPT_OVERLAP,
  OPT_JSON,
  OPT_ID,
};

static const struct option options[] = {
    {"file", required_argument, NULL, OPT_FILE},
    {"provider", required_argument, NULL, OPT_PROVIDER},
    {"subject", required_argument, NULL, OPT_SUBJECT},
    {"scope", required_argument, NULL, OPT_SCOPE},
    {"claim", required_argument, NULL, OPT_CLAIM},
    {"expires", required_argument, NULL, OPT_EXPIRES},
    {"note", required_argument, NULL, OPT_NOTE},
    {"overlap", required_argument, NULL, OPT_OVERLAP},
    {"json", no_argument, NULL, OPT_JSON},
    {"id", required_argument, NULL, OPT_ID}, /* the same as the bare word */
    {NULL, 0, NULL, 0},
};

/* The options that an action takes besides --file and --provider, as bits of the enum. */
#define TAKES(option) (1u << ((option)-OPT_FILE))

static const struct action {
  const char *name;
  int (*run)(const struct token_args *a);
  unsigned takes;
  enum { ID_NEVER, ID_MAYBE, ID_ALWAYS } id;
} actions[] = {
    {"create", token_create,
     TAKES(OPT_SUBJECT) | TAKES(OPT_SCOPE) | TAKES(OPT_CLAIM) | TAKES(OPT_EXPIRES) |
         TAKES(OPT_NOTE),
     ID_MAYBE},
    {"list", token_list, TAKES(OPT_JSON), ID_NEVER},
    {"show", token_show, TAKES(OPT_JSON), ID_ALWAYS},
    {"rotate", token_rotate, TAKES(OPT_OVERLAP), ID_ALWAYS},
    {"revoke", token_revoke, 0, ID_ALWAYS},
    {"enable", token_enable, 0, ID_ALWAYS},
    {"disable", token_enable, 0, ID_ALWAYS},
    {"verify", token_verify, 0, ID_NEVER},
};

int token_fail(const struct token_args *a, const struct err *e)
{
  fprintf(stderr, "mcpauth token %s: %s\n", a->action, e->text);
  return CLI_FAILED;
}

static const struct action *find(const char *name)
{
  for (size_t i = 0; name && i < ARRAY_SIZE(actions); i++)
    if (strcmp(actions[i].name, name) == 0)
      return &actions[i];
  return NULL;
}

static int unknown(const char *name)
{
  const char *names[ARRAY_SIZE(actions)];
  char text[160];
  if (name == NULL)
    return cli_usage(&cmd_token, "which action?");
  for (size_t i = 0; i < ARRAY_SIZE(actions); i++)
    names[i] = actions[i].name;
  const char *near = str_nearest(str_of(name), names, ARRAY_SIZE(names));
  snprintf(text, sizeof text, "there is no action '%.60s'%s%s%s", name,
           near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
  return cli_usage(&cmd_token, text);
}

static const char *add(const char **list, size_t *n, const char *word)
{
  if (*n == 64)
    return "too many of one option";
  list[(*n)++] = word;
  return NULL;
}

/* NULL, or what is wrong. */
static const char *take_option(struct token_args *a, const struct action *action, int o)
{
  if (o < OPT_FILE || (o > OPT_PROVIDER && o != OPT_ID && (action->takes & TAKES(o)) == 0))
    return "an option that this action does not take";
  switch (o) {
  case OPT_FILE:
    a->file = optarg;
    break;
  case OPT_PROVIDER:
    a->provider = optarg;
    break;
  case OPT_SUBJECT:
    a->subject = optarg;
    break;
  case OPT_SCOPE:
    return add(a->scopes, &a->n_scopes, optarg);
  case OPT_CLAIM:
    return add(a->claims, &a->n_claims, optarg);
  case OPT_EXPIRES:
    a->expires = optarg;
    break;
  case OPT_NOTE:
    a->note = optarg;
    break;
  case OPT_OVERLAP:
    a->overlap = optarg;
    break;
  case OPT_JSON:
    a->json = true;
    break;
  case OPT_ID:
    a->id = optarg;
    break;
  }
  return NULL;
}

static const char *take_all(struct token_args *a, const struct action *action, int argc,
                            char **argv)
{
  const char *wrong = NULL;
  for (int o; wrong == NULL && (o = getopt_long(argc, argv, "", options, NULL)) != -1;)
    wrong = take_option(a, action, o);
  if (wrong)
    return wrong;
  if (optind < argc && a->id == NULL)
    a->id = argv[optind++];
  if (optind < argc)
    return "one id at a time";
  if (a->id && str_starts(str_of(a->id), "mcpa_"))
    return "a secret is not given on the command line, where others see it";
  if (a->id && action->id == ID_NEVER)
    return "this action takes no id";
  if (a->id == NULL && action->id == ID_ALWAYS)
    return "of which token? Give its id (mcpauth token list)";
  return a->file && a->provider ? "give --file or --provider" : NULL;
}

static bool asks_for_help(int argc, char **argv)
{
  for (int i = 1; i < argc; i++)
    if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
      return true;
  return false;
}

static int run(const struct cli *cli, int argc, char **argv)
{
  if (asks_for_help(argc, argv)) {
    printf("usage: mcpauth token %s\n", cmd_token.synopsis);
    return CLI_OK;
  }
  const struct action *action = find(argc > 1 ? argv[1] : NULL);
  if (action == NULL)
    return unknown(argc > 1 ? argv[1] : NULL);
  struct token_args a = {.cli = cli, .action = action->name};
  const char *wrong = take_all(&a, action, argc - 1, argv + 1);
  return wrong ? cli_usage(&cmd_token, wrong) : action->run(&a);
}

const struct cli_command cmd_token = {
    .name = "token",
    .actions = "create list show rotate revoke enable disable verify",
    .synopsis =
        "create --subject NAME [--scope SCOPE]... [--claim NAME=JSON]... [--expires 90d|TIME]\n"
        "                            [--note TEXT] [ID]\n"
        "       mcpauth token list|show ID [--json]\n"
        "       mcpauth token rotate ID [--overlap 24h]\n"
        "       mcpauth token revoke|enable|disable ID\n"
        "       mcpauth token verify < SECRET\n"
        "       each with --file FILE or --provider INSTANCE",
    .summary = "make, list and end tokens of static-token providers",
    .example = "mcpauth token create --provider ci-tokens --subject ci --scope notes:read deploy",
    .run = run,
};
