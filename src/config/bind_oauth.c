/* `oauth { }`: the hub as authorization server, for services whose stacks log people in.  Called by
 * bind.c. */
#include <string.h>

#include "config/binder.h"
#include "config/tables.h"
#include "util/cleanup.h"
#include "util/redirect.h"

/* As the table fills it; copied to struct config_oauth afterwards. */
struct oauth_options {
  int64_t access_token, refresh_token, refresh_grace, upstream_grace;
  bool registration, client_documents;
  int64_t per_address, most;
  struct config_words redirect_allow;
  struct mcpauth_list token_claims;
  const struct named *default_service;
  struct issuer_list {
    struct config_assertion_issuer *v;
    struct named **providers;
    size_t n;
  } issuers;
};

static void custom_redirect_allow(struct binder *b, const struct statement *s, void *target)
{
  if (s->n < 2)
    report_error(b->f, statement_at(s), "this must have the form `redirect_allow URI ...`");
  for (size_t i = 1; i < s->n; i++) {
    struct err e = {""};
    if (redirect_pattern(s->words[i].text, &e) < 0)
      report_error(b->f, s->words[i].at, "'redirect_allow' %s", e.text);
    words_add(b, target, bind_dup(b, s->words[i].text));
  }
}

static void custom_default_service(struct binder *b, const struct statement *s, void *target)
{
  if (statement_form(b, s, 1, 1, "default_service NAME"))
    *(const struct named **)target = names_find(b, &b->services, &s->words[1]);
}

static void check_url(struct binder *b, const struct word *word)
{
  struct err e = {""};
  struct url u;
  if (value_url(word->text, &u, &e) < 0)
    report_error(b->f, word->at, "'assertion_issuer' %s", e.text);
  else if (!u.https && !url_loopback(&u))
    report_error(b->f, word->at, "'assertion_issuer' must be https, or on loopback");
}

static void add_issuer(struct binder *b, struct issuer_list *list,
                       const struct config_assertion_issuer *issuer, struct named *provider)
{
  struct config_assertion_issuer *v = bind_alloc(b, list->n + 1, sizeof *v);
  struct named **p = bind_alloc(b, list->n + 1, sizeof *p);
  if (v == NULL || p == NULL)
    return;
  for (size_t i = 0; i < list->n; i++) {
    v[i] = list->v[i];
    p[i] = list->providers[i];
    if (strcmp(v[i].issuer, issuer->issuer) == 0)
      report_error(b->f, issuer->at, "'%s' is named twice", issuer->issuer);
  }
  v[list->n] = *issuer;
  p[list->n] = provider;
  *list = (struct issuer_list){v, p, list->n + 1};
}

static void custom_assertion_issuer(struct binder *b, const struct statement *s, void *target)
{
  if (!statement_form(b, s, 2, 3, "assertion_issuer URL PROVIDER [JWKS_URI]"))
    return;
  check_url(b, &s->words[1]);
  if (s->n > 3)
    check_url(b, &s->words[3]);
  struct config_assertion_issuer issuer = {
      .at = statement_at(s),
      .issuer = bind_dup(b, s->words[1].text),
      .jwks_uri = s->n > 3 ? bind_dup(b, s->words[3].text) : NULL,
  };
  struct named *provider = names_find(b, &b->providers, &s->words[2]);
  if (provider)
    add_issuer(b, target, &issuer, provider);
}

#define AT(member) .offset = offsetof(struct oauth_options, member)

enum { S = 1000, M = 60000, H = 3600000 };

