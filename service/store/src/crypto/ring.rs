//! Unwrapped keys in memory: those of a site, those of a resident, and the cache of the latter.

use std::collections::HashMap;
use std::sync::Arc;

use super::Key;

/// Resident keys kept unwrapped in memory, per generation (two of them): 65,536 × about 150 bytes.
const CACHE_MAX: usize = 65_536;

/// One version of a site's keys.
pub(crate) struct SiteKey {
    pub(crate) version: u32,
    /// Seals values that belong to no resident.
    pub(crate) seal: Key,
    /// Wraps the residents' keys.
    pub(crate) wrap: Key,
    /// The key of the blind indexes.
    pub(crate) find: Key,
}

/// The keys of a site: the current version, and the older ones while cells of theirs remain.
pub(crate) struct SiteKeys {
    current: SiteKey,
    older: Vec<SiteKey>,
    audit: Key,
}

impl SiteKeys {
    /// `current` is the version that the site's head names.
    pub(crate) fn new(current: SiteKey, older: Vec<SiteKey>, audit: Key) -> Self {
        Self { current, older, audit }
    }

    /// The current version: residents' keys and blind indexes that are made now bear its number.
    pub(crate) fn version(&self) -> u32 {
        self.current.version
    }

    /// The current keys.
    pub(crate) fn current(&self) -> &SiteKey {
        &self.current
    }

    /// The older ones.
    pub(crate) fn older(&self) -> &[SiteKey] {
        &self.older
    }

    /// The keys of a version.
    pub(crate) fn of(&self, version: u32) -> Option<&SiteKey> {
        std::iter::once(&self.current).chain(&self.older).find(|key| key.version == version)
    }

    /// The key of the hashes in audit entries. It outlives every version: an entry is never written again.
    pub(crate) fn audit(&self) -> &Key {
        &self.audit
    }
}

/// The keys of a resident, oldest first.
#[derive(Clone)]
pub(crate) struct ResidentKeys(Arc<Vec<(u32, Key)>>);

impl ResidentKeys {
    /// Keys in ascending order of their versions.
    pub(crate) fn new(keys: Vec<(u32, Key)>) -> Self {
        Self(Arc::new(keys))
    }

    /// These and a newer one.
    pub(crate) fn and(&self, version: u32, key: Key) -> Self {
        let mut keys = Vec::clone(&self.0);
        keys.push((version, key));
        Self::new(keys)
    }

    /// The newest version.
    pub(crate) fn newest(&self) -> Option<u32> {
        self.0.last().map(|(version, _)| *version)
    }

    /// The key of a version.
    pub(crate) fn version(&self, version: u32) -> Option<&Key> {
        self.0.iter().find(|(v, _)| *v == version).map(|(_, key)| key)
    }
}

type Place = (String, String);

/// The residents' keys that were used last.
#[derive(Default)]
pub(crate) struct Cache {
    young: HashMap<Place, ResidentKeys>,
    old: HashMap<Place, ResidentKeys>,
}

impl Cache {
    /// The keys of a resident, where they are here and the newest of them is of this version: while others move, what is
    /// here may lack one.
    pub(crate) fn get(&mut self, place: &Place, version: u32) -> Option<ResidentKeys> {
        let found = match self.young.get(place) {
            Some(keys) => keys.clone(),
            None => {
                let keys = self.old.remove(place)?;
                self.put(place.clone(), keys.clone());
                keys
            }
        };
        Some(found).filter(|keys| keys.newest() == Some(version))
    }

    pub(crate) fn put(&mut self, place: Place, keys: ResidentKeys) {
        if self.young.len() >= CACHE_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(place, keys);
    }

    /// Forgets a resident's keys.
    pub(crate) fn forget(&mut self, place: &Place) {
        self.young.remove(place);
        self.old.remove(place);
    }

    /// Forgets the keys of everybody.
    pub(crate) fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }
}
