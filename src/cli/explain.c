/* mcpauth explain SERVICE: runs a service's stack once, in this process, with the configuration as
 * it stands in the files, and prints what each line says, which rule decides about an operation,
 * and what the caller would get.  Nothing is forwarded, counted or cached.  The token comes from a
 * file or standard input, never from the command line, which others can read. */
#include <config.h>

#include "cli/cli.h"
#include "cli/explain_rules.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "auth/authenticate.h"
#include "auth/loader.h"
#include "cli/blame.h"
#include "http/challenge.h"
#include "http/fetch.h"
#include "oauth/resource.h"
#include "ops/log.h"
#include "store/store.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/limits.h"

struct explain {
  const struct cli *cli;
  const char *service_name, *token_file, *address;
  struct arena *arena;
  struct loader *loader;
  struct config *config;
  const struct config_service *service;
  struct str token;
  struct mcpauth_credential credential;
  bool has_credential;
  struct loop *loop;
  struct jobs *jobs;
  struct fetcher *fetcher;
  struct keyring *keys; /* these two for the hub's own tokens; NULL: it has issued none */
  struct store *store;
  struct auth *auth;
  struct auth_outcome outcome;
  struct timer bound;
  bool done;
  struct explain_question question;
  struct operation op;
  struct str arguments;
  int status; /* what the caller would get */
};

static int fail(const char *text)
{
  fprintf(stderr, "mcpauth explain: %s\n", text);
  return -1;
}

/* ---- what to run */

static int no_service(struct explain *x)
{
  const char **names = arena_array(x->arena, x->config->n_services + 1, sizeof *names);
  for (size_t i = 0; names && i < x->config->n_services; i++)
    names[i] = x->config->services[i].name;
  const char *near =
      names ? str_nearest(str_of(x->service_name), names, x->config->n_services) : NULL;
  fprintf(stderr, "mcpauth explain: there is no service '%s'", x->service_name);
  if (near)
    fprintf(stderr, "; did you mean '%s'?", near);
  fputc('\n', stderr);
  return -1;
}

/* Files are judged, and read, as the user that the hub will be. */
static int become_user(const struct explain *x)
{
  const char *name = "";
  if (geteuid() != 0 || config_user(x->cli->confdir, x->arena, &name, NULL) < 0 || name[0] == 0)
    return 0; /* what is wrong with the files, the load will say */
  const struct passwd *pw = getpwnam(name);
  if (pw == NULL || pw->pw_uid == 0)
    return 0;
  if (initgroups(pw->pw_name, pw->pw_gid) == 0 && setgid(pw->pw_gid) == 0 &&
      setuid(pw->pw_uid) == 0)
    return 0;
  fprintf(stderr, "mcpauth explain: cannot become %s: %s\n", name, strerror(errno));
  return -1;
}

static int load(struct explain *x)
{
  struct err e = {""};
  struct config_report report = {0};
  x->loader = blame_loader(x->cli, &e);
  if (x->loader == NULL)
    return fail(e.text);
  struct config_modules modules = loader_modules(x->loader);
  x->config = config_load(x->cli->confdir, &modules, (unsigned)geteuid(), x->arena, &report);
  if (x->config == NULL) {
    for (size_t i = 0; i < report.n; i++)
      if (report.v[i].severity == CONFIG_ERROR)
        config_finding_print(&report.v[i], stderr);
    return fail("the configuration does not load");
  }
  x->service = config_find_service(x->config, str_of(x->service_name));
  return x->service ? 0 : no_service(x);
}

/* ---- the credential */

