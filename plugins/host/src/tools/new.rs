//! `new`: the folder of a plugin that builds, passes its test and passes `check`, to begin from.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use linli_core::id::GroupCode;

/// What a plugin does, and in what language it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// Rules of a group, with the SDK.
    Rust,
    /// Rules of a group, with `linli_plugin.h` and a C compiler.
    C,
    /// A connector, with the SDK.
    Connector,
}

/// Where a plugin in Rust finds the SDK.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sdk {
    /// In this folder.
    Path(PathBuf),
    /// In the registry, this version.
    Version(String),
}

impl Sdk {
    /// The folder of the SDK in a checkout of Linli that holds one of these places.
    pub fn nearest(places: &[PathBuf]) -> Option<Self> {
        let folders = places.iter().flat_map(|place| place.ancestors());
        let sdk = folders.map(|folder| folder.join("plugins/sdk")).find(|sdk| is_sdk(sdk))?;
        Some(Self::Path(sdk.canonicalize().ok()?))
    }

    /// From what somebody typed: a folder or a version.
    ///
    /// # Errors
    /// Why it is neither.
    pub fn parse(text: &str) -> Result<Self, String> {
        let path = Path::new(text);
        if is_sdk(path) {
            let path = path.canonicalize().map_err(|error| format!("`{text}`: {error}"))?;
            return Ok(Self::Path(path));
        }
        if is_sdk(&path.join("plugins/sdk")) {
            return Self::parse(&format!("{text}/plugins/sdk"));
        }
        if semver::VersionReq::parse(text).is_ok() {
            return Ok(Self::Version(text.to_owned()));
        }
        Err(format!("`{text}` is neither a version nor a folder with the crate `linli-plugin-sdk`"))
    }
}

fn is_sdk(folder: &Path) -> bool {
    fs::read_to_string(folder.join("Cargo.toml"))
        .is_ok_and(|manifest| manifest.contains("name = \"linli-plugin-sdk\""))
}

/// What to make.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The group or connector, such as `chronic-illness`: from it come the names of group, package and library.
    pub name: String,
    /// Its Chinese name; without one it says that there is none yet.
    pub zh: Option<String>,
    /// Its English name; without one it comes from the name.
    pub en: Option<String>,
    /// Where to make it; the folder must not exist, or be empty.
    pub folder: PathBuf,
    /// In what language, and for Rust with which SDK.
    pub written: Written,
    /// The SDK of a plugin in Rust.
    pub sdk: Option<Sdk>,
}

/// Why nothing was made.
#[derive(Debug)]
pub enum NewError {
    /// What was asked for cannot be: what is wrong.
    Unfit(String),
    /// The folder holds something.
    Taken(PathBuf),
    /// A file cannot be written.
    Io(PathBuf, io::Error),
}

impl fmt::Display for NewError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unfit(what) => f.write_str(what),
            Self::Taken(path) => {
                write!(f, "`{}` exists and is not empty: nothing was made, name a new folder", path.display())
            }
            Self::Io(path, error) => write!(f, "`{}` cannot be written: {error}", path.display()),
        }
    }
}

impl std::error::Error for NewError {}

/// Makes the folder; the files in it, and what to type next.
///
/// # Errors
/// [`NewError`]; what was there before is never touched.
pub fn make(wanted: &Wanted) -> Result<(Vec<PathBuf>, Vec<String>), NewError> {
    let names = Names::of(wanted)?;
    let folder = &wanted.folder;
    let taken = match fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(_) => true,
    };
    if taken {
        return Err(NewError::Taken(folder.clone()));
    }
    let mut made = Vec::new();
    for (name, template) in files(wanted.written) {
        let path = folder.join(name);
        let io_error = |error| NewError::Io(path.clone(), error);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(io_error)?;
        }
        fs::write(&path, names.fill(template)).map_err(io_error)?;
        made.push(path);
    }
    let build = match wanted.written {
        Written::Rust | Written::Connector => "cargo test && cargo build --release",
        Written::C => "sh build.sh",
    };
    let next = vec![format!("cd {}", folder.display()), build.to_owned(), "linli plugin check .".to_owned()];
    Ok((made, next))
}

