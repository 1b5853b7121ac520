/* SPDX-License-Identifier: GPL-2.0-or-later */
/* GET /events: one line, and the stream's way to lines. */
#include <errno.h>
#include <string.h>

#include "answer.h"

void docker_event_clear(struct docker_event *event)
{
    free(event->id);
    free(event->name);
    free(event->image);
    free(event->container_id);
    *event = (struct docker_event){0};
}

const char *docker_action_name(enum docker_action action)
{
    switch (action) {
    case DOCKER_CREATE:
        return "create";
    case DOCKER_START:
        return "start";
    case DOCKER_DIE:
        return "die";
    case DOCKER_STOP:
        return "stop";
    case DOCKER_DESTROY:
        return "destroy";
    case DOCKER_RENAME:
        return "rename";
    case DOCKER_PAUSE:
        return "pause";
    case DOCKER_UNPAUSE:
        return "unpause";
    case DOCKER_UPDATE:
        return "update";
    case DOCKER_CONNECT:
        return "connect";
    case DOCKER_DISCONNECT:
        return "disconnect";
    case DOCKER_OTHER_ACTION:
        return "other";
    }
    return "?";
}

static enum docker_action decode_action(const char *text)
{
    for (enum docker_action action = DOCKER_CREATE; text && action < DOCKER_OTHER_ACTION; action++)
        if (strcmp(text, docker_action_name(action)) == 0)
            return action;
    return DOCKER_OTHER_ACTION;
}

static enum docker_event_type decode_type(const char *text)
{
    if (text && strcmp(text, "container") == 0)
        return DOCKER_CONTAINER;
    if (text && strcmp(text, "network") == 0)
        return DOCKER_NETWORK;
    return DOCKER_OTHER_TYPE;
}

/* Network events carry no labels, so that theirs are the Engine's own. */
static void decode_attributes(const json_t *attributes, struct docker_event *event)
{
    const char *name = answer_text(attributes, "name");

    if (name)
        event->name = xstrdup(name[0] == '/' ? name + 1 : name);
    switch (event->type) {
    case DOCKER_CONTAINER:
        event->image = answer_text_copy(attributes, "image");
        break;
    case DOCKER_NETWORK:
        event->container_id = xstrdup_null(answer_id(attributes, "container"));
        break;
    case DOCKER_OTHER_TYPE:
        break;
    }
}

int docker_decode_event(const char *bytes, size_t len, struct docker_event *ret, struct diags *diags)
{
    _cleanup_json_ json_t *json = NULL;
    const json_t *actor;
    json_error_t error;
    const char *id;

    if (len > DOCKER_LINE_MAX) {
        answer_diag(diags, DIAG_ERROR, "an event of %zu bytes is too long", len);
        return -EBADMSG;
    }
    /* Not answer_parse(): as a real, timeNano would lose its last digits. */
    json = answer_load(bytes, len, 0, &error);
    actor = answer_object(json, "Actor");
    id = answer_text(actor, "ID");
    if (!id || !id[0]) {
        answer_diag(diags, DIAG_ERROR, "the Engine sent an event that is none: %s",
                    json ? "it has no Actor.ID" : error.text);
        return -EBADMSG;
    }
    *ret = (struct docker_event){
        .type = decode_type(answer_text(json, "Type")),
        .action = decode_action(answer_text(json, "Action")),
        .id = xstrdup(id),
        .time_nano = json_integer_value(json_object_get(json, "timeNano")),
    };
    decode_attributes(answer_object(actor, "Attributes"), ret);
    return 0;
}

/* ---- lines -------------------------------------------------------------------------------------------- */

void line_splitter_clear(struct line_splitter *splitter)
{
    free(splitter->bytes);
    *splitter = (struct line_splitter){0};
}

static void keep(struct line_splitter *splitter, const char *bytes, size_t len)
{
    if (splitter->skipping)
        return;
    if (splitter->len + len > DOCKER_LINE_MAX) {
        splitter->skipping = true;
        splitter->n_too_long++;
        return;
    }
    if (splitter->len + len > splitter->size) {
        splitter->size = 2 * (splitter->len + len);
        splitter->bytes = xreallocarray(splitter->bytes, splitter->size, 1);
    }
    if (len > 0)
        memcpy(splitter->bytes + splitter->len, bytes, len);
    splitter->len += len;
}

/* json-seq puts a record separator in front of each object; some proxies end lines with CR LF. */
static void end_line(struct line_splitter *splitter, line_handler handler, void *userdata)
{
    const char *line = splitter->bytes;
    size_t len = splitter->len;

    splitter->len = 0;
    if (splitter->skipping) {
        splitter->skipping = false;
        return;
    }
    while (len > 0 && (*line == '\x1e' || *line == ' ' || *line == '\t')) {
        line++;
        len--;
    }
    while (len > 0 && (line[len - 1] == '\r' || line[len - 1] == ' ' || line[len - 1] == '\t'))
        len--;
    if (len > 0)
        handler(line, len, userdata);
}

void line_splitter_feed(struct line_splitter *splitter, const char *bytes, size_t len, line_handler handler,
                        void *userdata)
{
    while (len > 0) {
        const char *newline = memchr(bytes, '\n', len);
        size_t part = newline ? (size_t)(newline - bytes) : len;

        keep(splitter, bytes, part);
        if (!newline)
            return;
        end_line(splitter, handler, userdata);
        bytes += part + 1;
        len -= part + 1;
    }
}
