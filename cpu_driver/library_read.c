/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu_driver/input.h"
#include "cpu_driver/library.h"
#include "util/error.h"
#include "util/json.h"
#include "xml/node.h"

#include <string.h>

typedef struct {
    InvarCpuContext *context;
    const char *default_arch; /* NULL: not said */
    gboolean one;             /* no more than one CPU is wanted */
    InvarCpuVisit visit;
    void *user_data;
    InvarCpu *first;          /* where one is wanted, owned */
    guint cpus;
    guint others;             /* JSON documents that describe none */
    char *refusal;            /* what QEMU answered instead */
    InvarCpuStatus status;    /* the visitor's, and its text */
    char *status_text;
} Reading;

/* The CPU is the callee's. FALSE: no more is wanted, or an error. */
static gboolean
give(Reading *reading, InvarCpu *cpu, GError **error)
{
    reading->cpus++;
    if (!reading->one) {
        reading->status = reading->visit(cpu, reading->user_data, &reading->status_text);
        return reading->status == INVAR_CPU_OK;
    }
    if (reading->first) {
        invar_cpu_unref(cpu);
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "a second CPU begins here, and one is wanted; give one, or ask for all");
    }
    reading->first = cpu;
    return TRUE;
}

static const char *
arch_or_default(const Reading *reading, const char *arch)
{
    return arch && *arch ? arch : reading->default_arch ? reading->default_arch : "x86_64";
}

/* <signature family='6' model='94' stepping='3'/>, which libvirt writes beside a host's model. */
static gboolean
take_signature(InvarCpu *cpu, xmlNodePtr element, GError **error)
{
    xmlNodePtr node = inv_node_child(element, "signature");
    guint family = 0, model = 0, stepping = 0;

    if (!node || !inv_node_has(node, "family") || !inv_node_has(node, "model"))
        return TRUE;
    if (!inv_node_uint(node, "family", 0, 0xffff, &family, error) || !inv_node_uint(node, "model", 0, 0xffff, &model, error) ||
        !inv_node_uint(node, "stepping", 0, 0xffff, &stepping, error))
        return FALSE;
    cpu->family = family;
    cpu->model_number = model;
    cpu->stepping = stepping;
    return TRUE;
}

static InvarCpu *
read_element(const Reading *reading, InvarCpuFormat format, xmlNodePtr node, const char *arch, GError **error)
{
    InvCpu *document = inv_cpu_read_node(node, error);
    g_autoptr(InvarCpu) cpu = NULL;

    if (document)
        cpu = inv_library_cpu_of_document(reading->context, format, arch_or_default(reading, document->arch ? document->arch : arch), document, error);
    return cpu && take_signature(cpu, node, error) ? g_steal_pointer(&cpu) : NULL;
}

static InvarCpu *
read_domain(const Reading *reading, xmlNodePtr root, GError **error)
{
    xmlNodePtr os = inv_node_child(root, "os");
    xmlNodePtr type = os ? inv_node_child(os, "type") : NULL;
    g_autofree char *arch = type ? inv_node_attr(type, "arch") : NULL;
    xmlNodePtr node = inv_node_child(root, "cpu");

    if (node)
        return read_element(reading, INVAR_CPU_FORMAT_DOMAIN, node, arch, error);
    inv_error_set(error, VIR_ERR_NO_SUPPORT, "the domain has no <cpu>: its CPU is the default of its machine type, which only QEMU knows");
    return NULL;
}

static InvarCpu *
read_capabilities(const Reading *reading, xmlNodePtr root, GError **error)
{
    xmlNodePtr host = inv_node_child(root, "host");
    xmlNodePtr node = host ? inv_node_child(host, "cpu") : NULL;

    if (node && inv_node_child(node, "model"))
        return read_element(reading, INVAR_CPU_FORMAT_CAPABILITIES, node, NULL, error);
    inv_node_fail(node ? node : host ? host : root, NULL, VIR_ERR_XML_ERROR, error, "the capabilities say nothing of the host's CPU (<host><cpu><model>)");
    return NULL;
}

