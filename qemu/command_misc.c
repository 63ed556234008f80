/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/command_device.h"

#include <string.h>

/* VNC display n is TCP port 5900 + n. */
#define VNC_BASE 5900
#define VNC_LAST 65535

gboolean
inv_command_interface(InvCommandBuilder *builder, const InvDevice *device, GError **error)
{
    static const char *const plain_models[] = { "e1000", "e1000e", "rtl8139", "igb", "vmxnet3", "pcnet", "ne2k_pci",
                                                "i82551", "i82557b", "i82559er", "usb-net", "spapr-vlan", NULL };
    const InvInterface *interface = &device->u.interface;
    const char *model = interface->model ? interface->model : "virtio";
    g_autofree char *what = g_strdup_printf("interface '%s'", interface->mac ? interface->mac : "");
    g_autofree char *id = g_strdup_printf("host%s", inv_command_alias(builder, device));
    g_autofree char *netdev = g_strdup_printf("user,id=%s", id);
    InvJson *properties;

    if (!g_str_equal(interface->type, "user"))
        return inv_command_unsupported(error, "interface type", interface->type, "type='user'");
    if (g_str_equal(model, "virtio"))
        properties = inv_command_new_virtio(builder, device, "virtio-net", what, error);
    else if (g_strv_contains(plain_models, model))
        properties = inv_command_new_device(builder, device, model, what, error);
    else
        return inv_command_unsupported(error, "interface model", model, "virtio, e1000, e1000e or rtl8139");
    if (!properties)
        return FALSE;
    inv_json_object_set_string(properties, "netdev", id);
    inv_json_object_set_string(properties, "mac", interface->mac);
    inv_command_set_boot_index(builder, device, properties);
    inv_command_add(builder, "-netdev", netdev);
    return inv_command_add_device(builder, properties, what, error);
}

gboolean
inv_command_input(InvCommandBuilder *builder, const InvDevice *device, GError **error)
{
    static const struct {
        const char *type, *usb, *virtio;
    } inputs[] = {
        { "tablet", "usb-tablet", "virtio-tablet" },
        { "mouse", "usb-mouse", "virtio-mouse" },
        { "keyboard", "usb-kbd", "virtio-keyboard" },
    };
    const InvInput *input = &device->u.input;
    g_autofree char *what = g_strdup_printf("input '%s'", input->type);
    const char *bus = input->bus ? input->bus : "ps2";
    InvJson *properties = NULL;
    gsize i = 0;

    while (i < G_N_ELEMENTS(inputs) && !g_str_equal(inputs[i].type, input->type))
        i++;
    if (i == G_N_ELEMENTS(inputs))
        return inv_command_unsupported(error, "input type", input->type, "tablet, mouse or keyboard");
    if (g_str_equal(bus, "ps2")) /* a part of the board */
        return builder->board == INV_BOARD_I440FX || builder->board == INV_BOARD_Q35 || builder->board == INV_BOARD_ISAPC ||
               inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "%s: machine type '%s' has no PS/2; use bus='usb' or 'virtio'",
                             what, builder->machine);
    if (g_str_equal(bus, "usb"))
        properties = inv_command_new_device(builder, device, inputs[i].usb, what, error);
    else if (g_str_equal(bus, "virtio"))
        properties = inv_command_new_virtio(builder, device, inputs[i].virtio, what, error);
    else
        return inv_command_unsupported(error, "input bus", bus, "usb, ps2 or virtio");
    return properties && inv_command_add_device(builder, properties, what, error);
}

static char *
vnc_address(const InvGraphics *graphics)
{
    g_autofree char *host = inv_command_escape(graphics->listen ? graphics->listen : "127.0.0.1");
    gboolean ipv6 = strchr(host, ':') != NULL;
    const char *open = ipv6 ? "[" : "";
    const char *close = ipv6 ? "]" : "";

    if (!graphics->autoport && graphics->port >= VNC_BASE)
        return g_strdup_printf("%s%s%s:%d", open, host, close, graphics->port - VNC_BASE);
    /* QEMU takes the first port that is free: nobody can take it between a look of ours and its bind. */
    return g_strdup_printf("%s%s%s:0,to=%d", open, host, close, VNC_LAST - VNC_BASE);
}

gboolean
inv_command_graphics(InvCommandBuilder *builder, const InvDevice *device, GError **error)
{
    const InvGraphics *graphics = &device->u.graphics;
    g_autofree char *socket = graphics->socket ? inv_command_escape(graphics->socket) : NULL;
    g_autofree char *address = NULL;
    g_autofree char *value = NULL;

    if (!g_str_equal(graphics->type, "vnc"))
        return inv_command_unsupported(error, "graphics type", graphics->type, "type='vnc'");
    if (!graphics->autoport && !socket && graphics->port != -1 && (graphics->port < VNC_BASE || graphics->port > VNC_LAST))
        return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "graphics port %d: VNC's ports are %d to %d, -1 chooses one",
                             graphics->port, VNC_BASE, VNC_LAST);
    address = socket ? g_strdup_printf("unix:%s", socket) : vnc_address(graphics);
    /* The password itself goes over the monitor: everybody can read a command line. */
    value = g_strdup_printf("%s%s", address, graphics->passwd ? ",password=on" : "");
    inv_command_add(builder, "-vnc", value);
    return TRUE;
}

