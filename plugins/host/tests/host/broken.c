/* A plugin that keeps every rule of the header, written from the header alone; with one of the definitions below it
 * breaks that rule and no other. Each definition is named like the rule that it breaks. */
#define _GNU_SOURCE
#include "linli_plugin.h"
#include "manifest.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifdef BREAK_ENTRY
#define ENTRY some_function
#else
#define ENTRY linli_plugin_entry_v1
#endif
#ifdef BREAK_SYMBOLS
LINLI_EXPORT int another(void);
int another(void) { return 1; }
#endif
#ifdef BREAK_STATIC_TLS
static __thread int per_thread __attribute__((tls_model("initial-exec")));
#endif
#ifdef BREAK_OTHER_THREAD
static _Thread_local int made_here;
#endif
#ifdef BREAK_CONCURRENT
static atomic_int inside;
#endif
#ifdef BREAK_INSTANCES_AGREE
static atomic_int made;
#endif

enum { COLUMNS = 7, FLAG = 1, NUMBER, DAY, COURSE, WORDS, LIMIT };
static const uint16_t TYPES[COLUMNS] = {
    LINLI_T_DATE, LINLI_T_BOOL, LINLI_T_INTEGER, LINLI_T_DATE, LINLI_T_CODE, LINLI_T_TEXT, LINLI_T_INTEGER
};
static const uint32_t WIDTHS[COLUMNS] = { 4, 1, 8, 4, 4, 0, 8 };

struct linli_instance {
    const linli_host *host;
    uint64_t calls;
    int number;
};

#if defined(BREAK_QUIET_LOAD) || defined(BREAK_THREADS)
static void *wait_for_ever(void *nothing) {
    for (;;)
        pause();
    return nothing;
}
#endif

static const linli_description DESCRIPTION = {
    sizeof(linli_description),
#ifdef BREAK_RESERVED
    7,
#else
    0,
#endif
    { MANIFEST, sizeof(MANIFEST) },
#ifdef BREAK_TEXT
    { "cc \xff", 4 }
#else
    { "cc", 2 }
#endif
};

static const linli_description *describe(void) {
#ifdef BREAK_CONSTANT
    static linli_description other;
    static int calls;
    other = DESCRIPTION;
    other.build_info.len = calls++ % 2 ? 1 : 2;
    return &other;
#endif
#ifdef BREAK_DESCRIBE_TIME
    usleep(150 * 1000);
#endif
#ifdef BREAK_QUIET_LOAD
    static pthread_t thread;
    if (!thread)
        pthread_create(&thread, NULL, wait_for_ever, NULL);
#endif
    return &DESCRIPTION;
}

static void say(const linli_call *call, const char *why) {
#ifdef BREAK_SAYS_WHY
    (void)call, (void)why;
#else
    linli_str text = { why, strlen(why) };
    call->error(call, text);
#endif
}

static linli_status create(const linli_host *host, const linli_call *call, linli_bytes config, linli_instance **out) {
    (void)config, (void)call;
#ifdef BREAK_CREATE
    (void)host;
    *out = NULL;
    return LINLI_OK;
#endif
#ifdef BREAK_STATIC_TLS
    per_thread++;
#endif
#ifdef BREAK_OTHER_THREAD
    made_here = 1;
#endif
#ifdef BREAK_INSTANCES
    void *lost = malloc(64 * 1024);
    if (lost)
        memset(lost, 1, 64 * 1024);
#endif
#ifdef BREAK_DESCRIPTORS
    if (open("/dev/null", O_RDONLY) < 0)
        return LINLI_E_INTERNAL;
#endif
#ifdef BREAK_THREADS
    static pthread_t thread;
    if (!thread)
        pthread_create(&thread, NULL, wait_for_ever, NULL);
#endif
    linli_instance *self = calloc(1, sizeof(*self));
    if (!self) {
        say(call, "no memory");
        return LINLI_E_INTERNAL;
    }
    self->host = host;
#ifdef BREAK_INSTANCES_AGREE
    self->number = atomic_fetch_add(&made, 1);
#endif
    *out = self;
    return LINLI_OK;
}

static void destroy(linli_instance *self) {
    free(self);
}