/* <mode name='host-model'> has what a <cpu> has: it is read as one. */
static InvarCpu *
read_domain_capabilities(const Reading *reading, xmlNodePtr root, GError **error)
{
    g_autofree char *arch = inv_node_child_token(root, "arch");
    xmlNodePtr cpu = inv_node_child(root, "cpu");
    xmlNodePtr mode = NULL;

    INV_NODE_FOREACH(child, cpu ? cpu : root)
    {
        g_autofree char *name = inv_node_is(child, "mode") ? inv_node_attr(child, "name") : NULL;
        g_autofree char *supported = name ? inv_node_attr(child, "supported") : NULL;

        if (g_strcmp0(name, "host-model") == 0 && g_strcmp0(supported, "yes") == 0)
            mode = child;
    }
    if (!mode || !inv_node_child(mode, "model")) {
        inv_node_fail(cpu ? cpu : root, NULL, VIR_ERR_XML_ERROR, error, "the domain capabilities have no host-model (<cpu><mode name='host-model' supported='yes'>)");
        return NULL;
    }
    inv_node_set(mode, "name", NULL);
    inv_node_set(mode, "supported", NULL);
    xmlNodeSetName(mode, BAD_CAST "cpu");
    return read_element(reading, INVAR_CPU_FORMAT_DOMCAPABILITIES, mode, arch, error);
}

static InvarCpu *
read_xml(const Reading *reading, const InvDocument *document, GError **error)
{
    g_autofree char *text = g_strndup(document->text, document->length);
    g_autoptr(InvXmlDoc) doc = inv_xml_parse(text, inv_input_element(document->format), error);
    xmlNodePtr root = doc ? xmlDocGetRootElement(doc) : NULL;

    if (!root)
        return NULL;
    if (document->format == INVAR_CPU_FORMAT_DOMAIN)
        return read_domain(reading, root, error);
    if (document->format == INVAR_CPU_FORMAT_CAPABILITIES)
        return read_capabilities(reading, root, error);
    if (document->format == INVAR_CPU_FORMAT_DOMCAPABILITIES)
        return read_domain_capabilities(reading, root, error);
    return read_element(reading, INVAR_CPU_FORMAT_CPU, root, NULL, error);
}

static void
note_no_msrs(InvarCpu *cpu, const char *what)
{
    gboolean here = cpu->format == INVAR_CPU_FORMAT_HOST;

    inv_library_cpu_note(cpu, "the MSRs of %s %s, so that none of them is listed", what,
                         here ? "could not be read (root can, with the kernel's driver msr)" : "are not in the dump");
}

/* What CPUID shows and the CPU is not said to have, and what nobody could look at. */
static void
note_left_out(InvarCpu *cpu)
{
    const InvCpuSeen *seen = cpu->seen;
    g_autofree const char **broken = seen->broken ? inv_feature_set_list(seen->broken) : g_new0(const char *, 1);

    for (guint i = 0; broken[i]; i++) {
        const char *reason = inv_cpu_broken_reason(cpu->dictionary->decoder, seen, broken[i]);

        inv_library_cpu_note(cpu, "CPUID shows %s, which is broken on this chip and left out%s%s", broken[i], reason ? ": " : "", reason ? reason : "");
    }
    if (inv_feature_set_has(seen->features, "vmx") && !seen->vmx_known)
        note_no_msrs(cpu, "vmx-*");
    if (!seen->msrs_known)
        note_no_msrs(cpu, "rdctl-no and its like");
}

/*
 * libvirt's <cpudata> may hold words of features alone: what a QEMU enabled, without leaf 0 to say of
 * which processor. That is a CPU without a model.
 */
