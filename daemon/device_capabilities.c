/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/device_capabilities.h"

#include "daemon/firmware.h"
#include "qemu/board.h"

/* No element here has more words than this. */
#define MAX_VALUES 16u

typedef struct {
    const InvEmulator *emulator;
    const InvMachine *machine;
    const InvBoardParts *board;
} Target;

/* A NULL-terminated list that is put together. */
typedef struct {
    const char *values[MAX_VALUES + 1];
    guint count;
} Values;

static void
add_if(Values *list, gboolean there, const char *value)
{
    if (there && list->count < MAX_VALUES)
        list->values[list->count++] = value;
}

static gboolean
has(const Target *target, const char *type)
{
    return inv_emulator_has_device(target->emulator, type);
}

/* "virtio-rng" as this board takes it. */
static gboolean
has_virtio(const Target *target, const char *name)
{
    g_autofree char *type = inv_board_virtio(target->board, name);

    return type && has(target, type);
}

static gboolean
has_pci(const Target *target, const char *type)
{
    return target->board->root_bus && has(target, type);
}

static void
open_supported(InvXmlOut *out, const char *element, gboolean supported)
{
    inv_xml_out_open(out, element);
    inv_xml_out_attribute(out, "supported", supported ? "yes" : "no");
}

static void
write_supported(InvXmlOut *out, const char *element, gboolean supported)
{
    open_supported(out, element, supported);
    inv_xml_out_close(out);
}

void
inv_device_capabilities_write_enum(InvXmlOut *out, const char *name, const char *const *values)
{
    inv_xml_out_open(out, "enum");
    inv_xml_out_attribute(out, "name", name);
    for (; *values; values++)
        inv_xml_out_element(out, "value", *values);
    inv_xml_out_close(out);
}

#define WRITE_ENUM(out, name, ...) inv_device_capabilities_write_enum(out, name, (const char *const[]){ __VA_ARGS__, NULL })

static void
write_loader(InvXmlOut *out, const Target *target)
{
    g_autoptr(GPtrArray) images = inv_firmware_list(NULL, inv_emulator_arch(target->emulator), target->machine->name);
    gboolean flash = target->board->pflash_since && inv_emulator_version(target->emulator) >= target->board->pflash_since;
    Values types = { .count = 0 };
    Values secure = { .count = 0 };
    gboolean secured = FALSE;

    open_supported(out, "loader", TRUE);
    for (guint i = 0; i < images->len; i++) {
        const InvFirmware *image = g_ptr_array_index(images, i);

        if (image->flash && !flash)
            continue;
        inv_xml_out_element(out, "value", image->path);
        secured = secured || (image->secure && target->board->smm);
    }
    add_if(&types, TRUE, "rom");
    add_if(&types, flash, "pflash");
    inv_device_capabilities_write_enum(out, "type", types.values);
    WRITE_ENUM(out, "readonly", "yes", "no");
    add_if(&secure, secured, "yes");
    add_if(&secure, TRUE, "no");
    inv_device_capabilities_write_enum(out, "secure", secure.values);
    inv_xml_out_close(out);
}

static Target
target_of(const InvEmulator *emulator, const InvMachine *machine)
{
    return (Target){ emulator, machine, inv_board_parts(inv_command_board(inv_emulator_arch(emulator), machine->name)) };
}

void
inv_device_capabilities_write_os(InvXmlOut *out, const InvEmulator *emulator, const InvMachine *machine)
{
    const Target target = target_of(emulator, machine);

    write_supported(out, "iothreads", FALSE);
    open_supported(out, "os", TRUE);
    /* The client names the image: Invar does not choose one for firmware='…'. */
    inv_device_capabilities_write_enum(out, "firmware", (const char *const[]){ NULL });
    write_loader(out, &target);
    inv_xml_out_close(out);
}

static gboolean
has_scsi(const Target *target)
{
    static const char *const controllers[] = { "lsi53c895a", "mptsas1068", "megasas", "pvscsi", "am53c974" };

    if (!has(target, "scsi-hd"))
        return FALSE;
    for (gsize i = 0; i < G_N_ELEMENTS(controllers); i++) {
        if (has_pci(target, controllers[i]))
            return TRUE;
    }
    return has_virtio(target, "virtio-scsi");
}

static gboolean
has_usb(const Target *target)
{
    return has_pci(target, "qemu-xhci") || has_pci(target, "nec-usb-xhci") || has_pci(target, "usb-ehci") ||
        has_pci(target, "ich9-usb-ehci1") || has_pci(target, "piix3-usb-uhci") || has_pci(target, "pci-ohci");
}

