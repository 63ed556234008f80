/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "qemu/command.h"
#include "qemu/process.h"
#include "util/error.h"
#include "util/fd.h"

#include <glib/gstdio.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#define QEMU "/usr/bin/qemu-system-x86_64"

/* A definition tests/data/command/NAME.xml becomes NAME.args, or its error NAME.error. INVAR_REGENERATE=1 renews both. */
typedef struct {
    const char *name;
    gboolean refused;
} BuildCase;

static const BuildCase build_cases[] = {
    { "i440fx-minimal" },         { "q35-minimal" },
    { "awkward-names" },          { "q35-devices" },
    { "i440fx-devices" },         { "boot-order" },
    { "user-alias" },             { "firmware" },
    { "firmware-rom" },           { "numa" },
    { "microvm" },                { "aarch64-virt" },
    { "s390x" },                  { "ppc64-pseries" },
    { "riscv64-virt" },           { "bad-interface-bridge", TRUE },
    { "bad-interface-model", TRUE }, { "bad-graphics-spice", TRUE },
    { "bad-disk-block", TRUE },   { "bad-disk-native", TRUE },
    { "bad-serial-tcp", TRUE },   { "bad-channel-guestfwd", TRUE },
    { "bad-rng-egd", TRUE },      { "bad-usb-model", TRUE },
    { "bad-missing-device", TRUE }, { "bad-too-many-cpus", TRUE },
    { "bad-cpuset", TRUE },       { "bad-isapc-virtio", TRUE },
    { "bad-timezone", TRUE },
};

/* The emulator of these tests: it has every device but one. */
static const char *emulator_path = "/usr/bin/qemu-system-test";

gboolean
inv_emulator_has_device(const InvEmulator *emulator, const char *type)
{
    return strcmp(type, "bochs-display") != 0;
}

const char *
inv_emulator_path(const InvEmulator *emulator)
{
    return emulator_path;
}

static InvDomain *domain;
static char **argv;
static char *text;
static char *folder;
static GError *error;

static int
teardown(void **state)
{
    g_clear_pointer(&domain, inv_domain_free);
    g_clear_pointer(&argv, g_strfreev);
    g_clear_pointer(&text, g_free);
    g_clear_pointer(&folder, g_free);
    g_clear_error(&error);
    return 0;
}

static char *
data_path(const char *name, const char *suffix)
{
    return g_strdup_printf("%s/tests/data/command/%s%s", g_getenv("INVAR_TOP_SRCDIR"), name, suffix);
}

static void
compare_golden(const char *name, const char *suffix, const char *got)
{
    g_autofree char *path = data_path(name, suffix);
    g_autofree char *expected = NULL;

    if (g_getenv("INVAR_REGENERATE"))
        assert_true(g_file_set_contents(path, got, -1, NULL));
    assert_true(g_file_get_contents(path, &expected, NULL, NULL));
    assert_string_equal(got, expected);
}

static void
parse(const char *xml)
{
    domain = inv_domain_parse(xml, &error);
    if (!domain || !inv_domain_complete(domain, "x86_64", domain->os.machine, &error) || !inv_domain_validate(domain, &error))
        fail_msg("%s", error->message);
}

/* An option and its value on one line. */
static char *
format_arguments(char **arguments)
{
    GString *out = g_string_new(NULL);

    for (char **argument = arguments; *argument; argument++) {
        g_string_append(out, *argument);
        g_string_append_c(out, argument[0][0] == '-' && argument[1] && argument[1][0] != '-' ? ' ' : '\n');
    }
    return g_string_free(out, FALSE);
}

static void
definition_to_arguments(void **state)
{
    const BuildCase *row = *state;
    g_autofree char *path = data_path(row->name, ".xml");
    g_autofree char *xml = NULL;
    InvMachine machine = { .max_cpus = 288, .numa_mem_supported = FALSE };
    InvCommandContext context = { .machine = &machine, .cpu_argument = "qemu64", .monitor_fd = 5, .runtime_dir = "/run/guest" };

    assert_true(g_file_get_contents(path, &xml, NULL, NULL));
    parse(xml);
    machine.name = domain->os.machine;
    argv = inv_command_build(domain, &context, &error);
    if (row->refused) {
        assert_null(argv);
        assert_int_equal(inv_error_code(error), VIR_ERR_CONFIG_UNSUPPORTED);
        text = g_strdup_printf("%s\n", error->message);
        compare_golden(row->name, ".error", text);
        return;
    }
    if (!argv)
        fail_msg("%s", error->message);
    text = format_arguments(argv);
    compare_golden(row->name, ".args", text);
}

