/* What one program of the master hands to the next: comes back as it was, and nothing is believed
 * that is not so. */
#include <config.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "hub/handover.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/cleanup.h"

struct world {
  struct handover h;
  struct handover_listener listener;
  struct handover_generation generation;
  struct handover_client client;
  int pair[2], link[2];
};

static int listening(void)
{
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  assert_true(fd > 2 && listen(fd, 1) == 0);
  return fd;
}

static int set_up(void **state)
{
  static struct world w;
  memset(&w, 0, sizeof w);
  *state = &w;
  int child = fork();
  if (child == 0) {
    pause();
    _exit(0);
  }
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, w.pair), 0);
  assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, w.link), 0);
  w.listener.fd = listening();
  w.listener.want.address.ss_family = AF_INET;
  strcpy(w.listener.want.text, "127.0.0.1:0");
  w.generation = (struct handover_generation){.number = 7, .pid = child, .link_fd = w.link[0]};
  w.client = (struct handover_client){.fd = w.pair[0], .n_line = 3, .line = "rel"};
  w.h = (struct handover){
      .listeners = &w.listener, .generations = &w.generation, .clients = &w.client};
  w.h.head = (struct handover_head){.n_listeners = 1,
                                    .n_generations = 1,
                                    .n_clients = 1,
                                    .version = "1.0",
                                    .daemon = "1.1",
                                    .serving = 7,
                                    .last_number = 9,
                                    .shm_fd = dup(2),
                                    .heads_fd = dup(2),
                                    .control_fd = listening()};
  return 0;
}

static int tear_down(void **state)
{
  struct world *w = *state;
  kill(w->generation.pid, SIGKILL);
  waitpid(w->generation.pid, NULL, 0);
  const int fds[] = {w->pair[0],     w->pair[1],       w->link[0],         w->link[1],
                     w->listener.fd, w->h.head.shm_fd, w->h.head.heads_fd, w->h.head.control_fd};
  for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
    close(fds[i]);
  unsetenv("MCPAUTH_HANDOVER");
  return 0;
}

static void name_it(int pid, int fd)
{
  char text[64];
  snprintf(text, sizeof text, "%d:%d", pid, fd);
  setenv("MCPAUTH_HANDOVER", text, 1);
}

static void write_it(const struct world *w)
{
  struct err e = {""};
  int fd = handover_write(&w->h, &e);
  assert_string_equal(e.text, "");
  assert_true(fd > 2);
  name_it(getpid(), fd);
}

static void test_what_was_written_is_taken_once(void **state)
{
  struct world *w = *state;
  struct handover *h = NULL;
  struct err e = {""};
  int fds[8];
  write_it(w);
  assert_int_equal(handover_take(&h, &e), 0);
  assert_non_null(h);
  assert_string_equal(h->listeners[0].want.text, "127.0.0.1:0");
  assert_int_equal(h->generations[0].pid, w->generation.pid);
  assert_memory_equal(h->clients[0].line, "rel", 3);
  assert_true(handover_fds_most(h) <= ARRAY_SIZE(fds));
  assert_int_equal(handover_fds(h, fds), 6);
  handover_free(h);
  assert_null(getenv("MCPAUTH_HANDOVER"));
  assert_int_equal(handover_take(&h, &e), 0);
  assert_null(h);
}

/* A parent that passes its environment on does not make us its successor. */
static void test_what_is_for_another_process_is_left_alone(void **state)
{
  struct handover *h = NULL;
  struct err e = {""};
  (void)state;
  name_it(getpid() + 1, 2000);
  assert_int_equal(handover_take(&h, &e), 0);
  assert_null(h);
  setenv("MCPAUTH_HANDOVER", "nonsense", 1);
  assert_int_equal(handover_take(&h, &e), 0);
  assert_null(h);
}

static void refused(const struct world *w, const char *why)
{
  struct handover *h = NULL;
  struct err e = {""};
  write_it(w);
  assert_int_equal(handover_take(&h, &e), -1);
  assert_null(h);
  assert_non_null(strstr(e.text, why));
}

