//! Bodies outside the company: by which ways they are reached, and where they answer.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::reader::Reader;

/// Bodies outside the company.
#[derive(Debug, Clone)]
pub struct Community {
    /// The file of channels.
    pub channels_file: Option<PathBuf>,
    /// For how long a referral is offered to a body that cannot be reached.
    pub give_up_after: Duration,
    /// Where bodies answer without an account.
    pub answers: Option<Answers>,
    /// The key of the links by which they do.
    pub answer_key_file: PathBuf,
}

/// Where bodies answer without an account.
#[derive(Debug, Clone)]
pub struct Answers {
    /// Where they are listened to.
    pub listen: SocketAddr,
    /// How their links begin, without a slash at the end.
    pub url: String,
}

impl Reader {
    pub(super) fn community(&mut self) -> Community {
        let answer_url = self.optional("community.answer_url", |text| {
            let plain = text.strip_prefix("https://").is_some_and(|rest| {
                !rest.is_empty()
                    && rest.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '?' | '#' | '@'))
            });
            if plain {
                Ok(text.trim_end_matches('/').to_owned())
            } else {
                Err(format!("`{text}` is not an address such as https://answers.example.cn"))
            }
        });
        let answer_listen: Option<SocketAddr> = self.optional("community.answer_listen", |text| {
            text.parse().map_err(|_| format!("`{text}` is not an address such as 127.0.0.1:50053"))
        });
        if answer_listen.is_some() != answer_url.is_some() {
            self.complain("community.answer_url", "and `community.answer_listen`: both or none");
        }
        Community {
            channels_file: self.optional("community.channels_file", |text| Ok(PathBuf::from(text))),
            give_up_after: Duration::from_secs(
                u64::from(self.number("community.give_up_after_days", 1, 365)) * 24 * 3600,
            ),
            answers: answer_listen.zip(answer_url).map(|(listen, url)| Answers { listen, url }),
            answer_key_file: self.path("community.answer_key_file"),
        }
    }
}
