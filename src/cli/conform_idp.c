/* The identity providers that `mcpauth provider test` plays, on two ports of loopback: discovery, a
 * key set, and at every other path the reply of the scene that is on.  A process of its own, one
 * more for each connection, so that a hanging one hangs alone. */
#include <config.h>

#include "cli/conform.h"

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "auth/jws_sign.h"
#include "cli/jwt.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/limits.h"

enum { REQUEST_SIZE = 65536, SLOW_MS = 500, OVERSIZE = 400000, HANG_S = 60 };

static const char foreign_issuer[] = "https://another.example";

/* ---- tokens */

static void put_claims(struct buf *b, const struct idp *i, enum scene s, unsigned which)
{
  int64_t now = clock_wall();
  buf_puts(b, "{\"iss\":");
  if (s == SCENE_ISSUER)
    buf_printf(b, "\"%s\"", foreign_issuer);
  else
    buf_printf(b, "\"http://127.0.0.1:%d\"", i->ports[which]);
  buf_printf(b, ",\"aud\":\"%s\"",
             s == SCENE_AUDIENCE ? "https://another.example/" : CONFORM_RESOURCE);
  buf_printf(b, ",\"sub\":\"ann\",\"client_id\":\"conformance\",\"scope\":\"test\",\"iat\":%lld",
             (long long)(s == SCENE_EXPIRED ? now - 7200 : now - 1));
  buf_printf(b, ",\"exp\":%lld", (long long)(s == SCENE_EXPIRED ? now - 3600 : now + 3600));
}

static const char *sign(const struct idp *i, struct arena *a, const char *typ, struct buf *payload)
{
  struct err e;
  CLEANUP(buf_done) struct buf header, token;
  buf_init(&header, 1024);
  buf_init(&token, LIMIT_CREDENTIAL);
  buf_printf(&header, "{\"alg\":\"ES256\",\"typ\":\"%s\",\"kid\":\"%s\"}", typ, i->key->kid);
  buf_putc(payload, '}');
  if (header.failed || payload->failed ||
      jws_compact(ALG_ES256, i->key->key, STR(""), buf_view(&header), buf_view(payload), &token,
                  &e) < 0)
    return NULL;
  return arena_dup(a, buf_view(&token));
}

/* Of the login that the test plays, for the client `hub`. */
static const char *make_id_token(const struct idp *i, struct arena *a, unsigned which)
{
  int64_t now = clock_wall();
  CLEANUP(buf_done) struct buf payload;
  buf_init(&payload, 4096);
  buf_printf(&payload,
             "{\"iss\":\"http://127.0.0.1:%d\",\"aud\":\"hub\",\"sub\":\"ann\","
             "\"nonce\":\"" CONFORM_NONCE "\",\"iat\":%lld,\"exp\":%lld,"
             "\"email\":\"ann@example.com\",\"email_verified\":true",
             i->ports[which], (long long)now - 1, (long long)now + 600);
  return sign(i, a, "JWT", &payload);
}

static const char *make_jwt(const struct idp *i, struct arena *a, enum scene s, unsigned which)
{
  CLEANUP(buf_done) struct buf payload;
  buf_init(&payload, 4096);
  put_claims(&payload, i, s, which);
  return sign(i, a, "at+jwt", &payload);
}

/* ---- placeholders */

static bool fill_one(const struct idp *i, struct arena *a, struct str name, enum scene s,
                     unsigned which, const char *dir, struct buf *out)
{
  int64_t now = clock_wall();
  if (str_is(name, "idp"))
    buf_printf(out, "http://127.0.0.1:%d", i->ports[which]);
  else if (str_is(name, "idp_host"))
    buf_printf(out, "127.0.0.1:%d", i->ports[which]);
  else if (str_is(name, "dir"))
    buf_puts(out, dir);
  else if (str_is(name, "resource"))
    buf_puts(out, CONFORM_RESOURCE);
  else if (str_is(name, "secret"))
    buf_puts(out, i->secret);
  else if (str_is(name, "now"))
    buf_printf(out, "%lld", (long long)now);
  else if (str_is(name, "soon"))
    buf_printf(out, "%lld", (long long)now + 3600);
  else if (str_is(name, "past"))
    buf_printf(out, "%lld", (long long)now - 3600);
  else if (str_is(name, "jwt"))
    buf_puts(out, make_jwt(i, a, s, which));
  else if (str_is(name, "id_token"))
    buf_puts(out, make_id_token(i, a, which));
  else
    return false;
  return true;
}