static InvarCpu *
cpu_of_words(InvarCpuContext *context, const InvDictionary *dictionary, const char *arch, const InvCpuidData *data)
{
    InvCpuSeen *seen = g_new0(InvCpuSeen, 1);
    InvarCpu *cpu;

    seen->features = inv_cpuid_data_features(data, dictionary->map, inv_cpu_decoder_names(dictionary->decoder));
    cpu = inv_library_cpu_of_words(context, dictionary, arch, seen);
    inv_library_cpu_note(cpu, "leaf 0 of CPUID is not in the document: it tells features, and neither vendor nor model");
    return cpu;
}

static InvarCpu *
cpu_of_cpuid(InvarCpuContext *context, InvarCpuFormat format, const char *arch, const InvCpuidData *data, GError **error)
{
    const InvDictionary *dictionary = inv_library_dictionary(context, arch, error);
    g_autoptr(InvarCpu) cpu = NULL;
    InvCpuSeen *seen;

    if (!dictionary)
        return NULL;
    if (format == INVAR_CPU_FORMAT_CPUDATA && !inv_cpuid_data_leaf(data, 0, 0))
        return cpu_of_words(context, dictionary, arch, data);
    seen = inv_cpu_seen_from_cpuid(dictionary->decoder, data, error);
    cpu = seen ? inv_library_cpu_of_seen(context, format, arch, seen, error) : NULL;
    if (!cpu)
        return NULL;
    note_left_out(cpu);
    return g_steal_pointer(&cpu);
}

static InvarCpu *
read_cpuid(const Reading *reading, const InvDocument *document, GError **error)
{
    g_autoptr(InvCpuidData) data = inv_cpuid_data_parse(document->text, document->length, error);

    /* No other processor has CPUID; a caller may know that this one runs guests of 32 bits only. */
    const char *arch = g_strcmp0(reading->default_arch, "i686") == 0 ? "i686" : "x86_64";

    return data ? cpu_of_cpuid(reading->context, document->format, arch, data, error) : NULL;
}

/* The part of a reply that @name says; the document itself may be that part. */
static const InvJson *
descend(const InvJson *json, const char *name)
{
    const InvJson *member = inv_json_type(json) == INV_JSON_OBJECT ? inv_json_get(json, name) : NULL;

    return member && inv_json_type(member) == INV_JSON_OBJECT ? member : json;
}

/* The props of an expansion, and in *@model its name (NULL: not said); NULL: the document is none. */
static const InvJson *
find_props(const InvJson *json, const char **model)
{
    const InvJson *inner = descend(descend(json, "return"), "model");
    const InvJson *props = descend(inner, "props");
    gboolean on;

    *model = NULL;
    if (props != inner) {
        *model = inv_json_get_string(inner, "name");
        return props;
    }
    if (inner != json || inv_json_type(json) != INV_JSON_OBJECT || inv_json_get(json, "execute"))
        return NULL;
    /* Bare properties: booleans, and no envelope of QMP's. */
    for (guint i = 0; i < inv_json_size(json); i++) {
        const InvJson *value = NULL;

        if (inv_json_member(json, i, &value) && inv_json_boolean(value, &on))
            return json;
    }
    return NULL;
}

/* Of which architecture are these properties? NULL: nothing in them tells. */
static const char *
guess_arch(const Reading *reading, const InvJson *props, const char *model, GError **error)
{
    const InvDictionary *s390x = inv_library_dictionary(reading->context, "s390x", error);

    if (!s390x)
        return NULL;
    if (reading->default_arch)
        return reading->default_arch;
    if (inv_json_get(props, "vendor") || inv_json_get(props, "family"))
        return "x86_64";
    if (model && inv_cpu_models_find(s390x->models, model))
        return "s390x";
    if (inv_json_get(props, "aarch64") || inv_json_get(props, "pmu"))
        return "aarch64";
    if (inv_json_get(props, "zicsr") || inv_json_get(props, "zifencei") || inv_json_get(props, "Zicsr") || inv_json_get(props, "Zifencei"))
        return "riscv64";
    if (inv_json_get(props, "zpci") || inv_json_get(props, "sief2") || inv_json_get(props, "aefsi"))
        return "s390x";
    inv_error_set(error, VIR_ERR_INVALID_ARG, "nothing in QEMU's reply tells the architecture of its CPU; say it");
    return NULL;
}

