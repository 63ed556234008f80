/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "xml/domain_words.h"

#include <string.h>

#define DOMAIN_WORDS(name, last, ...)                                     \
    static const char *const name##_list[] = { __VA_ARGS__ };             \
    G_STATIC_ASSERT(G_N_ELEMENTS(name##_list) == (gsize)(last) + 1);      \
    const InvWords inv_##name = { name##_list, G_N_ELEMENTS(name##_list) }

DOMAIN_WORDS(virt_types, INV_VIRT_KVM, "qemu", "kvm");
DOMAIN_WORDS(lifecycle_actions, INV_ACTION_COREDUMP_RESTART, NULL, "destroy", "restart", "preserve", "rename-restart",
             "coredump-destroy", "coredump-restart");
DOMAIN_WORDS(boot_devices, INV_BOOT_FD, "network", "hd", "cdrom", "fd");
DOMAIN_WORDS(clock_offsets, INV_CLOCK_VARIABLE, NULL, "utc", "localtime", "timezone", "variable");

const char *const inv_domain_children[] = {
    "name",       "uuid",       "genid",     "title",     "description", "metadata",      "maxMemory", "memory",
    "currentMemory", "blkiotune", "memtune", "memoryBacking", "numatune", "vcpu",         "vcpus",     "iothreads",
    "iothreadids", "cputune",   "resource",  "sysinfo",   "bootloader",  "os",            "idmap",     "features",
    "cpu",        "clock",      "on_poweroff", "on_reboot", "on_crash",  "pm",            "perf",      "devices",
    "seclabel",   "launchSecurity", "keywrap", NULL,
};

static void
clear_strings(InvDomain *domain)
{
    char **strings[] = {
        &domain->name,         &domain->title,          &domain->description, &domain->vcpu_cpuset, &domain->os.arch,
        &domain->os.machine,   &domain->os.kernel,      &domain->os.initrd,   &domain->os.cmdline,  &domain->os.loader,
        &domain->os.nvram,     &domain->os.nvram_template, &domain->clock_timezone, &domain->emulator,
    };

    for (guint i = 0; i < G_N_ELEMENTS(strings); i++)
        g_clear_pointer(strings[i], g_free);
}

void
inv_domain_free(InvDomain *domain)
{
    if (!domain)
        return;
    clear_strings(domain);
    g_clear_pointer(&domain->source, xmlFreeDoc);
    g_clear_pointer(&domain->os.boot, g_array_unref);
    g_clear_pointer(&domain->cpu, inv_cpu_free);
    g_clear_pointer(&domain->devices, g_ptr_array_unref);
    g_clear_pointer(&domain->unknown, g_ptr_array_unref);
    g_free(domain);
}

InvDomain *
inv_domain_copy(const InvDomain *domain)
{
    InvDomain *copy = g_memdup2(domain, sizeof(*domain));

    copy->source = domain->source ? xmlCopyDoc(domain->source, 1) : NULL;
    copy->name = g_strdup(domain->name);
    copy->title = g_strdup(domain->title);
    copy->description = g_strdup(domain->description);
    copy->vcpu_cpuset = g_strdup(domain->vcpu_cpuset);
    copy->os.arch = g_strdup(domain->os.arch);
    copy->os.machine = g_strdup(domain->os.machine);
    copy->os.kernel = g_strdup(domain->os.kernel);
    copy->os.initrd = g_strdup(domain->os.initrd);
    copy->os.cmdline = g_strdup(domain->os.cmdline);
    copy->os.loader = g_strdup(domain->os.loader);
    copy->os.nvram = g_strdup(domain->os.nvram);
    copy->os.nvram_template = g_strdup(domain->os.nvram_template);
    copy->clock_timezone = g_strdup(domain->clock_timezone);
    copy->emulator = g_strdup(domain->emulator);
    copy->os.boot = g_array_copy(domain->os.boot);
    copy->cpu = domain->cpu ? inv_cpu_copy(domain->cpu) : NULL;
    copy->devices = g_ptr_array_new_with_free_func((GDestroyNotify)inv_device_free);
    for (guint i = 0; i < domain->devices->len; i++)
        g_ptr_array_add(copy->devices, inv_device_copy(g_ptr_array_index(domain->devices, i)));
    copy->unknown = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; i < domain->unknown->len; i++)
        g_ptr_array_add(copy->unknown, g_strdup(g_ptr_array_index(domain->unknown, i)));
    return copy;
}

InvDevice *
inv_domain_console_of_serial(const InvDomain *domain)
{
    for (guint i = 0; i < domain->devices->len; i++) {
        InvDevice *device = g_ptr_array_index(domain->devices, i);
        const char *type = device->u.chardev.target_type;

        if (device->type == INV_DEVICE_CONSOLE)
            return !type || strcmp(type, "serial") == 0 ? device : NULL;
    }
    return NULL;
}

InvDevice *
inv_domain_find_controller(const InvDomain *domain, const char *type, int index)
{
    for (guint i = 0; i < domain->devices->len; i++) {
        InvDevice *device = g_ptr_array_index(domain->devices, i);

        if (device->type == INV_DEVICE_CONTROLLER && device->u.controller.index == index
            && strcmp(device->u.controller.type, type) == 0)
            return device;
    }
    return NULL;
}

void
inv_domain_need_controller(InvDomain *domain, const char *type, int index, const char *model)
{
    guint place = 0;
    InvDevice *controller;

    if (inv_domain_find_controller(domain, type, index))
        return;
    for (guint i = 0; i < domain->devices->len; i++) {
        const InvDevice *device = g_ptr_array_index(domain->devices, i);

        if (device->type == INV_DEVICE_DISK || device->type == INV_DEVICE_CONTROLLER)
            place = i + 1;
    }
    controller = inv_device_new(INV_DEVICE_CONTROLLER);
    controller->u.controller.type = g_strdup(type);
    controller->u.controller.index = index;
    controller->u.controller.model = g_strdup(model);
    g_ptr_array_insert(domain->devices, (int)place, controller);
}
