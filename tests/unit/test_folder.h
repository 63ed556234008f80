/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Removes the temporary folder of a test with all that is in it. What cannot be removed stays: no error. */
void test_folder_remove(const char *path);
