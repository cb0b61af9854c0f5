/* The consent page: who asks, where the answer goes, what may be done, and which way to sign in
 * (rows 93, 97, 98, 110, 117).  Everything on it that a stranger wrote is cleaned and escaped. */
#include "oauth/authorize.h"
#include "oauth/html.h"
#include "oauth/pages.h"
#include "util/redirect.h"

static struct str clean_name(const struct oauth_client *c, const struct page *p)
{
  struct buf b;
  buf_init(&b, KIB(4));
  html_name(&b, str_of(c->name));
  struct str name = b.n && !b.failed ? arena_str(p->x->rq->arena, buf_view(&b)) : STR("");
  buf_done(&b);
  return name.n ? name : str_of(text_raw(p->language, TEXT_UNNAMED));
}

static void fact(struct page *p, enum text term, struct str value, struct str small)
{
  page_text(p, "dt", NULL, term, NULL, 0);
  buf_puts(&p->b, "<dd><bdi>");
  html_text(&p->b, value);
  buf_puts(&p->b, "</bdi>");
  if (small.n) {
    buf_puts(&p->b, "<small><bdi>");
    html_text(&p->b, small);
    buf_puts(&p->b, "</bdi></small>");
  }
  buf_puts(&p->b, "</dd>\n");
}

static void provenance(struct page *p, const struct oauth_client *c)
{
  struct str host = str_of(c->host);
  switch (c->kind) {
  case CLIENT_CONFIGURED:
    page_text(p, "p", "soft", TEXT_FROM_ADMINISTRATOR, NULL, 0);
    return;
  case CLIENT_DOCUMENT:
    page_text(p, "p", "soft", TEXT_FROM_DOMAIN, &host, 1);
    return;
  case CLIENT_REGISTERED:
    break;
  }
  if (c->approved)
    page_text(p, "p", "soft", TEXT_APPROVED, NULL, 0);
  else
    page_text(p, "p", "warn", TEXT_UNVERIFIED, NULL, 0);
}

static void warnings(struct page *p, const struct redirect *r)
{
  if (r->kind == REDIRECT_KIND_LOOPBACK)
    page_text(p, "p", "warn", TEXT_LOOPBACK, NULL, 0);
  else if (r->kind == REDIRECT_KIND_PRIVATE)
    page_text(p, "p", "warn", TEXT_PRIVATE_SCHEME, &r->place, 1);
}

static void facts(struct page *p, const struct consent *c, struct str name,
                  const struct redirect *r)
{
  const struct config_service *s = c->service;
  bool own = c->client->kind == CLIENT_CONFIGURED;
  buf_puts(&p->b, "<dl>\n");
  fact(p, TEXT_APPLICATION, name, own ? STR("") : str_of(c->client->id));
  fact(p, TEXT_SERVICE, str_of(s->resource_name ? s->resource_name : s->name), str_of(s->resource));
  fact(p, TEXT_GOES_TO, r->place, c->transaction->redirect);
  buf_puts(&p->b, "</dl>\n");
  provenance(p, c->client);
  warnings(p, r);
}

/* ---- scopes */

int consent_withhold(struct oauth_exchange *x, const struct consent *c, const struct principal *who,
                     struct scope_choice *s)
{
  const struct config *config = x->oauth->o.config;
  struct arena *a = x->rq->arena;
  struct scope_set login, held, withheld;
  if (scopes_entitled(config, who, x->address, &s->offered, a, &held, &withheld) < 0)
    return -1;
  if (held.n == 0 && withheld.n) {
    struct str none = {NULL, 0};
    if (scopes_asked(config, c->service, &c->client->scopes, none, a, &login) < 0 ||
        scopes_entitled(config, who, x->address, &login, a, &held, NULL) < 0)
      return -1;
    if (held.n == 0)
      return 0;
  }
  s->offered = held;
  s->withheld = withheld;
  s->known = true;
  return 0;
}

/* SURE: whether she may have it needs no word. */
static void words(struct page *p, const struct config_scope *scope, bool sure)
{
  html_text(&p->b, str_of(scope->text));
  buf_puts(&p->b, " <code>");
  html_text(&p->b, str_of(scope->name));
  buf_puts(&p->b, "</code>");
  /* Who she is, is known after she has signed in. */
  if (scope->entitled && !sure) {
    buf_puts(&p->b, " <small>");
    text_html(&p->b, p->language, TEXT_IF_ENTITLED, NULL, 0);
    buf_puts(&p->b, "</small>");
  }
}

static void fixed_scopes(struct page *p, const struct consent *c)
{
  bool any = false;
  for (size_t i = 0; i < c->scopes.offered.n; i++) {
    if (!scopes_required(c->service, c->scopes.offered.v[i]))
      continue;
    if (!any) {
      page_text(p, "p", "soft", TEXT_SCOPES_FIXED, NULL, 0);
      buf_puts(&p->b, "<ul>\n");
    }
    any = true;
    buf_puts(&p->b, "<li>");
    words(p, c->scopes.offered.v[i], c->scopes.known);
    buf_puts(&p->b, "</li>\n");
  }
  buf_puts(&p->b, any ? "</ul>\n" : "");
}