static void
aliases_are_the_ids(void **state)
{
    g_autofree char *path = data_path("q35-devices", ".xml");
    g_autofree char *xml = NULL;
    InvMachine machine = { 0 };
    InvCommandContext context = { .machine = &machine, .monitor_fd = 5, .runtime_dir = "/run/guest" };
    g_autofree char *before = NULL;

    assert_true(g_file_get_contents(path, &xml, NULL, NULL));
    parse(xml);
    machine.name = domain->os.machine;
    argv = inv_command_build(domain, &context, &error);
    before = format_arguments(argv);
    inv_command_assign_aliases(domain);
    for (guint i = 0; i < domain->devices->len; i++) {
        const InvDevice *device = g_ptr_array_index(domain->devices, i);

        assert_non_null(device->alias);
        if (device->type == INV_DEVICE_DISK) {
            g_autofree char *id = g_strdup_printf("\"id\":\"%s\"", device->alias);

            assert_non_null(strstr(before, id));
        }
    }
    /* Assigned aliases change nothing, and assigning again neither. */
    g_clear_pointer(&argv, g_strfreev);
    inv_command_assign_aliases(domain);
    argv = inv_command_build(domain, &context, &error);
    text = format_arguments(argv);
    assert_string_equal(text, before);
}

static void
incoming_guest_differs_by_one_option(void **state)
{
    g_autofree char *path = data_path("q35-minimal", ".xml");
    g_autofree char *args = data_path("q35-minimal", ".args");
    g_autofree char *xml = NULL;
    g_autofree char *expected = NULL;
    InvMachine machine = { .max_cpus = 288 };
    InvCommandContext context = {
        .machine = &machine, .cpu_argument = "qemu64", .monitor_fd = 5, .runtime_dir = "/run/guest", .incoming = "defer",
    };
    char *option;

    assert_true(g_file_get_contents(path, &xml, NULL, NULL));
    assert_true(g_file_get_contents(args, &expected, NULL, NULL));
    parse(xml);
    machine.name = domain->os.machine;
    argv = inv_command_build(domain, &context, &error);
    text = format_arguments(argv);
    option = strstr(text, "-incoming defer\n");
    assert_non_null(option);
    memmove(option, option + strlen("-incoming defer\n"), strlen(option) - strlen("-incoming defer\n") + 1);
    assert_string_equal(text, expected);
}

typedef struct {
    const char *name;
    const char *os;   /* children of <os> */
    const char *disk; /* attributes and source of a disk, or NULL */
    const char *message; /* NULL: all is well */
} HostCase;

/* @DIR@ holds good, folder/ and, for whom it is not meant, secret. */
static const HostCase host_cases[] = {
    { "all there", "<kernel>@DIR@/good</kernel><initrd>@DIR@/good</initrd>", "@DIR@/good", NULL },
    { "no kernel", "<kernel>@DIR@/none</kernel>", NULL, "the kernel '@DIR@/none': No such file" },
    { "no initrd", "<kernel>@DIR@/good</kernel><initrd>@DIR@/none</initrd>", NULL, "the initrd '@DIR@/none': No such file" },
    { "a folder for a kernel", "<kernel>@DIR@/folder</kernel>", NULL, "is a folder, not a regular file" },
    { "no loader", "<loader type='pflash' readonly='yes'>@DIR@/none</loader>", NULL, "the loader '@DIR@/none'" },
    { "no nvram", "<loader type='pflash' readonly='yes'>@DIR@/good</loader><nvram>@DIR@/none</nvram>", NULL, "the nvram '@DIR@/none'" },
    { "no image", "", "@DIR@/none", "disk 'vda': image '@DIR@/none': No such file" },
    { "a folder for an image", "", "@DIR@/folder", "is a folder, not a regular file" },
    { "a device for an image", "", "/dev/null", "is a special file, not a regular file" },
};

static char *
replace_dir(const char *in)
{
    GString *out = g_string_new(in);

    g_string_replace(out, "@DIR@", folder, 0);
    return g_string_free(out, FALSE);
}

static void
remove_files(void)
{
    g_autofree char *good = g_build_filename(folder, "good", NULL);
    g_autofree char *inner = g_build_filename(folder, "folder", NULL);

    g_unlink(good);
    g_rmdir(inner);
    g_rmdir(folder);
}

