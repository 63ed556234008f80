/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/command_device.h"

#include <string.h>

#define MAX_ALIAS 100

void
inv_command_add(InvCommandBuilder *builder, const char *option, const char *value)
{
    g_ptr_array_add(builder->argv, g_strdup(option));
    if (value)
        g_ptr_array_add(builder->argv, g_strdup(value));
}

void
inv_command_add_json(InvCommandBuilder *builder, const char *option, InvJson *value)
{
    g_autoptr(InvJson) owned = value;

    g_ptr_array_add(builder->argv, g_strdup(option));
    g_ptr_array_add(builder->argv, inv_json_format(owned, FALSE));
}

gboolean
inv_command_unsupported(GError **error, const char *what, const char *value, const char *instead)
{
    return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "%s '%s' is not supported by Invar yet; use %s", what, value,
                         instead);
}

gboolean
inv_command_add_device(InvCommandBuilder *builder, InvJson *properties, const char *what, GError **error)
{
    g_autoptr(InvJson) owned = properties;
    const char *driver = inv_json_get_string(properties, "driver");

    if (!inv_emulator_has_device(builder->context->emulator, driver))
        return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "%s needs the device '%s', which '%s' does not have", what,
                             driver, inv_emulator_path(builder->context->emulator));
    inv_command_add_json(builder, "-device", g_steal_pointer(&owned));
    return TRUE;
}

char *
inv_command_escape(const char *text)
{
    GString *escaped = g_string_new(text);

    g_string_replace(escaped, ",", ",,", 0);
    return g_string_free(escaped, FALSE);
}

char *
inv_command_virtio(const InvCommandBuilder *builder, const char *name, const char *what, GError **error)
{
    char *driver = inv_board_virtio(inv_board_parts(builder->board), name);

    if (!driver)
        inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "%s needs a bus for virtio, and machine type '%s' has none that Invar "
                      "knows", what, builder->machine);
    return driver;
}

const char *
inv_command_alias(const InvCommandBuilder *builder, const InvDevice *device)
{
    guint index = 0;

    return g_ptr_array_find(builder->domain->devices, device, &index) ? builder->aliases[index] : "";
}

const char *
inv_command_controller(const InvCommandBuilder *builder, const char *type, guint index)
{
    for (guint i = 0; i < builder->domain->devices->len; i++) {
        const InvDevice *device = g_ptr_array_index(builder->domain->devices, i);

        if (device->type == INV_DEVICE_CONTROLLER && g_str_equal(device->u.controller.type, type) &&
            MAX(device->u.controller.index, 0) == (int)index)
            return builder->aliases[i];
    }
    return NULL;
}

static gboolean
set_pci_address(const InvCommandBuilder *builder, const InvAddress *address, InvJson *properties, const char *what,
                GError **error)
{
    const char *bus = address->bus ? inv_command_controller(builder, "pci", address->bus) : builder->root_bus;
    g_autofree char *place = address->function ? g_strdup_printf("0x%x.0x%x", address->slot, address->function)
                                               : g_strdup_printf("0x%x", address->slot);

    if (!builder->root_bus)
        return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "%s has a PCI address, but machine type '%s' has no PCI", what,
                             builder->machine);
    if (!bus || address->domain)
        return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "%s is on PCI bus %04x:%02x, for which there is no controller",
                             what, address->domain, address->bus);
    inv_json_object_set_string(properties, "bus", bus);
    if (address->multifunction != INV_TRISTATE_UNSET)
        inv_json_object_set_boolean(properties, "multifunction", address->multifunction == INV_TRISTATE_ON);
    inv_json_object_set_string(properties, "addr", place);
    return TRUE;
}

static gboolean
set_bus_of(const InvCommandBuilder *builder, const char *type, guint index, InvJson *properties, const char *what,
           GError **error)
{
    const char *controller = inv_command_controller(builder, type, index);
    g_autofree char *bus = controller ? g_strdup_printf("%s.0", controller) : NULL;

    if (!controller)
        return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "%s needs <controller type='%s' index='%u'/>", what, type,
                             index);
    inv_json_object_set_string(properties, "bus", bus);
    return TRUE;
}

