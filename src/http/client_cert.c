/* Client certificates; see client_cert.h. */
#include "http/client_cert.h"

#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

#include "util/base64url.h"
#include "util/cleanup.h"
#include "util/limits.h"

enum { NAMES_MAX = 16, NAME_MAX_BYTES = 1024 };

static void x509_drop(X509 **x)
{
  X509_free(*x);
}

static void bio_drop(BIO **b)
{
  BIO_free(*b);
}

static const char *name_of(const X509_NAME *name, struct arena *a)
{
  CLEANUP(bio_drop) BIO *out = BIO_new(BIO_s_mem());
  char *p = NULL;
  if (out == NULL || X509_NAME_print_ex(out, name, 0, XN_FLAG_RFC2253) < 0)
    return NULL;
  long n = BIO_get_mem_data(out, &p);
  struct str text = {p, n > 0 ? (size_t)n : 0};
  bool plain = text.n <= NAME_MAX_BYTES && memchr(text.p ? text.p : "", 0, text.n) == NULL;
  return plain ? arena_dup(a, text.n ? text : STR("")) : NULL;
}

/* NULL for kinds that we do not tell, and for those with a NUL or a control character inside. */
static const char *alternative(const GENERAL_NAME *g, struct arena *a)
{
  static const char *const kinds[] = {[GEN_EMAIL] = "email", [GEN_DNS] = "DNS", [GEN_URI] = "URI"};
  int type = 0;
  const ASN1_STRING *s = GENERAL_NAME_get0_value(g, &type);
  if (type != GEN_EMAIL && type != GEN_DNS && type != GEN_URI)
    return NULL;
  struct str text = {(const char *)ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s)};
  for (size_t i = 0; i < text.n; i++)
    if (text.p[i] <= 0x20 || text.p[i] > 0x7e)
      return NULL;
  if (text.n == 0 || text.n > NAME_MAX_BYTES)
    return NULL;
  return arena_printf(a, "%s:%.*s", kinds[type], STR_ARG(text));
}

static struct mcpauth_list alternatives(const X509 *x, struct arena *a)
{
  const char **v = arena_array(a, NAMES_MAX, sizeof *v);
  GENERAL_NAMES *all = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
  size_t n = 0;
  for (int i = 0; v && i < sk_GENERAL_NAME_num(all) && n < NAMES_MAX; i++) {
    v[n] = alternative(sk_GENERAL_NAME_value(all, i), a);
    n += v[n] != NULL;
  }
  GENERAL_NAMES_free(all);
  return (struct mcpauth_list){n, v};
}

static int64_t end_of(const X509 *x)
{
  struct tm tm = {0};
  return ASN1_TIME_to_tm(X509_get0_notAfter(x), &tm) == 1 ? (int64_t)timegm(&tm) : 1;
}

static const char *text_of(struct arena *a, struct str bytes,
                           int (*encode)(struct buf *, struct str))
{
  CLEANUP(buf_done) struct buf b;
  buf_init(&b, 128);
  return encode(&b, bytes) < 0 ? NULL : arena_dup(a, buf_view(&b));
}

static const struct mcpauth_certificate *describe(const X509 *x, struct arena *a)
{
  unsigned char sum[EVP_MAX_MD_SIZE];
  unsigned n = 0;
  struct mcpauth_certificate *c = arena_new_of(a, struct mcpauth_certificate);
  if (c == NULL || X509_digest(x, EVP_sha256(), sum, &n) != 1)
    return NULL;
  struct str bytes = {(const char *)sum, n};
  *c = (struct mcpauth_certificate){.subject = name_of(X509_get_subject_name(x), a),
                                    .issuer = name_of(X509_get_issuer_name(x), a),
                                    .sha256 = text_of(a, bytes, hex_encode),
                                    .thumbprint = text_of(a, bytes, base64url_encode),
                                    .names = alternatives(x, a),
                                    .expires_at = end_of(x)};
  return c->subject && c->issuer && c->sha256 && c->thumbprint ? c : NULL;
}

const struct mcpauth_certificate *client_cert_parse(struct str der, struct arena *a)
{
  const unsigned char *p = (const unsigned char *)der.p;
  CLEANUP(x509_drop)
  X509 *x = der.n && der.n <= LIMIT_CLIENT_CERTIFICATE ? d2i_X509(NULL, &p, (long)der.n) : NULL;
  return x && p == (const unsigned char *)der.p + der.n ? describe(x, a) : NULL;
}

static const struct mcpauth_certificate *parse_pem(struct str pem, struct arena *a)
{
  CLEANUP(bio_drop) BIO *in = BIO_new_mem_buf(pem.p, (int)pem.n);
  CLEANUP(x509_drop) X509 *x = in ? PEM_read_bio_X509(in, NULL, NULL, NULL) : NULL;
  return x ? describe(x, a) : NULL;
}

/* %XX; a '+' is part of base64, no blank. */
static bool unescape(struct str in, char *out, size_t *ret_n)
{
  size_t n = 0, got;
  for (size_t i = 0; i < in.n; i++)
    if (in.p[i] != '%')
      out[n++] = in.p[i];
    else {
      char hex[2] = {i + 2 < in.n ? in.p[i + 1] : 0, i + 2 < in.n ? in.p[i + 2] : 0};
      for (int k = 0; k < 2; k++)
        hex[k] = hex[k] >= 'A' && hex[k] <= 'F' ? (char)(hex[k] + 32) : hex[k];
      if (hex_decode((struct str){hex, 2}, &out[n], 1, &got) < 0 || got != 1)
        return false;
      n++;
      i += 2;
    }
  *ret_n = n;
  return true;
}

const struct mcpauth_certificate *client_cert_header(struct str value, struct arena *a)
{
  if (value.n < 4 || value.n > 2 * LIMIT_CLIENT_CERTIFICATE)
    return NULL;
  char *bytes = arena_alloc(a, value.n + 1);
  if (bytes == NULL)
    return NULL;
  if (value.p[0] != ':') {
    size_t n;
    return unescape(value, bytes, &n) ? parse_pem((struct str){bytes, n}, a) : NULL;
  }
  struct str text = str_slice(value, 1, value.n - 1);
  if (value.p[value.n - 1] != ':' || text.n % 4 || text.n == 0)
    return NULL;
  int n = EVP_DecodeBlock((unsigned char *)bytes, (const unsigned char *)text.p, (int)text.n);
  size_t padding = (text.p[text.n - 1] == '=') + (size_t)(text.p[text.n - 2] == '=');
  return n > (int)padding ? client_cert_parse((struct str){bytes, (size_t)n - padding}, a) : NULL;
}
