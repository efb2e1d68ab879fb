//! The files of trust: locks, signatures, keys and trust stores, and everything that is wrong with bad ones.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use linli_plugin_host::ManifestErrors;
use linli_plugin_host::trust::{self, Lock, PublicKey, SecretKey, Signature, TrustStore};
use linli_plugin_host::{LoadCause, Mode, Registry};

use crate::build;

const LOCK: &str = "\
# Made by `linli plugin sign`; a change of any byte breaks the signature.
format = 1

[plugin]
id = \"cn.example.chronic\"
version = \"0.1.0\"
manifest = \"1111111111111111111111111111111111111111111111111111111111111111\"

[[library]]
target = \"aarch64-linux\"
path = \"aarch64-linux/libchronic.so\"
digest = \"2222222222222222222222222222222222222222222222222222222222222222\"

[[library]]
target = \"x86_64-linux\"
path = \"libchronic.so\"
digest = \"3333333333333333333333333333333333333333333333333333333333333333\"
";

#[test]
fn a_lock_is_written_as_it_is_read() {
    let lock = Lock::parse(LOCK).unwrap();
    assert_eq!(lock.to_string(), LOCK);
    assert_eq!(lock.library("x86_64-linux").unwrap().path, "libchronic.so");
    assert_eq!(lock.library("riscv64-linux"), None);
}

/// A text with one thing replaced has these problems, each with its line, counted from that of the replaced text.
fn wrong<T: std::fmt::Debug>(
    parse: fn(&str) -> Result<T, ManifestErrors>,
    text: &str,
    (from, to): (&str, &str),
    expect: &[(isize, &str, &str)],
) {
    let at = text.find(from).unwrap_or_else(|| panic!("`{from}` is there"));
    let line = text[..at].lines().count() as isize + isize::from(text[..at].ends_with('\n') || at == 0);
    let errors = parse(&text.replacen(from, to, 1)).unwrap_err().0;
    assert_eq!(errors.len(), expect.len(), "{errors:?}");
    for (error, (offset, key, words)) in errors.iter().zip(expect) {
        assert_eq!((error.line as isize - line, error.key.as_str()), (*offset, *key), "{error}");
        assert!(error.message.contains(words), "`{words}` in: {error}");
    }
}

#[test]
fn a_lock_is_read_strictly() {
    let check = |from: &str, to: &str, expect: &[(isize, &str, &str)]| {
        wrong(Lock::parse, LOCK, (from, to), expect);
    };
    check("format = 1", "format = 2", &[(0, "format", "is 2; this version reads 1")]);
    check("id = \"cn.example.chronic\"", "id = \"Chronic\"", &[(0, "plugin.id", "reverse-domain")]);
    check("version = \"0.1.0\"", "version = \"1\"", &[(0, "plugin.version", "SemVer")]);
    check("manifest = \"1", "manifest = \"A", &[(0, "plugin.manifest", "must be a SHA-256")]);
    check("digest = \"22", "digest = \"2", &[(0, "library[0].digest", "64 hexadecimal digits")]);
    check(
        "manifest = \"1",
        "manifests = \"1",
        &[(-3, "plugin.manifest", "is required"), (0, "plugin.manifests", "did you mean `manifest`")],
    );
    for path in [
        "../libchronic.so",
        "/lib/libchronic.so",
        "x86_64-linux/lib.so",
        "a b.so",
        ".so",
        "lib.dll",
        "a/b/c.so",
    ] {
        check(
            "path = \"aarch64-linux/libchronic.so\"",
            &format!("path = \"{path}\""),
            &[(0, "library[0].path", "must be `lib….so`")],
        );
    }
    check(
        "target = \"aarch64-linux\"\npath = \"aarch64-linux/",
        "target = \"x86_64-linux\"\npath = \"",
        &[(5, "library[1].target", "which another library has already")],
    );
    check(
        "target = \"aarch64-linux\"\npath = \"aarch64-linux/",
        "target = \"Linux\"\npath = \"",
        &[(0, "library[0].target", "kind of machine")],
    );
    let empty = LOCK.split("[[library]]").next().unwrap();
    assert!(Lock::parse(empty).unwrap_err().to_string().contains("`library` is required"));
}

/// A trust store with two keys.
fn store() -> String {
    let key = |byte| trust::generate([byte; 32]).public().to_base64();
    format!(
        "format = 1\n\n[[key]]\nowner = \"Example Ltd\"\npublic = \"{}\"\nplugins = [\"cn.example.*\", \"cn.one\"]\n\
         interfaces = [\"linli.rules/1\"]\nin_process = true\nnot_before = \"2026-01-01\"\nnot_after = \"2027-12-31\"\n\n\
         [[key]]\nowner = \"Other\"\npublic = \"{}\"\nplugins = [\"cn.other\"]\ninterfaces = [\"linli.connector/1\"]\n\n\
         [revoked]\ndigests = [\"{}\"]\n",
        key(1),
        key(2),
        "a".repeat(64)
    )
}

