/* The protocol: one JSON-RPC message in, one answer out, in the era that the message belongs to.
 *
 * Until 2025-11-25 a client begins with `initialize` and may have a session; from 2026-07-28 on
 * each request says in `_meta` and in headers what it is, and there is nothing to remember. */
#include "notes-server.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
  PARSE_ERROR = -32700,
  INVALID_REQUEST = -32600,
  METHOD_NOT_FOUND = -32601,
  INVALID_PARAMS = -32602,
  RESOURCE_NOT_FOUND = -32002, /* until 2025-11-25 */
  HEADER_MISMATCH = -32020,
  UNSUPPORTED_VERSION = -32022,
};

const char modern_version[] = "2026-07-28";
static const char *const legacy_versions[] = {"2025-11-25", "2025-06-18", "2025-03-26",
                                              "2024-11-05"};
#define META_VERSION "io.modelcontextprotocol/protocolVersion"
#define META_SERVER  "io.modelcontextprotocol/serverInfo"

/* --- sessions of the older era: the last so many are known
 * ---------------------------------------- */

enum { MAX_SESSIONS = 256 };
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char sessions[MAX_SESSIONS][33];
static size_t next_session;

static void session_new(char ret[33])
{
  unsigned char random[16];
  if (getrandom(random, sizeof random, 0) != sizeof random)
    abort();
  for (size_t i = 0; i < sizeof random; i++)
    snprintf(ret + 2 * i, 3, "%02x", random[i]);
  pthread_mutex_lock(&lock);
  memcpy(sessions[next_session++ % MAX_SESSIONS], ret, 33);
  pthread_mutex_unlock(&lock);
}

static bool session_find(const char *id, bool end)
{
  bool found = false;
  pthread_mutex_lock(&lock);
  for (size_t i = 0; i < MAX_SESSIONS && !found; i++)
    if (sessions[i][0] && strcmp(sessions[i], id) == 0) {
      found = true;
      if (end)
        sessions[i][0] = '\0';
    }
  pthread_mutex_unlock(&lock);
  return found;
}

bool session_known(const char *id)
{
  return session_find(id, false);
}

bool session_end(const char *id)
{
  return session_find(id, true);
}

/* --- one call
 * ------------------------------------------------------------------------------------- */

struct call {
  const struct mcp_request *rq;
  json_t *params, *id;
  bool modern;
  struct mcp_answer *answer;
  /* why there is no result */
  int code;
  const char *why;
};

static json_t *fail(struct call *c, int code, const char *why)
{
  c->code = code;
  c->why = why;
  return NULL;
}

static json_t *server_info(void)
{
  return json_pack("{s:s,s:s}", "name", "notes-server", "version", "1.0.0");
}

static json_t *capabilities(bool modern)
{
  json_t *c = json_pack("{s:{},s:{},s:{}}", "tools", "resources", "prompts");
  if (!modern)
    json_object_set_new(c, "logging", json_object());
  return c;
}

static json_t *on_initialize(struct call *c)
{
  const char *version = NULL, *agreed = legacy_versions[0];
  if (json_unpack(c->params, "{s:s}", "protocolVersion", &version) != 0)
    return fail(c, INVALID_PARAMS, "initialize needs protocolVersion");
  for (size_t i = 0; i < sizeof legacy_versions / sizeof *legacy_versions; i++)
    if (strcmp(legacy_versions[i], version) == 0)
      agreed = legacy_versions[i];
  session_new(c->answer->session);
  return json_pack("{s:s,s:o,s:o,s:s}", "protocolVersion", agreed, "capabilities",
                   capabilities(false), "serverInfo", server_info(), "instructions",
                   "Notes that live until the server stops.");
}

static json_t *on_discover(struct call *c)
{
  (void)c;
  json_t *versions = json_pack("[s]", modern_version);
  for (size_t i = 0; i < sizeof legacy_versions / sizeof *legacy_versions; i++)
    json_array_append_new(versions, json_string(legacy_versions[i]));
  return json_pack("{s:o,s:o,s:s,s:{s:o}}", "supportedVersions", versions, "capabilities",
                   capabilities(true), "instructions", "Notes that live until the server stops.",
                   "_meta", META_SERVER, server_info());
}

