/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rpc/uri.h"

#include "util/error.h"

#include <string.h>
#include <unistd.h>

#define SOCKET_NAME "invar-sock"
#define SYSTEM_SOCKET "/run/invar/" SOCKET_NAME
#define FORMS "qemu:///system, qemu:///session, qemu+unix:///session?socket=PATH, qemu+tcp://HOST/system, " \
              "qemu+ssh://HOST/system or the path of a socket"
/* Of DNS; and more than any account's name has. */
#define HOST_MAX 253u
#define USER_MAX 253u

void
inv_rpc_target_free(InvRpcTarget *target)
{
    if (!target)
        return;
    g_free(target->socket);
    g_free(target->host);
    g_free(target->user);
    g_free(target->uri);
    g_free(target);
}

/* Where the session's daemon listens: it and its clients must agree. */
static char *
session_socket(void)
{
    const char *runtime = g_getenv("XDG_RUNTIME_DIR");
    const char *home = g_getenv("HOME");

    if (runtime && *runtime)
        return g_build_filename(runtime, "invar", SOCKET_NAME, NULL);
    return g_build_filename(home && *home ? home : g_get_home_dir(), ".cache", "invar", "run", SOCKET_NAME, NULL);
}

static gboolean
read_scheme(InvRpcTarget *target, const char *text, GUri *uri, GError **error)
{
    const char *scheme = g_uri_get_scheme(uri);
    const char *plus = strchr(scheme, '+');
    g_autofree char *driver = plus ? g_strndup(scheme, plus - scheme) : g_strdup(scheme);
    gboolean has_host = g_uri_get_host(uri) && *g_uri_get_host(uri);

    if (strcmp(driver, "qemu") && strcmp(driver, "invar"))
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "the URI '%s' is for the driver '%s': invar speaks to qemu only, as in " FORMS,
                             text, driver);
    if ((plus && !strcmp(plus + 1, "tls")) || (!plus && has_host))
        return inv_error_set(error, VIR_ERR_NO_SUPPORT,
                             "the URI '%s' asks for TLS, which is not supported by invar: use qemu+ssh://%s/…, or qemu+tcp://%s/… in a network "
                             "that you trust", text, has_host ? g_uri_get_host(uri) : "HOST", has_host ? g_uri_get_host(uri) : "HOST");
    if (!plus || !strcmp(plus + 1, "unix"))
        target->transport = INV_TRANSPORT_UNIX;
    else if (!strcmp(plus + 1, "tcp"))
        target->transport = INV_TRANSPORT_TCP;
    else if (!strcmp(plus + 1, "ssh"))
        target->transport = INV_TRANSPORT_SSH;
    else
        return inv_error_set(error, VIR_ERR_NO_SUPPORT,
                             "the transport '%s' of the URI '%s' is not supported by invar: use unix, tcp or ssh, as in " FORMS, plus + 1,
                             text);
    if (target->transport == INV_TRANSPORT_UNIX && has_host)
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "the URI '%s' names the host '%s', but a UNIX socket is on this one", text,
                             g_uri_get_host(uri));
    if (target->transport != INV_TRANSPORT_UNIX && !has_host)
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "the URI '%s' names no host to reach by %s", text, plus + 1);
    return TRUE;
}

/* A word that becomes one of ssh's arguments: it must not be taken for an option. */
static gboolean
check_word(const char *text, const char *what, const char *word, gsize most, GError **error)
{
    if (*word == '-' || strlen(word) > most)
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "the %s of the URI '%s' is none: it begins with '-' or is longer than %zu bytes",
                             what, text, most);
    for (const char *p = word; *p; p++) {
        if (g_ascii_iscntrl(*p) || g_ascii_isspace(*p))
            return inv_error_set(error, VIR_ERR_INVALID_ARG, "the %s of the URI '%s' has a blank or a control character in it", what, text);
    }
    return TRUE;
}

static gboolean
read_authority(InvRpcTarget *target, const char *text, GUri *uri, GError **error)
{
    const char *user = g_uri_get_userinfo(uri);
    int port = g_uri_get_port(uri);

    if (target->transport == INV_TRANSPORT_UNIX)
        return TRUE;
    if (!check_word(text, "host", g_uri_get_host(uri), HOST_MAX, error))
        return FALSE;
    if (user && target->transport == INV_TRANSPORT_TCP)
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "the URI '%s' names the user '%s': there are none without authentication, which TCP "
                             "has not", text, user);
    if (user && !check_word(text, "user", user, USER_MAX, error))
        return FALSE;
    if (port == 0)
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "the port of the URI '%s' is none: give one from 1 to 65535", text);
    target->host = g_strdup(g_uri_get_host(uri));
    target->user = user && *user ? g_strdup(user) : NULL;
    if (port > 0)
        target->port = (guint)port;
    else
        target->port = target->transport == INV_TRANSPORT_TCP ? INV_RPC_TCP_PORT : 0;
    return TRUE;
}

