/* A provider for tests only, never installed: it does whatever it is told, by its `answer` option
 * or by the credential itself, which scripts every instance by name:
 *
 *     fault/NAME.WORD.WORD.../NAME2.WORD...
 *
 * The first WORD that is a result (OK PASS IGNORE INVALID DENY UNAVAIL ERROR, or a number, whatever
 * it is) is the answer; the others are how it comes     delay~MS block~MS http hang bare two late
 *   instead of it    crash abort exit spin
 *   before it        mess (umask, folder, environment, locale, signal mask of the process)
 *   who it names     sub~X iss~X scopes~A+B exp~SECONDS reuse~MS nosubject badsubject ctlsubject
 *                    longsubject
 *   what else        noclaim look claim~X badclaim hugeclaim from~ADDRESS (PASS for all others)
 * An account line reads the script from the claim /fault that the verify of the same credential
 * set.  A login reads it from the login hint (begin), the code (finish) and the refresh token, or
 * else from the option on_refresh; begin sends the browser to `url`, or where redirect is told, and
 * finish and refresh set tokens unless told notokens:
 *   redirect~bad redirect~none   tokens~bad   newtokens (a rotated refresh token)
 * Built three times: fault, fault-blocking (verify and account in a job thread), fault-remote.
 */
#include <mcpauth/provider.h>

#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#ifndef FAULT_NAME
#define FAULT_NAME  "fault"
#define FAULT_FLAGS 0
#endif

static const struct mcpauth_provider table;
extern const struct mcpauth_host *host;
MCPAUTH_PROVIDER(&table);

enum { SPEC_MAX = 1024, WORD_MAX = 600, FOR_EVER_MS = 1000000000 };

enum trouble { TROUBLE_NONE = 0, TROUBLE_REFUSE, TROUBLE_CRASH, TROUBLE_HANG, TROUBLE_EXIT };

static const char *const troubles[] = {"none", "refuse", "crash", "hang", "exit", NULL};

struct config {
  const char *answer, *url, *on_refresh;
  int on_check, on_start;
};

static const struct mcpauth_option options[] = {
    {.name = "answer",
     .type = MCPAUTH_STRING,
     .offset = offsetof(struct config, answer),
     .metavar = "WORD.WORD...",
     .help = "what it does when the credential does not say; without it, ignore",
     .since = "0.1"},
    {.name = "url",
     .type = MCPAUTH_URL,
     .offset = offsetof(struct config, url),
     .help = "what `http` asks, and where a login begins",
     .since = "0.1"},
    {.name = "on_refresh",
     .type = MCPAUTH_STRING,
     .offset = offsetof(struct config, on_refresh),
     .metavar = "WORD.WORD...",
     .help = "what refresh does when the token does not say",
     .since = "0.1"},
    {.name = "on_check",
     .type = MCPAUTH_CHOICE,
     .offset = offsetof(struct config, on_check),
     .fallback = "none",
     .choices = troubles,
     .help = "what check does",
     .since = "0.1"},
    {.name = "on_start",
     .type = MCPAUTH_CHOICE,
     .offset = offsetof(struct config, on_start),
     .fallback = "none",
     .choices = troubles,
     .help = "what start does",
     .since = "0.1"},
    {.name = NULL},
};

/* ---- the script */

/* The words for NAME in SCRIPT, "WORD.WORD", into SPEC. */
static bool find_spec(const char *script, size_t n, const char *name, char spec[SPEC_MAX])
{
  size_t len = strlen(name);
  static const char prefix[] = "fault";
  if (n < sizeof prefix || memcmp(script, prefix, sizeof prefix - 1) != 0)
    return false;
  for (size_t i = sizeof prefix - 1; i < n && script[i] == '/';) {
    size_t begin = ++i;
    while (i < n && script[i] != '/')
      i++;
    if (i - begin <= len || memcmp(script + begin, name, len) != 0 || script[begin + len] != '.')
      continue;
    begin += len + 1;
    if (i - begin >= SPEC_MAX)
      return false;
    memcpy(spec, script + begin, i - begin);
    spec[i - begin] = 0;
    return true;
  }
  return false;
}

