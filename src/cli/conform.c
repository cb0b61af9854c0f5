/* mcpauth provider test [--script FILE] [--only RULE] FILE.so: every rule that holds for all
 * providers, one line each.  See conform.h for who does what. */
#include <config.h>

#include "cli/conform.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "auth/stack.h"
#include "cli/cli.h"
#include "cli/provider.h"
#include "util/cleanup.h"
#include "util/limits.h"

enum { STALL_MS = 400, TRIES = 3, OUTPUT_MAX = 1 << 20 };

enum judge {
  JUDGE_WORDS,   /* broken when the child says so */
  JUDGE_GOOD,    /* OK; PASS of a guard or an account line */
  JUDGE_INVALID, /* 401 */
  JUDGE_OTHERS,  /* not mine, or 401 */
  JUDGE_NO,      /* anything but a yes */
  JUDGE_UNAVAIL, /* cannot tell now: 503 */
  JUDGE_UNABLE,  /* 503, or 500 */
};

/* What all runs together have shown. */
struct seen {
  char output[256], secret[256], protocol[320], stall[128];
  const char *only; /* the one rule that is tried, or NULL */
  bool only_together;
  unsigned kept, broken, skipped;
};

struct rule {
  const char *name, *what;
  conform_fn *fn;
  enum scene scene;
  enum judge judge;
};

/* clang-format off */
static const struct rule first_rules[] = {
    {"loads", "the hub loads it: owner, note, symbol, name, tables", world_load, SCENE_VALID, JUDGE_WORDS},
    {"tables", "its tables make sense", world_tables, SCENE_VALID, JUDGE_WORDS},
    {"check", "`check` takes good options and leaves nothing open", world_check, SCENE_VALID, JUDGE_WORDS},
};
static const struct rule rules[] = {
    {"valid", "a good credential is OK (a guard, an account line: PASS)", world_lookup, SCENE_VALID, JUDGE_GOOD},
    {"garbage", "what nobody has issued is never a yes", world_lookup, SCENE_GARBAGE, JUDGE_NO},
    {"expired", "an expired credential is INVALID", world_lookup, SCENE_EXPIRED, JUDGE_INVALID},
    {"audience", "a credential for another service is INVALID", world_lookup, SCENE_AUDIENCE, JUDGE_INVALID},
    {"issuer", "a credential of another issuer is IGNORE or INVALID", world_lookup, SCENE_ISSUER, JUDGE_OTHERS},
    {"foreign", "nobody else's credential is sent away", world_foreign, SCENE_VALID, JUDGE_WORDS},
    {"claims", "`claims` is pure and reads only the credential", world_claims, SCENE_VALID, JUDGE_WORDS},
    {"error", "an identity provider that answers 500 is UNAVAIL", world_lookup, SCENE_ERROR, JUDGE_UNAVAIL},
    {"limited", "one that answers 429 is UNAVAIL", world_lookup, SCENE_LIMITED, JUDGE_UNAVAIL},
    {"malformed", "one that answers nonsense is UNAVAIL or ERROR", world_lookup, SCENE_MALFORMED, JUDGE_UNABLE},
    {"oversized", "one that answers too much is UNAVAIL or ERROR", world_lookup, SCENE_OVERSIZED, JUDGE_UNABLE},
    {"slow", "one that is slow is waited for", world_lookup, SCENE_SLOW, JUDGE_GOOD},
    {"timeout", "one that never answers is UNAVAIL", world_lookup, SCENE_TIMEOUT, JUDGE_UNAVAIL},
    {"begin", "a login goes to the provider with state and PKCE", world_login_begin, SCENE_VALID, JUDGE_WORDS},
    {"finish", "a good code logs somebody in", world_login_finish, SCENE_VALID, JUDGE_GOOD},
    {"refused", "a bad code logs nobody in", world_login_finish, SCENE_GARBAGE, JUDGE_NO},
    {"away", "a login whose provider answers 500 is UNAVAIL", world_login_finish, SCENE_ERROR, JUDGE_UNAVAIL},
    {"gone", "a client that leaves in the middle does no harm", world_gone, SCENE_SLOW, JUDGE_WORDS},
    {"reload", "a reload in the middle does no harm", world_reload, SCENE_SLOW, JUDGE_WORDS},
    {"twins", "two instances share nothing", world_twins, SCENE_VALID, JUDGE_WORDS},
    {"reuse", "what depends on the request is not reused", world_reuse, SCENE_VALID, JUDGE_WORDS},
    {"cycles", "start and stop lose nothing", world_cycles, SCENE_VALID, JUDGE_WORDS},
    {"leaks", "lookups lose no memory and no descriptors", world_leaks, SCENE_VALID, JUDGE_WORDS},
    {"process", "it leaves environment, folder, umask, locale, signals alone", world_process, SCENE_VALID, JUDGE_WORDS},
};
/* clang-format on */

