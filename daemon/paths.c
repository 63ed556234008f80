/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/paths.h"

#include "util/error.h"

#include <errno.h>
#include <sys/stat.h>

#define PRIVATE_MODE 0700
/* The sockets in there have modes of their own; nobody else needs to list them. */
#define PUBLIC_MODE 0711

InvPaths *
inv_paths_new(gboolean session)
{
    InvPaths *paths = g_new0(InvPaths, 1);
    const char *runtime = g_getenv("XDG_RUNTIME_DIR");

    paths->session = session;
    if (session) {
        paths->config_file = g_build_filename(g_get_user_config_dir(), "invar", "invard.conf", NULL);
        /* Not g_get_user_runtime_dir(): without XDG_RUNTIME_DIR that is the cache folder itself. */
        paths->runtime = runtime && *runtime ? g_build_filename(runtime, "invar", NULL)
                                             : g_build_filename(g_get_home_dir(), ".cache", "invar", "run", NULL);
        paths->state = g_build_filename(g_get_user_state_dir(), "invar", NULL);
        paths->cache = g_build_filename(g_get_user_cache_dir(), "invar", NULL);
        paths->log = g_build_filename(paths->state, "log", NULL);
        paths->uri = g_strdup("qemu:///session");
    } else {
        paths->config_file = g_strdup(INV_SYSCONFDIR "/invar/invard.conf");
        /* /run and /var whatever the prefix: one host has one system daemon. */
        paths->runtime = g_strdup("/run/invar");
        paths->state = g_strdup("/var/lib/invar");
        paths->cache = g_strdup("/var/cache/invar");
        paths->log = g_strdup("/var/log/invar");
        paths->uri = g_strdup("qemu:///system");
        paths->socket_ro = g_build_filename(paths->runtime, "invar-sock-ro", NULL);
    }
    paths->socket = g_build_filename(paths->runtime, "invar-sock", NULL);
    return paths;
}

void
inv_paths_free(InvPaths *paths)
{
    if (!paths)
        return;
    g_free(paths->config_file);
    g_free(paths->runtime);
    g_free(paths->state);
    g_free(paths->cache);
    g_free(paths->log);
    g_free(paths->socket);
    g_free(paths->socket_ro);
    g_free(paths->uri);
    g_free(paths);
}

static gboolean
make_folder(const char *path, int mode, GError **error)
{
    if (g_mkdir_with_parents(path, mode) < 0)
        return inv_error_set_errno(error, errno, "cannot make the folder '%s'", path);
    /* The daemon's umask narrowed it, and so may have an earlier daemon: clients and QEMU's account pass through. */
    if (mode == PUBLIC_MODE && chmod(path, mode) < 0)
        return inv_error_set_errno(error, errno, "cannot open the folder '%s' to other users", path);
    return TRUE;
}

gboolean
inv_paths_create(const InvPaths *paths, GError **error)
{
    return make_folder(paths->runtime, paths->session ? PRIVATE_MODE : PUBLIC_MODE, error) &&
           make_folder(paths->state, PRIVATE_MODE, error) && make_folder(paths->cache, PRIVATE_MODE, error) &&
           make_folder(paths->log, PRIVATE_MODE, error);
}