/* Word number I of SPEC into WORD; false past the end. */
static bool get_word(const char *spec, size_t i, char word[WORD_MAX])
{
  for (;; i--) {
    size_t n = strcspn(spec, ".");
    if (i == 0) {
      if (n == 0 || n >= WORD_MAX)
        return false;
      memcpy(word, spec, n);
      word[n] = 0;
      return true;
    }
    if (spec[n] == 0)
      return false;
    spec += n + 1;
  }
}

/* The value of "KEY~VALUE", or "" of "KEY"; NULL when it is not there. */
static const char *get(const char *spec, const char *key, char word[WORD_MAX])
{
  size_t n = strlen(key);
  for (size_t i = 0; get_word(spec, i, word); i++)
    if (strncmp(word, key, n) == 0 && (word[n] == 0 || word[n] == '~'))
      return word + n + (word[n] == '~');
  return NULL;
}

static bool has(const char *spec, const char *key)
{
  char word[WORD_MAX];
  return get(spec, key, word) != NULL;
}

static long number(const char *spec, const char *key)
{
  char word[WORD_MAX];
  const char *v = get(spec, key, word);
  return v ? strtol(v, NULL, 10) : 0;
}

static enum mcpauth_result result_of(const char *spec)
{
  static const char *const names[] = {"",        "OK",   "PASS",    "IGNORE",
                                      "INVALID", "DENY", "UNAVAIL", "ERROR"};
  char word[WORD_MAX];
  for (size_t i = 0; get_word(spec, i, word); i++) {
    for (size_t k = 1; k < sizeof names / sizeof *names; k++)
      if (strcmp(word, names[k]) == 0)
        return (enum mcpauth_result)k;
    char *end;
    long raw = strtol(word, &end, 10);
    if (*end == 0)
      return (enum mcpauth_result)raw;
  }
  return MCPAUTH_ERROR;
}

/* ---- what it says */

static void say_claims(struct mcpauth_request *rq, const char *spec)
{
  char word[WORD_MAX], json[WORD_MAX + 2];
  const char *value = get(spec, "claim", word);
  if (value) {
    snprintf(json, sizeof json, "\"%s\"", value);
    host->set_claim(rq, "/claim", json);
  }
  if (has(spec, "badclaim"))
    host->set_claim(rq, "/claim", "{\"a\":1,\"a\":2}");
  if (has(spec, "hugeclaim")) {
    size_t n = 10000000;
    char *huge = malloc(n + 1);
    if (huge) {
      memset(huge, '1', n);
      huge[n] = 0;
      host->set_claim(rq, "/claim", huge);
      free(huge);
    }
  }
}

/* The script, so that account lines find it. */
static void say_script(struct mcpauth_request *rq)
{
  const struct mcpauth_credential *c = host->credential(rq);
  char *json = c ? host->alloc(rq, c->value.n + 3) : NULL;
  if (json == NULL)
    return;
  json[0] = '"';
  memcpy(json + 1, c->value.p, c->value.n);
  json[c->value.n + 1] = '"';
  host->set_claim(rq, "/fault", json);
}

static size_t split_scopes(char *text, const char **v, size_t max)
{
  size_t n = 0;
  for (char *w = strtok(text, "+"); w && n < max; w = strtok(NULL, "+"))
    v[n++] = w;
  return n;
}

