/* `client NAME { }`: clients that the administrator registers.  Called by bind.c. */
#include <string.h>

#include "config/binder.h"
#include "config/tables.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include "util/redirect.h"

enum { SECRET_LEAST = 16 };

struct service_list {
  const struct config_service **v;
  size_t n;
};

struct client_options {
  const char *text;
  const struct secret *secret;
  struct str keys;
  unsigned grants;
  struct config_words redirect_uris;
  struct scope_list scopes;
  struct service_list services;
  bool introspection;
};

static const struct {
  const char *name;
  unsigned grant;
} grant_names[] = {
    {"authorization_code", GRANT_CODE},
    {"refresh_token", GRANT_REFRESH},
    {"client_credentials", GRANT_CLIENT_CREDENTIALS},
    {"jwt-bearer", GRANT_ASSERTION},
};

static unsigned grant_of(struct binder *b, const struct word *word)
{
  const char *names[ARRAY_SIZE(grant_names)];
  for (size_t i = 0; i < ARRAY_SIZE(grant_names); i++) {
    if (str_is(word->text, grant_names[i].name))
      return grant_names[i].grant;
    names[i] = grant_names[i].name;
  }
  report_error(b->f, word->at, "there is no grant type '%s'%s", word->text.p,
               report_choices(b->scratch, word->text, names, ARRAY_SIZE(names)));
  return 0;
}

static void custom_grant_type(struct binder *b, const struct statement *s, void *target)
{
  if (s->n < 2)
    report_error(b->f, statement_at(s), "this must have the form `grant_type NAME ...`");
  for (size_t i = 1; i < s->n; i++)
    *(unsigned *)target |= grant_of(b, &s->words[i]);
}

static void custom_redirect_uri(struct binder *b, const struct statement *s, void *target)
{
  struct config_words *list = target;
  if (s->n < 2)
    report_error(b->f, statement_at(s), "this must have the form `redirect_uri URI ...`");
  for (size_t i = 1; i < s->n; i++) {
    struct redirect r;
    enum redirect_error bad = redirect_parse(s->words[i].text, true, &r);
    if (bad != REDIRECT_OK)
      report_error(b->f, s->words[i].at, "%s", redirect_error_text(bad));
    else if (list->n >= LIMIT_REDIRECT_URIS)
      report_error(b->f, s->words[i].at, "a client has at most %d redirect URIs",
                   LIMIT_REDIRECT_URIS);
    words_add(b, list, bind_dup(b, s->words[i].text));
  }
}

static void custom_service(struct binder *b, const struct statement *s, void *target)
{
  struct service_list *list = target;
  if (s->n < 2)
    report_error(b->f, statement_at(s), "this must have the form `service NAME ...`");
  for (size_t i = 1; i < s->n; i++) {
    const struct named *n = names_find(b, &b->services, &s->words[i]);
    const struct config_service **v = bind_alloc(b, list->n + 1, sizeof *v);
    if (n == NULL || v == NULL)
      continue;
    if (list->n)
      memcpy(v, list->v, list->n * sizeof *v);
    v[list->n] = n->bound;
    *list = (struct service_list){v, list->n + 1};
  }
}

static void custom_key(struct binder *b, const struct statement *s, void *target)
{
  if (statement_form(b, s, 1, 1, "key PATH"))
    *(struct str *)target = bind_read_file(b, &s->words[1], LIMIT_JWKS_BYTES);
}

#define AT(member) .offset = offsetof(struct client_options, member)

