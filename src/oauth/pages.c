/* Pages; see pages.h. */
#include "oauth/pages.h"

#include <openssl/evp.h>

#include "oauth/html.h"
#include "ops/log.h"
#include "util/digest.h"

enum { PAGE_MAX = 262144, PAGE_HEADERS = 8 };

static const char style[] =
    ":root{color-scheme:light dark;--ink:#1b1f24;--soft:#545d68;--paper:#fff;--back:#f2f4f7;"
    "--line:#c9d1d9;--deed:#0b57d0;--deed-ink:#fff;--warn:#fff4d6;--warn-ink:#5c3b00}"
    "@media (prefers-color-scheme:dark){:root{--ink:#e8ebef;--soft:#a9b3be;--paper:#1c2128;"
    "--back:#12161b;--line:#48515b;--deed:#8ab4f8;--deed-ink:#0b1f3d;--warn:#3d2f0d;"
    "--warn-ink:#ffdf9e}}"
    "*{box-sizing:border-box}"
    "body{margin:0;padding:1rem;background:var(--back);color:var(--ink);"
    "font:1rem/1.5 system-ui,sans-serif;overflow-wrap:anywhere}"
    "main,footer{max-width:36rem;margin:0 auto}"
    "main{background:var(--paper);border:1px solid "
    "var(--line);border-radius:.75rem;padding:1.25rem}"
    "h1{font-size:1.4rem;line-height:1.25;margin:0 0 .75rem}h2{font-size:1.05rem;margin:1.25rem 0 "
    ".25rem}"
    "p{margin:.5rem 0}dl{margin:.75rem 0}dt{color:var(--soft);font-size:.9rem}"
    "dd{margin:0 0 .6rem;font-weight:600}dd small{display:block;font-weight:400;color:var(--soft)}"
    "fieldset{border:1px solid var(--line);border-radius:.5rem;margin:1rem 0;padding:.5rem .9rem "
    ".75rem}"
    "legend{font-weight:600;padding:0 .3rem}ul{margin:.25rem 0;padding-left:1.2rem}"
    "label{display:flex;gap:.7rem;align-items:flex-start;padding:.5rem 0;min-height:2.75rem}"
    "input[type=checkbox]{width:1.3rem;height:1.3rem;margin:.1rem 0 0;flex:none}"
    "code{color:var(--soft);font-size:.85rem}"
    ".warn{background:var(--warn);color:var(--warn-ink);border-radius:.5rem;padding:.6rem .8rem}"
    ".soft{color:var(--soft)}"
    "button,a.button{display:block;width:100%;min-height:2.75rem;margin:.6rem 0 0;padding:.6rem "
    "1rem;"
    "border:1px solid var(--deed);border-radius:.5rem;background:transparent;color:var(--deed);"
    "font:inherit;font-weight:600;text-align:center;text-decoration:none;cursor:pointer}"
    "button.main,a.main{background:var(--deed);color:var(--deed-ink)}"
    ":focus-visible{outline:3px solid var(--deed);outline-offset:2px}"
    "footer{padding:.75rem 1.25rem;color:var(--soft);font-size:.85rem}";

int pages_init(struct oauth *o, struct err *e)
{
  unsigned char hash[SHA256_SIZE], text[48];
  if (sha256(str_of(style), hash) < 0)
    return err_set(e, "SHA-256 is not available");
  EVP_EncodeBlock(text, hash, sizeof hash);
  o->page_policy = arena_printf(o->arena,
                                "default-src 'none'; style-src 'sha256-%s'; form-action 'self'; "
                                "frame-ancestors 'none'; base-uri 'none'",
                                (const char *)text);
  return o->page_policy ? 0 : err_set(e, "out of memory");
}

/* ---- the frame */

/* REFRESH is the content of <meta http-equiv=refresh>, .p NULL: none. */
static void begin(struct page *p, struct oauth_exchange *x, enum text title, const struct str *args,
                  size_t n, struct str refresh)
{
  *p = (struct page){.x = x, .language = language_choose(http_header(x->rq, "Accept-Language"))};
  struct buf *b = &p->b;
  buf_init(b, PAGE_MAX);
  buf_printf(b,
             "<!DOCTYPE html>\n<html lang=\"%s\">\n<head>\n<meta charset=\"utf-8\">\n"
             "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
             "<meta name=\"robots\" content=\"noindex\">\n",
             language_tag(p->language));
  if (refresh.p) {
    buf_puts(b, "<meta http-equiv=\"refresh\" content=\"");
    html_text(b, refresh);
    buf_puts(b, "\">\n");
  }
  buf_puts(b, "<title>");
  text_title(b, p->language, title, args, n);
  buf_printf(b, "</title>\n<style>%s</style>\n</head>\n<body>\n<main>\n", style);
  page_text(p, "h1", NULL, title, args, n);
}

void page_begin(struct page *p, struct oauth_exchange *x, enum text title, const struct str *args,
                size_t n)
{
  begin(p, x, title, args, n, (struct str){NULL, 0});
}

struct str page_refresh(struct oauth_exchange *x, struct str url, unsigned seconds)
{
  CLEANUP(buf_done) struct buf b;
  buf_init(&b, PAGE_MAX);
  buf_printf(&b, "%u;url=", seconds);
  /* A quote would end the address for the reader of `refresh`. */
  for (size_t i = 0; i < url.n; i++)
    if (url.p[i] == '\'' || url.p[i] == '"')
      buf_printf(&b, "%%%02X", (unsigned char)url.p[i]);
    else
      buf_putc(&b, url.p[i]);
  return b.failed ? (struct str){NULL, 0} : arena_str(x->rq->arena, buf_view(&b));
}

