/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/guest_arch.h"

#include "util/distance.h"

#include <libvirt/libvirt.h>
#include <string.h>

typedef struct {
    const char *name;
    guint word_size;
} Arch;

/* libvirt's archnames of its schemas, and the word size that it gives each. */
static const Arch arches[] = {
    { "aarch64", 64 },     { "alpha", 64 },   { "armv6l", 32 },   { "armv7l", 32 },
    { "cris", 32 },        { "i686", 32 },    { "ia64", 64 },     { "lm32", 32 },
#if LIBVIR_VERSION_NUMBER >= 10001000
    { "loongarch64", 64 },
#endif
    { "m68k", 32 },        { "microblaze", 32 }, { "microblazeel", 32 },
    { "mips", 32 },        { "mipsel", 32 },  { "mips64", 64 },   { "mips64el", 64 },
    { "openrisc", 32 },    { "parisc", 32 },  { "parisc64", 64 }, { "ppc", 32 },
    { "ppc64", 64 },       { "ppc64le", 64 }, { "ppcemb", 32 },   { "riscv32", 32 },
    { "riscv64", 64 },     { "s390", 32 },    { "s390x", 64 },    { "sh4", 32 },
    { "sh4eb", 32 },       { "sparc", 32 },   { "sparc64", 64 },  { "unicore32", 32 },
    { "x86_64", 64 },      { "xtensa", 32 },  { "xtensaeb", 32 },
};

/* uname's word, where it is not libvirt's. */
static const struct {
    const char *kernel;
    const char *name;
} kernel_names[] = {
    { "amd64", "x86_64" }, { "arm64", "aarch64" },  { "armv8l", "armv7l" }, { "i386", "i686" },
    { "i486", "i686" },    { "i586", "i686" },      { "or1k", "openrisc" }, { "sun4u", "sparc64" },
};

/* Longer words are no architecture, and the distance below costs their square. */
#define MAX_WORD 32

guint
inv_guest_arch_word_size(const char *arch)
{
    for (gsize i = 0; i < G_N_ELEMENTS(arches); i++) {
        if (g_str_equal(arches[i].name, arch))
            return arches[i].word_size;
    }
    return 0;
}

const char *
inv_guest_arch_from_kernel(const char *machine)
{
    for (gsize i = 0; i < G_N_ELEMENTS(kernel_names); i++) {
        if (g_str_equal(kernel_names[i].kernel, machine))
            return kernel_names[i].name;
    }
    return machine;
}

gboolean
inv_guest_arch_is_x86(const char *arch)
{
    return g_str_equal(arch, "x86_64") || g_str_equal(arch, "i686");
}

const char *
inv_guest_arch_nearest(const char *word)
{
    const char *best = NULL;
    guint least = G_MAXUINT;

    if (strlen(word) >= MAX_WORD)
        return NULL;
    word = inv_guest_arch_from_kernel(word);
    for (gsize i = 0; i < G_N_ELEMENTS(arches); i++) {
        guint far = inv_distance(word, arches[i].name);

        if (far < least) {
            least = far;
            best = arches[i].name;
        }
    }
    /* Half of the word changed is another word. */
    return best && least <= strlen(best) / 2 ? best : NULL;
}
