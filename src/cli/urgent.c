/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/urgent.h"

#include <errno.h>
#include <string.h>

#include "cli/cli.h"
#include "control/client.h"
#include "files/boot.h"
#include "files/lock_files.h"

const char *absence_name(enum absence absence)
{
    switch (absence) {
    case ABSENCE_NONE:
        return NULL;
    case ABSENCE_DEAD:
        return "dead";
    case ABSENCE_HUNG:
        return "hung";
    }
    return NULL;
}

/* EAGAIN: nobody has taken those out of its queue who asked before us. */
static bool hangs(int error)
{
    return error == -ETIMEDOUT || error == -EAGAIN;
}

/* It ended while it had the request; what it did of it is known by the request's name. */
static bool died(const char *path, int error)
{
    return cli_no_daemon(path, error) || error == -ECONNRESET || error == -EPIPE;
}

/* It refused only because the command would not wait so long. */
static bool came_too_late(const json_t *answer)
{
    const char *code = json_string_value(json_object_get(answer, "code"));

    return code && strcmp(code, "expired") == 0;
}

int cli_call_urgent(const struct settings *settings, json_t *request, struct urgent *ret)
{
    int r = lock_request_new(ret->request);

    if (r < 0) {
        cli_error("no random number can be had: %s", strerror(-r));
        return r;
    }
    ret->absence = ABSENCE_NONE;
    ret->answer = NULL;
    json_object_set_new(request, "request", json_string(ret->request));
    json_object_set_new(request, "expires", json_integer((json_int_t)(boot_now() + URGENT_MS * 1000)));
    r = control_call(settings->control, request, URGENT_MS, &ret->answer);
    if (hangs(r) || (r == 0 && came_too_late(ret->answer))) {
        json_decref(ret->answer);
        ret->answer = NULL;
        ret->absence = ABSENCE_HUNG;
    } else if (died(settings->control, r)) {
        ret->absence = ABSENCE_DEAD;
    } else if (r < 0) {
        cli_complain(settings->control, r);
        return r;
    }
    return 0;
}