static void say_principal(struct mcpauth_request *rq, const char *spec)
{
  char sub[WORD_MAX], iss[WORD_MAX], issuer[WORD_MAX + 16], scopes[WORD_MAX];
  static char longest[100000];
  const char *v[32], *text = get(spec, "scopes", scopes);
  struct mcpauth_principal p = {.issuer = "https://fault.test", .subject = "somebody"};
  if (get(spec, "sub", sub))
    p.subject = get(spec, "sub", sub);
  if (get(spec, "iss", iss)) {
    snprintf(issuer, sizeof issuer, "https://%s", get(spec, "iss", iss));
    p.issuer = issuer;
  }
  if (has(spec, "badsubject"))
    p.subject = "bad\xff\xfe";
  if (has(spec, "ctlsubject"))
    p.subject = "a\r\nX-Admin: 1";
  if (has(spec, "longsubject")) {
    memset(longest, 'x', sizeof longest - 1);
    p.subject = longest;
  }
  if (text) {
    p.scopes.n = split_scopes(scopes + (text - scopes), v, sizeof v / sizeof *v);
    p.scopes.v = v;
  }
  p.reuse_ms = number(spec, "reuse");
  if (has(spec, "exp"))
    p.expires_at = host->now() + number(spec, "exp");
  host->set_principal(rq, &p);
}

/* ---- what it does */

static void sleep_ms(long ms)
{
  struct timespec t = {ms / 1000, ms % 1000 * 1000000};
  nanosleep(&t, NULL);
}

/* A real one: a signal that is only sent would wait in a job thread, where all are blocked. */
static void crash(void)
{
  int *volatile nowhere = NULL;
  *nowhere = 1;
}

static void make_mess(void)
{
  sigset_t all;
  umask(0777);
  if (chdir("/proc") < 0)
    abort();
  setenv("http_proxy", "http://192.0.2.1:1", 1);
  setlocale(LC_ALL, "C.UTF-8");
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, NULL);
}

static void make_trouble(const char *spec)
{
  if (has(spec, "mess"))
    make_mess();
  if (has(spec, "crash"))
    crash();
  if (has(spec, "abort"))
    abort();
  if (has(spec, "exit"))
    _exit(0);
  while (has(spec, "spin"))
    ;
}

enum part { VERIFY, ACCOUNT, BEGIN, FINISH, REFRESH };

struct work {
  enum part part;
  const struct config *config;
  long ms;
  char spec[SPEC_MAX];
};

/* Whether the words are for another address. */
static bool elsewhere(struct mcpauth_request *rq, const char *spec)
{
  char word[WORD_MAX];
  const char *address = get(spec, "from", word);
  return address && strcmp(address, host->facts(rq)->address) != 0;
}

static void say_redirect(struct mcpauth_request *rq, const struct work *w)
{
  char word[WORD_MAX];
  const struct mcpauth_login *l = host->login(rq);
  const char *told = get(w->spec, "redirect", word), *base = w->config->url;
  const char *const pairs[] = {
      "redirect_uri", l->callback,       "state", l->state,
      "nonce",        l->nonce,          "login", l->again ? "again" : NULL,
      "challenge",    l->code_challenge, "hint",  l->login_hint};
  const struct mcpauth_list list = {sizeof pairs / sizeof *pairs, pairs};
  if (told && strcmp(told, "none") == 0)
    return;
  if (base == NULL)
    base = "https://fault.test/authorize";
  const char *query = host->form(rq, &list);
  size_t n = query ? strlen(base) + strlen(query) + 2 : 0;
  char *url = n ? host->alloc(rq, n) : NULL;
  if (url)
    snprintf(url, n, "%s?%s", base, query);
  host->login_redirect(rq, told ? "javascript:alert(1)" : url);
}

static void say_tokens(struct mcpauth_request *rq, const struct work *w)
{
  struct mcpauth_tokens t = {.access_token = "fault-access",
                             .access_expires_at = host->now() + 3600,
                             .extra = "{\"fault\":true}"};
  if (has(w->spec, "notokens"))
    return;
  if (w->part == FINISH)
    t.refresh_token = "fault-refresh-1";
  else if (has(w->spec, "newtokens"))
    t.refresh_token = "fault-refresh-2";
  if (has(w->spec, "tokens"))
    t.access_token = "bad\n";
  host->set_tokens(rq, &t);
}

