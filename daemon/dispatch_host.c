/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The host and its emulators. */
#include "daemon/capabilities.h"
#include "daemon/dispatch.h"
#include "daemon/domain_capabilities.h"
#include "daemon/emulator_choice.h"
#include "daemon/host.h"
#include "daemon/kept_answers.h"
#include "rpc/frame.h"
#include "util/error.h"

#include <string.h>

static gboolean
get_hostname(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    ((remote_connect_get_hostname_ret *)ret)->hostname = inv_host_hostname();
    return TRUE;
}

static gboolean
get_sysinfo(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    remote_connect_get_sysinfo_ret *reply = ret;

    if (!inv_dispatch_check_flags(((remote_connect_get_sysinfo_args *)args)->flags, 0, "sysinfo", error))
        return FALSE;
    reply->sysinfo = inv_host_sysinfo(error);
    return reply->sysinfo != NULL;
}

static gboolean
get_node_info(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    remote_node_get_info_ret *reply = ret;
    InvNodeInfo info = { 0 };

    if (!inv_host_node_info(&info, error))
        return FALSE;
    /* The wire has no room for a final NUL to be missing: libvirt's field ends in one. */
    g_strlcpy(reply->model, info.model, sizeof(reply->model));
    reply->memory = info.memory_kib;
    reply->cpus = (int)info.cpus;
    reply->mhz = (int)info.mhz;
    reply->nodes = (int)info.nodes;
    reply->sockets = (int)info.sockets;
    reply->cores = (int)info.cores;
    reply->threads = (int)info.threads;
    return TRUE;
}

static gboolean
get_free_memory(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    guint64 bytes = 0;

    if (!inv_host_free_memory(&bytes, error))
        return FALSE;
    ((remote_node_get_free_memory_ret *)ret)->freeMem = bytes;
    return TRUE;
}

/* The emulator that stands for the host where a call names none. */
static InvEmulator *
default_emulator(InvDaemon *daemon, GError **error)
{
    return inv_emulators_get(daemon->emulators, NULL, daemon->host_arch, inv_daemon_probe_deadline(daemon), error);
}

static gboolean
get_version(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    g_autoptr(InvEmulator) emulator = default_emulator(user_data, error);

    if (!emulator)
        return FALSE;
    ((remote_connect_get_version_ret *)ret)->hv_ver = inv_emulator_version(emulator);
    return TRUE;
}

static gboolean
get_max_vcpus(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_connect_get_max_vcpus_args *wanted = args;
    g_autoptr(InvEmulator) emulator = NULL;
    const InvMachine *machine = NULL;
    InvVirtType type;

    /* The limit is the machine type's, under either; the word must be one, though. */
    if (wanted->type && !inv_virt_type_parse(*wanted->type, &type, error))
        return FALSE;
    emulator = default_emulator(user_data, error);
    machine = emulator ? inv_emulator_usual_machine(emulator, NULL, error) : NULL;
    if (!machine)
        return FALSE;
    ((remote_connect_get_max_vcpus_ret *)ret)->max_vcpus = (int)machine->max_cpus;
    return TRUE;
}

/* A document that was given before, and is still true, leaves from the I/O thread as it was sent then. */
static GBytes *
answer_at_hand(InvRpcClient *client, guint32 procedure, const guint8 *args, gsize length, gpointer user_data)
{
    InvDaemon *daemon = user_data;

    return inv_answer_cache_get(daemon->answers, inv_emulators_generation(daemon->emulators), procedure, args, length);
}

/* Keeps a reply for that. @args NULL: the procedure has none. Takes *@freshness over; it and @generation are of before the answer. */
static void
remember(InvDaemon *daemon, guint generation, guint32 procedure, gpointer args, gpointer reply, InvFreshness **freshness)
{
    const InvRpcProcedure *known = inv_rpc_program_find(&inv_rpc_remote_program, procedure);
    g_autoptr(GBytes) question = args ? inv_rpc_payload_encode(known->args, args, NULL) : g_bytes_new_static("", 0);
    g_autoptr(GBytes) result = inv_rpc_payload_encode(known->ret, reply, NULL);

    /* What cannot be encoded is the sender's trouble. */
    if (question && result)
        inv_answer_cache_put(daemon->answers, generation, procedure, g_bytes_get_data(question, NULL), g_bytes_get_size(question),
                             g_steal_pointer(freshness), result);
}

