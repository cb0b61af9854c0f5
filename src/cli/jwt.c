/* mcpauth jwt: test tokens from a local key, and a look at anybody's.  Tokens and keys come from
 * files or standard input, never from the command line, where every user of the machine sees them
 * (row 33). */
#include "cli/jwt.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "auth/jwt.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/limits.h"

int jwt_duration(const char *text, int64_t *ret, struct err *e)
{
  static const struct {
    const char *unit;
    int64_t seconds;
  } units[] = {{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}};
  bool negative = *text == '-';
  struct str s = str_of(text + negative);
  uint64_t n;
  for (size_t i = 0; i < ARRAY_SIZE(units); i++)
    if (str_ends(s, units[i].unit) && str_u64(str_slice(s, 0, s.n - 1), INT32_MAX, &n)) {
      *ret = (int64_t)n * units[i].seconds * (negative ? -1 : 1);
      return 0;
    }
  return err_set(e, "'%s' is no duration like 90s, 10m, 1h or 7d", text);
}

int jwt_read_token(const char *file, struct buf *out, struct err *e)
{
  FILE *in = file ? fopen(file, "re") : stdin;
  if (in == NULL)
    return err_set(e, "%s: %s", file, strerror(errno));
  char block[4096];
  for (size_t n; (n = fread(block, 1, sizeof block, in)) > 0;)
    buf_add(out, block, n);
  bool bad = ferror(in);
  if (file)
    fclose(in);
  if (bad || out->failed)
    return err_set(e, bad ? "cannot read the token" : "the token is too long");
  while (out->n && strchr(" \t\r\n", out->p[out->n - 1]))
    out->p[--out->n] = 0;
  size_t blanks = out->n ? strspn(out->p, " \t\r\n") : 0;
  buf_consume(out, blanks);
  return out->n ? 0 : err_set(e, "there is no token on standard input (or --token-file FILE)");
}

static int fail(const char *what, const struct err *e)
{
  fprintf(stderr, "mcpauth jwt %s: %s\n", what, e->text);
  return CLI_FAILED;
}

static int usage(const char *message)
{
  return cli_usage(&cmd_jwt, message);
}

static int print(json_t *document)
{
  int bad = json_dumpf(document, stdout, JSON_INDENT(2));
  json_decref(document);
  return bad || putchar('\n') == EOF || fflush(stdout) ? CLI_FAILED : CLI_OK;
}

/* ------------------------------------------------------------------ decode */

int jwt_decode(int argc, char **argv)
{
  static const struct option options[] = {{"token-file", required_argument, NULL, 't'},
                                          {NULL, 0, NULL, 0}};
  const char *file = NULL;
  struct err e = {""};
  enum jwt_status status;
  CLEANUP(buf_wipe) struct buf token;
  buf_init(&token, 4 * LIMIT_CREDENTIAL);
  for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;)
    if (o != 't')
      return usage("unknown option");
    else
      file = optarg;
  if (optind < argc)
    return usage("a token is not given on the command line, where others see it");
  if (jwt_read_token(file, &token, &e) < 0)
    return fail("decode", &e);
  struct jwt *t = jwt_parse(buf_view(&token), &status, &e);
  if (t == NULL)
    return fail("decode", &e);
  fputs("UNVERIFIED: nothing below has been checked; anybody can write such a token.\n", stderr);
  int exit_status = print(
      json_pack("{sbsOsO}", "verified", 0, "header", jwt_header(t), "payload", jwt_payload(t)));
  jwt_free(t);
  return exit_status;
}

/* ------------------------------------------------------------------ verify */

struct verify {
  const char *keys, *file;
  const char *issuers[16], *audiences[16], *algorithms[16], *types[16];
  struct mcpauth_jwt_policy policy;
};

static int add(struct mcpauth_list *list, const char **room, const char *word)
{
  if (list->n == 16)
    return usage("too many of one option");
  room[list->n++] = word;
  list->v = room;
  return 0;
}

static const struct option verify_options[] = {
    {"key", required_argument, NULL, 'k'},
    {"jwks", required_argument, NULL, 'k'},
    {"issuer", required_argument, NULL, 'i'},
    {"audience", required_argument, NULL, 'a'},
    {"alg", required_argument, NULL, 'g'},
    {"typ", required_argument, NULL, 'y'},
    {"leeway", required_argument, NULL, 'l'},
    {"token-file", required_argument, NULL, 't'},
    {NULL, 0, NULL, 0},
};