const char *idp_fill(const struct idp *i, struct arena *a, const char *text, enum scene s,
                     unsigned which, const char *dir)
{
  CLEANUP(buf_done) struct buf out;
  buf_init(&out, MIB(1));
  for (const char *p = text; *p;) {
    const char *end = *p == '{' ? strchr(p, '}') : NULL;
    if (end && fill_one(i, a, (struct str){p + 1, (size_t)(end - p) - 1}, s, which, dir, &out))
      p = end + 1;
    else
      buf_putc(&out, *p++);
  }
  return out.failed ? NULL : arena_dup(a, out.n ? buf_view(&out) : STR(""));
}

const char *idp_credential(const struct idp *i, struct arena *a, enum scene s, unsigned which)
{
  const char *of_scene = i->script->credential[s], *good = i->script->credential[SCENE_VALID];
  if (of_scene)
    return idp_fill(i, a, of_scene, s, which, "");
  if (s == SCENE_GARBAGE)
    return "garbage-that-nobody-has-issued";
  if (good)
    return idp_fill(i, a, good, s, which, "");
  return make_jwt(i, a, s <= SCENE_ISSUER ? s : SCENE_VALID, which);
}

/* ---- the server */

/* What the script says at PATH, when all is well. */
static const char *said_at(const struct script *script, struct str path, enum scene s)
{
  for (size_t k = 0; (s == SCENE_VALID || s == SCENE_SLOW) && k < script->n_paths; k++)
    if (str_is(path, script->path[k]))
      return script->at[k];
  return NULL;
}

static void put_body(struct buf *b, const struct idp *i, struct str path, enum scene s,
                     unsigned which, struct arena *a)
{
  const char *reply = i->script->reply[s] ? i->script->reply[s] : i->script->reply[SCENE_VALID];
  const char *here = said_at(i->script, path, s);
  struct err e;
  if (here)
    reply = here;
  if (s == SCENE_MALFORMED && i->script->reply[s] == NULL)
    buf_puts(b, "{\"active\":true,\"sub\":\"ann\"");
  else if (s == SCENE_OVERSIZED)
    for (int k = 0; k < OVERSIZE; k++)
      buf_putc(b, ' ');
  else if (str_starts(path, "/.well-known/"))
    buf_printf(b,
               "{\"issuer\":\"http://127.0.0.1:%d\",\"jwks_uri\":\"http://127.0.0.1:%d/jwks\","
               "\"authorization_endpoint\":\"http://127.0.0.1:%d/authorize\","
               "\"token_endpoint\":\"http://127.0.0.1:%d/token\"}",
               i->ports[which], i->ports[which], i->ports[which], i->ports[which]);
  else if (str_is(path, "/jwks"))
    jwt_key_public(i->key, false, b, &e);
  else if (reply) /* at every other path */
    buf_puts(b, idp_fill(i, a, reply, s, which, ""));
  else {
    put_claims(b, i, s, which);
    buf_printf(b, ",\"active\":%s,\"token_type\":\"Bearer\"}",
               s == SCENE_GARBAGE ? "false" : "true");
  }
}

static int status_of(const struct idp *i, enum scene s)
{
  if (s == SCENE_ERROR)
    return 500;
  if (s == SCENE_LIMITED)
    return 429;
  return i->script->status[s] ? i->script->status[s] : 200;
}

static int send_all(int fd, const char *p, size_t n)
{
  while (n) {
    ssize_t k = send(fd, p, n, MSG_NOSIGNAL);
    if (k <= 0)
      return -1;
    p += k;
    n -= (size_t)k;
  }
  return 0;
}

/* Whether a credential of the scene stands in TEXT. */
static bool has_credential(const struct idp *i, struct arena *a, const char *text, unsigned which)
{
  const char *c = idp_credential(i, a, SCENE_VALID, which);
  /* of a JWT the head is the same whenever it is made */
  char head[24] = "";
  snprintf(head, sizeof head, "%s", c ? c : "");
  return *head && strstr(text, head);
}