static json_t *on_nothing(struct call *c)
{
  (void)c;
  return json_object();
}

static json_t *on_tools_list(struct call *c)
{
  (void)c;
  return notes_tools();
}

static json_t *on_resources_list(struct call *c)
{
  (void)c;
  return notes_resources();
}

static json_t *on_templates_list(struct call *c)
{
  (void)c;
  return notes_templates();
}

static json_t *on_prompts_list(struct call *c)
{
  (void)c;
  return notes_prompts();
}

static json_t *on_slow_count(struct call *c, json_t *arguments)
{
  struct counting *n = calloc(1, sizeof *n);
  if (n == NULL || !notes_slow_count(arguments, &n->to, &n->delay_ms)) {
    free(n);
    return fail(c, INVALID_PARAMS, "slow_count takes to (1..1000) and delay_ms (0..10000)");
  }
  n->modern = c->modern;
  n->id = json_incref(c->id);
  n->token = json_incref(json_object_get(json_object_get(c->params, "_meta"), "progressToken"));
  c->answer->count = n;
  return NULL;
}

static json_t *on_tools_call(struct call *c)
{
  const char *name = NULL, *why = NULL;
  json_t *arguments = json_object_get(c->params, "arguments");
  if (json_unpack(c->params, "{s:s}", "name", &name) != 0)
    return fail(c, INVALID_PARAMS, "tools/call needs the name of a tool");
  if (strcmp(name, "slow_count") == 0)
    return on_slow_count(c, arguments);
  json_t *result = notes_call(name, arguments, &why);
  return result ? result : fail(c, INVALID_PARAMS, why);
}

static json_t *on_resources_read(struct call *c)
{
  const char *uri = NULL, *why = NULL;
  if (json_unpack(c->params, "{s:s}", "uri", &uri) != 0)
    return fail(c, INVALID_PARAMS, "resources/read needs a uri");
  json_t *result = notes_read(uri, &why);
  return result ? result : fail(c, c->modern ? INVALID_PARAMS : RESOURCE_NOT_FOUND, why);
}

static json_t *on_prompts_get(struct call *c)
{
  const char *name = NULL, *why = NULL;
  if (json_unpack(c->params, "{s:s}", "name", &name) != 0)
    return fail(c, INVALID_PARAMS, "prompts/get needs the name of a prompt");
  json_t *result = notes_prompt(name, json_object_get(c->params, "arguments"), &why);
  return result ? result : fail(c, INVALID_PARAMS, why);
}

enum era { LEGACY = 1, MODERN = 2, BOTH = 3 };

static const struct method {
  const char *name;
  enum era era;
  json_t *(*run)(struct call *c);
  const char *named; /* the parameter that Mcp-Name repeats */
  bool cacheable;    /* its result carries ttlMs and cacheScope in the newer era */
} methods[] = {
    {"initialize", LEGACY, on_initialize, NULL, false},
    {"ping", LEGACY, on_nothing, NULL, false},
    {"logging/setLevel", LEGACY, on_nothing, NULL, false},
    {"server/discover", MODERN, on_discover, NULL, true},
    {"tools/list", BOTH, on_tools_list, NULL, true},
    {"tools/call", BOTH, on_tools_call, "name", false},
    {"resources/list", BOTH, on_resources_list, NULL, true},
    {"resources/templates/list", BOTH, on_templates_list, NULL, true},
    {"resources/read", BOTH, on_resources_read, "uri", true},
    {"prompts/list", BOTH, on_prompts_list, NULL, true},
    {"prompts/get", BOTH, on_prompts_get, "name", false},
};

static const struct method *find_method(const char *name, bool modern)
{
  for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
    if (strcmp(methods[i].name, name) == 0 && (methods[i].era & (modern ? MODERN : LEGACY)))
      return &methods[i];
  return NULL;
}

/* --- messages
 * ------------------------------------------------------------------------------------- */

json_t *mcp_result(json_t *id, json_t *result, bool modern)
{
  if (modern)
    json_object_set_new(result, "resultType", json_string("complete"));
  return json_pack("{s:s,s:O,s:o}", "jsonrpc", "2.0", "id", id, "result", result);
}