static int read_token(struct explain *x)
{
  char *text = arena_alloc(x->arena, LIMIT_CREDENTIAL + 2);
  bool standard = strcmp(x->token_file, "-") == 0;
  int fd = standard ? STDIN_FILENO : open(x->token_file, O_RDONLY | O_CLOEXEC);
  size_t n = 0;
  if (text == NULL || fd < 0) {
    fprintf(stderr, "mcpauth explain: %s: %s\n", x->token_file, strerror(errno));
    return -1;
  }
  for (ssize_t k; n <= LIMIT_CREDENTIAL && (k = read(fd, text + n, LIMIT_CREDENTIAL + 1 - n)) > 0;)
    n += (size_t)k;
  if (!standard)
    close(fd);
  while (n && (text[n - 1] == '\n' || text[n - 1] == '\r'))
    n--;
  if (n == 0 || n > LIMIT_CREDENTIAL)
    return fail(n ? "the token is too long" : "the token is empty");
  x->token = (struct str){text, n};
  return 0;
}

/* As if it came in the first place that the service takes. */
static void make_credential(struct explain *x)
{
  static const enum mcpauth_source sources[] = {
      [ACCEPT_BEARER] = MCPAUTH_FROM_BEARER,
      [ACCEPT_BASIC] = MCPAUTH_FROM_BASIC,
      [ACCEPT_HEADER] = MCPAUTH_FROM_HEADER,
      [ACCEPT_QUERY] = MCPAUTH_FROM_QUERY,
  };
  const struct config_service *s = x->service;
  const struct config_accept *accept = s->n_accept ? s->accept : NULL;
  x->credential = (struct mcpauth_credential){
      .source = accept ? sources[accept->kind] : MCPAUTH_FROM_BEARER,
      .name = accept && accept->name ? accept->name : "",
      .value = {x->token.p, x->token.n},
  };
  x->has_credential = x->token.n > 0;
}

/* ---- the run */

/* The key ring and the store of a hub that issues tokens of its own, to be looked into. */
static void open_ours(struct explain *x)
{
  struct err e = {""};
  const char *dir = x->cli->statedir ? x->cli->statedir : x->config->state_dir;
  const char *db = arena_printf(x->arena, "%s/store.db", dir);
  if (!x->config->oauth.enabled || db == NULL || access(db, F_OK) < 0)
    return;
  x->keys = keyring_load(dir, false, &e);
  const struct store_options o = {
      .state_dir = dir, .keys = x->keys, .jobs = x->jobs, .loop = x->loop};
  x->store = x->keys ? store_open(&o, &e) : NULL;
  if (x->store == NULL)
    fprintf(stderr, "mcpauth explain: tokens of the hub itself cannot be judged: %s\n", e.text);
}

static int make_auth(struct explain *x)
{
  struct err e = {""};
  x->loop = loop_new(&e);
  if (x->loop == NULL)
    return fail(e.text);
  x->jobs = jobs_new(x->loop, x->config->job_threads, &e);
  x->fetcher = x->jobs ? fetcher_new(x->loop, &e) : NULL;
  if (x->fetcher == NULL)
    return fail(e.text);
  open_ours(x);
  struct auth_options o = {.config = x->config,
                           .keys = x->keys,
                           .store = x->store,
                           .loop = x->loop,
                           .jobs = x->jobs,
                           .fetcher = x->fetcher,
                           .dry_run = true};
  x->auth = auth_new(&o, &e);
  return x->auth ? 0 : fail(e.text);
}

static void on_done(void *arg, const struct auth_outcome *o)
{
  struct explain *x = arg;
  x->outcome = *o;
  x->done = true;
  loop_stop(x->loop);
}

static void ask(struct explain *x)
{
  struct auth_request rq = {
      .service = x->service,
      .credential = x->has_credential ? &x->credential : NULL,
      .facts = {.request_id = "explain",
                .service = x->service->name,
                .resource = x->service->resource,
                .address = x->address,
                .method = "POST"},
      .arena = x->arena,
  };
  if (auth_start(x->auth, &rq, on_done, x))
    loop_run(x->loop); /* every line has a deadline */
}

/* ---- what is printed */

