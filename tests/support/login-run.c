/* Drives the login callbacks of one provider as src/oauth does, for tests of providers that need no
 * hub: login-run PLUGINDIR CONFDIR PROVIDER reads a JSON object a line from standard input and
 * answers each with one.  See tests/support/loginrun.py. */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auth/loader.h"
#include "auth/login.h"
#include "http/fetch.h"
#include "ops/log.h"
#include "util/cleanup.h"
#include "util/json.h"
#include "util/limits.h"

struct driver {
  struct loop *loop;
  struct auth *auth;
  struct arena *report;
  struct loader *loader;
  struct config *config;
  const struct config_provider *provider;
  json_t *answer; /* of the line at work */
};

static _Noreturn void give_up(const char *why)
{
  fprintf(stderr, "login-run: %s\n", why);
  exit(1);
}

static const char *text(const json_t *object, const char *name)
{
  return json_string_value(json_object_get(object, name));
}

static const char *or_empty(const char *s)
{
  return s ? s : "";
}

static json_t *string_or_null(struct str s)
{
  return s.p ? json_stringn(s.p, s.n) : json_null();
}

/* ---- logins */

static json_t *tokens_json(const struct login_tokens *t)
{
  return json_pack("{so so sI so}", "access_token", string_or_null(t->access_token),
                   "refresh_token", string_or_null(t->refresh_token), "access_expires_at",
                   (json_int_t)t->access_expires_at, "extra", string_or_null(t->extra));
}

static json_t *person_json(const struct principal *p)
{
  return p ? json_pack("{ss ss ss? sO}", "issuer", p->issuer, "subject", p->subject, "client",
                       p->client, "claims", p->claims)
           : json_null();
}

static void on_login(void *arg, const struct login_outcome *o)
{
  struct driver *d = arg;
  d->answer = json_pack("{ss ss? so so ss}", "result", result_name(o->result), "redirect",
                        o->redirect, "who", person_json(o->who), "tokens",
                        o->has_tokens ? tokens_json(&o->tokens) : json_null(), "reason", o->reason);
  loop_stop(d->loop);
}

static struct mcpauth_list read_list(struct arena *a, const json_t *array)
{
  const char **v = arena_array(a, json_array_size(array) + 1, sizeof *v);
  for (size_t i = 0; v && i < json_array_size(array); i++)
    v[i] = json_string_value(json_array_get(array, i));
  return (struct mcpauth_list){json_array_size(array), v};
}

static struct principal *read_person(struct driver *d, const json_t *who)
{
  struct err e = {""};
  struct mcpauth_principal p = {.issuer = text(who, "issuer"), .subject = text(who, "subject")};
  struct principal *new = json_is_object(who) ? principal_new(d->provider, &p, &e) : NULL;
  if (new &&json_is_object(json_object_get(who, "claims")))
    json_object_update(new->claims, json_object_get(who, "claims"));
  return new;
}

static void do_login(struct driver *d, const char *op, const json_t *line, struct arena *arena)
{
  const json_t *old = json_object_get(line, "tokens");
  struct principal *who = read_person(d, json_object_get(line, "who"));
  struct login_request rq = {
      .provider = d->provider,
      .facts = {.request_id = "test", .address = "127.0.0.1"},
      .login = {.callback = or_empty(text(line, "callback")),
                .state = or_empty(text(line, "state")),
                .nonce = or_empty(text(line, "nonce")),
                .code_challenge = or_empty(text(line, "code_challenge")),
                .login_hint = text(line, "login_hint"),
                .again = json_is_true(json_object_get(line, "again")),
                .code = text(line, "code"),
                .code_verifier = text(line, "code_verifier"),
                .parameters = read_list(arena, json_object_get(line, "parameters"))},
      .who = who,
      .arena = arena,
  };
  struct login_tokens tokens = {
      str_of(text(old, "access_token")), str_of(text(old, "refresh_token")),
      json_integer_value(json_object_get(old, "access_expires_at")), str_of(text(old, "extra"))};
  if (strcmp(op, "begin") == 0)
    login_begin(d->auth, &rq, on_login, d);
  else if (strcmp(op, "finish") == 0)
    login_finish(d->auth, &rq, on_login, d);
  else
    login_refresh(d->auth, &rq, &tokens, on_login, d);
  if (d->answer == NULL)
    loop_run(d->loop);
  principal_unref(who);
}

