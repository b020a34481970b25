//! How much is taken of what targets and pages send, and what is said of more.
//!
//! What they send is untrusted: a server may send an event of a gibibyte, a page may never come to an
//! end. Each limit lies far above what any run needs, so that no run fails of it; what is beyond one
//! could only end in a machine without memory, and in evidence that cannot be read again. Such a run is
//! broken, with who sent what, and how much of it.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio_tungstenite::tungstenite::error::{CapacityError, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

use crate::evidence::{BrokenFact, Direction, End, Fact};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// The largest message of a WebSocket, and the largest packet with all of its attachments, in bytes. As
/// JSON in one line of the evidence it must stay below what is read again.
pub(super) const LARGEST_PACKET: usize = 16 * MIB;
/// The largest attachment that is read as MessagePack, in bytes: each byte may become a value.
pub(super) const LARGEST_READ_ATTACHMENT: usize = 4 * MIB;
/// The most attachments of one packet.
pub(super) const MOST_ATTACHMENTS: usize = 128;
/// How deep JSON may be nested, and MessagePack in it once more: `serde_json` reads 127 levels, and the
/// evidence has some of its own around both.
pub(super) const DEEPEST: usize = 48;
/// The largest message of a probe, in bytes: the whole state of a page.
pub(super) const LARGEST_PROBE_MESSAGE: usize = 8 * MIB;
/// The largest body that is rewritten, in bytes.
pub(super) const LARGEST_BODY: usize = 32 * MIB;
/// How much memory the rewriting of a page may take besides, in bytes.
pub(super) const MOST_REWRITING: usize = 128 * MIB;
/// The largest block of header fields, in bytes.
pub(super) const LARGEST_HEADERS: usize = 256 * KIB;
/// The most header fields.
pub(super) const MOST_HEADERS: usize = 100;

/// The most requests of a player's pages in a run, and the most WebSockets that they may open: each leaves
/// an event in the evidence, and asks something of the target. A page asks for 60 files or so, and opens one
/// connection, or one every few seconds while its network is gone.
const MOST_REQUESTS: u64 = 20_000;
const MOST_WEBSOCKETS: u64 = 1_000;

/// How much may be sent on one connection in one direction, in bytes.
const MOST_ON_A_CONNECTION: u64 = 256 << 20;
/// What a message counts for at least: each leaves an event in the evidence.
const LEAST_OF_A_MESSAGE: u64 = 1 << 10;

/// Who sent something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sender {
    Target,
    Page,
}

impl Sender {
    /// The component of what is broken.
    fn component(self) -> &'static str {
        match self {
            Sender::Target => "target",
            Sender::Page => "page",
        }
    }

    /// That a run is broken, since this one sent a player's page, or the page of this player sent, more
    /// than is taken: `what`.
    pub(super) fn broken(self, player: &str, what: &str) -> Fact {
        let reason = match self {
            Sender::Target => format!("the target sent the {player}'s page {what}"),
            Sender::Page => format!("the {player}'s page sent {what}"),
        };
        Fact::Broken(BrokenFact {
            component: self.component().into(),
            reason,
            last_lines: Vec::new(),
            worth_a_retry: false,
        })
    }
}

impl From<Direction> for Sender {
    fn from(direction: Direction) -> Sender {
        match direction {
            Direction::ToServer => Sender::Page,
            Direction::ToClient => Sender::Target,
        }
    }
}

impl TryFrom<End> for Sender {
    type Error = ();

    fn try_from(end: End) -> Result<Sender, ()> {
        match end {
            End::Browser => Ok(Sender::Page),
            End::Target => Ok(Sender::Target),
            End::Gateway => Err(()),
        }
    }
}

/// Settings of a WebSocket whose messages may have this size.
pub(super) fn websocket(largest: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .max_message_size(Some(largest))
        .max_frame_size(Some(largest))
}

/// What was sent, if a WebSocket was given up for that: a message that is too large, or what is no
/// WebSocket at all. An end that is just gone has sent nothing wrong.
pub(super) fn sent_too_much(error: &WsError) -> Option<String> {
    match error {
        WsError::Capacity(CapacityError::MessageTooLong { size, max_size }) => Some(format!(
            "a WebSocket message of {size} bytes or more, and {max_size} are taken at most"
        )),
        WsError::Utf8(what) => Some(format!("a text on a WebSocket that is none: {what}")),
        WsError::Protocol(
            broken @ (ProtocolError::NonZeroReservedBits
            | ProtocolError::UnmaskedFrameFromClient
            | ProtocolError::MaskedFrameFromServer
            | ProtocolError::FragmentedControlFrame
            | ProtocolError::ControlFrameTooBig
            | ProtocolError::UnknownControlFrameType(_)
            | ProtocolError::UnknownDataFrameType(_)
            | ProtocolError::UnexpectedContinueFrame
            | ProtocolError::ExpectedFragment(_)
            | ProtocolError::InvalidOpcode(_)
            | ProtocolError::InvalidCloseSequence),
        ) => Some(format!("a broken frame on a WebSocket: {broken}")),
        _ => None,
    }
}

