/* linli_rules.h - rules of care groups in C with little ado: reading columns, writing findings, and the entry.
 *
 * Helpers on top of linli_plugin.h, which is the reference; use them, change them or write your own. Before this header
 * stand `linli_plugin.h` and `codes.h`, which `build.sh` makes from plugin.toml:
 *
 *     #include "linli_plugin.h"
 *     #include "codes.h"
 *     #include "linli_rules.h"
 *
 *     static void assess(const linli_view *columns, uint32_t row, linli_say *say) { ... }
 *     static void validate(const linli_view *columns, uint32_t row, linli_say *say) { ... }
 *
 *     LINLI_RULES_PLUGIN(assess, validate)
 *
 * Both functions are called once for each resident. They compute from the columns alone: no clock, no I/O, no state. */
#ifndef LINLI_RULES_H
#define LINLI_RULES_H

#include "linli_plugin.h"

#include <string.h>

enum { LINLI_TIER_GENERAL = 0, LINLI_TIER_KEY = 1, LINLI_TIER_HIGH = 2 };

/* ---- reading: a checked column ------------------------------------------------------------------------------ */
typedef struct linli_view {
    const uint8_t *values, *validity;
    const uint32_t *offsets;
    const int32_t *since;
    uint16_t type, constant;
} linli_view;

static inline uint32_t linli_element(const linli_view *column, uint32_t row) {
    return column->constant ? 0 : row;
}

/* Whether the resident has a value here. */
static inline int linli_known(const linli_view *column, uint32_t row) {
    uint32_t at = linli_element(column, row);
    return !column->validity || (column->validity[at / 8] >> (at % 8) & 1);
}

/* The value, where it is known: 0 or 1, a number, days since 1970-01-01, or the ordinal of a code. */
static inline int64_t linli_value(const linli_view *column, uint32_t row) {
    uint32_t at = linli_element(column, row);
    int64_t integer;
    int32_t date;
    uint32_t code;
    switch (column->type) {
    case LINLI_T_BOOL:
        return column->values[at];
    case LINLI_T_INTEGER:
        memcpy(&integer, column->values + 8 * (size_t)at, 8);
        return integer;
    case LINLI_T_DATE:
        memcpy(&date, column->values + 4 * (size_t)at, 4);
        return date;
    default:
        memcpy(&code, column->values + 4 * (size_t)at, 4);
        return code;
    }
}

/* Whether the value is known and this one. */
static inline int linli_is(const linli_view *column, uint32_t row, int64_t value) {
    return linli_known(column, row) && linli_value(column, row) == value;
}

/* The text, where it is known. */
static inline linli_str linli_text(const linli_view *column, uint32_t row) {
    uint32_t at = linli_element(column, row);
    linli_str text = { (const char *)column->values + column->offsets[at], column->offsets[at + 1] - column->offsets[at] };
    return text;
}

/* From when on the fact counts; LINLI_NO_DATE: it always did. Of several facts that decide together the latest counts
 * (linli_later), and LINLI_NO_DATE is the earliest of all dates. */
static inline int32_t linli_since(const linli_view *column, uint32_t row) {
    return column->since ? column->since[linli_element(column, row)] : LINLI_NO_DATE;
}

static inline int32_t linli_later(int64_t a, int64_t b) {
    return (int32_t)(a > b ? a : b);
}

static inline const void *linli_inside(const linli_batch *batch, uint64_t off, uint64_t size) {
    return off % 8 || off > batch->total_size || size > batch->total_size - off ? NULL : (const uint8_t *)batch + off;
}

