/* mtls: callers with a client certificate, verified by the TLS listener or by a trusted proxy in
 * front; as an auth line the certificate says who is calling, as an account line it is demanded in
 * addition, and held against a token that is bound to it (RFC 8705).  See mcpauth-mtls(5). */
#include <mcpauth/provider.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const struct mcpauth_host *host; /* set by the loader; defined by MCPAUTH_PROVIDER */

enum { ISSUER_SIZE = 160 };
enum subject { DN, URI, DNS, EMAIL, SHA256 };

struct config {
  struct mcpauth_list allow, authorities;
  const char *issuer;
  int subject;
  bool bound;
};

#define AT(member) .offset = offsetof(struct config, member)
/* clang-format off */
static const char *const subjects[] = {"dn", "uri", "dns", "email", "sha256", NULL};
static const char *const prefixes[] = {[DN] = "", [URI] = "URI:", [DNS] = "DNS:", [EMAIL] = "email:", [SHA256] = ""};
static const struct mcpauth_option options[] = {
    {.name = "subject", .type = MCPAUTH_CHOICE, AT(subject), .fallback = "dn", .choices = subjects,
     .help = "What of the certificate names the caller", .since = "0.1"},
    {.name = "allow", .type = MCPAUTH_LIST, AT(allow), .metavar = "TEXT ...",
     .help = "Only these subjects, byte for byte (default: every certificate that was verified)", .since = "0.1"},
    {.name = "authority", .type = MCPAUTH_LIST, AT(authorities), .metavar = "DN ...",
     .help = "Only certificates that these have issued, named as RFC 4514 writes it (default: all)", .since = "0.1"},
    {.name = "issuer", .type = MCPAUTH_STRING, AT(issuer), .metavar = "TEXT",
     .help = "Issuer of the principals (default: mcpauth: and the name of the provider block)", .since = "0.1"},
    {.name = "require_bound", .type = MCPAUTH_BOOL, AT(bound), .fallback = "off",
     .help = "In account lines: whether tokens that are bound to no certificate are refused", .since = "0.1"},
    {.name = NULL}};
/* clang-format on */

static int start(const struct mcpauth_host *h, struct mcpauth_instance *self, const void *config,
                 void **state)
{
  (void)self, (void)config, (void)state;
  return MCPAUTH_HAS(h, json_text) ? 0 : -1; /* from then on there are certificates to look at */
}

static bool has(const struct mcpauth_list *list, const char *word)
{
  for (size_t i = 0; i < list->n; i++)
    if (strcmp(list->v[i], word) == 0)
      return true;
  return false;
}

/* The only alternative name of the kind; NULL when there is none, or more than one. */
static const char *only_name(const struct mcpauth_certificate *c, const char *prefix)
{
  const char *found = NULL;
  size_t n = strlen(prefix);
  for (size_t i = 0; i < c->names.n; i++)
    if (strncmp(c->names.v[i], prefix, n) == 0) {
      if (found)
        return NULL;
      found = c->names.v[i] + n;
    }
  return found;
}

static const char *subject_of(const struct config *c, const struct mcpauth_certificate *cert)
{
  if (c->subject == DN)
    return *cert->subject ? cert->subject : NULL;
  return c->subject == SHA256 ? cert->sha256 : only_name(cert, prefixes[c->subject]);
}

/* PASS when the certificate is one of those that are wanted. */
static enum mcpauth_result judge(struct mcpauth_request *rq, const struct config *c,
                                 const struct mcpauth_certificate *cert)
{
  const char *subject = subject_of(c, cert);
  if (cert->expires_at <= host->now())
    return host->refuse(rq, MCPAUTH_INVALID, MCPAUTH_WHY_EXPIRED, "the certificate has expired");
  if (subject == NULL)
    return host->refuse(rq, MCPAUTH_DENY, MCPAUTH_WHY_NOT_ACCEPTED,
                        "the certificate does not have one name of the kind %s",
                        subjects[c->subject]);
  if (c->authorities.n && !has(&c->authorities, cert->issuer))
    return host->refuse(rq, MCPAUTH_DENY, MCPAUTH_WHY_NOT_ACCEPTED, "issued by %.120s",
                        cert->issuer);
  if (c->allow.n && !has(&c->allow, subject))
    return host->refuse(rq, MCPAUTH_DENY, MCPAUTH_WHY_NOT_ACCEPTED, "%.120s is not allowed",
                        subject);
  return MCPAUTH_PASS;
}

static enum mcpauth_result verify(struct mcpauth_request *rq, const void *config, void *state)
{
  const struct config *c = config;
  const struct mcpauth_certificate *cert = host->facts(rq)->certificate;
  char issuer[ISSUER_SIZE];
  (void)state;
  if (cert == NULL)
    return host->refuse(rq, MCPAUTH_IGNORE, MCPAUTH_WHY_NONE, "no client certificate");
  enum mcpauth_result r = judge(rq, c, cert);
  if (r != MCPAUTH_PASS)
    return r;
  snprintf(issuer, sizeof issuer, "mcpauth:%s", host->instance_name(host->self(rq)));
  const struct mcpauth_principal who = {.issuer = c->issuer ? c->issuer : issuer,
                                        .subject = subject_of(c, cert),
                                        .expires_at = cert->expires_at};
  if (host->set_principal(rq, &who) < 0)
    return MCPAUTH_ERROR;
  return MCPAUTH_OK; /* the certificate is a fact of the connection: never to be reused */
}

/* RFC 8705 section 3: a token may name the certificate that has to come with it. */
static enum mcpauth_result account(struct mcpauth_request *rq, const void *config, void *state)
{
  const struct config *c = config;
  const struct mcpauth_certificate *cert = host->facts(rq)->certificate;
  struct mcpauth_value bound = host->claim(host->principal_claims(rq), "/cnf/x5t#S256");
  (void)state;
  if (cert == NULL)
    return host->refuse(rq, MCPAUTH_DENY, MCPAUTH_WHY_NOT_ACCEPTED, "no client certificate");
  if (bound.type == MCPAUTH_ABSENT && c->bound)
    return host->refuse(rq, MCPAUTH_DENY, MCPAUTH_WHY_NOT_ACCEPTED,
                        "the token is bound to no certificate");
  if (bound.type != MCPAUTH_ABSENT &&
      (bound.text == NULL || strcmp(bound.text, cert->thumbprint) != 0))
    return host->refuse(rq, MCPAUTH_INVALID, MCPAUTH_WHY_NOT_ACCEPTED,
                        "the token is bound to another certificate");
  return judge(rq, c, cert);
}

/* clang-format off */
static const struct mcpauth_provider provider = {
    .abi = MCPAUTH_ABI, .struct_size = sizeof(struct mcpauth_provider), .name = "mtls", .version = "0.1.0",
    .description = "Callers with a client certificate", .flags = MCPAUTH_BARE, .options = options,
    .config_size = sizeof(struct config), .start = start, .verify = verify, .account = account};
/* clang-format on */

MCPAUTH_PROVIDER(&provider);
