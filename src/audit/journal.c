/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <ctype.h>
#include <inttypes.h>
#include <string.h>
#include <sys/uio.h>

#include <systemd/sd-journal.h>

#include "audit/audit.h"
#include "audit/audit_log.h"

struct fields {
    struct iovec *v;
    size_t n;
};

/* Takes the text over. */
static void add(struct fields *fields, char *text)
{
    *ARRAY_ADD(fields->v, fields->n) = (struct iovec){text, strlen(text)};
}

static void add_value(struct fields *fields, const char *key, const json_t *value)
{
    char name[64];
    size_t i;

    for (i = 0; key[i] && i < sizeof(name) - 1; i++)
        name[i] = (char)toupper((unsigned char)key[i]);
    name[i] = '\0';
    if (json_is_string(value))
        add(fields, xasprintf("COFFERDAM_%s=%s", name, json_string_value(value)));
    else if (json_is_integer(value))
        add(fields, xasprintf("COFFERDAM_%s=%" JSON_INTEGER_FORMAT, name, json_integer_value(value)));
}

static void add_targets(struct fields *fields, const json_t *targets)
{
    const json_t *target;
    size_t i;

    json_array_foreach (targets, i, target) {
        add_value(fields, "target", json_object_get(target, "name"));
        add_value(fields, "target_id", json_object_get(target, "id"));
    }
}

void audit_to_journal(const json_t *entry)
{
    _cleanup_free_ char *text = audit_text(entry);
    struct fields fields = {0};
    json_t *value;
    const char *key;

    add(&fields, xasprintf("MESSAGE=%s", text));
    add(&fields, xasprintf("MESSAGE_ID=%s", audit_message_id(entry)));
    add(&fields, xasprintf("PRIORITY=%d", audit_priority(entry)));
    json_object_foreach ((json_t *)entry, key, value)
        add_value(&fields, key, value);
    add_targets(&fields, json_object_get(entry, "targets"));
    sd_journal_sendv(fields.v, (int)fields.n);
    for (size_t i = 0; i < fields.n; i++)
        free(fields.v[i].iov_base);
    free(fields.v);
}
