/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "qemu/probe_process.h"

#include "qemu/probe_budget.h"
#include "util/error.h"
#include "util/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <linux/ioprio.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* The descriptor under which QEMU finds its monitor. */
#define MONITOR_FD 3
/* How much of QEMU's standard error an error message may carry. */
#define MAX_WORDS 4096u
/* A QEMU that closed its monitor is ending; how long its exit may take. */
#define EXIT_GRACE_MS 500
/* How one ended that a signal killed. */
#define KILLED_BY "was killed by signal %d"
/* After SIGKILL only a kernel in trouble lets us wait. */
#define KILL_WAIT_MS 5000

struct InvProbeProcess {
    InvIoThread *io;
    char *path;
    InvProbeSlot slot;
    pid_t pid;     /* 0: reaped */
    int pidfd;
    int status;    /* as waitpid() gives it, valid when reaped */
    InvQmp *qmp;
    int words_fd;  /* QEMU's standard error */
    GSource *words_source;
    GMutex lock;
    GByteArray *words; /* its end; guarded by lock */
};

guint
inv_deadline_left(gint64 end)
{
    return (guint)CLAMP((end - g_get_monotonic_time()) / G_TIME_SPAN_MILLISECOND, 1, G_MAXINT);
}

gint64
inv_deadline_end(guint deadline_ms)
{
    return g_get_monotonic_time() + (gint64)deadline_ms * G_TIME_SPAN_MILLISECOND;
}

/* FALSE at the end of the stream. */
static gboolean
read_words(InvProbeProcess *process)
{
    guint8 chunk[MAX_WORDS];
    ssize_t got = read(process->words_fd, chunk, sizeof(chunk));

    if (got < 0 && errno == EINTR)
        return TRUE;
    if (got <= 0)
        return FALSE;
    g_mutex_lock(&process->lock);
    g_byte_array_append(process->words, chunk, (guint)got);
    if (process->words->len > MAX_WORDS)
        g_byte_array_remove_range(process->words, 0, process->words->len - MAX_WORDS);
    g_mutex_unlock(&process->lock);
    return TRUE;
}

static gboolean
words_readable(int fd, GIOCondition condition, gpointer data)
{
    return read_words(data) || errno == EAGAIN ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

static void
watch_words(gpointer data)
{
    InvProbeProcess *process = data;

    process->words_source = g_unix_fd_source_new(process->words_fd, G_IO_IN | G_IO_HUP);
    g_source_set_callback(process->words_source, G_SOURCE_FUNC(words_readable), process, NULL);
    g_source_attach(process->words_source, inv_io_thread_context(process->io));
}

static void
unwatch_words(gpointer data)
{
    InvProbeProcess *process = data;

    g_source_destroy(process->words_source);
    g_clear_pointer(&process->words_source, g_source_unref);
}

typedef struct {
    pid_t parent;
    gboolean idle;
} Child;

/* In the child, between fork and exec: only what is safe for signal handlers. */
static void
prepare_child(gpointer data)
{
    const Child *child = data;

    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != child->parent)
        _exit(1);
    if (child->idle) {
        /* Where the kernel refuses, it is a probe like any other. */
        sched_setscheduler(0, SCHED_IDLE, &(struct sched_param){ .sched_priority = 0 });
        syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0));
    }
}

static gboolean
spawn(InvProbeProcess *process, const char *const *argv, int monitor_fd, GError **error)
{
    const int target = MONITOR_FD;
    const GSpawnFlags flags = G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_STDOUT_TO_DEV_NULL | G_SPAWN_CLOEXEC_PIPES;
    g_autoptr(GError) failure = NULL;
    Child child = { .parent = getpid(), .idle = process->slot.idle };
    GPid pid = 0;

    if (!g_spawn_async_with_pipes_and_fds(NULL, argv, NULL, flags, prepare_child, &child, -1, -1, -1, &monitor_fd, &target, 1,
                                          &pid, NULL, NULL, &process->words_fd, &failure))
        return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "the emulator '%s' cannot be started: %s", process->path,
                             failure->message);
    process->pid = pid;
    /* First, whatever follows: without it nobody sees the end of one that is not wanted any more. */
    process->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (!inv_probe_budget_set_pid(&process->slot, pid))
        return inv_error_set(error, VIR_ERR_OPERATION_ABORTED, "'%s' was not asked: the program ends", process->path);
    if (process->pidfd < 0)
        return inv_error_set_errno(error, errno, "cannot watch process %d of '%s'", pid, process->path);
    fcntl(process->words_fd, F_SETFL, O_NONBLOCK);
    inv_io_thread_call(process->io, watch_words, process);
    return TRUE;
}

