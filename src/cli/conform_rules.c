/* The rules of `mcpauth provider test` that need the provider to run: each is one function of a
 * child process, which says in its outcome why the rule is broken.  See conform.h. */
#include <config.h>

#include "cli/conform_world.h"

#include <fcntl.h>
#include <locale.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "ops/log.h"
#include "util/cleanup.h"
#include "util/limits.h"

enum {
  WARM = 12,
  ROUNDS = 24,
  WINDOWS = 4,
  CYCLES = 8,
  LEAK = 16 /* bytes a round */,
  CHILD_S = 60
};

/* ---- children */

static void child(struct conform *c, conform_fn *fn)
{
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  prctl(PR_SET_DUMPABLE, 0);
  if (dup2(c->output, STDOUT_FILENO) < 0 || dup2(c->output, STDERR_FILENO) < 0)
    _exit(125);
  signal(SIGPIPE, SIG_IGN);
  mallopt(M_ARENA_MAX, 1); /* so that threads that come and go leave no arenas behind */
  alarm(CHILD_S);
  log_init("conformance", false, MCPAUTH_LOG_DEBUG);
  fn(c, c->outcome);
  c->outcome->ended = true;
  _exit(0);
}

int conform_child(struct conform *c, conform_fn *fn)
{
  *c->outcome = (struct outcome){.ended = false};
  struct idp_shared *shared = c->idp.shared;
  *shared = (struct idp_shared){.scene = (int)c->scene};
  if (ftruncate(c->output, 0) < 0 || lseek(c->output, 0, SEEK_SET) < 0)
    return -1;
  int status = 0;
  fflush(NULL);
  pid_t pid = fork();
  if (pid == 0)
    child(c, fn);
  if (pid < 0 || waitpid(pid, &status, 0) != pid)
    return -1;
  c->outcome->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  c->outcome->status = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
  return 0;
}

/* ---- before it runs */

void world_load(struct conform *c, struct outcome *o)
{
  struct err e = {""};
  const char *path;
  struct loader *l = loader_new(c->plugindir, &e);
  if (l == NULL || loader_open(l, c->file, &path, &e) == NULL)
    fails(o, "%s", e.text);
}

void world_tables(struct conform *c, struct outcome *o)
{
  struct err e = {""};
  const char *path;
  struct loader *l = loader_new(c->plugindir, &e);
  const struct mcpauth_provider *p = l ? loader_open(l, c->file, &path, &e) : NULL;
  if (p == NULL || table_sane(p, &e) < 0 || options_sane(p, &e) < 0)
    fails(o, "%s", e.text);
}

/* The second run: the first has loaded whatever libraries load once. */
void world_check(struct conform *c, struct outcome *o)
{
  struct world w;
  struct err e = {""};
  if (world_open(&w, c, o) == 0) {
    size_t fds = count_entries("/proc/self/fd"), threads = count_entries("/proc/self/task");
    for (size_t i = 0; i < w.config->n_providers; i++)
      if (w.config->providers[i].table->abi && host_check(&w.config->providers[i], NULL, &e) < 0)
        fails(o, "`check` refuses what it has accepted before: %s", e.text);
    if (count_entries("/proc/self/fd") != fds)
      fails(o, "`check` leaves descriptors open");
    if (count_entries("/proc/self/task") != threads)
      fails(o, "`check` leaves threads behind");
  }
  world_close(&w);
}

/* ---- life */

/* What does not grow back in any window is lost; tables that grow now and then are not. */
struct window {
  int64_t used, least;
};

static void window_next(struct window *v, const struct world *w, int rounds, bool first)
{
  int64_t used = memory_used() - (int64_t)arena_size(w->arena);
  int64_t grown = (used - v->used) / rounds;
  if (!first && grown < v->least)
    v->least = grown;
  v->used = used;
}

