/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* First, for close_range() and setresuid(). */
#include "config.h"

#include "qemu/process.h"

#include "util/error.h"
#include "util/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* From fork to exec there is nothing to wait for but a slow disk under the binary. */
#define EXEC_DEADLINE_MS 30000

/* A process that SIGKILL does not end within this hangs in the kernel. */
#define KILL_DEADLINE_MS 5000

#define MAX_LOG_TAIL (1024 * 1024)
#define MAX_STAT_BYTES 4096

struct InvProcess {
    gint references; /* atomic */
    pid_t pid;
    guint64 start_time;
    int pidfd;
    gboolean child; /* ours to reap */
    goffset log_start;
    GMutex lock;
    InvProcessExited exited; /* guarded by lock; NULL: forgotten or done */
    gpointer user_data;      /* guarded by lock */
};

goffset
inv_process_log_start(const InvProcess *process)
{
    return process->log_start;
}

InvProcess *
inv_process_ref(InvProcess *process)
{
    g_atomic_int_inc(&process->references);
    return process;
}

/* The status as waitpid() gives it, or -1 while it lives or when it is another's child. */
static int
reap(InvProcess *process)
{
    siginfo_t info = { 0 };

    if (!process->child || waitid(P_PIDFD, (id_t)process->pidfd, &info, WEXITED | WNOHANG) < 0 || info.si_pid == 0)
        return -1;
    if (info.si_code == CLD_EXITED)
        return (info.si_status & 0xff) << 8;
    return (info.si_status & 0x7f) | (info.si_code == CLD_DUMPED ? 0x80 : 0);
}

void
inv_process_unref(InvProcess *process)
{
    if (!process || !g_atomic_int_dec_and_test(&process->references))
        return;
    reap(process);
    inv_fd_close(&process->pidfd);
    g_mutex_clear(&process->lock);
    g_free(process);
}

pid_t
inv_process_pid(const InvProcess *process)
{
    return process->pid;
}

guint64
inv_process_start_time(const InvProcess *process)
{
    return process->start_time;
}

/* TRUE: it has ended. */
static gboolean
wait_end(int pidfd, int timeout_ms)
{
    gint64 deadline = g_get_monotonic_time() + (gint64)timeout_ms * 1000;
    struct pollfd item = { .fd = pidfd, .events = POLLIN };

    for (;;) {
        gint64 left = MAX((deadline - g_get_monotonic_time() + 999) / 1000, 0);
        int got = poll(&item, 1, (int)left);

        if (got > 0)
            return TRUE;
        if (got == 0 || errno != EINTR)
            return FALSE;
    }
}

gboolean
inv_process_is_alive(InvProcess *process)
{
    return !wait_end(process->pidfd, 0);
}

static gboolean
pidfd_ready(gint fd, GIOCondition condition, gpointer data)
{
    InvProcess *process = data;
    InvProcessExited exited;
    gpointer user_data;
    int status = reap(process);

    g_mutex_lock(&process->lock);
    exited = process->exited;
    user_data = process->user_data;
    process->exited = NULL;
    g_mutex_unlock(&process->lock);
    if (exited)
        exited(process, status, user_data);
    return G_SOURCE_REMOVE;
}

/* Takes @pidfd over. The source has a reference of its own: a child is reaped even when nobody else cares. */
static InvProcess *
watch(InvIoThread *io, pid_t pid, guint64 start_time, int pidfd, gboolean child, InvProcessExited exited, gpointer user_data)
{
    InvProcess *process = g_new0(InvProcess, 1);
    g_autoptr(GSource) source = g_unix_fd_source_new(pidfd, G_IO_IN);

    process->references = 1;
    process->pid = pid;
    process->start_time = start_time;
    process->pidfd = pidfd;
    process->child = child;
    process->exited = exited;
    process->user_data = user_data;
    g_mutex_init(&process->lock);
    g_source_set_callback(source, G_SOURCE_FUNC(pidfd_ready), inv_process_ref(process), (GDestroyNotify)inv_process_unref);
    g_source_attach(source, inv_io_thread_context(io));
    return process;
}

