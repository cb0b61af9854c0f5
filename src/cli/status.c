/* mcpauth status: what the running daemon is doing, as a table or as JSON. */
#include <config.h>

#include <jansson.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/control.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/json.h"
#include "util/limits.h"

static long long number(const json_t *o, const char *key)
{
  return (long long)json_integer_value(json_object_get(o, key));
}

static const char *text(const json_t *o, const char *key)
{
  const char *s = json_string_value(json_object_get(o, key));
  return s ? s : "";
}

static const char *duration(long long s, char out[32])
{
  if (s < 60)
    snprintf(out, 32, "%lld s", s);
  else if (s < 3600)
    snprintf(out, 32, "%lld min", s / 60);
  else if (s < 48LL * 3600)
    snprintf(out, 32, "%lld h %lld min", s / 3600, s / 60 % 60);
  else
    snprintf(out, 32, "%lld d %lld h", s / 86400, s / 3600 % 24);
  return out;
}

static void print_head(const json_t *o)
{
  char up[32];
  const char *state = json_is_true(json_object_get(o, "stopping")) ? "stopping"
                      : json_is_true(json_object_get(o, "ready"))  ? "ready"
                                                                   : "not ready";
  printf("mcpauthd %s, pid %lld, up %s: %s\n", text(o, "version"), number(o, "pid"),
         duration(number(o, "uptime"), up), state);
  printf("connections: %lld   worker crashes: %lld\n", number(o, "connections"),
         number(o, "worker_crashes"));
}

static void print_reloads(const json_t *r)
{
  char when[32];
  printf("reloads: %lld taken up, %lld refused", number(r, "ok"), number(r, "failed"));
  if (number(r, "last")) {
    clock_format(number(r, "last") * 1000, when, sizeof when);
    printf("; the last at %.19sZ%s", when, text(r, "last_error")[0] ? " was refused:" : "");
  }
  putchar('\n');
  struct str rest = str_of(text(r, "last_error")), line;
  while (str_next(&rest, '\n', &line))
    if (line.n)
      printf("  %.*s\n", STR_ARG(line));
}

static void print_process(const char *generation, const char *state, const char *name,
                          const json_t *p)
{
  char up[32];
  printf("%-12s%-10s%-12s%8lld  %-12s%12lld%s\n", generation, state, name, number(p, "pid"),
         duration(number(p, "uptime"), up), number(p, "connections"),
         json_is_true(json_object_get(p, "ready")) ? "" : "  not ready");
}

static void print_generation(const json_t *g)
{
  char name[40], up[32], id[32];
  size_t i;
  json_t *w;
  snprintf(id, sizeof id, "%lld", number(g, "generation"));
  printf("%-12s%-10s%-12s%8lld  %s", id, text(g, "state"), "leader", number(g, "leader"),
         duration(number(g, "uptime"), up));
  if (json_is_true(json_object_get(g, "inherited")))
    printf(", of the program before: mcpauthd %s", text(g, "version"));
  putchar('\n');
  json_array_foreach(json_object_get(g, "workers"), i, w)
  {
    snprintf(name, sizeof name, "worker %lld", number(w, "number"));
    print_process("", "", name, w);
  }
  if (json_is_object(json_object_get(g, "admin")))
    print_process("", "", "admin", json_object_get(g, "admin"));
}

static void print_listener(const json_t *l)
{
  const char *admin = json_is_true(json_object_get(l, "admin")) ? "admin " : "";
  printf("listens: %s%s", admin, text(l, "listen"));
  if (number(l, "port"))
    printf("  port %lld", number(l, "port"));
  putchar('\n');
}

static void print_all(const json_t *o)
{
  size_t i;
  json_t *one;
  print_head(o);
  print_reloads(json_object_get(o, "reloads"));
  json_array_foreach(json_object_get(o, "listeners"), i, one) print_listener(one);
  printf("\n%-12s%-10s%-12s%8s  %-12s%12s\n", "GENERATION", "STATE", "PROCESS", "PID", "UP",
         "CONNECTIONS");
  json_array_foreach(json_object_get(o, "generations"), i, one) print_generation(one);
}

static int run(const struct cli *cli, int argc, char **argv)
{
  struct err e = {""};
  CLEANUP(buf_done) struct buf answer;
  bool json = argc == 2 && strcmp(argv[1], "--json") == 0;
  buf_init(&answer, MIB(1));
  if (argc > 1 && !json)
    return cli_usage(&cmd_status, "takes only --json");
  if (control_ask(cli->control, "status", &answer, &e) != 0) {
    fprintf(stderr, "mcpauth status: %s\n", e.text);
    return CLI_FAILED;
  }
  if (json) {
    printf("%.*s", STR_ARG(buf_view(&answer)));
    return CLI_OK;
  }
  CLEANUP(json_drop)
  json_t *o = json_parse(buf_view(&answer), LIMIT_JSON_DEPTH, LIMIT_JSON_VALUES, &e);
  if (o == NULL) {
    fprintf(stderr, "mcpauth status: %s\n", e.text);
    return CLI_FAILED;
  }
  print_all(o);
  return CLI_OK;
}

const struct cli_command cmd_status = {
    .name = "status",
    .synopsis = "[--json]",
    .summary = "show what the running daemon is doing",
    .example = "mcpauth status --json",
    .run = run,
};