/// Files by name, and what they begin from.
fn files(written: Written) -> Vec<(&'static str, &'static str)> {
    let rules = [
        ("plugin.toml", include_str!("../../templates/plugin.toml.in")),
        ("scenarios.txt", include_str!("../../templates/scenarios.txt.in")),
    ];
    match written {
        Written::Rust => [
            &rules[..],
            &[
                ("Cargo.toml", include_str!("../../templates/rust/Cargo.toml.in")),
                ("src/lib.rs", include_str!("../../templates/rust/lib.rs.in")),
                ("README.md", include_str!("../../templates/rust/README.md.in")),
                (".gitignore", "/target\n"),
            ],
        ]
        .concat(),
        Written::C => [
            &rules[..],
            &[
                ("plugin.c", include_str!("../../templates/c/plugin.c.in")),
                ("build.sh", include_str!("../../templates/c/build.sh.in")),
                ("README.md", include_str!("../../templates/c/README.md.in")),
                ("linli_plugin.h", include_str!("../../../abi/include/linli_plugin.h")),
                ("linli_rules.h", include_str!("../../../abi/include/linli_rules.h")),
                (".gitignore", "/codes.h\n/*.so\n"),
            ],
        ]
        .concat(),
        Written::Connector => vec![
            ("plugin.toml", include_str!("../../templates/connector/plugin.toml.in")),
            ("settings.json", include_str!("../../templates/connector/settings.json.in")),
            ("Cargo.toml", include_str!("../../templates/connector/Cargo.toml.in")),
            ("src/lib.rs", include_str!("../../templates/connector/lib.rs.in")),
            ("README.md", include_str!("../../templates/connector/README.md.in")),
            ("try/receiver.py", include_str!("../../templates/connector/try/receiver.py.in")),
            ("try/channels.toml", include_str!("../../templates/connector/try/channels.toml.in")),
            ("try/linli.toml", include_str!("../../templates/connector/try/linli.toml.in")),
            ("try/refer.sh", include_str!("../../templates/connector/try/refer.sh.in")),
            (
                ".gitignore",
                "/target\n/try/linli-data\n/try/plugins\n/try/receiver.key\n/try/receiver.pem\n/try/receiver.secret\n",
            ),
        ],
    }
}

/// What stands for `@…@` in a template.
struct Names {
    values: Vec<(&'static str, String)>,
}

impl Names {
    fn of(wanted: &Wanted) -> Result<Self, NewError> {
        let package = wanted.name.trim().replace('_', "-").to_lowercase();
        let code = package.replace('-', "_");
        let fits = GroupCode::new(&code).is_ok()
            && package.starts_with(|c: char| c.is_ascii_lowercase())
            && package.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        if !fits {
            let what = match wanted.written {
                Written::Rust | Written::C => {
                    "a group has a name of `a-z`, `0-9` and `-` that begins with a letter, such as `chronic-illness`"
                }
                Written::Connector => {
                    "a connector has a name of `a-z`, `0-9` and `-` that begins with a letter, such as `town-hall`"
                }
            };
            return Err(NewError::Unfit(format!("{what}, not `{}`", wanted.name)));
        }
        // Rules need none of the connectors' messages.
        let (sdk, rules_sdk) = match (wanted.written, &wanted.sdk) {
            (Written::C, _) => (String::new(), String::new()),
            (Written::Rust | Written::Connector, Some(Sdk::Path(path))) => {
                let path = format!("path = {:?}", path.display().to_string());
                (format!("{{ {path} }}"), format!("{{ {path}, default-features = false }}"))
            }
            (Written::Rust | Written::Connector, Some(Sdk::Version(version))) => {
                (format!("{version:?}"), format!("{{ version = {version:?}, default-features = false }}"))
            }
            (Written::Rust | Written::Connector, None) => {
                let what =
                    "no SDK is found from here: name the folder `plugins/sdk` of a checkout, or a version";
                return Err(NewError::Unfit(what.to_owned()));
            }
        };
        let words: Vec<&str> = code.split('_').filter(|word| !word.is_empty()).collect();
        let capital = |word: &str| {
            let mut letters = word.chars();
            let first = letters.next().map(|c| c.to_ascii_uppercase());
            first.into_iter().chain(letters).collect::<String>()
        };
        let en = wanted.en.clone().unwrap_or_else(|| capital(&words.join(" ")));
        let new = match wanted.written {
            Written::Rust | Written::C => "新群体",
            Written::Connector => "新对接",
        };
        let zh = wanted.zh.clone().unwrap_or_else(|| format!("{new}（{en}，请填写中文名称）"));
        for (name, text) in [("zh", &zh), ("en", &en)] {
            if text.trim().is_empty() || text.contains(['"', '\\', '@', '\n']) {
                return Err(NewError::Unfit(format!(
                    "the {name} name `{text}` is empty or holds a quotation mark"
                )));
            }
        }
        let values = vec![
            ("@type@", words.iter().map(|word| capital(word)).collect()),
            ("@library@", code.clone()),
            ("@CODE@", code.to_uppercase()),
            ("@code@", code),
            ("@crate@", package),
            ("@include@", ".".to_owned()),
            ("@sdk@", sdk),
            ("@rules_sdk@", rules_sdk),
            ("@zh@", zh),
            ("@en@", en),
        ];
        Ok(Self { values })
    }

    fn fill(&self, template: &str) -> String {
        self.values.iter().fold(template.to_owned(), |text, (name, value)| text.replace(name, value))
    }
}