void page_text(struct page *p, const char *tag, const char *class_name, enum text t,
               const struct str *args, size_t n)
{
  buf_printf(&p->b, "<%s%s%s%s>", tag, class_name ? " class=\"" : "", class_name ? class_name : "",
             class_name ? "\"" : "");
  text_html(&p->b, p->language, t, args, n);
  buf_printf(&p->b, "</%s>\n", tag);
}

void page_link(struct page *p, const char *id, struct str url, enum text t, bool primary)
{
  buf_printf(&p->b, "<a id=\"%s\" class=\"button%s\" href=\"", id, primary ? " main" : "");
  html_text(&p->b, url);
  buf_puts(&p->b, "\">");
  text_html(&p->b, p->language, t, NULL, 0);
  buf_puts(&p->b, "</a>\n");
}

static void end(struct page *p)
{
  const struct str host = p->x->oauth->o.config->public_parts.authority, id = str_of(p->x->rq->id);
  buf_puts(&p->b, "</main>\n<footer>\n");
  page_text(p, "p", NULL, TEXT_HUB, &host, 1);
  page_text(p, "p", NULL, TEXT_REQUEST_ID, &id, 1);
  buf_puts(&p->b, "</footer>\n</body>\n</html>\n");
}

void page_send(struct page *p, int status, const struct http_header *extra, size_t n_extra)
{
  struct http_header headers[PAGE_HEADERS] = {
      {STR("Content-Security-Policy"), str_of(p->x->oauth->page_policy)},
      {STR("X-Frame-Options"), STR("DENY")},
      /* With no-referrer a browser sends `Origin: null` with our own form (row 96). */
      {STR("Referrer-Policy"), p->has_form ? STR("same-origin") : STR("no-referrer")},
      {STR("Content-Language"), str_of(language_tag(p->language))},
      {STR("Vary"), STR("Accept-Language")},
  };
  size_t n = 5;
  for (size_t i = 0; i < n_extra && n < PAGE_HEADERS; i++)
    headers[n++] = extra[i];
  end(p);
  if (p->b.failed) {
    log_error("request %s: a page could not be made", p->x->rq->id);
    exchange_send(p->x, 500, "text/plain; charset=utf-8", STR("out of memory\n"), NULL, 0);
  } else {
    exchange_send(p->x, status, "text/html; charset=utf-8", buf_view(&p->b), headers, n);
  }
  buf_done(&p->b);
}

/* ---- errors */

void page_error(struct oauth_exchange *x, const struct page_error *e)
{
  struct page p;
  struct http_header extra[2];
  size_t n = 0;
  if (e->record)
    exchange_refused(x, e->status, e->record);
  page_begin(&p, x, e->title, NULL, 0);
  page_text(&p, "p", NULL, e->why, e->args, e->n_args);
  page_text(&p, "h2", NULL, TEXT_WHAT_NOW, NULL, 0);
  page_text(&p, "p", NULL, e->now, e->args, e->n_args);
  if (e->again.p)
    page_link(&p, "again", e->again, e->another ? TEXT_ANOTHER : TEXT_AGAIN, true);
  if (e->back.p)
    page_link(&p, "back", e->back, TEXT_BACK, !e->again.p);
  if (e->status == 503)
    extra[n++] = (struct http_header){STR("Retry-After"), STR("5")};
  if (e->status == 405)
    extra[n++] = (struct http_header){STR("Allow"), exchange_methods(x)};
  if (e->cookie.p)
    extra[n++] = (struct http_header){STR("Set-Cookie"), e->cookie};
  page_send(&p, e->status, extra, n);
}

void page_ours(struct oauth_exchange *x, int status, const char *record)
{
  page_error(x, &(struct page_error){.status = status,
                                     .title = ERROR_OURS,
                                     .why = ERROR_OURS_WHY,
                                     .now = ERROR_UNAVAILABLE_NOW,
                                     .record = record});
}

/* ---- sending on */

void page_moving(struct oauth_exchange *x, struct str url, enum text what, struct str arg,
                 const struct http_header *extra, size_t n_extra)
{
  struct page p;
  struct str refresh = page_refresh(x, url, 0);
  begin(&p, x, TEXT_MOVING_TITLE, NULL, 0, refresh);
  p.b.failed = p.b.failed || refresh.p == NULL;
  page_text(&p, "p", NULL, what, &arg, 1);
  page_text(&p, "p", "soft", TEXT_MOVING_HINT, NULL, 0);
  page_link(&p, "next", url, TEXT_GO_ON, true);
  page_send(&p, 200, extra, n_extra);
}

void page_redirect(struct oauth_exchange *x, struct str url, const struct http_header *extra,
                   size_t n_extra)
{
  struct http_header headers[PAGE_HEADERS] = {{STR("Location"), url},
                                              {STR("Referrer-Policy"), STR("no-referrer")}};
  size_t n = 2;
  for (size_t i = 0; i < n_extra && n < PAGE_HEADERS; i++)
    headers[n++] = extra[i];
  exchange_send(x, 303, NULL, STR(""), headers, n);
}
