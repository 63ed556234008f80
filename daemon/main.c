/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* invard: the daemon's command line, its life as a process, its end. */
#ifdef HAVE_CONFIG_H
#include <config.h>
#endif

#include "daemon/daemon.h"
#include "util/error.h"
#include "util/fd.h"
#include "util/log.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <libxml/parser.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    EXIT_USAGE = 2,
    EXIT_CONFIG = 6, /* systemd and LSB: not configured */
};

typedef struct {
    gboolean session;
    gboolean daemonize;
    gboolean check_config;
    gboolean version;
    char *config;
    char *pid_file;
    char *log_level;
} Options;

static void
options_clear(Options *options)
{
    g_free(options->config);
    g_free(options->pid_file);
    g_free(options->log_level);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Options, options_clear)

static gboolean
parse_options(int *argc, char ***argv, Options *options, GError **error)
{
    const GOptionEntry entries[] = {
        { "session", 's', 0, G_OPTION_ARG_NONE, &options->session, "Serve this user's session instead of the system", NULL },
        { "daemon", 'd', 0, G_OPTION_ARG_NONE, &options->daemonize, "Go to the background once the socket is there", NULL },
        { "config", 'f', 0, G_OPTION_ARG_FILENAME, &options->config, "Read this configuration file", "FILE" },
        { "check-config", 0, 0, G_OPTION_ARG_NONE, &options->check_config, "Check the configuration and end", NULL },
        { "pid-file", 'p', 0, G_OPTION_ARG_FILENAME, &options->pid_file, "Write the process id to this file", "FILE" },
        { "log-level", 0, 0, G_OPTION_ARG_STRING, &options->log_level, "debug, info, message or warning", "LEVEL" },
        { "version", 'V', 0, G_OPTION_ARG_NONE, &options->version, "Print the version and end", NULL },
        { NULL, 0, 0, 0, NULL, NULL, NULL },
    };
    g_autoptr(GOptionContext) context = g_option_context_new("");

    g_option_context_set_summary(context, "Invar's management daemon for QEMU/KVM virtual machines.");
    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, argc, argv, error))
        return FALSE;
    if (*argc > 1)
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "unexpected argument '%s': see invard --help", (*argv)[1]);
    if (options->pid_file) {
        /* It is removed at the end, when the folder is another one. */
        char *absolute = g_canonicalize_filename(options->pid_file, NULL);

        g_free(options->pid_file);
        options->pid_file = absolute;
    }
    return TRUE;
}

static InvConfig *
load_config(const Options *options, const InvPaths *paths, GError **error)
{
    g_autoptr(InvConfig) config =
        inv_config_load(options->config ? options->config : paths->config_file, options->config != NULL, error);

    if (!config)
        return NULL;
    if (options->log_level && !inv_log_level_from_name(options->log_level, &config->log_level)) {
        inv_error_set(error, VIR_ERR_INVALID_ARG, "--log-level=%s is none of debug, info, message, warning", options->log_level);
        return NULL;
    }
    return g_steal_pointer(&config);
}

/*
 * The parent waits on the pipe until the child serves, so that its exit status tells whether the
 * daemon really started. Returns the child's end, or -1 in a process that stays in the foreground.
 */
static int
go_to_background(void)
{
    int ends[2];
    pid_t child;
    char status = EXIT_FAILURE;

    if (!g_unix_open_pipe(ends, FD_CLOEXEC, NULL))
        exit(EXIT_FAILURE);
    child = fork();
    if (child < 0)
        exit(EXIT_FAILURE);
    if (child > 0) {
        close(ends[1]);
        if (read(ends[0], &status, 1) != 1)
            status = EXIT_FAILURE;
        exit(status);
    }
    close(ends[0]);
    setsid();
    return ends[1];
}

/*
 * From here on the terminal is not ours: what is logged goes to invard.log beside the guests' logs,
 * unless standard error is the journal's. Paths are absolute, so no folder need be kept.
 */