static gboolean
set_address(const InvCommandBuilder *builder, const InvAddress *address, InvJson *properties, const char *what,
            GError **error)
{
    g_autofree char *port = g_strdup_printf("%u", address->port);

    switch (address->type) {
    case INV_ADDRESS_PCI:
        return set_pci_address(builder, address, properties, what, error);
    case INV_ADDRESS_USB:
        if (!set_bus_of(builder, "usb", address->bus, properties, what, error))
            return FALSE;
        if (address->port)
            inv_json_object_set_string(properties, "port", port);
        return TRUE;
    case INV_ADDRESS_VIRTIO_SERIAL:
        if (!set_bus_of(builder, "virtio-serial", address->controller, properties, what, error))
            return FALSE;
        inv_json_object_set_uint(properties, "nr", address->port);
        return TRUE;
    case INV_ADDRESS_NONE:
    case INV_ADDRESS_DRIVE:
    case INV_ADDRESS_ISA:
    case INV_ADDRESS_OTHER:
        break;
    }
    return TRUE;
}

InvJson *
inv_command_new_device(const InvCommandBuilder *builder, const InvDevice *device, const char *driver, const char *what,
                       GError **error)
{
    g_autoptr(InvJson) properties = inv_json_new_object();

    inv_json_object_set_string(properties, "driver", driver);
    inv_json_object_set_string(properties, "id", inv_command_alias(builder, device));
    if (!set_address(builder, &device->address, properties, what, error))
        return NULL;
    return g_steal_pointer(&properties);
}

InvJson *
inv_command_new_virtio(const InvCommandBuilder *builder, const InvDevice *device, const char *name, const char *what,
                       GError **error)
{
    g_autofree char *driver = inv_command_virtio(builder, name, what, error);

    return driver ? inv_command_new_device(builder, device, driver, what, error) : NULL;
}

static gboolean
is_boot_candidate(const InvDevice *device, InvBootDevice kind)
{
    if (device->type == INV_DEVICE_INTERFACE)
        return kind == INV_BOOT_NETWORK;
    if (device->type != INV_DEVICE_DISK)
        return FALSE;
    switch (device->u.disk.device) {
    case INV_DISK_DISK:
        return kind == INV_BOOT_HD;
    case INV_DISK_CDROM:
        return kind == INV_BOOT_CDROM;
    case INV_DISK_FLOPPY:
        break;
    }
    return kind == INV_BOOT_FD;
}

/* As libvirt does: <boot dev=> means the first device of its kind. */
int
inv_command_boot_index(const InvCommandBuilder *builder, const InvDevice *device)
{
    const InvDomain *domain = builder->domain;

    if (device->boot_order)
        return device->boot_order;
    for (guint i = 0; i < domain->os.boot->len; i++) {
        InvBootDevice kind = g_array_index(domain->os.boot, InvBootDevice, i);

        for (guint j = 0; j < domain->devices->len; j++) {
            const InvDevice *other = g_ptr_array_index(domain->devices, j);

            if (!is_boot_candidate(other, kind))
                continue;
            if (other == device)
                return (int)i + 1;
            break;
        }
    }
    return 0;
}

void
inv_command_set_boot_index(const InvCommandBuilder *builder, const InvDevice *device, InvJson *properties)
{
    int index = inv_command_boot_index(builder, device);

    if (index)
        inv_json_object_set_int(properties, "bootindex", index);
}

static gboolean
knows_acpi(InvBoard board)
{
    return board == INV_BOARD_I440FX || board == INV_BOARD_Q35 || board == INV_BOARD_MICROVM || board == INV_BOARD_ARM_VIRT;
}

static void
add_machine(InvCommandBuilder *builder)
{
    const InvDomain *domain = builder->domain;
    g_autofree char *name = inv_command_escape(builder->machine);
    GString *value = g_string_new(name);
    g_autofree char *text = NULL;

    g_string_append_printf(value, ",accel=%s,usb=off,dump-guest-core=off", domain->virt_type == INV_VIRT_KVM ? "kvm" : "tcg");
    /* As in libvirt, ACPI is there only when <features> says <acpi/>. */
    if (domain->acpi != INV_TRISTATE_ON && knows_acpi(builder->board))
        g_string_append(value, ",acpi=off");
    if (domain->os.loader_secure == INV_TRISTATE_ON)
        g_string_append(value, ",smm=on");
    if (domain->os.loader && domain->os.loader_pflash)
        g_string_append_printf(value, ",pflash0=pflash0-format%s", domain->os.nvram ? ",pflash1=pflash1-format" : "");
    text = g_string_free(value, FALSE);
    inv_command_add(builder, "-machine", text);
    if (builder->context->cpu_argument)
        inv_command_add(builder, "-cpu", builder->context->cpu_argument);
}

