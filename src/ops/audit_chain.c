/* Form and chain of audit records; see audit_chain.h. */
#include <config.h>

#include "ops/audit_chain.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>

#include "util/base64url.h"
#include "util/limits.h"

struct audit_hmac {
  EVP_MAC *mac;
  EVP_MAC_CTX *context;
};

void audit_hmac_free(struct audit_hmac *h)
{
  if (h == NULL)
    return;
  EVP_MAC_CTX_free(h->context);
  EVP_MAC_free(h->mac);
  free(h);
}

struct audit_hmac *audit_hmac_new(const unsigned char key[32], struct err *e)
{
  char digest[] = "SHA256";
  OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                         OSSL_PARAM_construct_end()};
  struct audit_hmac *h = calloc(1, sizeof *h);
  if (h == NULL)
    goto failed;
  h->mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
  h->context = h->mac ? EVP_MAC_CTX_new(h->mac) : NULL;
  if (h->context && EVP_MAC_init(h->context, key, 32, params) == 1)
    return h;
failed:
  audit_hmac_free(h);
  err_set(e, "cannot set up HMAC-SHA-256");
  return NULL;
}

int audit_hmac_step(struct audit_hmac *h, const unsigned char previous[AUDIT_MAC], struct str bytes,
                    unsigned char ret_mac[AUDIT_MAC])
{
  unsigned char mac[AUDIT_MAC];
  size_t n = 0;
  /* Without a key, init starts again with the one that is set. */
  if (EVP_MAC_init(h->context, NULL, 0, NULL) != 1 ||
      EVP_MAC_update(h->context, previous, AUDIT_MAC) != 1 ||
      EVP_MAC_update(h->context, (const unsigned char *)bytes.p, bytes.n) != 1 ||
      EVP_MAC_final(h->context, mac, &n, sizeof mac) != 1 || n != sizeof mac)
    return -1;
  memcpy(ret_mac, mac, sizeof mac);
  return 0;
}

static bool all_of(struct str s, const char *extra, bool upper)
{
  for (size_t i = 0; i < s.n; i++) {
    char c = s.p[i];
    bool ok = (c >= 'a' && c <= 'z') || (upper && c >= 'A' && c <= 'Z') ||
              (upper && c >= '0' && c <= '9') || (c != 0 && strchr(extra, c) != NULL);
    if (!ok)
      return false;
  }
  return true;
}

bool audit_writer_valid(struct str name)
{
  return name.n > 0 && name.n <= AUDIT_WRITER_MAX && all_of(name, "._-", true);
}

static bool event_valid(struct str event)
{
  return event.n > 0 && event.n <= AUDIT_EVENT_MAX && all_of(event, "_", false);
}

static bool id_valid(struct str id)
{
  return id.n <= AUDIT_ID_MAX && all_of(id, "._-:+/=", true);
}

/* Whoever writes members escapes; a raw control byte would end the line, so it ends here. */
static bool one_line(struct str s)
{
  unsigned char bad = 0;
  for (size_t i = 0; i < s.n; i++)
    bad |= (unsigned char)s.p[i] < 0x20;
  return bad == 0;
}

int audit_record_begin(struct buf *out, const char *time, const char *writer, const char *event,
                       const char *id, struct str members)
{
  if (!event_valid(str_of(event)) || !id_valid(str_of(id)) || !one_line(members) ||
      members.n > LIMIT_AUDIT_RECORD)
    return -1;
  buf_puts(out, "{\"t\":\"");
  buf_puts(out, time);
  buf_puts(out, "\",\"w\":\"");
  buf_puts(out, writer);
  buf_puts(out, "\",\"event\":\"");
  buf_puts(out, event);
  buf_puts(out, "\",\"id\":\"");
  buf_puts(out, id);
  buf_puts(out, members.n ? "\"," : "\"");
  return buf_str(out, members);
}

