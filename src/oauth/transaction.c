/* Sealed login state; see transaction.h. */
#include "oauth/transaction.h"

#include <string.h>
#include <sys/random.h>

#include "store/keyring.h"
#include "util/base64url.h"
#include "util/clock.h"
#include "util/digest.h"

enum { SEALED_MAX = 8192, PERSON_S = 30 * 86400 };

static const char *const labels[] = {
    [TRANSACTION_FORM] = "login form", [TRANSACTION_STATE] = "login state"};
static const char cookie_label[] = "login cookie", person_label[] = "login person";

int transaction_id(struct arena *a, struct str *ret)
{
  char *id = arena_alloc(a, TRANSACTION_ID);
  if (id == NULL || getrandom(id, TRANSACTION_ID, 0) != TRANSACTION_ID)
    return -1;
  *ret = (struct str){id, TRANSACTION_ID};
  return 0;
}

/* ---- members as bytes: two of length, then the text; 0xffff: there is none */

enum { ABSENT = 0xffff };

static void pack(struct buf *b, struct str s)
{
  unsigned n = s.p ? (unsigned)s.n : ABSENT;
  if (s.n >= ABSENT)
    b->failed = true;
  buf_putc(b, (char)(n >> 8));
  buf_putc(b, (char)(n & 0xff));
  if (s.p)
    buf_str(b, s);
}

static int unpack(struct str *rest, struct str *ret)
{
  if (rest->n < 2)
    return -1;
  size_t n = (size_t)(unsigned char)rest->p[0] << 8 | (unsigned char)rest->p[1];
  *rest = str_slice(*rest, 2, rest->n);
  *ret = (struct str){NULL, 0};
  if (n == ABSENT)
    return 0;
  if (n > rest->n)
    return -1;
  *ret = (struct str){rest->p ? rest->p : "", n};
  *rest = str_slice(*rest, n, rest->n);
  return 0;
}

/* The members that are texts, in the order in which they travel. */
enum { MEMBERS = 15 };

static void texts_of(struct transaction *t, struct str *v[MEMBERS])
{
  struct str *const all[MEMBERS] = {&t->id,         &t->client,  &t->digest,    &t->redirect,
                                    &t->registered, &t->state,   &t->challenge, &t->resource,
                                    &t->service,    &t->scopes,  &t->refused,   &t->provider,
                                    &t->issuer,     &t->subject, &t->hint};
  memcpy(v, all, sizeof all);
}

static void pack_transaction(struct buf *b, const struct transaction *from, int64_t expires_at)
{
  struct transaction t = *from;
  struct str *v[MEMBERS];
  texts_of(&t, v);
  for (int shift = 56; shift >= 0; shift -= 8)
    buf_putc(b, (char)(expires_at >> shift & 0xff));
  buf_putc(b, (char)((t.remember ? 1 : 0) | (t.again ? 2 : 0) | (t.denied ? 4 : 0)));
  for (size_t i = 0; i < MEMBERS; i++)
    pack(b, *v[i]);
}

static int unpack_transaction(struct str rest, struct transaction *ret)
{
  struct transaction t = {.expires_at = 0};
  struct str *v[MEMBERS];
  if (rest.n < 9)
    return -1;
  for (size_t i = 0; i < 8; i++)
    t.expires_at = t.expires_at << 8 | (unsigned char)rest.p[i];
  t.remember = rest.p[8] & 1;
  t.again = (rest.p[8] & 2) != 0;
  t.denied = (rest.p[8] & 4) != 0;
  rest = str_slice(rest, 9, rest.n);
  texts_of(&t, v);
  for (size_t i = 0; i < MEMBERS; i++)
    if (unpack(&rest, v[i]) < 0)
      return -1;
  if (rest.n || t.id.n != TRANSACTION_ID)
    return -1;
  *ret = t;
  return 0;
}

