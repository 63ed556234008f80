/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "qemu/host_root.h"

#include "util/fd.h"

#include <sys/utsname.h>

#define RELEASE "/proc/sys/kernel/osrelease"
#define RELEASE_LIMIT 256u

static const char *
root(void)
{
#ifdef INV_FAULT_POINTS
    return g_getenv("INVAR_HOST_ROOT");
#else
    return NULL;
#endif
}

char *
inv_root_path(const char *path)
{
    return root() ? g_strconcat(root(), path, NULL) : g_strdup(path);
}

gboolean
inv_root_is_elsewhere(void)
{
    return root() != NULL;
}

char *
inv_root_kernel_release(void)
{
    struct utsname kernel;

    if (root()) {
        g_autofree char *path = inv_root_path(RELEASE);
        g_autofree char *text = NULL;

        if (inv_file_read(path, RELEASE_LIMIT, &text, NULL, NULL))
            return g_strdup(g_strstrip(text));
    }
    return g_strdup(uname(&kernel) < 0 ? "" : kernel.release);
}
