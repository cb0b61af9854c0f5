/* mcpauth keys: the key ring (store/keyring.h): what is in it, new keys, sealing the store anew. */
#include <config.h>

#include <getopt.h>
#include <string.h>

#include "cli/store_site.h"
#include "util/cleanup.h"

enum { OPT_JSON = 256, OPT_NOW, PORTION = 200 };

static const struct option options[] = {
    {"json", no_argument, NULL, OPT_JSON},
    {"now", no_argument, NULL, OPT_NOW},
    {NULL, 0, NULL, 0},
};

/* ---- list */

static const char *kind_of(const struct keyring_info *k)
{
  return k->kind == KEYRING_SEALING ? "sealing" : "signing";
}

static const char *state_of(const struct keyring_info *k)
{
  switch (k->state) {
  case KEYRING_COMING:
    return "coming";
  case KEYRING_CURRENT:
    return "in use";
  case KEYRING_OLD:
    return "old";
  }
  return "?";
}

static int list(struct store_site *s, bool json)
{
  struct keyring_info list[2 * KEYRING_KEYS];
  size_t n = keyring_list(s->keys, list, ARRAY_SIZE(list));
  json_t *all = json ? json_array() : NULL;
  if (!json)
    printf("%-8s %-44s %-7s %-20s %s\n", "KIND", "ID", "STATE", "MADE", "USED FROM");
  for (size_t i = 0; i < n; i++) {
    char made[32], from[32];
    show_time(list[i].created_at, made);
    show_time(list[i].from, from);
    if (json)
      json_array_append_new(all, json_pack("{s:s,s:s,s:s,s:s,s:s}", "kind", kind_of(&list[i]), "id",
                                           list[i].id, "state", state_of(&list[i]), "made", made,
                                           "from", from));
    else
      printf("%-8s %-44s %-7s %-20s %s\n", kind_of(&list[i]), list[i].id, state_of(&list[i]), made,
             from);
  }
  return json ? show_json(all) : CLI_OK;
}

/* ---- rotate */

static int rotate(struct store_site *s, enum keyring_kind kind, bool now)
{
  struct err e = {""};
  if (keyring_rotate(s->keys, kind, now ? KEYRING_HURRY_S : -1, &e) < 0)
    return store_site_fail(s, &e);
  if (kind == KEYRING_SIGNING)
    puts("a new signing key is published; it signs from the time below");
  else
    puts("a new sealing key was made; `mcpauth keys rewrap` seals what is kept with it");
  return list(s, false);
}

static int drop(struct store_site *s, const char *kid)
{
  struct err e = {""};
  if (keyring_drop(s->keys, str_of(kid), &e) < 0)
    return store_site_fail(s, &e);
  return list(s, false);
}

/* ---- rewrap */

static int rewrap_work(void *arg, struct store_db *db)
{
  return store_rewrap(db, PORTION, arg) == STORE_OK ? 0 : -1;
}

/* A portion is a transaction: the daemon works on between them, and what is done stays done. */
static int rewrap(struct store_site *s, bool now)
{
  struct err e = {""};
  unsigned long long total = 0;
  for (unsigned n = 1; s->store && n > 0; total += n) {
    n = 0;
    if (store_site_run(s, STORE_WRITE, rewrap_work, &n) < 0)
      return CLI_FAILED;
  }
  int dropped = keyring_drop_old(s->keys, now ? 0 : KEYRING_KEEP_S, &e);
  if (dropped < 0)
    return store_site_fail(s, &e);
  printf("%llu sealed anew, %d old keys dropped\n", total, dropped);
  return list(s, false);
}

/* ---- the command line */

struct keys_args {
  const char *action, *word;
  bool flag;
};

static int start(const struct cli *cli, const struct keys_args *a)
{
  char command[32];
  struct store_site s;
  bool rewraps = strcmp(a->action, "rewrap") == 0;
  snprintf(command, sizeof command, "keys %.16s", a->action);
  if (store_site_open(cli, command, rewraps, &s) < 0)
    return CLI_FAILED;
  int status = CLI_FAILED;
  if (rewraps)
    status = rewrap(&s, a->flag);
  else if (strcmp(a->action, "rotate") == 0)
    status =
        rotate(&s, strcmp(a->word, "sealing") == 0 ? KEYRING_SEALING : KEYRING_SIGNING, a->flag);
  else if (strcmp(a->action, "drop") == 0)
    status = drop(&s, a->word);
  else
    status = list(&s, a->flag);
  store_site_done(&s);
  return status;
}

/* NULL, or what is wrong. */
static const char *read_arguments(int argc, char **argv, struct keys_args *a)
{
  bool lists = strcmp(a->action, "list") == 0, rotates = strcmp(a->action, "rotate") == 0;
  bool drops = strcmp(a->action, "drop") == 0;
  for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
    if (drops || o != (lists ? OPT_JSON : OPT_NOW))
      return "an option that this action does not take";
    a->flag = true;
  }
  a->word = optind < argc ? argv[optind++] : NULL;
  if (optind < argc || (a->word && !rotates && !drops))
    return "too many words";
  if (drops && a->word == NULL)
    return "which key? Give its id (mcpauth keys list)";
  if (rotates &&
      (a->word == NULL || (strcmp(a->word, "sealing") != 0 && strcmp(a->word, "signing") != 0)))
    return "which keys? signing or sealing";
  return NULL;
}

static int run(const struct cli *cli, int argc, char **argv)
{
  static const char *const known[] = {"list", "rotate", "drop", "rewrap"};
  struct keys_args a = {.action = NULL};
  for (size_t i = 0; argc > 1 && i < ARRAY_SIZE(known); i++)
    if (strcmp(argv[1], known[i]) == 0)
      a.action = known[i];
  if (a.action == NULL)
    return cli_usage(&cmd_keys, "which action? list, rotate, drop or rewrap");
  const char *wrong = read_arguments(argc - 1, argv + 1, &a);
  return wrong ? cli_usage(&cmd_keys, wrong) : start(cli, &a);
}

const struct cli_command cmd_keys = {
    .name = "keys",
    .actions = "list rotate drop rewrap",
    .synopsis = "list [--json]\n"
                "       mcpauth keys rotate signing|sealing [--now]\n"
                "       mcpauth keys drop KID\n"
                "       mcpauth keys rewrap [--now]",
    .summary = "the hub's own keys: list, rotate, drop, seal the store anew",
    .example = "mcpauth keys rotate sealing && sleep 15 && mcpauth keys rewrap",
    .run = run,
};
