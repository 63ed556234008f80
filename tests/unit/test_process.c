/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "qemu/process.h"
#include "util/error.h"
#include "util/fd.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define WAIT_US (20 * G_USEC_PER_SEC)

static InvIoThread *io;
static InvProcess *process;
static GError *error;
static char *folder;
static char *log_path;
static char *text;

static GMutex lock;
static GCond changed;
static int exits;
static int last_status;

static void
exited(InvProcess *which, int status, gpointer user_data)
{
    g_mutex_lock(&lock);
    exits++;
    last_status = status;
    g_cond_broadcast(&changed);
    g_mutex_unlock(&lock);
}

static void
wait_exit(void)
{
    gint64 until = g_get_monotonic_time() + WAIT_US;

    g_mutex_lock(&lock);
    while (exits == 0) {
        if (!g_cond_wait_until(&changed, &lock, until))
            break;
    }
    g_mutex_unlock(&lock);
    assert_int_equal(exits, 1);
}

static int
setup(void **state)
{
    folder = g_dir_make_tmp("invar-process-XXXXXX", NULL);
    log_path = g_build_filename(folder, "log", NULL);
    io = inv_io_thread_new();
    exits = 0;
    last_status = -2;
    return 0;
}

static int
teardown(void **state)
{
    if (process)
        inv_process_kill(process, 0, NULL);
    g_clear_pointer(&process, inv_process_unref);
    g_clear_pointer(&io, inv_io_thread_free);
    g_clear_error(&error);
    g_clear_pointer(&text, g_free);
    g_unlink(log_path);
    g_rmdir(folder);
    g_clear_pointer(&log_path, g_free);
    g_clear_pointer(&folder, g_free);
    return 0;
}

static void
spawn_shell(const char *script, const int *fds, guint n_fds)
{
    const char *argv[] = { "/bin/sh", "-c", script, NULL };
    InvProcessSpec spec = { .argv = argv, .inherit_fds = fds, .n_inherit_fds = n_fds, .log_path = log_path,
                            .uid = (uid_t)-1, .gid = (gid_t)-1 };

    process = inv_process_spawn(io, &spec, exited, NULL, &error);
    if (!process)
        fail_msg("%s", error->message);
}

typedef struct {
    const char *name;
    const char *script;
    int signal; /* expected end by a signal, or */
    int code;   /* exit code */
    const char *output;
} ExitCase;

static const ExitCase exit_cases[] = {
    { "success", "exit 0", 0, 0, "" },
    { "exit code", "exit 7", 0, 7, "" },
    { "killed by itself", "kill -SEGV $$", SIGSEGV, 0, "" },
    { "standard output and error go to the log", "echo out; echo err >&2", 0, 0, "out\nerr\n" },
    { "standard input is empty", "cat; echo end", 0, 0, "end\n" },
    { "the locale is C", "echo $LC_ALL", 0, 0, "C\n" },
    { "the environment is not ours", "echo \"[$INVAR_TEST_SECRET]\"", 0, 0, "[]\n" },
    { "a session of its own", "read -r p c s pp g sid rest < /proc/self/stat; read -r me rest < /proc/$$/stat;"
                              "[ \"$g\" = $$ ] && [ \"$sid\" = $$ ] && echo own", 0, 0, "own\n" },
    { "signals are not blocked or ignored",
      /* But signals 32 and 33, which the C library keeps for itself and lets nobody change. */
      "sed -n 's/^Sig\\(Blk\\|Ign\\):\\s*//p' /proc/self/status | sed 's/0000000[01][08]0000000$/0000000000000000/'",
      0, 0, "0000000000000000\n0000000000000000\n" },
    { "no other descriptor is open", "for n in 3 4 5 6 7 8 9; do [ -e /proc/$$/fd/$n ] && echo $n; done; echo end", 0, 0,
      "end\n" },
};

