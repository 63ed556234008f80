/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/domain_ref.h"
#include "cli/events.h"
#include "cli/verdict_view.h"
#include "cli/xml_part.h"
#include "cpu_driver/verdict.h"
#include "util/error.h"

static char *text;
static GError *error;
static char **list;
static InvEvent event;

static int
teardown(void **state)
{
    g_clear_pointer(&text, g_free);
    g_clear_error(&error);
    g_clear_pointer(&list, g_strfreev);
    inv_event_clear(&event);
    event = (InvEvent){ 0 };
    return 0;
}

static void
verdict_groups_what_has_one_cause(void **state)
{
    InvCli cli = { 0 };
    invar_blocker blockers[] = {
        { (char *)"avx", INV_LAYER_QEMU, (char *)"TCG lacks avx (and avx2)", (char *)"drop <feature name='avx'/>" },
        { (char *)"hle", INV_LAYER_QEMU, (char *)"TCG lacks hle (and avx2)", (char *)"drop <feature name='hle'/>" },
        { (char *)"x\033", INV_LAYER_HARDWARE, (char *)"the host lacks it", (char *)"" },
    };
    char *model = (char *)"Skylake-Client-v1";
    invar_verdict verdict = { .outcome = INV_OUTCOME_DROPS, .model = &model, .text = (char *)"" };

    verdict.blockers.blockers_len = G_N_ELEMENTS(blockers);
    verdict.blockers.blockers_val = blockers;
    text = inv_view_verdict(&cli, &verdict, 80);
    assert_string_equal(text, "drops: the guest would start without 3 features, and that would be recorded\n"
                              "   model:      Skylake-Client-v1\n"
                              "\n QEMU (2 features)\n"
                              "   features:   avx hle\n"
                              "   reason:     TCG lacks NAME (and avx2)\n"
                              "   would help: drop <feature name='NAME'/>\n"
                              "\n hardware\n"
                              "   feature:    x\\x1b\n"
                              "   reason:     the host lacks it\n");
    assert_int_equal(inv_view_exit(verdict.outcome), 3);
}

static void
numbers_of_the_daemon_are_checked(void **state)
{
    assert_string_equal(inv_view_layer(-1), "unknown");
    assert_string_equal(inv_view_layer(99), "unknown");
    assert_string_equal(inv_view_outcome(99), "unknown");
    assert_int_equal(inv_view_exit(99), INV_EXIT_ERROR);
    assert_int_equal(inv_view_exit(INV_OUTCOME_EXACT), 0);
    assert_int_equal(inv_view_exit(INV_OUTCOME_REFUSED), 4);
    assert_string_equal(inv_domain_state_text(-1), "no state");
    assert_string_equal(inv_domain_reason_text(VIR_DOMAIN_PAUSED, 1000), "unknown");
    assert_string_equal(inv_domain_reason_text(VIR_DOMAIN_SHUTOFF, VIR_DOMAIN_SHUTOFF_DESTROYED), "destroyed");
}

static void
uuids_are_read_and_written(void **state)
{
    static const char dashed[] = "6695eb01-f6a4-8304-79aa-97f2502e193f";
    static const char *const bad[] = { "", "1", "6695eb01-f6a4-8304-79aa-97f2502e193", "6695eb01-f6a4-8304-79aa-97f2502e193g",
                                       "6695eb01-f6a4-8304-79aa-97f2502e193f0", "-6695eb01f6a4830479aa97f2502e193f" };
    char uuid[VIR_UUID_BUFLEN];
    char again[INV_UUID_TEXT_SIZE];

    assert_true(inv_domain_uuid_parse(dashed, uuid));
    inv_domain_uuid_format(uuid, again);
    assert_string_equal(again, dashed);
    assert_true(inv_domain_uuid_parse("6695eb01f6a4830479aa97f2502e193f", uuid));
    for (guint i = 0; i < G_N_ELEMENTS(bad); i++)
        assert_false(inv_domain_uuid_parse(bad[i], uuid));
}