static void
report_ready(int *pipe_end, const InvPaths *paths)
{
    g_autofree char *log = g_build_filename(paths->log, "invard.log", NULL);
    inv_autofd int null = -1, log_fd = -1;
    char status = EXIT_SUCCESS;

    if (*pipe_end < 0)
        return;
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    log_fd = open(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (null >= 0) {
        dup2(null, STDIN_FILENO);
        dup2(null, STDOUT_FILENO);
        if (!g_log_writer_is_journald(STDERR_FILENO))
            dup2(log_fd >= 0 ? log_fd : null, STDERR_FILENO);
    }
    if (chdir("/") < 0)
        g_warning("cannot leave the folder that invard was started in: %s", g_strerror(errno));
    if (write(*pipe_end, &status, 1) != 1)
        g_warning("the starting process is gone");
    inv_fd_close(pipe_end);
}

/* One daemon per state folder: the lock goes with the process, whatever ends it. */
static int
lock_state(const InvPaths *paths, GError **error)
{
    g_autofree char *path = g_build_filename(paths->state, "invard.lock", NULL);
    inv_autofd int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0) {
        inv_error_set_errno(error, errno, "cannot open '%s'", path);
        return -1;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        inv_error_set(error, VIR_ERR_OPERATION_FAILED, "another invard serves %s already: it holds '%s'", paths->uri, path);
        return -1;
    }
    return inv_fd_steal(&fd);
}

static gboolean
write_pid_file(const char *path, GError **error)
{
    g_autofree char *text = g_strdup_printf("%d\n", (int)getpid());
    g_autoptr(GError) cause = NULL;

    if (!path)
        return TRUE;
    if (!g_file_set_contents_full(path, text, -1, G_FILE_SET_CONTENTS_CONSISTENT, 0644, &cause))
        return inv_error_set(error, VIR_ERR_SYSTEM_ERROR, "--pid-file: %s", cause->message);
    return TRUE;
}

static gboolean
on_signal(gpointer data)
{
    g_main_loop_quit(data);
    return G_SOURCE_CONTINUE;
}

static void
serve_until_signal(void)
{
    g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);

    g_unix_signal_add(SIGTERM, on_signal, loop);
    g_unix_signal_add(SIGINT, on_signal, loop);
    g_main_loop_run(loop);
    g_message("ending; guests go on");
}

/* Everything between the options and the end. @config and @paths are taken over. */
static gboolean
run(const Options *options, InvPaths *paths_to_take, InvConfig *config_to_take, int *ready, GError **error)
{
    g_autoptr(InvPaths) paths = paths_to_take;
    g_autoptr(InvConfig) config = config_to_take;
    g_autoptr(InvDaemon) daemon = NULL;
    inv_autofd int lock = -1;

    if (!inv_paths_create(paths, error))
        return FALSE;
    lock = lock_state(paths, error);
    if (lock < 0 || !write_pid_file(options->pid_file, error))
        return FALSE;
    /* The daemon owns both from here on, also when it fails. */
    daemon = inv_daemon_new(g_steal_pointer(&paths), g_steal_pointer(&config), error);
    if (!daemon)
        return FALSE;
    g_message("serving %s on %s", daemon->paths->uri, daemon->paths->socket);
    if (!inv_daemon_serve(daemon, error))
        return FALSE;
    report_ready(ready, daemon->paths);
    serve_until_signal();
    g_clear_pointer(&daemon, inv_daemon_free);
    if (options->pid_file)
        unlink(options->pid_file);
    return TRUE;
}

static int
fail(const GError *error, int status)
{
    fprintf(stderr, "invard: %s\n", error->message);
    return status;
}

static int
check_config(const char *path, const InvConfig *config)
{
    g_auto(GStrv) missing = inv_config_missing(config);

    for (char **sentence = missing; *sentence; sentence++)
        fprintf(stderr, "invard: %s: %s\n", path, *sentence);
    if (*missing)
        return EXIT_CONFIG;
    printf("%s: correct\n", path);
    return EXIT_SUCCESS;
}

int
main(int argc, char **argv)
{
    g_auto(Options) options = { 0 };
    g_autoptr(GError) error = NULL;
    g_autoptr(InvPaths) paths = NULL;
    g_autoptr(InvConfig) config = NULL;
    int ready = -1;

    setlocale(LC_ALL, "");
    umask(077);
    signal(SIGPIPE, SIG_IGN);
    if (!parse_options(&argc, &argv, &options, &error))
        return fail(error, EXIT_USAGE);
    if (options.version) {
        printf("invard %s\n", PACKAGE_VERSION);
        return EXIT_SUCCESS;
    }
    paths = inv_paths_new(options.session);
    config = load_config(&options, paths, &error);
    if (!config)
        return fail(error, EXIT_CONFIG);
    if (options.check_config)
        return check_config(options.config ? options.config : paths->config_file, config);
    if (options.daemonize)
        ready = go_to_background();
    inv_log_init(config->log_level);
    xmlInitParser();
    if (!run(&options, g_steal_pointer(&paths), g_steal_pointer(&config), &ready, &error))
        return fail(error, EXIT_FAILURE);
    return EXIT_SUCCESS;
}
