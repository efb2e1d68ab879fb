/* Prints size, alignment, offsets and numbers of the header, one `name value` a line; tests/layout.rs compares. */
#include "linli_plugin.h"
#include <stdio.h>
#include <inttypes.h>

#define SIZE(type) printf("size " #type " %zu\n", sizeof(type)); printf("align " #type " %zu\n", _Alignof(type))
#define OFF(type, member) printf("offset " #type "." #member " %zu\n", offsetof(type, member))
#define NUM(name) printf("number " #name " %" PRIu64 "\n", (uint64_t)(name))

int main(void) {
    SIZE(linli_str); OFF(linli_str, ptr); OFF(linli_str, len);
    SIZE(linli_bytes); OFF(linli_bytes, ptr); OFF(linli_bytes, len);
    SIZE(linli_host); OFF(linli_host, struct_size); OFF(linli_host, abi_major); OFF(linli_host, abi_minor);
    OFF(linli_host, reserved); OFF(linli_host, ctx); OFF(linli_host, log); OFF(linli_host, get_interface);
    SIZE(linli_call); OFF(linli_call, struct_size); OFF(linli_call, budget_ms); OFF(linli_call, cancel);
    OFF(linli_call, ctx); OFF(linli_call, error);
    SIZE(linli_description); OFF(linli_description, struct_size); OFF(linli_description, reserved);
    OFF(linli_description, manifest); OFF(linli_description, build_info);
    SIZE(linli_plugin); OFF(linli_plugin, magic); OFF(linli_plugin, struct_size); OFF(linli_plugin, abi_major);
    OFF(linli_plugin, abi_minor); OFF(linli_plugin, flags); OFF(linli_plugin, describe); OFF(linli_plugin, create);
    OFF(linli_plugin, destroy); OFF(linli_plugin, get_interface);
    SIZE(linli_batch); OFF(linli_batch, magic); OFF(linli_batch, version); OFF(linli_batch, header_size);
    OFF(linli_batch, total_size); OFF(linli_batch, rows); OFF(linli_batch, fields); OFF(linli_batch, parameters);
    OFF(linli_batch, columns_off); OFF(linli_batch, column_size); OFF(linli_batch, reserved);
    SIZE(linli_column); OFF(linli_column, type); OFF(linli_column, flags); OFF(linli_column, values_off);
    OFF(linli_column, validity_off); OFF(linli_column, offsets_off); OFF(linli_column, since_off);
    OFF(linli_column, reserved);
    SIZE(linli_finding); OFF(linli_finding, resident); OFF(linli_finding, kind); OFF(linli_finding, basis);
    OFF(linli_finding, ordinal); OFF(linli_finding, reason); OFF(linli_finding, reserved_a);
    OFF(linli_finding, since); OFF(linli_finding, until); OFF(linli_finding, reserved_b);
    SIZE(linli_sink); OFF(linli_sink, struct_size); OFF(linli_sink, item_size); OFF(linli_sink, ctx);
    OFF(linli_sink, items); OFF(linli_sink, cap); OFF(linli_sink, len); OFF(linli_sink, grow);
    SIZE(linli_rules); OFF(linli_rules, struct_size); OFF(linli_rules, reserved); OFF(linli_rules, assess);
    OFF(linli_rules, validate);
    SIZE(linli_buffer); OFF(linli_buffer, ptr); OFF(linli_buffer, len); OFF(linli_buffer, owner);
    OFF(linli_buffer, release);
    SIZE(linli_connector); OFF(linli_connector, struct_size); OFF(linli_connector, reserved);
    OFF(linli_connector, start); OFF(linli_connector, step); OFF(linli_connector, end);
    NUM(LINLI_PLUGIN_MAGIC); NUM(LINLI_ABI_MAJOR); NUM(LINLI_ABI_MINOR); NUM(LINLI_BATCH_MAGIC);
    NUM(LINLI_BATCH_VERSION); NUM(LINLI_OK); NUM(LINLI_E_INVALID); NUM(LINLI_E_UNSUPPORTED); NUM(LINLI_E_FULL);
    NUM(LINLI_E_CANCELLED); NUM(LINLI_E_UNAVAILABLE); NUM(LINLI_E_REFUSED); NUM(LINLI_E_CONFIG);
    NUM(LINLI_E_INTERNAL); NUM(LINLI_E_PANIC); NUM(LINLI_P_ISOLATED_ONLY); NUM(LINLI_P_THREADS);
    NUM(LINLI_LOG_DEBUG); NUM(LINLI_LOG_INFO); NUM(LINLI_LOG_WARN); NUM(LINLI_LOG_ERROR); NUM(LINLI_T_BOOL);
    NUM(LINLI_T_INTEGER); NUM(LINLI_T_DATE); NUM(LINLI_T_CODE); NUM(LINLI_T_TEXT);
    NUM(LINLI_COL_CONSTANT); NUM((int64_t)LINLI_NO_DATE); NUM((int64_t)LINLI_DATE_FIRST); NUM(LINLI_DATE_LAST); NUM(LINLI_NO_REASON); NUM(LINLI_F_MEMBERSHIP);
    NUM(LINLI_F_TIER); NUM(LINLI_F_TAG); NUM(LINLI_F_CAUTION); NUM(LINLI_F_EXPIRES); NUM(LINLI_F_ISSUE);
    NUM(LINLI_BASIS_RULE); NUM(LINLI_BASIS_DECLARED); NUM(LINLI_BASIS_CERTIFICATE); NUM(LINLI_OP_DELIVER);
    NUM(LINLI_OP_POLL); NUM(LINLI_OP_PULL_ROSTER); NUM(LINLI_OP_PROBE);
    printf("text IF_RULES %s\n", LINLI_IF_RULES);
    printf("text IF_CONNECTOR %s\n", LINLI_IF_CONNECTOR);
    return 0;
}
