/* The JSON gate: one strict streaming pass over a request body, which yields what policy decides
 * on.  No tree is built and nothing is allocated in proportion to the input; what is returned lies
 * in the body, or, when a short string was written with escapes, decoded in the arena.
 *
 * Refused: bytes that are not UTF-8, a BOM, NUL, bytes behind the value, depth beyond
 * LIMIT_JSON_DEPTH, more than LIMIT_JSON_VALUES values, numbers and strings outside RFC 8259, a
 * member name of the protocol (of the message, of params, of params.ref and of params._meta) that
 * stands twice or that another spells in another case, names written with escapes where the
 * protocol has names, lone surrogates, and batches (security rows 61 to 75).
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
  struct str arguments;    /* params.arguments as it stands */
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
};

struct gate_value {
  enum gate_type type;
  struct str raw; /* the value's bytes as they stand */
};

/* The value at POINTER (RFC 6901, "" is the whole) in JSON, which must be a value that a gate has
 * accepted.  A name that stands twice in an object is GATE_ABSENT, whichever value were meant. */
struct gate_value gate_at(struct str json, struct str pointer);
/* Steps over the elements of an array: *CURSOR begins as the array's raw bytes. */
bool gate_next(struct str *cursor, struct gate_value *ret);
/* Whether the string RAW (with its quotes) decodes to TEXT, byte for byte. */
bool gate_text_is(struct str raw, struct str text);
/* The decoded string, in ARENA when it has escapes; .p NULL when out of memory. */
struct str gate_text(struct str raw, struct arena *a);

#endif