static const struct option_spec rows[] = {
    OPTION("access_token_lifetime", MCPAUTH_DURATION, "TIME",
           "of the tokens that the hub issues for its services", AT(access_token),
           .fallback = "10m", .min = 10 * S, .max = 24 * H),
    OPTION("refresh_token_lifetime", MCPAUTH_DURATION, "TIME",
           "how long a login lasts without being used", AT(refresh_token), .fallback = "30d",
           .min = 1 * M, .max = 400 * 24 * (int64_t)H),
    OPTION("refresh_grace", MCPAUTH_DURATION, "TIME",
           "a refresh token that its client sends again within this time gets the same successor; "
           "later, the whole login ends",
           AT(refresh_grace), .fallback = "2m", .min = 0, .max = 1 * H),
    OPTION("upstream_grace", MCPAUTH_DURATION, "TIME",
           "how long a login goes on while its identity provider cannot be asked",
           AT(upstream_grace), .fallback = "24h", .min = 0, .max = 30 * 24 * (int64_t)H),
    OPTION("registration", MCPAUTH_BOOL, "on|off", "whether clients may register (RFC 7591)",
           AT(registration), .fallback = "on"),
    OPTION("client_documents", MCPAUTH_BOOL, "on|off",
           "whether a client may be known by a document at its own URL", AT(client_documents),
           .fallback = "on"),
    OPTION("registrations_per_address", MCPAUTH_INTEGER, "NUMBER",
           "registrations that one address (IPv6: /64) gets in a minute", AT(per_address),
           .fallback = "10", .min = 1, .max = 100000),
    OPTION("max_registrations", MCPAUTH_INTEGER, "NUMBER",
           "registered clients that nobody has logged in with yet; one that stays unused is "
           "forgotten after 24 hours",
           AT(most), .fallback = "10000", .min = 1, .max = 1000000),
    STATEMENT("redirect_allow", custom_redirect_allow, "URI ...",
              "redirect URIs that clients may have ('*' within the last segment of the path); by "
              "default every sound one",
              AT(redirect_allow), .flags = MCPAUTH_REPEAT),
    OPTION(
        "token_claims", MCPAUTH_LIST, "NAME ...",
        "claims of the person that tokens show besides, to whoever reads them; rules and account "
        "lines see all that the provider gave in any case",
        AT(token_claims)),
    STATEMENT("default_service", custom_default_service, "NAME",
              "the service meant by clients that do not say which", AT(default_service),
              .flags = 0),
    STATEMENT(
        "assertion_issuer", custom_assertion_issuer, "URL PROVIDER [JWKS_URI]",
        "an identity provider whose assertions (ID-JAG) are exchanged for tokens that satisfy "
        "the line PROVIDER",
        AT(issuers), .flags = MCPAUTH_REPEAT),
};
const struct block_rows oauth_rows = {"oauth", rows, ARRAY_SIZE(rows)};

/* The block that no file has: its defaults hold. */
static const struct statement *empty_block(struct binder *b)
{
  struct statement *s = NULL, **tail = &s;
  struct config_at at;
  if (tree_parse(b->c->dir, STR("oauth { }"), b->scratch, &tail, &at, NULL) < 0)
    bind_no_memory(b);
  return s;
}

static void copy(struct binder *b, struct oauth_options *o)
{
  b->c->oauth = (struct config_oauth){
      .access_token_lifetime_ms = o->access_token,
      .refresh_token_lifetime_ms = o->refresh_token,
      .refresh_grace_ms = o->refresh_grace,
      .upstream_grace_ms = o->upstream_grace,
      .registration = o->registration,
      .client_documents = o->client_documents,
      .registrations_per_address = (unsigned)o->per_address,
      .max_registrations = (unsigned)o->most,
      .redirect_allow = o->redirect_allow,
      .default_service = o->default_service ? o->default_service->bound : NULL,
      .assertion_issuers = o->issuers.v,
      .n_assertion_issuers = o->issuers.n,
  };
  for (size_t i = 0; i < o->token_claims.n; i++)
    words_add(b, &b->c->oauth.token_claims, o->token_claims.v[i]);
  b->assertion_providers = o->issuers.providers;
}

void bind_oauth(struct binder *b)
{
  struct oauth_options o = {0};
  const struct statement *s = b->oauth ? b->oauth : empty_block(b);
  size_t text = b->text.n;
  if (s == NULL)
    return;
  options_open(b, s);
  options_bind(b, s, &(struct option_table){rows, ARRAY_SIZE(rows), &o}, 1);
  options_close(b);
  if (b->oauth == NULL)
    buf_cut(&b->text, text); /* a hub that logs nobody in has nothing to say about it */
  copy(b, &o);
}

