//! The messages between host and runner. Each is one packet of a socket: eight numbers, then text. Batches and records
//! are not in them but in shared memory (`memory`).

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags,
};

use crate::error::{CallError, LoadCause};
use crate::instance::Question;
use crate::runner::Confinement;

/// Of these messages: host and runner are of one build, and say so where they are not.
pub(crate) const VERSION: u32 = 2;
/// Longest text of a message, in bytes; longer ones are cut.
const TEXT_BYTES_MAX: usize = 4000;
const NUMBERS: usize = 8;
const HEAD: usize = NUMBERS * size_of::<u32>();

/// What the host wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Request {
    /// Load the library. With it come three files: library, input, output.
    Load {
        version: u32,
        /// The host's process: whose death ends the runner.
        host: u32,
        /// Bytes of address space that the runner may use.
        address_space: u64,
    },
    /// Answer about the batch in the input. With it come two files, input and output, where they are new.
    Ask { number: u32, question: Question, batch_bytes: u32, records_max: u32, budget_ms: u32 },
    /// Begin a run and take its first step. The input holds the request and, behind it, the idempotency key. With it come
    /// two files, as with `Ask`.
    Begin { number: u32, run: u32, op: u32, request_bytes: u32, key_bytes: u32, budget_ms: u32 },
    /// Take the next step of a run, by what is in the input. With it come two files, as with `Ask`.
    Step { number: u32, run: u32, input_bytes: u32, budget_ms: u32 },
    /// End a run. There is no reply.
    End { run: u32 },
}

/// What the runner says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    /// The library is loaded; manifest and build information lie in the output, one behind the other.
    Loaded {
        abi: (u32, u32),
        flags: u32,
        manifest_bytes: u32,
        build_info_bytes: u32,
        confinement: Confinement,
    },
    /// The library is not acceptable.
    Refused { cause: LoadCause, reason: String, help: String },
    /// The instance is made: what happens from here on is because of the batch.
    Begun { number: u32 },
    /// So many records lie in the output, or bytes of a step.
    Answered { number: u32, count: u32 },
    /// The call failed, and why.
    Failed { number: u32, error: CallError },
    /// A line for the host's log.
    Log { level: u32, text: String },
}

/// Causes that a runner can find.
const CAUSES: [LoadCause; 4] =
    [LoadCause::Linker, LoadCause::NotAPlugin, LoadCause::WrongAbi, LoadCause::Unreadable];
const FAILED: u32 = 0;
const PANICKED: u32 = 1;
const MISBEHAVED: u32 = 2;

impl Request {
    fn encode(&self) -> [u32; NUMBERS] {
        match *self {
            Self::Load { version, host, address_space } => {
                [1, version, host, address_space as u32, (address_space >> 32) as u32, 0, 0, 0]
            }
            Self::Ask { number, question, batch_bytes, records_max, budget_ms } => {
                let question = match question {
                    Question::Assess => 0,
                    Question::Validate => 1,
                };
                [2, number, question, batch_bytes, records_max, budget_ms, 0, 0]
            }
            Self::Begin { number, run, op, request_bytes, key_bytes, budget_ms } => {
                [3, number, run, op, request_bytes, key_bytes, budget_ms, 0]
            }
            Self::Step { number, run, input_bytes, budget_ms } => {
                [4, number, run, input_bytes, budget_ms, 0, 0, 0]
            }
            Self::End { run } => [5, run, 0, 0, 0, 0, 0, 0],
        }
    }

    fn decode(numbers: [u32; NUMBERS]) -> Option<Self> {
        match numbers {
            [1, version, host, low, high, ..] => {
                let address_space = u64::from(high) << 32 | u64::from(low);
                Some(Self::Load { version, host, address_space })
            }
            [2, number, question, batch_bytes, records_max, budget_ms, ..] => {
                let question = match question {
                    0 => Question::Assess,
                    1 => Question::Validate,
                    _ => return None,
                };
                Some(Self::Ask { number, question, batch_bytes, records_max, budget_ms })
            }
            [3, number, run, op, request_bytes, key_bytes, budget_ms, _] => {
                Some(Self::Begin { number, run, op, request_bytes, key_bytes, budget_ms })
            }
            [4, number, run, input_bytes, budget_ms, ..] => {
                Some(Self::Step { number, run, input_bytes, budget_ms })
            }
            [5, run, ..] => Some(Self::End { run }),
            _ => None,
        }
    }
}

