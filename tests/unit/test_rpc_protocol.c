/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The layouts on the wire, against bytes that were put together by hand, and the tables of procedures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rpc/frame.h"
#include "rpc/invar_protocol.h"
#include "rpc/program.h"
#include "rpc/qemu_protocol.h"
#include "rpc/remote_protocol.h"
#include "util/fd.h"

#define XDR_OF(type) (xdrproc_t)xdr_##type, sizeof(type)
#define FACT_LIMIT (1024u * 1024u)

static char name_text[] = "guest", no_domain[] = "no domain", format_text[] = "%s", uri_text[] = "qemu:///system";
static char *no_domain_pointer = no_domain, *format_pointer = format_text, *uri_pointer = uri_text;

#define UUID { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 }
#define DOMAIN { .name = name_text, .uuid = UUID, .id = -1 }
#define PARAM(name, tag, member, what) { .field = (char *)(name), .value = { .type = (tag), .remote_typed_param_value_u.member = (what) } }

static remote_nonnull_domain domain = DOMAIN, domains[] = { DOMAIN, DOMAIN };
static remote_connect_open_args open_args = { .name = &uri_pointer, .flags = 1 }, open_args_no_name;
static remote_node_get_info_ret node_info = { .model = "x86_64", .memory = 0x1122334455667788, .cpus = 4, .mhz = 2400, .nodes = 1,
                                              .sockets = 1, .cores = 2, .threads = 2 };
static remote_domain_get_info_ret domain_info = { .state = 5, .maxMem = 1048576, .memory = 524288, .nrVirtCpu = 2,
                                                  .cpuTime = 0x8000000000000001 };
static remote_typed_param params[] = {
    PARAM("int", VIR_TYPED_PARAM_INT, i, -2),
    PARAM("uint", VIR_TYPED_PARAM_UINT, ui, 4000000000u),
    PARAM("llong", VIR_TYPED_PARAM_LLONG, l, -3),
    PARAM("ullong", VIR_TYPED_PARAM_ULLONG, ul, 0x8000000000000000u),
    PARAM("double", VIR_TYPED_PARAM_DOUBLE, d, 1.5),
    PARAM("boolean", VIR_TYPED_PARAM_BOOLEAN, b, 1),
    PARAM("string", VIR_TYPED_PARAM_STRING, s, (char *)"text"),
};
static remote_domain_set_memory_parameters_args typed_params = { .dom = DOMAIN, .params = { 7, params }, .flags = 6 };
static remote_error error_struct = { .code = 42, .domain = 10, .message = &no_domain_pointer, .level = 2, .str1 = &format_pointer,
                                     .str2 = &no_domain_pointer, .int1 = -1, .int2 = -1 };
static char model_chars[] = "none", doi_chars[] = "0";
static remote_node_get_security_model_ret security = { .model = { 5, model_chars }, .doi = { 2, doi_chars } };
static remote_vcpu_info vcpu = { .number = 0, .state = 1, .cpu_time = 77, .cpu = 3 };
static char map_bytes[] = "\xff\x01\x80";
static remote_domain_get_vcpus_ret vcpus = { .info = { 1, &vcpu }, .cpumaps = { 3, map_bytes } };
static remote_domain_event_callback_lifecycle_msg lifecycle = { .callbackID = 7, .msg = { .dom = DOMAIN, .event = 2, .detail = 1 } };
static remote_domain_event_callback_pmwakeup_msg pmwakeup = { .callbackID = 7, .reason = 0, .msg = { .dom = DOMAIN } };
static remote_connect_list_all_domains_ret all_domains = { .domains = { 2, domains }, .ret = 2 };
static remote_auth_type auth_type = REMOTE_AUTH_POLKIT;
static remote_auth_list_ret auth_list = { .types = { 1, &auth_type } };
static qemu_domain_monitor_event_msg monitor_event = { .callbackID = 1, .dom = DOMAIN, .event = (char *)"STOP", .seconds = -1,
                                                       .micros = 5 };
