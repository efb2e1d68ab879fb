//! Mail for connectors: through the operator's relay, over TLS, to domains that the operator named.

use std::path::Path;
use std::time::Duration;

use lettre::message::header::ContentType;
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use linli_plugin_host::exchange::{self, FailureKind, Outcome};
use secrecy::{ExposeSecret as _, SecretString};

use super::config::{Mail, MailTls};
use super::{failure, forbidden};

/// Longest wait for the relay, for each of its answers.
const ANSWER_MAX: Duration = Duration::from_secs(20);

/// A relay, and to whom it may be asked to send.
pub(super) struct Post {
    relay: String,
    sender: Mailbox,
    domains: Vec<String>,
    transport: AsyncSmtpTransport<Tokio1Executor>,
}

impl std::fmt::Debug for Post {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Post({} to {:?})", self.relay, self.domains)
    }
}

impl Post {
    pub(super) fn new(
        mail: &Mail,
        ca_file: Option<&Path>,
        password: Option<SecretString>,
    ) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let relay = relay(&mail.relay).map_err(|why| problems.push(why)).ok();
        let sender: Option<Mailbox> =
            mail.sender.parse().map_err(|_| problems.push("`mail.sender` is not a mail address".into())).ok();
        if mail.domains.is_empty() {
            problems.push("`mail.domains` must name the domains that mail may go to".to_owned());
        }
        if mail.user.is_empty() != password.is_none() {
            problems.push("`mail.user` and `mail.password_file`: both or none".to_owned());
        }
        let (Some((host, port)), Some(sender), true) = (relay, sender, problems.is_empty()) else {
            return Err(problems);
        };
        let tls = parameters(&host, ca_file).map_err(|why| vec![why])?;
        let tls = match mail.tls {
            MailTls::Implicit => Tls::Wrapper(tls),
            MailTls::Starttls => Tls::Required(tls),
        };
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            .port(port)
            .tls(tls)
            .timeout(Some(ANSWER_MAX));
        if let Some(password) = password {
            let password = password.expose_secret().to_owned();
            transport = transport.credentials(Credentials::new(mail.user.clone(), password));
        }
        let domains = mail.domains.iter().map(|domain| domain.to_lowercase()).collect();
        Ok(Self { relay: mail.relay.clone(), sender, domains, transport: transport.build() })
    }

    /// Sends a mail. The same `key` gives the same message id, by which a mail that came twice is seen to be one.
    pub(super) async fn send(&self, mail: &exchange::Mail, key: &str) -> Outcome {
        let message = match self.message(mail, key) {
            Ok(message) => message,
            Err(why) => return forbidden(why),
        };
        match self.transport.send(message).await {
            Ok(_) => Outcome::Done,
            Err(error) => refused(&error),
        }
    }

    fn message(&self, mail: &exchange::Mail, key: &str) -> Result<Message, String> {
        let id: String = key.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let id = format!("<{id}@{}>", self.sender.email.domain());
        let mut message =
            Message::builder().from(self.sender.clone()).subject(mail.subject.as_str()).message_id(Some(id));
        for to in &mail.to {
            let to: Address = to.parse().map_err(|_| "a recipient is not a mail address".to_owned())?;
            let domain = to.domain().to_lowercase();
            if !self.domains.contains(&domain) {
                return Err(format!("mail to `{domain}` is not among the `mail.domains` of this channel"));
            }
            message = message.to(Mailbox::new(None, to));
        }
        message
            .header(ContentType::TEXT_PLAIN)
            .body(mail.text.clone())
            .map_err(|error| format!("the mail cannot be written: {error}"))
    }
}

/// The host and port of a relay.
fn relay(text: &str) -> Result<(String, u16), String> {
    let parts = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
    match parts {
        Some((host, port)) if !host.is_empty() && port != 0 => Ok((host.to_owned(), port)),
        _ => Err(format!("`mail.relay`: `{text}` is not a relay such as `smtp.example.cn:465`")),
    }
}

fn parameters(host: &str, ca_file: Option<&Path>) -> Result<TlsParameters, String> {
    let mut builder = TlsParameters::builder(host.to_owned());
    if let Some(path) = ca_file {
        let wrong = |why: String| format!("`mail.ca_file`: `{}`: {why}", path.display());
        let pem = std::fs::read(path).map_err(|err| wrong(err.to_string()))?;
        let certificate = Certificate::from_pem(&pem).map_err(|err| wrong(err.to_string()))?;
        builder = builder.certificate_store(CertificateStore::None).add_root_certificate(certificate);
    }
    builder.build_rustls().map_err(|error| format!("no TLS for mail: {error}"))
}

/// What a mail came to that the relay did not take. The relay's words are not repeated: they may hold the recipient's address.
fn refused(error: &lettre::transport::smtp::Error) -> Outcome {
    let code = error.status().map(|code| code.to_string()).unwrap_or_default();
    if error.is_permanent() {
        return forbidden(format!("the relay refused it for good ({code})"));
    }
    if error.is_transient() {
        return failure(FailureKind::NotDone, format!("the relay refused it for now ({code})"));
    }
    if error.is_tls() {
        return failure(
            FailureKind::NotDone,
            "the relay's certificate was not accepted, or it speaks no TLS",
        );
    }
    if error.is_timeout() {
        return failure(FailureKind::Unknown, "the relay did not answer in time");
    }
    failure(FailureKind::Unknown, "the connection to the relay broke off, or never stood")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post() -> Post {
        let mail = Mail {
            relay: "127.0.0.1:465".into(),
            tls: MailTls::Implicit,
            ca_file: String::new(),
            user: String::new(),
            password_file: String::new(),
            sender: "邻里 <care@example.cn>".into(),
            domains: vec!["Example.cn".into()],
        };
        Post::new(&mail, None, None).unwrap()
    }

    fn mail(to: &str, subject: &str) -> exchange::Mail {
        exchange::Mail { to: vec![to.into()], subject: subject.into(), text: "正文\n".into() }
    }

    #[tokio::test]
    async fn a_mail_says_the_same_id_whenever_it_is_sent() {
        let message = post().message(&mail("office@example.cn", "转介 42"), "referral:42").unwrap();
        let text = String::from_utf8(message.formatted()).unwrap();
        assert!(text.contains("Message-ID: <referral-42@example.cn>"), "{text}");
        assert!(text.contains("To: office@example.cn"), "{text}");
    }

    #[tokio::test]
    async fn mail_goes_to_permitted_domains_and_injects_nothing() {
        let post = post();
        assert!(post.message(&mail("office@evil.example", "x"), "k").unwrap_err().contains("mail.domains"));
        assert!(post.message(&mail("office@example.cn\r\nBcc: x@evil.example", "x"), "k").is_err());
        let message = post.message(&mail("office@example.cn", "x\r\nBcc: y@evil.example"), "k").unwrap();
        let text = String::from_utf8(message.formatted()).unwrap();
        assert!(!text.lines().any(|line| line.starts_with("Bcc:")), "{text}");
    }

    #[test]
    fn a_relay_has_a_port() {
        assert_eq!(relay("smtp.example.cn:465"), Ok(("smtp.example.cn".into(), 465)));
        for wrong in ["smtp.example.cn", ":465", "smtp.example.cn:0", "smtp.example.cn:x"] {
            assert!(relay(wrong).is_err(), "{wrong}");
        }
    }
}