static void
add_memory_and_cpus(InvCommandBuilder *builder)
{
    const InvDomain *domain = builder->domain;
    const InvCpu *cpu = domain->cpu;
    gboolean topology = cpu && cpu->sockets;
    g_autofree char *memory = g_strdup_printf("size=%" G_GUINT64_FORMAT "k", domain->max_memory_kib);
    guint present = domain->vcpus ? domain->vcpus : domain->max_vcpus;
    GString *smp = g_string_new(NULL);
    g_autofree char *text = NULL;

    inv_command_add(builder, "-m", memory);
    g_string_append_printf(smp, "%u", present);
    if (present != domain->max_vcpus)
        g_string_append_printf(smp, ",maxcpus=%u", domain->max_vcpus);
    g_string_append_printf(smp, ",sockets=%u", topology ? cpu->sockets : domain->max_vcpus);
    if (topology && cpu->dies > 1)
        g_string_append_printf(smp, ",dies=%u", cpu->dies);
    if (topology && cpu->clusters > 1)
        g_string_append_printf(smp, ",clusters=%u", cpu->clusters);
    g_string_append_printf(smp, ",cores=%u,threads=%u", topology ? cpu->cores : 1, topology ? cpu->threads : 1);
    text = g_string_free(smp, FALSE);
    inv_command_add(builder, "-smp", text);
}

/* "0-3,^2" → ",cpus=0-1,cpus=3". validate has checked text and numbers; what is odd all the same is left out. */
static void
append_cpus(GString *value, const char *text, guint limit)
{
    g_autofree gboolean *in = g_new0(gboolean, limit + 1);
    g_auto(GStrv) parts = g_strsplit(text, ",", limit + 1);

    for (char **part = parts; *part; part++) {
        const char *range = g_strstrip(*part);
        gboolean without = *range == '^';
        g_auto(GStrv) ends = g_strsplit(range + without, "-", 2);
        guint64 first = 0;
        guint64 last = 0;

        if (!ends[0] || !g_ascii_string_to_unsigned(ends[0], 10, 0, limit, &first, NULL) ||
            !g_ascii_string_to_unsigned(ends[1] ? ends[1] : ends[0], 10, 0, limit, &last, NULL))
            continue;
        for (guint64 i = first; i <= last && i < limit; i++)
            in[i] = !without;
    }
    for (guint i = 0; i < limit; i++) {
        guint first = i;

        if (!in[i])
            continue;
        while (i + 1 < limit && in[i + 1])
            i++;
        if (i == first)
            g_string_append_printf(value, ",cpus=%u", first);
        else
            g_string_append_printf(value, ",cpus=%u-%u", first, i);
    }
}

static gboolean
add_cell(InvCommandBuilder *builder, const InvNumaCell *cell, GError **error)
{
    gboolean shared = g_strcmp0(cell->mem_access, "shared") == 0;
    g_autofree char *id = g_strdup_printf("ram-node%u", cell->id);
    InvJson *object = NULL;
    GString *value = NULL;
    g_autofree char *text = NULL;

    if (cell->discard == INV_TRISTATE_ON)
        return inv_command_unsupported(error, "numa cell attribute discard", "yes", "discard='no'");
    object = inv_json_new_object();
    inv_json_object_set_string(object, "qom-type", shared ? "memory-backend-memfd" : "memory-backend-ram");
    inv_json_object_set_string(object, "id", id);
    if (shared)
        inv_json_object_set_boolean(object, "share", TRUE);
    inv_json_object_set_uint(object, "size", cell->memory_kib * 1024);
    inv_command_add_json(builder, "-object", object);
    value = g_string_new(NULL);
    g_string_append_printf(value, "node,nodeid=%u", cell->id);
    if (cell->cpus)
        append_cpus(value, cell->cpus, builder->domain->max_vcpus);
    g_string_append_printf(value, ",memdev=%s", id);
    text = g_string_free(value, FALSE);
    inv_command_add(builder, "-numa", text);
    return TRUE;
}

static gboolean
add_numa(InvCommandBuilder *builder, GError **error)
{
    const GPtrArray *cells = builder->domain->cpu ? builder->domain->cpu->cells : NULL;

    for (guint i = 0; cells && i < cells->len; i++) {
        if (!add_cell(builder, g_ptr_array_index(cells, i), error))
            return FALSE;
    }
    for (guint i = 0; cells && i < cells->len; i++) {
        const InvNumaCell *cell = g_ptr_array_index(cells, i);

        for (guint j = 0; cell->distances && j < cell->distances->len; j++) {
            const InvNumaDistance *distance = &g_array_index(cell->distances, InvNumaDistance, j);
            g_autofree char *value =
                g_strdup_printf("dist,src=%u,dst=%u,val=%u", cell->id, distance->cell, distance->value);

            inv_command_add(builder, "-numa", value);
        }
    }
    return TRUE;
}

