/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "audit/audit.h"

static bool is_over(const struct audit_refuser *refuser, uint64_t now)
{
    return now - refuser->since >= AUDIT_REFUSALS_USEC;
}

/* The user's own place, one that nobody needs any more, or the last, which those share who found none. */
static struct audit_refuser *place_of(struct audit_limit *limit, uid_t uid, uint64_t now)
{
    struct audit_refuser *free_place = NULL;

    for (size_t i = 0; i < limit->n; i++) {
        if (limit->v[i].uid == uid)
            return &limit->v[i];
        if (is_over(&limit->v[i], now) && limit->v[i].missing == 0)
            free_place = &limit->v[i];
    }
    if (!free_place && limit->n < AUDIT_REFUSERS)
        free_place = &limit->v[limit->n++];
    if (!free_place)
        return &limit->v[AUDIT_REFUSERS - 1];
    *free_place = (struct audit_refuser){.uid = uid, .since = now};
    return free_place;
}

bool audit_limit_take(struct audit_limit *limit, uid_t uid, uint64_t now)
{
    struct audit_refuser *refuser = place_of(limit, uid, now);

    if (is_over(refuser, now) && refuser->missing == 0) {
        refuser->since = now;
        refuser->recorded = 0;
    }
    if (refuser->recorded < AUDIT_REFUSALS) {
        refuser->recorded++;
        return true;
    }
    refuser->missing++;
    return false;
}

unsigned audit_limit_missing(struct audit_limit *limit, uint64_t now, uid_t *ret_uid)
{
    for (size_t i = 0; i < limit->n; i++) {
        struct audit_refuser *refuser = &limit->v[i];
        unsigned missing = refuser->missing;

        if (missing == 0 || !is_over(refuser, now))
            continue;
        *refuser = (struct audit_refuser){.uid = refuser->uid, .since = now};
        *ret_uid = refuser->uid;
        return missing;
    }
    return 0;
}
