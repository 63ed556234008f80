/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rpc/program.h"

#include <stdlib.h>

static int
compare_number(const void *key, const void *element)
{
    guint32 number = *(const guint32 *)key;
    const InvRpcProcedure *procedure = element;

    return number < procedure->number ? -1 : number > procedure->number;
}

const InvRpcProcedure *
inv_rpc_program_find(const InvRpcProgram *program, guint32 number)
{
    return bsearch(&number, program->procedures, program->n_procedures, sizeof(*program->procedures), compare_number);
}
