/* Looking the person up whom a browser remembers; see known.h. */
#include "oauth/known.h"

#include "auth/hub_token.h"
#include "oauth/work.h"
#include "ops/log.h"

struct known {
  struct work work;
  known_fn *done; /* the loop's, as ARG */
  void *arg;
  struct store_task *task;
  const struct config_provider *provider;
  struct store_consent consent;
  int64_t age_s; /* the oldest answer of the provider that counts */
  bool look_for_consent, agreed, found;
  struct store_grant grant;
};

static int look(void *arg, struct store_db *db)
{
  struct known *k = arg;
  const struct store_consent *c = &k->consent;
  enum store_result r =
      store_grant_newest(db, str_of(k->provider->name), c->issuer, c->subject, c->service,
                         store_time(db) - k->age_s, k->work.arena, &k->grant);
  k->found = r == STORE_OK;
  if (r != STORE_FAILED && k->look_for_consent) {
    r = store_consent_covers(db, c);
    k->agreed = r == STORE_OK;
  }
  return work_end(&k->work, r);
}

static struct principal *principal_of(const struct known *k)
{
  struct err e = {""};
  const struct hub_person of = {.issuer = k->grant.issuer,
                                .subject = k->grant.subject,
                                .client = STR(""),
                                .scope = STR(""),
                                .claims = k->grant.principal};
  struct principal *who = hub_principal(k->provider, &of, &e);
  if (who == NULL)
    log_warn("grant %.*s: %s", STR_ARG(k->grant.id), e.text);
  return who;
}

static void looked(void *arg, bool stored)
{
  struct known *k = arg;
  struct principal *who = stored && k->found ? principal_of(k) : NULL;
  k->done(k->arg, stored && k->agreed, who);
  principal_unref(who);
}

struct known *known_find(struct oauth *o, const struct known_question *q, known_fn *done, void *arg)
{
  struct known *k = work_new_of(o, struct known);
  const struct transaction *t = q->transaction;
  if (k == NULL)
    return NULL;
  k->done = done;
  k->arg = arg;
  k->provider = q->provider;
  k->look_for_consent = q->consent;
  k->age_s = o->o.config->oauth.access_token_lifetime_ms / 1000;
  k->consent = (struct store_consent){
      .issuer = work_str(&k->work, q->person->issuer),
      .subject = work_str(&k->work, q->person->subject),
      .client = work_str(&k->work, t->client),
      .redirect = work_str(&k->work, t->registered.p ? t->registered : t->redirect),
      .service = work_str(&k->work, t->service),
      .scopes = work_str(&k->work, t->scopes)};
  const struct store_consent *c = &k->consent;
  if (c->issuer.p && c->subject.p && c->client.p && c->redirect.p && c->service.p && c->scopes.p)
    k->task = store_submit(o->o.store, STORE_READ, look, looked, work_free, k);
  if (k->task)
    return k;
  work_free(k);
  return NULL;
}

void known_cancel(struct known *k)
{
  store_cancel(k->task);
}
