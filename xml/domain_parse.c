/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "xml/device_class.h"
#include "xml/domain_words.h"

#include <string.h>

#define MAX_VCPUS 4096 /* QEMU's largest machine */
#define MAX_DEVICES 1024
/* A file name is made of it. */
#define MAX_NAME_BYTES 200

static const char *const architectures[] = {
    "x86_64", "i686",  "aarch64",  "armv7l",  "armv6l", "ppc64",  "ppc64le",  "ppc",     "s390x",   "s390", "riscv64", "riscv32",
    "loongarch64", "alpha", "m68k", "microblaze", "mips", "mipsel", "mips64", "mips64el", "sh4", "sh4eb", "sparc", "sparc64",
    "xtensa", "xtensaeb", "hppa", "or1k", "tricore", NULL,
};

static void
add_unknown(InvDomain *domain, const char *format, ...) G_GNUC_PRINTF(2, 3);

static void
add_unknown(InvDomain *domain, const char *format, ...)
{
    g_autofree char *path = NULL;
    va_list args;

    va_start(args, format);
    path = g_strdup_vprintf(format, args);
    va_end(args);
    if (!g_ptr_array_find_with_equal_func(domain->unknown, path, g_str_equal, NULL))
        g_ptr_array_add(domain->unknown, g_steal_pointer(&path));
}

/* Names of elements below @node that are not in @known. */
static void
add_unknown_children(InvDomain *domain, xmlNodePtr node, const char *path, const char *const *known)
{
    INV_NODE_FOREACH(child, node)
    {
        if (child->ns && child->ns->prefix)
            add_unknown(domain, "%s%s:%s", path, (const char *)child->ns->prefix, (const char *)child->name);
        else if (child->ns || !inv_name_in((const char *)child->name, known))
            add_unknown(domain, "%s%s", path, (const char *)child->name);
    }
}

static gboolean
parse_header(InvDomain *domain, xmlNodePtr node, GError **error)
{
    g_autofree char *type = inv_node_attr(node, "type");
    guint id = G_MAXUINT;

    if (!type)
        return inv_node_fail(node, NULL, VIR_ERR_XML_ERROR, error, "attribute 'type' is missing; use 'qemu' or 'kvm'");
    if (!inv_words_from_string(&inv_virt_types, type, (guint *)&domain->virt_type))
        return inv_node_fail(node, "type", VIR_ERR_CONFIG_UNSUPPORTED, error,
                             "this hypervisor is not supported by Invar; use 'qemu' or 'kvm'");
    if (!inv_node_uint(node, "id", 0, G_MAXINT, &id, error))
        return FALSE;
    domain->id = id == G_MAXUINT ? -1 : (int)id;
    return TRUE;
}

static gboolean
parse_names(InvDomain *domain, xmlNodePtr node, GError **error)
{
    xmlNodePtr name;
    xmlNodePtr uuid;
    xmlNodePtr title;
    xmlNodePtr description;

    if (!inv_node_only_child(node, "name", &name, error) || !inv_node_only_child(node, "uuid", &uuid, error)
        || !inv_node_only_child(node, "title", &title, error)
        || !inv_node_only_child(node, "description", &description, error))
        return FALSE;
    if (!name)
        return inv_node_fail(node, NULL, VIR_ERR_XML_ERROR, error, "a <name> is missing");
    domain->name = inv_node_text(name);
    if (!*domain->name)
        return inv_node_fail(name, NULL, VIR_ERR_XML_ERROR, error, "the name is empty");
    if (strlen(domain->name) > MAX_NAME_BYTES)
        return inv_node_fail(name, NULL, VIR_ERR_XML_ERROR, error, "the name is longer than %d bytes", MAX_NAME_BYTES);
    if (strchr(domain->name, '/') || strcmp(domain->name, ".") == 0 || strcmp(domain->name, "..") == 0)
        return inv_node_fail(name, NULL, VIR_ERR_XML_ERROR, error, "'%s' must not contain '/', nor be '.' or '..'",
                             domain->name);
    for (const char *each = domain->name; *each; each++) {
        if ((unsigned char)*each < ' ')
            return inv_node_fail(name, NULL, VIR_ERR_XML_ERROR, error, "the name must not contain a line break or a tab");
    }
    if (uuid) {
        g_autofree char *text = inv_node_text(uuid);

        if (!inv_uuid_parse(text, domain->uuid))
            return inv_node_fail(uuid, NULL, VIR_ERR_XML_ERROR, error, "'%.64s' is not a UUID of 32 hexadecimal digits", text);
        domain->has_uuid = TRUE;
    }
    domain->title = title ? inv_node_text(title) : NULL;
    domain->description = description ? inv_node_text(description) : NULL;
    if (domain->title && strchr(domain->title, '\n'))
        return inv_node_fail(title, NULL, VIR_ERR_XML_ERROR, error, "a title is one line");
    return TRUE;
}

