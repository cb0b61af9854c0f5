/* hello-provider: lets people log in at an OAuth 2.0 server of ours.
 *
 * This is a whole provider that builds and passes its test as it is.  Make it yours: the
 * configuration, and `person`, which turns what the server says of somebody into the caller.
 * mcpauth/provider.h says what each callback and host function may do; see also
 * mcpauth-provider(3). */
#include <mcpauth/provider.h>

#include <stdlib.h>
#include <string.h>

extern const struct mcpauth_host *host; /* set before any callback; defined by MCPAUTH_PROVIDER */

/* What an administrator may write into `provider NAME { ... }`. */
struct config {
  const char *authorize_url, *token_url, *user_url, *client_id;
  const struct mcpauth_secret *client_secret;
};

#define OPTION(word, kind, member, meta, words)                                                    \
  {                                                                                                \
    .name = word, .type = kind, .flags = MCPAUTH_REQUIRED | MCPAUTH_HTTPS /* of URLs */,           \
    .offset = offsetof(struct config, member), .metavar = meta, .help = words, .since = "1.0"      \
  }
static const struct mcpauth_option options[] = {
    OPTION("authorize_url", MCPAUTH_URL, authorize_url, "URL", "Where people log in"),
    OPTION("token_url", MCPAUTH_URL, token_url, "URL", "Where a code becomes a token"),
    OPTION("user_url", MCPAUTH_URL, user_url, "URL", "Says who has a token"),
    OPTION("client_id", MCPAUTH_STRING, client_id, "TEXT", "The hub's name at the server"),
    OPTION("client_secret", MCPAUTH_SECRET, client_secret, "SECRET", "The hub's secret there"),
    {.name = NULL}};

/* YOURS: what the server says of a person becomes the caller.  The subject must be something that
 * one person keeps for ever and nobody else ever gets. */
static enum mcpauth_result person(struct mcpauth_request *rq, void *arg, enum mcpauth_result result,
                                  int status, const struct mcpauth_claims *said)
{
  const struct config *c = arg;
  (void)status;
  if (result != MCPAUTH_OK)
    return result;
  struct mcpauth_principal who = {.issuer = c->token_url,
                                  .subject = host->claim(said, "/sub").text};
  if (who.subject == NULL)
    return host->refuse(rq, MCPAUTH_INVALID, MCPAUTH_WHY_NOT_ACCEPTED, "nobody is named");
  return host->set_principal(rq, &who) < 0 ? MCPAUTH_ERROR : MCPAUTH_OK;
}

/* The host has asked the token endpoint and kept the tokens; now: whose are they? */
static enum mcpauth_result granted(struct mcpauth_request *rq, void *arg,
                                   enum mcpauth_result result, const struct mcpauth_granted *grant)
{
  const struct config *c = arg;
  if (result != MCPAUTH_OK)
    return result;
  const struct mcpauth_question who = {.url = c->user_url, .bearer = grant->tokens.access_token};
  return host->ask(rq, &who, person, arg);
}

static enum mcpauth_result redeem(struct mcpauth_request *rq, const struct config *c)
{
  const struct mcpauth_grant grant = {
      .url = c->token_url, .client_id = c->client_id, .client_secret = c->client_secret};
  return host->grant(rq, &grant, granted, (void *)(uintptr_t)c);
}

/* Sends the browser to the server; state, PKCE and the way back are the host's work. */
static enum mcpauth_result login_begin(struct mcpauth_request *rq, const void *config, void *state)
{
  const struct config *c = config;
  (void)state;
  return host->authorize(rq, c->authorize_url, c->client_id, NULL);
}

/* The browser is back with a code. */
static enum mcpauth_result login_finish(struct mcpauth_request *rq, const void *config, void *state)
{
  (void)state;
  return redeem(rq, config);
}

/* Is the person still who she was?  Asked whenever the hub renews its own token. */
static enum mcpauth_result refresh(struct mcpauth_request *rq, const void *config, void *state)
{
  (void)state;
  return redeem(rq, config);
}

/* The hub gives its own tokens to those who have logged in; this provider looks at no credential.
 */
static const struct mcpauth_provider provider = {.abi = MCPAUTH_ABI,
                                                 .struct_size = sizeof(struct mcpauth_provider),
                                                 .name = "hello-provider",
                                                 .version = "1.0.0",
                                                 .description = "People log in at a server of ours",
                                                 .options = options,
                                                 .config_size = sizeof(struct config),
                                                 .login_begin = login_begin,
                                                 .login_finish = login_finish,
                                                 .refresh = refresh};

MCPAUTH_PROVIDER(&provider);
