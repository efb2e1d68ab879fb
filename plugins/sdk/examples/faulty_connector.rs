//! A connector that misbehaves as its settings tell it to; the host's tests load it.

use std::time::Duration;

use linli_plugin_sdk::connector::{
    Acknowledgement, Acknowledgements, Connector, Decision, Delivered, Delivery, HttpRequest, Io, Mail,
    Method, Poll, PullRoster, Roster, RunError, Shelf,
};
use linli_plugin_sdk::export_connector;

struct Faulty;

impl Connector for Faulty {
    async fn deliver(io: &Io, delivery: Delivery) -> Result<Delivered, RunError> {
        let name = delivery.field("name").unwrap_or_default().to_owned();
        let post =
            |url: &str| HttpRequest::post(url, name.clone()).header("idempotency-key", io.idempotency_key());
        match io.settings().text("act").unwrap_or_default() {
            "post" => {
                let answer = io.http(post("https://body.example/in")).await?;
                io.sleep(Duration::from_millis(5)).await?;
                Ok(Delivered { external_reference: format!("{}/{}", answer.status, io.now()) })
            }
            "panic" => panic!("the name is {name}"),
            "panic later" => {
                io.sleep(Duration::from_millis(5)).await?;
                panic!("the name is {name}")
            }
            "hang" => loop {
                std::thread::sleep(Duration::from_secs(3600));
            },
            "hang later" => {
                io.sleep(Duration::from_millis(5)).await?;
                loop {
                    std::thread::sleep(Duration::from_secs(3600));
                }
            }
            // Longer than a deadline, shorter than a hang.
            "slow" => {
                std::thread::sleep(Duration::from_millis(310));
                Ok(Delivered::default())
            }
            "abort" => std::process::abort(),
            "abort later" => {
                io.sleep(Duration::from_millis(5)).await?;
                std::process::abort()
            }
            "stray" => std::future::pending().await,
            "endless" => loop {
                io.list_files().await?;
            },
            "mail" => {
                let mail = Mail { to: vec!["a@body.example".into()], subject: "a".into(), text: name };
                io.mail(mail).await?;
                Ok(Delivered::default())
            }
            "elsewhere" => {
                io.http(post("https://other.example/in")).await?;
                Ok(Delivered::default())
            }
            "plain" => {
                io.http(post("http://body.example/in")).await?;
                Ok(Delivered::default())
            }
            "method" => {
                io.http(HttpRequest::new(Method::Delete, "https://body.example/in")).await?;
                Ok(Delivered::default())
            }
            "header" => {
                io.http(post("https://body.example/in").header("authorization", "Bearer stolen")).await?;
                Ok(Delivered::default())
            }
            "signature" => {
                io.http(post("https://body.example/in").header("linli-signature", "v1=stolen")).await?;
                Ok(Delivered::default())
            }
            "large" => {
                io.write_file("large", vec![0; 5 << 20]).await?;
                Ok(Delivered::default())
            }
            "huge" => {
                io.write_file("huge", vec![0; 64 << 20]).await?;
                Ok(Delivered::default())
            }
            "path" => {
                io.write_file("../../etc/passwd", Vec::new()).await?;
                Ok(Delivered::default())
            }
            "hours" => {
                io.sleep(Duration::from_secs(7200)).await?;
                Ok(Delivered::default())
            }
            "reference" => Ok(Delivered { external_reference: "r".repeat(201) }),
            "reference that tells" => Ok(Delivered { external_reference: format!("R-{name}") }),
            "tells" => Err(RunError::never(format!("nobody of the name {name} lives there"))),
            act => Err(RunError::never(format!("there is no act `{act}`"))),
        }
    }

    async fn poll(io: &Io, poll: Poll) -> Result<Acknowledgements, RunError> {
        if io.settings().text("act") == Some("words") {
            let item = Acknowledgement {
                external_reference: "R-7".into(),
                referral: String::new(),
                decision: Decision::Accepted,
                remark: "好\r\n明天\r下午\t三点\u{7}\u{85}".into(),
                decided_at_micros: None,
            };
            return Ok(Acknowledgements { items: vec![item], cursor: poll.cursor });
        }
        for name in io.list_files().await? {
            let content = io.read_file(name.clone()).await?;
            let to = if content.is_empty() { Shelf::Quarantine } else { Shelf::Archive };
            io.move_file(name, to).await?;
        }
        Ok(Acknowledgements { items: Vec::new(), cursor: format!("{}+", poll.cursor) })
    }

    async fn pull_roster(_: &Io, _: PullRoster) -> Result<Roster, RunError> {
        let person = vec![linli_plugin_sdk::connector::Field::new("family", "undeclared")];
        Ok(Roster { entries: vec![person], cursor: String::new() })
    }
}

export_connector!(Faulty, "examples/faulty_connector.toml");
