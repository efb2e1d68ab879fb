//! The working group: what is put is read, a credential belongs to one, and a change of rights ends decisions elsewhere.

use linli_core::staff::{Credential, CredentialKind, Grant, Reach, Role, Staff};

use super::*;

on_both!(round_trip, credentials_belong_to_one, rights_end_decisions_of_other_sites);

fn credential(kind: CredentialKind, name: &str) -> Credential {
    Credential::presented(kind, name).unwrap()
}

fn staff(id: &str, credentials: Vec<Credential>) -> Staff {
    let grant =
        |role, department, reach| Grant { role, department, reach, from: None, until: None, children: false };
    Staff {
        id: StaffId::new(id).unwrap(),
        title: line("王管家"),
        grants: vec![
            Grant {
                from: Some(at(-5)),
                until: Some(at(5)),
                children: true,
                ..grant(Role::Member, Some(Department::Security), Reach::sites(vec![site_id("a")]).unwrap())
            },
            grant(Role::Auditor, None, Reach::Everywhere),
        ],
        credentials,
        deactivated_at: None,
        created_at: at(0),
        version: 1,
    }
}

/// Commits a change of staff with the epoch of now, which also ends the decisions of `sites`.
async fn put(
    store: &Store,
    staff: Staff,
    before: Vec<Credential>,
    sites: &[&str],
) -> Result<(), CommitError> {
    let epoch = store.authz_epoch(&Scope::System).await.unwrap().unwrap();
    let sites: Vec<SiteId> = sites.iter().map(|site| site_id(site)).collect();
    let mut set = ChangeSet::new(Scope::System, epoch, audit("Change"));
    set.put_staff(staff, before).bump_epochs(&sites);
    store.commit("test", set).await.map(drop)
}

async fn round_trip(env: Env) {
    let store = &env.store;
    let (token, uri) = (
        credential(CredentialKind::Token, "王 管家@example"),
        credential(CredentialKind::Certificate, "spiffe://linli/wang"),
    );
    let mut wang = staff("wang", vec![token.clone(), uri.clone()]);
    put(store, wang.clone(), Vec::new(), &[]).await.unwrap();
    put(store, staff("zhou", Vec::new()), Vec::new(), &[]).await.unwrap();
    assert_eq!(store.staff(&wang.id).await.unwrap().as_ref(), Some(&wang));
    let found = async |credentials: &[Credential]| -> Vec<String> {
        let found = store.staff_by_credentials(credentials).await.unwrap();
        found.into_iter().map(|staff| staff.id.as_str().to_owned()).collect()
    };
    assert_eq!(found(std::slice::from_ref(&token)).await, ["wang"]);
    assert_eq!(found(&[uri.clone(), token.clone()]).await, ["wang"], "nobody twice");
    assert!(found(&[]).await.is_empty());
    // The same name of the other kind is another credential.
    assert!(found(&[credential(CredentialKind::Certificate, "王 管家@example")]).await.is_empty());
    let page = |after: Option<&'static str>| store.staff_page(after, 1);
    assert_eq!(page(None).await.unwrap()[0].id.as_str(), "wang");
    assert_eq!(page(Some("wang")).await.unwrap()[0].id.as_str(), "zhou");
    assert!(page(Some("zhou")).await.unwrap().is_empty());
    wang.version = 2;
    wang.deactivated_at = Some(at(3));
    let before = std::mem::replace(&mut wang.credentials, vec![uri]);
    put(store, wang.clone(), before.clone(), &[]).await.unwrap();
    assert_eq!(store.staff(&wang.id).await.unwrap().as_ref(), Some(&wang));
    assert!(found(&[token]).await.is_empty(), "given up");
    let stale = put(store, wang, before, &[]).await;
    assert!(matches!(stale, Err(CommitError::Stale { what: "staff", current: 2 })), "{stale:?}");
}

async fn credentials_belong_to_one(env: Env) {
    let store = &env.store;
    let token = credential(CredentialKind::Token, "wang");
    put(store, staff("wang", vec![token.clone()]), Vec::new(), &[]).await.unwrap();
    let taken = put(store, staff("lin", vec![token.clone()]), Vec::new(), &[]).await;
    assert!(matches!(taken, Err(CommitError::Exists { what: "credential" })), "{taken:?}");
    assert_eq!(store.staff(&StaffId::new("lin").unwrap()).await.unwrap(), None, "nothing of it");
    let twice = put(store, staff("wang", Vec::new()), Vec::new(), &[]).await;
    assert!(matches!(twice, Err(CommitError::Exists { what: "staff" })), "{twice:?}");
    let wang = Staff { version: 2, ..staff("wang", Vec::new()) };
    put(store, wang, vec![token.clone()], &[]).await.unwrap();
    put(store, staff("lin", vec![token]), Vec::new(), &[]).await.unwrap();
}

async fn rights_end_decisions_of_other_sites(env: Env) {
    let store = &env.store;
    for site in ["a", "b", "c"] {
        make_site(store, site).await;
    }
    let epoch = async |scope: &Scope| store.authz_epoch(scope).await.unwrap();
    let site = |id: &str| Scope::Site(site_id(id));
    let system = epoch(&Scope::System).await.unwrap();
    put(store, staff("wang", Vec::new()), Vec::new(), &["c", "a", "none"]).await.unwrap();
    assert_eq!(epoch(&Scope::System).await, Some(system + 1));
    assert_eq!(
        (epoch(&site("a")).await, epoch(&site("b")).await, epoch(&site("c")).await),
        (Some(1), Some(0), Some(1))
    );
    assert_eq!(epoch(&site("none")).await, None, "no site came to be by it");
    // What was decided before is not written after.
    let late = change(store, "a", |set| set.put_dwelling(dwelling("a", "d2"))).await;
    assert!(matches!(late, Err(CommitError::EpochChanged { current: 1 })), "{late:?}");
    change(store, "b", |set| set.put_dwelling(dwelling("b", "d2"))).await.unwrap();
    // A change that fails ends nothing.
    put(store, staff("wang", Vec::new()), Vec::new(), &["b"]).await.unwrap_err();
    assert_eq!(epoch(&site("b")).await, Some(0));
}
