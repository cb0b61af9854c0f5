/* What a person sees: one frame for all pages (no script, nothing loaded from elsewhere, never in a
 * frame, light and dark, for phones and screen readers), the pages of errors, and the page that
 * sends on.  The consent page itself is consent_page.c. */
#ifndef OAUTH_PAGES_H
#define OAUTH_PAGES_H

#include "oauth/exchange.h"
#include "oauth/language.h"

enum { PAGE_ARGS = 3 };

/* One page in the making. */
struct page {
  struct oauth_exchange *x;
  enum language language;
  struct buf b;
  bool has_form; /* its form is answered by ourselves: a form needs Origin, so some referrer */
};

/* Makes what all pages of a worker share. */
int pages_init(struct oauth *o, struct err *e);

/* Begins a page whose title and heading are TITLE. */
void page_begin(struct page *p, struct oauth_exchange *x, enum text title, const struct str *args,
                size_t n);
/* The value of the header `Refresh` that sends the browser to URL after SECONDS; .p NULL when out
 * of memory. */
struct str page_refresh(struct oauth_exchange *x, struct str url, unsigned seconds);
/* <TAG class="CLASS">text</TAG>; CLASS may be NULL. */
void page_text(struct page *p, const char *tag, const char *class_name, enum text t,
               const struct str *args, size_t n);
/* A link that looks like a button; URL is one that redirect_parse or url_parse has accepted, or a
 * path of ours. */
void page_link(struct page *p, const char *id, struct str url, enum text t, bool primary);
void page_send(struct page *p, int status, const struct http_header *extra, size_t n_extra);

/* An error that a person meets: what, why, what to do, and the request's id. */
struct page_error {
  int status;
  enum text title, why, now;
  struct str args[PAGE_ARGS]; /* of WHY */
  size_t n_args;
  struct str back;    /* URL at the application, or .p NULL */
  struct str again;   /* path of ours to try once more, or .p NULL */
  bool another;       /* AGAIN is with another account */
  const char *record; /* why, for the audit record; NULL: recorded by the caller */
  struct str cookie;  /* Set-Cookie that AGAIN needs, or .p NULL */
};
void page_error(struct oauth_exchange *x, const struct page_error *e);
/* Something of ours does not work: 503, or 500. */
void page_ours(struct oauth_exchange *x, int status, const char *record);

/* Sends the browser to URL by a page of ours, which says what to do if nothing happens: WHAT with
 * the argument ARG. */
void page_moving(struct oauth_exchange *x, struct str url, enum text what, struct str arg,
                 const struct http_header *extra, size_t n_extra);
/* 303 */
void page_redirect(struct oauth_exchange *x, struct str url, const struct http_header *extra,
                   size_t n_extra);

#endif