static void test_a_descriptor_that_is_something_else_is_refused(void **state)
{
  struct world *w = *state;
  int was = w->listener.fd;
  w->listener.fd = w->pair[1];
  refused(w, "listener 0 is wrong");
  w->listener.fd = w->h.head.control_fd;
  refused(w, "its head is wrong"); /* twice the same */
  w->listener.fd = was;
  w->generation.link_fd = w->pair[1];
  refused(w, "generation 0 is wrong");
  w->generation.link_fd = w->link[0];
  w->client.fd = w->link[1];
  refused(w, "client 0 is wrong");
  w->client.fd = 12345;
  refused(w, "client 0 is wrong");
  w->client.fd = w->pair[0];
  int control = w->h.head.control_fd;
  w->h.head.control_fd = w->pair[1];
  refused(w, "its head is wrong");
  w->h.head.control_fd = control;
}

static void test_a_generation_that_is_no_child_of_ours_is_refused(void **state)
{
  struct world *w = *state;
  int was = w->generation.pid;
  w->generation.pid = getppid();
  refused(w, "generation 0 is wrong");
  w->generation.pid = -1;
  w->generation.reaped = true;
  refused(w, "generation 0 is wrong");
  w->generation.pid = was;
}

static void test_lengths_and_texts_beyond_their_bounds_are_refused(void **state)
{
  struct world *w = *state;
  w->client.n_line = sizeof w->client.line + 1;
  refused(w, "client 0 is wrong");
  w->client.n_line = 0;
  w->generation.n_crew = LINK_CREW_MAX + 1;
  refused(w, "generation 0 is wrong");
  w->generation.n_crew = 0;
  memset(w->listener.want.text, 'x', sizeof w->listener.want.text);
  refused(w, "listener 0 is wrong");
  strcpy(w->listener.want.text, "x");
  w->h.head.serving = 8;
  refused(w, "nobody serves");
}

static void test_a_memfd_that_can_still_be_changed_is_refused(void **state)
{
  struct handover *h = NULL;
  struct err e = {""};
  (void)state;
  int fd = memfd_create("x", MFD_ALLOW_SEALING);
  assert_int_equal(ftruncate(fd, sizeof(struct handover_head)), 0);
  name_it(getpid(), fd);
  assert_int_equal(handover_take(&h, &e), -1);
  assert_non_null(strstr(e.text, "not a sealed memfd"));
}

/* What the first program has written of another layout, length or process: byte by byte. */
static void test_a_handover_of_another_layout_or_length_is_refused(void **state)
{
  struct world *w = *state;
  static char bytes[1 << 20];
  static const struct {
    off_t at;
    ssize_t more;
    const char *why;
  } cases[] = {
      {0, 0, "not a handover"},
      {offsetof(struct handover_head, layout), 0, "of layout"},
      {offsetof(struct handover_head, pid), 0, "for process"},
      {offsetof(struct handover_head, n_clients), 0, "of another length"},
      {offsetof(struct handover_head, n_listeners) + 3, 0, "too many"},
      {-1, -1, "of another length"},
      {-1, 1, "of another length"},
  };
  int whole = handover_write(&w->h, NULL);
  ssize_t n = pread(whole, bytes, sizeof bytes - 1, 0);
  assert_true(n > 0 && n < (ssize_t)sizeof bytes - 1);
  close(whole);
  for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
    struct handover *h = NULL;
    struct err e = {""};
    int fd = memfd_create("x", MFD_ALLOW_SEALING);
    if (cases[i].at >= 0)
      bytes[cases[i].at] ^= 1;
    assert_int_equal(write(fd, bytes, (size_t)(n + cases[i].more)), n + cases[i].more);
    if (cases[i].at >= 0)
      bytes[cases[i].at] ^= 1;
    assert_int_equal(
        fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE), 0);
    name_it(getpid(), fd);
    assert_int_equal(handover_take(&h, &e), -1);
    assert_non_null(strstr(e.text, cases[i].why));
  }
}

#define HANDOVER_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
  const struct CMUnitTest tests[] = {
      HANDOVER_TEST(test_what_was_written_is_taken_once),
      HANDOVER_TEST(test_what_is_for_another_process_is_left_alone),
      HANDOVER_TEST(test_a_descriptor_that_is_something_else_is_refused),
      HANDOVER_TEST(test_a_generation_that_is_no_child_of_ours_is_refused),
      HANDOVER_TEST(test_lengths_and_texts_beyond_their_bounds_are_refused),
      HANDOVER_TEST(test_a_memfd_that_can_still_be_changed_is_refused),
      HANDOVER_TEST(test_a_handover_of_another_layout_or_length_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