void
inv_process_forget_callback(InvProcess *process)
{
    g_mutex_lock(&process->lock);
    process->exited = NULL;
    process->user_data = NULL;
    g_mutex_unlock(&process->lock);
}

/* What went wrong between fork and exec, through a pipe. */
typedef enum {
    STAGE_FILES = 1,
    STAGE_IDENTITY,
    STAGE_EXEC,
} Stage;

typedef struct {
    int stage;
    int errnum;
} Failure;

/* Everything that the child needs, made before the fork: after it, only async-signal-safe calls are allowed. */
typedef struct {
    const InvProcessSpec *spec;
    char **environment;
    int null_fd;
    int log_fd;
    int report_fd;
    gboolean change_groups;
    gid_t *groups;
    int n_groups;
} Launch;

static void G_GNUC_NORETURN
child_fail(const Launch *launch, Stage stage)
{
    Failure failure = { .stage = (int)stage, .errnum = errno };

    /* Nothing can be done about a failing write: the parent sees the pipe closed and the child gone. */
    (void)!write(launch->report_fd, &failure, sizeof(failure));
    _exit(127);
}

/* All descriptors but 0, 1, 2 and the inherited ones close at exec; the report's pipe too, which tells success. */
static void
child_files(const Launch *launch)
{
    if (close_range(3, ~0u, CLOSE_RANGE_CLOEXEC) < 0) {
        struct rlimit limit = { 0 };

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
            child_fail(launch, STAGE_FILES);
        for (int fd = 3; fd < (int)MIN(limit.rlim_cur, 1024 * 1024); fd++)
            fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
    for (guint i = 0; i < launch->spec->n_inherit_fds; i++) {
        if (fcntl(launch->spec->inherit_fds[i], F_SETFD, 0) < 0)
            child_fail(launch, STAGE_FILES);
    }
    if (dup2(launch->null_fd, 0) < 0 || dup2(launch->log_fd, 1) < 0 || dup2(launch->log_fd, 2) < 0 || chdir("/") < 0)
        child_fail(launch, STAGE_FILES);
}

/* The plain system calls: glibc's wrappers would look for threads that a child of fork() does not have. */
static void
child_identity(const Launch *launch)
{
    uid_t uid = launch->spec->uid;
    gid_t gid = launch->spec->gid;

    if ((launch->change_groups && syscall(SYS_setgroups, launch->n_groups, launch->groups) < 0) ||
        (gid != (gid_t)-1 && syscall(SYS_setresgid, gid, gid, gid) < 0) ||
        (uid != (uid_t)-1 && syscall(SYS_setresuid, uid, uid, uid) < 0))
        child_fail(launch, STAGE_IDENTITY);
}

static void G_GNUC_NORETURN
child_run(const Launch *launch)
{
    struct sigaction standard = { .sa_handler = SIG_DFL };
    sigset_t none;

    setsid();
    umask(0077);
    for (int i = 1; i < NSIG; i++)
        sigaction(i, &standard, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    child_files(launch);
    child_identity(launch);
    execve(launch->spec->argv[0], (char *const *)launch->spec->argv, launch->environment);
    child_fail(launch, STAGE_EXEC);
}

static char **
make_environment(gboolean other_user)
{
    static const char *const passed[] = { "HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR" };
    GPtrArray *list = g_ptr_array_new();

    g_ptr_array_add(list, g_strdup("LC_ALL=C"));
    g_ptr_array_add(list, g_strdup("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"));
    /* Our own folders mean nothing, and are closed, to another user. */
    if (other_user)
        g_ptr_array_add(list, g_strdup("HOME=/"));
    for (gsize i = 0; !other_user && i < G_N_ELEMENTS(passed); i++) {
        if (g_getenv(passed[i]))
            g_ptr_array_add(list, g_strconcat(passed[i], "=", g_getenv(passed[i]), NULL));
    }
    g_ptr_array_add(list, NULL);
    return (char **)g_ptr_array_free(list, FALSE);
}

static gboolean
write_log_header(int fd, const InvProcessSpec *spec, char **environment, GError **error)
{
    g_autoptr(GDateTime) now = g_date_time_new_now_utc();
    g_autofree char *time = g_date_time_format(now, "%Y-%m-%d %H:%M:%S.%f+0000");
    GString *text = g_string_new(NULL);
    g_autofree char *owned = NULL;

    g_string_append_printf(text, "%s: starting up\n", time);
    for (char **variable = environment; *variable; variable++)
        g_string_append_printf(text, "%s \\\n", *variable);
    for (guint i = 0; spec->argv[i]; i++) {
        g_autofree char *quoted = g_shell_quote(spec->argv[i]);

        g_string_append_printf(text, "%s%s", i ? " \\\n" : "", quoted);
    }
    g_string_append_c(text, '\n');
    gsize length = text->len;
    owned = g_string_free(text, FALSE);
    for (gsize done = 0; done < length;) {
        ssize_t wrote = write(fd, owned + done, length - done);

        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return inv_error_set_errno(error, errno, "cannot write the log '%s'", spec->log_path);
        done += (gsize)wrote;
    }
    return TRUE;
}

/* A descriptor above 2: the child puts others there. -1 with errno. */
static int
open_high(const char *path, int flags)
{
    inv_autofd int low = open(path, flags | O_CLOEXEC | O_NOCTTY, 0600);

    if (low < 0 || low > 2)
        return inv_fd_steal(&low);
    return fcntl(low, F_DUPFD_CLOEXEC, 3);
}

static gboolean
find_groups(const InvProcessSpec *spec, Launch *launch, GError **error)
{
    g_autofree char *buffer = g_malloc(65536);
    struct passwd entry;
    struct passwd *found = NULL;

    launch->change_groups = geteuid() == 0 && (spec->uid != (uid_t)-1 || spec->gid != (gid_t)-1);
    if (!launch->change_groups || spec->uid == (uid_t)-1 ||
        getpwuid_r(spec->uid, &entry, buffer, 65536, &found) != 0 || !found)
        return TRUE;
    /* The user's other groups: /dev/kvm belongs to one. */
    launch->n_groups = 1024;
    launch->groups = g_new0(gid_t, 1024);
    if (getgrouplist(entry.pw_name, spec->gid != (gid_t)-1 ? spec->gid : entry.pw_gid, launch->groups, &launch->n_groups) < 0)
        return inv_error_set(error, VIR_ERR_OPERATION_FAILED, "user '%s' is in more than 1024 groups", entry.pw_name);
    return TRUE;
}

static gboolean
check_spec(const InvProcessSpec *spec, GError **error)
{
    for (guint i = 0; i < spec->n_inherit_fds; i++) {
        if (spec->inherit_fds[i] < 3)
            return inv_error_set(error, VIR_ERR_INVALID_ARG, "descriptor %d cannot be inherited by '%s'",
                                 spec->inherit_fds[i], spec->argv[0]);
    }
    return TRUE;
}

/* Reads what the child reports: nothing, when exec closed the pipe. */
static gboolean
read_report(int fd, const char *binary, GError **error)
{
    struct pollfd item = { .fd = fd, .events = POLLIN };
    Failure failure = { 0 };
    ssize_t got;
    int ready;

    do
        ready = poll(&item, 1, EXEC_DEADLINE_MS);
    while (ready < 0 && errno == EINTR);
    if (ready == 0)
        return inv_error_set(error, VIR_ERR_OPERATION_TIMEOUT, "'%s' was not started within %d seconds", binary,
                             EXEC_DEADLINE_MS / 1000);
    do
        got = read(fd, &failure, sizeof(failure));
    while (got < 0 && errno == EINTR);
    if (got == 0)
        return TRUE;
    if (got != (ssize_t)sizeof(failure))
        return inv_error_set(error, VIR_ERR_OPERATION_FAILED, "'%s' ended before it was started", binary);
    switch ((Stage)failure.stage) {
    case STAGE_FILES:
        return inv_error_set_errno(error, failure.errnum, "cannot prepare the files of '%s'", binary);
    case STAGE_IDENTITY:
        return inv_error_set_errno(error, failure.errnum, "cannot change the user of '%s'", binary);
    case STAGE_EXEC:
        break;
    }
    return inv_error_set_errno(error, failure.errnum, "cannot start '%s'", binary);
}

/* No signal handler of ours may run in the child before it has reset them. */
static pid_t
fork_child(const Launch *launch)
{
    sigset_t all;
    sigset_t before;
    pid_t pid;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid = fork();
    if (pid == 0)
        child_run(launch);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return pid;
}

static InvProcess *
launch_child(InvIoThread *io, Launch *launch, InvProcessExited exited, gpointer user_data, GError **error)
{
    const char *binary = launch->spec->argv[0];
    inv_autofd int read_fd = -1;
    inv_autofd int write_fd = -1;
    inv_autofd int pidfd = -1;
    int ends[2];
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) < 0) {
        inv_error_set_errno(error, errno, "cannot make a pipe");
        return NULL;
    }
    read_fd = ends[0];
    write_fd = fcntl(ends[1], F_DUPFD_CLOEXEC, 3);
    close(ends[1]);
    launch->report_fd = write_fd;
    pid = write_fd < 0 ? -1 : fork_child(launch);
    if (pid < 0) {
        inv_error_set_errno(error, errno, "cannot start '%s'", binary);
        return NULL;
    }
    inv_fd_close(&write_fd);
    pidfd = pidfd_open(pid, 0);
    if (pidfd < 0)
        inv_error_set_errno(error, errno, "cannot watch '%s'", binary);
    if (pidfd < 0 || !read_report(read_fd, binary, error)) {
        kill(pid, SIGKILL);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            ;
        return NULL;
    }
    return watch(io, pid, inv_process_read_start_time(pid), inv_fd_steal(&pidfd), TRUE, exited, user_data);
}