/* Waits for the exit at most @wait_ms and reaps it. */
static gboolean
reap(InvProbeProcess *process, int wait_ms)
{
    gint64 end = inv_deadline_end((guint)wait_ms);
    struct pollfd watched = { .fd = process->pidfd, .events = POLLIN };
    int ready;

    if (!process->pid)
        return TRUE;
    do {
        ready = poll(&watched, process->pidfd < 0 ? 0 : 1, (int)inv_deadline_left(end));
    } while (ready < 0 && errno == EINTR);
    if (!inv_probe_budget_reap(&process->slot, &process->status))
        return FALSE;
    process->pid = 0;
    return TRUE;
}

static GPtrArray *
build_arguments(const char *path, const char *const *arguments)
{
    GPtrArray *argv = g_ptr_array_new_with_free_func(g_free);

    g_ptr_array_add(argv, g_strdup(path));
    for (const char *const *shared = (const char *const[]){ "-S", "-no-user-config", "-nodefaults", "-nographic", NULL }; *shared; shared++)
        g_ptr_array_add(argv, g_strdup(*shared));
    for (; *arguments; arguments++)
        g_ptr_array_add(argv, g_strdup(*arguments));
    g_ptr_array_add(argv, g_strdup("-chardev"));
    g_ptr_array_add(argv, g_strdup_printf("socket,id=monitor,fd=%d", MONITOR_FD));
    g_ptr_array_add(argv, g_strdup("-mon"));
    g_ptr_array_add(argv, g_strdup("chardev=monitor,mode=control"));
    g_ptr_array_add(argv, NULL);
    return argv;
}

InvProbeProcess *
inv_probe_process_start(InvIoThread *io, const char *path, const char *const *arguments, gint64 end, GError **error)
{
    g_autoptr(InvProbeProcess) process = g_new0(InvProbeProcess, 1);
    g_autoptr(GPtrArray) argv = build_arguments(path, arguments);
    inv_autofd int ours = -1;
    inv_autofd int theirs = -1;
    int pair[2];

    process->io = io;
    process->path = g_strdup(path);
    process->pidfd = process->words_fd = -1;
    process->words = g_byte_array_new();
    g_mutex_init(&process->lock);
    if (!inv_probe_budget_enter(&process->slot, path, end, error))
        return NULL;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
        inv_error_set_errno(error, errno, "cannot make a socket pair for '%s'", path);
        return NULL;
    }
    ours = pair[0];
    theirs = pair[1];
    if (!spawn(process, (const char *const *)argv->pdata, theirs, error))
        return NULL;
    /* Else its end would never be seen. */
    inv_fd_close(&theirs);
    process->qmp = inv_qmp_new(io, inv_fd_steal(&ours), inv_deadline_left(end), NULL, NULL, NULL, error);
    if (!process->qmp) {
        inv_probe_process_explain(process, error);
        return NULL;
    }
    return g_steal_pointer(&process);
}

static void
kill_all(InvProbeProcess *process)
{
    /* It needs a processor to die on. Where the kernel refuses, it waits for one as it did before. */
    if (process->slot.idle)
        sched_setscheduler(process->pid, SCHED_OTHER, &(struct sched_param){ .sched_priority = 0 });
    /* The group: an emulator may be a script that did not exec. It is ours as long as we have not reaped its leader. */
    kill(-process->pid, SIGKILL);
    kill(process->pid, SIGKILL);
    if (!reap(process, KILL_WAIT_MS))
        g_warning("process %d of '%s' does not die", process->pid, process->path);
}

void
inv_probe_process_free(InvProbeProcess *process)
{
    if (!process)
        return;
    g_clear_pointer(&process->qmp, inv_qmp_unref);
    if (process->pid)
        kill_all(process);
    if (process->words_source)
        inv_io_thread_call(process->io, unwatch_words, process);
    inv_probe_budget_leave(&process->slot);
    inv_fd_close(&process->words_fd);
    inv_fd_close(&process->pidfd);
    g_byte_array_unref(process->words);
    g_mutex_clear(&process->lock);
    g_free(process->path);
    g_free(process);
}

InvQmp *
inv_probe_process_qmp(InvProbeProcess *process)
{
    return process->qmp;
}

char *
inv_probe_clean_words(const char *text, const char *program)
{
    g_autofree char *prefix = g_strdup_printf("%s: ", program);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    g_autoptr(GPtrArray) warnings = g_ptr_array_new();
    g_autoptr(GPtrArray) errors = g_ptr_array_new();

    for (char **line = lines; *line; line++) {
        const char *words = g_strstrip(*line);
        const char *behind = strstr(words, prefix);

        /* "qemu-system-x86_64: …" or "/usr/bin/qemu-system-x86_64: …" */
        if (behind && (behind == words || (words[0] == '/' && behind[-1] == '/')))
            words = behind + strlen(prefix);
        if (*words)
            g_ptr_array_add(g_str_has_prefix(words, "warning: ") ? warnings : errors, (gpointer)words);
    }
    if (!errors->len)
        g_ptr_array_extend_and_steal(errors, g_steal_pointer(&warnings));
    g_ptr_array_add(errors, NULL);
    return g_strjoinv("; ", (char **)errors->pdata);
}

