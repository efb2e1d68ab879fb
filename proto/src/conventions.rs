//! The conventions of the API that no linter knows, read from the descriptor set: what an operator learned on
//! one method holds on all of them. `README.md` states them.

use prost::Message;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet};

use crate::v1::ErrorReason;

/// Methods that only read, by the verbs their names begin with. Every other method changes something.
const READING: &[&str] = &[
    "BatchGet", "Draft", "Export", "Find", "Get", "List", "Preview", "Probe", "Pull", "Render", "Reveal",
    "Simulate", "Verify", "Watch",
];

fn files() -> Vec<FileDescriptorProto> {
    let set = FileDescriptorSet::decode(crate::FILE_DESCRIPTOR_SET).expect("the build script encoded it");
    set.file.into_iter().filter(|file| file.package() == "linli.v1").collect()
}

fn messages(files: &[FileDescriptorProto]) -> Vec<&DescriptorProto> {
    files.iter().flat_map(|file| &file.message_type).collect()
}

fn field<'a>(message: &'a DescriptorProto, name: &str) -> Option<&'a FieldDescriptorProto> {
    message.field.iter().find(|field| field.name() == name)
}

/// What is wrong with one message, as far as its fields' names promise types.
fn typed_as_named(message: &DescriptorProto) -> Vec<String> {
    let mut wrong = Vec::new();
    for field in &message.field {
        let (name, text) = (field.name(), field.r#type() == Type::String);
        let fits = match name {
            "name" | "parent" | "etag" | "request_id" | "page_token" | "next_page_token" => text,
            "page_size" => field.r#type() == Type::Int32,
            "update_mask" => field.type_name() == ".google.protobuf.FieldMask",
            _ if name.ends_with("_date") => text,
            _ if name.ends_with("_time") => field.type_name() == ".google.protobuf.Timestamp",
            _ => true,
        };
        if !fits {
            wrong.push(format!("{}.{name} is not of the type its name promises", message.name()));
        }
    }
    wrong
}

/// What is wrong with one method and its messages.
fn shaped_as_named(method: &str, input: &DescriptorProto, output: &DescriptorProto) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut must = |holds: bool, what: &str| {
        if !holds {
            wrong.push(format!("{method} {what}"));
        }
    };
    if READING.iter().any(|verb| method.starts_with(verb)) {
        must(field(input, "request_id").is_none(), "reads, and asks for a request_id");
    } else {
        // A client stream carries it in its first message.
        let carried = field(input, "request_id").is_some() || input.name() == "ImportResidentsRequest";
        must(carried, "changes something without a request_id");
    }
    if method.starts_with("List") {
        must(field(input, "page_size").is_some(), "lists without page_size");
        must(field(input, "page_token").is_some(), "lists without page_token");
        must(field(output, "next_page_token").is_some(), "lists without next_page_token");
        let lists = output.field.iter().filter(|field| field.label() == Label::Repeated).count();
        must(lists == 1, "does not answer with exactly one list");
    }
    if method.starts_with("Update") {
        must(field(input, "update_mask").is_some(), "updates without update_mask");
        must(field(output, "etag").is_some(), "updates what has no etag");
    }
    wrong
}

#[test]
fn fields_have_the_types_their_names_promise() {
    let files = files();
    let wrong: Vec<String> = messages(&files).into_iter().flat_map(typed_as_named).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn methods_have_the_fields_their_names_promise() {
    let files = files();
    let messages = messages(&files);
    let find = |name: &str| {
        let short = name.rsplit('.').next().expect("a name has a last part");
        *messages.iter().find(|message| message.name() == short).expect("the descriptor set is complete")
    };
    let methods: Vec<_> =
        files.iter().flat_map(|file| &file.service).flat_map(|service| &service.method).collect();
    assert!(methods.len() >= 50, "only {} methods found", methods.len());
    let wrong: Vec<String> = methods
        .into_iter()
        .flat_map(|method| {
            shaped_as_named(method.name(), find(method.input_type()), find(method.output_type()))
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The README's table says of every error reason what to do, and of no other, and agrees with the definition on the
/// status code.
#[test]
fn the_readme_explains_every_error_reason() {
    let rows: Vec<(&str, &str)> = include_str!("../README.md")
        .lines()
        .skip_while(|line| *line != "## Errors")
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.split('|').map(str::trim);
            let reason = cells.next()?.strip_suffix('`')?;
            Some((reason, cells.next()?.trim_matches('`')))
        })
        .collect();
    let definition = include_str!("../linli/v1/error.proto");
    let mut wrong = Vec::new();
    for number in 1..1_000 {
        let Ok(reason) = ErrorReason::try_from(number) else { continue };
        let short = reason.as_str_name().trim_start_matches("ERROR_REASON_");
        let Some((_, code)) = rows.iter().find(|(name, _)| *name == short) else {
            wrong.push(format!("{short} is not in the table"));
            continue;
        };
        let declared = format!("  // {code}. ");
        let value = format!("  {} = {number};", reason.as_str_name());
        let before = definition.split_once(&value).map(|(before, _)| before).unwrap_or_default();
        if !before.lines().last().is_some_and(|comment| comment.starts_with(&declared)) {
            wrong.push(format!("{short} is not {code} in its definition"));
        }
    }
    for (name, _) in &rows {
        if ErrorReason::from_str_name(&format!("ERROR_REASON_{name}")).is_none() {
            wrong.push(format!("{name} is in the table and is no reason"));
        }
    }
    assert!(!rows.is_empty() && wrong.is_empty(), "{wrong:#?}");
}

/// The checks above find what they are there to find.
#[test]
fn planted_faults_are_found() {
    let message = |name: &str, fields: &[(&str, Type)]| DescriptorProto {
        name: Some(name.into()),
        field: fields
            .iter()
            .map(|(name, kind)| FieldDescriptorProto {
                name: Some((*name).into()),
                r#type: Some((*kind).into()),
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    };
    let empty = message("Empty", &[]);
    let check = |wrong: Vec<String>, expect: &[&str]| assert_eq!(wrong, expect);

    let mistyped =
        message("M", &[("due_time", Type::String), ("end_date", Type::Message), ("page_size", Type::Int64)]);
    check(
        typed_as_named(&mistyped),
        &[
            "M.due_time is not of the type its name promises",
            "M.end_date is not of the type its name promises",
            "M.page_size is not of the type its name promises",
        ],
    );
    check(shaped_as_named("EndPause", &empty, &empty), &["EndPause changes something without a request_id"]);
    check(
        shaped_as_named("GetSite", &message("GetSiteRequest", &[("request_id", Type::String)]), &empty),
        &["GetSite reads, and asks for a request_id"],
    );
    check(
        shaped_as_named("ListSites", &empty, &empty),
        &[
            "ListSites lists without page_size",
            "ListSites lists without page_token",
            "ListSites lists without next_page_token",
            "ListSites does not answer with exactly one list",
        ],
    );
    check(
        shaped_as_named("UpdateSite", &message("UpdateSiteRequest", &[("request_id", Type::String)]), &empty),
        &["UpdateSite updates without update_mask", "UpdateSite updates what has no etag"],
    );
}