static int verify_option(struct verify *v, int o)
{
  struct err e = {""};
  int64_t leeway;
  switch (o) {
  case 'k':
    v->keys = optarg;
    return 0;
  case 't':
    v->file = optarg;
    return 0;
  case 'i':
    return add(&v->policy.issuers, v->issuers, optarg);
  case 'a':
    return add(&v->policy.audiences, v->audiences, optarg);
  case 'g':
    return add(&v->policy.algorithms, v->algorithms, optarg);
  case 'y':
    return add(&v->policy.types, v->types, optarg);
  case 'l':
    if (jwt_duration(optarg, &leeway, &e) < 0 || leeway < 0 || leeway > 3600)
      return usage("--leeway is a duration from 0s to 1h");
    v->policy.leeway_ms = leeway * 1000;
    return 0;
  }
  return usage("unknown option");
}

static int verify_token(struct verify *v, struct err *e)
{
  enum jwt_status status;
  CLEANUP(buf_wipe) struct buf token;
  buf_init(&token, 4 * LIMIT_CREDENTIAL);
  struct jwks *keys = jwt_keys_read(v->keys, e);
  if (keys == NULL || jwt_read_token(v->file, &token, e) < 0) {
    jwks_free(keys);
    return CLI_FAILED;
  }
  int exit_status = CLI_FAILED;
  struct jwt *t = jwt_parse(buf_view(&token), &status, e);
  if (t && jwt_verify(t, keys, &v->policy, clock_wall(), e) == JWT_VALID)
    exit_status = print(
        json_pack("{sbsOsO}", "verified", 1, "header", jwt_header(t), "payload", jwt_payload(t)));
  jwt_free(t);
  jwks_free(keys);
  return exit_status;
}

int jwt_verify_command(int argc, char **argv)
{
  struct verify v = {.policy.leeway_ms = 30000};
  struct err e = {""};
  for (int o; (o = getopt_long(argc, argv, "", verify_options, NULL)) != -1;)
    if (verify_option(&v, o))
      return CLI_USAGE;
  if (optind < argc)
    return usage("a token is not given on the command line, where others see it");
  if (v.keys == NULL || v.policy.issuers.n == 0 || v.policy.audiences.n == 0)
    return usage("verify needs --key FILE (or --jwks FILE), --issuer and --audience");
  int exit_status = verify_token(&v, &e);
  if (exit_status != CLI_OK)
    fprintf(stderr, "mcpauth jwt verify: REFUSED: %s\n", e.text);
  return exit_status;
}

/* ------------------------------------------------------------------ the command */

static int run(const struct cli *cli, int argc, char **argv)
{
  static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
  } verbs[] = {{"keygen", jwt_keygen},
               {"mint", jwt_mint},
               {"decode", jwt_decode},
               {"verify", jwt_verify_command}};
  (void)cli;
  for (size_t i = 0; argc > 1 && i < ARRAY_SIZE(verbs); i++)
    if (strcmp(argv[1], verbs[i].name) == 0)
      return verbs[i].run(argc - 1, argv + 1);
  return usage(argc > 1 ? "there are keygen, mint, decode and verify" : "say what to do");
}

const struct cli_command cmd_jwt = {
    .name = "jwt",
    .actions = "keygen mint decode verify",
    .synopsis =
        "keygen|mint|decode|verify ...\n"
        "  keygen [--alg ES256] [--kid ID] [--pem] [--out FILE]   FILE (0600) and FILE.pub\n"
        "  mint --key FILE --issuer URL --subject WHO --audience URL... [--scope \"A B\"]\n"
        "       [--claim NAME=JSON]... [--expires 1h] [--kid ID] [--alg ALG] [--typ at+jwt]\n"
        "  decode [--token-file FILE]\n"
        "  verify --key|--jwks FILE --issuer URL... --audience URL... [--alg ALG]... [--typ "
        "TYP]...\n"
        "       [--leeway 30s] [--token-file FILE]\n"
        "Tokens are read from standard input, or from --token-file.",
    .summary = "make, look at and verify test tokens",
    .example = "mcpauth jwt mint --key lab --issuer https://lab.example.com --subject ann "
               "--audience https://mcp.example.com/notes",
    .run = run,
};