#[test]
fn a_trust_store_is_read_strictly() {
    let text = store();
    let read = TrustStore::parse(&text).unwrap();
    assert_eq!(read.keys().len(), 2);
    let key = read.key(trust::generate([1; 32]).public().id()).unwrap();
    assert_eq!((key.owner.as_str(), key.in_process), ("Example Ltd", true));
    assert!(!read.keys()[1].in_process, "in process only where it says so");
    assert!(read.is_revoked(&"a".repeat(64)) && !read.is_revoked(&"b".repeat(64)));

    let check = |from: &str, to: &str, expect: &[(isize, &str, &str)]| {
        wrong(TrustStore::parse, &text, (from, to), expect);
    };
    check("format = 1", "format = 9", &[(0, "format", "is 9; this version reads 1")]);
    check("\"cn.one\"", "\"*\"", &[(0, "key[0].plugins[1]", "must be an id or `<prefix>.*`")]);
    check("\"cn.one\"", "\"cn.*.one\"", &[(0, "key[0].plugins[1]", "must be an id or `<prefix>.*`")]);
    check("\"cn.one\"", "\".*\"", &[(0, "key[0].plugins[1]", "")]);
    check("[\"cn.other\"]", "[]", &[(0, "key[1].plugins", "names nothing")]);
    check(
        "\"linli.rules/1\"",
        "\"linli.rules/2\"",
        &[
            (0, "key[0].interfaces", "names nothing"),
            (0, "key[0].interfaces[0]", "did you mean `linli.rules/1`"),
        ],
    );
    check("in_process = true", "in_process = 1", &[(0, "key[0].in_process", "must be true or false")]);
    check("in_process = true", "inprocess = true", &[(0, "key[0].inprocess", "did you mean `in_process`")]);
    check("\"2026-01-01\"", "\"2026-1-1\"", &[(0, "key[0].not_before", "must be a date")]);
    check("\"2026-01-01\"", "\"2028-01-01\"", &[(1, "key[0].not_after", "is before `not_before`")]);
    check("digests = [\"a", "digests = [\"", &[(0, "revoked.digests[0]", "must be a SHA-256")]);
    let (one, two) = (trust::generate([1; 32]), trust::generate([2; 32]));
    let (one, two) = (one.public().to_base64(), two.public().to_base64());
    check(&two, &one, &[(0, "key[1].public", "is the key of `Example Ltd` already")]);
    check(&two, &two[..40], &[(0, "key[1].public", "base64 of a key's 32 bytes")]);
    // Keys of small order, with which anybody could sign: the neutral point and two more (RFC 7748 and RFC 8032).
    let order_eight = "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05";
    let order_eight: Vec<u8> =
        (0..32).map(|at| u8::from_str_radix(&order_eight[2 * at..2 * at + 2], 16).unwrap()).collect();
    let (mut neutral, zero) = ([0; 32], [0; 32]);
    neutral[0] = 1;
    for weak in [&neutral[..], &zero[..], &order_eight] {
        check(&two, &STANDARD.encode(weak), &[(0, "key[1].public", "is a weak key")]);
    }
}

#[test]
fn a_trust_store_that_others_could_change_is_not_read() {
    let path = build::scratch("trust-store").join("trust.toml");
    fs::write(&path, store()).unwrap();
    let mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    mode(0o644);
    assert_eq!(TrustStore::open(&path).unwrap(), TrustStore::parse(&store()).unwrap());
    mode(0o666);
    let error = TrustStore::open(&path).unwrap_err().to_string();
    assert!(error.contains("may be changed by everybody") && error.contains("chmod go-w"), "{error}");
    fs::write(&path, "format = 1\nkeys = 3\n").unwrap();
    mode(0o600);
    assert!(TrustStore::open(&path).unwrap_err().to_string().contains("line 2: `keys`"));
}

