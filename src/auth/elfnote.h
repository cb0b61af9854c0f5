/* Reads what a provider says about itself in its ELF notes, before any of its code runs: its ABI,
 * and the host functions that it cannot do without (MCPAUTH_NOTE, MCPAUTH_NEEDS in provider.h). */
#ifndef AUTH_ELFNOTE_H
#define AUTH_ELFNOTE_H

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

enum { ELFNOTE_NEEDS = 64, ELFNOTE_FUNCTION = 60 };

struct elfnote {
  uint32_t abi; /* as MCPAUTH_ABI is made */
  size_t n;
  struct elfnote_need {
    uint32_t end;                    /* what the host's struct_size must be at least */
    char function[ELFNOTE_FUNCTION]; /* [a-z][a-z0-9_]* */
  } needs[ELFNOTE_NEEDS];
};

/* FD: a regular file; its offset is not used. */
int elfnote_read(int fd, struct elfnote *ret, struct err *e);

#endif
