/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "xml/device_class.h"
#include "xml/domain_words.h"

#include <string.h>

static void
set_child(xmlNodePtr node, const char *name, const char *text)
{
    inv_node_set_child_text(node, name, text, inv_domain_children);
}

static void
format_basics(const InvDomain *domain, xmlNodePtr node, InvFormatFlags flags)
{
    char uuid[VIR_UUID_STRING_BUFLEN];

    inv_node_set(node, "type", inv_words_to_string(&inv_virt_types, domain->virt_type));
    if (domain->id >= 0 && inv_format_is_live(flags))
        inv_node_setf(node, "id", "%d", domain->id);
    else
        inv_node_set(node, "id", NULL);
    set_child(node, "name", domain->name);
    inv_uuid_format(domain->uuid, uuid);
    set_child(node, "uuid", domain->has_uuid ? uuid : NULL);
    set_child(node, "title", domain->title);
    set_child(node, "description", domain->description);
}

static void
format_memory(xmlNodePtr node, const char *name, guint64 kib)
{
    xmlNodePtr memory = inv_node_ensure(node, name, inv_domain_children);
    g_autofree char *text = g_strdup_printf("%" G_GUINT64_FORMAT, kib);

    inv_node_set(memory, "unit", "KiB");
    inv_node_set_text(memory, text);
}

static void
format_resources(const InvDomain *domain, xmlNodePtr node)
{
    xmlNodePtr vcpu = inv_node_ensure(node, "vcpu", inv_domain_children);
    g_autofree char *count = g_strdup_printf("%u", domain->max_vcpus);

    if (domain->max_memory_kib)
        format_memory(node, "memory", domain->max_memory_kib);
    if (domain->current_memory_kib)
        format_memory(node, "currentMemory", domain->current_memory_kib);
    inv_node_set(vcpu, "cpuset", domain->vcpu_cpuset);
    if (domain->vcpus)
        inv_node_setf(vcpu, "current", "%u", domain->vcpus);
    else
        inv_node_set(vcpu, "current", NULL);
    inv_node_set_text(vcpu, count);
}

/* The boot devices as they are when they are what the document says; else written anew. */
static void
format_boot(const InvDomainOs *os, xmlNodePtr node, const char *const *order)
{
    xmlNodePtr child = xmlFirstElementChild(node);

    for (guint i = 0; i < os->boot->len; i++) {
        while (child && !inv_node_is(child, "boot"))
            child = xmlNextElementSibling(child);
        if (!child) {
            child = xmlNewDocNode(node->doc, NULL, (const xmlChar *)"boot", NULL);
            inv_node_insert(node, child, order);
        }
        inv_node_set(child, "dev", inv_words_to_string(&inv_boot_devices, g_array_index(os->boot, InvBootDevice, i)));
        child = xmlNextElementSibling(child);
    }
    while (child) {
        xmlNodePtr next = xmlNextElementSibling(child);

        if (inv_node_is(child, "boot"))
            inv_node_remove(child);
        child = next;
    }
}

static void
format_os(const InvDomainOs *os, xmlNodePtr parent)
{
    static const char *const order[] = {
        "type", "firmware", "loader", "nvram", "kernel", "initrd", "cmdline", "dtb", "acpi", "boot", "bootmenu", "bios",
        "smbios", NULL,
    };
    xmlNodePtr node = inv_node_ensure(parent, "os", inv_domain_children);
    xmlNodePtr type = inv_node_ensure(node, "type", order);
    xmlNodePtr loader = inv_node_child(node, "loader");
    xmlNodePtr nvram = inv_node_child(node, "nvram");

    /* libvirt's order, which scripts look for. */
    if (!inv_node_has(type, "arch"))
        inv_node_set(type, "machine", NULL);
    inv_node_set(type, "arch", os->arch);
    inv_node_set(type, "machine", os->machine);
    inv_node_set_text(type, "hvm");
    if (os->loader || loader) {
        loader = inv_node_ensure(node, "loader", order);
        inv_node_set(loader, "readonly", inv_words_to_string(&inv_yes_no, os->loader_readonly));
        inv_node_set(loader, "secure", inv_words_to_string(&inv_yes_no, os->loader_secure));
        if (os->loader_pflash || inv_node_has(loader, "type"))
            inv_node_set(loader, "type", os->loader_pflash ? "pflash" : "rom");
        if (os->loader)
            inv_node_set_text(loader, os->loader);
    }
    if (os->nvram || nvram) {
        nvram = inv_node_ensure(node, "nvram", order);
        inv_node_set(nvram, "template", os->nvram_template);
        if (os->nvram)
            inv_node_set_text(nvram, os->nvram);
    }
    inv_node_set_child_text(node, "kernel", os->kernel, order);
    inv_node_set_child_text(node, "initrd", os->initrd, order);
    inv_node_set_child_text(node, "cmdline", os->cmdline, order);
    format_boot(os, node, order);
}

static void
format_features(const InvDomain *domain, xmlNodePtr node)
{
    static const char *const order[] = { "acpi", "apic", "pae", NULL };
    xmlNodePtr features = inv_node_child(node, "features");
    const InvTristate states[] = { domain->acpi, domain->apic };

    if (!features && domain->acpi != INV_TRISTATE_ON && domain->apic != INV_TRISTATE_ON)
        return;
    features = inv_node_ensure(node, "features", inv_domain_children);
    for (guint i = 0; i < G_N_ELEMENTS(states); i++) {
        if (states[i] == INV_TRISTATE_ON)
            inv_node_ensure(features, order[i], order);
        else
            inv_node_remove_child(features, order[i]);
    }
}