#[test]
fn keys_are_kept_in_files_of_their_own() {
    let folder = build::scratch("trust-keys");
    let (path, key) = (folder.join("secret.key"), trust::generate([5; 32]));
    key.save(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(SecretKey::open(&path).unwrap().public(), key.public());
    assert!(key.save(&path).is_err(), "a key is never overwritten");
    assert_eq!(PublicKey::parse(&key.public().to_string()).unwrap(), key.public());
    assert_eq!(key.public().id().to_string().len(), 16);
    assert!(!format!("{key:?}").contains(&STANDARD.encode([5; 32])), "secrets are not printed");

    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let error = SecretKey::open(&path).unwrap_err().to_string();
    assert!(error.contains("others may read it") && error.contains("0600"), "{error}");
    let check = |text: &str, words: &str| {
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let error = SecretKey::open(&path).unwrap_err().to_string();
        assert!(error.contains(words), "`{words}` in: {error}");
    };
    check("", "begins with `linli-plugin-key-v1`");
    check(&key.public().to_string(), "it is not a secret key");
    check("linli-plugin-key-v1 secret AAAA\n", "not the base64 of 32 bytes");
    assert!(PublicKey::parse("linli-plugin-key-v1 secret AAAA\n").unwrap_err().contains("not a public key"));
}

#[test]
fn a_signature_has_one_form() {
    let (key, lock) = (build::key(), LOCK.as_bytes());
    let text = trust::sign(lock, &key).to_string();
    let verifies =
        |text: &str| Signature::parse(text).is_ok_and(|signature| key.public().verifies(lock, &signature));
    assert!(verifies(&text));
    assert!(!key.public().verifies(b"other", &Signature::parse(&text).unwrap()));

    let mut words = text.split_whitespace();
    let (format, id, encoded) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
    let with = |bytes: &[u8]| format!("{format} {id} {}\n", STANDARD.encode(bytes));
    let bytes = STANDARD.decode(encoded).unwrap();
    assert!(verifies(&with(&bytes)), "the test writes signatures as the library does");
    // S + L, the order of the group, satisfies the equation too (RFC 8032, 8.4).
    let order = {
        let mut order = [0_u8; 32];
        let low = 27_742_317_777_372_353_535_851_937_790_883_648_493_u128;
        order[..16].copy_from_slice(&low.to_le_bytes());
        order[31] = 0x10;
        order
    };
    let mut second = bytes.clone();
    let mut carry = 0_u16;
    for (byte, add) in second[32..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
    assert_eq!(carry, 0);
    assert!(!verifies(&with(&second)), "a second form of the number S");
    // The last character of the base64 carries four bits that mean nothing.
    let at = encoded.len() - 3;
    let last = encoded.as_bytes()[at];
    for other in b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/" {
        let text = text.replace(encoded, &format!("{}{}==", &encoded[..at], char::from(*other)));
        assert_eq!(verifies(&text), *other == last, "a second form of the base64");
    }
    for second in [
        text.trim_end().to_owned(),
        text.replace('\n', "\r\n"),
        text.replace(' ', "  "),
        text.replace("==", ""),
        text.replace(id, &id.to_uppercase()),
        format!(" {text}"),
        format!("{text}\n"),
        format!("{text}x"),
    ] {
        assert!(second != text && !verifies(&second), "{second:?}");
    }
}

#[test]
fn no_change_of_a_byte_passes() {
    const SEED: u64 = 0x11a1_1500_2026;
    println!("seed {SEED:#x}");
    let library = fs::read(build::liar("trust-fuzz", &[], build::LIAR)).unwrap();
    let folder = build::folder("trust-fuzz", &[("liar", &library, build::LIAR)]);
    let sources = build::sources(folder.clone(), Mode::InProcess);
    assert_eq!(Registry::load(&sources).plugins().len(), 1);
    let mut random = SEED;
    let mut below = |bound: usize| {
        // SplitMix64.
        random = random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    };
    for name in ["plugin.lock", "plugin.lock.sig"] {
        let path = folder.join("liar").join(name);
        let original = fs::read(&path).unwrap();
        for at in 0..original.len() {
            let mut bytes = original.clone();
            match below(4) {
                0 => bytes[at] ^= 1 << below(8),
                1 => bytes[at] = bytes[at].wrapping_add(1 + below(255) as u8),
                2 => bytes.insert(at, below(256) as u8),
                _ => drop(bytes.remove(at)),
            }
            if bytes == original {
                continue; // one of two equal neighbours
            }
            fs::write(&path, &bytes).unwrap();
            let registry = Registry::load(&sources);
            assert_eq!(
                registry.plugins().len(),
                0,
                "{name}, byte {at}: {:?}",
                String::from_utf8_lossy(&bytes)
            );
            let cause = registry.failures()[0].cause;
            // Another key id is another key; everything else is not what was signed.
            assert!(
                matches!(cause, LoadCause::Modified | LoadCause::UnknownKey),
                "{}",
                registry.failures()[0]
            );
        }
        fs::write(&path, &original).unwrap();
    }
    assert_eq!(Registry::load(&sources).plugins().len(), 1, "and as it was, it loads");
}
