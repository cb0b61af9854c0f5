/* webhook: asks an HTTP endpoint of the administrator's own who a caller is (auth lines), or
 * whether one whom the stack has recognised may go on (account lines); see mcpauth-webhook(5).
 * Requests are signed with a shared secret.  What is kept is kept by the host, for as long as the
 * endpoint says and `reuse` allows; then facts that differ between requests are not sent, since the
 * answer will stand for other requests too. */
#include <mcpauth/provider.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const struct mcpauth_host *host; /* set by the loader; defined by MCPAUTH_PROVIDER */

enum { MAX_REPLY = 65536, HEX = 64 };

struct config {
  const char *url, *issuer;
  const struct mcpauth_secret *secret;
  struct mcpauth_list prefix;
  int64_t timeout, reuse;
};

#define AT(member) .offset = offsetof(struct config, member)
/* clang-format off */
static const struct mcpauth_option options[] = {
    {.name = "url", .type = MCPAUTH_URL, .flags = MCPAUTH_REQUIRED | MCPAUTH_HTTPS, AT(url), .metavar = "URL",
     .help = "The endpoint that is asked by POST", .since = "0.1"},
    {.name = "secret", .type = MCPAUTH_SECRET, .flags = MCPAUTH_REQUIRED, AT(secret), .metavar = "SECRET",
     .help = "Signs what is sent; at least 32 bytes, shared with the endpoint", .since = "0.1"},
    {.name = "prefix", .type = MCPAUTH_LIST, AT(prefix), .metavar = "TEXT ...",
     .help = "Only credentials that begin with one of these are sent (default: all but the hub's own)", .since = "0.1"},
    {.name = "issuer", .type = MCPAUTH_STRING, AT(issuer), .metavar = "TEXT",
     .help = "Issuer of the principals (default: mcpauth: and the name of the provider block)", .since = "0.1"},
    {.name = "timeout", .type = MCPAUTH_DURATION, AT(timeout), .fallback = "3s", .min = 100, .max = 30000,
     .help = "How long the endpoint may take", .since = "0.1"},
    {.name = "reuse", .type = MCPAUTH_DURATION, AT(reuse), .fallback = "0s", .min = 0, .max = 300000,
     .help = "How long an answer may be reused at most; then address and method are not sent", .since = "0.1"},
    {.name = NULL}};

static const struct mcpauth_member members[] = {
    {"result", MCPAUTH_MEMBER_NAME, MCPAUTH_REQUIRED}, {"subject", MCPAUTH_MEMBER_TEXT, 0},
    {"client", MCPAUTH_MEMBER_TEXT, 0}, {"scopes", MCPAUTH_MEMBER_SCOPES, 0},
    {"claims", MCPAUTH_MEMBER_CLAIMS, 0}, {"expires", MCPAUTH_MEMBER_TIME, 0},
    {"reuse_seconds", MCPAUTH_MEMBER_ANY, 0}, {"reason", MCPAUTH_MEMBER_TEXT, 0},
    {NULL, MCPAUTH_MEMBER_ANY, 0}};

/* What an endpoint may say of a caller; `ok` is read apart. */
static const struct { const char *word; enum mcpauth_result result; } words[] = {
    {"ignore", MCPAUTH_IGNORE}, {"invalid", MCPAUTH_INVALID}, {"deny", MCPAUTH_DENY},
    {"unavailable", MCPAUTH_UNAVAIL}};
/* clang-format on */

static int check(const struct mcpauth_host *h, struct mcpauth_instance *self, const void *config)
{
  const struct config *c = config;
  if (h->secret_bytes(c->secret).n < 32)
    return h->report(self, "secret", "a secret of at least 32 bytes is needed");
  return 0;
}

static int start(const struct mcpauth_host *h, struct mcpauth_instance *self, const void *config,
                 void **state)
{
  (void)self, (void)config, (void)state;
  return MCPAUTH_HAS(h, set_claims) ? 0 : -1;
}

static bool starts_with(struct mcpauth_bytes v, const char *prefix)
{
  size_t n = strlen(prefix);
  return v.n >= n && memcmp(v.p, prefix, n) == 0;
}

static bool claims(const void *config, void *state, const struct mcpauth_credential *credential)
{
  const struct config *c = config;
  (void)state;
  for (size_t i = 0; i < c->prefix.n; i++)
    if (starts_with(credential->value, c->prefix.v[i]))
      return true;
  return c->prefix.n == 0 && !starts_with(credential->value, "mcpa_");
}