static void print_time(const struct trace_line *t)
{
  if (!t->ran)
    printf("%10s", "-");
  else if (t->us < 1000)
    printf("%7lld us", (long long)t->us);
  else
    printf("%7lld ms", (long long)((t->us + 500) / 1000));
}

/* A provider's words, on one line whatever is in them. */
static void print_reason(const char *reason)
{
  struct buf b;
  buf_init(&b, KIB(8));
  if (*reason && buf_json(&b, str_of(reason)) == 0 && b.n >= 2)
    printf("  %.*s", (int)(b.n - 2), b.p + 1);
  buf_done(&b);
}

static void print_line(const struct trace_line *t)
{
  const char *result = result_name(t->result);
  printf("  %-8s %-11s %-16s %-8s", t->account ? "account" : "auth",
         t->account ? "" : control_name(t->line->control), t->line->provider->name,
         result ? result : "ERROR");
  print_time(t);
  print_reason(t->reason);
  putchar('\n');
}

static void print_unreached(const struct config_line *lines, size_t n, size_t from, bool account)
{
  for (size_t i = from; i < n; i++)
    printf("  %-8s %-11s %-16s not reached\n", account ? "account" : "auth",
           account ? "" : control_name(lines[i].control), lines[i].provider->name);
}

static void print_trace(const struct explain *x)
{
  const struct config_stack *s = &x->service->stack;
  size_t auth = 0, account = 0;
  for (size_t i = 0; i < x->outcome.n_trace; i++)
    *(x->outcome.trace[i].account ? &account : &auth) += 1;
  for (size_t i = 0; i < auth; i++)
    print_line(&x->outcome.trace[i]);
  print_unreached(s->auth, s->n_auth, auth, false);
  for (size_t i = auth; i < x->outcome.n_trace; i++)
    print_line(&x->outcome.trace[i]);
  print_unreached(s->account, s->n_account, account, true);
  if (s->n_auth == 0)
    puts("  (the stack is empty)");
}

static void print_principal(const struct explain *x)
{
  const struct principal *p = grant_principal(x->outcome.grant);
  printf("principal  %s of %s, by %s\n", p->subject, p->issuer, p->provider->name);
  if (p->client)
    printf("client     %s\n", p->client);
  fputs("scopes    ", stdout);
  for (size_t i = 0; i < p->scopes.n; i++)
    printf(" %s", p->scopes.v[i]);
  puts(p->scopes.n ? "" : " none");
  if (p->expires_at) {
    char text[32];
    clock_format(p->expires_at * 1000, text, sizeof text);
    printf("expires    %s\n", text);
  }
  AUTO_FREE char *claims =
      json_dumps(grant_claims(x->outcome.grant), JSON_COMPACT | JSON_SORT_KEYS);
  if (claims && strcmp(claims, "{}") != 0)
    printf("claims     %s\n", claims);
}

/* Prints what the token lacks of what is needed. */
static void print_missing(const struct explain *x, const struct policy_decision *d)
{
  const struct principal *p = grant_principal(x->outcome.grant);
  fputs("missing   ", stdout);
  for (size_t i = 0; i < d->n_needs; i++)
    if (!principal_has_scope(p, x->config, d->needs[i]))
      printf(" %s", d->needs[i]->name);
  putchar('\n');
}