static char *on_names[] = { (char *)"sse", (char *)"sse2" };
static invar_record record = {
    .arch = (char *)"x86_64", .machine = (char *)"pc-q35-10.0", .model = (char *)"qemu64-v1", .family = 6, .model_number = -1,
    .stepping = 3, .level = 13, .xlevel = -1, .xlevel2 = -1, .phys_bits = 40, .on = { 2, on_names }, .asked = (char *)"",
    .fingerprint = (char *)"f"
};
static invar_get_record_ret record_ret = { .record = &record };

typedef struct {
    const char *name; /* tests/data/rpc/NAME.hex */
    gpointer value;
    xdrproc_t filter;
    gsize size;
} LayoutCase;

static const LayoutCase layout_cases[] = {
    { "open_args", &open_args, XDR_OF(remote_connect_open_args) },
    { "open_args_no_name", &open_args_no_name, XDR_OF(remote_connect_open_args) },
    { "node_get_info_ret", &node_info, XDR_OF(remote_node_get_info_ret) },
    { "domain_get_info_ret", &domain_info, XDR_OF(remote_domain_get_info_ret) },
    { "nonnull_domain", &domain, XDR_OF(remote_nonnull_domain) },
    { "typed_params", &typed_params, XDR_OF(remote_domain_set_memory_parameters_args) },
    { "error", &error_struct, XDR_OF(remote_error) },
    { "security_model", &security, XDR_OF(remote_node_get_security_model_ret) },
    { "get_vcpus_ret", &vcpus, XDR_OF(remote_domain_get_vcpus_ret) },
    { "lifecycle_msg", &lifecycle, XDR_OF(remote_domain_event_callback_lifecycle_msg) },
    { "pmwakeup_msg", &pmwakeup, XDR_OF(remote_domain_event_callback_pmwakeup_msg) },
    { "list_all_domains_ret", &all_domains, XDR_OF(remote_connect_list_all_domains_ret) },
    { "auth_list_ret", &auth_list, XDR_OF(remote_auth_list_ret) },
    { "qemu_monitor_event", &monitor_event, XDR_OF(qemu_domain_monitor_event_msg) },
    { "invar_record_ret", &record_ret, XDR_OF(invar_get_record_ret) },
};

static GByteArray *
read_golden(const char *name)
{
    g_autofree char *path = g_strdup_printf("%s/tests/data/rpc/%s.hex", g_getenv("INVAR_TOP_SRCDIR"), name);
    g_autofree char *text = NULL;
    GByteArray *bytes = g_byte_array_new();

    assert_true(inv_file_read(path, FACT_LIMIT, &text, NULL, NULL));
    for (const char *at = text; *at; at++) {
        guint8 byte;

        if (*at == '\n')
            continue;
        byte = (guint8)(g_ascii_xdigit_value(at[0]) << 4 | g_ascii_xdigit_value(at[1]));
        g_byte_array_append(bytes, &byte, 1);
        at++;
    }
    return bytes;
}

static void
layout(void **state)
{
    const LayoutCase *row = *state;
    const InvRpcHeader header = { .type = INV_RPC_REPLY };
    const gsize skip = INV_RPC_LENGTH_SIZE + INV_RPC_HEADER_SIZE;
    g_autoptr(GByteArray) golden = read_golden(row->name);
    g_autoptr(GBytes) message = inv_rpc_message_new(&header, 0, row->filter, row->value, NULL);
    g_autoptr(GBytes) again = NULL;
    g_autofree gpointer decoded = g_malloc0(row->size);

    assert_non_null(message);
    assert_int_equal(g_bytes_get_size(message) - skip, golden->len);
    assert_memory_equal((const guint8 *)g_bytes_get_data(message, NULL) + skip, golden->data, golden->len);

    assert_true(inv_rpc_payload_decode(golden->data, golden->len, row->filter, decoded, NULL));
    again = inv_rpc_message_new(&header, 0, row->filter, decoded, NULL);
    xdr_free(row->filter, decoded);
    assert_non_null(again);
    assert_true(g_bytes_equal(message, again));

    /* Every shorter payload is refused, and nothing is leaked. */
    for (gsize length = 0; length < golden->len; length += 4) {
        memset(decoded, 0, row->size);
        assert_false(inv_rpc_payload_decode(golden->data, length, row->filter, decoded, NULL));
        xdr_free(row->filter, decoded);
    }
}

