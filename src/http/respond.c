/* Whole answers: the headers that every answer carries, validation (D9), and when libmicrohttpd
 * may be given one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/headers.h"
#include "http/inside.h"
#include "ops/log.h"

#define CANNED(line, extra, json)                                                                  \
  "HTTP/1.1 " line "\r\nConnection: close\r\nContent-Type: application/json\r\n"                   \
  "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n" extra "\r\n" json "\n"

const char answer_503[] = CANNED(
    "503 Service Unavailable", "Retry-After: 1\r\n",
    "{\"error\":\"temporarily_unavailable\",\"error_description\":\"too many connections\"}");
const char answer_408[] =
    CANNED("408 Request Timeout", "",
           "{\"error\":\"request_timeout\",\"error_description\":\"the body came too slowly\"}");
const char answer_413[] = CANNED(
    "413 Content Too Large", "",
    "{\"error\":\"content_too_large\",\"error_description\":\"the body is larger than is taken "
    "here\"}");

enum { PIECE = 16384 }; /* of a large answer */

/* ---- headers */

/* What framing, the connection and the request id say is ours alone. */
static bool ours(struct str name)
{
  static const struct str names[] = {
      STR_INIT("Connection"), STR_INIT("Content-Length"), STR_INIT("Transfer-Encoding"),
      STR_INIT("Keep-Alive"), STR_INIT("Date"),           STR_INIT("Upgrade"),
      STR_INIT("Trailer"),    STR_INIT("X-Request-Id"),   STR_INIT("X-Content-Type-Options"),
  };
  for (size_t i = 0; i < ARRAY_SIZE(names); i++)
    if (names[i].n == name.n && str_ieq(name, names[i]))
      return true;
  return false;
}

/* libmicrohttpd takes neither empty values nor tabs. */
static int add_one(struct request *r, struct MHD_Response *response, const struct http_header *h)
{
  char *name, *value;
  if (!header_token(h->name) || !header_value(h->value))
    return -1;
  struct str trimmed = str_trim(h->value);
  if (trimmed.n == 0)
    return 0;
  name = arena_dup(r->rq.arena, h->name);
  value = arena_dup(r->rq.arena, trimmed);
  if (name == NULL || value == NULL)
    return -1;
  for (char *tab = value; (tab = strchr(tab, '\t'));)
    *tab = ' ';
  return MHD_add_response_header(response, name, value) == MHD_YES ? 0 : -1;
}

static int add_all(struct request *r, struct MHD_Response *response,
                   const struct http_header *headers, size_t n)
{
  bool cached = false;
  for (size_t i = 0; i < n; i++) {
    if (ours(headers[i].name))
      continue;
    if (str_iis(headers[i].name, "Cache-Control"))
      cached = true;
    if (add_one(r, response, &headers[i]) < 0)
      return -1;
  }
  int ok = MHD_add_response_header(response, "X-Request-Id", r->rq.id) == MHD_YES &&
           MHD_add_response_header(response, "X-Content-Type-Options", "nosniff") == MHD_YES;
  if (ok && !cached)
    ok = MHD_add_response_header(response, "Cache-Control", "no-store") == MHD_YES;
  if (ok && (r->close || r->conn->server->draining || r->phase == PHASE_HEAD))
    ok = MHD_add_response_header(response, "Connection", "close") == MHD_YES;
  return ok ? 0 : -1;
}

struct MHD_Response *answer_headers(struct request *r, struct MHD_Response *response,
                                    const struct http_header *headers, size_t n)
{
  if (response && add_all(r, response, headers, n) == 0)
    return response;
  if (response)
    MHD_destroy_response(response);
  log_error("request %s: an answer with a header that cannot be sent was replaced by 500",
            r->rq.id);
  static const char text[] =
      "{\"error\":\"server_error\",\"error_description\":\"the answer could not be formed\"}\n";
  r->rq.status = 500;
  r->answer_n = sizeof text - 1;
  response = MHD_create_response_from_buffer(sizeof text - 1, (void *)(uintptr_t)text,
                                             MHD_RESPMEM_PERSISTENT);
  static const struct http_header json = {STR_INIT("Content-Type"), STR_INIT("application/json")};
  if (response && add_all(r, response, &json, 1) < 0) {
    MHD_destroy_response(response);
    response = NULL;
  }
  return response;
}

