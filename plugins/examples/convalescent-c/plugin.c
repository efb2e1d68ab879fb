/* Example: rules in C for those who have come home from hospital.
 *
 * `plugin.toml` holds every code, number and text; this file decides which of them apply. `build.sh` makes `codes.h` from
 * it, so that the names below are those of the manifest. Members are those who came home and whose weeks of recovery are
 * not over; when they are is known in advance, so the membership has an `until` and ends by itself. */
#include "linli_plugin.h"
#include "codes.h"
#include "linli_rules.h"

static void assess(const linli_view *columns, uint32_t row, linli_say *say) {
    const linli_view *home_on = &columns[COLUMN_CONVALESCENT_HOME_ON];
    const linli_view *help = &columns[COLUMN_CONVALESCENT_HELP];
    const linli_view *errands = &columns[COLUMN_CONVALESCENT_ERRANDS];
    if (!linli_known(home_on, row) || linli_is(&columns[COLUMN_CONVALESCENT_READMITTED], row, 1))
        return;
    int64_t home = linli_value(home_on, row);
    if (home > say->today) {
        linli_expires(say, home);
        return;
    }
    int64_t end = home + 7 * linli_value(&columns[COLUMN_CONVALESCENT_WEEKS], row);
    if (end <= say->today)
        return;
    int32_t since = linli_later(home, linli_since(home_on, row));
    linli_member(say, GROUP_CONVALESCENT, since, end, REASON_CAME_HOME);
    linli_tier(say, LINLI_TIER_GENERAL, since, REASON_CAME_HOME);
    linli_caution(say, CAUTION_LET_THEM_REST, REASON_CAME_HOME);
    if (linli_is(help, row, VALUE_CONVALESCENT_HELP_NOBODY)) {
        int32_t alone = linli_later(since, linli_since(help, row));
        linli_tier(say, LINLI_TIER_KEY, alone, REASON_NOBODY_AT_HOME);
        linli_tag(say, TAG_CONVALESCENT_ALONE, alone, REASON_NOBODY_AT_HOME);
    }
    if (linli_is(errands, row, 1))
        linli_tag(say, TAG_CONVALESCENT_FETCHING, linli_later(since, linli_since(errands, row)), REASON_ERRANDS_WANTED);
    linli_expires(say, end);
}

static void validate(const linli_view *columns, uint32_t row, linli_say *say) {
    if (linli_known(&columns[COLUMN_CONVALESCENT_HELP], row) &&
        !linli_known(&columns[COLUMN_CONVALESCENT_HOME_ON], row))
        linli_issue(say, FIELD_CONVALESCENT_HOME_ON, REASON_DATE_MISSING);
}

LINLI_RULES_PLUGIN(assess, validate)
