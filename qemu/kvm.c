/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/kvm.h"

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "qemu/host_root.h"
#include "util/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define KVM_DEVICE "/dev/kvm"
/* The only version that was ever released; KVM's documentation tells to refuse any other. */
#define KVM_API_VERSION_WANTED 12
#define PARAMETER_LIMIT 256u
#define MODULES "/sys/module"
/* Absent in guests, whose microcode is none of theirs. */
#define MICROCODE_VERSION "/sys/devices/system/cpu/cpu0/microcode/version"
#define CPUINFO_LIMIT (64u * 1024)

/* What the answer for a device file depends on, as far as stat() can tell. */
typedef struct {
    dev_t dev, rdev;
    ino_t ino;
    mode_t mode;
    uid_t uid;
    gid_t gid;
    gint64 change_ns;
} Identity;

typedef struct {
    Identity identity;
    InvKvmState state;
    char *reason;
} Answer;

static GMutex answers_lock;
static GHashTable *answers; /* path → Answer; guarded by answers_lock. A few device files at most */

static void
answer_free(gpointer data)
{
    Answer *answer = data;

    g_free(answer->reason);
    g_free(answer);
}

static void G_GNUC_PRINTF(3, 4)
set_answer(Answer *answer, InvKvmState state, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    answer->state = state;
    answer->reason = g_strdup_vprintf(format, args);
    va_end(args);
}

static void
ask_kernel(const char *path, mode_t mode, Answer *answer)
{
    inv_autofd int fd = -1;
    inv_autofd int vm = -1;
    int version;

    if (!S_ISCHR(mode)) {
        set_answer(answer, INV_KVM_BROKEN, "%s is not a device", path);
        return;
    }
    fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        InvKvmState state = errno == EACCES || errno == EPERM ? INV_KVM_FORBIDDEN
            : errno == ENOENT || errno == ENODEV || errno == ENXIO ? INV_KVM_ABSENT : INV_KVM_BROKEN;

        set_answer(answer, state, "%s cannot be opened: %s%s", path, g_strerror(errno),
                   state == INV_KVM_FORBIDDEN ? " (the user must belong to the group that owns it)" : "");
        return;
    }
    version = ioctl(fd, KVM_GET_API_VERSION, 0);
    if (version != KVM_API_VERSION_WANTED) {
        if (version < 0)
            set_answer(answer, INV_KVM_BROKEN, "%s opens but does not answer as KVM: %s", path, g_strerror(errno));
        else
            set_answer(answer, INV_KVM_BROKEN, "%s speaks version %d of KVM's interface, not %d", path, version, KVM_API_VERSION_WANTED);
        return;
    }
    vm = ioctl(fd, KVM_CREATE_VM, 0);
    if (vm < 0)
        set_answer(answer, INV_KVM_BROKEN, "%s opens but cannot create a virtual machine: %s", path, g_strerror(errno));
    else
        set_answer(answer, INV_KVM_WORKS, "%s can create virtual machines", path);
}

static Identity
identity_of(const struct stat *info)
{
    return (Identity){
        .dev = info->st_dev,
        .rdev = info->st_rdev,
        .ino = info->st_ino,
        .mode = info->st_mode,
        .uid = info->st_uid,
        .gid = info->st_gid,
        .change_ns = (gint64)info->st_ctim.tv_sec * G_GINT64_CONSTANT(1000000000) + info->st_ctim.tv_nsec,
    };
}

static gboolean
identity_equal(const Identity *a, const Identity *b)
{
    return a->dev == b->dev && a->rdev == b->rdev && a->ino == b->ino && a->mode == b->mode && a->uid == b->uid &&
        a->gid == b->gid && a->change_ns == b->change_ns;
}

InvKvmState
inv_kvm_state_of(const char *path, char **reason)
{
    struct stat info;
    Identity identity;
    Answer *answer;
    InvKvmState state;

    if (stat(path, &info) < 0) {
        int failure = errno;

        if (reason && failure == ENOENT)
            *reason = g_strdup_printf("there is no %s (no KVM in this kernel, or its module is not loaded)", path);
        else if (reason)
            *reason = g_strdup_printf("%s cannot be looked at: %s", path, g_strerror(failure));
        return failure == EACCES ? INV_KVM_FORBIDDEN : INV_KVM_ABSENT;
    }
    identity = identity_of(&info);
    g_mutex_lock(&answers_lock);
    if (!answers)
        answers = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, answer_free);
    answer = g_hash_table_lookup(answers, path);
    if (!answer || !identity_equal(&answer->identity, &identity)) {
        answer = g_new0(Answer, 1);
        answer->identity = identity;
        ask_kernel(path, info.st_mode, answer);
        g_hash_table_insert(answers, g_strdup(path), answer);
    }
    state = answer->state;
    if (reason)
        *reason = g_strdup(answer->reason);
    g_mutex_unlock(&answers_lock);
    return state;
}

