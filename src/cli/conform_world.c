/* One provider behind the real host, in a child process: a configuration of its own, a loop, the
 * calls that a rule wants, and what they have changed in the process.  See conform.h. */
#include <config.h>

#include "cli/conform_world.h"

#include <dirent.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "http/fetch.h"
#include "ops/log.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/limits.h"

enum { BEAT_MS = 10, BOUND_MS = 15000 };

int fails(struct outcome *o, const char *format, ...)
{
  va_list ap;
  if (o->error[0])
    return -1; /* the first counts */
  va_start(ap, format);
  vsnprintf(o->error, sizeof o->error, format, ap);
  va_end(ap);
  return -1;
}

bool guards(const struct mcpauth_provider *p)
{
  return p->verify ? (p->flags & MCPAUTH_GUARD) != 0 : p->account != NULL;
}

/* ---- a line that grants, for providers that serve account lines only, or guard */

static enum mcpauth_result granter_verify(struct mcpauth_request *rq, const void *config,
                                          void *state)
{
  (void)rq, (void)config, (void)state;
  return MCPAUTH_ERROR; /* never asked: it makes the configuration whole */
}

static const struct mcpauth_provider granter = {.name = "mcpauth-granter",
                                                .verify = granter_verify};

static const struct mcpauth_provider *load_module(void *self, const char *module, struct arena *a,
                                                  const char **ret_path, struct err *e)
{
  struct world *w = self;
  struct config_modules m = loader_modules(w->loader);
  if (strcmp(module, granter.name) != 0)
    return m.load(m.self, module, a, ret_path, e);
  *ret_path = "";
  return &granter;
}

static int check_module(void *self, const struct config_provider *p, const char **option,
                        struct err *e)
{
  (void)self;
  return p->table == &granter ? 0 : host_check(p, option, e);
}

/* ---- the configuration */

static int write_file(const struct world *w, const char *name, const char *text)
{
  char path[512];
  snprintf(path, sizeof path, "%s/%s", w->dir, name);
  AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  size_t n = strlen(text);
  return fd >= 0 && write(fd, text, n) == (ssize_t)n ? 0 : -1;
}

static bool has_option(const struct script *s, const char *name)
{
  size_t n = strlen(name);
  for (size_t i = 0; i < s->n_options; i++)
    if (strncmp(s->options[i], name, n) == 0 && (s->options[i][n] == ' ' || s->options[i][n] == 0))
      return true;
  return false;
}

/* Something that an option of this type takes, for those that must be there. */
static void put_default(struct buf *b, const struct mcpauth_option *o)
{
  bool issuer = strstr(o->name, "issuer") != NULL;
  switch (o->type) {
  case MCPAUTH_URL:
    buf_printf(b, "%s {idp}%s%s\n", o->name, issuer ? "" : "/", issuer ? "" : o->name);
    break;
  case MCPAUTH_SECRET:
    buf_printf(b, "%s file:{dir}/secret\n", o->name);
    break;
  case MCPAUTH_PATH:
    buf_printf(b, "%s {dir}/%s\n", o->name, o->name);
    break;
  case MCPAUTH_CHOICE:
    buf_printf(b, "%s %s\n", o->name, o->choices[0]);
    break;
  case MCPAUTH_BOOL:
    buf_printf(b, "%s on\n", o->name);
    break;
  case MCPAUTH_INTEGER:
  case MCPAUTH_SIZE:
    buf_printf(b, "%s %lld\n", o->name, (long long)o->min);
    break;
  case MCPAUTH_DURATION:
    buf_printf(b, "%s %lldms\n", o->name, (long long)o->min);
    break;
  case MCPAUTH_PAIRS:
    buf_printf(b, "%s /sub /subject\n", o->name);
    break;
  case MCPAUTH_STRING:
  case MCPAUTH_LIST:
    buf_printf(b, "%s %s\n", o->name, issuer ? "{idp}" : "test");
    break;
  }
}

