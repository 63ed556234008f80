/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The emulators of the host, as probing found them. */
#include "cli/commands.h"
#include "cli/cpu_probe.h"
#include "cli/domain_ref.h"
#include "cli/name_order.h"
#include "cli/table.h"
#include "cli/text.h"
#include "cli/watch.h"
#include "qemu/emulator_state.h"
#include "rpc/invar_protocol.h"
#include "util/error.h"

#include <stdlib.h>
#include <string.h>

INV_RPC_AUTOCLEAN(invar_list_emulators_ret)
INV_RPC_AUTOCLEAN(invar_list_models_ret)

static const InvOption emulators_options[] = {
    { .name = "path", .type = INV_OPTION_STRING, .positional = TRUE, .complete = INV_COMPLETE_FILE,
      .help = "only this emulator, with all that is known of it" },
    INV_FLAG("refresh", "probe again even what the cache knows"),
    INV_FLAG("wait", "wait until all of them have been asked (default: show what is known now)"),
    INV_FLAG("watch", "print what becomes of them as it happens, until Ctrl-C or --timeout"),
    { .name = "timeout", .type = INV_OPTION_UINT, .help = "with --watch: end after this many seconds" },
    INV_FLAG("models", "list CPU models, and which of them can be used here"),
    INV_VALUE("machine", INV_COMPLETE_NONE, "with --models: machine type (default: the emulator's default)"),
    INV_VALUE("accel", INV_COMPLETE_VIRTTYPE, "with --models: kvm or tcg (default: kvm where it works)"),
    INV_VALUE("arch", INV_COMPLETE_NONE, "with --models: architecture, when no path is given"),
    { NULL },
};

static int
compare_machines(const void *a, const void *b)
{
    return inv_name_order(((const invar_machine *)a)->name, ((const invar_machine *)b)->name);
}

static int
compare_models(const void *a, const void *b)
{
    return inv_name_order(((const invar_cpu_model *)a)->name, ((const invar_cpu_model *)b)->name);
}

/* QEMU lists its machine types as its hash table has them. */
static void
sort_machines(invar_list_emulators_ret *ret)
{
    for (guint i = 0; i < ret->emulators.emulators_len; i++) {
        invar_emulator *emulator = &ret->emulators.emulators_val[i];

        if (emulator->machines.machines_len)
            qsort(emulator->machines.machines_val, emulator->machines.machines_len, sizeof(invar_machine), compare_machines);
    }
}

static const char *
state_name(int state)
{
    return inv_emulator_state_to_string((InvEmulatorState)state);
}

/* Its probe is under way, or begins soon: a daemon that is asked for a list sees to that. */
static gboolean
is_pending(const invar_emulator *emulator)
{
    return emulator->state == INV_EMULATOR_UNKNOWN || emulator->state == INV_EMULATOR_PROBING;
}

static InvJson *
accelerators_json(const invar_emulator *emulator)
{
    InvJson *array = inv_json_new_array();

    for (guint i = 0; i < emulator->accelerators.accelerators_len; i++) {
        const invar_accelerator *accelerator = &emulator->accelerators.accelerators_val[i];
        InvJson *object = inv_json_new_object();

        inv_json_object_set_string(object, "name", accelerator->name);
        inv_json_object_set_boolean(object, "works", accelerator->works != 0);
        inv_json_object_set_string(object, "reason", *accelerator->reason ? accelerator->reason : NULL);
        inv_json_array_add(array, object);
    }
    return array;
}

static InvJson *
machines_json(const invar_emulator *emulator)
{
    InvJson *array = inv_json_new_array();

    for (guint i = 0; i < emulator->machines.machines_len; i++) {
        const invar_machine *machine = &emulator->machines.machines_val[i];
        InvJson *object = inv_json_new_object();

        inv_json_object_set_string(object, "name", machine->name);
        inv_json_object_set_string(object, "alias", machine->alias ? *machine->alias : NULL);
        inv_json_object_set_boolean(object, "default", machine->is_default != 0);
        inv_json_object_set_boolean(object, "deprecated", machine->deprecated != 0);
        inv_json_object_set_uint(object, "max_cpus", machine->max_cpus);
        inv_json_array_add(array, object);
    }
    return array;
}

