/* The statements of a service about the server behind it and about what travels between: upstream,
 * upstream_auth, accept, forward_header, forward_query, return_header.  Called through the table in
 * bind_service.c. */
#include <string.h>
#include <sys/un.h>

#include "config/bind_service.h"
#include "config/header_names.h"
#include "config/secrets.h"
#include "util/cleanup.h"

/* ---- upstream */

static void check_socket(struct binder *b, const struct word *word)
{
  struct err e = {""};
  struct sockaddr_un a;
  struct str path = str_slice(word->text, 5, word->text.n);
  if (value_path(path, &e) < 0)
    report_error(b->f, word->at, "'upstream unix:' %s", e.text);
  else if (path.n >= sizeof a.sun_path)
    report_error(b->f, word->at, "the path of a socket has at most %zu bytes",
                 sizeof a.sun_path - 1);
}

static void set_url(struct binder *b, const struct word *word, struct service_options *o)
{
  struct err e = {""};
  struct config_upstream *up = &o->upstream;
  up->url = bind_dup(b, word->text);
  o->upstream_at = word->at;
  if (value_url(str_of(up->url), &up->parts, &e) < 0)
    report_error(b->f, word->at, "'upstream' %s", e.text);
  else if (up->parts.query.p)
    report_error(b->f, word->at, "'upstream' must not have a query");
  else if (up->unix_socket && up->parts.https)
    report_error(b->f, word->at, "an upstream on a unix socket is plain: http://NAME/PATH");
}

void custom_upstream(struct binder *b, const struct statement *s, void *target)
{
  struct service_options *o = target;
  if (!statement_form(b, s, 1, 2, "upstream URL` or `upstream unix:PATH http://NAME/PATH"))
    return;
  bool socket = str_starts(s->words[1].text, "unix:");
  if (socket != (s->n == 3)) {
    report_error(b->f, s->words[1].at,
                 "this must have the form `upstream URL` or `upstream unix:PATH http://NAME/PATH`");
    return;
  }
  if (socket) {
    check_socket(b, &s->words[1]);
    o->upstream.unix_socket = bind_dup(b, s->words[1].text) + 5;
  }
  set_url(b, &s->words[s->n - 1], o);
}

void custom_upstream_auth(struct binder *b, const struct statement *s, void *target)
{
  struct service_options *o = target;
  struct config_upstream *up = &o->upstream;
  struct err e = {""};
  static const char form[] = "upstream_auth none` or `upstream_auth bearer SECRET` or "
                             "`upstream_auth header NAME SECRET` or `upstream_auth assertion` or "
                             "`upstream_auth user_token PROVIDER";
  if (!statement_form(b, s, 1, 3, form))
    return;
  struct str kind = s->words[1].text;
  if (str_is(kind, "user_token") && s->n == 3) {
    up->auth = UPSTREAM_AUTH_USER_TOKEN;
    o->user_token = &s->words[2];
  } else if (str_is(kind, "none") && s->n == 2) {
    up->auth = UPSTREAM_AUTH_NONE;
  } else if (str_is(kind, "assertion") && s->n == 2) {
    up->auth = UPSTREAM_AUTH_ASSERTION;
  } else if (str_is(kind, "bearer") && s->n == 3) {
    up->auth = UPSTREAM_AUTH_BEARER;
    up->auth_secret = secrets_resolve_header(b, &s->words[2]);
  } else if (str_is(kind, "header") && s->n == 4) {
    up->auth = UPSTREAM_AUTH_HEADER;
    up->auth_header = bind_dup(b, s->words[2].text);
    if (header_name_check(s->words[2].text, HEADER_INJECT, &e) < 0)
      report_error(b->f, s->words[2].at, "%s", e.text);
    up->auth_secret = secrets_resolve_header(b, &s->words[3]);
  } else {
    report_error(b->f, s->words[1].at, "this must have the form `%s`", form);
  }
}

/* ---- accept */

static bool same_accept(const struct config_accept *x, const struct config_accept *y)
{
  if (x->kind != y->kind)
    return false;
  return x->name == NULL || (x->kind == ACCEPT_QUERY ? strcmp(x->name, y->name) == 0
                                                     : str_iis(str_of(x->name), y->name));
}

static void add_accept(struct binder *b, const struct statement *s, struct accept_list *list,
                       const struct config_accept *accept)
{
  for (size_t i = 0; i < list->n; i++)
    if (same_accept(&list->v[i], accept)) {
      report_error(b->f, s->words[1].at, "this is accepted already");
      return;
    }
  struct config_accept *v = bind_alloc(b, list->n + 1, sizeof *v);
  if (v == NULL)
    return;
  if (list->n)
    memcpy(v, list->v, list->n * sizeof *v);
  v[list->n] = *accept;
  list->v = v;
  list->n++;
}