static void put_options(const struct world *w, struct buf *b)
{
  const struct script *s = &w->c->script;
  for (size_t i = 0; i < s->n_options; i++)
    buf_printf(b, "%s\n", s->options[i]);
  for (const struct mcpauth_option *o = w->table->options; o && o->name; o++)
    if ((o->flags & MCPAUTH_REQUIRED) && !has_option(s, o->name))
      put_default(b, o);
}

static int write_provider(const struct world *w, const char *name, unsigned which)
{
  CLEANUP(buf_done) struct buf b;
  char file[64];
  buf_init(&b, KIB(64));
  buf_printf(&b, "provider %s {\nmodule %s\ndeadline %ds\n", name, w->table->name,
             w->c->scene == SCENE_TIMEOUT ? 2 : 5);
  put_options(w, &b);
  buf_puts(&b, "}\n");
  const char *line = w->table->verify == NULL && w->table->account == NULL ? "auth required"
                     : w->table->verify == NULL        ? "auth required granter; account"
                     : w->table->flags & MCPAUTH_GUARD ? "auth required granter; auth required"
                                                       : "auth required";
  buf_printf(&b,
             "service s-%s { path /%s; upstream http://127.0.0.1:9/mcp; "
             "accept bearer; %s %s }\n",
             name, name, line, name);
  const char *text =
      b.failed ? NULL : idp_fill(&w->c->idp, w->arena, b.p, SCENE_VALID, which, w->dir);
  snprintf(file, sizeof file, "%s.conf", name);
  return text ? write_file(w, file, text) : -1;
}

static int write_all(struct world *w)
{
  const struct script *s = &w->c->script;
  bool granting = guards(w->table);
  for (size_t i = 0; i < s->n_files; i++) {
    const char *text = idp_fill(&w->c->idp, w->arena, s->contents[i], SCENE_VALID, 0, w->dir);
    if (text == NULL || write_file(w, s->files[i], text) < 0)
      return -1;
  }
  for (const struct mcpauth_option *o = w->table->options; o && o->name; o++)
    if (o->type == MCPAUTH_PATH && (o->flags & MCPAUTH_REQUIRED) && !has_option(s, o->name) &&
        write_file(w, o->name, "") < 0)
      return -1;
  return write_file(w, "secret", w->c->idp.secret) < 0 || write_provider(w, "one", 0) < 0 ||
                 write_provider(w, "two", 1) < 0 ||
                 write_file(
                     w, "hub.conf",
                     granting
                         ? "hub { public_url http://127.0.0.1:7070; listen 127.0.0.1:0 }\n"
                           "provider granter { module mcpauth-granter }\n"
                         : "hub { public_url http://127.0.0.1:7070; listen 127.0.0.1:0 }\n") < 0
             ? -1
             : 0;
}

static int load_config(struct world *w, struct outcome *o)
{
  struct config_report report = {.n = 0};
  struct config_modules modules = {w, load_module, check_module, NULL};
  w->config = config_load(w->dir, &modules, (unsigned)geteuid(), w->arena, &report);
  for (size_t i = 0; w->config == NULL && i < report.n; i++)
    if (report.v[i].severity == CONFIG_ERROR)
      return fails(o, "its configuration does not load: %s", report.v[i].text);
  return w->config ? 0 : fails(o, "its configuration does not load");
}

int world_open(struct world *w, struct conform *c, struct outcome *o)
{
  struct err e = {""};
  const char *path;
  *w = (struct world){.c = c, .arena = arena_new(MIB(64))};
  w->dir = arena_dup(w->arena, STR("/tmp/mcpauth-conform-XXXXXX"));
  w->loader = loader_new(c->plugindir, &e);
  w->table = w->loader ? loader_open(w->loader, c->file, &path, &e) : NULL;
  if (w->table == NULL)
    return fails(o, "%s", e.text);
  o->flags = w->table->flags;
  o->guards = guards(w->table);
  o->logs_in = w->table->login_begin != NULL;
  o->logs_in_only =
      c->script.login || (o->logs_in && w->table->verify == NULL && w->table->account == NULL);
  if (mkdtemp(w->dir) == NULL || write_all(w) < 0)
    return fails(o, "no folder for its configuration");
  return load_config(w, o);
}