/// Whether a target's answer to the opening of a WebSocket was given up for its header.
pub(super) fn sent_too_many_headers(error: &WsError) -> bool {
    matches!(
        error,
        WsError::AttackAttempt | WsError::Capacity(CapacityError::TooManyHeaders)
    )
}

/// What is said of a block of header fields that is too large.
pub(super) fn too_many_headers() -> String {
    format!(
        "a block of HTTP header fields of more than {LARGEST_HEADERS} bytes or {MOST_HEADERS} fields, \
         which is more than is taken"
    )
}

/// Counts what a player's pages ask for over HTTP.
#[derive(Debug, Default)]
pub(super) struct Requests {
    all: AtomicU64,
    websockets: AtomicU64,
}

/// Whether a request is one too many.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Excess {
    /// It is the first one: what was sent.
    First(String),
    /// It was told of another one.
    Further,
}

impl Requests {
    /// Takes another request. Whether it is one too many.
    pub(super) fn add(&self, is_websocket: bool) -> Option<Excess> {
        let over = |count: &AtomicU64, most, what: &str| {
            let count = count.fetch_add(1, Ordering::SeqCst) + 1;
            let what = || format!("{count} {what}, and {most} are taken at most");
            (count > most).then(|| match count == most + 1 {
                true => Excess::First(what()),
                false => Excess::Further,
            })
        };
        let opens = || over(&self.websockets, MOST_WEBSOCKETS, "openings of a WebSocket");
        let opens = if is_websocket { opens() } else { None };
        over(&self.all, MOST_REQUESTS, "HTTP requests").or(opens)
    }
}

/// Counts what is sent on one connection in one direction.
#[derive(Debug, Default)]
pub(super) struct Account {
    sent: u64,
    messages: u64,
}

impl Account {
    /// Takes another message. What was sent, if that is too much.
    pub(super) fn add(&mut self, message: &Message) -> Option<String> {
        self.messages += 1;
        self.sent += (message.len() as u64).max(LEAST_OF_A_MESSAGE);
        (self.sent > MOST_ON_A_CONNECTION).then(|| {
            format!(
                "{} messages on one connection without an end, more than {MOST_ON_A_CONNECTION} bytes \
                 (each counted as {LEAST_OF_A_MESSAGE} at least), which is more than is taken",
                self.messages
            )
        })
    }
}

/// How deep a text in JSON is nested, whether or not it is right JSON otherwise.
pub(super) fn depth(json: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut is_text, mut is_escaped) = (false, false);
    for byte in json.bytes() {
        if is_text {
            let ends = byte == b'"' && !is_escaped;
            is_escaped = byte == b'\\' && !is_escaped;
            is_text = !ends;
            continue;
        }
        match byte {
            b'"' => is_text = true,
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_depth_of_json_is_that_of_its_brackets_outside_of_texts() {
        for (json, expected) in [
            ("1", 0),
            (r#""[[[""#, 0),
            (r#"["\"[[",{"a":[]}]"#, 3),
            (r#"["\\",[]]"#, 2),
            ("[],[],[[]]", 2),
            ("]]]][", 1),
        ] {
            assert_eq!(depth(json), expected, "{json}");
        }
        assert_eq!(depth(&"[".repeat(1_000_000)), 1_000_000);
    }

    #[test]
    fn a_stream_without_an_end_is_too_much_by_its_bytes_and_by_its_messages() {
        let mut account = Account::default();
        let large = Message::text("x".repeat(1 << 20));
        let times = (1..).find(|_| account.add(&large).is_some());
        assert_eq!(times, Some(257));
        let mut account = Account::default();
        let small = Message::text("2");
        let times = (1..).find(|_| account.add(&small).is_some());
        assert_eq!(times, Some(262_145));
    }

    #[test]
    fn a_storm_of_requests_is_told_once() {
        let requests = Requests::default();
        let first = (1..).find_map(|count| requests.add(true).map(|excess| (count, excess)));
        let Some((1_001, Excess::First(what))) = first else {
            panic!("{first:?}");
        };
        assert!(what.contains("1001 openings of a WebSocket"), "{what}");
        assert_eq!(requests.add(true), Some(Excess::Further));
        let first = (1_003..).find_map(|count| requests.add(false).map(|excess| (count, excess)));
        let Some((20_001, Excess::First(what))) = first else {
            panic!("{first:?}");
        };
        assert!(what.contains("20001 HTTP requests"), "{what}");
        assert_eq!(requests.add(false), Some(Excess::Further));
    }

    #[test]
    fn an_end_that_is_gone_has_sent_nothing_wrong() {
        let gone = WsError::Protocol(ProtocolError::ResetWithoutClosingHandshake);
        assert_eq!(sent_too_much(&gone), None);
        assert_eq!(sent_too_much(&WsError::ConnectionClosed), None);
        let large = CapacityError::MessageTooLong {
            size: 1 << 30,
            max_size: LARGEST_PACKET,
        };
        let said = sent_too_much(&WsError::Capacity(large)).expect("too much");
        assert!(
            said.contains("1073741824") && said.contains("16777216"),
            "{said}"
        );
    }
}
