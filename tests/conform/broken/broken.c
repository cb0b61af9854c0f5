/* A provider with one fault, chosen when it is compiled: -DFAULT_NAME_OF_IT.  Without any it is a
 * decent one, which asks an identity provider about each credential.  tests/cli/test_conform.py
 * compiles each fault and has `mcpauth provider test` find it by the rule that it breaks. */
#include <mcpauth/provider.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

extern const struct mcpauth_host *host;

struct config {
  const char *url, *issuer;
  const struct mcpauth_secret *secret;
  int64_t patience;
};

struct state {
  const struct config *config;
  unsigned waiting;
};

static const struct mcpauth_option options[] = {{.name = "url",
                                                 .type = MCPAUTH_URL,
                                                 .flags = MCPAUTH_REQUIRED,
                                                 .offset = offsetof(struct config, url),
#ifndef FAULT_NO_HELP
                                                 .help = "The server that is asked",
#endif
                                                 .since = "1.0"},
                                                {.name = "issuer",
                                                 .type = MCPAUTH_URL,
                                                 .flags = MCPAUTH_REQUIRED,
#ifdef FAULT_SHARED_MEMBER
                                                 .offset = offsetof(struct config, url),
#else
     .offset = offsetof(struct config, issuer),
#endif
                                                 .help = "Whose credentials these are",
#ifndef FAULT_NO_SINCE
                                                 .since = "1.0"
#endif
                                                },
                                                {.name = "secret",
                                                 .type = MCPAUTH_SECRET,
                                                 .flags = MCPAUTH_REQUIRED,
                                                 .offset = offsetof(struct config, secret),
                                                 .help = "Shared with the server",
                                                 .since = "1.0"},
                                                {.name = "patience",
                                                 .type = MCPAUTH_DURATION,
                                                 .offset = offsetof(struct config, patience),
#ifdef FAULT_BAD_FALLBACK
                                                 .fallback = "soon",
#else
     .fallback = "1s",
#endif
                                                 .min = 100,
                                                 .max = 10000,
                                                 .help = "How long the server may take",
                                                 .since = "1.0"},
                                                {.name = NULL}};

#ifdef FAULT_EXTRA_EXPORT
__attribute__((visibility("default"))) int broken_helper(void);
int broken_helper(void)
{
  return 1;
}
#endif

#ifdef FAULT_GLOBAL_CONFIG
static const struct config *the_config;
#endif

/* ---- life */

static void *nothing(void *arg)
{
  return arg;
}

static int check(const struct mcpauth_host *h, struct mcpauth_instance *self, const void *config)
{
  (void)h, (void)self, (void)config, (void)nothing;
#ifdef FAULT_CHECK_LEAVES_OPEN
  return open("/dev/null", O_RDONLY) < 0 ? -1 : 0;
#endif
#ifdef FAULT_CHECK_REFUSES
  return h->report(self, "url", "I do not like it");
#endif
#ifdef FAULT_CHECK_CRASHES
  abort();
#endif
  return 0;
}

static int start(const struct mcpauth_host *h, struct mcpauth_instance *self, const void *config,
                 void **state)
{
  struct state *s = calloc(1, sizeof *s);
  (void)h, (void)self;
  if (s == NULL)
    return -1;
  s->config = config;
  *state = s;
#ifdef FAULT_GLOBAL_CONFIG
  the_config = config;
#endif
#ifdef FAULT_UMASK
  syscall(SYS_umask, 0);
#endif
#ifdef FAULT_ENVIRONMENT
  extern char **environ;
  environ = NULL;
#endif
#ifdef FAULT_THREAD
  pthread_t t;
  pthread_create(&t, NULL, nothing, NULL);
#endif
#ifdef FAULT_SETENV
  setenv("BROKEN", "1", 1);
#endif
#ifdef FAULT_PRINTF
  printf("started %p\n", *state);
#endif
#ifdef FAULT_WRITES
  if (write(STDOUT_FILENO, "hello\n", 6) < 0)
    return -1;
#endif
  return 0;
}

