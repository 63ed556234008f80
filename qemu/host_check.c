/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/host_check.h"

#include "qemu/kvm.h"
#include "util/fd.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* A line per flag and processor: a host with a thousand of them has 2 MB. */
#define CPUINFO_LIMIT (32u * 1024 * 1024)
#define SMALL_LIMIT (64u * 1024)

typedef struct {
    const char *root, *machine;
    const char *const *search;
    char *cpuinfo; /* or NULL */
    GPtrArray *checks;
} Host;

const char *
inv_check_result_to_string(InvCheckResult result)
{
    switch (result) {
    case INV_CHECK_PASS:
        return "PASS";
    case INV_CHECK_NOTE:
        return "NOTE";
    case INV_CHECK_WARN:
        return "WARN";
    case INV_CHECK_FAIL:
        return "FAIL";
    }
    return "FAIL";
}

static void
check_free(gpointer data)
{
    InvHostCheck *check = data;

    g_free(check->name);
    g_free(check->detail);
    g_free(check->remedy);
    g_free(check);
}

static void
add(Host *host, InvCheckResult result, const char *name, const char *detail, const char *remedy)
{
    InvHostCheck *check = g_new0(InvHostCheck, 1);

    check->name = g_strdup(name);
    check->result = result;
    check->detail = g_strdup(detail);
    check->remedy = result == INV_CHECK_PASS ? NULL : g_strdup(remedy);
    g_ptr_array_add(host->checks, check);
}

static char *
read_text(const Host *host, const char *path, gsize limit)
{
    g_autofree char *whole = g_strconcat(host->root, path, NULL);
    char *text = NULL;

    return inv_file_read(whole, limit, &text, NULL, NULL) ? g_strchomp(text) : NULL;
}

static gboolean
is_x86(const Host *host)
{
    return strcmp(host->machine, "x86_64") == 0 || (*host->machine == 'i' && g_str_has_suffix(host->machine, "86"));
}

/* Is @word one of the words of the first line of /proc/cpuinfo with this name? */
static gboolean
cpuinfo_has(const Host *host, const char *field, const char *word)
{
    const char *line = host->cpuinfo ? strstr(host->cpuinfo, field) : NULL;
    g_autofree char *words = NULL;
    g_auto(GStrv) list = NULL;

    if (!line)
        return FALSE;
    words = g_strndup(line, strcspn(line, "\n"));
    list = g_strsplit_set(words, " \t:", -1);
    return g_strv_contains((const char *const *)list, word);
}

static void
check_virtualization(Host *host)
{
    static const char *const name = "hardware virtualization";
    g_autofree char *kvm = g_strconcat(host->root, "/dev/kvm", NULL);

    /* There are kernels that need no such bit (pKVM, PVM): what works, works. */
    if (inv_kvm_state_of(kvm, NULL) == INV_KVM_WORKS) {
        add(host, INV_CHECK_PASS, name, NULL, NULL);
    } else if (is_x86(host)) {
        gboolean there = cpuinfo_has(host, "flags", "vmx") || cpuinfo_has(host, "flags", "svm");
        gboolean guest = cpuinfo_has(host, "flags", "hypervisor");

        add(host, there ? INV_CHECK_PASS : INV_CHECK_WARN, name, there ? NULL : "the processor shows neither vmx nor svm",
            guest ? "this host is a guest itself: let its hypervisor pass vmx or svm on (nested virtualization)"
                  : "switch VT-x or AMD-V on in the firmware's setup");
    } else if (strcmp(host->machine, "s390x") == 0) {
        gboolean there = cpuinfo_has(host, "features", "sie");

        add(host, there ? INV_CHECK_PASS : INV_CHECK_WARN, name, there ? NULL : "the processor shows no sie", "run in an LPAR, or let z/VM pass SIE on");
    }
}

