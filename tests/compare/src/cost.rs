//! What protection costs: the same calls to the same server with one part of it taken away.
//!
//! Nothing of this can be configured. Each part stands behind a trait with one implementation in the product; the others
//! live here. Without authentication a call brings the development token, which is looked up by its hash; without policy
//! every question is answered with yes; without audit a read gets its receipt for nothing; without encryption cells are
//! stored as they are.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use linli_service::app::entry::{Durable, Entries};
use linli_service::auth::policy::{Judge, Policy};
use linli_service::auth::rules::Question;
use linli_service::config::{Config, Flags};
use linli_service::server::assemble::{Credentials, Methods, assemble_by};
use linli_store::{Chacha, ChangeSet, CommitError, CryptoProvider, Key, Random, Receipt, SealError, Store};
use zeroize::Zeroizing;

use crate::calls::Estate;
use crate::figures::{self, Figures};
use crate::load::Load;
use crate::process::Server;
use crate::store::Folder;

/// What is taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Without {
    Nothing,
    Authentication,
    Policy,
    Audit,
    Encryption,
    All,
}

impl Without {
    const EACH: [Self; 6] =
        [Self::Nothing, Self::Authentication, Self::Policy, Self::Audit, Self::Encryption, Self::All];

    fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Authentication => "authentication",
            Self::Policy => "policy",
            Self::Audit => "audit",
            Self::Encryption => "encryption",
            Self::All => "all",
        }
    }

    fn lacks(self, part: Self) -> bool {
        self == part || self == Self::All
    }
}

/// Compares the arrangements.
pub async fn run(load: &Load, rounds: usize) -> Result<(), Box<dyn Error>> {
    let mut sides = Vec::new();
    for without in Without::EACH {
        let folder = Folder::make(&format!("cost-{}", without.name()))?;
        let data = folder.file("").display().to_string();
        let server = Server::start_self(&["cost-server", "--without", without.name(), "--data", &data])?;
        let estate = Estate::make(&server, !without.lacks(Without::Authentication)).await?;
        sides.push((without, folder, server, estate, Vec::<Figures>::new(), Vec::<Figures>::new()));
    }
    for round in 0..rounds {
        for (_, _, server, estate, reads, writes) in &mut sides {
            let caller = estate.clone();
            reads.push(
                load.run(server, move |channel, number| caller.clone().get_resident(channel, number)).await?,
            );
            let (caller, first) = (estate.clone(), round as u64 * 1_000_000_000);
            let write =
                move |channel, number| caller.clone().record_service(channel, first.saturating_add(number));
            writes.push(load.run(server, write).await?);
        }
    }
    println!(
        "\ncost of protection, {} in flight over {} connections, SQLite",
        load.in_flight, load.connections
    );
    for (name, of) in [("GetResident", 0), ("RecordService", 1)] {
        println!("{name}");
        for (without, _, _, _, reads, writes) in &sides {
            figures::print(&format!("  without {}", without.name()), if of == 0 { reads } else { writes });
        }
    }
    Ok(())
}

/// Serves one of the arrangements on a new database in `data`; prints its address and the development token.
pub async fn serve(without: &str, data: &Path) -> Result<(), Box<dyn Error>> {
    let without = Without::EACH.into_iter().find(|one| one.name() == without).ok_or("no such part")?;
    let flags = Flags {
        dev: true,
        data: Some(PathBuf::from(data)),
        listen: Some("127.0.0.1:0".into()),
        admin_listen: Some(String::new()),
        ..Flags::default()
    };
    let environment = crate::token::trusted(data)?.into_iter().map(|(key, value)| (key.to_owned(), value));
    let config = Config::layered(None, environment, &flags)?;
    let mut credentials = Credentials::new(&config)?;
    if without.lacks(Without::Policy) {
        credentials = credentials.with_policy(Policy::new(Yes));
    }
    let methods = Methods {
        crypto: if without.lacks(Without::Encryption) { Arc::new(Clear) } else { Arc::new(Chacha) },
        entries: if without.lacks(Without::Audit) { Arc::new(Unentered) } else { Arc::new(Durable) },
    };
    let bound = linli_service::server::bind(&config.server).await?;
    let assembled = assemble_by(&config, &credentials, methods).await?;
    let running = bound.start(assembled.parts()).await?;
    println!("{}", running.address());
    println!("{}", credentials.tokens.ok_or("the development profile has tokens")?.member);
    std::future::pending().await
}

/// Everything is allowed.
#[derive(Debug)]
struct Yes;

impl Judge for Yes {
    fn allow(&self, _question: &Question<'_>) -> bool {
        true
    }
}

/// Reads leave no entry.
struct Unentered;

impl Entries for Unentered {
    fn enter<'a>(
        &'a self,
        store: &'a Store,
        _method: &'static str,
        entry: ChangeSet,
    ) -> BoxFuture<'a, Result<Receipt, CommitError>> {
        std::future::ready(Ok(store.receipt_without_entry(&entry))).boxed()
    }
}

/// Cells are stored as they are; indexes are hashed as ever.
struct Clear;

impl CryptoProvider for Clear {
    fn suite(&self) -> u8 {
        255
    }

    fn seal(
        &self,
        _key: &Key,
        _random: &dyn Random,
        _associated: &[u8],
        plain: &[u8],
    ) -> Result<Vec<u8>, SealError> {
        Ok(plain.to_vec())
    }

    fn open(&self, _key: &Key, _associated: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        Ok(Zeroizing::new(sealed.to_vec()))
    }

    fn mac(&self, key: &Key, data: &[&[u8]]) -> [u8; 32] {
        Chacha.mac(key, data)
    }
}
