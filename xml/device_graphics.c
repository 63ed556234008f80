/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "xml/device_class.h"

#include <string.h>

static const char *const graphics_types[] = { "vnc", "spice", "sdl", "rdp", "desktop", "egl-headless", "dbus", NULL };
static const char *const graphics_children[] = { "listen", "alias", "address", "boot", NULL };
static const char *const video_children[] = { "model", "alias", "address", "boot", NULL };

static const gsize graphics_strings[] = {
    G_STRUCT_OFFSET(InvDevice, u.graphics.type),   G_STRUCT_OFFSET(InvDevice, u.graphics.listen),
    G_STRUCT_OFFSET(InvDevice, u.graphics.passwd), G_STRUCT_OFFSET(InvDevice, u.graphics.socket),
    0,
};

static const gsize video_strings[] = { G_STRUCT_OFFSET(InvDevice, u.video.model), 0 };

static void
init_graphics(InvDevice *device)
{
    device->u.graphics.port = -1;
    device->u.graphics.live_port = -1;
}

static gboolean
parse_listen(InvGraphics *graphics, xmlNodePtr node, GError **error)
{
    xmlNodePtr listen = inv_node_child(node, "listen");
    g_autofree char *type = listen ? inv_node_required(listen, "type", error) : NULL;
    g_autofree char *address = NULL;

    graphics->listen = inv_node_attr(node, "listen");
    graphics->socket = inv_node_attr(node, "socket");
    if (!listen)
        return TRUE;
    if (!type)
        return FALSE;
    address = inv_node_attr(listen, "address");
    if (strcmp(type, "address") == 0) {
        if (graphics->listen && address && strcmp(graphics->listen, address) != 0)
            return inv_node_fail(listen, "address", VIR_ERR_XML_ERROR, error, "<graphics> itself says listen='%.64s'",
                                 graphics->listen);
        if (!graphics->listen)
            graphics->listen = g_steal_pointer(&address);
    } else if (strcmp(type, "socket") == 0 && !graphics->socket) {
        graphics->socket = inv_node_attr(listen, "socket");
    }
    return TRUE;
}

static gboolean
parse_port(InvGraphics *graphics, xmlNodePtr node, gboolean live, GError **error)
{
    InvTristate autoport = INV_TRISTATE_UNSET;
    g_autofree char *text = inv_node_attr(node, "port");
    guint port = 0;

    if (!inv_node_words(node, "autoport", &inv_yes_no, (guint *)&autoport, error))
        return FALSE;
    if (text && strcmp(text, "-1") != 0 && !inv_node_uint(node, "port", 0, 65535, &port, error))
        return FALSE;
    graphics->autoport = autoport == INV_TRISTATE_ON || port == 0;
    if (graphics->autoport && live && port)
        graphics->live_port = (int)port;
    graphics->port = graphics->autoport ? -1 : (int)port;
    return TRUE;
}

static gboolean
parse_graphics(InvDevice *device, xmlNodePtr node, gboolean live, GError **error)
{
    InvGraphics *graphics = &device->u.graphics;

    graphics->type = inv_node_required(node, "type", error);
    if (!graphics->type)
        return FALSE;
    if (!inv_name_in(graphics->type, graphics_types)) {
        g_autofree char *known = g_strjoinv(", ", (char **)graphics_types);

        return inv_node_fail(node, "type", VIR_ERR_XML_ERROR, error, "unknown value; known: %s", known);
    }
    graphics->passwd = inv_node_attr(node, "passwd");
    return parse_listen(graphics, node, error) && parse_port(graphics, node, live, error);
}

static void
format_listen(const InvGraphics *graphics, xmlNodePtr node)
{
    xmlNodePtr listen = inv_node_child(node, "listen");
    g_autofree char *type = listen ? inv_node_attr(listen, "type") : NULL;

    inv_node_set(node, "listen", graphics->listen);
    if (inv_node_has(node, "socket") || (graphics->socket && !listen))
        inv_node_set(node, "socket", graphics->socket);
    if (type && strcmp(type, "socket") == 0)
        inv_node_set(listen, "socket", graphics->socket);
    if (graphics->listen && !graphics->socket && (!type || strcmp(type, "address") == 0)) {
        listen = inv_node_ensure(node, "listen", inv_device_order);
        inv_node_set(listen, "type", "address");
        inv_node_set(listen, "address", graphics->listen);
    }
}

static void
format_graphics(const InvDevice *device, xmlNodePtr node, InvFormatFlags flags)
{
    const InvGraphics *graphics = &device->u.graphics;

    inv_node_set(node, "type", graphics->type);
    if (strcmp(graphics->type, "vnc") == 0 && !graphics->socket) {
        int port = graphics->autoport && inv_format_is_live(flags) ? graphics->live_port : graphics->port;

        inv_node_setf(node, "port", "%d", port);
        inv_node_set(node, "autoport", graphics->autoport ? "yes" : "no");
    }
    inv_node_set(node, "passwd", flags & INV_FORMAT_SECURE ? graphics->passwd : NULL);
    if (strcmp(graphics->type, "vnc") == 0)
        format_listen(graphics, node);
}

static gboolean
parse_video(InvDevice *device, xmlNodePtr node, gboolean live, GError **error)
{
    xmlNodePtr model;

    if (!inv_node_only_child(node, "model", &model, error))
        return FALSE;
    if (!model)
        return TRUE;
    device->u.video.model = inv_node_required(model, "type", error);
    return device->u.video.model && inv_node_uint(model, "vram", 0, G_MAXINT, &device->u.video.vram_kib, error)
           && inv_node_uint(model, "heads", 0, 64, &device->u.video.heads, error);
}

static void
format_video(const InvDevice *device, xmlNodePtr node, InvFormatFlags flags)
{
    const InvVideo *video = &device->u.video;
    xmlNodePtr model;

    if (!video->model)
        return;
    model = inv_node_ensure(node, "model", inv_device_order);
    inv_node_set(model, "type", video->model);
    if (video->vram_kib)
        inv_node_setf(model, "vram", "%u", video->vram_kib);
    if (video->heads)
        inv_node_setf(model, "heads", "%u", video->heads);
}

const InvDeviceClass inv_graphics_class = {
    .element = "graphics",
    .children = graphics_children,
    .strings = graphics_strings,
    .init = init_graphics,
    .parse = parse_graphics,
    .format = format_graphics,
};

const InvDeviceClass inv_video_class = {
    .element = "video",
    .children = video_children,
    .strings = video_strings,
    .parse = parse_video,
    .format = format_video,
};