static gboolean
get_capabilities(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    remote_connect_get_capabilities_ret *reply = ret;
    InvDaemon *daemon = user_data;

    guint generation = inv_emulators_generation(daemon->emulators);
    g_autoptr(InvFreshness) freshness = inv_freshness_new();
    gboolean complete = FALSE;

    inv_capabilities_watch(daemon->emulators, freshness);
    reply->capabilities = inv_capabilities_format(daemon->emulators, inv_daemon_probe_deadline(daemon), &complete, error);
    if (!reply->capabilities)
        return FALSE;
    /* One that hangs keeps no client waiting; who asks later hears of it if it answers. */
    if (complete)
        remember(daemon, generation, REMOTE_PROC_CONNECT_GET_CAPABILITIES, NULL, reply, &freshness);
    return TRUE;
}

/* The question in one line, in which nothing that a client sent is mistaken for anything else. */
static char *
name_question(const remote_connect_get_domain_capabilities_args *wanted)
{
    const remote_string words[] = { wanted->emulatorbin, wanted->arch, wanted->machine, wanted->virttype };
    g_autoptr(GString) text = g_string_new("domcapabilities");

    for (gsize i = 0; i < G_N_ELEMENTS(words); i++) {
        const char *word = inv_dispatch_optional(words[i]);
        g_autofree char *escaped = word ? g_strescape(word, NULL) : NULL;

        g_string_append_printf(text, word ? " \"%s\"" : " -", escaped);
    }
    return g_string_free(g_steal_pointer(&text), FALSE);
}

/* *@freshness: of before the answer. */
static char *
make_domain_capabilities(InvDaemon *daemon, const remote_connect_get_domain_capabilities_args *wanted, InvFreshness *freshness,
                         GError **error)
{
    guint deadline = inv_daemon_probe_deadline(daemon);
    const char *emulator = inv_dispatch_optional(wanted->emulatorbin), *arch = inv_dispatch_optional(wanted->arch);
    const char *type = inv_dispatch_optional(wanted->virttype);

    if (!inv_domain_capabilities_watch(daemon->emulators, emulator, arch, type, deadline, freshness, error))
        return NULL;
    return inv_domain_capabilities_format(daemon->emulators, emulator, arch, inv_dispatch_optional(wanted->machine), type, deadline, error);
}

static gboolean
get_domain_capabilities(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_connect_get_domain_capabilities_args *wanted = args;
    remote_connect_get_domain_capabilities_ret *reply = ret;
    InvDaemon *daemon = user_data;
    /* libvirt ≥ 10.10's VIR_CONNECT_GET_DOMAIN_CAPABILITIES_DISABLE_DEPRECATED_FEATURES is for s390x alone. */
    const unsigned int disable_deprecated = 1;
    guint generation = inv_emulators_generation(daemon->emulators);
    gboolean kvm = g_strcmp0(inv_dispatch_optional(wanted->virttype), "qemu") != 0;
    g_autoptr(InvFreshness) freshness = NULL;
    g_autofree char *question = NULL;

    if (!inv_dispatch_check_flags(wanted->flags, disable_deprecated, "domain capabilities", error) ||
        !inv_dispatch_check_emulator(client, daemon, inv_dispatch_optional(wanted->emulatorbin), error))
        return FALSE;
    question = name_question(wanted);
    reply->capabilities = inv_kept_answers_get(daemon->kept, question, kvm, &freshness);
    if (!reply->capabilities) {
        g_autofree char *state = inv_kept_answers_state(daemon->kept, kvm);

        freshness = inv_freshness_new();
        reply->capabilities = make_domain_capabilities(daemon, wanted, freshness, error);
        if (!reply->capabilities)
            return FALSE;
        if (generation == inv_emulators_generation(daemon->emulators))
            inv_kept_answers_put(daemon->kept, question, state, freshness, reply->capabilities);
    }
    remember(daemon, generation, REMOTE_PROC_CONNECT_GET_DOMAIN_CAPABILITIES, args, reply, &freshness);
    return TRUE;
}