void world_close(struct world *w)
{
  static const char *const fixed[] = {"secret", "one.conf", "two.conf", "hub.conf"};
  char path[512];
  for (size_t i = 0; i < ARRAY_SIZE(fixed); i++) {
    snprintf(path, sizeof path, "%s/%s", w->dir, fixed[i]);
    unlink(path);
  }
  for (size_t i = 0; i < w->c->script.n_files; i++) {
    snprintf(path, sizeof path, "%s/%s", w->dir, w->c->script.files[i]);
    unlink(path);
  }
  for (const struct mcpauth_option *o = w->table ? w->table->options : NULL; o && o->name; o++) {
    snprintf(path, sizeof path, "%s/%s", w->dir, o->name);
    unlink(path);
  }
  rmdir(w->dir);
}

/* ---- the host */

static void beat(struct timer *t)
{
  struct world *w = container_of(t, struct world, beat);
  int64_t late = clock_mono_ms() - t->due_ms;
  if (late > w->late_ms)
    w->late_ms = late;
  loop_timer_set(w->loop, t, BEAT_MS);
}

static void out_of_time(struct timer *t)
{
  loop_stop(container_of(t, struct world, bound)->loop);
}

int world_start(struct world *w, struct outcome *o)
{
  struct err e = {""};
  w->loop = loop_new(&e);
  w->jobs = w->loop ? jobs_new(w->loop, w->config->job_threads, &e) : NULL;
  w->fetcher = w->jobs ? fetcher_new(w->loop, &e) : NULL;
  if (w->fetcher == NULL)
    return fails(o, "%s", e.text);
  w->beat.fire = beat;
  w->bound.fire = out_of_time;
  return world_begin(w, o);
}

int world_begin(struct world *w, struct outcome *o)
{
  struct err e = {""};
  struct auth_options options = {.config = w->config,
                                 .loop = w->loop,
                                 .jobs = w->jobs,
                                 .fetcher = w->fetcher,
                                 .dry_run = true};
  w->host = (struct host){.n = 0};
  if (host_start(&w->host, &options, &e) < 0)
    return fails(o, "%s", e.text);
  return 0;
}

void world_stop(struct world *w)
{
  host_stop(&w->host);
  fetcher_free(w->fetcher);
  jobs_free(w->jobs, 2000);
  loop_free(w->loop);
}

static struct mcpauth_instance *instance(struct world *w, unsigned which)
{
  for (size_t i = 0; i < w->host.n; i++)
    if (strcmp(w->host.instances[i].provider->name, which ? "two" : "one") == 0)
      return &w->host.instances[i];
  return NULL;
}

void world_turn(struct world *w, int64_t ms)
{
  loop_timer_set(w->loop, &w->bound, ms);
  loop_timer_set(w->loop, &w->beat, BEAT_MS);
  loop_run(w->loop);
  loop_timer_stop(w->loop, &w->bound);
  loop_timer_stop(w->loop, &w->beat);
}

/* ---- a lookup */

static const char *const mapped[] = {"DNS:ann.example", "email:ann@example.com"};
static const struct mcpauth_certificate certificate = {
    .subject = "CN=ann,O=Example",
    .issuer = "CN=Example CA",
    .sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    .thumbprint = "ASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4mrze8",
    .names = {2, mapped},
    .expires_at = 4102444800,
};

