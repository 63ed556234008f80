/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/emulator_private.h"

#include "util/fd.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <unistd.h>

/* Far above what linkers make; the file is not trusted. */
#define MAX_SEGMENTS 64u
#define MAX_NOTES (64u * 1024)

static gsize
padded(gsize length)
{
    return (length + 3) & ~(gsize)3;
}

static char *
hex(const guint8 *bytes, gsize length)
{
    GString *text = g_string_new(NULL);

    for (gsize i = 0; i < length; i++)
        g_string_append_printf(text, "%02x", bytes[i]);
    return g_string_free(text, FALSE);
}

static char *
find_in_notes(const guint8 *notes, gsize length)
{
    ElfW(Nhdr) note;

    while (length >= sizeof(note)) {
        gsize name_size, size;

        memcpy(&note, notes, sizeof(note));
        notes += sizeof(note);
        length -= sizeof(note);
        name_size = padded(note.n_namesz);
        size = padded(note.n_descsz);
        if (name_size > length || size > length - name_size)
            return NULL;
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == sizeof(ELF_NOTE_GNU) &&
            memcmp(notes, ELF_NOTE_GNU, sizeof(ELF_NOTE_GNU)) == 0)
            return hex(notes + name_size, note.n_descsz);
        notes += name_size + size;
        length -= name_size + size;
    }
    return NULL;
}

/* Only of this machine's own word size and byte order: it runs on this machine. */
char *
inv_build_id_read(const char *path)
{
    inv_autofd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    ElfW(Ehdr) header;
    const guint8 class = sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32;
    char *id = NULL;

    if (fd < 0 || pread(fd, &header, sizeof(header), 0) != (ssize_t)sizeof(header) ||
        memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != class ||
        header.e_phentsize != sizeof(ElfW(Phdr)))
        return NULL;
    for (guint i = 0; i < header.e_phnum && i < MAX_SEGMENTS && !id; i++) {
        ElfW(Phdr) segment;
        g_autofree guint8 *notes = NULL;

        if (pread(fd, &segment, sizeof(segment), (off_t)(header.e_phoff + i * sizeof(segment))) != (ssize_t)sizeof(segment))
            return NULL;
        if (segment.p_type != PT_NOTE || segment.p_filesz > MAX_NOTES)
            continue;
        notes = g_malloc(segment.p_filesz);
        if (pread(fd, notes, segment.p_filesz, (off_t)segment.p_offset) == (ssize_t)segment.p_filesz)
            id = find_in_notes(notes, segment.p_filesz);
    }
    return id;
}