static void chosen_scopes(struct page *p, const struct consent *c)
{
  for (size_t i = 0; i < c->scopes.offered.n; i++) {
    const struct config_scope *scope = c->scopes.offered.v[i];
    if (scopes_required(c->service, scope))
      continue;
    buf_puts(&p->b, "<label><input type=\"checkbox\" name=\"scope\" value=\"");
    html_text(&p->b, str_of(scope->name));
    buf_puts(&p->b, "\" checked><span>");
    words(p, scope, c->scopes.known);
    buf_puts(&p->b, "</span></label>\n");
  }
}

void consent_scope_list(struct page *p, const struct scope_set *set)
{
  buf_puts(&p->b, "<ul class=\"soft\">\n");
  for (size_t i = 0; i < set->n; i++) {
    buf_puts(&p->b, "<li>");
    words(p, set->v[i], true);
    buf_puts(&p->b, "</li>\n");
  }
  buf_puts(&p->b, "</ul>\n");
}

static void refused_scopes(struct page *p, const struct consent *c)
{
  if (c->scopes.refused.n) {
    page_text(p, "p", "soft", TEXT_NOT_OFFERED, NULL, 0);
    consent_scope_list(p, &c->scopes.refused);
  }
  if (c->scopes.withheld.n) {
    page_text(p, "p", "soft", TEXT_WITHHELD, NULL, 0);
    consent_scope_list(p, &c->scopes.withheld);
  }
  if (c->scopes.withheld.n && c->as_another.n)
    page_link(p, "another", c->as_another, TEXT_ANOTHER, false);
}

static void scopes(struct page *p, const struct consent *c)
{
  buf_puts(&p->b, "<fieldset>\n");
  page_text(p, "legend", NULL, TEXT_SCOPES, NULL, 0);
  if (c->scopes.offered.n == 0)
    page_text(p, "p", NULL, TEXT_SCOPES_NONE, NULL, 0);
  fixed_scopes(p, c);
  chosen_scopes(p, c);
  refused_scopes(p, c);
  buf_puts(&p->b, "</fieldset>\n");
}

/* ---- the answer */

static void buttons(struct page *p, const struct consent *c)
{
  const struct config_provider *v[AUTHORIZE_PROVIDERS];
  size_t n = authorize_providers(c->service, v, AUTHORIZE_PROVIDERS);
  for (size_t i = 0; i < n; i++) {
    struct str name = str_of(authorize_provider_name(v[i]));
    buf_puts(&p->b, "<button class=\"main\" name=\"login\" value=\"");
    html_text(&p->b, str_of(v[i]->name));
    buf_puts(&p->b, "\">");
    text_html(&p->b, p->language, n > 1 ? TEXT_ALLOW_WITH : TEXT_ALLOW, &name, 1);
    buf_puts(&p->b, "</button>\n");
  }
  buf_puts(&p->b, "<button name=\"cancel\" value=\"1\">");
  text_html(&p->b, p->language, TEXT_CANCEL, NULL, 0);
  buf_puts(&p->b, "</button>\n");
  page_text(p, "p", "soft", TEXT_CANCEL_HINT, NULL, 0);
}

static void form(struct page *p, const struct consent *c, struct str sealed)
{
  buf_puts(&p->b, "<form method=\"post\" action=\"/consent\">\n"
                  "<input type=\"hidden\" name=\"form\" value=\"");
  html_text(&p->b, sealed);
  buf_puts(&p->b, "\">\n");
  scopes(p, c);
  buf_puts(&p->b, "<label><input type=\"checkbox\" name=\"remember\" value=\"1\"><span>");
  text_html(&p->b, p->language, TEXT_REMEMBER, NULL, 0);
  buf_puts(&p->b, "</span></label>\n");
  buttons(p, c);
  buf_puts(&p->b, "</form>\n");
}

void consent_page(struct oauth_exchange *x, const struct consent *c)
{
  struct page p;
  struct redirect r;
  struct buf sealed;
  struct str service =
      str_of(c->service->resource_name ? c->service->resource_name : c->service->name);
  buf_init(&sealed, KIB(16));
  if (redirect_parse(c->transaction->redirect, true, &r) != REDIRECT_OK ||
      transaction_seal(x->oauth, TRANSACTION_FORM, c->transaction, &sealed, NULL) < 0) {
    page_ours(x, 500, "the consent page could not be made");
    buf_done(&sealed);
    return;
  }
  page_begin(&p, x, TEXT_CONSENT_TITLE, &service, 1);
  p.has_form = true;
  struct str name = clean_name(c->client, &p), who[] = {name, service};
  if (c->another)
    page_text(&p, "p", "warn", TEXT_SIGNED_IN_AS_ANOTHER, NULL, 0);
  page_text(&p, "p", NULL, TEXT_CONSENT_LEAD, who, 2);
  facts(&p, c, name, &r);
  form(&p, c, buf_view(&sealed));
  page_send(&p, 200, NULL, 0);
  buf_done(&sealed);
}