static void stop(void *state)
{
#ifdef FAULT_STOP_WHILE_WAITING
  if (((struct state *)state)->waiting)
    abort();
#endif
#ifndef FAULT_STATE_LEAK
  free(state);
#endif
}

static bool claims(const void *config, void *state, const struct mcpauth_credential *credential)
{
  char issuer[512];
  (void)state;
#ifdef FAULT_CLAIMS_OVERREAD
  return strlen(credential->value.p) > 20;
#endif
#ifdef FAULT_CLAIMS_FICKLE
  static unsigned n;
  return ++n % 2;
#endif
#ifdef FAULT_CLAIMS_ALL
  return true;
#endif
  return host->jwt_issuer(credential->value, issuer, sizeof issuer) == 0 &&
         strcmp(issuer, ((const struct config *)config)->issuer) == 0;
}

/* ---- a lookup */

static enum mcpauth_result no(struct mcpauth_request *rq, enum mcpauth_why why, const char *words)
{
  return host->refuse(rq, MCPAUTH_INVALID, why, "%s", words);
}

static enum mcpauth_result yes(struct mcpauth_request *rq, const struct mcpauth_claims *said)
{
  struct mcpauth_principal who = {.issuer = host->claim(said, "/iss").text,
                                  .subject = host->claim(said, "/sub").text,
                                  .expires_at = (int64_t)host->claim(said, "/exp").number,
                                  .reuse_ms = 1000};
#ifdef FAULT_REUSE_BY_ADDRESS
  who.subject = host->facts(rq)->address;
#endif
#ifdef FAULT_EXPIRED
  who.expires_at = 0;
#endif
#ifndef FAULT_NO_PRINCIPAL
  if (who.subject == NULL || host->set_principal(rq, &who) < 0)
    return MCPAUTH_ERROR;
#endif
#ifdef FAULT_NO_SUCH_RESULT
  return (enum mcpauth_result)99;
#endif
  return MCPAUTH_OK;
}

static enum mcpauth_result unable(struct mcpauth_request *rq,
                                  const struct mcpauth_http_reply *reply)
{
#ifdef FAULT_OPEN
  struct mcpauth_principal who = {.issuer = "https://x.example", .subject = "ann"};
  return host->set_principal(rq, &who) < 0 ? MCPAUTH_ERROR : MCPAUTH_OK;
#endif
#ifdef FAULT_DOWN_IS_INVALID
  if (reply->status == 0)
    return no(rq, MCPAUTH_WHY_NONE, "no answer");
#endif
#ifdef FAULT_LIMITED_IS_INVALID
  if (reply->status == 429)
    return no(rq, MCPAUTH_WHY_NONE, "too many");
#endif
#ifdef FAULT_500_IS_DENY
  if (reply->status == 500)
    return host->refuse(rq, MCPAUTH_DENY, MCPAUTH_WHY_NONE, "no");
#endif
  return host->refuse(rq, MCPAUTH_UNAVAIL, MCPAUTH_WHY_NONE, "status %d", reply->status);
}

static enum mcpauth_result answered(struct mcpauth_request *rq, void *arg,
                                    const struct mcpauth_http_reply *reply)
{
  struct state *s = arg;
  s->waiting--;
  if (reply->status != 200)
    return unable(rq, reply);
  const struct mcpauth_claims *said = host->json(rq, reply->body);
#ifdef FAULT_MALFORMED_IS_INVALID
  if (said == NULL)
    return no(rq, MCPAUTH_WHY_NONE, "what?");
#endif
#ifdef FAULT_MALFORMED_CRASHES
  if (said == NULL)
    return *(volatile enum mcpauth_result *)NULL;
#endif
  if (said == NULL)
    return host->refuse(rq, MCPAUTH_UNAVAIL, MCPAUTH_WHY_NONE, "not JSON");
#ifndef FAULT_YES_TO_ALL
  if (host->claim(said, "/active").type != MCPAUTH_TRUE)
    return no(rq, MCPAUTH_WHY_NOT_ACCEPTED, "not active");
#endif
#ifndef FAULT_EXPIRED
  if (host->claim(said, "/exp").number <= (double)host->now())
    return no(rq, MCPAUTH_WHY_EXPIRED, "expired");
#endif
#ifndef FAULT_AUDIENCE
  const char *aud = host->claim(said, "/aud").text;
  if (aud == NULL || strcmp(aud, host->facts(rq)->resource) != 0)
    return no(rq, MCPAUTH_WHY_WRONG_AUDIENCE, "not for us");
#endif
  return yes(rq, said);
}

