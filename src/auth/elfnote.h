/* Reads the ABI number of a provider from its ELF note, before any of its code runs. */
#ifndef AUTH_ELFNOTE_H
#define AUTH_ELFNOTE_H

#include <stdint.h>

#include "util/err.h"

/* FD: a regular file; its offset is not used.  *RET_ABI as MCPAUTH_ABI is made. */
int elfnote_abi(int fd, uint32_t *ret_abi, struct err *e);

#endif