static char *
last_words(InvProbeProcess *process)
{
    g_autofree char *text = NULL;
    g_autofree char *valid = NULL;
    g_autofree char *program = g_path_get_basename(process->path);

    if (process->words_source)
        inv_io_thread_call(process->io, unwatch_words, process);
    while (process->words_fd >= 0 && read_words(process))
        continue;
    g_byte_array_append(process->words, (const guint8 *)"", 1);
    text = g_strdup((const char *)process->words->data);
    valid = g_utf8_make_valid(text, -1);
    for (char *byte = valid; *byte; byte++) {
        if (*byte != '\n' && g_ascii_iscntrl(*byte))
            *byte = ' ';
    }
    return inv_probe_clean_words(valid, program);
}

/* "R" in /proc/PID/stat, behind the name, which may hold anything: it runs, or would if it could. */
static gboolean
is_runnable(pid_t pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/stat", pid);
    g_autofree char *text = NULL;
    const char *behind = g_file_get_contents(path, &text, NULL, NULL) ? strrchr(text, ')') : NULL;

    return behind && g_str_has_prefix(behind, ") R");
}

/*
 * Whether it missed its deadline for want of a processor: it ran for less than what any that works
 * needs at most, and waited for a processor most of the time, or does now (which is not counted yet).
 * From /proc/PID/schedstat (Linux, Documentation/scheduler/sched-stats.rst): nanoseconds of running,
 * of waiting to run; of the first thread.
 */
static gboolean
is_starved(const InvProbeProcess *process, double *ran, double *taken)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/schedstat", process->pid);
    g_autofree char *text = NULL;
    double waited;
    char *end;

    *taken = (double)(g_get_monotonic_time() - process->slot.since) / G_TIME_SPAN_SECOND;
    if (!process->pid || !g_file_get_contents(path, &text, NULL, NULL))
        return FALSE;
    *ran = (double)g_ascii_strtoull(text, &end, 10) / 1e9;
    waited = (double)g_ascii_strtoull(end, NULL, 10) / 1e9;
    return *ran < INV_PROBE_SLOW_MS / 1000.0 && (waited > *taken / 2 || is_runnable(process->pid));
}

gboolean
inv_probe_failure_passes(const GError *error)
{
    static const int reasons[] = { ENOMEM, EAGAIN, EMFILE, ENFILE, ENOSPC, EDQUOT, EBUSY, ETXTBSY };
    static const int signals[] = { SIGKILL, SIGTERM, SIGINT, SIGHUP };

    for (gsize i = 0; i < G_N_ELEMENTS(reasons); i++) {
        if (strstr(error->message, g_strerror(reasons[i])))
            return TRUE;
    }
    for (gsize i = 0; i < G_N_ELEMENTS(signals); i++) {
        g_autofree char *killed = g_strdup_printf(KILLED_BY " (", signals[i]);

        if (strstr(error->message, killed))
            return TRUE;
    }
    return FALSE;
}

gboolean
inv_probe_process_explain(InvProbeProcess *process, GError **error)
{
    double ran = 0, taken = 0;

    g_autofree char *words = NULL;
    g_autofree char *how = NULL;
    GError *explained = NULL;

    if (inv_probe_budget_is_stopped() && error && *error) {
        g_clear_error(error);
        return inv_error_set(error, VIR_ERR_OPERATION_ABORTED, "'%s' was not asked to the end: the program ends", process->path);
    }
    if (error && *error && inv_error_code(*error) == VIR_ERR_OPERATION_TIMEOUT && is_starved(process, &ran, &taken)) {
        g_clear_error(error);
        return inv_error_set(error, VIR_ERR_RESOURCE_BUSY,
                             "the emulator '%s' was not asked to the end: this host let it run for %.1f of %.1f s; try again", process->path,
                             ran, taken);
    }
    /* Only a QEMU that hung up is ending: one that hangs, or on whom we hung up, may live on. */
    if (!error || !*error || !strstr((*error)->message, INV_QMP_HUNG_UP) || !reap(process, EXIT_GRACE_MS)) {
        g_prefix_error(error, "the emulator '%s': ", process->path);
        return FALSE;
    }
    words = last_words(process);
    if (WIFEXITED(process->status))
        how = g_strdup_printf("exited with status %d", WEXITSTATUS(process->status));
    else
        how = g_strdup_printf(KILLED_BY " (%s)", WTERMSIG(process->status), g_strsignal(WTERMSIG(process->status)));
    inv_error_set(&explained, VIR_ERR_CONFIG_UNSUPPORTED, "the emulator '%s' %s: %s", process->path, how,
                  *words ? words : "it said nothing");
    g_clear_error(error);
    g_propagate_error(error, explained);
    return FALSE;
}