InvProcess *
inv_process_spawn(InvIoThread *io, const InvProcessSpec *spec, InvProcessExited exited, gpointer user_data, GError **error)
{
    g_auto(GStrv) environment = make_environment(spec->uid != (uid_t)-1 && spec->uid != geteuid());
    inv_autofd int null_fd = open_high("/dev/null", O_RDWR);
    inv_autofd int log_fd = -1;
    g_autofree gid_t *groups = NULL;
    Launch launch = { .spec = spec, .environment = environment, .null_fd = null_fd };
    InvProcess *process;
    goffset log_start;

    if (!check_spec(spec, error))
        return NULL;
    log_fd = spec->log_path ? open_high(spec->log_path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW)
                            : open_high("/dev/null", O_WRONLY);
    if (null_fd < 0 || log_fd < 0) {
        inv_error_set_errno(error, errno, "cannot open '%s'", null_fd < 0 || !spec->log_path ? "/dev/null" : spec->log_path);
        return NULL;
    }
    if (spec->log_path && !write_log_header(log_fd, spec, environment, error))
        return NULL;
    if (!find_groups(spec, &launch, error)) {
        g_free(launch.groups);
        return NULL;
    }
    groups = launch.groups;
    launch.log_fd = log_fd;
    log_start = lseek(log_fd, 0, SEEK_END);
    process = launch_child(io, &launch, exited, user_data, error);
    if (process)
        process->log_start = MAX(log_start, 0);
    return process;
}

