/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "qemu/kvm_cpu.h"

#include "cpu_driver/decode.h"
#include "qemu/host_root.h"
#include "qemu/kvm.h"
#include "util/error.h"
#include "util/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>

#define KVM_DEVICE "/dev/kvm"
#define LEAF1_ECX_HYPERVISOR (1u << 31)
#define BOOT_OPTIONS "/proc/cmdline"
#define BOOT_OPTIONS_LIMIT (64u * 1024)

#if defined(__x86_64__) || defined(__i386__)

/* The kernel's own limit was 80 entries for years and is 256 now; it says E2BIG when there is no room. */
#define FIRST_ENTRIES 128u
#define MAX_ENTRIES INV_CPUID_MAX_LEAVES

static gboolean
add_entries(InvCpuidData *data, const struct kvm_cpuid2 *list, GError **error)
{
    for (guint i = 0; i < list->nent; i++) {
        const struct kvm_cpuid_entry2 *entry = &list->entries[i];
        const InvCpuidLeaf leaf = {
            .leaf = entry->function,
            .subleaf = entry->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX ? entry->index : 0,
            .regs = { entry->eax, entry->ebx, entry->ecx, entry->edx },
        };

        if (!inv_cpuid_data_add(data, &leaf, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean
read_cpuid(int fd, const char *path, InvCpuidData *data, GError **error)
{
    for (guint room = FIRST_ENTRIES; room <= MAX_ENTRIES; room *= 2) {
        g_autofree struct kvm_cpuid2 *list = g_malloc0(sizeof(*list) + room * sizeof(list->entries[0]));

        list->nent = room;
        if (ioctl(fd, KVM_GET_SUPPORTED_CPUID, list) == 0)
            return list->nent <= room && add_entries(data, list, error);
        if (errno != E2BIG)
            return inv_error_set(error, VIR_ERR_OPERATION_UNSUPPORTED, "%s does not say which CPUID it offers: %s", path, g_strerror(errno));
    }
    return inv_error_set(error, VIR_ERR_OPERATION_UNSUPPORTED, "%s offers more than %u CPUID leaves", path, MAX_ENTRIES);
}

static void
read_msr(int fd, guint32 index, InvCpuidData *data)
{
    g_autofree struct kvm_msrs *one = g_malloc0(sizeof(*one) + sizeof(one->entries[0]));

    one->nmsrs = 1;
    one->entries[0].index = index;
    /* One at a time: the kernel stops at the first that it does not give, and the others are still wanted. */
    if (ioctl(fd, KVM_GET_MSRS, one) == 1)
        inv_cpuid_data_add_msr(data, index, one->entries[0].data, NULL);
}

/* Kernels before 4.18 have no list; what there is of CPUID counts all the same. */
static void
read_msrs(int fd, InvCpuidData *data)
{
    struct kvm_msr_list ask = { .nmsrs = 0 };
    g_autofree struct kvm_msr_list *list = NULL;

    /* With no room the kernel fails with E2BIG and says how many there are. */
    if (ioctl(fd, KVM_GET_MSR_FEATURE_INDEX_LIST, &ask) == 0 || errno != E2BIG || ask.nmsrs > INV_CPUID_MAX_MSRS)
        return;
    list = g_malloc0(sizeof(*list) + ask.nmsrs * sizeof(list->indices[0]));
    list->nmsrs = ask.nmsrs;
    if (ioctl(fd, KVM_GET_MSR_FEATURE_INDEX_LIST, list) < 0)
        return;
    for (guint i = 0; i < MIN(list->nmsrs, ask.nmsrs); i++)
        read_msr(fd, list->indices[i], data);
}

InvCpuidData *
inv_kvm_cpuid_data_of(const char *path, GError **error)
{
    g_autoptr(InvCpuidData) data = inv_cpuid_data_new();
    inv_autofd int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0) {
        inv_error_set(error, VIR_ERR_OPERATION_UNSUPPORTED, "%s cannot be opened: %s", path, g_strerror(errno));
        return NULL;
    }
    if (!read_cpuid(fd, path, data, error))
        return NULL;
    read_msrs(fd, data);
    return g_steal_pointer(&data);
}

#else

InvCpuidData *
inv_kvm_cpuid_data_of(const char *path, GError **error)
{
    inv_error_set(error, VIR_ERR_OPERATION_UNSUPPORTED, "KVM tells its CPU in this way on x86 only");
    return NULL;
}

#endif

#ifdef INV_FAULT_POINTS
InvCpuidData *
inv_cpuid_data_replayed(const char *variable, GError **error)
{
    const char *path = g_getenv(variable);
    g_autofree char *text = NULL;
    gsize length = 0;

    if (!path || !g_file_get_contents(path, &text, &length, error))
        return NULL;
    return inv_cpuid_data_parse(text, length, error);
}
#endif

InvCpuidData *
inv_kvm_cpuid_data(GError **error)
{
#ifdef INV_FAULT_POINTS
    if (g_getenv("INVAR_KVM_CPUID"))
        return inv_cpuid_data_replayed("INVAR_KVM_CPUID", error);
#endif
    return inv_kvm_cpuid_data_of(KVM_DEVICE, error);
}

/* FALSE: it is not known, or a hypervisor chose it. */
static gboolean
identify(InvCpuSeen *seen)
{
    g_autoptr(InvCpuidData) data = NULL;
    const InvCpuidLeaf *leaf;

#ifdef INV_FAULT_POINTS
    data = inv_cpuid_data_replayed("INVAR_HOST_CPUID", NULL);
#endif
    if (!data)
        data = inv_cpuid_data_of_this_machine();
    leaf = data ? inv_cpuid_data_leaf(data, 1, 0) : NULL;
    return leaf && !(leaf->regs[INV_CPU_REGISTER_ECX] & LEAF1_ECX_HYPERVISOR) && inv_cpu_seen_identify(data, seen, NULL);
}

struct InvKvmSettings {
    InvCpuHostSettings settings; /* borrows the rest */
    char **parameters;
    char *release, *cmdline;
    InvCpuSeen *seen;
    InvCpuSignature chip;
};

InvKvmSettings *
inv_kvm_settings_new(void)
{
    InvKvmSettings *own = g_new0(InvKvmSettings, 1);
    g_autofree char *path = inv_root_path(BOOT_OPTIONS);

    own->parameters = inv_kvm_parameters();
    own->release = inv_root_kernel_release();
    /* What cannot be read is not known. */
    if (!inv_file_read(path, BOOT_OPTIONS_LIMIT, &own->cmdline, NULL, NULL))
        own->cmdline = NULL;
    own->seen = g_new0(InvCpuSeen, 1);
    if (identify(own->seen))
        own->chip = (InvCpuSignature){ own->seen->vendor, own->seen->family, own->seen->model_number, own->seen->stepping };
    own->settings = (InvCpuHostSettings){ .release = own->release,
                                          .cmdline = own->cmdline,
                                          .parameters = (const char *const *)own->parameters,
                                          .chip = own->chip.vendor ? &own->chip : NULL };
    return own;
}

void
inv_kvm_settings_free(InvKvmSettings *own)
{
    if (!own)
        return;
    inv_cpu_seen_free(own->seen);
    g_strfreev(own->parameters);
    g_free(own->release);
    g_free(own->cmdline);
    g_free(own);
}

const InvCpuHostSettings *
inv_kvm_settings_get(const InvKvmSettings *own)
{
    return &own->settings;
}

InvCpuHostLimits *
inv_kvm_host_limits(const InvCpuLimits *limits, const InvCpuMap *map)
{
    g_autoptr(InvKvmSettings) own = inv_kvm_settings_new();

    return inv_cpu_host_limits_new(limits, map, &own->settings);
}
