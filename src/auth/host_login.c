/* The functions that providers get for logging a person in (include/mcpauth/provider.h): what is
 * asked of them, where the browser goes, the tokens that came back, and the encoding of forms. They
 * are the host table's (host.c).  As there, what a provider passes is judged, and misuse makes the
 * answer ERROR. */
#include <stdlib.h>
#include <string.h>

#include "auth/call.h"
#include "util/cleanup.h"
#include "util/json.h"
#include "util/limits.h"

const struct mcpauth_login *host_login(struct mcpauth_request *rq)
{
  return rq->spec.login ? &rq->login : NULL;
}

const struct mcpauth_tokens *host_tokens(struct mcpauth_request *rq)
{
  return rq->spec.tokens ? &rq->tokens : NULL;
}

static int refused(struct mcpauth_request *rq, const char *why)
{
  call_misuse(rq, "%s", why);
  return -1;
}

/* A copy of TEXT in *AT, in place of what was there. */
static int put(char **at, const char *text)
{
  char *copy = text ? strdup(text) : NULL;
  if (text && copy == NULL)
    return -1;
  if (*at)
    explicit_bzero(*at, strlen(*at));
  free(*at);
  *at = copy;
  return 0;
}

/* ---- where the browser goes */

int host_login_redirect(struct mcpauth_request *rq, const char *text)
{
  struct url url;
  struct err e = {""};
  if (rq->spec.kind != CALL_LOGIN_BEGIN)
    return refused(rq, "login_redirect belongs to login_begin");
  if (text == NULL || strnlen(text, LIMIT_LOGIN_URL + 1) > LIMIT_LOGIN_URL)
    return refused(rq, "login_redirect: no URL, or one that is too long");
  if (url_parse(str_of(text), &url, &e) < 0) {
    call_misuse(rq, "login_redirect: the URL %s", e.text);
    return -1;
  }
  if (!url.https && !url_loopback(&url))
    return refused(rq, "login_redirect: http off loopback");
  struct call_said *said = call_say(rq);
  return said && put(&said->redirect, text) == 0 ? 0 : refused(rq, "out of memory");
}

/* ---- tokens */

/* RFC 6749 appendix A: VSCHAR, and not nothing. */
static bool is_token(const char *s)
{
  size_t n = strnlen(s, LIMIT_LOGIN_TOKEN + 1);
  if (n == 0 || n > LIMIT_LOGIN_TOKEN)
    return false;
  for (size_t i = 0; i < n; i++)
    if (s[i] < 0x20 || s[i] > 0x7e)
      return false;
  return true;
}

static bool is_extra(const char *s)
{
  size_t n = strnlen(s, LIMIT_LOGIN_EXTRA + 1);
  if (n > LIMIT_LOGIN_EXTRA)
    return false;
  CLEANUP(json_drop)
  json_t *j = json_parse((struct str){s, n}, LIMIT_JWT_DEPTH, LIMIT_JWT_VALUES, NULL);
  return json_is_object(j);
}

static const char *unusable(const struct mcpauth_tokens *t)
{
  if (t == NULL)
    return "set_tokens: nothing";
  if ((t->access_token && !is_token(t->access_token)) ||
      (t->refresh_token && !is_token(t->refresh_token)))
    return "set_tokens: a token that is empty, too long or not printable";
  if (t->access_expires_at < 0)
    return "set_tokens: a negative time";
  if (t->extra && !is_extra(t->extra))
    return "set_tokens: extra is no JSON object of at most 4 KiB";
  return NULL;
}

int host_set_tokens(struct mcpauth_request *rq, const struct mcpauth_tokens *t)
{
  const struct mcpauth_tokens *old = &rq->tokens; /* empty but in a refresh */
  const char *why = unusable(t);
  if (rq->spec.kind != CALL_LOGIN_FINISH && rq->spec.kind != CALL_REFRESH)
    why = "set_tokens belongs to login_finish and refresh";
  if (why)
    return refused(rq, why);
  struct call_said *said = call_say(rq);
  if (said == NULL || put(&said->access_token, t->access_token) < 0 ||
      put(&said->refresh_token, t->refresh_token ? t->refresh_token : old->refresh_token) < 0 ||
      put(&said->extra, t->extra ? t->extra : old->extra) < 0)
    return refused(rq, "out of memory");
  said->access_expires_at = t->access_expires_at;
  said->has_tokens = true;
  return 0;
}

/* ---- forms */

/* The URL standard's application/x-www-form-urlencoded, byte by byte. */
static char *encode(char *to, const char *s)
{
  static const char hex[] = "0123456789ABCDEF";
  for (; *s; s++) {
    unsigned char c = (unsigned char)*s;
    if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
        strchr("*-._", c)) {
      *to++ = *s;
    } else if (c == ' ') {
      *to++ = '+';
    } else {
      *to++ = '%';
      *to++ = hex[c >> 4];
      *to++ = hex[c & 15];
    }
  }
  return to;
}

const char *host_form(struct mcpauth_request *rq, const struct mcpauth_list *pairs)
{
  size_t n = 1;
  if (pairs == NULL || pairs->n % 2 || (pairs->n && pairs->v == NULL))
    return NULL;
  for (size_t i = 0; i < pairs->n; i += 2) {
    if (pairs->v[i] == NULL)
      return NULL;
    if (pairs->v[i + 1])
      n += 3 * (strlen(pairs->v[i]) + strlen(pairs->v[i + 1])) + 2;
  }
  char *text = arena_alloc(rq->arena, n), *at = text;
  for (size_t i = 0; text && i < pairs->n; i += 2) {
    if (pairs->v[i + 1] == NULL)
      continue;
    if (at > text)
      *at++ = '&';
    at = encode(at, pairs->v[i]);
    *at++ = '=';
    at = encode(at, pairs->v[i + 1]);
  }
  return text;
}