/* ---- lines of the table */

static void line(const char *word, const char *name, const char *text)
{
  CLEANUP(buf_done) struct buf b;
  buf_init(&b, KIB(8));
  if (buf_json(&b, str_of(text)) == 0 && b.n >= 2)
    printf("%-5s %-10s %.*s\n", word, name, (int)(b.n - 2), b.p + 1);
}

static void tell(struct seen *seen, const char *name, const char *what, const char *why)
{
  if (why && *why) {
    seen->broken++;
    line("FAIL", name, why);
  } else {
    seen->kept++;
    line("ok", name, what);
  }
}

static void tell_skip(struct seen *seen, const char *name, const char *why)
{
  seen->skipped++;
  line("-", name, why);
}

/* ---- what a child has written */

static bool is_log_line(const char *p, size_t n)
{
  static const char ours[] = " conformance: ";
  return n > 24 && p[0] == '2' && p[4] == '-' && memmem(p, n, ours, sizeof ours - 1);
}

static void look_at_line(struct conform *c, struct seen *seen, const char *p, size_t n)
{
  const char *secret = c->idp.secret;
  if (n && !is_log_line(p, n) && seen->output[0] == 0)
    snprintf(seen->output, sizeof seen->output, "it writes to standard output or error: %.*s",
             n > 100 ? 100 : (int)n, p);
  const char *credential = c->script.credential[SCENE_VALID];
  bool leaks = memmem(p, n, secret, strlen(secret)) ||
               (credential && strlen(credential) >= 8 && strchr(credential, '{') == NULL &&
                memmem(p, n, credential, strlen(credential))) ||
               memmem(p, n, "eyJhbGciOi", 10);
  if (leaks && seen->secret[0] == 0)
    snprintf(seen->secret, sizeof seen->secret, "a credential or secret is in its log or reason");
}

static void look_at_output(struct conform *c, struct seen *seen)
{
  off_t size = lseek(c->output, 0, SEEK_END);
  if (size <= 0 || size > OUTPUT_MAX)
    return;
  AUTO_FREE char *text = malloc((size_t)size + 1);
  if (text == NULL || pread(c->output, text, (size_t)size, 0) != size)
    return;
  text[size] = 0;
  for (char *p = text; p < text + size;) {
    char *end = memchr(p, '\n', (size_t)(text + size - p));
    size_t n = (size_t)((end ? end : text + size) - p);
    look_at_line(c, seen, p, n);
    p += n + 1;
  }
}

static void look_at_reason(struct conform *c, struct seen *seen)
{
  static const char *const misuse[] = {
      "PENDING without",   "answered while",          "two requests to the host",
      "OK without a",      "cannot answer OK",        "which is no result",
      "lacks an argument", "a job thread cannot",     "cannot name a principal",
      "HTTP method other", "an HTTP request cannot",  "an issuer",
      "a claim",           "OK for a principal that", "belongs to account lines",
  };
  const char *reason = c->outcome->reason;
  look_at_line(c, seen, "2", 0);
  if (strstr(reason, c->idp.secret) || strstr(reason, "eyJhbGciOi"))
    snprintf(seen->secret, sizeof seen->secret, "a credential or secret is in its reason");
  if (c->outcome->result != MCPAUTH_ERROR)
    return;
  for (size_t i = 0; i < ARRAY_SIZE(misuse); i++)
    if (strncmp(reason, misuse[i], strlen(misuse[i])) == 0 || (i == 5 && strstr(reason, misuse[i])))
      snprintf(seen->protocol, sizeof seen->protocol, "%s", reason);
}

/* ---- one rule */

static const char *ended_how(const struct outcome *o)
{
  static char text[128];
  if (o->signal == SIGALRM)
    return "it hangs";
  if (o->signal)
    snprintf(text, sizeof text, "it crashes: %s", strsignal(o->signal));
  else
    snprintf(text, sizeof text, "it ends the process (status %d)", o->status);
  return text;
}

static const char *word_of(enum mcpauth_result r)
{
  const char *w = result_name(r);
  return w ? w : "nothing";
}