/* ---- the request */

struct body {
  struct mcpauth_request *rq;
  char *p;
  size_t n, size;
  bool failed;
};

static void put(struct body *b, const char *text)
{
  size_t n = text ? strlen(text) : 0;
  if (text == NULL || b->failed) {
    b->failed = true;
    return;
  }
  if (b->n + n >= b->size) {
    size_t size = 2 * (b->n + n) + 1024;
    char *more = host->alloc(b->rq, size);
    if (more == NULL) {
      b->failed = true;
      return;
    }
    if (b->n)
      memcpy(more, b->p, b->n);
    b->p = more;
    b->size = size;
  }
  memcpy(b->p + b->n, text, n + 1);
  b->n += n;
}

/* NAME is `,"name":` or `{"name":`.  A NULL value is left out. */
static void put_text(struct body *b, const char *name, const char *value)
{
  if (value == NULL)
    return;
  put(b, name);
  put(b, host->json_text(b->rq, (struct mcpauth_bytes){value, strlen(value)}));
}

static const char *source_name(enum mcpauth_source source)
{
  switch (source) {
  case MCPAUTH_FROM_BEARER:
    return "bearer";
  case MCPAUTH_FROM_BASIC:
    return "basic";
  case MCPAUTH_FROM_HEADER:
    return "header";
  case MCPAUTH_FROM_QUERY:
    return "query";
  }
  return "other";
}

static void put_credential(struct body *b)
{
  const struct mcpauth_credential *c = host->credential(b->rq);
  put_text(b, ",\"credential\":{\"source\":", source_name(c->source));
  put_text(b, ",\"name\":", c->name);
  put(b, ",\"value\":");
  put(b, host->json_text(b->rq, c->value));
  put(b, "}");
}

static void put_principal(struct body *b, const struct mcpauth_principal *p)
{
  put_text(b, ",\"principal\":{\"issuer\":", p->issuer);
  put_text(b, ",\"subject\":", p->subject);
  put_text(b, ",\"client\":", p->client);
  put(b, ",\"scopes\":[");
  for (size_t i = 0; i < p->scopes.n; i++)
    put_text(b, i ? "," : "", p->scopes.v[i]);
  put(b, "],\"claims\":");
  put(b, host->claim_json(b->rq, host->principal_claims(b->rq), ""));
  put(b, "}");
}

/* "Mcpauth-Signature: t=SECONDS,v1=HEX", the MAC being over "SECONDS.BODY". */
static const char *signature(const struct config *c, const struct body *b)
{
  unsigned char mac[HEX / 2];
  struct body message = {.rq = b->rq};
  char now[32];
  size_t size = 128;
  char *line = host->alloc(b->rq, size);
  snprintf(now, sizeof now, "%lld", (long long)host->now());
  put(&message, now);
  put(&message, ".");
  put(&message, b->p);
  if (line == NULL || message.failed)
    return NULL;
  host->hmac_sha256(host->secret_bytes(c->secret), (struct mcpauth_bytes){message.p, message.n},
                    mac);
  int n = snprintf(line, size, "Mcpauth-Signature: t=%s,v1=", now);
  for (size_t i = 0; i < HEX; i++)
    line[n++] = "0123456789abcdef"[mac[i / 2] >> (i % 2 ? 0 : 4) & 15];
  return line;
}

static enum mcpauth_result answered(struct mcpauth_request *rq, void *arg,
                                    const struct mcpauth_http_reply *reply);

static enum mcpauth_result ask(struct mcpauth_request *rq, const struct config *c)
{
  const struct mcpauth_facts *f = host->facts(rq);
  const struct mcpauth_principal *who = host->principal(rq);
  struct body b = {.rq = rq};
  put_text(&b, "{\"version\":1,\"provider\":", host->instance_name(host->self(rq)));
  put_text(&b, ",\"service\":", f->service);
  put_text(&b, ",\"resource\":", f->resource);
  if (who || c->reuse == 0) {
    put_text(&b, ",\"request_id\":", f->request_id);
    put_text(&b, ",\"address\":", f->address);
    put_text(&b, ",\"method\":", f->method);
  }
  if (who)
    put_principal(&b, who);
  else
    put_credential(&b);
  put(&b, "}");
  const char *headers[] = {"Content-Type: application/json", "Accept: application/json",
                           b.failed ? NULL : signature(c, &b), NULL};
  if (b.failed || headers[2] == NULL)
    return host->refuse(rq, MCPAUTH_ERROR, MCPAUTH_WHY_NONE, "the request is too large");
  const struct mcpauth_http_request request = {.method = "POST",
                                               .url = c->url,
                                               .headers = headers,
                                               .body = {b.p, b.n},
                                               .timeout_ms = c->timeout,
                                               .max_reply = MAX_REPLY};
  return host->http(rq, &request, answered, (void *)(uintptr_t)c);
}

