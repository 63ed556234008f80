/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/emulator_choice.h"

#include "util/error.h"

void
inv_emulator_choice_clear(InvEmulatorChoice *choice)
{
    g_clear_pointer(&choice->emulator, inv_emulator_unref);
}

gboolean
inv_virt_type_parse(const char *text, InvVirtType *type, GError **error)
{
    if (g_ascii_strcasecmp(text, "kvm") == 0)
        *type = INV_VIRT_KVM;
    else if (g_ascii_strcasecmp(text, "qemu") == 0 || g_ascii_strcasecmp(text, "tcg") == 0)
        *type = INV_VIRT_QEMU;
    else
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "unknown virtualization type '%s'; known: kvm, qemu", text);
    return TRUE;
}

gboolean
inv_emulator_choose(InvDaemon *daemon, const char *path, const char *arch, const char *machine, const char *virt_type,
                    gboolean expansions, InvEmulatorChoice *choice, GError **error)
{
    guint deadline = inv_daemon_probe_deadline(daemon);

    choice->emulator =
        inv_emulators_get(daemon->emulators, path, arch ? arch : path ? NULL : daemon->host_arch, deadline, error);
    if (!choice->emulator)
        return FALSE;
    if (!virt_type)
        choice->type = inv_emulator_check_accelerator(choice->emulator, INV_VIRT_KVM, NULL) ? INV_VIRT_KVM : INV_VIRT_QEMU;
    else if (!inv_virt_type_parse(virt_type, &choice->type, error))
        return FALSE;
    if (!inv_emulator_check_accelerator(choice->emulator, choice->type, error))
        return FALSE;
    choice->machine = inv_emulator_usual_machine(choice->emulator, machine, error);
    return choice->machine && inv_emulator_cpu_facts(choice->emulator, choice->type, choice->machine->name, expansions ? INV_EXPANSIONS_ALL : INV_EXPANSIONS_HOST,
                                                     deadline, &choice->facts, error);
}