static gboolean
get_cpu_model_names(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_connect_get_cpu_model_names_args *wanted = args;
    remote_connect_get_cpu_model_names_ret *reply = ret;
    InvDaemon *daemon = user_data;
    g_auto(GStrv) names = NULL;

    if (!inv_dispatch_check_flags(wanted->flags, 0, "CPU model names", error))
        return FALSE;
    names = inv_cpu_model_names(daemon->emulators, wanted->arch, inv_daemon_probe_deadline(daemon), error);
    if (!names)
        return FALSE;
    reply->ret = (int)g_strv_length(names);
    if (reply->ret > REMOTE_CONNECT_CPU_MODELS_MAX)
        return inv_error_set(error, VIR_ERR_RPC, "%d CPU models are more than the %d that libvirt's protocol can list",
                             reply->ret, REMOTE_CONNECT_CPU_MODELS_MAX);
    if (wanted->need_results) {
        reply->models.models_len = (guint)reply->ret;
        reply->models.models_val = g_steal_pointer(&names);
    }
    return TRUE;
}

/* These lengths count the final NUL, which libvirt's clients rely on. */
static void
fill_label(u_int *length, char **value, const char *text)
{
    *value = g_strdup(text);
    *length = (u_int)strlen(text) + 1;
}

static gboolean
get_security_model(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    remote_node_get_security_model_ret *reply = ret;

    fill_label(&reply->model.model_len, &reply->model.model_val, "none");
    fill_label(&reply->doi.doi_len, &reply->doi.doi_val, "0");
    return TRUE;
}

static gboolean
get_security_label(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_domain_get_security_label_args *wanted = args;
    remote_domain_get_security_label_ret *reply = ret;
    g_autoptr(InvVm) vm = inv_dispatch_find(user_data, &wanted->dom, error);

    if (!vm)
        return FALSE;
    fill_label(&reply->label.label_len, &reply->label.label_val, "");
    return TRUE;
}

#define AT_ONCE (INV_RPC_INLINE | INV_RPC_READ)

static const InvRpcMethod methods[] = {
    { REMOTE_PROC_CONNECT_GET_HOSTNAME, get_hostname, AT_ONCE },
    { REMOTE_PROC_CONNECT_GET_SYSINFO, get_sysinfo, INV_RPC_READ },
    { REMOTE_PROC_NODE_GET_INFO, get_node_info, INV_RPC_READ },
    { REMOTE_PROC_NODE_GET_FREE_MEMORY, get_free_memory, INV_RPC_READ },
    { REMOTE_PROC_NODE_GET_SECURITY_MODEL, get_security_model, AT_ONCE },
    { REMOTE_PROC_DOMAIN_GET_SECURITY_LABEL, get_security_label, AT_ONCE },
    { REMOTE_PROC_CONNECT_GET_VERSION, get_version, INV_RPC_READ },
    { REMOTE_PROC_CONNECT_GET_MAX_VCPUS, get_max_vcpus, INV_RPC_READ },
    { REMOTE_PROC_CONNECT_GET_CAPABILITIES, get_capabilities, INV_RPC_READ, .ready = answer_at_hand },
    { REMOTE_PROC_CONNECT_GET_DOMAIN_CAPABILITIES, get_domain_capabilities, INV_RPC_READ, .ready = answer_at_hand },
    { REMOTE_PROC_CONNECT_GET_CPU_MODEL_NAMES, get_cpu_model_names, INV_RPC_READ },
};

const InvDispatchFamily inv_dispatch_host = { methods, G_N_ELEMENTS(methods) };
