/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/target.h"
#include "util/error.h"

#include <string.h>
#include <unistd.h>

#define SOCKET_NAME "invar-sock"
#define FORMS "qemu:///system, qemu:///session, qemu+unix:///session?socket=PATH or the path of a socket"

void
inv_target_free(InvTarget *target)
{
    if (!target)
        return;
    g_free(target->socket);
    g_free(target->uri);
    g_free(target);
}

char *
inv_target_session_socket(void)
{
    const char *runtime = g_getenv("XDG_RUNTIME_DIR");
    const char *home = g_getenv("HOME");

    if (runtime && *runtime)
        return g_build_filename(runtime, "invar", SOCKET_NAME, NULL);
    return g_build_filename(home && *home ? home : g_get_home_dir(), ".cache", "invar", "run", SOCKET_NAME, NULL);
}

static gboolean
check_scheme(const char *text, const char *scheme, GError **error)
{
    const char *plus = strchr(scheme, '+');
    g_autofree char *driver = plus ? g_strndup(scheme, plus - scheme) : g_strdup(scheme);

    if (strcmp(driver, "qemu") && strcmp(driver, "invar"))
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "the URI '%s' is for the driver '%s': invar speaks to qemu only, as in " FORMS,
                             text, driver);
    if (plus && strcmp(plus + 1, "unix"))
        return inv_error_set(error, VIR_ERR_NO_SUPPORT,
                             "the transport '%s' of the URI '%s' is not supported by invar: use unix, as in " FORMS, plus + 1, text);
    return TRUE;
}

/* The parameters behind "?": only "socket" means something here. */
static gboolean
parse_query(const char *text, const char *query, char **socket, GError **error)
{
    GUriParamsIter iter;
    char *name = NULL, *value = NULL;

    g_uri_params_iter_init(&iter, query, -1, "&;", G_URI_PARAMS_NONE);
    while (g_uri_params_iter_next(&iter, &name, &value, error)) {
        g_autofree char *own_name = name;
        g_autofree char *own_value = value;

        if (!strcmp(own_name, "socket")) {
            g_free(*socket);
            *socket = g_steal_pointer(&own_value);
        } else if (strcmp(own_name, "mode")) {
            return inv_error_set(error, VIR_ERR_INVALID_ARG, "the parameter '%s' of the URI '%s' is not known: only 'socket' is",
                                 own_name, text);
        }
    }
    return !error || !*error;
}

static InvTarget *
parse_uri(const char *text, GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_autoptr(GUri) uri = g_uri_parse(text, G_URI_FLAGS_ENCODED_QUERY, &cause);
    g_autoptr(InvTarget) target = g_new0(InvTarget, 1);
    const char *host, *path;
    gboolean session;

    if (!uri) {
        inv_error_set(error, VIR_ERR_INVALID_ARG, "'%s' is not a URI (%s): give " FORMS, text, cause->message);
        return NULL;
    }
    if (!check_scheme(text, g_uri_get_scheme(uri), error))
        return NULL;
    host = g_uri_get_host(uri);
    if (host && *host) {
        inv_error_set(error, VIR_ERR_NO_SUPPORT, "the URI '%s' names the host '%s': connections to other hosts are not supported by invar",
                      text, host);
        return NULL;
    }
    path = g_uri_get_path(uri);
    session = !strcmp(path, "/session");
    if (!session && strcmp(path, "/system")) {
        inv_error_set(error, VIR_ERR_INVALID_ARG, "the path '%s' of the URI '%s' is neither /system nor /session", path, text);
        return NULL;
    }
    if (g_uri_get_query(uri)) {
        GError *query_error = NULL;

        if (!parse_query(text, g_uri_get_query(uri), &target->socket, &query_error)) {
            g_propagate_error(error, query_error);
            return NULL;
        }
    }
    if (target->socket && *target->socket != '/') {
        inv_error_set(error, VIR_ERR_INVALID_ARG, "the socket '%s' of the URI '%s' is not an absolute path", target->socket, text);
        return NULL;
    }
    if (!target->socket)
        target->socket = session ? inv_target_session_socket() : g_strdup("/run/invar/" SOCKET_NAME);
    target->uri = g_strdup(session ? "qemu:///session" : "qemu:///system");
    return g_steal_pointer(&target);
}

InvTarget *
inv_target_parse(const char *text, GError **error)
{
    if (!text || !*text)
        return parse_uri(getuid() == 0 ? "qemu:///system" : "qemu:///session", error);
    if (*text == '/') {
        InvTarget *target = g_new0(InvTarget, 1);

        target->socket = g_strdup(text);
        target->uri = g_strdup("");
        return target;
    }
    return parse_uri(text, error);
}