/* Only one card can be the VGA of a PC; libvirt makes the others secondary. */
static const char *
video_driver(const InvCommandBuilder *builder, const char *model, gboolean primary)
{
    static const struct {
        const char *model, *primary, *secondary;
    } cards[] = {
        { "vga", "VGA", "secondary-vga" },   { "cirrus", "cirrus-vga", NULL }, { "qxl", "qxl-vga", "qxl" },
        { "bochs", "bochs-display", "bochs-display" }, { "vmvga", "vmware-svga", NULL }, { "ramfb", "ramfb", NULL },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cards); i++) {
        if (g_str_equal(cards[i].model, model))
            return primary ? cards[i].primary : cards[i].secondary;
    }
    if (g_str_equal(model, "virtio") && primary && (builder->board == INV_BOARD_I440FX || builder->board == INV_BOARD_Q35 ||
                                                    builder->board == INV_BOARD_PSERIES))
        return "virtio-vga";
    return NULL;
}

gboolean
inv_command_video(InvCommandBuilder *builder, const InvDevice *device, GError **error)
{
    const InvVideo *video = &device->u.video;
    const char *model = video->model ? video->model : "vga";
    gboolean primary = builder->n_videos == 0;
    const char *driver = video_driver(builder, model, primary);
    InvJson *properties;

    if (g_str_equal(model, "none"))
        return TRUE;
    if (driver)
        properties = inv_command_new_device(builder, device, driver, "video", error);
    else if (g_str_equal(model, "virtio"))
        properties = inv_command_new_virtio(builder, device, "virtio-gpu", "video", error);
    else
        return inv_command_unsupported(error, primary ? "video model" : "second video card of model", model,
                                       "vga, cirrus, qxl, virtio, bochs or ramfb");
    if (!properties)
        return FALSE;
    builder->n_videos++;
    if (video->vram_kib >= 1024 && (g_str_equal(model, "vga") || g_str_equal(model, "cirrus") || g_str_equal(model, "vmvga")))
        inv_json_object_set_uint(properties, "vgamem_mb", video->vram_kib / 1024);
    if (video->heads && g_str_equal(model, "virtio"))
        inv_json_object_set_uint(properties, "max_outputs", video->heads);
    return inv_command_add_device(builder, properties, "video", error);
}

gboolean
inv_command_balloon(InvCommandBuilder *builder, const InvDevice *device, GError **error)
{
    const char *model = device->u.memballoon.model ? device->u.memballoon.model : "virtio";
    InvJson *properties;

    if (g_str_equal(model, "none"))
        return TRUE;
    if (!g_str_equal(model, "virtio"))
        return inv_command_unsupported(error, "memballoon model", model, "virtio or none");
    /* A completed definition has a balloon even where the machine has no place for one. */
    if (builder->transport == INV_TRANSPORT_NONE)
        return TRUE;
    properties = inv_command_new_virtio(builder, device, "virtio-balloon", "memballoon", error);
    return properties && inv_command_add_device(builder, properties, "memballoon", error);
}

gboolean
inv_command_rng(InvCommandBuilder *builder, const InvDevice *device, GError **error)
{
    const InvRng *rng = &device->u.rng;
    g_autofree char *id = g_strdup_printf("obj%s", inv_command_alias(builder, device));
    InvJson *properties;
    InvJson *object;

    if (rng->model && !g_str_equal(rng->model, "virtio"))
        return inv_command_unsupported(error, "rng model", rng->model, "virtio");
    if (rng->backend_model && !g_str_equal(rng->backend_model, "random"))
        return inv_command_unsupported(error, "rng backend model", rng->backend_model, "random");
    properties = inv_command_new_virtio(builder, device, "virtio-rng", "rng", error);
    if (!properties)
        return FALSE;
    object = inv_json_new_object();
    inv_json_object_set_string(object, "qom-type", "rng-random");
    inv_json_object_set_string(object, "id", id);
    inv_json_object_set_string(object, "filename", rng->backend ? rng->backend : "/dev/urandom");
    inv_command_add_json(builder, "-object", object);
    inv_json_object_set_string(properties, "rng", id);
    if (rng->rate_bytes) {
        inv_json_object_set_uint(properties, "max-bytes", rng->rate_bytes);
        inv_json_object_set_uint(properties, "period", rng->rate_period ? rng->rate_period : 1000);
    }
    return inv_command_add_device(builder, properties, "rng", error);
}
