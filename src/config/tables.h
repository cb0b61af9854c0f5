/* The host's own option tables, one a block: for the parser, the manual page and its test. */
#ifndef CONFIG_TABLES_H
#define CONFIG_TABLES_H

#include "config/options.h"

struct block_rows {
  const char *block;
  const struct option_spec *rows;
  size_t n;
};

extern const struct block_rows hub_rows, admin_rows, listen_rows, provider_rows, scope_rows,
    condition_rows, policy_rows, stack_rows, service_rows, oauth_rows, client_rows;

#endif