static struct mcp_answer error(unsigned status, json_t *id, int code, const char *why)
{
  json_t *message =
      json_pack("{s:s,s:{s:i,s:s}}", "jsonrpc", "2.0", "error", "code", code, "message", why);
  json_object_set(message, "id", id ? id : json_null());
  return (struct mcp_answer){.status = status, .message = message};
}

void counting_free(struct counting *c)
{
  if (c == NULL)
    return;
  json_decref(c->id);
  json_decref(c->token);
  free(c);
}

static bool same(const char *header, const char *value)
{
  return header && value && strcmp(header, value) == 0;
}

/* What the newer era demands of headers and _meta; true: go on. */
static bool headers_agree(const struct mcp_request *rq, const char *method, const struct method *m,
                          json_t *params, json_t *id, struct mcp_answer *ret)
{
  const char *version =
      json_string_value(json_object_get(json_object_get(params, "_meta"), META_VERSION));
  if (version == NULL)
    *ret = error(400, id, INVALID_PARAMS, "_meta does not say which protocol version this is");
  else if (!same(rq->version, version) || !same(rq->method, method))
    *ret = error(400, id, HEADER_MISMATCH, "headers and body do not say the same");
  else if (strcmp(version, modern_version) != 0) {
    *ret = error(400, id, UNSUPPORTED_VERSION, "this protocol version is not spoken here");
    json_object_set_new(
        json_object_get(ret->message, "error"), "data",
        json_pack("{s:[s],s:s}", "supported", modern_version, "requested", version));
  } else if (m && m->named && !same(rq->name, json_string_value(json_object_get(params, m->named))))
    *ret = error(400, id, HEADER_MISMATCH, "Mcp-Name and the body do not say the same");
  else
    return true;
  return false;
}

static struct mcp_answer run(const struct mcp_request *rq, const struct method *m, json_t *params,
                             json_t *id, bool modern)
{
  struct mcp_answer answer = {.status = 200};
  struct call c = {.rq = rq, .params = params, .id = id, .modern = modern, .answer = &answer};
  json_t *result = m->run(&c);
  if (answer.count)
    return answer;
  if (result == NULL)
    return error(modern ? 400 : 200, id, c.code, c.why);
  if (modern && m->cacheable) {
    json_object_set_new(result, "ttlMs", json_integer(0));
    json_object_set_new(result, "cacheScope", json_string("private"));
  }
  answer.message = mcp_result(id, result, modern);
  return answer;
}

/* Whether a version header names one of the older era, or nothing at all. */
static bool legacy_version(const char *version)
{
  for (size_t i = 0; i < sizeof legacy_versions / sizeof *legacy_versions; i++)
    if (version == NULL || strcmp(version, legacy_versions[i]) == 0)
      return true;
  return false;
}

static struct mcp_answer answer_message(const struct mcp_request *rq, json_t *message)
{
  const char *method = json_string_value(json_object_get(message, "method"));
  json_t *id = json_object_get(message, "id"), *params = json_object_get(message, "params");
  bool modern = !legacy_version(rq->version) ||
                json_object_get(json_object_get(params, "_meta"), META_VERSION);
  if (method == NULL) /* a reply to a question that this server never asks */
    return json_object_get(message, "result") || json_object_get(message, "error")
               ? (struct mcp_answer){.status = 202}
               : error(400, id, INVALID_REQUEST, "this is no JSON-RPC request");
  if (id == NULL)
    return (struct mcp_answer){.status = 202};
  if (!modern && rq->session && !session_known(rq->session))
    return error(404, id, INVALID_REQUEST, "this session is not known");
  const struct method *m = find_method(method, modern);
  struct mcp_answer refusal;
  if (modern && !headers_agree(rq, method, m, params, id, &refusal))
    return refusal;
  if (m == NULL)
    return error(modern ? 404 : 200, id, METHOD_NOT_FOUND, "there is no such method");
  return run(rq, m, params, id, modern);
}

struct mcp_answer mcp_answer(const struct mcp_request *rq)
{
  json_t *message = json_loadb(rq->body, rq->body_len, JSON_REJECT_DUPLICATES, NULL);
  if (!json_is_object(message)) {
    json_decref(message);
    return error(400, NULL, PARSE_ERROR, "the body is not one JSON-RPC message");
  }
  struct mcp_answer answer = answer_message(rq, message);
  json_decref(message);
  return answer;
}
