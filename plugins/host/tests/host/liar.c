/* A plugin in C, written from the header alone. It says about each resident what its facts tell it to say, true or
 * not; with the definitions below it also lies about itself. */
#define _GNU_SOURCE
#include "linli_plugin.h"
#include "manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef MAGIC
#define MAGIC LINLI_PLUGIN_MAGIC
#endif
#ifndef MAJOR
#define MAJOR LINLI_ABI_MAJOR
#endif
#ifndef SIZE
#define SIZE sizeof(linli_plugin)
#endif
#ifndef DESCRIPTION_SIZE
#define DESCRIPTION_SIZE sizeof(linli_description)
#endif
#ifndef FLAGS
#define FLAGS 0
#endif
#ifndef BUILD_INFO
#define BUILD_INFO "cc"
#endif
#ifndef ENTRY
#define ENTRY linli_plugin_entry_v1
#endif

static const linli_description DESCRIPTION = {
    DESCRIPTION_SIZE, 0, { MANIFEST, sizeof(MANIFEST) }, { BUILD_INFO, sizeof(BUILD_INFO) - 1 }
};

static const linli_description *describe(void) {
    return &DESCRIPTION;
}

static int only;

#ifdef UNDEFINED
int no_library_has_this(void);
#endif

static linli_status create(const linli_host *host, const linli_call *call, linli_bytes config, linli_instance **out) {
    (void)config;
#ifdef UNDEFINED
    only = no_library_has_this();
#endif
#ifdef CREATE_FAILS
    linli_str why = { "no licence key", 14 };
    call->error(call, why);
    return LINLI_E_CONFIG;
#endif
    (void)call;
    linli_str news = { "ready", 5 };
    host->log(host->ctx, LINLI_LOG_INFO, news);
    *out = (linli_instance *)&only;
    return LINLI_OK;
}

static void destroy(linli_instance *self) {
    (void)self;
}

static int64_t value(const linli_batch *batch, uint32_t column, uint32_t row, int64_t otherwise) {
    const uint8_t *bytes = (const uint8_t *)batch;
    const linli_column *c = (const linli_column *)(bytes + batch->columns_off + column * batch->column_size);
    uint32_t element = c->flags & LINLI_COL_CONSTANT ? 0 : row;
    if (c->validity_off && !(bytes[c->validity_off + element / 8] >> (element % 8) & 1))
        return otherwise;
    return ((const int64_t *)(bytes + c->values_off))[element];
}

enum {
    OVERRUN = 200, FALSE_LENGTH = 201, FALSE_CAPACITY = 202, SILENT_FAILURE = 203, FAILURE = 204,
    /* What ends or holds the process that it runs in. */
    ABORT = 210, EXIT = 211, LOOP = 212, STACK = 213, TEN_GIB = 214, NULL_WRITE = 215, HANG_UP = 216,
    THREAD = 217, SCRIBBLE = 218, ESCAPE = 219
};

static volatile int64_t depth;
static int scribbling;

static int64_t deeper(int64_t (*next)(int64_t), int64_t n) {
    volatile char frame[4096];
    frame[0] = (char)n;
    depth = n;
    return next(n + 1) + frame[0];
}

static int64_t fall(int64_t n) {
    return n < 0 ? n : deeper(fall, n);
}

static void *idle(void *nothing) {
    for (;;)
        pause();
    return nothing;
}

static void *scribble(void *items) {
    volatile linli_finding *finding = items;
    for (;;) {
        finding->ordinal = 60000;
        finding->resident = 60000;
        finding->ordinal = 0;
        finding->resident = 0;
    }
    return NULL;
}

static int start(void *(*work)(void *), void *argument) {
    pthread_t thread;
    return pthread_create(&thread, NULL, work, argument);
}

/* Tries what a plugin has no business with, and says which of it did not fail. */
static linli_status escape(const linli_call *call) {
    char done[200] = "nothing";
    pid_t parent = getppid();
    if (open("/etc/passwd", O_RDONLY) >= 0) strcat(done, " open");
    if (open("/proc/self/maps", O_RDONLY) >= 0) strcat(done, " proc");
    if (socket(AF_INET, SOCK_STREAM, 0) >= 0) strcat(done, " inet");
    if (socket(AF_UNIX, SOCK_STREAM, 0) >= 0) strcat(done, " unix");
    if (parent > 1 && kill(parent, 0) == 0) strcat(done, " kill");
    if (fork() == 0) _exit(0);
    if (errno != EPERM) strcat(done, " fork");
    if (execl("/bin/true", "true", (char *)NULL) == 0 || errno != EPERM) strcat(done, " exec");
    if (setuid(0) == 0) strcat(done, " setuid");
    if (getenv("PATH") != NULL) strcat(done, " environment");
    linli_str why = { done, strlen(done) };
    call->error(call, why);
    return LINLI_E_INTERNAL;
}