static int
emulators_json(const invar_list_emulators_ret *ret)
{
    InvJson *array = inv_json_new_array();

    for (guint i = 0; i < ret->emulators.emulators_len; i++) {
        const invar_emulator *emulator = &ret->emulators.emulators_val[i];
        InvJson *object = inv_json_new_object();

        inv_json_object_set_string(object, "path", emulator->path);
        inv_json_object_set_string(object, "state", state_name(emulator->state));
        inv_json_object_set_string(object, "error", emulator->error ? *emulator->error : NULL);
        inv_json_object_set_string(object, "arch", emulator->arch);
        inv_json_object_set_string(object, "version", emulator->qemu_version);
        inv_json_object_set_string(object, "package", emulator->package);
        inv_json_object_set(object, "accelerators", accelerators_json(emulator));
        inv_json_object_set(object, "machines", machines_json(emulator));
        inv_json_array_add(array, object);
    }
    return inv_cli_print_json(array);
}

static char *
working_accelerators(const invar_emulator *emulator)
{
    GString *names = g_string_new(NULL);

    for (guint i = 0; i < emulator->accelerators.accelerators_len; i++) {
        const invar_accelerator *accelerator = &emulator->accelerators.accelerators_val[i];

        if (accelerator->works)
            g_string_append_printf(names, "%s%s", names->len ? " " : "", accelerator->name);
    }
    if (!names->len)
        g_string_append(names, "none");
    return g_string_free(names, FALSE);
}

/* "kvm does not work: REASON", once for all the emulators for which it is the same. */
static void
print_failures(const InvCli *cli, const invar_list_emulators_ret *ret, guint width)
{
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

    for (guint i = 0; i < ret->emulators.emulators_len; i++) {
        const invar_emulator *emulator = &ret->emulators.emulators_val[i];

        for (guint k = 0; k < emulator->accelerators.accelerators_len; k++) {
            const invar_accelerator *accelerator = &emulator->accelerators.accelerators_val[k];
            g_autofree char *text = g_strdup_printf("%s does not work: %s", accelerator->name, accelerator->reason);
            g_autofree char *escaped = inv_text_escape(text, INV_TEXT_LINE);
            g_auto(GStrv) lines = inv_text_wrap(escaped, width - 2);

            if (accelerator->works || !g_hash_table_add(seen, g_strdup(text)))
                continue;
            for (char **line = lines; *line; line++) {
                g_autofree char *painted = inv_cli_paint(cli, INV_COLOUR_WARN, *line);

                inv_cli_print("%s%s\n", line == lines ? (g_hash_table_size(seen) == 1 ? "\n " : " ") : "   ", painted);
            }
        }
    }
}

static int
print_overview(const InvCli *cli, const invar_list_emulators_ret *ret, guint width)
{
    g_autoptr(InvTable) table = inv_table_new("Emulator", "Arch", "Version", "Accelerators", "Machines", NULL);
    g_autofree char *text = NULL;
    guint pending = 0;

    for (guint i = 0; i < ret->emulators.emulators_len; i++) {
        const invar_emulator *emulator = &ret->emulators.emulators_val[i];
        g_autofree char *accelerators = working_accelerators(emulator);
        g_autofree char *machines = g_strdup_printf("%u", emulator->machines.machines_len);

        pending += is_pending(emulator);
        if (is_pending(emulator))
            inv_table_add(table, emulator->path, "-", "-", "-", "is being asked", NULL);
        else if (emulator->error)
            inv_table_add(table, emulator->path, "-", "-", "-", *emulator->error, NULL);
        else
            inv_table_add(table, emulator->path, emulator->arch, emulator->qemu_version, accelerators, machines, NULL);
    }
    text = inv_table_format(table, !cli->quiet, width);
    inv_cli_print("%s", text);
    print_failures(cli, ret, width);
    if (pending && !cli->quiet)
        inv_cli_print("\n %u of %u are being asked: --wait waits for them, --watch shows how it goes\n", pending,
                      ret->emulators.emulators_len);
    return INV_EXIT_OK;
}