/* An auth line, or else an account line, or else a login whose code is the credential. */
static void lookup_kind(struct world *w, struct lookup *l)
{
  l->kind = w->c->login          ? w->c->login
            : w->c->script.login ? CALL_LOGIN_FINISH
            : w->table->verify   ? CALL_VERIFY
            : w->table->account  ? CALL_ACCOUNT
                                 : CALL_LOGIN_FINISH;
  l->login = (struct mcpauth_login){.callback = "http://127.0.0.1:7070/oauth/callback",
                                    .state = "state-of-the-conformance-test",
                                    .nonce = CONFORM_NONCE,
                                    .code_challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
                                    .code = l->credential.value.p,
                                    .code_verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"};
}

void lookup_prepare(struct world *w, struct lookup *l, unsigned which, enum scene s)
{
  const struct script *script = &w->c->script;
  const char *text = idp_credential(&w->c->idp, w->arena, s, which);
  *l = (struct lookup){.world = w, .instance = instance(w, which)};
  l->credential = (struct mcpauth_credential){
      .source = MCPAUTH_FROM_BEARER, .name = "", .value = {text, text ? strlen(text) : 0}};
  l->facts = (struct mcpauth_facts){.request_id = "0123456789abcdef",
                                    .service = "test",
                                    .resource = CONFORM_RESOURCE,
                                    .address = script->address[s] ? script->address[s]
                                               : script->address[SCENE_VALID]
                                                   ? script->address[SCENE_VALID]
                                                   : "127.0.0.1",
                                    .method = "POST",
                                    .certificate = &certificate};
  lookup_kind(w, l);
  if (l->kind == CALL_ACCOUNT) {
    const char *issuer = arena_printf(w->arena, "http://127.0.0.1:%d", w->c->idp.ports[which]);
    struct mcpauth_principal who = {.issuer = issuer, .subject = "ann"};
    struct err e;
    l->who = principal_new(l->instance->provider, &who, &e);
    l->known = json_pack("{ss}", "email", "ann@example.com");
  }
}

static void on_answer(void *arg, struct call_answer *a)
{
  struct lookup *l = arg;
  l->answer = *a;
  a->principal = NULL;
  a->claims = NULL;
  a->said = NULL;
  l->done = true;
  l->call = NULL;
  loop_stop(l->world->loop);
}

bool lookup_claims(const struct lookup *l)
{
  const struct mcpauth_provider *t = l->instance->provider->table;
  if (l->kind != CALL_VERIFY || t->claims == NULL)
    return true;
  return t->claims(l->instance->provider->config, l->instance->state, &l->credential);
}

void lookup_start(struct lookup *l)
{
  int64_t from = clock_mono_ms();
  if (!lookup_claims(l)) {
    l->answer.result = MCPAUTH_IGNORE;
    l->done = true;
    return;
  }
  struct call_spec spec = {.instance = l->instance,
                           .kind = l->kind,
                           .credential = l->kind == CALL_VERIFY ? &l->credential : NULL,
                           .facts = &l->facts,
                           .who = l->who,
                           .known = l->known,
                           .login = l->kind >= CALL_LOGIN_BEGIN ? &l->login : NULL,
                           .done = on_answer,
                           .arg = l};
  l->call = call_start(&spec, &l->answer);
  l->done = l->call == NULL;
  if (clock_mono_ms() - from > l->world->late_ms)
    l->world->late_ms = clock_mono_ms() - from;
}

void lookup_end(struct lookup *l)
{
  if (l->call)
    call_cancel(l->call);
  l->call = NULL;
  call_answer_done(&l->answer);
  principal_unref(l->who);
  json_decref(l->known);
}

enum mcpauth_result ask(struct world *w, unsigned which, enum scene s, struct outcome *o)
{
  struct lookup l;
  lookup_prepare(w, &l, which, s);
  lookup_start(&l);
  if (!l.done)
    world_turn(w, BOUND_MS);
  o->answered = l.done;
  o->result = l.done ? l.answer.result : MCPAUTH_PENDING;
  snprintf(o->reason, sizeof o->reason, "%s", l.answer.reason);
  o->blocked_ms = w->late_ms;
  for (unsigned i = 0; i < IDPS; i++)
    o->asked[i] = w->c->idp.shared->asked[i];
  lookup_end(&l);
  return o->result;
}

/* ---- the process */

size_t count_entries(const char *folder)
{
  DIR *d = opendir(folder);
  size_t n = 0;
  for (; d && readdir(d); n++)
    ;
  if (d)
    closedir(d);
  return n;
}

int64_t memory_used(void)
{
  struct mallinfo2 m = mallinfo2();
  return (int64_t)(m.uordblks + m.hblkhd);
}