InvProcess *
inv_process_adopt(InvIoThread *io, pid_t pid, guint64 start_time, InvProcessExited exited, gpointer user_data, GError **error)
{
    inv_autofd int pidfd = -1;
    guint64 now;

    if (pid <= 0) {
        inv_error_set(error, VIR_ERR_INVALID_ARG, "%ld is no process id", (long)pid);
        return NULL;
    }
    /* The descriptor first: from here on the pid cannot come to mean another process without it telling. */
    pidfd = pidfd_open(pid, 0);
    if (pidfd < 0 && errno != ESRCH && errno != EINVAL) {
        inv_error_set_errno(error, errno, "cannot watch process %ld", (long)pid);
        return NULL;
    }
    now = pidfd < 0 ? 0 : inv_process_read_start_time(pid);
    if (now != 0 && now != start_time) {
        inv_error_set(error, VIR_ERR_OPERATION_FAILED, "process %ld is gone: its number belongs to another process now",
                      (long)pid);
        return NULL;
    }
    if (now == 0 || wait_end(pidfd, 0)) {
        inv_error_set(error, VIR_ERR_OPERATION_FAILED, "process %ld is gone", (long)pid);
        return NULL;
    }
    return watch(io, pid, start_time, inv_fd_steal(&pidfd), FALSE, exited, user_data);
}