static linli_status say(linli_instance *self, const linli_call *call, const linli_batch *batch, linli_sink *sink) {
    (void)self;
    for (uint32_t row = 0; row < batch->rows; row++) {
        int64_t kind = value(batch, 1, row, 0);
        if (kind == 0)
            continue;
        if (kind == SILENT_FAILURE)
            return LINLI_E_INTERNAL;
        if (kind == FAILURE) {
            linli_str why = { "the table\nis empty", 18 };
            call->error(call, why);
            return LINLI_E_INTERNAL;
        }
        switch (kind) {
        case ABORT: abort();
        case EXIT: exit(0);
        case LOOP: for (volatile int forever = 1; forever;) {} break;
        case STACK: fall(0); break;
        case TEN_GIB: {
            void *memory = malloc((size_t)10 << 30);
            if (memory == NULL) abort();
            free(memory);
            continue;
        }
        case NULL_WRITE: *(volatile int *)(uintptr_t)value(batch, 5, row, 0) = 1; break;
        case HANG_UP: close(0); break;
        case THREAD: if (start(idle, NULL) != 0) return LINLI_E_INTERNAL; break;
        case ESCAPE: return escape(call);
        }
        if (sink->len == sink->cap) {
            linli_status status = sink->grow(sink, sink->len + 1);
            if (status != LINLI_OK)
                return status;
        }
        linli_finding finding = {
            .resident = row + (uint32_t)value(batch, 4, row, 0),
            .kind = (uint8_t)kind,
            .basis = (uint8_t)value(batch, 7, row, 0),
            .ordinal = (uint16_t)(value(batch, 2, row, 0) + value(batch, 9, row, 0)),
            .reason = (uint16_t)value(batch, 3, row, LINLI_NO_REASON),
            .since = (int32_t)value(batch, 5, row, LINLI_NO_DATE),
            .until = (int32_t)value(batch, 6, row, LINLI_NO_DATE),
            .reserved_b = (uint32_t)value(batch, 8, row, 0),
        };
        if (kind == OVERRUN) {
            sink->items[sink->cap] = finding;
            continue;
        }
        if (kind == FALSE_LENGTH) {
            sink->len = sink->cap + 1;
            continue;
        }
        if (kind == FALSE_CAPACITY) {
            sink->cap += 1000;
            continue;
        }
        if (kind == SCRIBBLE || kind == THREAD)
            finding.kind = LINLI_F_MEMBERSHIP;
        sink->items[sink->len++] = finding;
        if (kind == SCRIBBLE && !scribbling)
            scribbling = start(scribble, &sink->items[sink->len - 1]) == 0;
    }
    return LINLI_OK;
}

static const linli_rules RULES = { sizeof(linli_rules), 0, say, say };

static const void *get_interface(linli_instance *self, linli_str id) {
    (void)self;
#ifdef NO_RULES
    return NULL;
#endif
    return id.len == strlen(LINLI_IF_RULES) && memcmp(id.ptr, LINLI_IF_RULES, id.len) == 0 ? &RULES : NULL;
}

static const linli_plugin PLUGIN = {
    MAGIC, SIZE, MAJOR, LINLI_ABI_MINOR, FLAGS, describe, create, destroy, get_interface
};

LINLI_EXPORT const linli_plugin *ENTRY(uint32_t host_abi_major, uint32_t host_abi_minor);

LINLI_EXPORT const linli_plugin *ENTRY(uint32_t host_abi_major, uint32_t host_abi_minor) {
    (void)host_abi_major;
    (void)host_abi_minor;
#ifdef NO_PLUGIN
    return NULL;
#endif
    return &PLUGIN;
}

#ifdef AT_LOAD
__attribute__((constructor)) static void at_load(void) {
    AT_LOAD;
}
#endif
