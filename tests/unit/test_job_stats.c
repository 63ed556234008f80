/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/job_stats.h"

static const InvJobFigures running = {
    .type = VIR_DOMAIN_JOB_UNBOUNDED,
    .operation = VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT,
    .elapsed_ms = 1500,
    .has_progress = TRUE,
    .disk_total = 1000,
    .disk_done = 1200,
    .progress = { .total = 4096, .transferred = 1024, .remaining = 3072, .expected_downtime_ms = 300, .iterations = 2,
                  .page_size = 4096, .throttle = 20 },
};

static const InvJobFigures completed = {
    .type = VIR_DOMAIN_JOB_COMPLETED,
    .operation = VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT,
    .elapsed_ms = 2000,
    .has_net = TRUE,
    .elapsed_net_ms = 1990,
    .downtime_net_ms = 15,
    .has_progress = TRUE,
    .progress = { .total = 4096, .transferred = 4096, .has_downtime = TRUE, .downtime_ms = 20, .expected_downtime_ms = 300,
                  .xbzrle_cache = 65536, .bps = 7 },
};

static const InvJobFigures failed = {
    .type = VIR_DOMAIN_JOB_FAILED,
    .operation = VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT,
    .progress = { .error = (char *)"connection reset" },
};

/* What stands in the list, as it is written; "!" before a name that must not be there. */
static const struct {
    const char *name;
    const InvJobFigures *figures;
    const char *lines[12];
} rows[] = {
    { "one that runs", &running,
      { "operation: 5", "time_elapsed: 1500", "downtime: 300", "data_total: 5096", "data_processed: 2224", "data_remaining: 3072",
        "disk_remaining: 0", "memory_iteration: 2", "auto_converge_throttle: 20", "!success", "!compression_cache" } },
    { "one that has ended", &completed,
      { "time_elapsed_net: 1990", "downtime: 20", "downtime_net: 15", "memory_remaining: 0", "memory_bps: 7",
        "compression_cache: 65536", "success: yes", "!errmsg", "!auto_converge_throttle" } },
    { "one that has failed", &failed, { "success: no", "errmsg: connection reset", "!downtime", "!memory_bps" } },
};

static void
figures_become_parameters(void **state)
{
    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(InvTypedParams) params = inv_job_stats_params(rows[i].figures);

        assert_true(params->len <= INV_TYPED_PARAMS_MAX);
        for (gsize j = 0; rows[i].lines[j]; j++) {
            const char *line = rows[i].lines[j];
            g_autofree char *name = g_strndup(line + (*line == '!'), strcspn(line, ":") - (*line == '!'));
            const remote_typed_param *param = inv_typed_params_find((const remote_typed_param *)params->data, params->len, name);
            g_autofree char *text = param ? inv_typed_param_format(param) : NULL;

            if (*line == '!' ? param != NULL : g_strcmp0(text, line) != 0)
                fail_msg("%s: %s: %s", rows[i].name, line, text ? text : "not there");
        }
    }
}

static void
the_older_call_has_the_same_numbers(void **state)
{
    remote_domain_get_job_info_ret info = { 0 };

    inv_job_stats_fill_info(&running, &info);
    assert_int_equal(info.type, VIR_DOMAIN_JOB_UNBOUNDED);
    assert_int_equal(info.timeElapsed, 1500);
    assert_int_equal(info.dataTotal, 5096);
    assert_int_equal(info.dataRemaining, 3072);
    assert_int_equal(info.memProcessed, 1024);
    assert_int_equal(info.fileRemaining, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_become_parameters),
        cmocka_unit_test(the_older_call_has_the_same_numbers),
    };

    return cmocka_run_group_tests_name("job_stats", tests, NULL, NULL);
}