size_t transaction_size(const struct transaction *from)
{
  struct transaction t = *from;
  struct str *v[MEMBERS];
  size_t n = 9 + KEYRING_SEAL_OVERHEAD;
  texts_of(&t, v);
  for (size_t i = 0; i < MEMBERS; i++)
    n += 2 + v[i]->n;
  return (n * 4 + 2) / 3;
}

/* ---- sealing */

static int seal_text(const struct oauth *o, const char *label, struct str text, struct buf *out,
                     struct err *e)
{
  CLEANUP(buf_done) struct buf sealed;
  buf_init(&sealed, SEALED_MAX);
  if (keyring_seal(o->o.keys, label, str_of(o->issuer), text, &sealed, e) < 0)
    return -1;
  return base64url_encode(out, buf_view(&sealed)) < 0 ? err_set(e, "too long") : 0;
}

/* In ARENA; .p NULL when it does not open. */
static struct str open_text(const struct oauth *o, const char *label, struct str text,
                            struct arena *a)
{
  struct str none = {NULL, 0};
  size_t n;
  if (text.n == 0 || text.n > SEALED_MAX)
    return none;
  char *sealed = arena_alloc(a, text.n);
  CLEANUP(buf_wipe) struct buf plain;
  buf_init(&plain, SEALED_MAX);
  if (sealed == NULL || base64url_decode(text, sealed, text.n, &n) < 0 ||
      keyring_open(o->o.keys, label, str_of(o->issuer), (struct str){sealed, n}, &plain) < 0)
    return none;
  return arena_str(a, buf_view(&plain));
}

int transaction_seal(const struct oauth *o, enum transaction_kind kind, const struct transaction *t,
                     struct buf *out, struct err *e)
{
  CLEANUP(buf_wipe) struct buf plain;
  buf_init(&plain, SEALED_MAX);
  pack_transaction(&plain, t,
                   clock_wall() +
                       (kind == TRANSACTION_FORM ? TRANSACTION_FORM_S : TRANSACTION_STATE_S));
  if (plain.failed)
    return err_set(e, "the request is too long");
  return seal_text(o, labels[kind], buf_view(&plain), out, e);
}

enum transaction_status transaction_open(const struct oauth *o, enum transaction_kind kind,
                                         struct str text, struct arena *a, struct transaction *ret)
{
  struct transaction t;
  struct str plain = open_text(o, labels[kind], text, a);
  if (plain.p == NULL || unpack_transaction(plain, &t) < 0)
    return TRANSACTION_BAD;
  if (clock_wall() >= t.expires_at)
    return TRANSACTION_EXPIRED;
  *ret = t;
  return TRANSACTION_GOOD;
}

/* ---- what is derived from the id */

/* base64url (SHA-256 (LABEL, TEXT)): 43 characters */
static void derive(const char *label, struct str text, char out[TRANSACTION_DERIVED])
{
  unsigned char hash[SHA256_SIZE];
  CLEANUP(buf_wipe) struct buf both;
  CLEANUP(buf_done) struct buf b;
  buf_init(&both, KIB(1));
  buf_init(&b, TRANSACTION_DERIVED);
  buf_puts(&both, label);
  buf_str(&both, text);
  /* Without a hash there is no login: the empty text matches nothing. */
  if (both.failed || sha256(buf_view(&both), hash) < 0 ||
      base64url_encode(&b, (struct str){(char *)hash, sizeof hash}) < 0)
    buf_clear(&b);
  memset(out, 0, TRANSACTION_DERIVED);
  if (b.n < TRANSACTION_DERIVED)
    memcpy(out, b.p ? b.p : "", b.n);
}

void transaction_nonce(const struct transaction *t, char out[TRANSACTION_DERIVED])
{
  derive("mcpauth login nonce", t->id, out);
}

void transaction_verifier(const struct transaction *t, char out[TRANSACTION_DERIVED])
{
  derive("mcpauth login verifier", t->id, out);
}

