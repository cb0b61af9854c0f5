/* The provider's ELF note; see elfnote.h. */
#include "auth/elfnote.h"

#include <elf.h>
#include <link.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_SEGMENTS = 64, MAX_NOTES = 8192 };

static bool read_at(int fd, void *to, size_t n, uint64_t at)
{
  return at <= INT64_MAX && pread(fd, to, n, (off_t)at) == (ssize_t)n;
}

enum { NOTE_ABI = 1, NOTE_NEEDS = 2, OURS = 8, /* sizeof "mcpauth" */ NEED_SIZE = 64 };

/* What the notes have said so far. */
struct reading {
  struct elfnote *note;
  bool found, bad;
};

static bool function_name(const char name[ELFNOTE_FUNCTION])
{
  size_t n = strnlen(name, ELFNOTE_FUNCTION);
  return n < ELFNOTE_FUNCTION && name[0] >= 'a' && name[0] <= 'z' &&
         strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == n;
}

static void take_need(struct reading *r, const unsigned char *descriptor)
{
  struct elfnote_need *need = &r->note->needs[r->note->n];
  if (r->note->n == ELFNOTE_NEEDS) {
    r->bad = true;
    return;
  }
  memcpy(&need->end, descriptor, sizeof need->end);
  memcpy(need->function, descriptor + sizeof need->end, sizeof need->function);
  r->bad |= !function_name(need->function);
  r->note->n++;
}

/* Takes what is ours of N bytes of notes; others' types of ours are for later hosts. */
static void take_notes(struct reading *r, const unsigned char *p, size_t n)
{
  ElfW(Nhdr) h;
  while (n >= sizeof h) {
    memcpy(&h, p, sizeof h);
    size_t name = ((size_t)h.n_namesz + 3) & ~(size_t)3;
    size_t body = ((size_t)h.n_descsz + 3) & ~(size_t)3;
    size_t whole = sizeof h + name + body;
    if (name > MAX_NOTES || body > MAX_NOTES || whole > n)
      return;
    bool ours = h.n_namesz == OURS && memcmp(p + sizeof h, "mcpauth", OURS) == 0;
    if (ours && h.n_type == NOTE_ABI && h.n_descsz == sizeof r->note->abi && !r->found) {
      memcpy(&r->note->abi, p + sizeof h + name, sizeof r->note->abi);
      r->found = true;
    }
    if (ours && h.n_type == NOTE_NEEDS && h.n_descsz == NEED_SIZE)
      take_need(r, p + sizeof h + name);
    p += whole;
    n -= whole;
  }
}

static void take_segment(struct reading *r, int fd, const ElfW(Phdr) * segment)
{
  unsigned char notes[MAX_NOTES];
  if (segment->p_type != PT_NOTE)
    return;
  if (segment->p_filesz > sizeof notes)
    r->bad = true;
  else if (read_at(fd, notes, segment->p_filesz, segment->p_offset))
    take_notes(r, notes, segment->p_filesz);
}

/* A segment behind the end of the file would be mapped, and touching it is the end of the process.
 */
static bool inside(const ElfW(Phdr) * segment, uint64_t size)
{
  return segment->p_filesz <= size && segment->p_offset <= size - segment->p_filesz;
}

/* As the host has them: a compiler keeps no order. */
static int by_end(const void *a, const void *b)
{
  const struct elfnote_need *x = a, *y = b;
  return x->end < y->end ? -1 : x->end > y->end;
}

int elfnote_read(int fd, struct elfnote *ret, struct err *e)
{
  ElfW(Ehdr) h;
  struct stat st;
  struct elfnote note = {.n = 0};
  struct reading r = {.note = &note};
  if (fstat(fd, &st) < 0 || st.st_size < 0 || !read_at(fd, &h, sizeof h, 0) ||
      memcmp(h.e_ident, ELFMAG, SELFMAG) != 0 ||
      h.e_ident[EI_CLASS] != (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32) ||
      h.e_type != ET_DYN || h.e_phentsize != sizeof(ElfW(Phdr)) || h.e_phnum > MAX_SEGMENTS)
    return err_set(e, "not a shared object of this machine");
  for (unsigned i = 0; i < h.e_phnum; i++) {
    ElfW(Phdr) segment;
    if (!read_at(fd, &segment, sizeof segment, h.e_phoff + i * sizeof segment) ||
        !inside(&segment, (uint64_t)st.st_size))
      return err_set(e, "cut short");
    take_segment(&r, fd, &segment);
  }
  if (!r.found)
    return err_set(e, "has no mcpauth note: not a provider, or not made with MCPAUTH_PROVIDER");
  if (r.bad)
    return err_set(e, "its mcpauth notes are not those of MCPAUTH_NEEDS, or too many");
  qsort(note.needs, note.n, sizeof note.needs[0], by_end);
  *ret = note;
  return 0;
}
