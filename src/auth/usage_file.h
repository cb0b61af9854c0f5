/* The files of the use counts (usage.h): names, reading, merging, folding.  Blocking: called in job
 * threads, at start, at the end, and by the command line. */
#ifndef AUTH_USAGE_FILE_H
#define AUTH_USAGE_FILE_H

#include <jansson.h>

#include "util/err.h"
#include "util/str.h"

enum { USAGE_FILE_MAX = 8 << 20, USAGE_KEYS_MAX = 20000, USAGE_KEY_MAX = 256 };

/* STATE_DIR/usage, made when absent (0700). */
int usage_dir(const char *state_dir, char out[4096], struct err *e);
/* TEXT as DIR/INSTANCE.PART.json, by rename. */
int usage_write_part(const char *dir, const char *instance, const char *part, struct str text,
                     struct err *e);
/* Folds the parts of processes that have ended, and OWN ("PID.START"; NULL: none), into
 * INSTANCE.json; a crash in between counts nothing twice. */
int usage_fold(const char *dir, const char *own, struct err *e);

#endif
