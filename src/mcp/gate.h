/* The JSON gate: one strict streaming pass over a request body, which yields what policy decides
 * on.  No tree is built and nothing is allocated in proportion to the input; what is returned lies
 * in the body, or, when a short string was written with escapes, decoded in the arena.
 *
 * Refused (security rows 61 to 77):
 * - what is not RFC 8259: bytes that are not UTF-8, a BOM, NUL, control characters in strings, lone
 *   surrogates, bytes behind the value; depth beyond LIMIT_JSON_DEPTH, more than LIMIT_JSON_VALUES
 *   values (names are none);
 * - batches, and whatever is not one JSON-RPC 2.0 message: an id other than a string of at most
 *   LIMIT_RPC_ID bytes or an integer of 64 bits, a method beside a result, params that are no
 *   object;
 * - a member name of the protocol (of the message, of params, of params.ref, params._meta and
 *   params.notifications) that stands twice, that is written with an escape other than \/, or that
 *   another name differs from in case only (ASCII, and U+017F and U+212A, as Go reads names);
 * - a member of the protocol that has not the type of its schema, or whose text is longer than
 *   LIMIT_ITEM or contains NUL; members of params._meta and of params.arguments that begin with
 *   "mcpauth/", which are the hub's own.
 *
 * src/hub/request.c calls it before anything is recorded or forwarded. */
#ifndef MCP_GATE_H
#define MCP_GATE_H

#include "util/arena.h"
#include "util/str.h"

enum gate_kind {
  GATE_REQUEST = 1,  /* method and id */
  GATE_NOTIFICATION, /* method, no id */
  GATE_RESPONSE,     /* result or error, and id */
};

/* All strings are decoded; .p is NULL when the member is absent. */
struct gate {
  enum gate_kind kind;
  struct str method;
  struct str id; /* the bytes as they stand, quotes included; a string or an integer */
  struct str name, uri, task_id;          /* params.name, params.uri, params.taskId */
  struct str ref_type, ref_name, ref_uri; /* params.ref of completion/complete */
  struct str meta_version; /* params._meta["io.modelcontextprotocol/protocolVersion"] */
  struct str init_version; /* params.protocolVersion */
  struct str params;       /* as it stands */
  struct str arguments;    /* params.arguments as it stands: an object or null */
  /* of subscriptions/listen, params.notifications.resourceSubscriptions and .taskIds: arrays of
   * strings as they stand */
  struct str subscriptions, task_ids;
};

/* What to answer: HTTP 400 with a JSON-RPC error. */
struct gate_fault {
  int code;         /* -32700 not JSON, -32600 not one JSON-RPC message, -32602 unusable params */
  const char *what; /* one sentence, static */
  size_t at;        /* offset in the body */
};

/* 0, or -1 with *FAULT. */
int gate_read(struct str body, struct arena *a, struct gate *ret, struct gate_fault *fault);

/* One JSON value inside bytes that a gate has accepted. */
enum gate_type {
  GATE_ABSENT = 0,
  GATE_NULL,
  GATE_FALSE,
  GATE_TRUE,
  GATE_NUMBER,
  GATE_TEXT,
  GATE_ARRAY,
  GATE_OBJECT,
  /* A name on the way stands twice, or in another case: readers differ in which value they take,
   * so no condition about it is met. */
  GATE_TWICE,
};

struct gate_value {
  enum gate_type type;
  struct str raw; /* the value's bytes as they stand */
};

/* The value at POINTER (RFC 6901, "" is the whole) in JSON, which must be a value that a gate has
 * accepted. */
struct gate_value gate_at(struct str json, struct str pointer);
/* Steps over the elements of an array: *CURSOR begins as the array's raw bytes. */
bool gate_next(struct str *cursor, struct gate_value *ret);
/* Whether the string RAW (with its quotes) decodes to TEXT, byte for byte. */
bool gate_text_is(struct str raw, struct str text);
/* The decoded string, in ARENA when it has escapes; .p NULL when out of memory. */
struct str gate_text(struct str raw, struct arena *a);

#endif