/* The wall clock of another zone, or a shifted one, is an initial date to QEMU: no word of its own names them. */
static gboolean
add_clock(InvCommandBuilder *builder, GError **error)
{
    const InvDomain *domain = builder->domain;
    g_autoptr(GTimeZone) zone = NULL;
    g_autoptr(GDateTime) now = NULL;
    g_autofree char *date = NULL;

    switch (domain->clock) {
    case INV_CLOCK_UNSET:
    case INV_CLOCK_UTC:
        inv_command_add(builder, "-rtc", "base=utc");
        return TRUE;
    case INV_CLOCK_LOCALTIME:
        inv_command_add(builder, "-rtc", "base=localtime");
        return TRUE;
    case INV_CLOCK_TIMEZONE:
        zone = g_time_zone_new_identifier(domain->clock_timezone);
        if (!zone)
            return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "the clock's timezone '%s' is not known on this host",
                                 domain->clock_timezone ? domain->clock_timezone : "");
        now = g_date_time_new_now(zone);
        break;
    case INV_CLOCK_VARIABLE:
        now = g_date_time_new_from_unix_utc(g_get_real_time() / G_USEC_PER_SEC + domain->clock_adjustment);
        if (!now)
            return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "the clock's adjustment %" G_GINT64_FORMAT " is too large",
                                 domain->clock_adjustment);
        break;
    }
    date = g_date_time_format(now, "base=%Y-%m-%dT%H:%M:%S");
    inv_command_add(builder, "-rtc", date);
    return TRUE;
}

static void
add_head(InvCommandBuilder *builder)
{
    g_autofree char *name = inv_command_escape(builder->domain->name);
    g_autofree char *guest = g_strdup_printf("guest=%s,debug-threads=on", name);

    inv_command_add(builder, inv_emulator_path(builder->context->emulator), NULL);
    inv_command_add(builder, "-name", guest);
    inv_command_add(builder, "-S", NULL);
    inv_command_add(builder, "-no-user-config", NULL);
    inv_command_add(builder, "-nodefaults", NULL);
}

static void
add_rest(InvCommandBuilder *builder)
{
    g_autofree char *monitor =
        g_strdup_printf("socket,id=charmonitor,fd=%d,server=on,wait=off", builder->context->monitor_fd);
    char uuid[VIR_UUID_STRING_BUFLEN];

    inv_uuid_format(builder->domain->uuid, uuid);
    inv_command_add(builder, "-uuid", uuid);
    inv_command_add(builder, "-display", "none");
    inv_command_add(builder, "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
    inv_command_add(builder, "-chardev", monitor);
    inv_command_add(builder, "-mon", "chardev=charmonitor,id=monitor,mode=control");
    /* Whether a guest that powers off or reboots ends is the daemon's to say, when it has seen the event. */
    inv_command_add(builder, "-no-shutdown", NULL);
    inv_command_add(builder, "-boot", "strict=on");
    if (builder->context->incoming)
        inv_command_add(builder, "-incoming", builder->context->incoming);
    inv_command_add(builder, "-msg", "timestamp=on");
}

static gboolean
add_device(InvCommandBuilder *builder, const InvDevice *device, GError **error)
{
    switch (device->type) {
    case INV_DEVICE_DISK:
        return inv_command_disk(builder, device, error);
    case INV_DEVICE_CONTROLLER:
        return TRUE; /* came first */
    case INV_DEVICE_INTERFACE:
        return inv_command_interface(builder, device, error);
    case INV_DEVICE_SERIAL:
        return inv_command_serial(builder, device, error);
    case INV_DEVICE_CONSOLE:
        return inv_command_console(builder, device, error);
    case INV_DEVICE_CHANNEL:
        return inv_command_channel(builder, device, error);
    case INV_DEVICE_INPUT:
        return inv_command_input(builder, device, error);
    case INV_DEVICE_GRAPHICS:
        return inv_command_graphics(builder, device, error);
    case INV_DEVICE_VIDEO:
        return inv_command_video(builder, device, error);
    case INV_DEVICE_MEMBALLOON:
        return inv_command_balloon(builder, device, error);
    case INV_DEVICE_RNG:
        return inv_command_rng(builder, device, error);
    case INV_DEVICE_UNKNOWN:
        break; /* kept in the document; the daemon warns */
    }
    return TRUE;
}

/* A bus must be there before what sits on it: PCI controllers by index, then the others, then devices. */
static gint
compare_controllers(gconstpointer a, gconstpointer b)
{
    const InvDevice *first = *(const InvDevice *const *)a;
    const InvDevice *second = *(const InvDevice *const *)b;
    gboolean first_pci = g_str_equal(first->u.controller.type, "pci");
    gboolean second_pci = g_str_equal(second->u.controller.type, "pci");

    if (first_pci != second_pci)
        return first_pci ? -1 : 1;
    return first_pci ? first->u.controller.index - second->u.controller.index : 0;
}

static gboolean
add_devices(InvCommandBuilder *builder, GError **error)
{
    const GPtrArray *devices = builder->domain->devices;
    g_autoptr(GPtrArray) controllers = g_ptr_array_new(); /* borrowed */

    for (guint i = 0; i < devices->len; i++) {
        const InvDevice *device = g_ptr_array_index(devices, i);

        if (device->type == INV_DEVICE_CONTROLLER)
            g_ptr_array_add(controllers, (gpointer)device);
    }
    g_ptr_array_sort(controllers, compare_controllers);
    for (guint i = 0; i < controllers->len; i++) {
        if (!inv_command_controller_device(builder, g_ptr_array_index(controllers, i), error))
            return FALSE;
    }
    for (guint i = 0; i < devices->len; i++) {
        if (!add_device(builder, g_ptr_array_index(devices, i), error))
            return FALSE;
    }
    return TRUE;
}

static gboolean
check_aliases(const InvCommandBuilder *builder, GError **error)
{
    for (char **alias = builder->aliases; *alias; alias++) {
        gboolean valid = strlen(*alias) <= MAX_ALIAS;

        for (const char *p = *alias; valid && *p; p++)
            valid = g_ascii_isalnum(*p) || strchr("-_.", *p);
        if (!valid)
            return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                                 "the alias '%.*s' is not possible: at most %d letters, digits, '-', '_' and '.'", MAX_ALIAS,
                                 *alias, MAX_ALIAS);
    }
    return TRUE;
}

