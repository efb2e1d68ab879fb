//! The one answer `dev` wants from `cargo metadata`, read without a JSON library.

/// The target directory in the output of `cargo metadata`, wherever `CARGO_TARGET_DIR`, a
/// configuration file or the default put it. None if the output has no such key.
pub(crate) fn target_directory(metadata: &str) -> Option<String> {
    const KEY: &str = "\"target_directory\":\"";
    // The last one: a package's free `metadata` table could hold the same key, the workspace's own
    // comes after all packages.
    let start = metadata.rfind(KEY)? + KEY.len();
    let mut value = String::new();
    let mut characters = metadata.get(start..)?.chars();
    loop {
        match characters.next()? {
            '"' => return Some(value),
            '\\' => match characters.next()? {
                'u' => {
                    let code: String = characters.by_ref().take(4).collect();
                    value.push(char::from_u32(u32::from_str_radix(&code, 16).ok()?)?);
                }
                plain => value.push(plain),
            },
            plain => value.push(plain),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_directory_is_found_and_unescaped() {
        for (metadata, expect) in [
            (r#"{"packages":[],"target_directory":"/x/target","version":1}"#, Some("/x/target")),
            (r#"{"target_directory":"C:\\build \"a\"","version":1}"#, Some(r#"C:\build "a""#)),
            (r#"{"target_directory":"/x/\u676d"}"#, Some("/x/杭")),
            (r#"{"target_directory":"/x"#, None),
            (r#"{"packages":[]}"#, None),
        ] {
            assert_eq!(target_directory(metadata).as_deref(), expect, "{metadata}");
        }
    }
}