static void
print_one(const invar_emulator *emulator, guint width)
{
    enum { LABEL = 14 };
    g_autoptr(InvTable) accelerators = inv_table_new("Accelerator", "Works", "Why not", NULL);
    g_autoptr(InvTable) machines = inv_table_new("Machine", "Alias", "Max CPUs", "Notes", NULL);
    g_autofree char *accelerator_text = NULL;
    g_autofree char *machine_text = NULL;

    inv_cli_print_field(LABEL, "Emulator", "%s", emulator->path);
    if (emulator->error) {
        inv_cli_print_field(LABEL, "Probe failed", "%s", *emulator->error);
        return;
    }
    inv_cli_print_field(LABEL, "Architecture", "%s", emulator->arch);
    inv_cli_print_field(LABEL, "Version", "%s", emulator->qemu_version);
    if (*emulator->package)
        inv_cli_print_field(LABEL, "Package", "%s", emulator->package);
    for (guint i = 0; i < emulator->accelerators.accelerators_len; i++) {
        const invar_accelerator *accelerator = &emulator->accelerators.accelerators_val[i];

        inv_table_add(accelerators, accelerator->name, accelerator->works ? "yes" : "no", accelerator->reason, NULL);
    }
    for (guint i = 0; i < emulator->machines.machines_len; i++) {
        const invar_machine *machine = &emulator->machines.machines_val[i];
        g_autofree char *cpus = g_strdup_printf("%u", machine->max_cpus);
        const char *notes = machine->is_default ? machine->deprecated ? "default, deprecated" : "default"
                            : machine->deprecated ? "deprecated" : "";

        inv_table_add(machines, machine->name, machine->alias ? *machine->alias : "", cpus, notes, NULL);
    }
    accelerator_text = inv_table_format(accelerators, TRUE, width);
    machine_text = inv_table_format(machines, TRUE, 0);
    inv_cli_print("\n%s\n%s", accelerator_text, machine_text);
}

static int
models_json(const invar_list_models_ret *ret)
{
    InvJson *json = inv_json_new_object();
    InvJson *array = inv_json_new_array();

    for (guint i = 0; i < ret->models.models_len; i++) {
        const invar_cpu_model *model = &ret->models.models_val[i];
        InvJson *object = inv_json_new_object();
        InvJson *unavailable = inv_json_new_array();

        inv_json_object_set_string(object, "name", model->name);
        inv_json_object_set_string(object, "alias_of", model->alias_of ? *model->alias_of : NULL);
        inv_json_object_set(object, "usable", model->usable < 0 ? inv_json_new_null() : inv_json_new_boolean(model->usable > 0));
        inv_json_object_set_boolean(object, "deprecated", model->deprecated != 0);
        for (guint k = 0; k < model->unavailable.unavailable_len; k++)
            inv_json_array_add_string(unavailable, model->unavailable.unavailable_val[k]);
        inv_json_object_set(object, "unavailable", unavailable);
        inv_json_array_add(array, object);
    }
    inv_json_object_set_string(json, "emulator", ret->emulator);
    inv_json_object_set_string(json, "machine", ret->machine);
    inv_json_object_set_string(json, "virttype", ret->virttype);
    inv_json_object_set(json, "models", array);
    return inv_cli_print_json(json);
}

static char *
model_notes(const invar_cpu_model *model)
{
    GString *notes = g_string_new(NULL);

    if (model->alias_of)
        g_string_append_printf(notes, "= %s", *model->alias_of);
    if (model->deprecated)
        g_string_append_printf(notes, "%sdeprecated", notes->len ? "; " : "");
    for (guint i = 0; i < model->unavailable.unavailable_len; i++)
        g_string_append_printf(notes, "%s%s", i ? " " : notes->len ? "; missing: " : "missing: ", model->unavailable.unavailable_val[i]);
    return g_string_free(notes, FALSE);
}

static int
models_print(const InvCli *cli, const invar_list_models_ret *ret, guint width)
{
    g_autoptr(InvTable) table = inv_table_new("Model", "Usable", "Notes", NULL);
    g_autofree char *text = NULL;
    guint usable = 0;

    for (guint i = 0; i < ret->models.models_len; i++) {
        const invar_cpu_model *model = &ret->models.models_val[i];
        g_autofree char *notes = model_notes(model);

        usable += model->usable > 0;
        inv_table_add(table, model->name, model->usable < 0 ? "-" : model->usable ? "yes" : "no", notes, NULL);
    }
    text = inv_table_format(table, !cli->quiet, width);
    if (!cli->quiet) {
        inv_cli_print_field(9, "Emulator", "%s", ret->emulator);
        inv_cli_print_field(9, "Machine", "%s", ret->machine);
        inv_cli_print_field(9, "Type", "%s", ret->virttype);
        inv_cli_print("Models:   %u, of which %u can be used here\n\n", ret->models.models_len, usable);
    }
    inv_cli_print("%s", text);
    return INV_EXIT_OK;
}

