/* Inside of the key ring: keyring*.c alone. */
#ifndef STORE_KEYRING_IMPL_H
#define STORE_KEYRING_IMPL_H

#include <openssl/evp.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "store/keyring.h"
#include "util/secret.h"

enum { KEYRING_KEY = 32, KEYRING_NAME = 33 };

struct seal_key {
  uint32_t id;
  int64_t created_at, from;
  struct secret *key;
};

struct sign_key {
  char kid[KEYRING_KID];
  int64_t created_at, from;
  struct secret *der; /* as in the file */
  EVP_PKEY *key;
  EVP_MD_CTX *signer, *verifier; /* set up once, to be copied: the setting up costs more */
  char x[KEYRING_KID], y[KEYRING_KID];
};

/* One reading of the file; immutable once others can see it. */
struct ring {
  struct ring *older;
  uint64_t number;         /* of this reading */
  char name[KEYRING_NAME]; /* hex */
  struct seal_key seal[KEYRING_KEYS];
  struct sign_key sign[KEYRING_KEYS];
  size_t n_seal, n_sign;
  struct buf jwks;
};

struct keyring {
  char *dir, *path;
  _Atomic(struct ring *) now;
  struct stat seen;
};

/* keyring_file.c.  NULL with E; *RET_ERRNO is ENOENT when there is no such file. */
struct ring *ring_read(const struct keyring *k, struct stat *ret_stat, int *ret_errno,
                       struct err *e);
/* Whole or not at all.  FIRST: leaves one alone that somebody else has made meanwhile. */
/* What root makes belongs to whom the directory belongs: the daemon has to open it again. */
int ring_give(const struct keyring *k, int fd);
int ring_write(const struct keyring *k, const struct ring *r, bool first, struct err *e);
void ring_free(struct ring *r);

/* keyring.c */
struct ring *ring_new(struct err *e);
int ring_add_seal(struct ring *r, int64_t from, struct err *e);
int ring_add_sign(struct ring *r, int64_t from, struct err *e);
/* The last one whose time has come; the first when none's has. */
const struct seal_key *ring_sealing(const struct ring *r);
const struct sign_key *ring_signing(const struct ring *r);

/* keyring_sign.c.  Fills all the rest from der. */
int sign_key_derive(struct sign_key *s, struct err *e);
void sign_key_done(struct sign_key *s);
struct secret *sign_key_generate(struct err *e);
/* Fills r->jwks. */
int ring_publish(struct ring *r, struct err *e);

#endif