/* ---- credentials, through the stack of the first service */

static void on_verify(void *arg, const struct auth_outcome *o)
{
  struct driver *d = arg;
  const struct principal *p = o->grant ? grant_principal(o->grant) : NULL;
  d->answer = json_pack("{si so ss}", "status", o->status, "who", person_json(p), "reason",
                        o->n_trace ? o->trace[0].reason : "");
  grant_free(o->grant);
  loop_stop(d->loop);
}

static void do_verify(struct driver *d, const json_t *line, struct arena *arena)
{
  const struct config_service *s = &d->config->services[0];
  const char *token = or_empty(text(line, "credential"));
  struct mcpauth_credential c = {MCPAUTH_FROM_BEARER, "", {token, strlen(token)}};
  struct auth_request rq = {.service = s,
                            .credential = &c,
                            .facts = {.service = s->name, .resource = s->resource},
                            .arena = arena};
  auth_start(d->auth, &rq, on_verify, d);
  if (d->answer == NULL)
    loop_run(d->loop);
}

/* ---- the program */

static void serve(struct driver *d)
{
  char *line = NULL;
  size_t size = 0;
  while (getline(&line, &size, stdin) > 0) {
    CLEANUP(json_drop)
    json_t *command =
        json_parse(str_trim(str_slice(str_of(line), 0, strlen(line) - 1)), 16, 10000, NULL);
    const char *op = text(command, "op");
    struct arena *arena = arena_new(LIMIT_REQUEST_ARENA);
    if (op == NULL || arena == NULL)
      give_up("a line is no command");
    if (strcmp(op, "verify") == 0)
      do_verify(d, command, arena);
    else
      do_login(d, op, command, arena);
    json_dumpf(d->answer, stdout, JSON_COMPACT);
    putchar('\n');
    fflush(stdout);
    json_decref(d->answer);
    d->answer = NULL;
    arena_free(arena);
  }
  free(line);
}

static void load(struct driver *d, const char *plugins, const char *dir)
{
  struct err e = {""};
  struct config_report r = {.n = 0};
  d->report = arena_new(MIB(4));
  d->loader = loader_new(plugins, &e);
  if (d->loader == NULL || d->report == NULL)
    give_up(e.text);
  struct config_modules modules = loader_modules(d->loader);
  d->config = config_load(dir, &modules, geteuid(), d->report, &r);
  for (size_t i = 0; i < r.n; i++)
    config_finding_print(&r.v[i], stderr);
  if (d->config == NULL)
    exit(2);
}

int main(int argc, char **argv)
{
  struct driver d = {.loop = NULL};
  struct err e = {""};
  if (argc != 4)
    give_up("usage: login-run PLUGINDIR CONFDIR PROVIDER");
  load(&d, argv[1], argv[2]);
  for (size_t i = 0; i < d.config->n_providers; i++)
    if (strcmp(d.config->providers[i].name, argv[3]) == 0)
      d.provider = &d.config->providers[i];
  d.loop = loop_new(&e);
  struct jobs *jobs = d.loop ? jobs_new(d.loop, d.config->job_threads, &e) : NULL;
  struct fetcher *fetcher = jobs ? fetcher_new(d.loop, &e) : NULL;
  struct auth_options o = {
      .config = d.config, .loop = d.loop, .jobs = jobs, .fetcher = fetcher, .dry_run = true};
  d.auth = fetcher && d.provider ? auth_new(&o, &e) : NULL;
  if (d.auth == NULL)
    give_up(e.text[0] ? e.text : "there is no such provider");
  serve(&d);
  auth_free(d.auth);
  jobs_free(jobs, 1000);
  fetcher_free(fetcher);
  loop_free(d.loop);
  config_free(d.config);
  loader_free(d.loader);
  arena_free(d.report);
  return 0;
}