static enum mcpauth_result answer(struct mcpauth_request *rq, const struct work *w)
{
  enum mcpauth_result r = result_of(w->spec);
  if (has(w->spec, "look"))
    host->facts(rq);
  if (elsewhere(rq, w->spec))
    return MCPAUTH_PASS;
  if (w->part == BEGIN) {
    say_redirect(rq, w);
  } else if (w->part != ACCOUNT) {
    if ((r == MCPAUTH_OK || has(w->spec, "sub")) && !has(w->spec, "nosubject"))
      say_principal(rq, w->spec);
    say_script(rq);
  }
  if (w->part == FINISH || w->part == REFRESH)
    say_tokens(rq, w);
  say_claims(rq, w->spec);
  if (r == MCPAUTH_OK || r == MCPAUTH_PASS)
    return r;
  return host->refuse(rq, r, MCPAUTH_WHY_NOT_ACCEPTED, "told to");
}

static enum mcpauth_result after(struct mcpauth_request *rq, void *arg)
{
  return answer(rq, arg);
}

static enum mcpauth_result after_http(struct mcpauth_request *rq, void *arg,
                                      const struct mcpauth_http_reply *reply)
{
  if (reply->status != 200)
    return host->refuse(rq, MCPAUTH_UNAVAIL, MCPAUTH_WHY_NONE, "status %d %s", reply->status,
                        reply->error);
  return answer(rq, arg);
}

static void sleep_job(void *arg)
{
  sleep_ms(((const struct work *)arg)->ms);
}

static enum mcpauth_result after_job(struct mcpauth_request *rq, void *arg)
{
  return answer(rq, arg);
}

static enum mcpauth_result start_job(struct mcpauth_request *rq, const struct work *w)
{
  struct work *copy = malloc(sizeof *copy); /* the job's own */
  if (copy == NULL)
    return MCPAUTH_ERROR;
  *copy = *w;
  copy->ms = number(w->spec, "block");
  return host->job(rq, sleep_job, after_job, copy, free);
}

static enum mcpauth_result run_blocking(struct mcpauth_request *rq, const struct work *w)
{
  if (has(w->spec, "hang"))
    for (;;)
      pause();
  sleep_ms(number(w->spec, "delay") + number(w->spec, "block"));
  return answer(rq, w);
}

static enum mcpauth_result run(struct mcpauth_request *rq, const struct config *c, struct work *w)
{
  struct mcpauth_http_request get_url = {.method = "GET", .url = c->url};
  make_trouble(w->spec);
  if (has(w->spec, "bare"))
    return MCPAUTH_PENDING;
  if (FAULT_FLAGS & MCPAUTH_BLOCKING)
    return run_blocking(rq, w);
  if (has(w->spec, "hang"))
    return host->timer(rq, FOR_EVER_MS, after, w);
  if (has(w->spec, "two"))
    host->timer(rq, 1, after, w);
  if (has(w->spec, "late")) {
    host->timer(rq, 1, after, w);
    return answer(rq, w);
  }
  if (has(w->spec, "http"))
    return host->http(rq, &get_url, after_http, w);
  if (has(w->spec, "block"))
    return start_job(rq, w);
  if (has(w->spec, "delay") || has(w->spec, "two"))
    return host->timer(rq, number(w->spec, "delay"), after, w);
  return answer(rq, w);
}

/* What carries the script of a login, or NULL. */
static const char *login_script(struct mcpauth_request *rq, enum part part)
{
  switch (part) {
  case BEGIN:
    return host->login(rq)->login_hint;
  case FINISH:
    return host->login(rq)->code;
  case REFRESH:
    return host->tokens(rq)->refresh_token;
  case VERIFY:
  case ACCOUNT:
    break;
  }
  return NULL;
}