static gboolean
parse_resources(InvDomain *domain, xmlNodePtr node, GError **error)
{
    xmlNodePtr memory;
    xmlNodePtr current;
    xmlNodePtr vcpu;
    g_autofree char *count = NULL;
    guint64 number = 1;

    if (!inv_node_only_child(node, "memory", &memory, error) || !inv_node_only_child(node, "currentMemory", &current, error)
        || !inv_node_only_child(node, "vcpu", &vcpu, error))
        return FALSE;
    if (memory && !inv_node_memory(memory, NULL, &domain->max_memory_kib, error))
        return FALSE;
    if (current && !inv_node_memory(current, NULL, &domain->current_memory_kib, error))
        return FALSE;
    domain->max_vcpus = 1;
    if (!vcpu)
        return TRUE;
    domain->vcpu_cpuset = inv_node_attr(vcpu, "cpuset");
    count = inv_node_token(vcpu);
    if (count && !inv_number_parse(count, &number))
        return inv_node_fail(vcpu, NULL, VIR_ERR_XML_ERROR, error, "'%.64s' is not a number", count);
    if (number < 1 || number > MAX_VCPUS)
        return inv_node_fail(vcpu, NULL, VIR_ERR_XML_ERROR, error, "%" G_GUINT64_FORMAT " is out of range: 1 to %d", number,
                             MAX_VCPUS);
    domain->max_vcpus = (guint)number;
    return inv_node_uint(vcpu, "current", 1, domain->max_vcpus, &domain->vcpus, error);
}

static gboolean
parse_loader(InvDomainOs *os, xmlNodePtr node, GError **error)
{
    xmlNodePtr loader;
    xmlNodePtr nvram;

    if (!inv_node_only_child(node, "loader", &loader, error) || !inv_node_only_child(node, "nvram", &nvram, error))
        return FALSE;
    if (loader) {
        g_autofree char *type = inv_node_attr(loader, "type");

        os->loader = inv_node_token(loader);
        if (type && strcmp(type, "rom") != 0 && strcmp(type, "pflash") != 0)
            return inv_node_fail(loader, "type", VIR_ERR_XML_ERROR, error, "unknown value; known: rom, pflash");
        os->loader_pflash = type && strcmp(type, "pflash") == 0;
        if (!inv_node_words(loader, "readonly", &inv_yes_no, (guint *)&os->loader_readonly, error)
            || !inv_node_words(loader, "secure", &inv_yes_no, (guint *)&os->loader_secure, error))
            return FALSE;
        if (os->loader && !g_path_is_absolute(os->loader))
            return inv_node_fail(loader, NULL, VIR_ERR_XML_ERROR, error, "the path must be absolute");
    }
    if (nvram) {
        os->nvram = inv_node_token(nvram);
        os->nvram_template = inv_node_attr(nvram, "template");
    }
    return TRUE;
}

static gboolean
parse_os_type(InvDomainOs *os, xmlNodePtr node, GError **error)
{
    xmlNodePtr type;
    g_autofree char *word = NULL;

    if (!inv_node_only_child(node, "type", &type, error))
        return FALSE;
    if (!type || !(word = inv_node_token(type)))
        return inv_node_fail(type ? type : node, NULL, VIR_ERR_XML_ERROR, error, "an operating system type is missing; use <type>hvm</type>");
    if (strcmp(word, "hvm") != 0)
        return inv_node_fail(type, NULL, VIR_ERR_CONFIG_UNSUPPORTED, error, "'%.64s' is not supported by Invar; use hvm", word);
    os->arch = inv_node_attr(type, "arch");
    if (os->arch && !inv_name_in(os->arch, architectures)) {
        g_autofree char *known = g_strjoinv(", ", (char **)architectures);

        return inv_node_fail(type, "arch", VIR_ERR_XML_ERROR, error, "unknown architecture; known: %s", known);
    }
    if (inv_node_has(type, "machine")) {
        os->machine = inv_node_required(type, "machine", error);
        return os->machine != NULL;
    }
    return TRUE;
}