impl Reply {
    fn encode(&self) -> ([u32; NUMBERS], String) {
        let none = String::new();
        match self {
            Self::Loaded { abi, flags, manifest_bytes, build_info_bytes, confinement } => {
                let confinement = confinement.encode();
                ([1, abi.0, abi.1, *flags, *manifest_bytes, *build_info_bytes, confinement, 0], none)
            }
            Self::Refused { cause, reason, help } => {
                let cause = CAUSES.iter().position(|known| known == cause).unwrap_or_default() as u32;
                let (reason, help) = (cut(reason, TEXT_BYTES_MAX / 2), cut(help, TEXT_BYTES_MAX / 2));
                ([2, cause, reason.len() as u32, 0, 0, 0, 0, 0], format!("{reason}{help}"))
            }
            Self::Begun { number } => ([3, *number, 0, 0, 0, 0, 0, 0], none),
            Self::Answered { number, count } => ([4, *number, *count, 0, 0, 0, 0, 0], none),
            Self::Failed { number, error } => {
                let (kind, status, text) = match error {
                    CallError::Failed { status, message } => (FAILED, *status, message.clone()),
                    CallError::Panicked { message } => (PANICKED, 0, message.clone()),
                    CallError::Misbehaved { what } => (MISBEHAVED, 0, what.clone()),
                    other => (MISBEHAVED, 0, other.to_string()),
                };
                ([5, *number, kind, status.cast_unsigned(), 0, 0, 0, 0], text)
            }
            Self::Log { level, text } => ([6, *level, 0, 0, 0, 0, 0, 0], text.clone()),
        }
    }

    fn decode(numbers: [u32; NUMBERS], text: String) -> Option<Self> {
        match numbers {
            [1, major, minor, flags, manifest_bytes, build_info_bytes, confinement, _] => {
                let confinement = Confinement::decode(confinement);
                Some(Self::Loaded {
                    abi: (major, minor),
                    flags,
                    manifest_bytes,
                    build_info_bytes,
                    confinement,
                })
            }
            [2, cause, at, ..] => {
                let (reason, help) = text.split_at_checked(at as usize)?;
                let cause = *CAUSES.get(cause as usize)?;
                Some(Self::Refused { cause, reason: reason.to_owned(), help: help.to_owned() })
            }
            [3, number, ..] => Some(Self::Begun { number }),
            [4, number, count, ..] => Some(Self::Answered { number, count }),
            [5, number, kind, status, ..] => {
                let error = match kind {
                    FAILED => CallError::Failed { status: status.cast_signed(), message: text },
                    PANICKED => CallError::Panicked { message: text },
                    MISBEHAVED => CallError::Misbehaved { what: text },
                    _ => return None,
                };
                Some(Self::Failed { number, error })
            }
            [6, level, ..] => Some(Self::Log { level, text }),
            _ => None,
        }
    }
}

/// Sends a request, with files for the runner.
pub(crate) fn send_request(socket: impl AsFd, request: &Request, files: &[BorrowedFd<'_>]) -> io::Result<()> {
    let head = bytes(request.encode());
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !files.is_empty() && !control.push(SendAncillaryMessage::ScmRights(files)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // A runner that is gone is an error, not a signal; one that does not read has its packets lost.
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    rustix::net::sendmsg(socket, &[IoSlice::new(&head)], &mut control, flags)?;
    Ok(())
}

/// Waits for a request. `None`: the host is gone.
pub(crate) fn receive_request(socket: impl AsFd) -> io::Result<Option<(Request, Vec<OwnedFd>)>> {
    let mut head = [0; HEAD];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(&mut head)];
    let received = rustix::io::retry_on_intr(|| {
        rustix::net::recvmsg(socket.as_fd(), &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC)
    })?;
    if received.bytes == 0 {
        return Ok(None);
    }
    let mut files = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(sent) = message {
            files.extend(sent);
        }
    }
    let request = Request::decode(numbers(&head)).ok_or(io::ErrorKind::InvalidData)?;
    Ok(Some((request, files)))
}

