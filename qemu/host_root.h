/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/*
 * Where this host's kernel shows itself. In a build with fault points a test may set
 * INVAR_HOST_ROOT to a folder that stands for "/": so it changes what no test can change in a
 * running kernel (its release, the microcode), and nothing of the host.
 */

/* Written whenever the libraries of the system change. */
#define INV_LINKER_CACHE "/etc/ld.so.cache"

/* @path, an absolute one, below that folder. Owned by the caller. */
char *inv_root_path(const char *path);
gboolean inv_root_is_elsewhere(void);
/* uname's release, or the first line of proc/sys/kernel/osrelease there. Owned by the caller. */
char *inv_root_kernel_release(void);

G_END_DECLS