static gboolean
parse_os(InvDomain *domain, xmlNodePtr node, GError **error)
{
    static const char *const known[] = { "type", "boot", "kernel", "initrd", "cmdline", "loader", "nvram", NULL };
    InvDomainOs *os = &domain->os;
    xmlNodePtr element;

    if (!inv_node_only_child(node, "os", &element, error))
        return FALSE;
    if (!element)
        return inv_node_fail(node, NULL, VIR_ERR_XML_ERROR, error, "an <os> is missing");
    if (!parse_os_type(os, element, error) || !parse_loader(os, element, error))
        return FALSE;
    INV_NODE_FOREACH(child, element)
    {
        InvBootDevice device = INV_BOOT_HD;
        g_autofree char *dev = NULL;

        if (!inv_node_is(child, "boot"))
            continue;
        if (!(dev = inv_node_required(child, "dev", error))
            || !inv_node_words(child, "dev", &inv_boot_devices, (guint *)&device, error))
            return FALSE;
        if (os->boot->len >= INV_BOOT_FD + 1)
            return inv_node_fail(child, "dev", VIR_ERR_XML_ERROR, error, "more than %d boot devices", INV_BOOT_FD + 1);
        g_array_append_val(os->boot, device);
    }
    os->kernel = inv_node_child_token(element, "kernel");
    os->initrd = inv_node_child_token(element, "initrd");
    os->cmdline = inv_node_child_token(element, "cmdline");
    if (inv_node_has(element, "firmware"))
        add_unknown(domain, "os/@firmware");
    add_unknown_children(domain, element, "os/", known);
    return TRUE;
}

static gboolean
parse_features(InvDomain *domain, xmlNodePtr node, GError **error)
{
    static const char *const known[] = { "acpi", "apic", "pae", NULL };
    xmlNodePtr features;

    if (!inv_node_only_child(node, "features", &features, error))
        return FALSE;
    if (!features)
        return TRUE;
    domain->acpi = inv_node_child(features, "acpi") ? INV_TRISTATE_ON : INV_TRISTATE_UNSET;
    domain->apic = inv_node_child(features, "apic") ? INV_TRISTATE_ON : INV_TRISTATE_UNSET;
    add_unknown_children(domain, features, "features/", known);
    return TRUE;
}

static gboolean
parse_clock(InvDomain *domain, xmlNodePtr node, GError **error)
{
    static const char *const known[] = { NULL };
    xmlNodePtr clock;
    g_autofree char *adjustment = NULL;

    if (!inv_node_only_child(node, "clock", &clock, error))
        return FALSE;
    if (!clock)
        return TRUE;
    if (!inv_node_words(clock, "offset", &inv_clock_offsets, (guint *)&domain->clock, error))
        return FALSE;
    if (domain->clock == INV_CLOCK_TIMEZONE && !(domain->clock_timezone = inv_node_required(clock, "timezone", error)))
        return FALSE;
    adjustment = inv_node_attr(clock, "adjustment");
    if (domain->clock == INV_CLOCK_VARIABLE && adjustment
        && !g_ascii_string_to_signed(adjustment, 10, G_MININT64 / 2, G_MAXINT64 / 2, &domain->clock_adjustment, NULL))
        return inv_node_fail(clock, "adjustment", VIR_ERR_XML_ERROR, error, "not a number of seconds");
    add_unknown_children(domain, clock, "clock/", known);
    return TRUE;
}

static gboolean
parse_action(xmlNodePtr node, const char *name, gboolean coredump, InvLifecycleAction *action, GError **error)
{
    xmlNodePtr element;
    g_autofree char *word = NULL;
    InvWords words = inv_lifecycle_actions;
    g_autofree char *known = NULL;

    if (!inv_node_only_child(node, name, &element, error))
        return FALSE;
    if (!element)
        return TRUE;
    if (!coredump)
        words.count = INV_ACTION_COREDUMP_DESTROY;
    word = inv_node_token(element);
    if (word && inv_words_from_string(&words, word, (guint *)action))
        return TRUE;
    known = inv_words_known(&words);
    return inv_node_fail(element, NULL, VIR_ERR_XML_ERROR, error, "'%.64s': unknown value; known: %s", word ? word : "", known);
}

static gboolean
parse_cpu(InvDomain *domain, xmlNodePtr node, GError **error)
{
    static const char *const known[] = {
        "arch", "model", "vendor", "topology", "cache", "maxphysaddr", "feature", "numa", NULL,
    };
    static const char *const known_numa[] = { "cell", NULL };
    static const char *const known_cell[] = { "distances", NULL };
    xmlNodePtr cpu;
    xmlNodePtr numa;

    if (!inv_node_only_child(node, "cpu", &cpu, error))
        return FALSE;
    if (!cpu)
        return TRUE;
    domain->cpu = inv_cpu_parse_node(cpu, error);
    if (!domain->cpu)
        return FALSE;
    add_unknown_children(domain, cpu, "cpu/", known);
    numa = inv_node_child(cpu, "numa");
    if (!numa)
        return TRUE;
    add_unknown_children(domain, numa, "cpu/numa/", known_numa);
    INV_NODE_FOREACH(cell, numa)
    {
        if (inv_node_is(cell, "cell"))
            add_unknown_children(domain, cell, "cpu/numa/cell/", known_cell);
    }
    return TRUE;
}