void world_cycles(struct conform *c, struct outcome *o)
{
  struct world w;
  struct window v = {.least = INT64_MAX};
  size_t fds = 0;
  if (world_open(&w, c, o) == 0 && world_start(&w, o) == 0) {
    for (int i = 0; i <= (WINDOWS + 1) * CYCLES; i++) {
      if (i == CYCLES)
        fds = count_entries("/proc/self/fd");
      if (i % CYCLES == 0 && i)
        window_next(&v, &w, CYCLES, i == CYCLES);
      world_turn(&w, 2);
      world_stop(&w);
      if (world_start(&w, o) < 0)
        break;
    }
    if (o->error[0] == 0 && v.least > LEAK)
      fails(o, "each start and stop loses %lld bytes", (long long)v.least);
    if (count_entries("/proc/self/fd") > fds + 2)
      fails(o, "start and stop leave descriptors open");
  }
  world_close(&w);
}

/* The credential ends where the page does: whoever reads on is killed. */
static char *at_the_edge(const char *text, size_t n)
{
  size_t page = (size_t)sysconf(_SC_PAGESIZE), size = (n + page) / page * page;
  char *p = mmap(NULL, size + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED || mprotect(p + size, page, PROT_NONE) < 0)
    return NULL;
  return memcpy(p + size - n, text, n);
}

static void claims_of(struct world *w, enum scene s, struct outcome *o)
{
  struct lookup l;
  lookup_prepare(w, &l, 0, s);
  char *edge = at_the_edge(l.credential.value.p, l.credential.value.n);
  if (edge == NULL) {
    fails(o, "out of memory");
    return;
  }
  l.credential.value.p = edge;
  bool first = lookup_claims(&l);
  int64_t before = memory_used();
  for (int i = 0; i < ROUNDS; i++)
    if (lookup_claims(&l) != first)
      fails(o, "`claims` says now this and now that of one credential");
  if (memory_used() - before > (int64_t)LEAK * ROUNDS)
    fails(o, "`claims` loses memory");
  for (size_t n = 1; n < l.credential.value.n; n = n * 2) { /* shorter ones, to the edge too */
    struct mcpauth_bytes part = {edge + l.credential.value.n - n, n};
    struct lookup shorter = l;
    shorter.credential.value = part;
    lookup_claims(&shorter);
  }
  lookup_end(&l);
}

void world_claims(struct conform *c, struct outcome *o)
{
  struct world w;
  if (world_open(&w, c, o) == 0 && world_start(&w, o) == 0)
    for (int s = SCENE_VALID; s <= SCENE_GARBAGE; s++)
      claims_of(&w, (enum scene)s, o);
  world_close(&w);
}

/* ---- lookups */

void world_lookup(struct conform *c, struct outcome *o)
{
  struct world w;
  if (world_open(&w, c, o) == 0 && world_start(&w, o) == 0) {
    ask(&w, 0, c->scene, o);
    if (!o->answered)
      fails(o, "it never answers");
  }
  world_close(&w);
}

static bool good(const struct world *w, enum mcpauth_result r)
{
  return r == (guards(w->table) ? MCPAUTH_PASS : MCPAUTH_OK);
}

/* Afterwards the provider must be as good as before. */
static void serves_still(struct world *w, struct outcome *o)
{
  w->c->idp.shared->scene = SCENE_VALID;
  if (o->error[0] == 0 && !good(w, ask(w, 0, SCENE_VALID, o)))
    fails(o, "afterwards a good lookup fails: %s", o->reason);
}

void world_gone(struct conform *c, struct outcome *o)
{
  struct world w;
  if (world_open(&w, c, o) == 0 && world_start(&w, o) == 0) {
    struct lookup l;
    lookup_prepare(&w, &l, 0, SCENE_VALID);
    lookup_start(&l);
    if (!l.done)
      world_turn(&w, 100);
    lookup_end(&l);
    world_turn(&w, 700); /* what comes now, comes for nobody */
    serves_still(&w, o);
  }
  world_close(&w);
}

void world_reload(struct conform *c, struct outcome *o)
{
  struct world w;
  if (world_open(&w, c, o) == 0 && world_start(&w, o) == 0) {
    struct lookup l;
    lookup_prepare(&w, &l, 0, SCENE_VALID);
    lookup_start(&l);
    if (!l.done)
      world_turn(&w, 100);
    lookup_end(&l);
    host_stop(&w.host);
    world_turn(&w, 700);
    if (world_begin(&w, o) == 0)
      serves_still(&w, o);
  }
  world_close(&w);
}