/* NULL when RESULT is one that the rule allows; else those. */
static const char *wanted(const struct conform *c, const struct rule *r)
{
  const struct outcome *o = c->outcome;
  const char *expect = r->judge == JUDGE_WORDS ? NULL : c->script.expect[r->scene];
  enum mcpauth_result good = o->guards ? MCPAUTH_PASS : MCPAUTH_OK;
  if (expect)
    return strstr(expect, word_of(o->result)) ? NULL : expect;
  switch (r->judge) {
  case JUDGE_WORDS:
    return NULL;
  case JUDGE_GOOD:
    return o->result == good ? NULL : word_of(good);
  case JUDGE_INVALID:
    return o->result == MCPAUTH_INVALID ? NULL : "INVALID";
  case JUDGE_OTHERS:
    return o->result == MCPAUTH_INVALID || o->result == MCPAUTH_IGNORE ? NULL : "IGNORE or INVALID";
  case JUDGE_NO:
    return o->result == MCPAUTH_OK || o->result == MCPAUTH_PASS ? "anything but a yes" : NULL;
  case JUDGE_UNAVAIL:
    return o->result == MCPAUTH_UNAVAIL ? NULL : "UNAVAIL";
  case JUDGE_UNABLE:
    return o->result == MCPAUTH_UNAVAIL || o->result == MCPAUTH_ERROR ? NULL : "UNAVAIL or ERROR";
  }
  return "a known rule";
}

/* Scenes that the provider cannot play: it looks at no credential, or asks nobody. */
static const char *not_for_it(const struct conform *c, const struct rule *r)
{
  const struct outcome *o = c->outcome;
  bool told = c->script.expect[r->scene] != NULL;
  if ((r->fn == world_login_begin || r->fn == world_login_finish) && !o->logs_in)
    return "it logs nobody in";
  if (r->fn != world_lookup || told)
    return NULL;
  if (o->guards && r->scene == SCENE_GARBAGE)
    return "it looks at no credential";
  if ((o->guards || o->logs_in_only) && r->scene >= SCENE_EXPIRED && r->scene <= SCENE_ISSUER)
    return "it looks at no credential";
  if (r->scene >= SCENE_ERROR && o->asked[0] == 0)
    return "it asks nobody";
  return NULL;
}

static void watch_stalls(struct conform *c, const struct rule *r, struct seen *seen)
{
  if (r->fn != world_lookup || (c->outcome->flags & MCPAUTH_BLOCKING))
    return;
  int64_t least = c->outcome->blocked_ms;
  struct outcome first = *c->outcome;
  for (int i = 1; i < TRIES && least > STALL_MS; i++) { /* a busy machine stalls once */
    if (conform_child(c, r->fn) == 0 && c->outcome->blocked_ms < least)
      least = c->outcome->blocked_ms;
  }
  *c->outcome = first;
  if (least > STALL_MS && seen->stall[0] == 0)
    snprintf(seen->stall, sizeof seen->stall,
             "the loop stood still for %lld ms: ask the host to wait, or be MCPAUTH_BLOCKING",
             (long long)least);
}

/* Why the rule is broken, or NULL. */
static const char *run_rule(struct conform *c, const struct rule *r, struct seen *seen)
{
  static char text[800];
  c->scene = r->scene;
  if (conform_child(c, r->fn) < 0)
    return "no process could be made for it";
  look_at_output(c, seen);
  look_at_reason(c, seen);
  if (c->idp.shared->token_in_url && seen->secret[0] == 0)
    snprintf(seen->secret, sizeof seen->secret, "a credential stands in a URL that it asks for");
  if (!c->outcome->ended)
    return ended_how(c->outcome);
  if (c->outcome->error[0])
    return c->outcome->error;
  watch_stalls(c, r, seen);
  const char *want = wanted(c, r);
  if (want == NULL)
    return NULL;
  snprintf(text, sizeof text, "it answered %s, not %s%s%s", word_of(c->outcome->result), want,
           c->outcome->reason[0] ? ": " : "", c->outcome->reason);
  return text;
}

/* Whether --only leaves NAME out.  What all runs show together is looked for in a good lookup. */
static bool left_out(const struct seen *seen, const char *name)
{
  return seen->only && strcmp(seen->only, name) != 0;
}

static void try_rule(struct conform *c, const struct rule *r, struct seen *seen)
{
  if (left_out(seen, r->name) && !(seen->only_together && strcmp(r->name, "valid") == 0))
    return;
  const char *why = script_skips(&c->script, r->name);
  if (why) {
    tell_skip(seen, r->name, why);
    return;
  }
  why = run_rule(c, r, seen);
  const char *not = c->outcome->ended ? not_for_it(c, r) : NULL;
  if (not )
    tell_skip(seen, r->name, not );
  else
    tell(seen, r->name, r->what, why);
}

static void run_together(struct seen *seen)
{
  const struct {
    const char *name, *what, *why;
  } all[] = {
      {"blocking", "it never keeps the loop waiting", seen->stall},
      {"protocol", "it keeps to the host's rules", seen->protocol},
      {"output", "it writes to the log only", seen->output},
      {"secrets", "it tells no credential and no secret", seen->secret},
  };
  for (size_t i = 0; i < ARRAY_SIZE(all); i++)
    if (!left_out(seen, all[i].name))
      tell(seen, all[i].name, all[i].what, all[i].why);
}