static enum mcpauth_result verify(struct mcpauth_request *rq, const void *config, void *state)
{
  (void)state;
  return ask(rq, config);
}

static enum mcpauth_result account(struct mcpauth_request *rq, const void *config, void *state)
{
  (void)state;
  return ask(rq, config);
}

/* ---- the answer */

static enum mcpauth_result grant(struct mcpauth_request *rq, const struct config *c,
                                 const struct mcpauth_claims *said)
{
  char issuer[160];
  double reuse = host->claim(said, "/reuse_seconds").number * 1000;
  snprintf(issuer, sizeof issuer, "mcpauth:%s", host->instance_name(host->self(rq)));
  struct mcpauth_principal who = {.issuer = c->issuer ? c->issuer : issuer,
                                  .subject = host->claim(said, "/subject").text,
                                  .client = host->claim(said, "/client").text,
                                  .expires_at = host->time_of(host->claim(said, "/expires").text),
                                  .reuse_ms = reuse <= 0                 ? 0
                                              : reuse < (double)c->reuse ? (int64_t)reuse
                                                                         : c->reuse};
  if (who.subject == NULL)
    return host->refuse(rq, MCPAUTH_ERROR, MCPAUTH_WHY_NONE, "the endpoint said ok to nobody");
  if (host->scopes(rq, said, "/scopes", &who.scopes) < 0 || host->set_principal(rq, &who) < 0 ||
      host->set_claims(rq, said, "/claims") < 0)
    return MCPAUTH_ERROR;
  return MCPAUTH_OK;
}

static enum mcpauth_result read_answer(struct mcpauth_request *rq, const struct config *c,
                                       const struct mcpauth_claims *said)
{
  const char *result = host->claim(said, "/result").text,
             *reason = host->claim(said, "/reason").text;
  if (strcmp(result, "ok") == 0 && host->principal(rq))
    return host->set_claims(rq, said, "/claims") < 0 ? MCPAUTH_ERROR : MCPAUTH_PASS;
  if (strcmp(result, "ok") == 0)
    return grant(rq, c, said);
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (strcmp(result, words[i].word) == 0)
      return host->refuse(rq, words[i].result, MCPAUTH_WHY_NOT_ACCEPTED, "%s",
                          reason ? reason : "the endpoint gave no reason");
  return host->refuse(rq, MCPAUTH_ERROR, MCPAUTH_WHY_NONE, "the endpoint said '%.40s'", result);
}

static enum mcpauth_result answered(struct mcpauth_request *rq, void *arg,
                                    const struct mcpauth_http_reply *reply)
{
  const char *name = "", *why = "not one JSON object";
  if (reply->status == 0 || reply->status == 429 || reply->status >= 500)
    return host->refuse(rq, MCPAUTH_UNAVAIL, MCPAUTH_WHY_NONE, "the endpoint answered %d %.100s",
                        reply->status, reply->error);
  if (reply->status != 200)
    return host->refuse(rq, MCPAUTH_ERROR, MCPAUTH_WHY_NONE, "the endpoint answered %d",
                        reply->status);
  const struct mcpauth_claims *said = host->json(rq, reply->body);
  if (said)
    why = host->json_misfit(said, members, &name);
  if (why)
    return host->refuse(rq, MCPAUTH_ERROR, MCPAUTH_WHY_NONE, "the endpoint's answer: %.40s %s",
                        name, why);
  return read_answer(rq, arg, said);
}

/* clang-format off */
static const struct mcpauth_provider provider = {
    .abi = MCPAUTH_ABI, .struct_size = sizeof(struct mcpauth_provider), .name = "webhook", .version = "0.1.0",
    .description = "Asks an HTTP endpoint of your own who is calling", .flags = MCPAUTH_REMOTE, .options = options,
    .config_size = sizeof(struct config), .check = check, .start = start, .claims = claims, .verify = verify,
    .account = account};
/* clang-format on */

MCPAUTH_PROVIDER(&provider);
