//! Personal values lie nowhere in clear: not in a row, not in a file's page, not in `Debug`.

use linli_core::resident::Fact;

use super::*;
use crate::{Fault, RequestDraft};

on_both!(planted_values_are_in_no_row, errors_quote_nothing);

const PLANTED: &[&str] = &[NAME, PHONE, HEALTH, NUMBER, "planted-", "绝密女儿", "13800001234", "1940-02-29"];

async fn fill(store: &Store) {
    let a = site_id("a");
    let r1 = resident_id("r1");
    make_site(store, "a").await;
    change(store, "a", |set| set.create_resident(with_number(resident("a", "r1"), NUMBER))).await.unwrap();
    let fact = Fact {
        field: linli_core::id::FieldCode::new("illness").unwrap(),
        value: Some(linli_core::resident::FactValue::Text("planted-fact-secret".into())),
        true_from: day("2026-03-01"),
        recorded_at: at(0),
    };
    let mut set = set("a");
    set.add_fact(&a, &r1, FieldClass::Health, fact).add_record(record("a", "v1", "r1", 0)).request(
        RequestDraft {
            method: "m".into(),
            request_id: "q".into(),
            request_hash: [1; 32],
            answer: secrecy::SecretSlice::from(NAME.as_bytes().to_vec()),
        },
    );
    store.commit("test", set).await.unwrap();
}

async fn planted_values_are_in_no_row(env: Env) {
    fill(&env.store).await;
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut rows = 0;
    for (table, lines) in env.store.dump().await {
        rows += lines.len();
        for line in lines {
            for planted in PLANTED {
                assert!(
                    !line.contains(planted) && !line.contains(&hex(planted)),
                    "`{planted}` in `{table}`: {line}"
                );
            }
        }
    }
    assert!(rows > 15, "{rows} rows");
    if env.on == On::Sqlite {
        let mut bytes_read = 0;
        for entry in std::fs::read_dir(env.directory.path()).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            bytes_read += bytes.len();
            for planted in PLANTED {
                let found = bytes.windows(planted.len()).any(|window| window == planted.as_bytes());
                assert!(!found, "`{planted}` in a page");
            }
        }
        assert!(bytes_read > 100_000);
    }
    let sealed =
        env.store.resident(&site_id("a"), &resident_id("r1"), FieldClasses::all()).await.unwrap().unwrap();
    let shown = format!("{sealed:?}");
    assert!(shown.contains("Sealed(resident_cell.contact)"), "{shown}");
    assert!(PLANTED.iter().all(|planted| !shown.contains(planted)));
}

/// Everything that every library says at its most talkative, while the store works.
#[test]
fn traces_tell_nothing() {
    #[derive(Clone, Default)]
    struct Buffer(Arc<std::sync::Mutex<Vec<u8>>>);

    impl std::io::Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    let buffer = Buffer::default();
    let writer = buffer.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .finish();
    let heard = tracing::subscriber::with_default(subscriber, || {
        // One thread: the subscriber is this thread's.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            for on in [On::Sqlite, On::Postgres] {
                let Some(env) = Env::new(on).await else { continue };
                if let StoreConfig::Postgres { url, .. } = env.config() {
                    let url = secrecy::ExposeSecret::expose_secret(&url)
                        .replace("linli@", "linli:planted-password@");
                    open(StoreConfig::postgres(SecretString::from(url), true), ROOT, 7).await.unwrap();
                }
                fill(&env.store).await;
                let doubled = change(&env.store, "a", |set| set.add_record(record("a", "v1", "r1", 0))).await;
                assert!(doubled.is_err());
                let receipt = disclose(&env.store, "a", &["r1"], FieldClass::ALL).await;
                let sealed = env.store.resident(&site_id("a"), &resident_id("r1"), FieldClasses::all()).await;
                sealed.unwrap().unwrap().open(&env.store.opener(&receipt).await.unwrap()).unwrap();
            }
        });
        String::from_utf8_lossy(&buffer.0.lock().unwrap()).into_owned()
    });
    assert!(heard.len() > 20_000 && heard.contains("committed"), "{} bytes heard", heard.len());
    for planted in PLANTED {
        assert!(!heard.contains(planted), "`{planted}` in a trace: {}", context(&heard, planted));
    }
}

fn context<'a>(heard: &'a str, planted: &str) -> &'a str {
    heard.lines().find(|line| line.contains(planted)).unwrap_or_default()
}

async fn errors_quote_nothing(env: Env) {
    fill(&env.store).await;
    let doubled =
        change(&env.store, "a", |set| set.add_record(record("a", "v1", "r1", 0))).await.unwrap_err();
    assert_eq!(doubled, CommitError::Database(Fault::Duplicate));
    for text in [format!("{doubled:?}"), doubled.to_string()] {
        assert!(!text.contains("v1") && !text.contains("planted"), "{text}");
    }
}