void transaction_challenge(const struct transaction *t, char out[TRANSACTION_DERIVED])
{
  char verifier[TRANSACTION_DERIVED];
  transaction_verifier(t, verifier);
  derive("", str_of(verifier), out);
}

/* ---- cookies */

/* On http, which is loopback, a browser takes neither __Host- nor Secure (oauth_new warns). */
static bool secure(const struct oauth *o)
{
  return o->o.config->public_parts.https;
}

/* One cookie a login, so that two in one browser do not disturb each other (row 96). */
static const char *cookie_name(const struct oauth *o, const struct transaction *t, struct arena *a)
{
  char mark[TRANSACTION_DERIVED];
  derive("mcpauth login cookie", t->id, mark);
  return arena_printf(a, "%smcpauth-login-%.12s", secure(o) ? "__Host-" : "", mark);
}

static const char *person_name(const struct oauth *o)
{
  return secure(o) ? "__Host-mcpauth-person" : "mcpauth-person";
}

enum { COOKIE_OF_SESSION = -1 };

static const char *set_cookie(const struct oauth *o, const char *name, struct str value,
                              int seconds, struct arena *a)
{
  const char *age = seconds == COOKIE_OF_SESSION ? "" : arena_printf(a, "; Max-Age=%d", seconds);
  return name == NULL || age == NULL
             ? NULL
             : arena_printf(a, "%s=%.*s; Path=/%s; HttpOnly; SameSite=Lax%s", name, STR_ARG(value),
                            age, secure(o) ? "; Secure" : "");
}

const char *transaction_cookie(const struct oauth *o, const struct transaction *t, struct arena *a)
{
  CLEANUP(buf_done) struct buf value;
  buf_init(&value, SEALED_MAX);
  if (seal_text(o, cookie_label, t->id, &value, NULL) < 0)
    return NULL;
  return set_cookie(o, cookie_name(o, t, a), buf_view(&value), TRANSACTION_STATE_S, a);
}

const char *transaction_uncookie(const struct oauth *o, const struct transaction *t,
                                 struct arena *a)
{
  return set_cookie(o, cookie_name(o, t, a), STR(""), 0, a);
}

bool transaction_has_cookie(const struct oauth_exchange *x, const struct transaction *t)
{
  struct arena *a = x->rq->arena;
  const char *name = cookie_name(x->oauth, t, a);
  if (name == NULL)
    return false;
  struct str id = open_text(x->oauth, cookie_label, exchange_cookie(x, name), a);
  return id.n == TRANSACTION_ID && t->id.n == TRANSACTION_ID && bytes_eq(id, t->id);
}

const char *person_cookie(const struct oauth *o, const struct person *p, struct arena *a)
{
  CLEANUP(buf_wipe) struct buf plain;
  CLEANUP(buf_done) struct buf value;
  buf_init(&plain, SEALED_MAX);
  buf_init(&value, SEALED_MAX);
  pack(&plain, p->issuer);
  pack(&plain, p->subject);
  pack(&plain, p->provider);
  pack(&plain, p->remembered ? STR("1") : STR(""));
  if (plain.failed || seal_text(o, person_label, buf_view(&plain), &value, NULL) < 0)
    return NULL;
  return set_cookie(o, person_name(o), buf_view(&value),
                    p->remembered ? PERSON_S : COOKIE_OF_SESSION, a);
}

bool person_read(const struct oauth_exchange *x, struct arena *a, struct person *ret)
{
  struct person p;
  struct str remembered;
  struct str plain =
      open_text(x->oauth, person_label, exchange_cookie(x, person_name(x->oauth)), a);
  if (plain.p == NULL || unpack(&plain, &p.issuer) < 0 || unpack(&plain, &p.subject) < 0 ||
      unpack(&plain, &p.provider) < 0 || unpack(&plain, &remembered) < 0 || plain.n ||
      p.issuer.n == 0 || p.subject.n == 0)
    return false;
  p.remembered = str_is(remembered, "1");
  *ret = p;
  return true;
}
