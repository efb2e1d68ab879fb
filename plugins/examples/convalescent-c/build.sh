#!/bin/sh
# Builds libconvalescent.so. CC and CFLAGS may be set.
set -eu
cd "$(dirname "$0")"

# codes.h: the names of the manifest as constants, and its text.
{
    echo '/* Made by build.sh from plugin.toml: change that. */'
    awk '
        function name(text) { gsub(/[^A-Za-z0-9]/, "_", text); return toupper(text) }
        /^\[\[/ { table = $0; gsub(/[][ \t\r]/, "", table); next }
        /^\[/ { table = ""; next }
        table == "" || /^[ \t]*#/ { next }
        /^code *=/ {
            split($0, part, "\""); entry = part[2]; values = 0
            if (table == "field") fields[nf++] = entry
            else if (table == "parameter") parameters[np++] = entry
            if (table != "parameter" && table != "standard")
                printf "#define %s_%s %d\n", toupper(table), name(entry), count[table]++
        }
        /^type *=/ { split($0, part, "\""); type[table, entry] = "LINLI_T_" toupper(part[2]) }
        table == "field" || table == "parameter" {
            rest = $0
            while (match(rest, /\{ *code *= *"[^"]*"/)) {
                split(substr(rest, RSTART, RLENGTH), part, "\"")
                printf "#define VALUE_%s_%s %d\n", name(entry), name(part[2]), values++
                rest = substr(rest, RSTART + RLENGTH)
            }
        }
        END {
            types = "LINLI_T_DATE"
            for (i = 0; i < nf; i++) {
                printf "#define COLUMN_%s %d\n", name(fields[i]), 1 + i
                types = types ", " type["field", fields[i]]
            }
            for (i = 0; i < np; i++) {
                printf "#define COLUMN_%s %d\n", name(parameters[i]), 1 + nf + i
                types = types ", " type["parameter", parameters[i]]
            }
            printf "#define FIELDS %d\n#define PARAMETERS %d\n#define COLUMN_TYPES { %s }\n", nf, np, types
        }
    ' plugin.toml
    echo 'static const unsigned char MANIFEST[] = {'
    od -An -v -tu1 plugin.toml | sed 's/[0-9][0-9]*/&,/g'
    echo '};'
} > codes.h

${CC:-cc} -std=c11 -Wall -Wextra -Werror -pedantic ${CFLAGS:--O2} -fPIC -fvisibility=hidden -shared -I. -I../../abi/include \
    -o libconvalescent.so.new plugin.c
# A new file each time: a library that is in use must not change under its host.
mv libconvalescent.so.new libconvalescent.so
