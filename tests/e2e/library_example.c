/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Says what CPU each file describes, and what is common to all of them. It needs the library's
 * header alone, and is C as well as C++:
 *
 *     cc library_example.c $(pkg-config --cflags --libs invar-cpu) -o example
 *     virsh capabilities > host.xml; ./example host.xml other.xml
 */
#include <invar-cpu.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct {
    InvarCpuContext *context;
    InvarCpuBaseline *baseline;
    const char *file;
} Example;

static void
print_cpu(const char *title, const InvarCpu *cpu)
{
    const char *policy, *name;
    size_t i;

    printf("%s: %s (%s)\n", title, invar_cpu_model(cpu) ? invar_cpu_model(cpu) : "no model", invar_cpu_format_name(invar_cpu_format(cpu)));
    for (i = 0; (name = invar_cpu_delta(cpu, i, &policy)); i++)
        printf("  %-8s %s\n", policy, name);
}

/* Called for each CPU that a file holds. */
static InvarCpuStatus
visit(InvarCpu *cpu, void *user_data, char **error)
{
    Example *example = (Example *)user_data;
    InvarCpuStatus status = INVAR_CPU_OK;

    print_cpu(example->file, cpu);
    if (!example->baseline)
        status = invar_cpu_baseline_new(example->context, invar_cpu_arch(cpu), &example->baseline, error);
    if (status == INVAR_CPU_OK)
        status = invar_cpu_baseline_add(example->baseline, cpu, example->file, error);
    invar_cpu_unref(cpu);
    return status;
}

static InvarCpuStatus
read_file(Example *example, char **error)
{
    static char text[4 * 1024 * 1024];
    FILE *file = fopen(example->file, "rb");
    size_t length;

    if (!file) {
        perror(example->file);
        exit(EXIT_FAILURE);
    }
    length = fread(text, 1, sizeof(text), file);
    fclose(file);
    return invar_cpu_read_all(example->context, text, length, INVAR_CPU_FORMAT_AUTO, NULL, visit, example, error);
}

int
main(int argc, char **argv)
{
    Example example = { NULL, NULL, NULL };
    InvarCpu *common = NULL;
    char *error = NULL;
    InvarCpuStatus status = invar_cpu_context_new(NULL, &example.context, &error);
    int i;

    for (i = 1; i < argc && status == INVAR_CPU_OK; i++) {
        example.file = argv[i];
        status = read_file(&example, &error);
    }
    if (status == INVAR_CPU_OK && example.baseline)
        status = invar_cpu_baseline_result(example.baseline, 0, &common, &error);
    if (common)
        print_cpu("all", common);
    if (status != INVAR_CPU_OK)
        fprintf(stderr, "%s\n", error);
    invar_cpu_free(error);
    invar_cpu_unref(common);
    invar_cpu_baseline_free(example.baseline);
    invar_cpu_context_free(example.context);
    return status == INVAR_CPU_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
