/* Between curl.c and curl_loop.c only. */
#ifndef HTTP_CURL_LOOP_H
#define HTTP_CURL_LOOP_H

#include "http/curl.h"

/* A non-blocking socket that H watches when libcurl asks for it; CURL_SOCKET_BAD when there is
 * none. */
curl_socket_t hcurl_socket(struct hcurl *h, int family, int type, int protocol);
/* CURLOPT_CLOSESOCKETFUNCTION; ARG is the hcurl. */
int hcurl_close_socket(void *arg, curl_socket_t fd);
int hcurl_add(struct hcurl *h, struct hcurl_transfer *t, struct err *e);
void hcurl_run_resume(struct task *task);
void hcurl_forbid_reuse(struct hcurl_transfer *t, bool forbid);

#endif