static void
host_files_are_looked_at(void **state)
{
    const HostCase *row = *state;
    g_autofree char *good = NULL;
    g_autofree char *inner = NULL;
    g_autofree char *xml = NULL;
    g_autofree char *disk = NULL;
    g_autofree char *whole = NULL;
    gboolean passed;

    folder = g_dir_make_tmp("invar-command-XXXXXX", NULL);
    good = g_build_filename(folder, "good", NULL);
    inner = g_build_filename(folder, "folder", NULL);
    assert_true(g_file_set_contents(good, "x", 1, NULL));
    assert_int_equal(g_mkdir(inner, 0700), 0);
    disk = row->disk ? g_strdup_printf("<disk type='file'><source file='%s'/><target dev='vda' bus='virtio'/></disk>", row->disk)
                     : g_strdup("");
    whole = g_strdup_printf("<domain type='qemu'><name>g</name><memory>65536</memory><os><type arch='x86_64' machine='pc-q35-7.2'>"
                            "hvm</type>%s</os><devices>%s</devices></domain>", row->os, disk);
    xml = replace_dir(whole);
    parse(xml);
    passed = inv_command_check_host(domain, &error);
    text = row->message ? replace_dir(row->message) : NULL;
    remove_files();
    assert_int_equal(passed, row->message == NULL);
    if (text && !strstr(error->message, text))
        fail_msg("'%s' does not say '%s'", error->message, text);
}

typedef struct {
    GMutex lock;
    GCond cond;
    gboolean done;
} Ended;

static void
on_ended(InvProcess *process, int status, gpointer user_data)
{
    Ended *ended = user_data;

    g_mutex_lock(&ended->lock);
    ended->done = TRUE;
    g_cond_signal(&ended->cond);
    g_mutex_unlock(&ended->lock);
}

static gboolean
wait_ended(Ended *ended)
{
    gint64 until = g_get_monotonic_time() + 20 * G_USEC_PER_SEC;
    gboolean done;

    g_mutex_lock(&ended->lock);
    while (!ended->done && g_cond_wait_until(&ended->cond, &ended->lock, until))
        ;
    done = ended->done;
    g_mutex_unlock(&ended->lock);
    return done;
}

typedef struct {
    const char *name;
    const char *machine;
    const char *devices;
} StartCase;

static const StartCase start_cases[] = {
    { "QEMU takes a q35 with devices", "pc-q35-7.2",
      "<disk type='file' device='disk'><driver name='qemu' type='raw' cache='none' discard='unmap'/><source file='@DIR@/good'/>"
      "<target dev='vda' bus='virtio'/><serial>S1</serial></disk>"
      "<disk type='file' device='cdrom'><target dev='sda' bus='sata'/></disk>"
      "<disk type='file' device='disk'><driver name='qemu' type='raw' cache='unsafe'/><source file='@DIR@/good'/>"
      "<target dev='sdb' bus='scsi'/><readonly/></disk>"
      "<interface type='user'><model type='virtio'/></interface><interface type='user'><model type='e1000e'/></interface>"
      "<serial type='pty'/><console type='pty'><target type='virtio'/></console>"
      "<channel type='unix'><source mode='bind'/><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"
      "<input type='tablet' bus='usb'/><input type='keyboard' bus='virtio'/><graphics type='vnc' autoport='yes' passwd='x'/>"
      "<video><model type='vga' vram='16384'/></video><video><model type='virtio' heads='2'/></video>"
      "<rng model='virtio'><rate bytes='1024' period='500'/><backend model='random'>/dev/urandom</backend></rng>" },
    { "QEMU takes an i440fx with devices", "pc-i440fx-7.2",
      "<disk type='file' device='disk'><source file='@DIR@/good'/><target dev='hda' bus='ide'/></disk>"
      "<disk type='file' device='cdrom'><target dev='hdc' bus='ide'/></disk>"
      "<disk type='file' device='floppy'><target dev='fda' bus='fdc'/></disk>"
      "<controller type='usb' index='0' model='ich9-ehci1'/><controller type='usb' index='0' model='ich9-uhci1'/>"
      "<controller type='usb' index='0' model='ich9-uhci2'/><controller type='usb' index='0' model='ich9-uhci3'/>"
      "<input type='tablet' bus='usb'/><interface type='user'/><serial type='null'/>"
      "<graphics type='vnc' autoport='yes' listen='127.0.0.1'/><video><model type='cirrus'/></video>" },
    { "QEMU takes a microvm with devices", "microvm",
      "<disk type='file' device='disk'><source file='@DIR@/good'/><target dev='vda' bus='virtio'/></disk>"
      "<interface type='user'><model type='virtio'/></interface><serial type='pty'/>" },
    { "QEMU takes awkward names", "pc-q35-7.2",
      "<serial type='file'><source path='@DIR@/a,b=c.log'/></serial>" },
};