/* ---- once stacks are resolved */

static bool has_clients_line(const struct config_service *s)
{
  for (size_t i = 0; i < s->stack.n_auth; i++)
    if (config_is_clients(s->stack.auth[i].provider))
      return true;
  return false;
}

/* Whether C may have a token for S with its own credential. */
static bool serves(const struct config_client *c, const struct config_service *s)
{
  for (size_t i = 0; i < c->n_services; i++)
    if (c->services[i] == s)
      return true;
  return c->n_services == 0;
}

static void lint_client(struct binder *b, const struct config_client *c)
{
  bool useful = false;
  if (!(c->grants & GRANT_CLIENT_CREDENTIALS))
    return;
  for (size_t i = 0; i < b->c->n_services; i++) {
    const struct config_service *s = &b->c->services[i];
    useful = useful || (serves(c, s) && has_clients_line(s));
  }
  if (!useful)
    report_lint(b->f, CONFIG_WARNING, c->at, "idle-client",
                "no service of the client '%s' has the line `auth sufficient clients`: its tokens "
                "would open nothing",
                c->name);
}

static void lint_clients_lines(struct binder *b)
{
  bool any = false;
  for (size_t i = 0; i < b->c->n_clients; i++)
    any = any || (b->c->clients[i].grants & GRANT_CLIENT_CREDENTIALS);
  for (size_t i = 0; !any && i < b->c->n_services; i++)
    if (has_clients_line(&b->c->services[i]))
      report_lint(b->f, CONFIG_WARNING, b->c->services[i].at, "no-clients",
                  "the stack of service '%s' names 'clients', but no client has the grant type "
                  "client_credentials",
                  b->c->services[i].name);
}

/* The cookies that bind a login to its browser need https; on loopback there is nobody between. */
static void lint_login_over_http(struct binder *b)
{
  const struct url *u = &b->c->public_parts;
  if (b->c->public_url && !u->https && !url_loopback(u))
    report_lint(b->f, CONFIG_ERROR, b->public_url_at, "plain-http-login",
                "people log in at '%s', where others could take over their logins: use https, or "
                "TLS in front of the hub",
                b->c->public_url);
}

static struct config_at proxy_at(const struct binder *b)
{
  for (const struct statement *s = b->hub->block->first; s; s = s->next)
    if (str_is(s->words[0].text, "egress_proxy"))
      return statement_at(s);
  return statement_at(b->hub);
}

/* A URL that a stranger wrote is safe to fetch where the hub sees the address that is connected to
 * (row 108).  Behind a proxy only the proxy sees it. */
static void lint_proxied(struct binder *b, bool people)
{
  struct config_oauth *o = &b->c->oauth;
  o->fetch_for_clients =
      b->c->egress_proxy == NULL || risk_accepted(&b->hub_risks, "proxied-documents");
  if (!o->fetch_for_clients && people && o->client_documents)
    report_lint(b->f, CONFIG_ERROR, proxy_at(b), "proxied-documents",
                "documents of clients lie at URLs that strangers choose, and behind the proxy the "
                "hub cannot see whether they lead into your own network: if the proxy refuses such "
                "addresses, accept this risk here; otherwise write `client_documents off` in the "
                "oauth block");
}

void bind_resolve_oauth(struct binder *b)
{
  struct config_oauth *o = &b->c->oauth;
  bool people = false;
  for (size_t i = 0; i < b->c->n_services; i++)
    people = people || config_can_log_in(&b->c->services[i]);
  if (people)
    lint_login_over_http(b);
  lint_proxied(b, people);
  if (b->judged)
    risks_end(b, &b->hub_risks);
  o->enabled = people || b->c->n_clients > 0;
  for (size_t i = 0; i < o->n_assertion_issuers; i++)
    o->assertion_issuers[i].provider = b->assertion_providers[i]->bound;
  for (size_t i = 0; i < b->c->n_clients; i++)
    lint_client(b, &b->c->clients[i]);
  lint_clients_lines(b);
}