/* Checks a batch and fills the views of its columns; what is wrong with it, or NULL. */
static inline const char *linli_open(const linli_batch *batch, const uint16_t *types, uint32_t fields,
                                     uint32_t parameters, linli_view *views) {
    if (!batch || batch->magic != LINLI_BATCH_MAGIC || batch->version != LINLI_BATCH_VERSION)
        return "the batch has another magic number or version";
    if (batch->fields != fields || batch->parameters != parameters)
        return "the batch has other fields or parameters than the manifest";
    for (uint32_t index = 0; index < 1 + fields + parameters; index++) {
        const linli_column *column =
            linli_inside(batch, batch->columns_off + (uint64_t)index * batch->column_size, sizeof(linli_column));
        if (!column || column->type != types[index])
            return "a column lies outside the batch or has another type than the manifest declares";
        linli_view *view = &views[index];
        view->type = column->type;
        view->constant = (column->flags & LINLI_COL_CONSTANT) != 0;
        uint64_t elements = view->constant ? 1 : batch->rows;
        uint64_t size = elements * (column->type == LINLI_T_BOOL ? 1 : column->type == LINLI_T_INTEGER ? 8 : 4);
        view->offsets = NULL;
        if (column->type == LINLI_T_TEXT) {
            view->offsets = linli_inside(batch, column->offsets_off, (elements + 1) * 4);
            if (!view->offsets)
                return "an array lies outside the batch";
            for (uint64_t at = 0; at < elements; at++)
                if (view->offsets[at] > view->offsets[at + 1])
                    return "the offsets of a text are out of order";
            size = view->offsets[elements];
        }
        view->values = linli_inside(batch, column->values_off, size);
        view->validity = column->validity_off ? linli_inside(batch, column->validity_off, (elements + 7) / 8) : NULL;
        view->since = column->since_off ? linli_inside(batch, column->since_off, elements * 4) : NULL;
        if (!view->values || (column->validity_off && !view->validity) || (column->since_off && !view->since))
            return "an array lies outside the batch";
    }
    return NULL;
}

/* ---- writing: what follows about one resident --------------------------------------------------------------- */
typedef struct linli_say {
    linli_sink *sink;
    uint32_t row;
    int32_t today;
    linli_status status;
} linli_say;

static inline void linli_put(linli_say *say, uint8_t kind, uint16_t ordinal, uint16_t reason, int64_t since,
                             int64_t until) {
    linli_sink *sink = say->sink;
    if (say->status == LINLI_OK && sink->len >= sink->cap)
        say->status = sink->grow(sink, sink->len + 1);
    if (say->status != LINLI_OK)
        return;
    linli_finding finding = { .resident = say->row, .kind = kind, .ordinal = ordinal, .reason = reason };
    /* Before the first date it always was so; what lies after the last one is not said. */
    finding.since = since < LINLI_DATE_FIRST ? LINLI_NO_DATE : (int32_t)since;
    finding.until = until < LINLI_DATE_FIRST || until > LINLI_DATE_LAST ? LINLI_NO_DATE : (int32_t)until;
    sink->items[sink->len++] = finding;
}

/* A member from `since` on (LINLI_NO_DATE: nobody knows a day) until `until` (LINLI_NO_DATE: until further notice). */
static inline void linli_member(linli_say *say, uint16_t group, int64_t since, int64_t until, uint16_t reason) {
    linli_put(say, LINLI_F_MEMBERSHIP, group, reason, since, until);
}

static inline void linli_tier(linli_say *say, uint16_t tier, int64_t since, uint16_t reason) {
    linli_put(say, LINLI_F_TIER, tier, reason, since, LINLI_NO_DATE);
}

static inline void linli_tag(linli_say *say, uint16_t tag, int64_t since, uint16_t reason) {
    linli_put(say, LINLI_F_TAG, tag, reason, since, LINLI_NO_DATE);
}

static inline void linli_caution(linli_say *say, uint16_t caution, uint16_t reason) {
    linli_put(say, LINLI_F_CAUTION, caution, reason, LINLI_NO_DATE, LINLI_NO_DATE);
}

/* The first day, after today, on which the answer may differ though no fact changed. */
static inline void linli_expires(linli_say *say, int64_t on) {
    if (on <= LINLI_DATE_LAST)
        linli_put(say, LINLI_F_EXPIRES, 0, LINLI_NO_REASON, LINLI_NO_DATE, on);
}

/* The fact of this field is not acceptable. */
static inline void linli_issue(linli_say *say, uint16_t field, uint16_t reason) {
    linli_put(say, LINLI_F_ISSUE, field, reason, LINLI_NO_DATE, LINLI_NO_DATE);
}

/* ---- one call ----------------------------------------------------------------------------------------------- */
typedef void (*linli_rule)(const linli_view *columns, uint32_t row, linli_say *say);