static gboolean
send_signal(InvProcess *process, int number, GError **error)
{
    if (pidfd_send_signal(process->pidfd, number, NULL, 0) == 0 || errno == ESRCH)
        return TRUE;
    return inv_error_set_errno(error, errno, "cannot send signal %d to process %ld", number, (long)process->pid);
}

gboolean
inv_process_terminate(InvProcess *process, guint deadline_ms, GError **error)
{
    if (!send_signal(process, SIGTERM, error))
        return FALSE;
    return wait_end(process->pidfd, (int)MIN(deadline_ms, G_MAXINT / 2)) ||
           inv_error_set(error, VIR_ERR_OPERATION_TIMEOUT, "process %ld has not ended %u seconds after SIGTERM",
                         (long)process->pid, deadline_ms / 1000);
}

gboolean
inv_process_kill(InvProcess *process, guint grace_ms, GError **error)
{
    if (grace_ms > 0) {
        if (!send_signal(process, SIGTERM, error))
            return FALSE;
        if (wait_end(process->pidfd, (int)MIN(grace_ms, G_MAXINT / 2)))
            return TRUE;
    }
    if (!send_signal(process, SIGKILL, error))
        return FALSE;
    return wait_end(process->pidfd, KILL_DEADLINE_MS) ||
           inv_error_set(error, VIR_ERR_OPERATION_TIMEOUT,
                         "process %ld is still there %d seconds after SIGKILL: it hangs in the kernel, perhaps on a disk that "
                         "does not answer",
                         (long)process->pid, KILL_DEADLINE_MS / 1000);
}

char *
inv_process_log_tail(const char *log_path, goffset offset, gsize max_bytes)
{
    inv_autofd int fd = open(log_path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    g_autofree char *text = NULL;
    struct stat status;
    goffset start = MAX(offset, 0);
    gsize length = 0;
    char *begin;

    if (fd < 0 || fstat(fd, &status) < 0 || !S_ISREG(status.st_mode) || status.st_size <= start)
        return g_strdup("");
    max_bytes = MIN(max_bytes, MAX_LOG_TAIL);
    if ((guint64)(status.st_size - start) > max_bytes)
        start = status.st_size - (goffset)max_bytes;
    text = g_malloc0(max_bytes + 1);
    while (length < max_bytes) {
        ssize_t got = pread(fd, text + length, max_bytes - length, start + (goffset)length);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        length += (gsize)got;
    }
    begin = text;
    /* Half a line says less than none. */
    if (start > MAX(offset, 0) && memchr(text, '\n', length))
        begin = (char *)memchr(text, '\n', length) + 1;
    return g_utf8_make_valid(begin, (gssize)(length - (gsize)(begin - text)));
}

guint64
inv_process_read_start_time(pid_t pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%ld/stat", (long)pid);
    g_autofree char *text = NULL;
    g_auto(GStrv) fields = NULL;
    const char *rest;

    if (!inv_file_read(path, MAX_STAT_BYTES, &text, NULL, NULL))
        return 0;
    /* Field 2 is the name in parentheses, which may hold blanks and parentheses; field 3 follows the last one. */
    rest = strrchr(text, ')');
    if (!rest || rest[1] != ' ')
        return 0;
    fields = g_strsplit(rest + 2, " ", 21);
    return g_strv_length(fields) > 19 ? g_ascii_strtoull(fields[19], NULL, 10) : 0;
}
