//! What attackers put into requests, by the descriptors of the API: into every field of every RPC, those included that are
//! added tomorrow.

use std::collections::{BTreeMap, BTreeSet};

use linli_proto::{FILE_DESCRIPTOR_SET, v1};
use prost::Message as _;
use prost_reflect::ReflectMessage as _;
use prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};
use tonic::Code;

use crate::harness::client::Client;
use crate::harness::server::{Data, Server};
use crate::harness::story::{self, Step, Words};
use crate::harness::{Refusal, holds};

/// Words that are no command, wherever they are put: they end a string, a statement or an expression of SQL, of a policy, of a
/// format, of a path or of a spreadsheet.
const INJECTED: [&str; 5] = [
    "x'; DROP TABLE resident; --",
    "\" || principal == Role::\"leader\" || \"",
    "%s%n{0}${jndi:x}$(id)`id`",
    "../../../../etc/passwd",
    "=HYPERLINK(\"http://x\")",
];
/// What a caller claims that only the server may say: in texts, numbers and times.
const CLAIMED: &str = "claimed-by-a-caller";
const CLAIMED_NUMBER: i32 = 987_654_321;
const CLAIMED_SECONDS: i64 = 978_307_211;

/// The messages of the API.
struct Api {
    pool: DescriptorPool,
    /// Fields that only the server sets, as their comments say: message and number.
    output_only: BTreeSet<(String, u32)>,
}

impl Api {
    fn new() -> Self {
        let files = prost_types::FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap().file;
        let mut output_only = BTreeSet::new();
        for file in &files {
            let places = file.source_code_info.iter().flat_map(|info| &info.location);
            let said: BTreeMap<&[i32], &str> =
                places.map(|place| (place.path.as_slice(), place.leading_comments())).collect();
            for (at, message) in file.message_type.iter().enumerate() {
                for (number, field) in message.field.iter().enumerate() {
                    let path = [4, i32::try_from(at).unwrap(), 2, i32::try_from(number).unwrap()];
                    if said.get(path.as_slice()).is_some_and(|said| said.contains("Output only")) {
                        let message = format!("{}.{}", file.package(), message.name());
                        output_only.insert((message, u32::try_from(field.number()).unwrap()));
                    }
                }
            }
        }
        assert!(output_only.len() > 100, "comments say what is output only");
        Self { pool: DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap(), output_only }
    }

    /// The message that an RPC takes.
    fn request(&self, path: &str) -> MessageDescriptor {
        let (service, method) = path.split_once('/').unwrap();
        let service = self.pool.get_service_by_name(service).unwrap();
        service.methods().find(|known| known.name() == method).unwrap().input()
    }

    /// A request with a claim in every field that only the server may set; how many there were.
    fn claim(&self, message: &mut DynamicMessage) -> usize {
        let name = message.descriptor().full_name().to_owned();
        let mut claimed = 0;
        for field in message.descriptor().fields().collect::<Vec<_>>() {
            if self.output_only.contains(&(name.clone(), field.number())) {
                if let Some(value) = claim(&field) {
                    message.set_field(&field, value);
                    claimed += 1;
                }
            } else if message.has_field(&field) {
                each_message(message.get_field_mut(&field), &mut |inner| claimed += self.claim(inner));
            }
        }
        claimed
    }
}

/// Something of the field's type that the server would not say; `None` where everything may be said.
fn claim(field: &FieldDescriptor) -> Option<Value> {
    let value = match field.kind() {
        Kind::String => Value::String(CLAIMED.to_owned()),
        Kind::Int32 => Value::I32(CLAIMED_NUMBER),
        Kind::Int64 => Value::I64(CLAIMED_NUMBER.into()),
        Kind::Message(message) if message.full_name() == "google.protobuf.Timestamp" => {
            let mut time = DynamicMessage::new(message);
            time.set_field_by_name("seconds", Value::I64(CLAIMED_SECONDS));
            Value::Message(time)
        }
        _ => return None,
    };
    Some(if field.is_list() { Value::List(vec![value]) } else { value })
}

fn each_message(value: &mut Value, visit: &mut dyn FnMut(&mut DynamicMessage)) {
    match value {
        Value::Message(message) => visit(message),
        Value::List(values) => values.iter_mut().for_each(|value| each_message(value, visit)),
        _ => {}
    }
}

/// Goes through the texts of a message, those of its parts included, in order, empty ones too; the one with the wanted number is
/// replaced.
struct Texts<'a> {
    seen: usize,
    wanted: usize,
    words: &'a str,
}