/* Elsewhere than on x86 QEMU's answer is all that is known: its model, where the map has that, and what differs. */
static InvarCpu *
cpu_of_props(const Reading *reading, const InvDictionary *dictionary, const char *arch, const InvJson *props, const char *model, GError **error)
{
    const InvCpuModelEntry *entry = model ? inv_cpu_models_find(dictionary->models, model) : NULL;
    g_autoptr(InvCpu) document = inv_cpu_new();

    document->mode = INV_CPU_MODE_CUSTOM;
    document->match = INV_CPU_MATCH_EXACT;
    document->model = g_strdup(model ? model : "host");
    if (inv_json_size(props) > INV_CPU_MAX_PROPERTIES) {
        inv_error_set(error, VIR_ERR_INVALID_ARG, "the expansion has %u properties; no QEMU has more than %u", inv_json_size(props), INV_CPU_MAX_PROPERTIES);
        return NULL;
    }
    for (guint i = 0; i < inv_json_size(props); i++) {
        const InvJson *value = NULL;
        const char *name = inv_json_member(props, i, &value);
        InvCpuFeature *feature;
        gboolean on;

        if (!name || !*name || !inv_json_boolean(value, &on) || (entry && g_strv_contains(entry->features, name) == on))
            continue;
        feature = g_new0(InvCpuFeature, 1);
        feature->name = g_strdup(name);
        feature->policy = on ? INV_CPU_POLICY_REQUIRE : INV_CPU_POLICY_DISABLE;
        g_ptr_array_add(document->features, feature);
    }
    return inv_library_cpu_of_document(reading->context, INVAR_CPU_FORMAT_QMP, arch, g_steal_pointer(&document), error);
}

static InvarCpu *
cpu_of_expansion(const Reading *reading, const InvJson *props, const char *model, GError **error)
{
    const char *arch = guess_arch(reading, props, model, error);
    const InvDictionary *dictionary = arch ? inv_library_dictionary(reading->context, arch, error) : NULL;
    InvCpuSeen *seen;

    if (!dictionary)
        return NULL;
    if (!dictionary->has_features)
        return cpu_of_props(reading, dictionary, arch, props, model, error);
    seen = inv_cpu_seen_from_expansion(dictionary->decoder, props, error);
    return seen ? inv_library_cpu_of_seen(reading->context, INVAR_CPU_FORMAT_QMP, arch, seen, error) : NULL;
}

static gboolean
visit_json(Reading *reading, const InvJson *json, GError **error)
{
    const InvJson *fault = inv_json_get(json, "error");
    const char *model = NULL;
    const InvJson *props = find_props(json, &model);
    InvarCpu *cpu;

    if (!props) {
        reading->others++;
        if (!reading->refusal)
            reading->refusal = g_strdup(inv_json_get_string(fault, "desc"));
        return TRUE;
    }
    cpu = cpu_of_expansion(reading, props, model, error);
    if (!cpu || !give(reading, cpu, error))
        return FALSE;
    return !reading->one;
}

static gboolean
read_json(Reading *reading, const InvDocument *document, GError **error)
{
    g_autoptr(InvJson) json = inv_json_parse(document->text, document->length, error);

    return json && visit_json(reading, json, error);
}