static const struct option_spec rows[] = {
    OPTION("text", MCPAUTH_STRING, "WORDS", "its name for people", AT(text)),
    OPTION("secret", MCPAUTH_SECRET, "SECRET",
           "what it proves itself with (client_secret_basic or client_secret_post)", AT(secret)),
    STATEMENT("key", custom_key, "PATH",
              "public keys that its assertions are verified with (private_key_jwt): JWK Set or PEM",
              AT(keys)),
    STATEMENT("grant_type", custom_grant_type, "NAME ...",
              "what it may do at /token: authorization_code, refresh_token, client_credentials, "
              "jwt-bearer; by default the first two with a redirect_uri, else client_credentials",
              AT(grants), .flags = MCPAUTH_REPEAT),
    STATEMENT("redirect_uri", custom_redirect_uri, "URI ...", "where logins may come back to",
              AT(redirect_uris), .flags = MCPAUTH_REPEAT),
    STATEMENT("scope", custom_scopes, "NAME ...", "the most that its tokens may have", AT(scopes),
              .flags = MCPAUTH_REPEAT),
    STATEMENT("service", custom_service, "NAME ...",
              "services that it may have tokens for; by default all", AT(services),
              .flags = MCPAUTH_REPEAT),
    OPTION("introspection", MCPAUTH_BOOL, "on|off",
           "whether it may ask about tokens of its services (RFC 7662)", AT(introspection),
           .fallback = "off"),
};
const struct block_rows client_rows = {"client", rows, ARRAY_SIZE(rows)};

static void judge(struct binder *b, const struct config_client *c)
{
  if (c->secret && c->keys.p)
    report_error(b->f, c->at, "client '%s' has both a secret and a key: one of them", c->name);
  if (c->secret && secret_expose(c->secret).n < SECRET_LEAST)
    report_error(b->f, c->at,
                 "the secret of client '%s' has less than %d bytes: it could be guessed", c->name,
                 SECRET_LEAST);
  if ((c->grants & GRANT_CODE) && c->redirect_uris.n == 0)
    report_error(b->f, c->at, "client '%s' logs people in, but has no redirect_uri", c->name);
  if ((c->grants & (GRANT_CLIENT_CREDENTIALS | GRANT_ASSERTION)) && c->proof == PROOF_NONE)
    report_error(b->f, c->at,
                 "client '%s' must prove who it is with a secret or a key: anybody could say its "
                 "name",
                 c->name);
  if (c->introspection && c->proof == PROOF_NONE)
    report_error(b->f, c->at, "client '%s' needs a secret or a key for introspection", c->name);
  for (size_t i = 0; i < c->redirect_uris.n && c->proof != PROOF_NONE; i++) {
    struct redirect r;
    if (redirect_parse(str_of(c->redirect_uris.v[i]), false, &r) == REDIRECT_PRIVATE)
      report_error(b->f, c->at, "client '%s': %s is for clients without a secret or key (RFC 8252)",
                   c->name, c->redirect_uris.v[i]);
  }
}

static void copy(struct binder *b, struct config_client *c, const struct client_options *o)
{
  c->text = o->text;
  c->secret = o->secret;
  c->keys = o->keys;
  c->proof = o->keys.p ? PROOF_KEY : o->secret ? PROOF_SECRET : PROOF_NONE;
  c->grants = o->grants            ? o->grants
              : o->redirect_uris.n ? GRANT_CODE | GRANT_REFRESH
              : o->introspection   ? 0
                                   : GRANT_CLIENT_CREDENTIALS;
  c->redirect_uris = o->redirect_uris;
  for (size_t i = 0; i < o->scopes.n; i++)
    words_add(b, &c->scopes, o->scopes.v[i]->name);
  c->services = o->services.v;
  c->n_services = o->services.n;
  c->introspection = o->introspection;
}

static void bind_client(struct binder *b, const struct named *n, struct config_client *c)
{
  struct client_options o = {0};
  size_t errors = b->f->report->errors;
  c->at = statement_at(n->s);
  c->name = n->name;
  options_open(b, n->s);
  options_bind(b, n->s, &(struct option_table){rows, ARRAY_SIZE(rows), &o}, 1);
  options_close(b);
  copy(b, c, &o);
  if (b->f->report->errors == errors)
    judge(b, c);
}

void bind_clients(struct binder *b)
{
  size_t n = b->clients.n;
  if (n > LIMIT_CLIENTS) {
    report_error(b->f, statement_at(b->clients.v[LIMIT_CLIENTS].s),
                 "there are more than %d clients", LIMIT_CLIENTS);
    return;
  }
  struct config_client *v = bind_alloc(b, n, sizeof *v);
  if (v == NULL)
    return;
  for (size_t i = 0; i < n; i++) {
    v[i].index = (unsigned)i;
    bind_client(b, &b->clients.v[i], &v[i]);
  }
  b->c->clients = v;
  b->c->n_clients = n;
}