static void
format_clock(const InvDomain *domain, xmlNodePtr node)
{
    xmlNodePtr clock;

    if (domain->clock == INV_CLOCK_UNSET)
        return;
    clock = inv_node_ensure(node, "clock", inv_domain_children);
    inv_node_set(clock, "offset", inv_words_to_string(&inv_clock_offsets, domain->clock));
    if (domain->clock == INV_CLOCK_TIMEZONE)
        inv_node_set(clock, "timezone", domain->clock_timezone);
    if (domain->clock == INV_CLOCK_VARIABLE)
        inv_node_setf(clock, "adjustment", "%" G_GINT64_FORMAT, domain->clock_adjustment);
}

static void
format_cpu(const InvDomain *domain, xmlNodePtr node)
{
    xmlNodePtr old = inv_node_child(node, "cpu");
    xmlNodePtr cpu = domain->cpu ? inv_cpu_format_node(domain->cpu) : NULL;

    if (cpu && old)
        xmlAddPrevSibling(old, cpu);
    else if (cpu)
        inv_node_insert(node, cpu, inv_domain_children);
    if (old)
        inv_node_remove(old);
}

static InvDevice *
first_serial(const InvDomain *domain)
{
    for (guint i = 0; i < domain->devices->len; i++) {
        InvDevice *device = g_ptr_array_index(domain->devices, i);

        if (device->type == INV_DEVICE_SERIAL)
            return device;
    }
    return NULL;
}

/* What the console that mirrors the first serial port shows: that port's end. */
static xmlNodePtr
format_mirror(const InvDevice *console, const InvDevice *serial, InvFormatFlags flags)
{
    g_autoptr(InvDevice) copy = inv_device_copy(console);
    InvChar *to = &copy->u.chardev;
    const InvChar *from = &serial->u.chardev;

    g_free(to->type_name);
    to->type_name = g_strdup(from->type_name);
    to->type = from->type;
    g_free(to->path);
    to->path = g_strdup(from->path);
    to->live_path = from->live_path;
    to->listen = from->listen;
    to->append = from->append;
    if (serial->alias) {
        g_free(copy->alias);
        copy->alias = g_strdup(serial->alias);
    }
    return inv_device_format(copy, flags);
}

/* Elements below <devices> by their sequence number; <emulator> has none. */
static GPtrArray *
device_elements(xmlNodePtr devices)
{
    GPtrArray *elements = g_ptr_array_new();

    g_ptr_array_add(elements, NULL);
    INV_NODE_FOREACH(child, devices)
    {
        if (!inv_node_is(child, "emulator"))
            g_ptr_array_add(elements, child);
    }
    return elements;
}

static void
format_devices(const InvDomain *domain, xmlNodePtr node, InvFormatFlags flags)
{
    xmlNodePtr devices = inv_node_ensure(node, "devices", inv_domain_children);
    g_autoptr(GPtrArray) elements = device_elements(devices);
    const InvDevice *mirror = inv_domain_console_of_serial(domain);
    const InvDevice *serial = first_serial(domain);
    xmlNodePtr last = inv_node_child(devices, "emulator");

    if (devices->children && !devices->children->next && xmlIsBlankNode(devices->children))
        inv_node_remove(devices->children);
    if (domain->emulator && !last) {
        last = xmlNewDocNode(devices->doc, NULL, (const xmlChar *)"emulator", NULL);
        if (devices->children)
            xmlAddPrevSibling(devices->children, last);
        else
            inv_node_insert(devices, last, NULL);
    }
    if (domain->emulator)
        inv_node_set_text(last, domain->emulator);
    for (guint i = 0; i < domain->devices->len; i++) {
        const InvDevice *device = g_ptr_array_index(domain->devices, i);
        xmlNodePtr new = device == mirror && serial ? format_mirror(device, serial, flags) : inv_device_format(device, flags);
        xmlNodePtr old = device->sequence && device->sequence < elements->len
                             ? g_ptr_array_index(elements, device->sequence) : NULL;

        if (old) {
            xmlAddPrevSibling(old, new);
            inv_node_remove(old);
            g_ptr_array_index(elements, device->sequence) = NULL;
        } else if (last) {
            xmlAddNextSibling(last, new);
        } else if (devices->children) {
            xmlAddPrevSibling(devices->children, new);
        } else {
            inv_node_insert(devices, new, NULL);
        }
        last = new;
    }
    for (guint i = 1; i < elements->len; i++) {
        if (g_ptr_array_index(elements, i))
            inv_node_remove(g_ptr_array_index(elements, i));
    }
}

char *
inv_domain_format(const InvDomain *domain, InvFormatFlags flags)
{
    g_autoptr(InvXmlDoc) doc = domain->source ? xmlCopyDoc(domain->source, 1) : xmlNewDoc((const xmlChar *)"1.0");
    xmlNodePtr node = xmlDocGetRootElement(doc);

    if (!node) {
        node = xmlNewDocNode(doc, NULL, (const xmlChar *)"domain", NULL);
        xmlDocSetRootElement(doc, node);
    }
    format_basics(domain, node, flags);
    format_resources(domain, node);
    format_os(&domain->os, node);
    format_features(domain, node);
    format_cpu(domain, node);
    format_clock(domain, node);
    set_child(node, "on_poweroff", inv_words_to_string(&inv_lifecycle_actions, domain->on_poweroff));
    set_child(node, "on_reboot", inv_words_to_string(&inv_lifecycle_actions, domain->on_reboot));
    set_child(node, "on_crash", inv_words_to_string(&inv_lifecycle_actions, domain->on_crash));
    format_devices(domain, node, flags);
    return inv_xml_format_doc(doc);
}
