/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/host.h"

#include "daemon/host_file.h"
#include "daemon/host_topology.h"
#include "daemon/xml_out.h"
#include "util/error.h"

#include <string.h>

#define DMI_FOLDER "/sys/class/dmi/id"

/* An entry of a section, and the file below /sys/class/dmi/id that has it. */
typedef struct {
    const char *section;
    const char *name;
    const char *file;
} Entry;

/* Sections in libvirt's order; a section's entries stand together. */
static const Entry entries[] = {
    { "bios", "vendor", "bios_vendor" },
    { "bios", "version", "bios_version" },
    { "bios", "date", "bios_date" },
    { "bios", "release", "bios_release" },
    { "system", "manufacturer", "sys_vendor" },
    { "system", "product", "product_name" },
    { "system", "version", "product_version" },
    { "system", "serial", "product_serial" },
    { "system", "uuid", "product_uuid" },
    { "system", "sku", "product_sku" },
    { "system", "family", "product_family" },
    { "baseBoard", "manufacturer", "board_vendor" },
    { "baseBoard", "product", "board_name" },
    { "baseBoard", "version", "board_version" },
    { "baseBoard", "serial", "board_serial" },
    { "baseBoard", "asset", "board_asset_tag" },
    { "chassis", "manufacturer", "chassis_vendor" },
    { "chassis", "version", "chassis_version" },
    { "chassis", "serial", "chassis_serial" },
    { "chassis", "asset", "chassis_asset_tag" },
};

static void
write_entry(InvXmlOut *out, const char *name, const char *value)
{
    inv_xml_out_open(out, "entry");
    inv_xml_out_attribute(out, "name", name);
    inv_xml_out_text(out, value);
    inv_xml_out_close(out);
}

/* How many entries were there. Ordinary users may not read serial numbers and the uuid. */
static guint
write_firmware(InvXmlOut *out, const char *root)
{
    const char *section = NULL;
    guint found = 0;

    for (gsize i = 0; i < G_N_ELEMENTS(entries); i++) {
        g_autofree char *path = inv_host_path(root, DMI_FOLDER "/%s", entries[i].file);
        g_autofree char *value = inv_host_read_text(path);

        if (!value || !*value)
            continue;
        if (!section || !g_str_equal(section, entries[i].section)) {
            if (section)
                inv_xml_out_close(out);
            section = entries[i].section;
            inv_xml_out_open(out, section);
        }
        write_entry(out, entries[i].name, value);
        found++;
    }
    if (section)
        inv_xml_out_close(out);
    return found;
}

/* The firmware's own table of processors is for root only; the kernel names them to everybody. */
static void
write_processors(InvXmlOut *out, const char *root)
{
    g_autoptr(InvHostCpuIdentity) identity = inv_host_cpu_identity_at(root);
    g_autoptr(InvHostTopology) topology = inv_host_topology_at(root, NULL);
    guint sockets = 1, dies, cores, threads;

    if (!identity->vendor_id && !identity->model_name)
        return;
    if (topology)
        inv_host_topology_shape(topology, &sockets, &dies, &cores, &threads);
    for (guint i = 0; i < sockets; i++) {
        inv_xml_out_open(out, "processor");
        if (identity->vendor_id)
            write_entry(out, "manufacturer", identity->vendor_id);
        if (identity->model_name)
            write_entry(out, "version", identity->model_name);
        inv_xml_out_close(out);
    }
}

char *
inv_host_sysinfo_at(const char *root, GError **error)
{
    g_autoptr(InvXmlOut) out = inv_xml_out_new();

    inv_xml_out_open(out, "sysinfo");
    inv_xml_out_attribute(out, "type", "smbios");
    if (!write_firmware(out, root)) {
        inv_error_set(error, VIR_ERR_OPERATION_UNSUPPORTED,
                      "this host's firmware gives no SMBIOS information: nothing below '%s" DMI_FOLDER "' can be read",
                      root ? root : "");
        return NULL;
    }
    write_processors(out, root);
    inv_xml_out_close(out);
    return inv_xml_out_finish(out);
}

char *
inv_host_sysinfo(GError **error)
{
    return inv_host_sysinfo_at(NULL, error);
}