/* Fills the words for this instance; false when nobody has said anything to it. */
static bool script(struct mcpauth_request *rq, const struct config *c, struct work *w)
{
  const char *name = host->instance_name(host->self(rq));
  const struct mcpauth_credential *credential = host->credential(rq);
  const char *said = login_script(rq, w->part);
  if (credential && find_spec(credential->value.p, credential->value.n, name, w->spec))
    return true;
  if (said && find_spec(said, strlen(said), name, w->spec))
    return true;
  if (w->part == REFRESH && c->on_refresh) {
    snprintf(w->spec, sizeof w->spec, "%s", c->on_refresh);
    return true;
  }
  if (w->part == ACCOUNT) {
    struct mcpauth_value v = host->claim(host->principal_claims(rq), "/fault");
    if (v.type == MCPAUTH_TEXT && find_spec(v.text, v.count, name, w->spec))
      return true;
  }
  if (c->answer == NULL)
    return false;
  snprintf(w->spec, sizeof w->spec, "%s", c->answer);
  return true;
}

static enum mcpauth_result serve(struct mcpauth_request *rq, const struct config *c, enum part part)
{
  struct work *w = host->alloc(rq, sizeof *w);
  if (w == NULL)
    return MCPAUTH_ERROR;
  w->part = part;
  w->config = c;
  if (!script(rq, c, w))
    return part == ACCOUNT ? MCPAUTH_PASS : part == VERIFY ? MCPAUTH_IGNORE : MCPAUTH_INVALID;
  return run(rq, c, w);
}

/* ---- the table */

static enum mcpauth_result verify(struct mcpauth_request *rq, const void *config, void *state)
{
  (void)state;
  return serve(rq, config, VERIFY);
}

static enum mcpauth_result account(struct mcpauth_request *rq, const void *config, void *state)
{
  (void)state;
  return serve(rq, config, ACCOUNT);
}

static enum mcpauth_result login_begin(struct mcpauth_request *rq, const void *config, void *state)
{
  (void)state;
  return serve(rq, config, BEGIN);
}

static enum mcpauth_result login_finish(struct mcpauth_request *rq, const void *config, void *state)
{
  (void)state;
  return serve(rq, config, FINISH);
}

static enum mcpauth_result refresh(struct mcpauth_request *rq, const void *config, void *state)
{
  (void)state;
  return serve(rq, config, REFRESH);
}

/* STATE is the instance: claims is not told which one it is asked for. */
static bool claims(const void *config, void *state, const struct mcpauth_credential *credential)
{
  const struct config *c = config;
  const char *name = host->instance_name(state);
  char spec[SPEC_MAX];
  if (find_spec(credential->value.p, credential->value.n, name, spec))
    return !has(spec, "noclaim");
  return c->answer != NULL;
}

static int in_trouble(int trouble)
{
  switch ((enum trouble)trouble) {
  case TROUBLE_NONE:
    return 0;
  case TROUBLE_REFUSE:
    return -1;
  case TROUBLE_CRASH:
    crash();
    return -1;
  case TROUBLE_HANG:
    for (;;)
      pause();
  case TROUBLE_EXIT:
    _exit(0);
  }
  return -1;
}

static int check(const struct mcpauth_host *h, struct mcpauth_instance *self, const void *config)
{
  const struct config *c = config;
  if (in_trouble(c->on_check) < 0)
    return h->report(self, "on_check", "refused, as it was told");
  return 0;
}

static int start(const struct mcpauth_host *h, struct mcpauth_instance *self, const void *config,
                 void **state)
{
  const struct config *c = config;
  if (in_trouble(c->on_start) < 0) {
    h->log(self, MCPAUTH_LOG_ERROR, "does not start, as it was told");
    return -1;
  }
  *state = self;
  return 0;
}

static const struct mcpauth_provider table = {
    .abi = MCPAUTH_ABI,
    .struct_size = sizeof(struct mcpauth_provider),
    .name = FAULT_NAME,
    .version = "0.1.0",
    .description = "Does what it is told, for tests",
    .flags = FAULT_FLAGS,
    .options = options,
    .config_size = sizeof(struct config),
    .check = check,
    .start = start,
    .claims = claims,
    .verify = verify,
    .account = account,
    .login_begin = login_begin,
    .login_finish = login_finish,
    .refresh = refresh,
};