static inline linli_status linli_fail(const linli_call *call, linli_status status, const char *why) {
    linli_str text = { why, strlen(why) };
    call->error(call, text);
    return status;
}

static inline linli_status linli_each(const linli_call *call, const linli_batch *batch, linli_sink *sink,
                                      const uint16_t *types, uint32_t fields, uint32_t parameters, linli_view *views,
                                      linli_rule rule) {
    const char *wrong = linli_open(batch, types, fields, parameters, views);
    if (wrong)
        return linli_fail(call, LINLI_E_INVALID, wrong);
    if (sink->item_size != sizeof(linli_finding))
        return linli_fail(call, LINLI_E_INVALID, "the sink is not one for findings");
    linli_say say = { sink, 0, 0, LINLI_OK };
    for (uint32_t row = 0; row < batch->rows; row++) {
        if (row % 64 == 0 && *(const volatile uint32_t *)call->cancel)
            return linli_fail(call, LINLI_E_CANCELLED, "told to stop");
        say.row = row;
        say.today = (int32_t)linli_value(&views[0], row);
        rule(views, row, &say);
    }
    return say.status == LINLI_OK ? LINLI_OK : linli_fail(call, say.status, "the sink does not take more");
}

/* ---- the entry: rules without state or configuration --------------------------------------------------------- */
#define LINLI_RULES_PLUGIN(assess_row, validate_row)                                                                  \
    static const uint16_t linli_types[] = COLUMN_TYPES;                                                               \
    static const linli_description linli_this = {                                                                     \
        sizeof(linli_description), 0, { MANIFEST, sizeof(MANIFEST) }, { "linli_rules.h 1.0", 17 }                     \
    };                                                                                                                \
    static linli_status linli_assess(linli_instance *self, const linli_call *call, const linli_batch *batch,          \
                                     linli_sink *sink) {                                                              \
        linli_view views[1 + FIELDS + PARAMETERS];                                                                    \
        (void)self;                                                                                                   \
        return linli_each(call, batch, sink, linli_types, FIELDS, PARAMETERS, views, assess_row);                     \
    }                                                                                                                 \
    static linli_status linli_validate(linli_instance *self, const linli_call *call, const linli_batch *batch,        \
                                       linli_sink *sink) {                                                            \
        linli_view views[1 + FIELDS + PARAMETERS];                                                                    \
        (void)self;                                                                                                   \
        return linli_each(call, batch, sink, linli_types, FIELDS, PARAMETERS, views, validate_row);                   \
    }                                                                                                                 \
    static const linli_rules linli_these = { sizeof(linli_rules), 0, linli_assess, linli_validate };                  \
    static const linli_description *linli_describe(void) {                                                            \
        return &linli_this;                                                                                           \
    }                                                                                                                 \
    static linli_status linli_create(const linli_host *host, const linli_call *call, linli_bytes config,              \
                                     linli_instance **out) {                                                          \
        static char nothing; /* rules have no state; an instance only says that one was made */                       \
        (void)host, (void)call, (void)config;                                                                         \
        *out = (linli_instance *)&nothing;                                                                            \
        return LINLI_OK;                                                                                              \
    }                                                                                                                 \
    static void linli_destroy(linli_instance *self) {                                                                 \
        (void)self;                                                                                                   \
    }                                                                                                                 \
    static const void *linli_interface(linli_instance *self, linli_str id) {                                          \
        (void)self;                                                                                                   \
        return id.len == strlen(LINLI_IF_RULES) && memcmp(id.ptr, LINLI_IF_RULES, id.len) == 0 ? &linli_these : NULL; \
    }                                                                                                                 \
    const linli_plugin *linli_plugin_entry_v1(uint32_t host_abi_major, uint32_t host_abi_minor) {                     \
        static const linli_plugin plugin = {                                                                          \
            LINLI_PLUGIN_MAGIC, sizeof(linli_plugin), LINLI_ABI_MAJOR, LINLI_ABI_MINOR, 0,                            \
            linli_describe, linli_create, linli_destroy, linli_interface                                              \
        };                                                                                                            \
        (void)host_abi_minor;                                                                                         \
        return host_abi_major == LINLI_ABI_MAJOR ? &plugin : NULL;                                                    \
    }

#endif /* LINLI_RULES_H */
