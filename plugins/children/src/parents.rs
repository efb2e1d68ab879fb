//! The parents' situations: who has none left, who has nobody in fact (民发〔2019〕62号), and who is left behind
//! (国发〔2016〕13号).
//!
//! | father / mother | caring | away | dead | missing | incapable |
//! |---|---|---|---|---|---|
//! | caring | – | – | – | – | – |
//! | away | – | left behind | left behind | left behind | left behind |
//! | dead | – | left behind | orphan | without support | without support |
//! | missing, incapable | – | left behind | without support | without support | without support |
//!
//! Nothing is decided while one of the two is not known.

use linli_plugin_sdk::{Date, Fact, all_of};

use crate::Child;
use crate::manifest::{FatherSituation, MotherSituation};

/// What a parent's situation means for the child.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Parent {
    /// Lives with the child.
    Caring,
    /// Works away from home.
    Away,
    Dead,
    /// Declared missing, which includes being out of contact for long.
    Missing,
    /// In one of the named situations: cannot be a guardian.
    Incapable,
}

macro_rules! parent {
    ($situation:ident, $fact:expr) => {
        Fact {
            value: $fact.value.map(|situation| match situation {
                $situation::WithChild => Parent::Caring,
                $situation::WorkingAway => Parent::Away,
                $situation::Dead => Parent::Dead,
                $situation::DeclaredMissing => Parent::Missing,
                $situation::SeverelyDisabled
                | $situation::SeriouslyIll
                | $situation::Imprisoned
                | $situation::DrugIsolation
                | $situation::OtherConfinement
                | $situation::OutOfContact
                | $situation::GuardianshipRevoked
                | $situation::Deported => Parent::Incapable,
            }),
            since: $fact.since,
        }
    };
}

/// From when on both parents are known to be dead.
pub(crate) fn both_dead(child: &Child) -> Option<Date> {
    let [father, mother] = parents(child);
    all_of([father.is(Parent::Dead), mother.is(Parent::Dead)])
}

/// From when on a child has nobody in fact: both parents cannot care, and they are not both dead.
pub(crate) fn without_support(child: &Child) -> Option<Date> {
    let cannot = |parent: &Parent| match parent {
        Parent::Dead | Parent::Missing | Parent::Incapable => true,
        Parent::Caring | Parent::Away => false,
    };
    let both = parents(child).map(|parent| parent.fulfils(cannot));
    all_of(both).filter(|_| both_dead(child).is_none())
}

/// From when on a child is left behind: one parent works away, and the other does so too or cannot care.
pub(crate) fn left_behind(child: &Child) -> Option<Date> {
    let parents = parents(child);
    let one_away = parents.iter().any(|parent| parent.value == Some(Parent::Away));
    let not_caring = parents.map(|parent| parent.fulfils(|parent| *parent != Parent::Caring));
    all_of(not_caring).filter(|_| one_away)
}

/// Whether a parent is there for the child, at home or from afar.
pub(crate) fn one_is_there(child: &Child) -> bool {
    parents(child).iter().any(|parent| matches!(parent.value, Some(Parent::Caring | Parent::Away)))
}

fn parents(child: &Child) -> [Fact<Parent>; 2] {
    [parent!(FatherSituation, child.father_situation), parent!(MotherSituation, child.mother_situation)]
}