/* Each has an identity provider of its own, and asks no other. */
void world_twins(struct conform *c, struct outcome *o)
{
  struct world w;
  if (world_open(&w, c, o) == 0 && world_start(&w, o) == 0)
    for (unsigned i = 0; i < 4 && o->error[0] == 0; i++) {
      unsigned which = i % 2;
      unsigned other = c->idp.shared->asked[!which];
      if (!good(&w, ask(&w, which, SCENE_VALID, o)))
        fails(o, "with two instances, the %s one fails: %s", which ? "second" : "first", o->reason);
      else if (i > 1 && c->idp.shared->asked[!which] != other)
        fails(o, "one instance asks the identity provider of the other");
    }
  world_close(&w);
}

static void round_of(struct world *w, struct outcome *o)
{
  static const enum scene scenes[] = {SCENE_VALID, SCENE_ERROR, SCENE_VALID, SCENE_MALFORMED};
  static unsigned round;
  enum scene s = scenes[round++ % ARRAY_SIZE(scenes)];
  struct outcome ignored = {.ended = false};
  w->c->idp.shared->scene = (int)s;
  ask(w, 0, s == SCENE_MALFORMED ? SCENE_GARBAGE : s, &ignored);
  if (!ignored.answered)
    fails(o, "it never answers");
}

void world_leaks(struct conform *c, struct outcome *o)
{
  struct world w;
  struct window v = {.least = INT64_MAX};
  if (world_open(&w, c, o) == 0 && world_start(&w, o) == 0) {
    size_t fds = 0, threads = 0;
    for (int i = 0; i <= WARM + WINDOWS * ROUNDS && o->error[0] == 0; i++) {
      if (i == WARM) {
        fds = count_entries("/proc/self/fd");
        threads = count_entries("/proc/self/task");
      }
      if (i >= WARM && (i - WARM) % ROUNDS == 0)
        window_next(&v, &w, ROUNDS, i == WARM);
      round_of(&w, o);
    }
    if (o->error[0] == 0 && v.least > LEAK)
      fails(o, "each lookup loses %lld bytes", (long long)v.least);
    if (count_entries("/proc/self/fd") > fds + 4)
      fails(o, "lookups leave descriptors open");
    if (count_entries("/proc/self/task") > threads)
      fails(o, "lookups leave threads behind");
  }
  world_close(&w);
}

/* ---- what it may not change */

struct process {
  char cwd[512], locale[128];
  mode_t mask;
  sigset_t signals;
  size_t environment;
};

static struct process look_at_process(void)
{
  extern char **environ;
  struct process p = {.environment = 0};
  const char *l = setlocale(LC_ALL, NULL);
  if (getcwd(p.cwd, sizeof p.cwd) == NULL)
    p.cwd[0] = 0;
  snprintf(p.locale, sizeof p.locale, "%s", l ? l : "");
  p.mask = umask(077);
  umask(p.mask);
  sigprocmask(SIG_BLOCK, NULL, &p.signals);
  for (size_t i = 0; environ && environ[i]; i++)
    for (const char *s = environ[i]; *s; s++)
      p.environment = p.environment * 31 + (unsigned char)*s;
  return p;
}

void world_process(struct conform *c, struct outcome *o)
{
  struct world w;
  struct process a = look_at_process();
  if (world_open(&w, c, o) == 0 && world_start(&w, o) == 0) {
    ask(&w, 0, SCENE_VALID, o);
    host_stop(&w.host);
    struct process b = look_at_process();
    if (strcmp(a.cwd, b.cwd) != 0)
      fails(o, "it changes the working folder");
    if (strcmp(a.locale, b.locale) != 0)
      fails(o, "it changes the locale");
    if (a.mask != b.mask)
      fails(o, "it changes the umask");
    if (a.environment != b.environment)
      fails(o, "it changes the environment");
    for (int s = 1; s < NSIG; s++)
      if (sigismember(&a.signals, s) != sigismember(&b.signals, s))
        fails(o, "it changes the signal mask");
  }
  world_close(&w);
}