static gboolean
check_domain(const InvCommandBuilder *builder, GError **error)
{
    const InvDomain *domain = builder->domain;
    const InvMachine *machine = builder->context->machine;

    if (machine && machine->max_cpus && domain->max_vcpus > machine->max_cpus)
        return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "machine type '%s' has at most %u vCPUs, the domain %u",
                             machine->name, machine->max_cpus, domain->max_vcpus);
    if (domain->cpu && domain->cpu->cells->len && machine && !machine->numa_mem_supported &&
        builder->board == INV_BOARD_OTHER)
        return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "machine type '%s' has no NUMA: remove <numa>", machine->name);
    if (domain->vcpu_cpuset)
        return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                             "vcpu cpuset='%s' is not supported by Invar yet; remove the attribute", domain->vcpu_cpuset);
    if (domain->os.loader_secure == INV_TRISTATE_ON && (builder->board != INV_BOARD_Q35 || !domain->os.loader_pflash))
        return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                             "loader secure='yes' needs machine type q35 and a loader of type='pflash'");
    return check_aliases(builder, error);
}

static void
settle_board(InvCommandBuilder *builder)
{
    const InvBoardParts *parts;

    builder->machine = builder->context->machine ? builder->context->machine->name : builder->domain->os.machine;
    builder->board = inv_command_board(builder->domain->os.arch, builder->machine);
    parts = inv_board_parts(builder->board);
    builder->transport = parts->transport;
    builder->root_bus = parts->root_bus;
}

char **
inv_command_build(const InvDomain *domain, const InvCommandContext *context, GError **error)
{
    g_autoptr(GPtrArray) argv = g_ptr_array_new_with_free_func(g_free);
    g_auto(GStrv) aliases = NULL;
    InvCommandBuilder builder = { .domain = domain, .context = context, .argv = argv };

    settle_board(&builder);
    if (!builder.machine) {
        inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "domain '%s' has no machine type", domain->name);
        return NULL;
    }
    aliases = inv_command_aliases(domain, builder.board);
    builder.aliases = aliases;
    if (!check_domain(&builder, error))
        return NULL;
    add_head(&builder);
    if (!inv_command_firmware(&builder, error))
        return NULL;
    add_machine(&builder);
    add_memory_and_cpus(&builder);
    if (!add_numa(&builder, error))
        return NULL;
    add_rest(&builder);
    if (!add_clock(&builder, error))
        return NULL;
    if (domain->os.kernel)
        inv_command_add(&builder, "-kernel", domain->os.kernel);
    if (domain->os.initrd)
        inv_command_add(&builder, "-initrd", domain->os.initrd);
    if (domain->os.cmdline)
        inv_command_add(&builder, "-append", domain->os.cmdline);
    if (!add_devices(&builder, error))
        return NULL;
    g_ptr_array_add(argv, NULL);
    return (char **)g_ptr_array_free(g_steal_pointer(&argv), FALSE);
}