static int by_text(const void *a, const void *b)
{
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* SCOPES and what the token HOLDS already, sorted, each once (design section 7). */
static void print_challenge(const struct explain *x, const char *error,
                            const struct config_scope **scopes, size_t n,
                            const struct config_words *holds)
{
  struct resource_document d = {0};
  size_t kept = 0, held = holds ? holds->n : 0;
  const char **names = arena_array(x->arena, n + held + 1, sizeof *names);
  for (size_t i = 0; names && i < n; i++)
    names[i] = scopes[i]->name;
  for (size_t i = 0; names && i < held; i++)
    names[n + i] = holds->v[i];
  if (names)
    qsort(names, n + held, sizeof *names, by_text);
  for (size_t i = 0; names && i < n + held; i++)
    if (kept == 0 || strcmp(names[kept - 1], names[i]) != 0)
      names[kept++] = names[i];
  struct challenge c = {.error = error, .scopes = names, .n_scopes = kept};
  if (resource_has_document(x->service) && resource_document(x->service, x->arena, &d) == 0)
    c.resource_metadata = d.url;
  struct buf b;
  buf_init(&b, LIMIT_HEADER_BYTES);
  if (names && challenge_format(&b, &c) == 0)
    printf("challenge  %.*s\n", (int)b.n, b.p);
  buf_done(&b);
}

static void print_401(struct explain *x, const char *error)
{
  x->status = 401;
  puts("status     401");
  print_challenge(x, error, x->service->login_scope, x->service->n_login_scope, NULL);
}

static void print_status(struct explain *x, const struct policy_decision *d)
{
  switch (d->verdict) {
  case POLICY_ALLOW:
    x->status = 200;
    puts("status     200 (the request would be forwarded)");
    return;
  case POLICY_SCOPES:
    x->status = 403;
    print_missing(x, d);
    puts("status     403");
    print_challenge(x, "insufficient_scope", d->needs, d->n_needs,
                    &grant_principal(x->outcome.grant)->scopes);
    return;
  case POLICY_SIGN_IN:
    print_401(x, NULL);
    return;
  case POLICY_DENY:
    x->status = 403;
    puts("status     403 (and no scope would help)");
    return;
  case POLICY_HIDE:
    x->status = 404;
    puts("status     as for a name that the server does not have");
    return;
  }
}

/* What the rules say to a caller who was granted, or who shows no credential. */
static void print_rules(struct explain *x)
{
  const struct policy_caller who = {
      .who = x->outcome.grant ? grant_principal(x->outcome.grant) : NULL,
      .claims = x->outcome.grant ? grant_claims(x->outcome.grant) : NULL,
      .address = x->address};
  struct policy_decision d;
  policy_decide(x->service, &who, &x->op, x->arguments, x->arena, &d);
  if (explain_asks(&x->question)) {
    putchar('\n');
    explain_decision(x->service, &who, &x->op, &d, x->arena);
  } else if (d.verdict != POLICY_ALLOW) {
    explain_demand(&d);
  }
  print_status(x, &d);
}

static void print_verdict(struct explain *x)
{
  printf("verdict    %s\n", verdict_name(x->outcome.verdict));
  x->status = x->outcome.status;
  if (x->outcome.grant) {
    print_principal(x);
    print_rules(x);
  } else if (x->status == 401) {
    print_401(x, x->has_credential ? "invalid_token" : NULL);
  } else {
    printf("status     %d\n", x->status);
  }
}

static void print_heading(const struct explain *x)
{
  char fingerprint[FINGERPRINT_SIZE];
  struct str token = {x->credential.value.p, x->credential.value.n};
  printf("service    %s, %s\n", x->service->name, x->service->resource);
  if (x->has_credential) {
    secret_fingerprint(token, fingerprint);
    printf("credential fingerprint %s, from %s\n\n", fingerprint, x->address);
  } else
    printf("credential none, from %s\n\n", x->address);
}

static int anonymous(struct explain *x)
{
  puts("The service is open (`anonymous *`): a request without a credential is forwarded without\n"
       "running the stack.\n\nstatus     200 (the request would be forwarded)");
  x->status = 200;
  return 0;
}

/* Without one it is what every request must meet. */
static int make_operation(struct explain *x)
{
  struct err e = {""};
  x->op = (struct operation){.known = true, .kind = RULE_METHOD, .method = STR("")};
  if (!explain_asks(&x->question) && x->question.n_arguments)
    return fail("--argument belongs to --tool or --prompt");
  if (explain_asks(&x->question) &&
      explain_operation(&x->question, x->arena, &x->op, &x->arguments, &e) < 0)
    return fail(e.text);
  return 0;
}

static int explain(struct explain *x)
{
  if (make_operation(x) < 0)
    return -1;
  if (x->token_file && read_token(x) < 0)
    return -1;
  if (become_user(x) < 0 || load(x) < 0)
    return -1;
  make_credential(x);
  print_heading(x);
  if (x->service->anonymous && !x->has_credential && !explain_asks(&x->question))
    return anonymous(x);
  if (!x->has_credential && explain_asks(&x->question) && policy_anonymous(x->service, &x->op)) {
    print_rules(x);
    return 0;
  }
  if (make_auth(x) < 0)
    return -1;
  ask(x);
  if (!x->done)
    return fail("the stack gave no answer");
  print_trace(x);
  putchar('\n');
  print_verdict(x);
  return 0;
}

static void end(struct explain *x)
{
  grant_free(x->outcome.grant);
  auth_free(x->auth);
  store_close(x->store);
  keyring_free(x->keys);
  if (x->jobs)
    jobs_free(x->jobs, 1000);
  if (x->fetcher)
    fetcher_free(x->fetcher);
  if (x->loop)
    loop_free(x->loop);
  if (x->config)
    config_free(x->config);
  loader_free(x->loader);
  arena_free(x->arena);
}

/* ---- */

static const struct option long_options[] = {
    {"token-file", required_argument, NULL, 't'}, {"address", required_argument, NULL, 'a'},
    {"tool", required_argument, NULL, 'T'},       {"resource", required_argument, NULL, 'R'},
    {"prompt", required_argument, NULL, 'P'},     {"method", required_argument, NULL, 'M'},
    {"argument", required_argument, NULL, 'A'},   {NULL, 0, NULL, 0},
};

enum { ARGUMENTS_MOST = 64 };

/* false: no such option, or too many of it. */
static bool take_option(struct explain *x, int o, const char *arguments[ARGUMENTS_MOST])
{
  const char **words[] = {
      ['t'] = &x->token_file,        ['a'] = &x->address,         ['T'] = &x->question.tool,
      ['R'] = &x->question.resource, ['P'] = &x->question.prompt, ['M'] = &x->question.method};
  if (o == 'A' && x->question.n_arguments < ARGUMENTS_MOST) {
    arguments[x->question.n_arguments++] = optarg;
    return true;
  }
  if (o <= 0 || (size_t)o >= ARRAY_SIZE(words) || words[o] == NULL)
    return false;
  *words[o] = optarg;
  return true;
}

static int run(const struct cli *cli, int argc, char **argv)
{
  const char *arguments[ARGUMENTS_MOST];
  struct explain x = {.cli = cli, .address = "127.0.0.1", .question = {.arguments = arguments}};
  for (int o; (o = getopt_long(argc, argv, "", long_options, NULL)) != -1;)
    if (!take_option(&x, o, arguments))
      return cli_usage(&cmd_explain, "unknown option");
  if (optind != argc - 1)
    return cli_usage(&cmd_explain, "it takes the name of one service");
  if ((x.arena = arena_new(MIB(16))) == NULL) {
    fail("out of memory");
    return CLI_FAILED;
  }
  x.service_name = argv[optind];
  log_init("mcpauth", false, MCPAUTH_LOG_WARN);
  int rc = explain(&x);
  int status = rc == 0 && x.status == 200 ? CLI_OK : CLI_FAILED;
  end(&x);
  return status;
}

const struct cli_command cmd_explain = {
    .name = "explain",
    .synopsis = "SERVICE [--token-file FILE|-] [--address ADDRESS] [--tool NAME | --resource URI | "
                "--prompt NAME] [--method METHOD] [--argument POINTER=JSON]...",
    .summary = "say what the hub would decide about a token or a call, and why",
    .example = "mcpauth explain notes --token-file token.txt --tool delete_note",
    .run = run,
};