static void
check_kvm(Host *host)
{
    g_autofree char *path = g_strconcat(host->root, "/dev/kvm", NULL);
    g_autofree char *reason = NULL;
    const char *remedy = NULL;
    InvCheckResult result = INV_CHECK_FAIL;

    switch (inv_kvm_state_of(path, &reason)) {
    case INV_KVM_WORKS:
        result = INV_CHECK_PASS;
        break;
    case INV_KVM_ABSENT:
        remedy = is_x86(host) ? "load the kernel's module kvm_intel or kvm_amd; without KVM guests are emulated (TCG)"
                              : "load the kernel's KVM module; without KVM guests are emulated (TCG)";
        break;
    case INV_KVM_FORBIDDEN:
        remedy = "add the user to the group that owns the device (kvm), or let the system's daemon start the guests";
        break;
    case INV_KVM_BROKEN:
        remedy = "see the kernel's log (dmesg); inside of a container or guest, ask whoever runs it; guests are emulated (TCG) meanwhile";
        break;
    }
    add(host, result, "device /dev/kvm", reason, remedy);
}

static void
check_nested(Host *host)
{
    static const char *const modules[] = { "kvm_intel", "kvm_amd" };

    for (guint i = 0; i < G_N_ELEMENTS(modules); i++) {
        g_autofree char *path = g_strdup_printf("/sys/module/%s/parameters/nested", modules[i]);
        g_autofree char *value = read_text(host, path, SMALL_LIMIT);
        g_autofree char *remedy = g_strdup_printf("load %s with nested=1 for guests that are hypervisors", modules[i]);
        gboolean on = value && (*value == '1' || *value == 'Y');

        if (value)
            add(host, on ? INV_CHECK_PASS : INV_CHECK_NOTE, "nested virtualization", on ? NULL : "guests get no vmx or svm", remedy);
    }
}

static void
check_device(Host *host, const char *path, InvCheckResult otherwise, const char *purpose, const char *remedy)
{
    g_autofree char *whole = g_strconcat(host->root, path, NULL);
    g_autofree char *name = g_strconcat("device ", path, NULL);
    g_autofree char *detail = NULL;
    gboolean there = access(whole, F_OK) == 0;

    if (there && access(whole, R_OK | W_OK) == 0) {
        add(host, INV_CHECK_PASS, name, NULL, NULL);
        return;
    }
    detail = there ? g_strdup_printf("it is there and this user may not open it; it serves %s", purpose)
                   : g_strdup_printf("it is not there; it serves %s", purpose);
    add(host, otherwise, name, detail, there ? "look at it as root: the daemon may have the right" : remedy);
}

static void
check_cgroups(Host *host)
{
    static const char *const wanted[] = { "cpu", "cpuset", "io", "memory", "pids" };
    g_autofree char *text = read_text(host, "/sys/fs/cgroup/cgroup.controllers", SMALL_LIMIT);
    g_auto(GStrv) there = text ? g_strsplit(text, " ", -1) : NULL;
    g_autoptr(GString) missing = g_string_new(NULL);

    if (!there) {
        add(host, INV_CHECK_WARN, "cgroup v2", "/sys/fs/cgroup is not cgroup v2",
            "boot with systemd.unified_cgroup_hierarchy=1, to hold guests to their share of the host");
        return;
    }
    for (guint i = 0; i < G_N_ELEMENTS(wanted); i++) {
        if (!g_strv_contains((const char *const *)there, wanted[i]))
            g_string_append_printf(missing, "%s%s", missing->len ? ", " : "controllers that are missing: ", wanted[i]);
    }
    add(host, missing->len ? INV_CHECK_WARN : INV_CHECK_PASS, "cgroup v2", missing->len ? missing->str : NULL,
        "switch them on in the kernel's configuration or on its command line (cgroup_enable=)");
}

static gboolean
folder_has_entries(const Host *host, const char *path)
{
    g_autofree char *whole = g_strconcat(host->root, path, NULL);
    g_autoptr(GDir) dir = g_dir_open(whole, 0, NULL);

    return dir && g_dir_read_name(dir);
}

static void
check_iommu(Host *host)
{
    gboolean on = folder_has_entries(host, "/sys/kernel/iommu_groups");

    add(host, on ? INV_CHECK_PASS : INV_CHECK_NOTE, "IOMMU", on ? NULL : "no device of the host can be given to a guest",
        is_x86(host) ? "switch VT-d or AMD-Vi on in the firmware's setup, and boot with intel_iommu=on on Intel"
                     : "switch it on in the firmware's setup");
}

