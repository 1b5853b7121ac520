/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/protocol.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "inventory/json.h"

/* Every key is always there. What is no UTF-8 has `?` for each byte that is not ASCII. */
static void set_text(json_t *object, const char *key, const char *text)
{
    json_object_set_new(object, key, json_text_or_null(text));
}

static void set_number(json_t *object, const char *key, unsigned number, bool known)
{
    json_object_set_new(object, key, known ? json_integer(number) : json_null());
}

static json_t *other_to_json(const struct diag *diag)
{
    json_t *other;

    if (!diag->other_message)
        return json_null();
    other = json_object();
    set_text(other, "file", diag->other_file);
    set_number(other, "line", diag->other_line, diag->other_line);
    set_number(other, "column", diag->other_column, diag->other_line);
    set_text(other, "message", diag->other_message);
    return other;
}

static json_t *diag_to_json(const struct diag *diag)
{
    /* A caret below a line with other characters in it would point to the wrong one: such a line is not shown. */
    json_t *source_line = diag->source_line ? json_string(diag->source_line) : NULL;
    json_t *object = json_object();

    set_text(object, "level", diag_level_name(diag->level));
    set_text(object, "code", diag->code);
    set_text(object, "file", diag->file);
    set_number(object, "line", diag->line, diag->line);
    set_number(object, "column", diag->column, diag->line);
    set_number(object, "width", diag->width, diag->line);
    set_text(object, "message", diag->message);
    set_text(object, "help", diag->help);
    json_object_set_new(object, "source_line", source_line ? source_line : json_null());
    json_object_set_new(object, "other", other_to_json(diag));
    return object;
}

json_t *diags_to_json(const struct diags *diags)
{
    json_t *array = json_array();

    for (size_t i = 0; i < diags->n; i++)
        json_array_append_new(array, diag_to_json(&diags->v[i]));
    return array;
}

static int level_from_json(const json_t *json, enum diag_level *ret)
{
    static const enum diag_level levels[] = {DIAG_ERROR, DIAG_WARNING, DIAG_NOTE};
    const char *text = json_string_value(json);

    for (size_t i = 0; text && i < ARRAY_SIZE(levels); i++)
        if (strcmp(text, diag_level_name(levels[i])) == 0) {
            *ret = levels[i];
            return 0;
        }
    return -EBADMSG;
}

/* null counts as 0, and so does a key that is absent; anything but a number that fits is an error. */
static int number_from_json(const json_t *object, const char *key, unsigned *ret)
{
    const json_t *value = json_object_get(object, key);

    if (!value || json_is_null(value)) {
        *ret = 0;
        return 0;
    }
    if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) > INT32_MAX)
        return -EBADMSG;
    *ret = (unsigned)json_integer_value(value);
    return 0;
}

static int pos_from_json(const json_t *object, struct source_pos *ret)
{
    struct source_pos pos = {.file = json_string_value(json_object_get(object, "file"))};

    if (number_from_json(object, "line", &pos.line) < 0 ||
        number_from_json(object, "column", &pos.column) < 0 ||
        number_from_json(object, "width", &pos.width) < 0)
        return -EBADMSG;
    if (pos.width == 0)
        pos.width = 1;
    *ret = pos;
    return 0;
}

static int diag_from_json(const json_t *object, struct diags *diags)
{
    const char *message = json_string_value(json_object_get(object, "message"));
    const char *help = json_string_value(json_object_get(object, "help"));
    const json_t *source_line = json_object_get(object, "source_line");
    const json_t *other = json_object_get(object, "other");
    struct source_pos pos, other_pos = {0};
    enum diag_level level;

    if (json_is_null(other))
        other = NULL;
    if (!message || level_from_json(json_object_get(object, "level"), &level) < 0 ||
        pos_from_json(object, &pos) < 0 || (other && pos_from_json(other, &other_pos) < 0))
        return -EBADMSG;

    const char *other_message = json_string_value(json_object_get(other, "message"));
    if (other && !other_message)
        return -EBADMSG;

    struct diag *diag = diag_add(diags, level, json_string_value(json_object_get(object, "code")),
                                 pos.file ? &pos : NULL, "%s", message);
    if (help)
        diag_help(diag, "%s", help);
    if (json_is_string(source_line))
        diag_source_line(diag, json_string_value(source_line), json_string_length(source_line));
    if (other)
        diag_other(diag, &other_pos, other_message);
    return 0;
}

int diags_from_json(const json_t *json, struct diags *diags)
{
    _cleanup_diags_ struct diags read = {0};
    const json_t *object;
    size_t i;

    if (!json_is_array(json))
        return -EBADMSG;
    json_array_foreach (json, i, object) {
        int r = diag_from_json(object, &read);
        if (r < 0)
            return r;
    }
    diags_move(diags, &read);
    return 0;
}

json_t *control_request(const char *verb)
{
    return json_pack("{s:s}", "verb", verb);
}

json_t *control_answer(int exit_status, json_t *result)
{
    return json_pack("{s:b, s:i, s:o}", "ok", 1, "exit", exit_status, "result",
                     result ? result : json_object());
}

json_t *control_error(int exit_status, const char *error, const char *help, const struct diags *diags)
{
    json_t *answer = json_pack("{s:b, s:i}", "ok", 0, "exit", exit_status);

    set_text(answer, "error", error);
    set_text(answer, "help", help);
    json_object_set_new(answer, "diagnostics", diags ? diags_to_json(diags) : json_array());
    return answer;
}

json_t *control_error_code(int exit_status, const char *code, const char *error, const char *help)
{
    json_t *answer = control_error(exit_status, error, help, NULL);

    set_text(answer, "code", code);
    return answer;
}