/// Sends a reply.
pub(crate) fn send_reply(socket: impl AsFd, reply: &Reply) -> io::Result<()> {
    let (numbers, text) = reply.encode();
    let (head, text) = (bytes(numbers), cut(&text, TEXT_BYTES_MAX));
    let parts = [IoSlice::new(&head), IoSlice::new(text.as_bytes())];
    let mut control = SendAncillaryBuffer::default();
    rustix::net::sendmsg(socket, &parts, &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// What came from a runner.
#[derive(Debug)]
pub(crate) enum Received {
    Reply(Reply),
    /// Nothing yet.
    Nothing,
    /// The other side is gone.
    End,
    /// Not one of these messages.
    Nonsense,
}

/// Takes the next reply if there is one. Files that a runner sends are dropped by the kernel.
pub(crate) fn receive_reply(socket: impl AsFd) -> Received {
    let mut packet = [0_u8; HEAD + TEXT_BYTES_MAX];
    let taken = match rustix::net::recv(socket, &mut packet[..], RecvFlags::DONTWAIT) {
        Ok((_, length)) => length,
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => return Received::Nothing,
        Err(_) => return Received::End,
    };
    if taken == 0 {
        return Received::End;
    }
    let text = packet.get(HEAD..taken).map(String::from_utf8_lossy).map(std::borrow::Cow::into_owned);
    text.and_then(|text| Reply::decode(numbers(&packet), text)).map_or(Received::Nonsense, Received::Reply)
}

fn bytes(numbers: [u32; NUMBERS]) -> [u8; HEAD] {
    let mut bytes = [0; HEAD];
    for (place, number) in bytes.chunks_exact_mut(4).zip(numbers) {
        place.copy_from_slice(&number.to_le_bytes());
    }
    bytes
}

fn numbers(bytes: &[u8]) -> [u32; NUMBERS] {
    let mut numbers = [0; NUMBERS];
    for (number, place) in numbers.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *number = u32::from_le_bytes(*place);
    }
    numbers
}

/// The beginning of a text, at most so many bytes.
fn cut(text: &str, bytes_max: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes_max)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_their_packets() {
        let requests = [
            Request::Load { version: VERSION, host: 4_000_000_000, address_space: 5 << 31 },
            Request::Ask {
                number: 7,
                question: Question::Validate,
                batch_bytes: 1,
                records_max: 2,
                budget_ms: 3,
            },
            Request::Begin { number: 8, run: 1, op: 2, request_bytes: 3, key_bytes: 4, budget_ms: 5 },
            Request::Step { number: 9, run: 1, input_bytes: 2, budget_ms: 3 },
            Request::End { run: 1 },
        ];
        for request in requests {
            assert_eq!(Request::decode(numbers(&bytes(request.encode()))), Some(request));
        }
        let confinement = Confinement { no_new_privs: true, landlock: Some(7), seccomp: false, limits: true };
        let replies = [
            Reply::Loaded { abi: (1, 2), flags: 3, manifest_bytes: 4, build_info_bytes: 5, confinement },
            Reply::Refused { cause: LoadCause::WrongAbi, reason: "其一".into(), help: "二".into() },
            Reply::Begun { number: 1 },
            Reply::Answered { number: 1, count: 2 },
            Reply::Failed { number: 1, error: CallError::Failed { status: -3, message: "why".into() } },
            Reply::Failed { number: 1, error: CallError::Panicked { message: "where".into() } },
            Reply::Log { level: 2, text: "news".into() },
        ];
        for reply in replies {
            let (head, text) = reply.encode();
            assert_eq!(Reply::decode(head, text), Some(reply));
        }
    }

    #[test]
    fn nonsense_is_no_message() {
        assert_eq!(Request::decode([9; NUMBERS]), None);
        assert_eq!(Reply::decode([0; NUMBERS], String::new()), None);
        assert_eq!(Reply::decode([2, 0, 5, 0, 0, 0, 0, 0], "four".into()), None);
        assert_eq!(Reply::decode([2, 99, 0, 0, 0, 0, 0, 0], String::new()), None);
    }
}
