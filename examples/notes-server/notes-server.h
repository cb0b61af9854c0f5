/* A small MCP server to try the hub with: notes in memory, no authentication of its own.
 *
 * notes-server.c speaks HTTP and event streams, mcp.c the protocol in both of its eras, notes.c
 * keeps the notes and describes what can be done with them. */
#ifndef NOTES_SERVER_H
#define NOTES_SERVER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* What the HTTP side hands over; headers that are absent are NULL. */
struct mcp_request {
  const char *body;
  size_t body_len;
  const char *version; /* MCP-Protocol-Version */
  const char *method;  /* Mcp-Method */
  const char *name;    /* Mcp-Name */
  const char *session; /* Mcp-Session-Id */
};

/* slow_count: so many progress notifications, then the result. */
struct counting {
  json_t *id, *token; /* token NULL: the caller wants no progress */
  unsigned to, delay_ms;
  bool modern;
};

struct mcp_answer {
  unsigned status;
  json_t *message;        /* NULL: no body, or COUNT */
  struct counting *count; /* instead of a message: to be streamed */
  char session[33];       /* minted by initialize, else "" */
};

/* mcp.c */
extern const char modern_version[];
struct mcp_answer mcp_answer(const struct mcp_request *rq);
json_t *mcp_result(json_t *id, json_t *result, bool modern); /* takes RESULT */
void counting_free(struct counting *c);
bool session_known(const char *id);
bool session_end(const char *id);

/* notes.c: the lists take nothing; the calls return a result, or NULL with *RET_WHY set. */
json_t *notes_tools(void);
json_t *notes_resources(void);
json_t *notes_templates(void);
json_t *notes_prompts(void);
json_t *notes_call(const char *tool, json_t *arguments, const char **ret_why);
json_t *notes_read(const char *uri, const char **ret_why);
json_t *notes_prompt(const char *name, json_t *arguments, const char **ret_why);
bool notes_slow_count(json_t *arguments, unsigned *ret_to, unsigned *ret_delay_ms);
size_t notes_count(void);

#endif
