/* The list filter: cuts what a caller may not see out of replies to tools/list, prompts/list,
 * resources/list and resources/templates/list while they stream by, in JSON and in event streams.
 * Everything else passes byte for byte: kept items, unknown members, nextCursor, white space, the
 * framing of events.  The cacheScope of a result becomes "private" (rows 70 and 71).
 *
 * Lists are known by their shape, result.tools and so on, whatever the message's id: an upstream
 * may send a reply again on a stream that is resumed.  Names are compared as the laxest client
 * compares them (case folded, escapes decoded); an item whose own name is absent, doubled or longer
 * than LIMIT_ITEM is hidden.
 *
 * It reads strictly as far as structure goes and fails for good at the first byte that no JSON can
 * have there; then nothing more may be passed on.  Memory is bounded: one item at a time, of
 * LIMIT_LIST_ITEM bytes at most.
 *
 * Pure.  Used by src/hub/forward.c and stream.c. */
#ifndef MCP_LIST_H
#define MCP_LIST_H

#include "mcp/operation.h"
#include "util/buf.h"
#include "util/limits.h"

/* Whether the caller may see the item of a list of KIND: a tool's or prompt's name, a resource's
 * URI or template. */
typedef bool list_show_fn(void *arg, enum list_kind kind, struct str item);

enum list_state {
  LIST_VALUE = 0,     /* a value must follow */
  LIST_FIRST_ELEMENT, /* a value or the array's end */
  LIST_FIRST_NAME,    /* a member's name or the object's end */
  LIST_NAME,
  LIST_COLON,
  LIST_AFTER, /* behind a value */
  LIST_STRING,
  LIST_ESCAPE,
  LIST_HEX,
  LIST_SCALAR, /* a number, true, false, null */
};

/* What becomes of the bytes that come next. */
enum list_mode {
  LIST_PASS = 0,
  LIST_HOLD, /* inside a list: until the item is whole */
  LIST_DROP, /* a value that is replaced */
};

enum list_member { LIST_OTHER = 0, LIST_RESULT, LIST_ITEMS, LIST_SCOPE };

struct list {
  list_show_fn *show;
  void *arg;
  bool sse;
  const char *what; /* why it failed; NULL: it did not */
  struct buf out;   /* what passes */

  /* the way through one JSON document */
  enum list_state state;
  enum list_mode mode;
  uint64_t objects[LIMIT_LIST_DEPTH / 64]; /* a bit a level: an object, or an array */
  unsigned depth, message_depth;           /* of a message's members: 2 in a batch */
  unsigned result_depth, items_depth;      /* of their members and elements; 0: not inside */
  unsigned hex;                            /* digits that an escape still needs */
  bool is_name;                            /* the string is a member's name */
  bool began;                              /* a byte other than white space was seen */
  struct buf token;                        /* a name that may matter, or a number or word */
  enum list_member member;                 /* the member whose value follows */
  enum list_kind kind;                     /* of the list */

  /* what is held: separator and item as they stand, the item alone, the framing among them */
  struct buf held, item, frame;
  bool in_item, kept;
  size_t comma; /* offset in held; SIZE_MAX: none */

  /* the way through an event stream */
  struct {
    enum { SSE_NAME = 0, SSE_DATA_SPACE, SSE_TYPE_SPACE, SSE_DATA, SSE_TYPE, SSE_REST } at;
    char word[8]; /* the field's name, or the type's beginning */
    size_t n;
    bool after_cr, started, have_data;
    bool foreign; /* the event calls itself something other than a message */
    bool passed;  /* data passed because of that */
    bool plain;   /* its data is no JSON */
  } line;
};

/* SSE: the bytes are an event stream, else one JSON document.  SHOW is NULL when nothing is to be
 * hidden: then only cacheScope changes. */
void list_init(struct list *l, bool sse, list_show_fn *show, void *arg);
void list_done(struct list *l);
/* *RET: what may be passed on, valid until the next call.  -1, for good: l->what says why. */
int list_feed(struct list *l, struct str bytes, struct str *ret);
/* The reply is over: -1 when its JSON is not whole.  An empty one is. */
int list_end(struct list *l);
/* What list_feed returned was used: keeps little memory until the next bytes come. */
void list_idle(struct list *l);

/* ---- between list.c and list_sse.c */

int list_fail(struct list *l, const char *what);
/* Bytes of the JSON document.  Those that are not REAL (the line end between two lines of data) are
 * read, but are passed on as framing by the caller. */
int list_json(struct list *l, struct str bytes, bool real);
void list_frame(struct list *l, struct str bytes);
/* The document is over: -1 when it is not whole; ready for the next. */
int list_json_end(struct list *l);
int list_sse(struct list *l, struct str bytes);

#endif
