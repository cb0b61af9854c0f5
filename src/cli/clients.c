/* mcpauth clients: those that registered themselves.  (Configured ones are in the configuration.)
 */
#include <config.h>

#include <string.h>

#include "cli/store_site.h"
#include "util/cleanup.h"
#include "util/limits.h"

struct clients {
  struct store_site site;
  struct arena *arena;
  struct str id;
  json_t *all; /* list --json */
  enum store_result result;
  unsigned grants;
  struct grant_list ended; /* whose they were */
};

/* ---- list */

static void print_row(void *arg, const struct store_client *c)
{
  struct clients *x = arg;
  char created[32], used[32];
  printf("%-30s %-24s %-20s %-20s %-20s %s\n", show_text(c->id, x->arena),
         show_text(c->name, x->arena), show_time(c->created_at, created),
         show_time(c->used_at, used), show_text(c->source, x->arena),
         c->approved ? "approved" : "");
}

static void add_row(void *arg, const struct store_client *c)
{
  struct clients *x = arg;
  json_t *j = json_object();
  json_object_set_new(j, "id", json_of(c->id));
  json_object_set_new(j, "name", json_of(c->name));
  json_object_set_new(j, "source", json_of(c->source));
  json_object_set_new(j, "approved", json_boolean(c->approved));
  json_object_set_new(j, "created", json_of_time(c->created_at));
  json_object_set_new(j, "used", json_of_time(c->used_at));
  json_array_append_new(x->all, j);
}

static int list_work(void *arg, struct store_db *db)
{
  struct clients *x = arg;
  return store_client_each(db, x->all ? add_row : print_row, x) == STORE_OK ? 0 : -1;
}

static int list(struct clients *x, bool json)
{
  x->all = json ? json_array() : NULL;
  if (!json)
    printf("%-30s %-24s %-20s %-20s %-20s %s\n", "ID", "NAME", "REGISTERED", "LAST USED", "FROM",
           "STATE");
  if (store_site_run(&x->site, STORE_READ, list_work, x) < 0) {
    json_decref(x->all);
    return CLI_FAILED;
  }
  return json ? show_json(x->all) : CLI_OK;
}

/* ---- approve, remove */

static int approve_work(void *arg, struct store_db *db)
{
  struct clients *x = arg;
  x->result = store_client_approve(db, x->id);
  return x->result == STORE_FAILED ? -1 : 0;
}

static int remove_work(void *arg, struct store_db *db)
{
  struct clients *x = arg;
  struct store_grant_filter f = {.client = x->id};
  if (grant_list_find(&x->ended, db, &f) < 0)
    return -1;
  x->result = store_client_remove(db, x->id, &x->grants);
  return x->result == STORE_FAILED ? -1 : 0;
}

static int unknown(const struct clients *x)
{
  fprintf(stderr, "mcpauth %s: there is no such client\n", x->site.command);
  return CLI_FAILED;
}

static int approve(struct clients *x)
{
  if (store_site_run(&x->site, STORE_WRITE, approve_work, x) < 0)
    return CLI_FAILED;
  return x->result == STORE_OK ? CLI_OK : unknown(x);
}

static int remove_client(struct clients *x)
{
  if (store_site_run(&x->site, STORE_WRITE, remove_work, x) < 0)
    return CLI_FAILED;
  if (x->result != STORE_OK)
    return unknown(x);
  int status = grant_list_tell(&x->ended, &x->site);
  printf("removed, with %u grants\n", x->grants);
  return status;
}

/* ---- the command line */

static int start(const struct cli *cli, const char *action, const char *id, bool json)
{
  char command[32];
  struct clients x = {.id = str_of(id), .result = STORE_NONE, .arena = arena_new(MIB(256))};
  x.ended.arena = x.arena;
  snprintf(command, sizeof command, "clients %.16s", action);
  int status = CLI_FAILED;
  if (x.arena && store_site_open(cli, command, true, &x.site) == 0) {
    status = strcmp(action, "list") == 0      ? list(&x, json)
             : strcmp(action, "approve") == 0 ? approve(&x)
                                              : remove_client(&x);
    store_site_done(&x.site);
  }
  arena_free(x.arena);
  return status;
}

static int run(const struct cli *cli, int argc, char **argv)
{
  const char *action = argc > 1 ? argv[1] : "";
  if (strcmp(action, "list") == 0) {
    bool json = argc == 3 && strcmp(argv[2], "--json") == 0;
    return argc == 2 || json ? start(cli, action, NULL, json)
                             : cli_usage(&cmd_clients, "list takes --json alone");
  }
  if (strcmp(action, "approve") != 0 && strcmp(action, "remove") != 0)
    return cli_usage(&cmd_clients, "which action? list, approve or remove");
  if (argc != 3 || argv[2][0] == '-')
    return cli_usage(&cmd_clients, "which client? Give its id (mcpauth clients list)");
  return start(cli, action, argv[2], false);
}

const struct cli_command cmd_clients = {
    .name = "clients",
    .actions = "list approve remove",
    .synopsis = "list [--json]\n"
                "       mcpauth clients approve|remove ID",
    .summary = "clients that registered themselves: list, approve, remove",
    .example = "mcpauth clients list",
    .run = run,
};