/* ---- queueing */

int answer_queue(struct request *r)
{
  struct MHD_Response *response = steal_ptr(&r->response);
  if (r->phase == PHASE_HEAD)
    r->conn->linger = true;
  r->phase = PHASE_ANSWERED;
  deadline_set(r->conn, DEADLINE_STALL);
  enum MHD_Result ok = MHD_queue_response(r->conn->mhd, (unsigned)r->rq.status, response);
  MHD_destroy_response(response); /* our reference */
  if (ok == MHD_YES)
    return 0;
  request_die(r, HTTP_END_ERROR);
  return -1;
}

void answer_ready(struct request *r)
{
  if (r->response == NULL) {
    conn_reset(r->conn);
    request_die(r, HTTP_END_ERROR);
    return;
  }
  if (r->in_call || !r->suspended)
    return; /* queued when the call returns, or the body has ended */
  if (r->phase == PHASE_GO)
    r->phase = PHASE_HEAD;
  answer_queue(r);
  request_resume(r);
}

void answer_done(struct request *r)
{
  if (r->response)
    MHD_destroy_response(steal_ptr(&r->response));
  free(r->large);
  r->large = NULL;
  buf_done(&r->flow.out);
}

/* ---- whole answers */

static ssize_t read_large(void *cls, uint64_t at, char *to, size_t max)
{
  struct request *r = cls;
  if (r->ending)
    return MHD_CONTENT_READER_END_WITH_ERROR;
  size_t n = r->answer_n - (size_t)at;
  if (n > max)
    n = max;
  memcpy(to, r->large + at, n);
  deadline_set(r->conn, DEADLINE_STALL); /* it took the piece before */
  return (ssize_t)n;
}

static struct MHD_Response *whole_response(struct request *r, struct str body)
{
  r->answer_n = body.n;
  if (body.n <= LIMIT_STREAM_BUFFER) {
    char *copy = arena_dup(r->rq.arena, body);
    if (copy)
      return MHD_create_response_from_buffer(body.n, copy, MHD_RESPMEM_PERSISTENT);
  }
  r->large = malloc(body.n);
  if (r->large == NULL)
    return NULL;
  memcpy(r->large, body.p, body.n);
  return MHD_create_response_from_callback(body.n, PIECE, read_large, r, NULL);
}

void http_respond(struct http_request *rq, int status, const struct http_header *headers, size_t n,
                  struct str body)
{
  struct request *r = (struct request *)rq;
  if (request_answered(r))
    return;
  rq->status = status;
  r->response = answer_headers(r, whole_response(r, body), headers, n);
  if (rq->body.p == NULL)
    body_release(r);
  answer_ready(r);
}

/* ERROR and WHY are ours: nothing in them needs escaping. */
void answer_refusal(struct request *r, int status, const char *error, const char *why)
{
  char json[256];
  struct http_header headers[2] = {{STR("Content-Type"), STR("application/json")}};
  size_t n = 1;
  int length = snprintf(json, sizeof json,
                        "{\"error\":\"%s\",\"error_description\":\"%s\",\"request_id\":\"%s\"}\n",
                        error, why, r->rq.id);
  if (status == 405)
    headers[n++] = (struct http_header){STR("Allow"), STR("GET, POST, DELETE, OPTIONS")};
  if (status == 503)
    headers[n++] = (struct http_header){STR("Retry-After"), STR("1")};
  r->close = true;
  r->conn->linger = true;
  http_respond(&r->rq, status, headers, n, (struct str){json, (size_t)length});
}