static void
check_table(const InvRpcProgram *program, const char *file)
{
    g_autofree char *path = g_build_filename(g_getenv("INVAR_TOP_SRCDIR"), "..", "shared", "facts", file, NULL);
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    guint count = 0;

    if (!inv_file_read(path, FACT_LIMIT, &text, NULL, NULL)) {
        print_message("%s is not there\n", file);
        /* skip() does not come back: nothing of this scope is freed for us. */
        g_clear_pointer(&path, g_free);
        skip();
    }
    lines = g_strsplit(text, "\n", -1);
    for (guint i = 1; lines[i] && *lines[i]; i++, count++) {
        g_auto(GStrv) fields = g_strsplit(lines[i], "\t", -1);
        const InvRpcProcedure *procedure = inv_rpc_program_find(program, (guint32)strtoul(fields[0], NULL, 10));
        gboolean is_event = g_str_has_prefix(fields[2], "event:");

        assert_non_null(procedure);
        assert_string_equal(procedure->name, fields[1]);
        assert_int_equal(procedure->args != NULL, !is_event && strcmp(fields[2], "-") != 0);
        assert_int_equal(procedure->ret != NULL, is_event || strcmp(fields[3], "-") != 0);
    }
    assert_int_equal(program->n_procedures, count);
}

static void
procedures_of_remote(void **state)
{
    check_table(&inv_rpc_remote_program, "procedures.tsv");
}

static void
procedures_of_qemu(void **state)
{
    check_table(&inv_rpc_qemu_program, "qemu_procedures.tsv");
}

static void
tables_are_sorted(void **state)
{
    const InvRpcProgram *const programs[] = { &inv_rpc_remote_program, &inv_rpc_qemu_program, &inv_rpc_invar_program };

    for (gsize i = 0; i < G_N_ELEMENTS(programs); i++) {
        for (guint p = 1; p < programs[i]->n_procedures; p++)
            assert_true(programs[i]->procedures[p - 1].number < programs[i]->procedures[p].number);
        assert_null(inv_rpc_program_find(programs[i], 0));
        assert_null(inv_rpc_program_find(programs[i], G_MAXUINT32));
    }
}

/* A claim of a list costs nothing when the message cannot hold it. */
static void
claims_are_not_believed(void **state)
{
    static const guint8 claim[] = { 0, 0, 0x40, 0, 0, 0, 0, 0 };
    remote_connect_list_all_domains_ret list = { 0 };

    assert_false(inv_rpc_payload_decode(claim, sizeof(claim), (xdrproc_t)xdr_remote_connect_list_all_domains_ret, &list, NULL));
    assert_null(list.domains.domains_val);
}

int
main(void)
{
    g_autoptr(GArray) tests = g_array_new(FALSE, TRUE, sizeof(struct CMUnitTest));
    static const struct CMUnitTest others[] = {
        cmocka_unit_test(procedures_of_remote),
        cmocka_unit_test(procedures_of_qemu),
        cmocka_unit_test(tables_are_sorted),
        cmocka_unit_test(claims_are_not_believed),
    };

    for (gsize i = 0; i < G_N_ELEMENTS(layout_cases); i++) {
        const struct CMUnitTest test = { layout_cases[i].name, layout, NULL, NULL, (void *)&layout_cases[i] };

        g_array_append_val(tests, test);
    }
    g_array_append_vals(tests, others, G_N_ELEMENTS(others));
    return _cmocka_run_group_tests("rpc_protocol", (struct CMUnitTest *)(void *)tests->data, tests->len, NULL, NULL);
}
