/* The provider's ELF note; see elfnote.h. */
#include "auth/elfnote.h"

#include <elf.h>
#include <link.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_SEGMENTS = 64, MAX_NOTES = 4096 };

static bool read_at(int fd, void *to, size_t n, uint64_t at)
{
  return at <= INT64_MAX && pread(fd, to, n, (off_t)at) == (ssize_t)n;
}

/* Looks for our note among N bytes of notes. */
static bool find(const unsigned char *p, size_t n, uint32_t *ret_abi)
{
  ElfW(Nhdr) h;
  while (n >= sizeof h) {
    memcpy(&h, p, sizeof h);
    size_t name = ((size_t)h.n_namesz + 3) & ~(size_t)3;
    size_t body = ((size_t)h.n_descsz + 3) & ~(size_t)3;
    size_t whole = sizeof h + name + body;
    if (name > MAX_NOTES || body > MAX_NOTES || whole > n)
      return false;
    if (h.n_namesz == 8 && h.n_type == 1 && h.n_descsz == 4 &&
        memcmp(p + sizeof h, "mcpauth", 8) == 0) {
      memcpy(ret_abi, p + sizeof h + name, 4);
      return true;
    }
    p += whole;
    n -= whole;
  }
  return false;
}

/* Our note, if SEGMENT holds it. */
static bool note_of(int fd, const ElfW(Phdr) * segment, uint32_t *ret_abi)
{
  unsigned char notes[MAX_NOTES];
  return segment->p_type == PT_NOTE && segment->p_filesz <= sizeof notes &&
         read_at(fd, notes, segment->p_filesz, segment->p_offset) &&
         find(notes, segment->p_filesz, ret_abi);
}

/* A segment behind the end of the file would be mapped, and touching it is the end of the process.
 */
static bool inside(const ElfW(Phdr) * segment, uint64_t size)
{
  return segment->p_filesz <= size && segment->p_offset <= size - segment->p_filesz;
}

int elfnote_abi(int fd, uint32_t *ret_abi, struct err *e)
{
  ElfW(Ehdr) h;
  struct stat st;
  bool found = false;
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
    found = found || note_of(fd, &segment, ret_abi);
  }
  if (!found)
    return err_set(e, "has no mcpauth note: not a provider, or not made with MCPAUTH_PROVIDER");
  return 0;
}
