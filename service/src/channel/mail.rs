//! Mail for connectors: through the operator's relay, over TLS, to domains that the operator named.
//!
//! What goes wrong before the relay lets us in (no connection, no trust, a wrong password) is the channel's trouble, not the mail's:
//! it goes out once that is mended. From the first word about the mail on, the relay's answer decides; once it said that it has it,
//! nothing that happens afterwards makes that untrue.

use std::path::Path;
use std::time::Duration;

use lettre::Address;
use lettre::message::header::ContentType;
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use linli_plugin_host::exchange::{self, FailureKind, Outcome};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::timeout;

use super::config::{Mail, MailTls};
use super::{failure, forbidden};

/// Longest time until the relay lets us in.
const ENTER_MAX: Duration = Duration::from_secs(20);
/// Longest time until it has a mail, or says that it does not take it.
const HAND_OVER_MAX: Duration = Duration::from_secs(40);
/// How long it may take to say goodbye, for which nobody waits.
const FAREWELL_MAX: Duration = Duration::from_secs(5);

/// A relay, and to whom it may be asked to send.
pub(super) struct Post {
    relay: String,
    sender: Mailbox,
    domains: Vec<String>,
    host: String,
    port: u16,
    starts_in_clear: bool,
    tls: TlsParameters,
    credentials: Option<Credentials>,
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
        let starts_in_clear = match mail.tls {
            MailTls::Implicit => false,
            MailTls::Starttls => true,
        };
        let credentials =
            password.map(|password| Credentials::new(mail.user.clone(), password.expose_secret().to_owned()));
        let domains = mail.domains.iter().map(|domain| domain.to_lowercase()).collect();
        let relay = mail.relay.clone();
        Ok(Self { relay, sender, domains, host, port, starts_in_clear, tls, credentials })
    }

    /// Sends a mail. The same `key` gives the same message id, by which a mail that came twice is seen to be one.
    pub(super) async fn send(&self, mail: &exchange::Mail, key: &str) -> Outcome {
        let message = match self.message(mail, key) {
            Ok(message) => message,
            Err(why) => return forbidden(why),
        };
        let mut relay = match timeout(ENTER_MAX, self.enter()).await {
            Ok(Ok(relay)) => relay,
            Ok(Err(error)) => return failure(FailureKind::NotDone, shut_out(&error)),
            Err(_) => return failure(FailureKind::NotDone, "the relay did not let us in in time"),
        };
        let text = message.formatted();
        match timeout(HAND_OVER_MAX, relay.send(message.envelope(), &text)).await {
            Ok(Ok(_)) => {
                tokio::spawn(async move { timeout(FAREWELL_MAX, relay.quit()).await.is_ok() });
                Outcome::Done
            }
            Ok(Err(error)) => refused(&error),
            Err(_) => failure(FailureKind::Unknown, "the relay did not answer in time"),
        }
    }

    /// A connection over which the relay takes mail.
    async fn enter(&self) -> Result<AsyncSmtpConnection, Error> {
        let hello = ClientId::default();
        let at = (self.host.as_str(), self.port);
        let tls = (!self.starts_in_clear).then(|| self.tls.clone());
        let mut relay = AsyncSmtpConnection::connect_tokio1(at, Some(ENTER_MAX), &hello, tls, None).await?;
        if self.starts_in_clear {
            relay.starttls(self.tls.clone(), &hello).await?;
        }
        if let Some(credentials) = &self.credentials {
            relay.auth(DEFAULT_MECHANISMS, credentials).await?;
        }
        Ok(relay)
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

/// Why the relay did not let us in.
fn shut_out(error: &Error) -> String {
    if let Some(code) = error.status() {
        return format!("the relay does not let us in ({code})");
    }
    if is_of_tls(error) {
        return "the relay's certificate was not accepted, or it speaks no TLS".to_owned();
    }
    "no connection to the relay, or it does not speak as one".to_owned()
}

/// What a mail came to that the relay did not take. The relay's words are not repeated: they may hold the recipient's address.
fn refused(error: &Error) -> Outcome {
    match error.status() {
        Some(code) if error.is_permanent() => forbidden(format!("the relay refused it for good ({code})")),
        Some(code) => failure(FailureKind::NotDone, format!("the relay refused it for now ({code})")),
        None if error.is_client() => forbidden("the relay takes no such mail"),
        None => failure(FailureKind::Unknown, "the connection to the relay broke off"),
    }
}

/// Whether TLS is at the bottom of an error.
fn is_of_tls(error: &Error) -> bool {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = next {
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if error.is::<rustls::Error>() || inner.is_some_and(|inner| inner.is::<rustls::Error>()) {
            return true;
        }
        next = error.source();
    }
    error.is_tls()
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
