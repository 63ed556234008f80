/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* The architectures that libvirt has names for: a client's library knows no others. */

/* 32 or 64; 0 when libvirt has no such architecture. @arch: libvirt's name. */
guint inv_guest_arch_word_size(const char *arch);

/* libvirt's name of what uname() calls the machine ("armv8l" → "armv7l", "i586" → "i686"); else the name itself. */
const char *inv_guest_arch_from_kernel(const char *machine);

/* x86_64 or i686. */
gboolean inv_guest_arch_is_x86(const char *arch);

/* The name of an architecture that is most like @word, or NULL when none is like it. Static. */
const char *inv_guest_arch_nearest(const char *word);

G_END_DECLS