static gsize
encode_lifecycle(char *buffer, gsize size, int type, int detail)
{
    remote_domain_event_callback_lifecycle_msg message = { .callbackID = 1 };
    XDR xdr;
    gsize length;

    message.msg.dom.name = (char *)"guest";
    message.msg.dom.id = 3;
    message.msg.event = type;
    message.msg.detail = detail;
    xdrmem_create(&xdr, buffer, (u_int)size, XDR_ENCODE);
    assert_true(xdr_remote_domain_event_callback_lifecycle_msg(&xdr, &message));
    length = xdr_getpos(&xdr);
    xdr_destroy(&xdr);
    return length;
}

static void
lifecycle_events_are_decoded(void **state)
{
    char buffer[256];
    gsize length = encode_lifecycle(buffer, sizeof(buffer), VIR_DOMAIN_EVENT_STOPPED, VIR_DOMAIN_EVENT_STOPPED_DESTROYED);

    assert_true(inv_event_decode(REMOTE_PROC_DOMAIN_EVENT_CALLBACK_LIFECYCLE, (guint8 *)buffer, length, &event));
    assert_string_equal(event.name, "lifecycle");
    assert_string_equal(event.domain, "guest");
    assert_string_equal(event.type, "Stopped");
    assert_string_equal(event.detail, "Destroyed");
}

static void
unknown_details_are_said_to_be(void **state)
{
    char buffer[256];
    gsize length = encode_lifecycle(buffer, sizeof(buffer), 77, -3);

    assert_true(inv_event_decode(REMOTE_PROC_DOMAIN_EVENT_CALLBACK_LIFECYCLE, (guint8 *)buffer, length, &event));
    assert_string_equal(event.type, "Unknown");
    assert_string_equal(event.detail, "unknown");
}

/* What a job has come to stands under the line, and a message that ends early is none. */
static void
completed_jobs_are_decoded_with_their_figures(void **state)
{
    remote_typed_param params[] = {
        { .field = (char *)"time_elapsed", .value = { .type = VIR_TYPED_PARAM_ULLONG, .remote_typed_param_value_u.ul = 1200 } },
        { .field = (char *)"errmsg", .value = { .type = VIR_TYPED_PARAM_STRING, .remote_typed_param_value_u.s = (char *)"none" } },
    };
    remote_domain_event_callback_job_completed_msg message = { .callbackID = 1, .params = { 2, params } };
    char buffer[256];
    XDR xdr;
    gsize length;

    message.dom.name = (char *)"guest";
    xdrmem_create(&xdr, buffer, sizeof(buffer), XDR_ENCODE);
    assert_true(xdr_remote_domain_event_callback_job_completed_msg(&xdr, &message));
    length = xdr_getpos(&xdr);
    xdr_destroy(&xdr);
    assert_true(inv_event_decode(REMOTE_PROC_DOMAIN_EVENT_CALLBACK_JOB_COMPLETED, (guint8 *)buffer, length, &event));
    assert_string_equal(event.name, "job-completed");
    assert_string_equal(event.figures[0], "time_elapsed: 1200");
    assert_string_equal(event.figures[1], "errmsg: none");
    assert_null(event.figures[2]);
    for (gsize cut = 0; cut < length; cut += 4) {
        teardown(NULL);
        assert_false(inv_event_decode(REMOTE_PROC_DOMAIN_EVENT_CALLBACK_JOB_COMPLETED, (guint8 *)buffer, cut, &event));
    }
}

static void
iterations_are_decoded(void **state)
{
    remote_domain_event_callback_migration_iteration_msg message = { .callbackID = 1, .iteration = 4 };
    char buffer[256];
    XDR xdr;
    gsize length;

    message.dom.name = (char *)"guest";
    xdrmem_create(&xdr, buffer, sizeof(buffer), XDR_ENCODE);
    assert_true(xdr_remote_domain_event_callback_migration_iteration_msg(&xdr, &message));
    length = xdr_getpos(&xdr);
    xdr_destroy(&xdr);
    assert_true(inv_event_decode(REMOTE_PROC_DOMAIN_EVENT_CALLBACK_MIGRATION_ITERATION, (guint8 *)buffer, length, &event));
    assert_string_equal(event.name, "migration-iteration");
    assert_int_equal(event.iteration, 4);
}