/* The parameters behind "?": only "socket" means something here. */
static gboolean
parse_query(const char *text, const char *query, char **socket, GError **error)
{
    GUriParamsIter iter;
    char *name = NULL, *value = NULL;
    g_autoptr(GError) cause = NULL;

    g_uri_params_iter_init(&iter, query, -1, "&;", G_URI_PARAMS_NONE);
    while (g_uri_params_iter_next(&iter, &name, &value, &cause)) {
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
    if (cause)
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "the parameters of the URI '%s' cannot be read: %s", text, cause->message);
    return TRUE;
}

static gboolean
read_socket(InvRpcTarget *target, const char *text, GUri *uri, gboolean session, GError **error)
{
    if (g_uri_get_query(uri) && !parse_query(text, g_uri_get_query(uri), &target->socket, error))
        return FALSE;
    if (target->socket && target->transport == INV_TRANSPORT_TCP)
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "the URI '%s' names both a socket and TCP", text);
    if (target->socket && *target->socket != '/')
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "the socket '%s' of the URI '%s' is not an absolute path", target->socket, text);
    if (!target->socket && target->transport == INV_TRANSPORT_UNIX)
        target->socket = session ? session_socket() : g_strdup(SYSTEM_SOCKET);
    return TRUE;
}

static InvRpcTarget *
parse_uri(const char *text, GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_autoptr(GUri) uri = g_uri_parse(text, G_URI_FLAGS_ENCODED_QUERY, &cause);
    g_autoptr(InvRpcTarget) target = g_new0(InvRpcTarget, 1);
    const char *path;
    gboolean session;

    if (!uri) {
        inv_error_set(error, VIR_ERR_INVALID_ARG, "'%s' is not a URI (%s): give " FORMS, text, cause->message);
        return NULL;
    }
    if (!read_scheme(target, text, uri, error) || !read_authority(target, text, uri, error))
        return NULL;
    path = g_uri_get_path(uri);
    session = !strcmp(path, "/session");
    if (!session && strcmp(path, "/system")) {
        inv_error_set(error, VIR_ERR_INVALID_ARG, "the path '%s' of the URI '%s' is neither /system nor /session", path, text);
        return NULL;
    }
    if (!read_socket(target, text, uri, session, error))
        return NULL;
    target->uri = g_strdup(session ? "qemu:///session" : "qemu:///system");
    return g_steal_pointer(&target);
}

InvRpcTarget *
inv_rpc_target_parse(const char *text, GError **error)
{
    if (!text || !*text)
        return parse_uri(getuid() == 0 ? "qemu:///system" : "qemu:///session", error);
    if (*text == '/') {
        InvRpcTarget *target = g_new0(InvRpcTarget, 1);

        target->socket = g_strdup(text);
        target->uri = g_strdup("");
        return target;
    }
    return parse_uri(text, error);
}

char *
inv_rpc_target_describe(const InvRpcTarget *target)
{
    switch (target->transport) {
    case INV_TRANSPORT_UNIX:
        break;
    case INV_TRANSPORT_TCP:
        return g_strdup_printf(strchr(target->host, ':') ? "tcp [%s]:%u" : "tcp %s:%u", target->host, target->port);
    case INV_TRANSPORT_SSH:
        return g_strdup_printf("%s over ssh", target->host);
    }
    return g_strdup(target->socket);
}

gboolean
inv_rpc_address_parse(const char *text, char **address, guint *port, GError **error)
{
    const char *rest = NULL;
    g_autofree char *host = NULL;
    guint64 number = INV_RPC_TCP_PORT;
    gboolean is_six = *text == '[';

    rest = is_six ? strchr(text, ']') : strchr(text, ':');
    host = is_six ? g_strndup(text + 1, rest ? (gsize)(rest - text - 1) : 0) : g_strndup(text, rest ? (gsize)(rest - text) : strlen(text));
    if (is_six && rest)
        rest++;
    if (rest && *rest && (*rest != ':' || !g_ascii_string_to_unsigned(rest + 1, 10, 1, 65535, &number, NULL)))
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "'%s' names no port from 1 to 65535", text);
    if (!g_hostname_is_ip_address(host) || is_six != (strchr(host, ':') != NULL))
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "'%s' is no address: write 127.0.0.1, 127.0.0.1:16509, [::1] or [::1]:16509", text);
    *address = g_steal_pointer(&host);
    *port = (guint)number;
    return TRUE;
}
