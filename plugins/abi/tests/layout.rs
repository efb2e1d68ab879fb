//! The header and the Rust types have the same layout and the same numbers: compiles `layout.c` against the header
//! and compares line by line. A C compiler (`cc`) is a prerequisite of the tests.

use std::collections::BTreeMap;
use std::mem::offset_of;
use std::path::Path;
use std::process::Command;

use linli_plugin_abi as abi;

macro_rules! layout {
    ($($c:literal = $rust:ident { $($member:ident $(as $renamed:literal)?),* })*) => {{
        let mut lines = BTreeMap::new();
        $(
            lines.insert(format!("size {}", $c), size_of::<abi::$rust>().to_string());
            lines.insert(format!("align {}", $c), align_of::<abi::$rust>().to_string());
            $(
                #[allow(unused_mut, unused_assignments)]
                let mut name = stringify!($member);
                $(name = $renamed;)?
                lines.insert(format!("offset {}.{name}", $c), offset_of!(abi::$rust, $member).to_string());
            )*
        )*
        lines
    }};
}

macro_rules! numbers {
    ($lines:ident: $($name:ident)*) => {
        $($lines.insert(concat!("number LINLI_", stringify!($name)).to_owned(), (abi::$name as u64).to_string());)*
    };
}

#[test]
fn rust_types_and_c_header_agree() {
    let mut rust = layout! {
        "linli_str" = Str { ptr, len }
        "linli_bytes" = Bytes { ptr, len }
        "linli_host" = Host { struct_size, abi_major, abi_minor, reserved, ctx, log, get_interface }
        "linli_call" = Call { struct_size, budget_ms, cancel, ctx, error }
        "linli_description" = Description { struct_size, reserved, manifest, build_info }
        "linli_plugin" = Plugin { magic, struct_size, abi_major, abi_minor, flags, describe, create, destroy, get_interface }
        "linli_batch" = BatchHeader {
            magic, version, header_size, total_size, rows, fields, parameters, columns_off, column_size, reserved
        }
        "linli_column" = Column { kind as "type", flags, values_off, validity_off, offsets_off, since_off, reserved }
        "linli_finding" = Finding { resident, kind, basis, ordinal, reason, reserved_a, since, until, reserved_b }
        "linli_sink" = Sink { struct_size, item_size, ctx, items, cap, len, grow }
        "linli_rules" = Rules { struct_size, reserved, assess, validate }
        "linli_buffer" = Buffer { ptr, len, owner, release }
        "linli_connector" = Connector { struct_size, reserved, start, step, end }
    };
    numbers!(rust: PLUGIN_MAGIC ABI_MAJOR ABI_MINOR BATCH_MAGIC BATCH_VERSION OK E_INVALID E_UNSUPPORTED E_FULL
        E_CANCELLED E_UNAVAILABLE E_REFUSED E_CONFIG E_INTERNAL E_PANIC P_ISOLATED_ONLY P_THREADS LOG_DEBUG LOG_INFO
        LOG_WARN LOG_ERROR T_BOOL T_INTEGER T_DATE T_CODE T_TEXT COL_CONSTANT NO_REASON F_MEMBERSHIP F_TIER
        F_TAG F_CAUTION F_EXPIRES F_ISSUE BASIS_RULE BASIS_DECLARED BASIS_CERTIFICATE OP_DELIVER OP_POLL
        OP_PULL_ROSTER OP_PROBE);
    rust.insert("number (int64_t)LINLI_NO_DATE".into(), (i64::from(abi::NO_DATE) as u64).to_string());
    rust.insert("number (int64_t)LINLI_DATE_FIRST".into(), (i64::from(abi::DATE_FIRST) as u64).to_string());
    rust.insert("number LINLI_DATE_LAST".into(), abi::DATE_LAST.to_string());
    rust.insert("text IF_RULES".into(), abi::IF_RULES.into());
    rust.insert("text IF_CONNECTOR".into(), abi::IF_CONNECTOR.into());

    assert_eq!(rust, from_c());
}

#[test]
fn a_finding_takes_24_bytes() {
    assert_eq!(size_of::<abi::Finding>(), 24);
}

#[test]
fn the_header_compiles_without_warnings_as_c11() {
    let out = scratch("header.o");
    let status = Command::new("cc")
        .args(["-std=c11", "-Wall", "-Wextra", "-pedantic", "-Werror", "-x", "c", "-c", "-o"])
        .arg(&out)
        .arg(root().join("include/linli_plugin.h"))
        .status()
        .expect("`cc` runs: a C compiler is needed for the tests");
    assert!(status.success());
}

fn from_c() -> BTreeMap<String, String> {
    let program = scratch("layout");
    let status = Command::new("cc")
        .args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-I"])
        .arg(root().join("include"))
        .arg("-o")
        .arg(&program)
        .arg(root().join("tests/layout.c"))
        .status()
        .expect("`cc` runs: a C compiler is needed for the tests");
    assert!(status.success(), "tests/layout.c compiles");
    let output = Command::new(&program).output().expect("the compiled program runs");
    let text = String::from_utf8(output.stdout).expect("its output is text");
    text.lines().filter_map(|line| line.rsplit_once(' ')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn scratch(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}