static void
truncated_events_are_refused(void **state)
{
    char buffer[256];
    gsize length = encode_lifecycle(buffer, sizeof(buffer), VIR_DOMAIN_EVENT_STARTED, VIR_DOMAIN_EVENT_STARTED_BOOTED);

    for (gsize cut = 0; cut < length; cut += 4) {
        assert_false(inv_event_decode(REMOTE_PROC_DOMAIN_EVENT_CALLBACK_LIFECYCLE, (guint8 *)buffer, cut, &event));
        teardown(NULL);
    }
    assert_false(inv_event_decode(REMOTE_PROC_CONNECT_OPEN, (guint8 *)buffer, length, &event));
}

typedef struct {
    const char *name;
    const char *xml;
    const char *cpus; /* joined by "|"; NULL: refused */
} Cpus;

static const Cpus cpu_cases[] = {
    { "cpus: alone", "<cpu><model>a</model></cpu>", "<cpu><model>a</model></cpu>" },
    { "cpus: several", "<?xml version='1.0'?><cpu/><cpu><model>b</model></cpu>", "<cpu/>|<cpu><model>b</model></cpu>" },
    { "cpus: of a domain", "<domain><name>x</name><cpu mode='host-model'/></domain>", "<cpu mode=\"host-model\"/>" },
    { "cpus: of a host", "<capabilities><host><cpu><arch>x86_64</arch></cpu></host></capabilities>", "<cpu><arch>x86_64</arch></cpu>" },
    { "cpus: of domain capabilities",
      "<domainCapabilities><cpu><mode name='host-passthrough' supported='yes'/>"
      "<mode name='host-model' supported='yes'><model>c</model></mode></cpu></domainCapabilities>",
      "<cpu mode=\"custom\"><model>c</model></cpu>" },
    { "cpus: none", "<domain/>", NULL },
    { "cpus: malformed", "<cpu>", NULL },
    { "cpus: entities stay what they are",
      "<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><cpu>&b;</cpu>", NULL },
};

static void
finds_cpus(void **state)
{
    const Cpus *row = *state;

    list = inv_xml_part_cpus(row->xml, "the file", &error);
    if (!row->cpus) {
        assert_null(list);
        assert_non_null(error);
        assert_int_equal(error->code, VIR_ERR_XML_ERROR);
        assert_true(g_str_has_prefix(error->message, "the file: "));
        return;
    }
    assert_non_null(list);
    text = g_strjoinv("|", list);
    assert_string_equal(text, row->cpus);
}

static void
finds_the_title(void **state)
{
    text = inv_xml_part_title("<domain><metadata><title>no</title></metadata><title>A &amp; B</title></domain>");
    assert_string_equal(text, "A & B");
    g_clear_pointer(&text, g_free);
    text = inv_xml_part_title("<domain>");
    assert_string_equal(text, "");
}

int
main(void)
{
    const struct CMUnitTest plain[] = {
        cmocka_unit_test_teardown(verdict_groups_what_has_one_cause, teardown),
        cmocka_unit_test_teardown(numbers_of_the_daemon_are_checked, teardown),
        cmocka_unit_test_teardown(uuids_are_read_and_written, teardown),
        cmocka_unit_test_teardown(lifecycle_events_are_decoded, teardown),
        cmocka_unit_test_teardown(unknown_details_are_said_to_be, teardown),
        cmocka_unit_test_teardown(completed_jobs_are_decoded_with_their_figures, teardown),
        cmocka_unit_test_teardown(iterations_are_decoded, teardown),
        cmocka_unit_test_teardown(truncated_events_are_refused, teardown),
        cmocka_unit_test_teardown(finds_the_title, teardown),
    };
    struct CMUnitTest tests[G_N_ELEMENTS(plain) + G_N_ELEMENTS(cpu_cases)];

    memcpy(tests, plain, sizeof(plain));
    for (gsize i = 0; i < G_N_ELEMENTS(cpu_cases); i++) {
        tests[G_N_ELEMENTS(plain) + i] = (struct CMUnitTest){
            .name = cpu_cases[i].name, .test_func = finds_cpus, .teardown_func = teardown, .initial_state = (void *)&cpu_cases[i]
        };
    }
    return cmocka_run_group_tests_name("cli view", tests, NULL, NULL);
}