static void
write_disk(InvXmlOut *out, const Target *target)
{
    gboolean floppy = target->board->floppy && has(target, "floppy");
    gboolean virtio = has_virtio(target, "virtio-blk");
    Values buses = { .count = 0 };
    Values devices = { .count = 0 };

    add_if(&buses, target->board->ide && has(target, "ide-hd"), "ide");
    add_if(&buses, floppy, "fdc");
    add_if(&buses, has_scsi(target), "scsi");
    add_if(&buses, virtio, "virtio");
    add_if(&buses, has_usb(target) && has(target, "usb-storage"), "usb");
    add_if(&buses, (target->board->sata || has_pci(target, "ich9-ahci")) && has(target, "ide-hd"), "sata");
    open_supported(out, "disk", buses.count > 0);
    if (buses.count) {
        add_if(&devices, TRUE, "disk");
        /* virtio-blk is a disk only. */
        add_if(&devices, buses.count > virtio + (guint)floppy, "cdrom");
        add_if(&devices, floppy, "floppy");
        inv_device_capabilities_write_enum(out, "diskDevice", devices.values);
        inv_device_capabilities_write_enum(out, "bus", buses.values);
        if (virtio)
            WRITE_ENUM(out, "model", "virtio");
    }
    inv_xml_out_close(out);
}

static void
write_video(InvXmlOut *out, const Target *target)
{
    Values models = { .count = 0 };

    add_if(&models, has_pci(target, "VGA"), "vga");
    add_if(&models, has_pci(target, "cirrus-vga"), "cirrus");
    add_if(&models, has_pci(target, "vmware-svga"), "vmvga");
    add_if(&models, has_pci(target, "qxl-vga"), "qxl");
    add_if(&models, target->board->vga ? has_pci(target, "virtio-vga") : has_virtio(target, "virtio-gpu"), "virtio");
    add_if(&models, TRUE, "none");
    add_if(&models, has_pci(target, "bochs-display"), "bochs");
    add_if(&models, target->board->ramfb && has(target, "ramfb"), "ramfb");
    open_supported(out, "video", TRUE);
    inv_device_capabilities_write_enum(out, "modelType", models.values);
    inv_xml_out_close(out);
}

static void
write_devices(InvXmlOut *out, const Target *target)
{
    gboolean rng = has_virtio(target, "virtio-rng");
    gboolean channel = has_virtio(target, "virtio-serial");

    inv_xml_out_open(out, "devices");
    write_disk(out, target);
    open_supported(out, "graphics", TRUE);
    WRITE_ENUM(out, "type", "vnc");
    inv_xml_out_close(out);
    write_video(out, target);
    write_supported(out, "hostdev", FALSE);
    open_supported(out, "rng", rng);
    if (rng) {
        WRITE_ENUM(out, "model", "virtio");
        WRITE_ENUM(out, "backendModel", "random");
    }
    inv_xml_out_close(out);
    write_supported(out, "filesystem", FALSE);
    write_supported(out, "tpm", FALSE);
    write_supported(out, "redirdev", FALSE);
    open_supported(out, "channel", channel);
    if (channel)
        WRITE_ENUM(out, "type", "null", "pty", "file", "unix");
    inv_xml_out_close(out);
    inv_xml_out_close(out);
}

/* Elements of <features> and the like that Invar keeps and does not give to QEMU are said to be so. */
static void
write_features(InvXmlOut *out, const Target *target)
{
    gboolean s390 = g_str_equal(inv_emulator_arch(target->emulator), "s390x");
    static const char *const before[] = { "gic", "vmcoreinfo", "genid", "backingStoreInput", "backup" };
    static const char *const behind[] = { "sev", "sgx", "hyperv" };

    inv_xml_out_open(out, "features");
    for (gsize i = 0; i < G_N_ELEMENTS(before); i++)
        write_supported(out, before[i], FALSE);
    if (s390)
        write_supported(out, "s390-pv", FALSE);
    for (gsize i = 0; i < G_N_ELEMENTS(behind); i++)
        write_supported(out, behind[i], FALSE);
    inv_xml_out_close(out);
}

void
inv_device_capabilities_write(InvXmlOut *out, const InvEmulator *emulator, const InvMachine *machine)
{
    const Target target = target_of(emulator, machine);

    write_supported(out, "memoryBacking", FALSE);
    write_devices(out, &target);
    write_features(out, &target);
}