static void accept_named(struct binder *b, const struct statement *s, struct config_accept *a)
{
  struct err e = {""};
  a->name = bind_dup(b, s->words[2].text);
  int r = a->kind == ACCEPT_HEADER ? header_name_check(s->words[2].text, HEADER_CREDENTIAL, &e)
                                   : query_name_check(s->words[2].text, &e);
  if (r < 0)
    report_error(b->f, s->words[2].at, "%s", e.text);
  else if (a->kind == ACCEPT_QUERY)
    lint_warning(b, "query-credential", s->words[1].at,
                 "a credential in the URL is seen by every proxy, log and history on the way");
}

void custom_accept(struct binder *b, const struct statement *s, void *target)
{
  struct service_options *o = target;
  static const char *const words[] = {"bearer", "basic", "header", "query"};
  static const char form[] = "accept bearer` or `accept basic` or `accept header NAME` or "
                             "`accept query NAME";
  struct config_accept a = {.kind = ACCEPT_BEARER};
  size_t i = 0;
  if (!statement_form(b, s, 1, 2, form))
    return;
  while (i < ARRAY_SIZE(words) && !str_is(s->words[1].text, words[i]))
    i++;
  if (i == ARRAY_SIZE(words)) {
    report_error(b->f, s->words[1].at, "there is no credential '%s'%s", s->words[1].text.p,
                 report_choices(b->scratch, s->words[1].text, words, ARRAY_SIZE(words)));
    return;
  }
  a.kind = (enum accept_kind)(ACCEPT_BEARER + i);
  if ((a.kind == ACCEPT_HEADER || a.kind == ACCEPT_QUERY) != (s->n == 3)) {
    report_error(b->f, s->words[1].at, "this must have the form `%s`", form);
    return;
  }
  if (s->n == 3)
    accept_named(b, s, &a);
  add_accept(b, s, &o->accept, &a);
}

/* ---- names that are passed on */

static void add_names(struct binder *b, const struct statement *s, struct config_words *list,
                      enum header_use use)
{
  if (s->n < 2)
    report_error(b->f, statement_at(s), "'%s' takes one name or more", s->words[0].text.p);
  for (size_t i = 1; i < s->n; i++) {
    struct err e = {""};
    struct word word = s->words[i];
    if ((use ? header_name_check(word.text, use, &e) : query_name_check(word.text, &e)) < 0)
      report_error(b->f, word.at, "%s", e.text);
    for (size_t k = 0; k < list->n; k++)
      if (use ? str_iis(word.text, list->v[k]) : str_is(word.text, list->v[k]))
        report_error(b->f, word.at, "'%s' is listed twice", word.text.p);
    words_add(b, list, bind_dup(b, word.text));
  }
}

void custom_forward_header(struct binder *b, const struct statement *s, void *target)
{
  add_names(b, s, target, HEADER_FORWARD);
}

void custom_return_header(struct binder *b, const struct statement *s, void *target)
{
  add_names(b, s, target, HEADER_RETURN);
}

void custom_forward_query(struct binder *b, const struct statement *s, void *target)
{
  add_names(b, s, target, 0);
}

/* ---- rules between them */

/* A credential that is accepted must not reach the upstream by another statement (invariant 4). */
static void check_leak(struct binder *b, const struct service_options *o,
                       const struct config_accept *a)
{
  const struct config_words *w = a->kind == ACCEPT_HEADER ? &o->forward_header : &o->forward_query;
  if (a->name == NULL)
    return;
  for (size_t i = 0; i < w->n; i++)
    if (a->kind == ACCEPT_HEADER ? str_iis(str_of(a->name), w->v[i])
                                 : strcmp(a->name, w->v[i]) == 0)
      report_error(b->f, o->service->at,
                   "'%s' carries the caller's credential: it cannot be forwarded", a->name);
}

static void finish_audience(struct binder *b, struct service_options *o)
{
  struct config_upstream *up = &o->upstream;
  bool wanted = up->identity == IDENTITY_ASSERTION || up->auth == UPSTREAM_AUTH_ASSERTION;
  if (up->audience && !wanted)
    report_error(b->f, o->service->at,
                 "'upstream_audience' is said in assertions only: add `identity assertion` or "
                 "`upstream_auth assertion`");
  if (up->audience == NULL)
    up->audience = up->url;
}

void upstream_finish(struct binder *b, struct service_options *o)
{
  const struct config_upstream *up = &o->upstream;
  finish_audience(b, o);
  for (size_t i = 0; i < o->accept.n; i++)
    check_leak(b, o, &o->accept.v[i]);
  if (up->auth_header)
    for (size_t i = 0; i < o->forward_header.n; i++)
      if (str_iis(str_of(up->auth_header), o->forward_header.v[i]))
        report_error(b->f, o->service->at,
                     "'%s' is set by upstream_auth: it cannot be forwarded too", up->auth_header);
  if (up->url && up->parts.host.n && !up->parts.https && !up->unix_socket &&
      !url_loopback(&up->parts))
    lint(b, "plain-http-upstream", o->upstream_at,
         "calls%s would travel in clear text to %s: use https",
         up->auth != UPSTREAM_AUTH_NONE ? " and the upstream's credential" : "", up->url);
}