impl Texts<'_> {
    /// The message with words in place of one of its texts; `None` where it has fewer.
    fn put(message: &DynamicMessage, wanted: usize, words: &str) -> Option<DynamicMessage> {
        let mut message = message.clone();
        let mut texts = Texts { seen: 0, wanted, words };
        texts.message(&mut message);
        (texts.seen > wanted).then_some(message)
    }

    fn message(&mut self, message: &mut DynamicMessage) {
        for field in message.descriptor().fields().collect::<Vec<_>>() {
            let is_text = matches!(field.kind(), Kind::String) && !field.is_list();
            // Naming another member of a `oneof` would be another request.
            if message.has_field(&field) || (is_text && field.containing_oneof().is_none()) {
                self.value(message.get_field_mut(&field));
            }
        }
    }

    fn value(&mut self, value: &mut Value) {
        match value {
            Value::String(text) => {
                if self.seen == self.wanted {
                    self.words.clone_into(text);
                }
                self.seen += 1;
            }
            Value::Message(message) => self.message(message),
            Value::List(values) => values.iter_mut().for_each(|value| self.value(value)),
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_the_server_says_is_not_taken_from_a_caller() {
    let api = Api::new();
    let (data, second) = story::staged(Data::sqlite());
    let server = Server::on(data).await;
    let claimed = std::sync::Mutex::new(BTreeSet::new());
    let claims = |path: &str, bytes: Vec<u8>| {
        let mut message = DynamicMessage::decode(api.request(path), bytes.as_slice()).unwrap();
        if api.claim(&mut message) > 0 {
            claimed.lock().unwrap().insert(path.to_owned());
        }
        message.encode_to_vec()
    };
    let steps = story::tell_changed(&server.client(), &second, &Words::planted(), &claims).await;
    let claimed = claimed.into_inner().unwrap();
    assert!(claimed.len() >= 12, "few requests can claim anything: {claimed:?}");
    let mut number = Vec::new();
    prost::encoding::encode_varint(CLAIMED_NUMBER.unsigned_abs().into(), &mut number);
    let mut seconds = Vec::new();
    prost::encoding::encode_varint(CLAIMED_SECONDS.unsigned_abs(), &mut seconds);
    for Step { path, answer, .. } in &steps {
        for claim in [CLAIMED.as_bytes(), &number, &seconds] {
            assert!(!holds(answer, claim), "{path} believes what it is told");
        }
    }
    let kept = server.app.store.dump().await;
    assert!(!holds(format!("{kept:?}").as_bytes(), CLAIMED.as_bytes()), "a claim is in the database");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn words_are_words_in_every_text_of_every_call() {
    words_are_words(Data::sqlite()).await;
    if let Some(data) = Data::postgres().await {
        words_are_words(data).await;
    }
}

async fn words_are_words(data: Data) {
    let api = Api::new();
    let (data, second) = story::staged(data);
    let server = Server::on(data).await;
    let client = server.client();
    let steps = story::tell(&client, &second, &Words::planted()).await;
    let mut first = BTreeMap::new();
    for step in &steps {
        first.entry(step.path).or_insert(step);
    }
    let (mut called, mut taken) = (0, 0);
    for Step { path, request, .. } in first.into_values() {
        let message = DynamicMessage::decode(api.request(path), request.as_slice()).unwrap();
        for text in 0.. {
            // Other words for other texts: every one of them is in many places.
            let words = INJECTED[(text + called) % INJECTED.len()];
            let Some(changed) = Texts::put(&message, text, words) else { break };
            called += 1;
            taken += usize::from(is_understood(&client, path, changed.encode_to_vec(), words).await);
        }
    }
    assert!(called > 400 && taken > 30, "{called} calls, {taken} of them carried out");

    // Everything is there, and nobody has more rights than before.
    let site = format!("sites/{}", story::SITE);
    let verified = client.ask(v1::VerifyAuditRequest { parent: site.clone() }).await.unwrap();
    assert!(verified.intact, "{verified:?}");
    let outsider = server.outsider().ask(v1::GetSiteRequest { name: site.clone() }).await;
    assert_eq!(Refusal::of(&outsider.unwrap_err()).reason, "PERMISSION_DENIED");
    let (_, _, elder) = client.estate("after").await;
    assert!(!client.obligations(&elder, "", "").await.is_empty());
    server.stop().await;
}

/// Whether a call is carried out. It may be refused for what it says, never because something broke, and the refusal does not
/// speak of what lies behind the API.
async fn is_understood(client: &Client, path: &str, request: Vec<u8>, words: &str) -> bool {
    let answer = client.purposeful().bytes(path, request).await;
    let Err(status) = answer else { return true };
    let is_refusal = matches!(
        status.code(),
        Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::FailedPrecondition
            | Code::Aborted
            | Code::OutOfRange
            | Code::PermissionDenied
            | Code::ResourceExhausted
    );
    assert!(is_refusal, "{path} with `{words}`: {status:?}");
    let said = status.message().to_lowercase();
    for behind in ["sql", "syntax", "constraint", "cedar", "panicked", "near \""] {
        assert!(!said.contains(behind), "{path} with `{words}` says `{said}`");
    }
    false
}
