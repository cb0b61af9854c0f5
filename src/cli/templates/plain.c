/* hello-provider: asks an in-house service who the bearer of a credential is.
 *
 * This is a whole provider that builds and passes its test as it is.  Make it yours from the top:
 * the configuration, whose credential it is, the question, the answer.  mcpauth/provider.h says
 * what each callback and host function may do; see also mcpauth-provider(3). */
#include <mcpauth/provider.h>

#include <stdlib.h>
#include <string.h>

extern const struct mcpauth_host *host; /* set before any callback; defined by MCPAUTH_PROVIDER */

/* What an administrator may write into `provider NAME { ... }`.  The host parses it, checks it and
 * fills this struct in, one for each block. */
struct config {
  const char *url, *prefix;
};

static const struct mcpauth_option options[] = {
    {.name = "url",
     .type = MCPAUTH_URL,
     .flags = MCPAUTH_REQUIRED | MCPAUTH_HTTPS,
     .offset = offsetof(struct config, url),
     .metavar = "URL",
     .help = "The service that is asked",
     .since = "1.0"},
    {.name = "prefix",
     .type = MCPAUTH_STRING,
     .fallback = "hello_",
     .offset = offsetof(struct config, prefix),
     .metavar = "TEXT",
     .help = "What our credentials begin with; no other is ever sent",
     .since = "1.0"},
    {.name = NULL}};

/* Is this credential mine?  Pure and fast: it is asked about every credential.  VALUE is not
 * NUL-terminated. */
static bool claims(const void *config, void *state, const struct mcpauth_credential *credential)
{
  const char *prefix = ((const struct config *)config)->prefix;
  size_t n = strlen(prefix);
  (void)state;
  return credential->value.n > n && memcmp(credential->value.p, prefix, n) == 0;
}

/* YOURS: what the service has said becomes the caller.  No answer is UNAVAIL (503: cannot tell
 * now), a no is INVALID (401), and only OK lets anybody in. */
static enum mcpauth_result answered(struct mcpauth_request *rq, void *arg,
                                    const struct mcpauth_http_reply *reply)
{
  const struct config *c = arg;
  if (reply->status != 200)
    return host->refuse(rq, MCPAUTH_UNAVAIL, MCPAUTH_WHY_NONE, "the service answered %d %s",
                        reply->status, reply->error);
  const struct mcpauth_claims *said = host->json(rq, reply->body);
  if (said == NULL)
    return host->refuse(rq, MCPAUTH_UNAVAIL, MCPAUTH_WHY_NONE, "the answer is no JSON object");
  if (host->claim(said, "/active").type != MCPAUTH_TRUE)
    return host->refuse(rq, MCPAUTH_INVALID, MCPAUTH_WHY_NOT_ACCEPTED, "not active");
  struct mcpauth_principal who = {.issuer = c->url, .subject = host->claim(said, "/sub").text};
  if (who.subject == NULL || host->set_principal(rq, &who) < 0)
    return MCPAUTH_ERROR;
  return MCPAUTH_OK;
}

/* Asks, and returns at once: the loop goes on with other requests until `answered` is called. */
static enum mcpauth_result verify(struct mcpauth_request *rq, const void *config, void *state)
{
  const struct config *c = config;
  const struct mcpauth_bytes secret = host->credential(rq)->value;
  char *token = host->alloc(rq, secret.n + 1);
  if (token == NULL)
    return MCPAUTH_ERROR;
  const char *pairs[] = {"token", memcpy(token, secret.p, secret.n)};
  const char *body = host->form(rq, &(struct mcpauth_list){2, pairs});
  const char *const headers[] = {"Content-Type: application/x-www-form-urlencoded", NULL};
  (void)state;
  if (body == NULL)
    return MCPAUTH_ERROR;
  const struct mcpauth_http_request request = {
      .method = "POST", .url = c->url, .headers = headers, .body = {body, strlen(body)}};
  return host->http(rq, &request, answered, (void *)(uintptr_t)c);
}

/* A callback that is not named means: not capable.  MCPAUTH_REMOTE: it sends the credential away.
 */
static const struct mcpauth_provider provider = {.abi = MCPAUTH_ABI,
                                                 .struct_size = sizeof(struct mcpauth_provider),
                                                 .name = "hello-provider",
                                                 .version = "1.0.0",
                                                 .description =
                                                     "Asks an in-house service who is calling",
                                                 .flags = MCPAUTH_REMOTE,
                                                 .options = options,
                                                 .config_size = sizeof(struct config),
                                                 .claims = claims,
                                                 .verify = verify};

MCPAUTH_PROVIDER(&provider);