/* ---- reading ---- */
typedef struct view {
    const uint8_t *values;
    const uint8_t *validity;
    const uint32_t *offsets;
    const int32_t *since;
    int constant;
} view;

static const void *inside_of(const linli_batch *batch, uint64_t off, uint64_t size) {
    if (off % 8 || off + size > batch->total_size)
        return NULL;
    return (const uint8_t *)batch + off;
}

static const char *open_batch(const linli_batch *batch, view views[COLUMNS]) {
    if (batch->magic != LINLI_BATCH_MAGIC)
        return "another magic number";
#ifndef BREAK_WRONG_BATCH
    if (batch->version != LINLI_BATCH_VERSION)
        return "another version";
#endif
    if (batch->fields != 5 || batch->parameters != 1)
        return "other fields or parameters";
#ifdef BREAK_LARGER_BATCH
    uint64_t step = sizeof(linli_column);
#else
    uint64_t step = batch->column_size;
#endif
    for (uint32_t index = 0; index < COLUMNS; index++) {
        const linli_column *column = inside_of(batch, batch->columns_off + index * step, sizeof(linli_column));
        if (!column || column->type != TYPES[index])
            return "a column of another type";
        view *v = &views[index];
        v->constant = (column->flags & LINLI_COL_CONSTANT) != 0;
        uint64_t elements = v->constant ? 1 : batch->rows, size = elements * WIDTHS[index];
        v->offsets = NULL;
        if (column->type == LINLI_T_TEXT) {
            v->offsets = inside_of(batch, column->offsets_off, (elements + 1) * 4);
            if (!v->offsets)
                return "offsets beyond the end";
            size = v->offsets[elements];
        }
        v->values = inside_of(batch, column->values_off, size);
        v->validity = column->validity_off ? inside_of(batch, column->validity_off, (elements + 7) / 8) : NULL;
        v->since = column->since_off ? inside_of(batch, column->since_off, elements * 4) : NULL;
        if (!v->values || (column->validity_off && !v->validity) || (column->since_off && !v->since))
            return "values beyond the end";
    }
    return NULL;
}

static int known(const view *v, uint32_t row) {
    uint32_t element = v->constant ? 0 : row;
#ifdef BREAK_ABSENT
    if (v->offsets == NULL)
        return 1;
#endif
    return !v->validity || (v->validity[element / 8] >> (element % 8) & 1);
}

static int64_t value(const view *views, int column, uint32_t row) {
    const view *v = &views[column];
    uint32_t element = v->constant ? 0 : row;
    switch (TYPES[column]) {
    case LINLI_T_BOOL: return v->values[element];
    case LINLI_T_INTEGER: return ((const int64_t *)v->values)[element];
    case LINLI_T_DATE: return ((const int32_t *)v->values)[element];
    default: return ((const uint32_t *)v->values)[element];
    }
}

static int32_t since(const view *v, uint32_t row) {
    return v->since ? v->since[v->constant ? 0 : row] : LINLI_NO_DATE;
}

/* ---- writing ---- */
typedef struct writer {
    linli_sink *sink;
    linli_finding *items;
    uint32_t row;
    linli_status status;
} writer;

static void put(writer *w, linli_finding finding) {
    linli_sink *sink = w->sink;
    if (w->status != LINLI_OK)
        return;
    if (sink->len == sink->cap) {
#ifdef BREAK_SINK
        sink->items[sink->len] = finding;
        return;
#endif
        w->status = sink->grow(sink, sink->len + 1);
#ifdef BREAK_FULL
        if (w->status != LINLI_OK) {
            w->status = LINLI_OK;
            return;
        }
#endif
        if (w->status != LINLI_OK)
            return;
    }
    finding.resident = w->row;
#ifdef BREAK_ROWS
    if (finding.kind == LINLI_F_CAUTION)
        finding.resident = 1000000;
#endif
#ifdef BREAK_GROW
    w->items[sink->len++] = finding;
#else
    sink->items[sink->len++] = finding;
#endif
}

static const linli_finding NOTHING = { .reason = LINLI_NO_REASON, .since = LINLI_NO_DATE, .until = LINLI_NO_DATE };

static linli_finding found(uint8_t kind, uint16_t ordinal) {
    linli_finding finding = NOTHING;
    finding.kind = kind;
    finding.ordinal = ordinal;
    finding.reason = 0;
    return finding;
}

