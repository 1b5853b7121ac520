/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/inventory_state.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "inventory/json.h"
#include "util/hash.h"
#include "util/mem.h"

/* As it stands in the file, byte for byte: what is read must begin with it. */
#define HEAD "{\"format_version\": \"1.0\", \"checksum\": \""
#define SUM_LEN (sizeof("0123456789abcdef") - 1)
#define DUMP (JSON_COMPACT | JSON_ENCODE_ANY)

static void checksum(const char *bytes, size_t len, char ret[static SUM_LEN + 1])
{
    snprintf(ret, SUM_LEN + 1, "%016" PRIx64, hash_bytes(HASH_START, bytes, len));
}

/* ---- writing ------------------------------------------------------------------------------------------ */

struct inventory_writer {
    char **ids; /* of the containers that there were at the beginning */
    size_t n_ids, next;
    bool has_one; /* container was written */
    char *text;
    size_t len, room;
};

static void put(struct inventory_writer *writer, const char *text, size_t len)
{
    if (writer->len + len >= writer->room) {
        writer->room = (writer->len + len + 1) * 2;
        writer->text = xreallocarray(writer->text, writer->room, 1);
    }
    memcpy(writer->text + writer->len, text, len);
    writer->len += len;
    writer->text[writer->len] = '\0';
}

static void put_text(struct inventory_writer *writer, const char *text)
{
    put(writer, text, strlen(text));
}

static void put_json(struct inventory_writer *writer, json_t *json /* stolen */)
{
    _cleanup_free_ char *dump = json_dumps(json, DUMP);

    json_decref(json);
    put_text(writer, dump ? dump : "null");
}

/* All but the containers, whose list comes last and is left open. */
static void put_frame(struct inventory_writer *writer, const struct inventory *inventory)
{
    json_t *frame = inventory_frame_to_json(inventory);

    json_object_del(frame, "containers");
    put_json(writer, frame);
    writer->len--; /* the closing brace */
    put_text(writer, ",\"containers\":[");
}

struct inventory_writer *inventory_writer_new(const struct inventory *inventory, uint64_t time,
                                              const char *boot)
{
    struct inventory_writer *writer = xnew(struct inventory_writer);
    _cleanup_free_ char *clock = xasprintf("\", \"time\": %" PRIu64 ", \"boot\": ", time);

    for (const struct container *c = inventory->containers; c; c = c->hh.next)
        *ARRAY_ADD(writer->ids, writer->n_ids) = xstrdup(c->id);
    put_text(writer, HEAD "0000000000000000");
    put_text(writer, clock);
    put_json(writer, json_text_or_null(boot));
    put_text(writer, ", \"inventory\": ");
    put_frame(writer, inventory);
    return writer;
}

struct inventory_writer *inventory_writer_free(struct inventory_writer *writer)
{
    if (!writer)
        return NULL;
    for (size_t i = 0; i < writer->n_ids; i++)
        free(writer->ids[i]);
    free(writer->ids);
    free(writer->text);
    free(writer);
    return NULL;
}

bool inventory_writer_step(struct inventory_writer *writer, const struct inventory *inventory, size_t n)
{
    for (size_t i = 0; i < n && writer->next < writer->n_ids; i++) {
        const struct container *container = inventory_container(inventory, writer->ids[writer->next++]);

        if (!container)
            continue;
        put_text(writer, writer->has_one ? ",\n" : "\n");
        put_json(writer, container_to_json(container));
        writer->has_one = true;
    }
    return writer->next < writer->n_ids;
}

char *inventory_writer_finish(struct inventory_writer *writer)
{
    size_t start = sizeof(HEAD) - 1 + SUM_LEN;
    char sum[SUM_LEN + 1];

    put_text(writer, "]}}\n");
    checksum(writer->text + start, writer->len - start, sum);
    memcpy(writer->text + sizeof(HEAD) - 1, sum, SUM_LEN);
    return STEAL(writer->text);
}

/* ---- reading ------------------------------------------------------------------------------------------ */

static bool is_whole(const char *text, size_t len)
{
    size_t start = sizeof(HEAD) - 1 + SUM_LEN;
    char sum[SUM_LEN + 1];

    if (len < start || memcmp(text, HEAD, sizeof(HEAD) - 1) != 0)
        return false;
    checksum(text + start, len - start, sum);
    return memcmp(text + sizeof(HEAD) - 1, sum, SUM_LEN) == 0;
}

int inventory_state_parse(const char *text, size_t len, const char *boot, struct inventory **ret,
                          struct inventory_age *ret_age)
{
    json_t *document = is_whole(text, len) ? json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL) : NULL;
    const json_t *inventory = json_object_get(document, "inventory");
    const char *then = json_string_value(json_object_get(document, "boot"));
    _cleanup_diags_ struct diags diags = {0};
    int r = inventory ? inventory_from_json(inventory, ret, &diags) : -EBADMSG;

    if (r == 0)
        *ret_age =
            (struct inventory_age){.time = (uint64_t)json_integer_value(json_object_get(document, "time")),
                                   .stale = !boot || !then || strcmp(boot, then) != 0};
    json_decref(document);
    return r;
}