static int
run_models(InvCli *cli, const InvArgs *args, char *path, GError **error)
{
    char *arch = (char *)inv_args_string(args, "arch");
    char *machine = (char *)inv_args_string(args, "machine");
    const char *accel = inv_args_string(args, "accel");
    /* QEMU says "tcg" where libvirt's type of a domain says "qemu". */
    char *virttype = (char *)(accel && !strcmp(accel, "tcg") ? "qemu" : accel);
    invar_list_models_args call = {
        .emulator = path ? &path : NULL,
        .arch = arch ? &arch : NULL,
        .machine = machine ? &machine : NULL,
        .virttype = virttype ? &virttype : NULL,
    };
    g_auto(invar_list_models_ret) ret = { 0 };

    if (!inv_cli_call_invar(cli, INVAR_PROC_LIST_MODELS, &call, &ret, error))
        return inv_cli_fail(cli, "Failed to list CPU models");
    if (ret.models.models_len)
        qsort(ret.models.models_val, ret.models.models_len, sizeof(invar_cpu_model), compare_models);
    return cli->json ? models_json(&ret) : models_print(cli, &ret, inv_text_terminal_width());
}

static int
run_emulators(InvCli *cli, const InvArgs *args, GError **error)
{
    g_autofree char *path = inv_cpu_probe_path(inv_args_string(args, "path"));
    static const char *const model_options[] = { "machine", "accel", "arch" };
    gboolean refresh = inv_args_flag(args, "refresh");
    /* Who names one, or has all of them asked, wants the answer. */
    gboolean at_once = !path && !refresh && !inv_args_flag(args, "wait");
    invar_list_emulators_args call = { .path = path ? &path : NULL,
                                       .flags = (refresh ? INVAR_EMULATORS_REFRESH : 0) | (at_once ? INVAR_EMULATORS_AT_ONCE : 0) };
    g_auto(invar_list_emulators_ret) ret = { 0 };
    gboolean models = inv_args_flag(args, "models");

    for (guint i = 0; i < G_N_ELEMENTS(model_options) && !models; i++) {
        if (inv_args_string(args, model_options[i])) {
            inv_error_set(error, VIR_ERR_INVALID_ARG, "--%s means something with --models only", model_options[i]);
            return INV_EXIT_USAGE;
        }
    }
    if (inv_args_flag(args, "watch")) {
        if (models || refresh || inv_args_flag(args, "wait")) {
            inv_error_set(error, VIR_ERR_INVALID_ARG, "--watch goes with none of --models, --refresh and --wait");
            return INV_EXIT_USAGE;
        }
        return inv_run_emulator_watch(cli, path, inv_args_uint(args, "timeout", 0), error);
    }
    if (inv_args_uint(args, "timeout", 0)) {
        inv_error_set(error, VIR_ERR_INVALID_ARG, "--timeout means something with --watch only");
        return INV_EXIT_USAGE;
    }
    /* Models come from the cache too: a refresh goes first. */
    if (models && !refresh)
        return run_models(cli, args, path, error);
    if (!inv_cli_call_invar(cli, INVAR_PROC_LIST_EMULATORS, &call, &ret, error))
        return inv_cli_fail(cli, "Failed to probe the emulators");
    if (models)
        return run_models(cli, args, path, error);
    sort_machines(&ret);
    if (cli->json)
        return emulators_json(&ret);
    if (!path)
        return print_overview(cli, &ret, inv_text_terminal_width());
    for (guint i = 0; i < ret.emulators.emulators_len; i++)
        print_one(&ret.emulators.emulators_val[i], inv_text_terminal_width());
    return INV_EXIT_OK;
}

const InvCommand inv_emulator_commands[] = {
    { "emulators", "what the host's emulators can do, as probing found it",
      "List the emulators with their versions, the accelerators that really work and\n"
      "why the others do not, machine types, and with --models the CPU models.",
      emulators_options, run_emulators, FALSE },
    { NULL },
};