static void assess_row(linli_instance *self, const view *views, uint32_t row, writer *w) {
    (void)self;
    int32_t today = (int32_t)value(views, 0, row);
    int has_number = known(&views[NUMBER], row);
    int64_t number = has_number ? value(views, NUMBER, row) : 0;
#ifdef BREAK_ENCODINGS
    if (views[FLAG].constant)
        return;
#endif
#ifdef BREAK_WILD
    if (has_number && number == INT64_MIN)
        abort();
#endif
    if (known(&views[FLAG], row) && value(views, FLAG, row) == 1) {
        linli_finding member = found(LINLI_F_MEMBERSHIP, 0);
        member.since = since(&views[FLAG], row);
#ifdef BREAK_ORDINALS
        member.ordinal = number == 0 ? 1 : 0;
#endif
#ifdef BREAK_REASONS
        member.reason = number == 0 ? LINLI_NO_REASON : 0;
#endif
#ifdef BREAK_SINCE
        member.since = today + 1;
#endif
        put(w, member);
#ifdef BREAK_TWICE
        put(w, member);
#endif
    }
    if (has_number && number > value(views, LIMIT, row)) {
        linli_finding tier = found(LINLI_F_TIER, 1);
#ifdef BREAK_MEMBERS
        tier.reserved_b = 1;
#endif
        put(w, tier);
        put(w, found(LINLI_F_TAG, 0));
    }
    if (known(&views[DAY], row)) {
        int64_t day = value(views, DAY, row);
#ifdef BREAK_UNTIL
        if (day >= today) {
#else
        if (day > today) {
#endif
            linli_finding expires = NOTHING;
            expires.kind = LINLI_F_EXPIRES;
            expires.until = (int32_t)day;
            put(w, expires);
        }
    }
    if (known(&views[COURSE], row) && value(views, COURSE, row) == 1)
        put(w, found(LINLI_F_CAUTION, 0));
#ifdef BREAK_KINDS
    if (known(&views[COURSE], row) && value(views, COURSE, row) == 1)
        put(w, found(LINLI_F_ISSUE, 0));
#endif
    if (known(&views[WORDS], row)) {
        const view *v = &views[WORDS];
        uint32_t element = v->constant ? 0 : row, length = v->offsets[element + 1] - v->offsets[element];
        int tagged = length > 0;
#ifdef BREAK_ALONE
        tagged = tagged && row > 0;
#endif
#ifdef BREAK_CHILD
        tagged = tagged && getenv("PATH") != NULL;
#endif
#ifdef BREAK_REPEAT
        tagged = tagged && self->calls < 3000;
#endif
#ifdef BREAK_INSTANCES_AGREE
        tagged = tagged && self->number < 2;
#endif
        if (tagged)
            put(w, found(LINLI_F_TAG, 1));
#ifdef BREAK_PRIVATE
        linli_str text = { (const char *)v->values + v->offsets[element], length };
        self->host->log(self->host->ctx, LINLI_LOG_INFO, text);
#endif
    }
}

static void validate_row(linli_instance *self, const view *views, uint32_t row, writer *w) {
    (void)self;
    if (known(&views[NUMBER], row) && value(views, NUMBER, row) < 0)
        put(w, found(LINLI_F_ISSUE, NUMBER - 1));
}

typedef void (*row_fn)(linli_instance *, const view *, uint32_t, writer *);

static linli_status each_row(linli_instance *self, const linli_call *call, const linli_batch *batch, linli_sink *sink,
                             row_fn one) {
    view views[COLUMNS];
#ifdef BREAK_EMPTY
    if (batch->rows == 0) {
        say(call, "nobody");
        return LINLI_E_INVALID;
    }
#endif
#ifdef BREAK_LARGER_STRUCTS
    if (call->struct_size != sizeof(linli_call)) {
        say(call, "another host");
        return LINLI_E_UNSUPPORTED;
    }
#endif
#ifdef BREAK_IN_PROCESS
    if (call->budget_ms) {
        say(call, "no time");
        return LINLI_E_INTERNAL;
    }
#endif
#ifdef BREAK_OTHER_THREAD
    if (!made_here) {
        say(call, "another thread");
        return LINLI_E_INTERNAL;
    }
#endif
#ifdef BREAK_CONCURRENT
    int others = atomic_fetch_add(&inside, 1);
    if (batch->rows >= 4096)
        usleep(2000);
    others += atomic_load(&inside) - 1;
    atomic_fetch_sub(&inside, 1);
    if (others) {
        say(call, "busy");
        return LINLI_E_INTERNAL;
    }
#endif
    const char *wrong = open_batch(batch, views);
    if (wrong) {
        say(call, wrong);
        return LINLI_E_INVALID;
    }
#ifndef BREAK_ITEM_SIZE
    if (sink->item_size != sizeof(linli_finding)) {
        say(call, "records of another size");
        return LINLI_E_INVALID;
    }
#endif
#ifdef BREAK_READ_ONLY
    ((linli_batch *)(uintptr_t)batch)->reserved = 1;
#endif
#ifdef BREAK_IN_BOUNDS
    volatile uint8_t beyond = ((const uint8_t *)batch)[batch->total_size];
    (void)beyond;
#endif
#ifdef BREAK_MEMORY
    void *lost = malloc(16 * 1024);
    if (lost)
        memset(lost, 1, 16 * 1024);
#endif
#ifdef BREAK_SYSTEM
    close(open("/dev/null", O_RDONLY));
#endif
#ifdef BREAK_OUTPUT
    if (write(1, "x", 1) < 0)
        return LINLI_E_INTERNAL;
#endif
#ifdef BREAK_EXIT
    if (batch->rows > 60000)
        exit(0);
#endif
#ifdef BREAK_CLOCK
    if (time(NULL) == 0)
        return LINLI_E_INTERNAL;
#endif
    writer w = { sink, sink->items, 0, LINLI_OK };
    for (uint32_t row = 0; row < batch->rows; row++) {
#ifndef BREAK_CANCEL
        if (row % 64 == 0 && __atomic_load_n(call->cancel, __ATOMIC_ACQUIRE)) {
            say(call, "told to stop");
            return LINLI_E_CANCELLED;
        }
#endif
        w.row = row;
        one(self, views, row, &w);
    }
    self->calls++;
#ifdef BREAK_LARGE
    if (batch->rows > 20000) {
        say(call, "too many");
        return LINLI_E_INTERNAL;
    }
#endif
    if (w.status != LINLI_OK)
        say(call, "the sink is full");
    return w.status;
}

static linli_status assess(linli_instance *self, const linli_call *call, const linli_batch *batch, linli_sink *sink) {
    return each_row(self, call, batch, sink, assess_row);
}

static linli_status validate(linli_instance *self, const linli_call *call, const linli_batch *batch,
                             linli_sink *sink) {
    return each_row(self, call, batch, sink, validate_row);
}

static const linli_rules RULES = { sizeof(linli_rules), 0, assess, validate };

static const void *get_interface(linli_instance *self, linli_str id) {
    (void)self;
#ifdef BREAK_INTERFACES
    return id.len == 9999 ? &RULES : NULL;
#endif
#ifdef BREAK_UNKNOWN_INTERFACE
    return id.len > 3 && memcmp(id.ptr, LINLI_IF_RULES, id.len < 11 ? id.len : 11) == 0 ? &RULES : NULL;
#endif
    return id.len == strlen(LINLI_IF_RULES) && memcmp(id.ptr, LINLI_IF_RULES, id.len) == 0 ? &RULES : NULL;
}

static const linli_plugin PLUGIN = {
#ifdef BREAK_ABI
    LINLI_PLUGIN_MAGIC + 1,
#else
    LINLI_PLUGIN_MAGIC,
#endif
    sizeof(linli_plugin), LINLI_ABI_MAJOR, LINLI_ABI_MINOR, 0, describe, create, destroy, get_interface
};

LINLI_EXPORT const linli_plugin *ENTRY(uint32_t host_abi_major, uint32_t host_abi_minor);

LINLI_EXPORT const linli_plugin *ENTRY(uint32_t host_abi_major, uint32_t host_abi_minor) {
    (void)host_abi_minor;
#ifdef BREAK_NEWER_HOST
    if (host_abi_minor > LINLI_ABI_MINOR)
        return NULL;
#endif
    return host_abi_major == LINLI_ABI_MAJOR ? &PLUGIN : NULL;
}