int audit_record_end(struct buf *out, struct str begin, struct audit_hmac *h,
                     struct audit_head *head)
{
  struct audit_head next = {.n = head->n + 1, .at_ms = head->at_ms};
  size_t start = out->n;
  buf_str(out, begin);
  buf_puts(out, ",\"n\":");
  buf_u64(out, next.n);
  if (out->failed ||
      audit_hmac_step(h, head->mac, str_slice(buf_view(out), start, out->n), next.mac) < 0)
    return -1;
  buf_puts(out, ",\"mac\":\"");
  hex_encode(out, (struct str){(const char *)next.mac, sizeof next.mac});
  if (buf_puts(out, "\"}\n") < 0)
    return -1;
  *head = next;
  return 0;
}

/* Cuts TEXT from the front of *REST. */
static bool eat(struct str *rest, const char *text)
{
  if (!str_starts(*rest, text))
    return false;
  *rest = str_slice(*rest, strlen(text), rest->n);
  return true;
}

/* Cuts the characters before the next quote. */
static struct str eat_quoted(struct str *rest)
{
  size_t at = str_chr(*rest, '"');
  struct str word = str_slice(*rest, 0, at);
  *rest = str_slice(*rest, at, rest->n);
  return word;
}

static bool parse_mac(struct str *line, unsigned char mac[AUDIT_MAC])
{
  static const char head[] = ",\"mac\":\"", tail[] = "\"}";
  const size_t size = sizeof head - 1 + 2 * AUDIT_MAC + sizeof tail - 1;
  size_t n;
  if (line->n < size || !str_ends(*line, tail))
    return false;
  struct str end = str_slice(*line, line->n - size, line->n);
  struct str hex = str_slice(end, sizeof head - 1, sizeof head - 1 + 2 * AUDIT_MAC);
  if (!str_starts(end, head) || hex_decode(hex, mac, AUDIT_MAC, &n) < 0 || n != AUDIT_MAC)
    return false;
  for (size_t i = 0; i < hex.n; i++)
    if (hex.p[i] >= 'A' && hex.p[i] <= 'F') /* one spelling */
      return false;
  line->n -= size;
  return true;
}

/* The record's number, which ends BODY: `,"n":12`. */
static bool parse_n(struct str body, struct str *ret_before, uint64_t *ret_n)
{
  size_t at = body.n;
  while (at > 0 && body.p[at - 1] >= '0' && body.p[at - 1] <= '9')
    at--;
  *ret_before = str_slice(body, 0, at);
  if (!str_ends(*ret_before, ",\"n\":"))
    return false;
  ret_before->n -= 5;
  return str_u64(str_slice(body, at, body.n), UINT64_MAX, ret_n) && *ret_n > 0;
}

bool audit_record_parse(struct str line, struct audit_record *ret)
{
  struct str rest;
  struct audit_record r;
  if (!parse_mac(&line, r.head.mac) || !parse_n(line, &rest, &r.head.n))
    return false;
  r.body = line;
  if (!eat(&rest, "{\"t\":\""))
    return false;
  r.time = eat_quoted(&rest);
  if (!eat(&rest, "\",\"w\":\""))
    return false;
  r.writer = eat_quoted(&rest);
  if (!eat(&rest, "\",\"event\":\""))
    return false;
  r.event = eat_quoted(&rest);
  if (!eat(&rest, "\",\"id\":\""))
    return false;
  r.id = eat_quoted(&rest);
  if (!eat(&rest, "\"") || !audit_writer_valid(r.writer) || !event_valid(r.event))
    return false;
  if (rest.n && !eat(&rest, ","))
    return false;
  r.members = rest;
  *ret = r;
  return true;
}

struct str audit_member(struct str members, const char *key)
{
  char name[64];
  size_t n = strlen(key);
  if (n + 4 > sizeof name)
    return (struct str){NULL, 0};
  name[0] = '"';
  memcpy(name + 1, key, n);
  memcpy(name + 1 + n, "\":", 3);
  const char *at = members.n ? memmem(members.p, members.n, name, n + 3) : NULL;
  if (at == NULL)
    return (struct str){NULL, 0};
  struct str rest = str_slice(members, (size_t)(at - members.p) + n + 3, members.n);
  if (eat(&rest, "\""))
    return eat_quoted(&rest);
  size_t end = 0;
  while (end < rest.n && rest.p[end] != ',' && rest.p[end] != '}' && rest.p[end] != ']')
    end++;
  return str_slice(rest, 0, end);
}