static void
read_greeting(const char *monitor, const char *log)
{
    inv_autofd int fd = inv_unix_connect(monitor, &error);
    char greeting[256] = "";
    struct pollfd item = { .fd = fd, .events = POLLIN };

    assert_true(fd >= 0);
    if (poll(&item, 1, 60000) != 1 || read(fd, greeting, sizeof(greeting) - 1) <= 0 || !strstr(greeting, "\"QMP\"")) {
        g_autofree char *tail = inv_process_log_tail(log, 0, 2000);

        fail_msg("no greeting: %s", tail);
    }
}

static void
run_qemu(const StartCase *row, InvIoThread *io, const char *monitor, const char *log, Ended *ended)
{
    g_autofree char *devices = replace_dir(row->devices);
    g_autofree char *xml =
        g_strdup_printf("<domain type='qemu'><name>a,b=c \"d\" 'e'</name><memory>131072</memory><vcpu current='1'>2</vcpu>"
                        "<os><type arch='x86_64' machine='%s'>hvm</type></os><features><acpi/></features>"
                        "<devices>%s</devices></domain>", row->machine, devices);
    InvMachine machine = { .name = (char *)row->machine };
    InvCommandContext context = { .machine = &machine, .runtime_dir = folder };
    inv_autofd int listener = inv_unix_listen(monitor, 0600, &error);
    InvProcessSpec spec = { .inherit_fds = &listener, .n_inherit_fds = 1, .log_path = log, .uid = (uid_t)-1, .gid = (gid_t)-1 };
    g_autoptr(InvProcess) process = NULL;
    pid_t pid;

    context.monitor_fd = listener;
    parse(xml);
    argv = inv_command_build(domain, &context, &error);
    if (!argv)
        fail_msg("%s", error->message);
    spec.argv = (const char *const *)argv;
    process = inv_process_spawn(io, &spec, on_ended, ended, &error);
    if (!process)
        fail_msg("%s", error->message);
    pid = inv_process_pid(process);
    inv_fd_close(&listener);
    read_greeting(monitor, log);
    assert_true(inv_process_is_alive(process));
    assert_true(inv_process_kill(process, 5000, &error));
    assert_true(wait_ended(ended));
    assert_int_equal(kill(pid, 0), -1);
}

/* The real QEMU, as far as its monitor's greeting: by then it has made every device. */
static void
qemu_takes_it(void **state)
{
    const StartCase *row = *state;
    InvIoThread *io = inv_io_thread_new();
    g_autofree char *image = NULL;
    g_autofree char *monitor = NULL;
    g_autofree char *log = NULL;
    Ended ended = { 0 };
    g_autoptr(GDir) dir = NULL;
    const char *entry;

    folder = g_dir_make_tmp("invar-command-XXXXXX", NULL);
    image = g_build_filename(folder, "good", NULL);
    monitor = g_build_filename(folder, "monitor", NULL);
    log = g_build_filename(folder, "log", NULL);
    assert_true(g_file_set_contents(image, "", 0, NULL));
    assert_int_equal(truncate(image, 1440 * 1024), 0);
    emulator_path = QEMU;
    run_qemu(row, io, monitor, log, &ended);
    emulator_path = "/usr/bin/qemu-system-test";
    inv_io_thread_free(io);
    dir = g_dir_open(folder, 0, NULL);
    while ((entry = g_dir_read_name(dir))) {
        g_autofree char *file = g_build_filename(folder, entry, NULL);

        g_unlink(file);
    }
    assert_int_equal(g_rmdir(folder), 0);
}

int
main(void)
{
    struct CMUnitTest tests[1 + G_N_ELEMENTS(build_cases) + G_N_ELEMENTS(host_cases) + G_N_ELEMENTS(start_cases)] = {
        cmocka_unit_test_teardown(aliases_are_the_ids, teardown),
        cmocka_unit_test_teardown(incoming_guest_differs_by_one_option, teardown),
    };
    gsize n = 1;

    for (gsize i = 0; i < G_N_ELEMENTS(build_cases); i++)
        tests[n++] = (struct CMUnitTest){ build_cases[i].name, definition_to_arguments, NULL, teardown,
                                          (void *)&build_cases[i] };
    for (gsize i = 0; i < G_N_ELEMENTS(host_cases); i++)
        tests[n++] = (struct CMUnitTest){ host_cases[i].name, host_files_are_looked_at, NULL, teardown, (void *)&host_cases[i] };
    /* Without the binary there are no such tests. */
    for (gsize i = 0; i < G_N_ELEMENTS(start_cases) && g_file_test(QEMU, G_FILE_TEST_IS_EXECUTABLE); i++)
        tests[n++] = (struct CMUnitTest){ start_cases[i].name, qemu_takes_it, NULL, teardown, (void *)&start_cases[i] };
    return _cmocka_run_group_tests("command", tests, n, NULL, NULL);
}