InvKvmState
inv_kvm_state(char **reason)
{
    g_autofree char *device = inv_root_path(KVM_DEVICE);

#ifdef INV_FAULT_POINTS
    /* Tests of what is decided on a host with KVM, with a QEMU that only plays its part. */
    if (g_getenv("INVAR_ASSUME_KVM") && (!inv_root_is_elsewhere() || access(device, R_OK | W_OK) == 0)) {
        if (reason)
            *reason = g_strdup("a test has it so");
        return INV_KVM_WORKS;
    }
#endif
    return inv_kvm_state_of(device, reason);
}

const char *
inv_kvm_state_to_string(InvKvmState state)
{
    switch (state) {
    case INV_KVM_WORKS:
        return "works";
    case INV_KVM_ABSENT:
        return "absent";
    case INV_KVM_FORBIDDEN:
        return "forbidden";
    case INV_KVM_BROKEN:
        return "broken";
    }
    return "unknown";
}

static int
compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* "kvm_intel.nested=Y", … */
static void
add_parameters(GPtrArray *words, const char *module)
{
    g_autofree char *modules = inv_root_path(MODULES);
    g_autofree char *folder = g_build_filename(modules, module, "parameters", NULL);
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    const char *entry;

    if (!dir)
        return;
    while ((entry = g_dir_read_name(dir)))
        g_ptr_array_add(names, g_strdup(entry));
    g_ptr_array_sort(names, compare_names);
    for (guint i = 0; i < names->len; i++) {
        const char *name = g_ptr_array_index(names, i);
        g_autofree char *path = g_build_filename(folder, name, NULL);
        g_autofree char *value = NULL;

        if (inv_file_read(path, PARAMETER_LIMIT, &value, NULL, NULL))
            g_ptr_array_add(words, g_strdup_printf("%s.%s=%s", module, name, g_strstrip(value)));
    }
}

/* kvm, kvm_intel, kvm_amd, kvm_hv, …: whatever modules this kernel's KVM is made of, those loaded later included. Owned. */
static GPtrArray *
list_modules(void)
{
    g_autofree char *modules = inv_root_path(MODULES);
    g_autoptr(GDir) dir = g_dir_open(modules, 0, NULL);
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    const char *entry;

    while (dir && (entry = g_dir_read_name(dir))) {
        if (strcmp(entry, "kvm") == 0 || g_str_has_prefix(entry, "kvm_"))
            g_ptr_array_add(names, g_strdup(entry));
    }
    g_ptr_array_sort(names, compare_names);
    return names;
}

char **
inv_kvm_parameters(void)
{
    g_autoptr(GPtrArray) modules = list_modules();
    GPtrArray *words = g_ptr_array_new();

    for (guint i = 0; i < modules->len; i++)
        add_parameters(words, g_ptr_array_index(modules, i));
    g_ptr_array_add(words, NULL);
    return (char **)g_ptr_array_free(words, FALSE);
}