/* The values that the processors have for a line of /proc/cpuinfo, as a set. */
static GHashTable *
values_of(const Host *host, const char *field)
{
    GHashTable *values = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    gsize length = strlen(field);

    for (const char *line = host->cpuinfo; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        const char *rest = line + length;

        if (strncmp(line, field, length) == 0 && rest[strspn(rest, " \t")] == ':')
            g_hash_table_add(values, g_strndup(rest, strcspn(rest, "\n")));
    }
    return values;
}

/* A guest's CPU is decided by the processor that QEMU happens to ask: all must be alike. */
static void
check_alike(Host *host)
{
    static const struct {
        const char *field, *detail, *remedy;
    } fields[] = {
        { "flags", "the host's processors differ in their features (a hybrid processor?)",
          "pin QEMU to one kind of processors (<vcpu cpuset=…>), and take a model that all of them have" },
        { "Features", "the host's processors differ in their features (big.LITTLE?)", "pin QEMU to one kind of processors (<vcpu cpuset=…>)" },
        { "microcode", "the host's processors run different microcode", "update the microcode and reboot" },
        { "model name", "the host has processors of different kinds", "pin QEMU to one kind of processors (<vcpu cpuset=…>)" },
    };
    gboolean looked = FALSE, alike = TRUE;

    for (guint i = 0; i < G_N_ELEMENTS(fields); i++) {
        g_autoptr(GHashTable) values = values_of(host, fields[i].field);

        looked = looked || g_hash_table_size(values) > 0;
        if (g_hash_table_size(values) <= 1)
            continue;
        alike = FALSE;
        add(host, INV_CHECK_WARN, "processors are alike", fields[i].detail, fields[i].remedy);
    }
    if (looked && alike)
        add(host, INV_CHECK_PASS, "processors are alike", NULL, NULL);
}

static void
check_emulator(Host *host)
{
    const char *target = *host->machine == 'i' && is_x86(host) ? "i386" : host->machine;
    g_autofree char *binary = g_strconcat("qemu-system-", target, NULL);
    g_autofree char *name = g_strconcat("emulator ", binary, NULL);
    g_autofree char *remedy = NULL;

    for (const char *const *folder = host->search; *folder; folder++) {
        g_autofree char *path = g_build_filename(*folder, binary, NULL);

        if (g_file_test(path, G_FILE_TEST_IS_EXECUTABLE) && !g_file_test(path, G_FILE_TEST_IS_DIR)) {
            add(host, INV_CHECK_PASS, name, path, NULL);
            return;
        }
    }
    remedy = g_strdup_printf("install a package that has it (on Debian: qemu-system-%s)",
                             is_x86(host) ? "x86" : strcmp(host->machine, "aarch64") == 0 ? "arm" : "misc");
    add(host, INV_CHECK_FAIL, name, "it is not in the search path", remedy);
}

static void
check_sev(Host *host)
{
    if (cpuinfo_has(host, "flags", "sev"))
        check_device(host, "/dev/sev", INV_CHECK_NOTE, "guests with encrypted memory", "load the kernel's module ccp, and kvm_amd with sev=1");
}

GPtrArray *
inv_host_checks(const char *root, const char *machine, const char *const *search)
{
    g_auto(GStrv) path = search ? NULL : g_strsplit(g_getenv("PATH") ?: "/usr/bin", G_SEARCHPATH_SEPARATOR_S, -1);
    Host host = { .root = root, .machine = machine, .search = search ? search : (const char *const *)path };
    g_autofree char *cpuinfo = NULL;

    host.checks = g_ptr_array_new_with_free_func(check_free);
    host.cpuinfo = cpuinfo = read_text(&host, "/proc/cpuinfo", CPUINFO_LIMIT);
    check_virtualization(&host);
    check_kvm(&host);
    check_emulator(&host);
    check_alike(&host);
    check_nested(&host);
    check_device(&host, "/dev/vhost-net", INV_CHECK_WARN, "fast networking of guests", "load the kernel's module vhost_net");
    check_device(&host, "/dev/net/tun", INV_CHECK_WARN, "the network interfaces of guests", "load the kernel's module tun");
    check_cgroups(&host);
    check_iommu(&host);
    check_sev(&host);
    return host.checks;
}