static gboolean
parse_devices(InvDomain *domain, xmlNodePtr node, GError **error)
{
    xmlNodePtr devices;
    xmlNodePtr emulator;
    guint sequence = 0;

    if (!inv_node_only_child(node, "devices", &devices, error))
        return FALSE;
    if (!devices)
        return TRUE;
    if (!inv_node_only_child(devices, "emulator", &emulator, error))
        return FALSE;
    if (emulator) {
        domain->emulator = inv_node_token(emulator);
        if (!domain->emulator || !g_path_is_absolute(domain->emulator))
            return inv_node_fail(emulator, NULL, VIR_ERR_XML_ERROR, error, "must be the absolute path of a QEMU binary");
    }
    INV_NODE_FOREACH(child, devices)
    {
        InvDevice *device;
        g_autofree char *path = NULL;

        if (child == emulator)
            continue;
        if (domain->devices->len >= MAX_DEVICES)
            return inv_node_fail(child, NULL, VIR_ERR_XML_ERROR, error, "more than %d devices", MAX_DEVICES);
        device = inv_device_parse(child, domain->id >= 0, error);
        if (!device)
            return FALSE;
        device->sequence = ++sequence;
        g_ptr_array_add(domain->devices, device);
        path = g_strdup_printf("devices/%s%s", (const char *)child->name, device->type == INV_DEVICE_UNKNOWN ? "" : "/");
        if (device->type == INV_DEVICE_UNKNOWN)
            add_unknown(domain, "%s", path);
        else
            add_unknown_children(domain, child, path, inv_device_class(device->type)->children);
    }
    return TRUE;
}

/* Elements that a start may ignore without changing what the guest or the user gets are not told. */
static void
note_unknown(InvDomain *domain, xmlNodePtr node)
{
    static const char *const known[] = {
        "name",  "uuid",     "title", "description", "metadata",  "memory",    "currentMemory", "vcpu",
        "os",    "features", "cpu",   "clock",       "on_poweroff", "on_reboot", "on_crash",    "devices",
        "seclabel", "resource", NULL,
    };

    add_unknown_children(domain, node, "", known);
    INV_NODE_FOREACH(child, node)
    {
        g_autofree char *type = inv_node_is(child, "seclabel") ? inv_node_attr(child, "type") : NULL;

        /* A static label is one that the user chose; dynamic ones are of the host's making. */
        if (g_strcmp0(type, "static") == 0)
            add_unknown(domain, "seclabel");
    }
}

InvDomain *
inv_domain_parse(const char *xml, GError **error)
{
    g_autoptr(InvDomain) domain = g_new0(InvDomain, 1);
    xmlNodePtr node;

    domain->id = -1;
    domain->os.boot = g_array_new(FALSE, TRUE, sizeof(InvBootDevice));
    domain->devices = g_ptr_array_new_with_free_func((GDestroyNotify)inv_device_free);
    domain->unknown = g_ptr_array_new_with_free_func(g_free);
    domain->source = inv_xml_parse(xml, "domain", error);
    if (!domain->source)
        return NULL;
    node = xmlDocGetRootElement(domain->source);
    if (!parse_header(domain, node, error) || !parse_names(domain, node, error) || !parse_resources(domain, node, error)
        || !parse_os(domain, node, error) || !parse_features(domain, node, error) || !parse_clock(domain, node, error)
        || !parse_action(node, "on_poweroff", FALSE, &domain->on_poweroff, error)
        || !parse_action(node, "on_reboot", FALSE, &domain->on_reboot, error)
        || !parse_action(node, "on_crash", TRUE, &domain->on_crash, error) || !parse_cpu(domain, node, error)
        || !parse_devices(domain, node, error))
        return NULL;
    if (!domain->max_memory_kib && !(domain->cpu && domain->cpu->cells->len)) {
        inv_node_fail(node, NULL, VIR_ERR_XML_ERROR, error, "a <memory> of more than 0 is missing");
        return NULL;
    }
    note_unknown(domain, node);
    return g_steal_pointer(&domain);
}
