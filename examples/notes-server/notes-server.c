/* notes-server [--port N] [--port-file FILE] [--tick-ms N]: HTTP on 127.0.0.1, one thread a
 * connection. POST /mcp takes one message and answers with JSON or an event stream, GET /mcp is the
 * standing event stream of the older era, DELETE /mcp ends a session of it. */
#define _GNU_SOURCE
#include "notes-server.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_BODY = 1 << 20, BLOCK = 4096 };

static unsigned tick_ms = 1000;

/* --- a body on its way in
 * ------------------------------------------------------------------------- */

struct upload {
  size_t n;
  bool too_large;
  char *data; /* MAX_BODY when there is any */
};

static void upload_add(struct upload *u, const char *data, size_t n)
{
  if (u->data == NULL)
    u->data = malloc(MAX_BODY);
  if (u->data == NULL || n > MAX_BODY - u->n) {
    u->too_large = true;
    return;
  }
  memcpy(u->data + u->n, data, n);
  u->n += n;
}

/* --- an event stream on its way out
 * --------------------------------------------------------------- */

struct stream {
  char *pending; /* one event, not yet all given to the library */
  size_t n, at;
  struct counting *count; /* NULL: the standing stream */
  unsigned step;
  bool over;
};

static void stream_event(struct stream *s, json_t *message)
{
  char *text = json_dumps(message, JSON_COMPACT);
  json_decref(message);
  free(s->pending);
  s->pending = NULL;
  int n = text ? asprintf(&s->pending, "event: message\ndata: %s\n\n", text) : -1;
  free(text);
  s->over |= n < 0;
  s->n = n < 0 ? 0 : (size_t)n;
  s->at = 0;
}

static json_t *notification(const char *method, json_t *params)
{
  return json_pack("{s:s,s:s,s:o}", "jsonrpc", "2.0", "method", method, "params", params);
}

static void next_tick(struct stream *s)
{
  if (s->step > 0)
    usleep(tick_ms * 1000);
  json_t *text = json_sprintf("tick %u: %zu notes", ++s->step, notes_count());
  stream_event(s,
               notification("notifications/message", json_pack("{s:s,s:s,s:o}", "level", "info",
                                                               "logger", "notes", "data", text)));
}

static void next_count(struct stream *s)
{
  struct counting *c = s->count;
  if (s->step < c->to)
    usleep(c->delay_ms * 1000);
  if (s->step++ < c->to) {
    if (c->token)
      stream_event(s, notification("notifications/progress",
                                   json_pack("{s:O,s:i,s:i}", "progressToken", c->token, "progress",
                                             (int)s->step, "total", (int)c->to)));
    return;
  }
  json_t *text = json_sprintf("Counted to %u.", c->to);
  json_t *result =
      json_pack("{s:[{s:s,s:o}],s:b}", "content", "type", "text", "text", text, "isError", 0);
  stream_event(s, mcp_result(c->id, result, c->modern));
  s->over = true;
}

/* The library asks for more; this connection's thread may wait here. */
static ssize_t stream_read(void *cls, uint64_t pos, char *out, size_t max)
{
  struct stream *s = cls;
  (void)pos;
  while (s->at == s->n) {
    if (s->over)
      return MHD_CONTENT_READER_END_OF_STREAM;
    if (s->count)
      next_count(s);
    else
      next_tick(s);
  }
  size_t n = s->n - s->at < max ? s->n - s->at : max;
  memcpy(out, s->pending + s->at, n);
  s->at += n;
  return (ssize_t)n;
}

static void stream_free(void *cls)
{
  struct stream *s = cls;
  counting_free(s->count);
  free(s->pending);
  free(s);
}

static struct MHD_Response *stream_response(struct counting *count, json_t *only)
{
  struct stream *s = calloc(1, sizeof *s);
  if (s == NULL)
    return NULL;
  s->count = count;
  if (only) {
    stream_event(s, json_incref(only));
    s->over = true;
  }
  struct MHD_Response *r =
      MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK, stream_read, s, stream_free);
  MHD_add_response_header(r, "Content-Type", "text/event-stream");
  MHD_add_response_header(r, "Cache-Control", "no-cache");
  return r;
}

/* --- requests
 * ------------------------------------------------------------------------------------- */

static const char *header(struct MHD_Connection *c, const char *name)
{
  return MHD_lookup_connection_value(c, MHD_HEADER_KIND, name);
}

static enum MHD_Result send_response(struct MHD_Connection *c, unsigned status,
                                     struct MHD_Response *r)
{
  if (r == NULL)
    return MHD_NO;
  enum MHD_Result result = MHD_queue_response(c, status, r);
  MHD_destroy_response(r);
  return result;
}

static enum MHD_Result send_text(struct MHD_Connection *c, unsigned status, const char *text)
{
  return send_response(c, status,
                       MHD_create_response_from_buffer(strlen(text), (void *)(uintptr_t)text,
                                                       MHD_RESPMEM_PERSISTENT));
}

static bool accepts(struct MHD_Connection *c, const char *type)
{
  const char *accept = header(c, "Accept");
  return accept == NULL || strstr(accept, type) || strstr(accept, "*/*");
}

