//! Who may call what: the descriptor set, the authorisation table and this suite's list agree, and every RPC refuses
//! who has no token and who is not of the working group, without telling what exists.

use std::collections::BTreeSet;

use linli_proto::v1;
use linli_service::auth::table;
use prost::Message;
use tonic::{Code, Status};

use crate::harness::client::{RPCS, Rpc};
use crate::harness::server::Server;
use crate::harness::story::{self, Words};
use crate::harness::{Refusal, refused};

#[test]
fn the_descriptors_the_table_and_the_suite_know_the_same_rpcs() {
    let described = described();
    let listed: BTreeSet<String> = table::METHODS.iter().map(|method| method.path.to_owned()).collect();
    let tested: BTreeSet<String> = RPCS.iter().map(|&path| path.to_owned()).collect();
    assert!(described.len() > 50, "{}", described.len());
    assert_eq!(described, listed, "the authorisation table");
    assert_eq!(described, tested, "the suite's list, `rpcs!` in harness/client.rs");
    assert_eq!((table::METHODS.len(), RPCS.len()), (listed.len(), tested.len()), "no path twice");
}

/// Every RPC of the package, out of the descriptor set that reflection serves.
fn described() -> BTreeSet<String> {
    let set = prost_types::FileDescriptorSet::decode(linli_proto::FILE_DESCRIPTOR_SET).unwrap();
    let files = set.file.iter().filter(|file| file.package() == "linli.v1");
    let services = files.flat_map(|file| &file.service);
    services
        .flat_map(|service| {
            service.method.iter().map(|method| format!("linli.v1.{}/{}", service.name(), method.name()))
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_rpc_refuses_who_may_not_call_it_and_answers_who_may() {
    let server = Server::start().await;
    // The member: every call of the story succeeds.
    let steps = story::tell(&server.client(), &Words::planted()).await;
    let told: BTreeSet<&str> = steps.iter().map(|step| step.path).collect();
    assert_eq!(told, RPCS.iter().copied().collect(), "the story calls every RPC");

    let (nobody, outsider) = (server.nobody(), server.outsider().purposeful());
    let stranger = nobody.token("guessed");
    for step in &steps {
        let path = step.path;
        for nobody in [&nobody, &stranger] {
            let refusal = of(path, nobody.bytes(path, step.request.clone()).await);
            assert_eq!(
                (refusal.code, refusal.reason.as_str()),
                (Code::Unauthenticated, "UNAUTHENTICATED"),
                "{path}"
            );
        }
        let existing = of(path, outsider.bytes(path, step.request.clone()).await);
        assert_eq!(
            (existing.code, existing.reason.as_str()),
            (Code::PermissionDenied, "PERMISSION_DENIED"),
            "{path}: {existing:?}"
        );
        // Not even the request's form is judged before the caller's rights are, where the name is well formed.
        let absent = of(path, outsider.bytes(path, step.elsewhere()).await);
        let apart = |refusal: Refusal| Refusal { request_id: String::new(), ..refusal };
        assert_eq!(apart(existing), apart(absent), "{path}: an outsider learns what exists");
    }
    // A second time the member meets state conflicts and taken names, never a question of rights.
    let member = server.client().purposeful();
    for step in &steps {
        if let Err(status) = member.bytes(step.path, step.request.clone()).await {
            let code = status.code();
            assert!(
                !matches!(
                    code,
                    Code::Unauthenticated | Code::PermissionDenied | Code::Internal | Code::Unknown
                ),
                "{}: {status:?}",
                step.path
            );
        }
        if let Err(status) = member.bytes(step.path, step.elsewhere()).await {
            let code = status.code();
            assert!(
                matches!(code, Code::NotFound | Code::InvalidArgument | Code::AlreadyExists),
                "{}: {status:?}",
                step.path
            );
        }
    }
}

#[track_caller]
fn of(path: &str, answer: Result<Vec<u8>, Status>) -> Refusal {
    match answer {
        Ok(_) => panic!("{path} answers"),
        Err(status) => Refusal::of(&status),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn denials_are_audited_and_paths_outside_the_table_refused() {
    let server = Server::start().await;
    let member = server.client();
    let site = member.site("s1").await;
    refused(server.outsider().ask(v1::GetSiteRequest { name: site.clone() }).await, "PERMISSION_DENIED");
    let scope = linli_store::Scope::from(&linli_core::id::SiteId::new("s1").unwrap());
    let entries = server.app.store.audit_entries(&scope, 0, 100).await.unwrap();
    let denied = entries.iter().filter(|entry| entry.draft.decision == linli_store::Decision::Denied);
    let denied: Vec<_> = denied.map(|entry| (&*entry.draft.principal, &*entry.draft.method)).collect();
    assert_eq!(denied, [("outsider", v1::GetSiteRequest::PATH)]);

    for path in
        ["linli.v1.SiteService/DropSite", "linli.v1.SecretService/Open", "linli.v2.SiteService/GetSite"]
    {
        let answer = member.path::<_, v1::Site>(path, v1::GetSiteRequest { name: site.clone() }).await;
        let refusal = Refusal::of(&answer.unwrap_err());
        assert_eq!(refusal.reason, "PERMISSION_DENIED", "{path}");
        let answer = server.nobody().path::<_, v1::Site>(path, v1::GetSiteRequest::default()).await;
        assert_eq!(Refusal::of(&answer.unwrap_err()).reason, "UNAUTHENTICATED", "{path}");
    }
    server.stop().await;
}