static void
watch_module(InvFreshness *freshness, const char *module)
{
    g_autofree char *modules = inv_root_path(MODULES);
    g_autofree char *loaded = g_build_filename(modules, module, NULL);
    g_autofree char *folder = g_build_filename(loaded, "parameters", NULL);
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *entry;

    inv_freshness_watch(freshness, loaded);
    while (dir && (entry = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename(folder, entry, NULL);
        struct stat info;

        /* The others keep their value for as long as the module is loaded. */
        if (stat(path, &info) == 0 && (info.st_mode & (S_IWUSR | S_IWGRP | S_IWOTH)))
            inv_freshness_watch_text(freshness, path);
    }
}

void
inv_kvm_watch(InvFreshness *freshness, gboolean kvm)
{
    g_autofree char *microcode = inv_root_path(MICROCODE_VERSION);

    if (access(microcode, F_OK) == 0)
        inv_freshness_watch_text(freshness, microcode);
    if (kvm) {
        g_autofree char *device = inv_root_path(KVM_DEVICE);
        g_autofree char *folder = inv_root_path(MODULES);
        g_autoptr(GPtrArray) modules = NULL;

        inv_freshness_watch(freshness, device);
        /* Its count of links tells that a module came or went. */
        inv_freshness_watch(freshness, folder);
        modules = list_modules();
        for (guint i = 0; i < modules->len; i++)
            watch_module(freshness, g_ptr_array_index(modules, i));
    }
}

static char *
make_kvm_fingerprint(void)
{
    g_auto(GStrv) words = inv_kvm_parameters();
    g_autofree char *parameters = g_strjoinv(" ", words);
    g_autofree char *hash = g_compute_checksum_for_string(G_CHECKSUM_SHA256, parameters, -1);
    g_autofree char *release = inv_root_kernel_release();

    return g_strdup_printf("kvm %s kernel %s parameters %.16s", inv_kvm_state_to_string(inv_kvm_state(NULL)), release, hash);
}

/* The first processor's lines: /proc/cpuinfo of a large host is slow to read whole, and the others repeat them. */
static char *
read_first_processor(void)
{
    g_autofree char *path = inv_root_path("/proc/cpuinfo");
    inv_autofd int fd = open(path, O_RDONLY | O_CLOEXEC);
    g_autofree char *text = g_malloc0(CPUINFO_LIMIT + 1);
    gsize length = 0;
    char *end = NULL;

    while (fd >= 0 && length < CPUINFO_LIMIT && !end) {
        ssize_t got = read(fd, text + length, CPUINFO_LIMIT - length);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        length += (gsize)got;
        end = strstr(text, "\n\n");
    }
    if (end)
        *end = '\0';
    return g_steal_pointer(&text);
}

/* Fields that change while the processor stays the same. */
static gboolean
is_volatile(const char *name)
{
    static const char *const names[] = { "processor", "cpu MHz", "bogomips", "BogoMIPS", "apicid", "initial apicid", "core id",
                                         "physical id", "siblings", "cpu cores", "clock", "timebase" };

    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        if (strcmp(name, names[i]) == 0)
            return TRUE;
    }
    return FALSE;
}

static char *
make_host_cpu_fingerprint(void)
{
    static const char *const shown[] = { "vendor_id", "cpu family", "model", "stepping", "microcode" };
    g_autofree char *text = read_first_processor();
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    g_autoptr(GString) rest = g_string_new(NULL);
    g_autoptr(GString) result = g_string_new("cpu");
    g_autofree char *hash = NULL;

    for (char **line = lines; *line; line++) {
        char *colon = strchr(*line, ':');
        const char *value = colon ? g_strstrip(colon + 1) : "";

        if (colon)
            *colon = '\0';
        g_strchomp(*line);
        if (g_strv_contains((const char *const[]){ shown[0], shown[1], shown[2], shown[3], shown[4], NULL }, *line))
            g_string_append_printf(result, " %s", value);
        else if (!is_volatile(*line))
            g_string_append_printf(rest, "%s=%s\n", *line, value);
    }
    hash = g_compute_checksum_for_string(G_CHECKSUM_SHA256, rest->str, (gssize)rest->len);
    g_string_append_printf(result, " %.16s", hash);
    return g_string_free(g_steal_pointer(&result), FALSE);
}

/* Each is read from many files, and wanted by every question to an emulator. */
typedef struct {
    GMutex lock;
    InvFreshness *freshness; /* guarded by lock; NULL: not made yet */
    char *text;              /* guarded by lock */
} Fingerprint;

static char *
fingerprint_get(Fingerprint *fingerprint, gboolean kvm, char *(*make)(void))
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&fingerprint->lock);

    if (!fingerprint->freshness || !inv_freshness_holds(fingerprint->freshness)) {
        inv_freshness_free(fingerprint->freshness);
        g_free(fingerprint->text);
        /* First what is watched: what changes meanwhile is seen the next time. */
        fingerprint->freshness = inv_freshness_new();
        inv_kvm_watch(fingerprint->freshness, kvm);
        fingerprint->text = make();
    }
    return g_strdup(fingerprint->text);
}

char *
inv_kvm_fingerprint(void)
{
    static Fingerprint fingerprint;

    return fingerprint_get(&fingerprint, TRUE, make_kvm_fingerprint);
}

char *
inv_host_cpu_fingerprint(void)
{
    static Fingerprint fingerprint;

    return fingerprint_get(&fingerprint, FALSE, make_host_cpu_fingerprint);
}