/* One request, head and body, in REQUEST; its length, 0 when the peer has left. */
static size_t receive(int fd, char *request)
{
  size_t n = 0, whole = 0;
  for (;;) {
    ssize_t k = n < REQUEST_SIZE - 1 ? recv(fd, request + n, REQUEST_SIZE - 1 - n, 0) : 0;
    if (k <= 0)
      return 0;
    n += (size_t)k;
    request[n] = 0;
    const char *end = strstr(request, "\r\n\r\n"),
               *length = strcasestr(request, "\r\ncontent-length:");
    if (end == NULL)
      continue;
    whole =
        (size_t)(end - request) + 4 + (length && length < end ? strtoul(length + 17, NULL, 10) : 0);
    if (n >= whole)
      return n;
  }
}

static void note(const struct idp *i, struct arena *a, const char *request, unsigned which)
{
  char line[4096];
  __atomic_add_fetch(&i->shared->asked[which], 1, __ATOMIC_SEQ_CST);
  snprintf(line, sizeof line, "%.*s", (int)strcspn(request, "\r"), request);
  if (has_credential(i, a, line, which))
    i->shared->token_in_url = true;
  if (strstr(request, "mcpa_") || strstr(request, "conformance-foreign"))
    i->shared->foreign = true;
}

static bool answer(int fd, const struct idp *i, const char *request, unsigned which)
{
  enum scene s = (enum scene)i->shared->scene;
  struct arena *a = arena_new(MIB(4));
  CLEANUP(buf_done) struct buf body, head;
  buf_init(&body, MIB(1));
  buf_init(&head, 1024);
  note(i, a, request, which);
  struct str path = str_of(strchr(request, ' ') ? strchr(request, ' ') + 1 : "");
  path = str_slice(path, 0, strcspn(path.p, " ?"));
  if (s == SCENE_TIMEOUT)
    sleep(HANG_S);
  if (s == SCENE_SLOW)
    poll(NULL, 0, SLOW_MS);
  put_body(&body, i, path, s, which, a);
  buf_printf(&head,
             "HTTP/1.1 %d Said\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
             status_of(i, s), body.n);
  arena_free(a);
  return send_all(fd, head.p, head.n) == 0 && send_all(fd, body.n ? body.p : "", body.n) == 0;
}

static void serve(int fd, const struct idp *i, unsigned which)
{
  static char request[REQUEST_SIZE];
  while (receive(fd, request) && answer(fd, i, request, which))
    ;
  _exit(0);
}

static void accept_all(const struct idp *i)
{
  struct pollfd p[IDPS] = {{i->fds[0], POLLIN, 0}, {i->fds[1], POLLIN, 0}};
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  signal(SIGCHLD, SIG_IGN);
  for (;;) {
    if (poll(p, IDPS, -1) < 0)
      continue;
    for (unsigned k = 0; k < IDPS; k++) {
      int fd = p[k].revents ? accept(p[k].fd, NULL, NULL) : -1;
      if (fd >= 0 && fork() == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        serve(fd, i, k);
      }
      if (fd >= 0)
        close(fd);
    }
  }
}

static int listen_on(struct idp *i, unsigned k, struct err *e)
{
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t n = sizeof at;
  i->fds[k] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (i->fds[k] < 0 || bind(i->fds[k], (struct sockaddr *)&at, sizeof at) < 0 ||
      listen(i->fds[k], 64) < 0 || getsockname(i->fds[k], (struct sockaddr *)&at, &n) < 0)
    return err_set(e, "no port on loopback");
  i->ports[k] = ntohs(at.sin_port);
  return 0;
}

int idp_start(struct idp *i, struct script *s, struct err *e)
{
  i->script = s;
  i->shared =
      mmap(NULL, sizeof *i->shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  i->key = calloc(1, sizeof *i->key);
  i->secret = "a-secret-for-the-conformance-test-of-providers";
  if (i->shared == MAP_FAILED || i->key == NULL)
    return err_set(e, "out of memory");
  if (jwt_key_make(ALG_ES256, NULL, i->key, e) < 0 || listen_on(i, 0, e) < 0 ||
      listen_on(i, 1, e) < 0)
    return -1;
  i->pid = fork();
  if (i->pid == 0)
    accept_all(i);
  return i->pid > 0 ? 0 : err_set(e, "no process can be made");
}

/* Those that it has made for connections end with it. */
void idp_stop(struct idp *i)
{
  if (i->pid > 0) {
    kill(i->pid, SIGKILL);
    waitpid(i->pid, NULL, 0);
  }
  if (i->key)
    jwt_key_done(i->key);
  free(i->key);
}