static gboolean
visit_document(const InvDocument *document, gpointer opaque, GError **error)
{
    Reading *reading = opaque;
    GError *fault = NULL;
    InvarCpu *cpu = NULL;
    gboolean more;

    switch (document->format) {
    case INVAR_CPU_FORMAT_DOMAIN:
    case INVAR_CPU_FORMAT_CPU:
    case INVAR_CPU_FORMAT_CAPABILITIES:
    case INVAR_CPU_FORMAT_DOMCAPABILITIES:
        cpu = read_xml(reading, document, &fault);
        break;
    case INVAR_CPU_FORMAT_CPUDATA:
    case INVAR_CPU_FORMAT_CPUID:
        cpu = read_cpuid(reading, document, &fault);
        break;
    case INVAR_CPU_FORMAT_QMP:
    case INVAR_CPU_FORMAT_AUTO:
    case INVAR_CPU_FORMAT_HOST:
        break;
    }
    more = document->format == INVAR_CPU_FORMAT_QMP ? read_json(reading, document, &fault) : cpu && give(reading, cpu, &fault);
    if (!fault)
        return more;
    /* Lines are counted from the document's first. */
    if (document->line > 1)
        g_prefix_error(&fault, "in the document that begins in line %u: ", document->line);
    g_propagate_error(error, fault);
    return FALSE;
}

static gboolean
check_something(const Reading *reading, GError **error)
{
    if (reading->cpus || reading->status != INVAR_CPU_OK)
        return TRUE;
    return inv_error_set(error, VIR_ERR_INVALID_ARG, "of %u JSON documents none is a reply to query-cpu-model-expansion%s%.200s", reading->others,
                         reading->refusal ? "; QEMU answered with an error: " : "", reading->refusal ? reading->refusal : "");
}

static InvarCpuStatus
read_text(Reading *reading, const char *text, size_t length, InvarCpuFormat format, char **error)
{
    GError *fault = NULL;

    if (reading->default_arch && !inv_library_dictionary(reading->context, reading->default_arch, &fault))
        return inv_library_fail(fault, error);
    inv_input_split(text, length, format, visit_document, reading, &fault);
    if (!fault)
        check_something(reading, &fault);
    g_free(reading->refusal);
    if (!fault && reading->status == INVAR_CPU_OK)
        return INVAR_CPU_OK;
    g_clear_pointer(&reading->first, invar_cpu_unref);
    if (fault)
        return inv_library_fail(fault, error);
    if (error)
        *error = reading->status_text;
    else
        g_free(reading->status_text);
    return reading->status;
}

InvarCpuStatus
invar_cpu_read(InvarCpuContext *context, const char *text, size_t length, InvarCpuFormat format, const char *default_arch, InvarCpu **cpu,
               char **error)
{
    Reading reading = { .context = context, .default_arch = default_arch, .one = TRUE };
    InvarCpuStatus status;

    *cpu = NULL;
    if (format == INVAR_CPU_FORMAT_HOST)
        return invar_cpu_read_host(context, cpu, error);
    status = read_text(&reading, text, length, format, error);
    *cpu = reading.first;
    return status;
}

InvarCpuStatus
invar_cpu_read_all(InvarCpuContext *context, const char *text, size_t length, InvarCpuFormat format, const char *default_arch,
                   InvarCpuVisit visit, void *user_data, char **error)
{
    Reading reading = { .context = context, .default_arch = default_arch, .visit = visit, .user_data = user_data };

    return read_text(&reading, text, length, format, error);
}

InvarCpuStatus
invar_cpu_read_host(InvarCpuContext *context, InvarCpu **cpu, char **error)
{
    g_autoptr(InvCpuidData) data = inv_cpuid_data_of_this_machine();
    GError *fault = NULL;

    if (data)
        *cpu = cpu_of_cpuid(context, INVAR_CPU_FORMAT_HOST, "x86_64", data, &fault);
    else
        inv_error_set(&fault, VIR_ERR_NO_SUPPORT, "reading this machine's CPU without QEMU is not supported on its architecture; give QEMU's expansion");
    if (data && *cpu)
        return INVAR_CPU_OK;
    *cpu = NULL;
    return inv_library_fail(fault, error);
}
