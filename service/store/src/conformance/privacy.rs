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

async fn errors_quote_nothing(env: Env) {
    fill(&env.store).await;
    let doubled =
        change(&env.store, "a", |set| set.add_record(record("a", "v1", "r1", 0))).await.unwrap_err();
    assert_eq!(doubled, CommitError::Database(Fault::Duplicate));
    for text in [format!("{doubled:?}"), doubled.to_string()] {
        assert!(!text.contains("v1") && !text.contains("planted"), "{text}");
    }
}