static void run_file_rules(struct conform *c, struct seen *seen)
{
  struct err e = {""};
  if (!left_out(seen, "exports"))
    tell(seen, "exports", "it exports mcpauth_provider and nothing else",
         file_exports(c->file, &e) < 0 ? e.text : NULL);
  e.text[0] = 0;
  if (!left_out(seen, "imports"))
    tell(seen, "imports", "it calls nothing that a provider must not",
         file_imports(c->file, &e) < 0 ? e.text : NULL);
}

static void run_all(struct conform *c, struct seen *seen)
{
  static const char *const together[] = {"blocking", "protocol", "output", "secrets"};
  for (size_t i = 0; seen->only && i < ARRAY_SIZE(together); i++)
    seen->only_together = seen->only_together || strcmp(seen->only, together[i]) == 0;
  run_file_rules(c, seen);
  for (size_t i = 0; i < ARRAY_SIZE(first_rules); i++) {
    unsigned broken = seen->broken;
    try_rule(c, &first_rules[i], seen);
    if (seen->broken > broken && strcmp(first_rules[i].name, "tables") != 0)
      return; /* nothing else could be said of it */
  }
  for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
    try_rule(c, &rules[i], seen);
  run_together(seen);
}

/* ---- the command */

static int conform_open(struct conform *c, const char *file, const char *script, struct err *e)
{
  char real[PATH_MAX], folder[PATH_MAX];
  if (realpath(file, real) == NULL)
    return err_set(e, "%s: %s", file, strerror(errno));
  snprintf(folder, sizeof folder, "%s", real);
  c->arena = arena_new(MIB(64));
  c->file = arena_dup(c->arena, str_of(real));
  c->plugindir = arena_dup(c->arena, str_of(dirname(folder)));
  c->output = memfd_create("conformance", MFD_CLOEXEC);
  c->outcome =
      mmap(NULL, sizeof *c->outcome, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (c->outcome == MAP_FAILED || c->output < 0)
    return err_set(e, "out of memory");
  if (script_read(script, c->arena, &c->script, e) < 0)
    return -1;
  return idp_start(&c->idp, &c->script, e);
}

static int test_file(const char *file, const char *script, const char *only)
{
  struct err e = {""};
  struct conform c = {.output = -1};
  struct seen seen = {.only = only};
  if (conform_open(&c, file, script, &e) < 0) {
    fprintf(stderr, "mcpauth provider test: %s\n", e.text);
    idp_stop(&c.idp);
    return CLI_FAILED;
  }
  run_all(&c, &seen);
  idp_stop(&c.idp);
  close(c.output);
  arena_free(c.arena);
  printf("\n%u rules kept, %u broken, %u that do not apply\n", seen.kept, seen.broken,
         seen.skipped);
  if (seen.kept + seen.broken + seen.skipped == 0)
    fprintf(stderr, "mcpauth provider test: there is no rule '%s'\n", only);
  return seen.broken || seen.kept + seen.skipped == 0 ? CLI_FAILED : CLI_OK;
}

/* The allocator keeps what is freed for later, and counts it as used: not so here, where lost
 * memory is looked for.  It is told so before a process begins. */
static void count_exactly(void)
{
  static const char name[] = "GLIBC_TUNABLES", value[] = "glibc.malloc.tcache_count=0";
  char text[65536], *argv[128];
  size_t n = 0, argc = 0;
  AUTO_CLOSE int fd = getenv(name) ? -1 : open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
  for (ssize_t k;
       fd >= 0 && n < sizeof text - 1 && (k = read(fd, text + n, sizeof text - 1 - n)) > 0;)
    n += (size_t)k;
  for (size_t at = 0; at < n && argc + 1 < ARRAY_SIZE(argv); at += strlen(text + at) + 1)
    argv[argc++] = text + at;
  text[n] = 0;
  argv[argc] = NULL;
  if (argc > 0 && setenv(name, value, 1) == 0)
    execv("/proc/self/exe", argv); /* when that fails, it counts less exactly */
}

int provider_test(const struct cli *cli, int argc, char **argv)
{
  static const struct option options[] = {{"script", required_argument, NULL, 's'},
                                          {"only", required_argument, NULL, 'o'},
                                          {NULL, 0, NULL, 0}};
  const char *script = NULL, *only = NULL;
  (void)cli;
  count_exactly();
  for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;)
    if (o == 's')
      script = optarg;
    else if (o == 'o')
      only = optarg;
    else
      return CLI_USAGE;
  if (optind + 1 != argc)
    return cli_usage(&cmd_provider, "test takes the file of a provider");
  return test_file(argv[optind], script, only);
}