/* ---- what it may not keep, or tell */

static void ask_from(struct world *w, const char *address, const char *method, struct lookup *l)
{
  lookup_prepare(w, l, 0, SCENE_VALID);
  l->facts.address = address;
  l->facts.method = method;
  lookup_start(l);
  if (!l->done)
    world_turn(w, 10000);
}

/* Two callers with one credential: an answer that differs must not be reused. */
void world_reuse(struct conform *c, struct outcome *o)
{
  struct world w;
  if (world_open(&w, c, o) == 0 && world_start(&w, o) == 0) {
    struct lookup x, y;
    ask_from(&w, "127.0.0.1", "POST", &x);
    ask_from(&w, "192.0.2.1", "GET", &y);
    const struct principal *p = x.answer.principal, *q = y.answer.principal;
    bool reused = (p && p->reuse_ms > 0) || (q && q->reuse_ms > 0);
    bool same =
        x.answer.result == y.answer.result &&
        (p == NULL || q == NULL || (principal_same(p, q) && json_equal(p->claims, q->claims)));
    if (reused && !same)
      fails(o, "its answer depends on the address or method, and may be reused for others");
    lookup_end(&x);
    lookup_end(&y);
  }
  world_close(&w);
}

/* Tokens of the hub's own, and of an issuer that is not its: they leave the machine for nobody. */
void world_foreign(struct conform *c, struct outcome *o)
{
  static const char *const foreign[] = {
      "mcpa_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA_000000",
      /* {"alg":"ES256"} . {"iss":"https://another.example"} */
      "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJodHRwczovL2Fub3RoZXIuZXhhbXBsZSJ9.conformance-foreign",
  };
  struct world w;
  if (world_open(&w, c, o) == 0 && world_start(&w, o) == 0)
    for (size_t i = 0; i < ARRAY_SIZE(foreign); i++) {
      struct lookup l;
      lookup_prepare(&w, &l, 0, SCENE_VALID);
      l.credential.value = (struct mcpauth_bytes){foreign[i], strlen(foreign[i])};
      lookup_start(&l);
      if (!l.done)
        world_turn(&w, 5000);
      if (c->idp.shared->foreign)
        fails(o, "it sends a credential away that is somebody else's");
      lookup_end(&l);
    }
  world_close(&w);
}

/* ---- logins */

static bool has_parameter(const char *url, const char *name, const char *value)
{
  char text[512];
  snprintf(text, sizeof text, "%s=%s", name, value);
  const char *at = strstr(url, text);
  return at && (at[-1] == '?' || at[-1] == '&');
}

void world_login_begin(struct conform *c, struct outcome *o)
{
  struct world w;
  struct lookup l;
  c->login = CALL_LOGIN_BEGIN;
  if (world_open(&w, c, o) == 0 && w.table->login_begin && world_start(&w, o) == 0) {
    lookup_prepare(&w, &l, 0, SCENE_VALID);
    lookup_start(&l);
    if (!l.done)
      world_turn(&w, 10000);
    const char *url = l.answer.said ? l.answer.said->redirect : NULL;
    if (l.answer.result != MCPAUTH_OK || url == NULL)
      fails(o, "login_begin sends nobody anywhere: %s", l.answer.reason);
    else if (!has_parameter(url, "state", l.login.state) ||
             !has_parameter(url, "code_challenge", l.login.code_challenge) ||
             !has_parameter(url, "response_type", "code"))
      fails(o, "where it sends the browser, state, code_challenge or response_type=code is lost");
    o->asked[0] = 1;
    lookup_end(&l);
  }
  world_close(&w);
}

void world_login_finish(struct conform *c, struct outcome *o)
{
  struct world w;
  c->login = CALL_LOGIN_FINISH;
  if (world_open(&w, c, o) == 0 && w.table->login_finish && world_start(&w, o) == 0) {
    ask(&w, 0, c->scene, o);
    o->guards = false;
    if (!o->answered)
      fails(o, "login_finish never answers");
  }
  world_close(&w);
}