static void
ends_and_output(void **state)
{
    const ExitCase *row = *state;
    inv_autofd int stray = open("/dev/null", O_RDONLY); /* deliberately without O_CLOEXEC */
    struct sigaction ignore = { .sa_handler = SIG_IGN };
    struct sigaction before;
    struct stat status;
    sigset_t block;
    const char *header_end;

    assert_true(stray >= 0);
    g_setenv("INVAR_TEST_SECRET", "secret", TRUE);
    sigaction(SIGPIPE, &ignore, &before);
    sigemptyset(&block);
    sigaddset(&block, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &block, NULL);
    spawn_shell(row->script, NULL, 0);
    wait_exit();
    pthread_sigmask(SIG_UNBLOCK, &block, NULL);
    sigaction(SIGPIPE, &before, NULL);
    if (row->signal)
        assert_true(WIFSIGNALED(last_status) && WTERMSIG(last_status) == row->signal);
    else
        assert_true(WIFEXITED(last_status) && WEXITSTATUS(last_status) == row->code);
    assert_false(inv_process_is_alive(process));
    assert_int_equal(stat(log_path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_true(g_file_get_contents(log_path, &text, NULL, NULL));
    assert_non_null(strstr(text, "starting up\n"));
    g_autofree char *quoted = g_shell_quote(row->script);
    header_end = strstr(text, quoted);
    assert_non_null(header_end);
    assert_string_equal(header_end + strlen(quoted) + 1, row->output);
    /* It was reaped: there is no such process, not even a zombie. */
    assert_int_equal(kill(inv_process_pid(process), 0), -1);
}

typedef struct {
    const char *name;
    const char *binary; /* NULL: a file that is not executable */
    const char *log;    /* NULL: a good one */
    int fd;             /* > 0: to inherit */
    const char *message;
} FailCase;

static const FailCase fail_cases[] = {
    { .name = "absent", .binary = "/nonexistent/qemu", .message = "cannot start '/nonexistent/qemu': No such file" },
    { .name = "a folder", .binary = "/", .message = "cannot start '/': Permission denied" },
    { .name = "not executable", .message = "Permission denied" },
    { .name = "log in no folder", .binary = "/bin/true", .log = "/nonexistent/log", .message = "cannot open '/nonexistent/log'" },
    { .name = "descriptor that is not open", .binary = "/bin/true", .fd = 900, .message = "cannot prepare the files" },
    { .name = "descriptor 1", .binary = "/bin/true", .fd = 1, .message = "descriptor 1 cannot be inherited" },
};

static void
a_failed_exec_is_an_error(void **state)
{
    const FailCase *row = *state;
    const char *argv[] = { row->binary ? row->binary : log_path, NULL };
    InvProcessSpec spec = { .argv = argv, .log_path = row->log ? row->log : log_path, .inherit_fds = &row->fd,
                            .n_inherit_fds = row->fd ? 1 : 0, .uid = (uid_t)-1, .gid = (gid_t)-1 };

    process = inv_process_spawn(io, &spec, exited, NULL, &error);
    assert_null(process);
    if (!strstr(error->message, row->message))
        fail_msg("'%s' does not say '%s'", error->message, row->message);
    /* No child is left. */
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(exits, 0);
}

static void
inherited_descriptors_keep_their_number(void **state)
{
    int ends[2];
    int fds[1];
    char got[16] = "";
    g_autofree char *script = NULL;

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    fds[0] = ends[1];
    script = g_strdup_printf("echo hello >&%d", ends[1]);
    spawn_shell(script, fds, 1);
    close(ends[1]);
    assert_int_equal(read(ends[0], got, sizeof(got)), 6);
    assert_string_equal(got, "hello\n");
    close(ends[0]);
    wait_exit();
}

static void
wait_log(const char *word)
{
    gint64 until = g_get_monotonic_time() + WAIT_US;

    do {
        g_clear_pointer(&text, g_free);
        assert_true(g_get_monotonic_time() < until);
        text = inv_process_log_tail(log_path, 0, 65536);
        g_thread_yield();
    } while (!g_str_has_suffix(text, word));
}

static void
term_is_enough(void **state)
{
    gint64 before;

    spawn_shell("trap 'exit 3' TERM; echo re''ady; while :; do sleep 0.05; done", NULL, 0);
    wait_log("ready\n");
    assert_true(inv_process_is_alive(process));
    before = g_get_monotonic_time();
    assert_true(inv_process_kill(process, 10000, &error));
    assert_true(g_get_monotonic_time() - before < 5 * G_USEC_PER_SEC);
    wait_exit();
    assert_int_equal(WEXITSTATUS(last_status), 3);
    assert_true(inv_process_kill(process, 1000, &error)); /* again: it is gone already */
}

static void
who_ignores_term_is_killed(void **state)
{
    spawn_shell("trap '' TERM; echo re''ady; while :; do sleep 0.05; done", NULL, 0);
    wait_log("ready\n");
    assert_true(inv_process_kill(process, 100, &error));
    wait_exit();
    assert_true(WIFSIGNALED(last_status) && WTERMSIG(last_status) == SIGKILL);
}

static void
nothing(gpointer data)
{
}

static void
a_forgotten_callback_does_not_run(void **state)
{
    spawn_shell("exec sleep 60", NULL, 0);
    inv_process_forget_callback(process);
    assert_true(inv_process_kill(process, 0, &error));
    inv_io_thread_call(io, nothing, NULL);
    inv_io_thread_call(io, nothing, NULL);
    assert_int_equal(exits, 0);
}

static void
an_adopted_process_is_watched(void **state)
{
    InvProcess *first;

    spawn_shell("exec sleep 60", NULL, 0);
    first = process;
    process = inv_process_adopt(io, inv_process_pid(first), inv_process_start_time(first), exited, NULL, &error);
    assert_non_null(process);
    inv_process_forget_callback(first);
    assert_true(inv_process_start_time(first) > 0);
    assert_true(inv_process_kill(process, 0, &error));
    wait_exit();
    assert_int_equal(last_status, -1);
    inv_process_unref(first);
}

static void
a_reused_pid_is_not_adopted(void **state)
{
    spawn_shell("exec sleep 60", NULL, 0);
    assert_null(inv_process_adopt(io, inv_process_pid(process), inv_process_start_time(process) + 1, exited, NULL, &error));
    assert_non_null(strstr(error->message, "belongs to another process"));
    g_clear_error(&error);
    pid_t pid = inv_process_pid(process);
    guint64 start_time = inv_process_start_time(process);
    assert_true(inv_process_kill(process, 0, &error));
    wait_exit();
    assert_null(inv_process_adopt(io, pid, start_time, exited, NULL, &error));
    assert_non_null(strstr(error->message, "is gone"));
    assert_true(inv_process_read_start_time(pid) == 0);
}

static void
the_user_changes(void **state)
{
    const char *argv[] = { "/bin/sh", "-c", "id -u; id -g; echo $HOME", NULL };
    InvProcessSpec spec = { .argv = argv, .log_path = log_path, .uid = geteuid() ? geteuid() : 65534,
                            .gid = geteuid() ? (gid_t)-1 : 65534 };
    g_autofree char *expected = g_strdup_printf("%d\n%d\n%s\n", (int)spec.uid, geteuid() ? (int)getegid() : 65534,
                                                geteuid() ? g_getenv("HOME") : "/");

    process = inv_process_spawn(io, &spec, exited, NULL, &error);
    assert_non_null(process);
    wait_exit();
    text = inv_process_log_tail(log_path, 0, 65536);
    assert_true(g_str_has_suffix(text, expected));
}

static void
the_tail_of_a_log(void **state)
{
    assert_true(g_file_set_contents(log_path, "first line\nsecond \xff line\nthird line\n", -1, NULL));
    text = inv_process_log_tail(log_path, 0, 1000);
    assert_string_equal(text, "first line\nsecond \357\277\275 line\nthird line\n");
    g_free(text);
    text = inv_process_log_tail(log_path, 11, 1000);
    assert_true(g_str_has_prefix(text, "second"));
    g_free(text);
    text = inv_process_log_tail(log_path, 0, 15);
    assert_string_equal(text, "third line\n");
    g_free(text);
    text = inv_process_log_tail(log_path, 1000, 15);
    assert_string_equal(text, "");
    g_free(text);
    text = inv_process_log_tail("/nonexistent", 0, 15);
    assert_string_equal(text, "");
}

#define PLAIN(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
    struct CMUnitTest tests[8 + G_N_ELEMENTS(exit_cases) + G_N_ELEMENTS(fail_cases)] = {
        PLAIN(inherited_descriptors_keep_their_number), PLAIN(term_is_enough), PLAIN(who_ignores_term_is_killed),
        PLAIN(a_forgotten_callback_does_not_run), PLAIN(an_adopted_process_is_watched), PLAIN(a_reused_pid_is_not_adopted),
        PLAIN(the_user_changes), PLAIN(the_tail_of_a_log),
    };
    gsize n = 8;

    for (gsize i = 0; i < G_N_ELEMENTS(exit_cases); i++)
        tests[n++] = (struct CMUnitTest){ exit_cases[i].name, ends_and_output, setup, teardown, (void *)&exit_cases[i] };
    for (gsize i = 0; i < G_N_ELEMENTS(fail_cases); i++)
        tests[n++] = (struct CMUnitTest){ fail_cases[i].name, a_failed_exec_is_an_error, setup, teardown,
                                          (void *)&fail_cases[i] };
    return cmocka_run_group_tests_name("process", tests, NULL, NULL);
}