static void misbehave(struct mcpauth_request *rq, const struct state *s)
{
  (void)rq, (void)s;
#ifdef FAULT_MEMORY_LEAK
  char *lost = malloc(100);
  if (lost)
    memset(lost, 1, 100);
  __asm__ volatile("" : : "r"(lost) : "memory");
#endif
#ifdef FAULT_DESCRIPTOR_LEAK
  if (open("/dev/null", O_RDONLY) < 0)
    abort();
#endif
#ifdef FAULT_BLOCKS
  for (int64_t end = host->now() + 2; host->now() < end;)
    ;
#endif
#ifdef FAULT_LOGS_SECRET
  struct mcpauth_bytes secret = host->secret_bytes(s->config->secret);
  host->log(host->self(rq), MCPAUTH_LOG_INFO, "secret %.*s", (int)secret.n, secret.p);
#endif
#ifdef FAULT_LOGS_CREDENTIAL
  struct mcpauth_bytes token = host->credential(rq)->value;
  host->log(host->self(rq), MCPAUTH_LOG_DEBUG, "token %.*s", (int)token.n, token.p);
#endif
#ifdef FAULT_ENDS_PROCESS
  syscall(SYS_exit_group, 3);
#endif
}

static enum mcpauth_result verify(struct mcpauth_request *rq, const void *config, void *state)
{
  const struct config *c = config;
  struct state *s = state;
  struct mcpauth_bytes value = host->credential(rq)->value;
  char *url = host->alloc(rq, strlen(c->url) + value.n + 16);
#ifdef FAULT_GLOBAL_CONFIG
  c = the_config;
#endif
  misbehave(rq, s);
#ifdef FAULT_TOKEN_IN_URL
  sprintf(url, "%s?token=%.*s", c->url, (int)value.n, value.p);
#else
  strcpy(url, c->url);
#endif
#ifdef FAULT_PENDING_BARE
  return MCPAUTH_PENDING;
#endif
  struct mcpauth_http_request request = {
      .method = "POST", .url = url, .body = value, .timeout_ms = c->patience};
#ifdef FAULT_BAD_METHOD
  request.method = "DELETE";
#endif
  s->waiting++;
  enum mcpauth_result r = host->http(rq, &request, answered, s);
#ifdef FAULT_TWO_AT_ONCE
  host->http(rq, &request, answered, s);
#endif
#ifdef FAULT_ANSWERS_WHILE_ASKING
  return MCPAUTH_UNAVAIL;
#endif
  return r;
}

static const struct mcpauth_provider provider = {
    .abi = MCPAUTH_ABI,
    .struct_size = sizeof(struct mcpauth_provider),
#ifdef FAULT_OTHER_NAME
    .name = "another",
#else
    .name = "broken",
#endif
#ifdef FAULT_NO_VERSION
    .version = "new",
#else
    .version = "1.0.0",
#endif
    .description = "One fault, or none",
    .flags = MCPAUTH_REMOTE,
    .options = options,
    .config_size = sizeof(struct config),
    .check = check,
    .start = start,
    .stop = stop,
#ifndef FAULT_NO_CLAIMS
    .claims = claims,
#endif
    .verify = verify,
#ifdef FAULT_HALF_A_LOGIN
    .login_begin = verify,
#endif
};

#ifdef FAULT_NO_NOTE
const struct mcpauth_host *host;
MCPAUTH_EXPORT const struct mcpauth_registration mcpauth_provider = {
    MCPAUTH_ABI, sizeof(struct mcpauth_registration), &host, &provider};
#else
MCPAUTH_PROVIDER(&provider);
#endif
