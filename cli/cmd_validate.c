/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Is this host fit to run guests? Asked without a daemon, since it may be why there is none. */
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/text.h"
#include "qemu/host_check.h"
#include "util/error.h"

#include <errno.h>
#include <string.h>
#include <sys/utsname.h>

static InvColour
colour_of(InvCheckResult result)
{
    switch (result) {
    case INV_CHECK_PASS:
        return INV_COLOUR_GOOD;
    case INV_CHECK_NOTE:
        return INV_COLOUR_FAINT;
    case INV_CHECK_WARN:
        return INV_COLOUR_WARN;
    case INV_CHECK_FAIL:
        return INV_COLOUR_BAD;
    }
    return INV_COLOUR_NONE;
}

static int
print_checks_json(const GPtrArray *checks)
{
    InvJson *list = inv_json_new_array();

    for (guint i = 0; i < checks->len; i++) {
        const InvHostCheck *check = g_ptr_array_index(checks, i);
        InvJson *one = inv_json_new_object();

        inv_json_object_set_string(one, "check", check->name);
        inv_json_object_set_string(one, "result", inv_check_result_to_string(check->result));
        inv_json_object_set_string(one, "detail", check->detail);
        inv_json_object_set_string(one, "remedy", check->remedy);
        inv_json_array_add(list, one);
    }
    return inv_cli_print_json(list);
}

static void
print_checks(const InvCli *cli, const GPtrArray *checks)
{
    guint width = 0;

    for (guint i = 0; i < checks->len; i++)
        width = MAX(width, (guint)strlen(((const InvHostCheck *)g_ptr_array_index(checks, i))->name));
    for (guint i = 0; i < checks->len; i++) {
        const InvHostCheck *check = g_ptr_array_index(checks, i);
        g_autofree char *result = inv_cli_paint(cli, colour_of(check->result), inv_check_result_to_string(check->result));
        g_autofree char *detail = check->detail ? inv_text_escape(check->detail, INV_TEXT_LINE) : NULL;

        inv_cli_print("%-*s  %s%s%s\n", (int)width, check->name, result, detail ? "  " : "", detail ? detail : "");
        if (check->remedy)
            inv_cli_print("%-*s        → %s\n", (int)width, "", check->remedy);
    }
}

static int
run_host_validate(InvCli *cli, const InvArgs *args, GError **error)
{
    g_autoptr(GPtrArray) checks = NULL;
    struct utsname host;
    g_autoptr(GString) failed = g_string_new(NULL);

    if (uname(&host) < 0) {
        inv_error_set_errno(error, errno, "cannot tell the architecture of this host");
        return INV_EXIT_ERROR;
    }
    checks = inv_host_checks("", host.machine, NULL);
    for (guint i = 0; i < checks->len; i++) {
        const InvHostCheck *check = g_ptr_array_index(checks, i);

        if (check->result == INV_CHECK_FAIL)
            g_string_append_printf(failed, "%s%s", failed->len ? ", " : "", check->name);
    }
    if (cli->json)
        print_checks_json(checks);
    else
        print_checks(cli, checks);
    if (!failed->len)
        return INV_EXIT_OK;
    inv_error_set(error, VIR_ERR_OPERATION_FAILED, "this host is not fit to run guests: %s", failed->str);
    return INV_EXIT_ERROR;
}

const InvCommand inv_validate_commands[] = {
    { "host-validate", "is this host fit to run guests",
      "Look at what guests need of this host: hardware virtualization, /dev/kvm, an\n"
      "emulator, processors that are alike, cgroups, devices. No daemon is needed.\n"
      "Exit status: 1 when one of them fails.",
      NULL, run_host_validate, FALSE },
    { NULL },
};