static enum MHD_Result post(struct MHD_Connection *c, const struct upload *u)
{
  if (u->too_large)
    return send_text(c, 413, "The body is too large.\n");
  bool json = accepts(c, "application/json"), sse = accepts(c, "text/event-stream");
  if (!json && !sse)
    return send_text(c, 406, "Answers are application/json or text/event-stream.\n");
  const struct mcp_request rq = {u->data ? u->data : "",
                                 u->n,
                                 header(c, "MCP-Protocol-Version"),
                                 header(c, "Mcp-Method"),
                                 header(c, "Mcp-Name"),
                                 header(c, "Mcp-Session-Id")};
  struct mcp_answer a = mcp_answer(&rq);
  struct MHD_Response *r;
  if (a.count || (a.message && !json))
    r = stream_response(a.count, a.message);
  else {
    char *text = a.message ? json_dumps(a.message, JSON_COMPACT) : strdup("");
    r = MHD_create_response_from_buffer(text ? strlen(text) : 0, text, MHD_RESPMEM_MUST_FREE);
    if (a.message)
      MHD_add_response_header(r, "Content-Type", "application/json");
  }
  if (r && a.session[0])
    MHD_add_response_header(r, "Mcp-Session-Id", a.session);
  json_decref(a.message);
  return send_response(c, a.status, r);
}

static enum MHD_Result get(struct MHD_Connection *c)
{
  const char *session = header(c, "Mcp-Session-Id");
  if (!accepts(c, "text/event-stream"))
    return send_text(c, 406, "The standing stream is text/event-stream.\n");
  if (session && !session_known(session))
    return send_text(c, 404, "This session is not known.\n");
  return send_response(c, 200, stream_response(NULL, NULL));
}

static enum MHD_Result delete (struct MHD_Connection *c) {
  const char *session = header(c, "Mcp-Session-Id"); bool known = session && session_end(session);
  return send_text(c, known ? 204 : 404, known ? "" : "This session is not known.\n");
}

/* A page of another site must not reach a server on the visitor's own machine. */
static bool foreign_origin(struct MHD_Connection *c)
{
  const char *origin = header(c, "Origin");
  return origin && strncmp(origin, "http://127.0.0.1", 16) != 0 &&
         strncmp(origin, "http://localhost", 16) != 0;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *c, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *size, void **request)
{
  (void)cls, (void)version;
  struct upload *u = *request;
  if (u == NULL) {
    *request = calloc(1, sizeof *u);
    return *request ? MHD_YES : MHD_NO;
  }
  if (*size) {
    upload_add(u, data, *size);
    *size = 0;
    return MHD_YES;
  }
  const char *spoken = header(c, "MCP-Protocol-Version");
  bool modern = spoken && strcmp(spoken, modern_version) == 0;
  if (strcmp(url, "/mcp") != 0)
    return send_text(c, 404, "There is only /mcp.\n");
  if (foreign_origin(c))
    return send_text(c, 403, "Pages of other sites may not come in.\n");
  if (strcmp(method, "POST") == 0)
    return post(c, u);
  if (strcmp(method, "GET") == 0 && !modern)
    return get(c);
  if (strcmp(method, "DELETE") == 0 && !modern)
    return delete (c);
  return send_text(c, 405, "This method is not for here.\n");
}

static void on_completed(void *cls, struct MHD_Connection *c, void **request,
                         enum MHD_RequestTerminationCode why)
{
  (void)cls, (void)c, (void)why;
  struct upload *u = *request;
  if (u)
    free(u->data);
  free(u);
}

/* --- the program
 * ---------------------------------------------------------------------------------- */

static int write_port(const char *file, unsigned port)
{
  char temporary[4096];
  snprintf(temporary, sizeof temporary, "%s.new", file);
  FILE *f = fopen(temporary, "w");
  if (f == NULL || fprintf(f, "%u\n", port) < 0 || fclose(f) != 0 || rename(temporary, file) != 0) {
    perror(file);
    return -1;
  }
  return 0;
}

int main(int argc, char **argv)
{
  static const struct option options[] = {{"port", required_argument, NULL, 'p'},
                                          {"port-file", required_argument, NULL, 'f'},
                                          {"tick-ms", required_argument, NULL, 't'},
                                          {NULL, 0, NULL, 0}};
  const char *port_file = NULL;
  int port = 3001, o;
  while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
    if (o == 'p')
      port = atoi(optarg);
    else if (o == 'f')
      port_file = optarg;
    else if (o == 't')
      tick_ms = (unsigned)atoi(optarg);
    else
      return 2;
  }
  const char *why = NULL;
  json_t *first =
      json_pack("{s:s,s:s}", "title", "Welcome", "text", "Notes live until the server stops.");
  json_decref(notes_call("notes_add", first, &why));
  json_decref(first);
  sigset_t stop;
  sigemptyset(&stop);
  sigaddset(&stop, SIGTERM);
  sigaddset(&stop, SIGINT);
  sigprocmask(SIG_BLOCK, &stop, NULL);
  struct sockaddr_in here = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  struct MHD_Daemon *d = MHD_start_daemon(
      MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL,
      (uint16_t)port, NULL, NULL, on_request, NULL, MHD_OPTION_SOCK_ADDR, &here,
      MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_END);
  if (d == NULL) {
    fprintf(stderr, "notes-server: cannot listen on 127.0.0.1:%d\n", port);
    return 1;
  }
  unsigned got = MHD_get_daemon_info(d, MHD_DAEMON_INFO_BIND_PORT)->port;
  if (port_file && write_port(port_file, got) != 0)
    return 1;
  fprintf(stderr, "notes-server: http://127.0.0.1:%u/mcp\n", got);
  int signal_number;
  sigwait(&stop, &signal_number);
  _exit(0); /* streams may still stand open; there is nothing to save */
}
