//! Reading Engine.IO 4 and Socket.IO 5 off the messages of a WebSocket, in either direction.
//!
//! A reader of our own, since the crates for it read one direction only: `engineioxide-core` takes
//! the handshake (`0`), which a target sends, for an error, and `socketioxide-parser-common` a
//! `CONNECT_ERROR`; both end the connection at what they cannot read, at limits of size and of
//! time of their own. `rust_socketio` is a client: it has no reading apart from its connection. A
//! witness must read both directions, and what it cannot read it must let pass and say so.

use serde_json::Value;

use crate::evidence::Packet;

use super::attachment;
use super::limits::{DEEPEST, LARGEST_PACKET, MOST_ATTACHMENTS, depth};

/// What a message of a WebSocket turned out to be.
#[derive(Debug, PartialEq)]
pub(super) enum Read {
    /// A whole packet.
    Packet(Packet),
    /// The first part of a packet whose attachments follow.
    Begun,
    /// An attachment that is not the last one.
    Attachment,
    /// The last attachment: the packet that it completes.
    Completed(Packet),
}

/// Reads the messages of one direction of one WebSocket, in order.
#[derive(Default)]
pub(super) struct Reader {
    /// A packet that waits for its attachments.
    begun: Option<Begun>,
    /// What was more than is taken, in the last message.
    excess: Option<String>,
}

struct Begun {
    head: Head,
    attachments: Vec<Value>,
    missing: usize,
    /// How large it is so far, in bytes.
    size: usize,
}

/// The parts of a Socket.IO packet's text.
#[derive(Debug, PartialEq)]
struct Head {
    kind: Kind,
    attachments: usize,
    namespace: String,
    id: Option<i64>,
    data: Option<Value>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Connect,
    Disconnect,
    Event,
    Ack,
    ConnectError,
}

/// A reason why something is unreadable.
#[derive(Debug)]
struct Unread {
    reason: String,
    /// Whether it is more than is taken.
    is_excess: bool,
}

impl Unread {
    fn excess(reason: String) -> Unread {
        Unread {
            reason,
            is_excess: true,
        }
    }
}

impl<T: Into<String>> From<T> for Unread {
    fn from(reason: T) -> Unread {
        Unread {
            reason: reason.into(),
            is_excess: false,
        }
    }
}

impl Reader {
    /// Reads a text message.
    pub(super) fn text(&mut self, text: &str) -> Read {
        match self.engine_packet(text) {
            Ok(read) => read,
            Err(unread) => Read::Packet(self.unreadable(unread, text)),
        }
    }

    /// Reads a binary message: an attachment.
    pub(super) fn binary(&mut self, bytes: &[u8]) -> Read {
        let Some(mut begun) = self.begun.take() else {
            let start = format!("{} bytes", bytes.len());
            return Read::Packet(Packet::Unreadable {
                reason: "a binary message that no packet announces".into(),
                start,
            });
        };
        begun.size = begun.size.saturating_add(bytes.len());
        if begun.size > LARGEST_PACKET {
            let size = begun.size;
            let unread = Unread::excess(format!(
                "a Socket.IO packet of {size} bytes or more with its attachments, and {LARGEST_PACKET} are \
                 taken at most"
            ));
            return Read::Packet(self.unreadable(unread, &begun.head.to_string()));
        }
        begun.attachments.push(attachment::describe(bytes));
        begun.missing -= 1;
        if begun.missing > 0 {
            self.begun = Some(begun);
            return Read::Attachment;
        }
        let start = begun.head.to_string();
        let packet = packet(begun.head, &begun.attachments);
        Read::Completed(packet.unwrap_or_else(|unread| self.unreadable(unread, &start)))
    }

    /// What was more than is taken, if the last message was.
    pub(super) fn excess(&mut self) -> Option<String> {
        self.excess.take()
    }

    fn unreadable(&mut self, unread: Unread, text: &str) -> Packet {
        if unread.is_excess {
            self.excess = Some(unread.reason.clone());
        }
        unreadable(unread.reason, text)
    }

    /// Whether attachments are still to come.
    pub(super) fn is_midway(&self) -> bool {
        self.begun.is_some()
    }

    /// What the end of the connection leaves unfinished.
    pub(super) fn unfinished(&mut self) -> Option<Packet> {
        let begun = self.begun.take()?;
        let reason = format!("{} of its attachments never came", begun.missing);
        Some(unreadable(reason, &begun.head.to_string()))
    }

    fn engine_packet(&mut self, text: &str) -> Result<Read, Unread> {
        let mut rest = text.chars();
        let kind = rest.next().ok_or("an empty message")?;
        let rest = rest.as_str();
        let packet = match (kind, rest) {
            ('0', data) => Packet::Open { data: json(data)? },
            ('1', "") => Packet::Close,
            ('2', "" | "probe") => Packet::Ping,
            ('3', "" | "probe") => Packet::Pong,
            ('4', message) => return self.socket_packet(message),
            ('5', "") => Packet::Upgrade,
            ('6', "") => Packet::Noop,
            _ => return Err("no packet of Engine.IO 4".into()),
        };
        Ok(Read::Packet(packet))
    }

    fn socket_packet(&mut self, text: &str) -> Result<Read, Unread> {
        if let Some(begun) = self.begun.take() {
            let before = cut(&begun.head.to_string());
            return Err(format!("text in place of an attachment of {before}").into());
        }
        let head = Head::read(text)?;
        if head.attachments == 0 {
            return packet(head, &[]).map(Read::Packet);
        }
        self.begun = Some(Begun {
            missing: head.attachments,
            size: text.len(),
            attachments: Vec::new(),
            head,
        });
        Ok(Read::Begun)
    }
}

impl Head {
    fn read(text: &str) -> Result<Head, Unread> {
        let (kind, rest) = split_at_most(text, 1);
        let (kind, binary) = match kind {
            "0" => (Kind::Connect, false),
            "1" => (Kind::Disconnect, false),
            "2" => (Kind::Event, false),
            "3" => (Kind::Ack, false),
            "4" => (Kind::ConnectError, false),
            "5" => (Kind::Event, true),
            "6" => (Kind::Ack, true),
            _ => return Err("no packet of Socket.IO 5".into()),
        };
        let (attachments, rest) = if binary {
            let counted = rest.split_once('-');
            let (count, rest) = counted.ok_or("a binary packet without a number of attachments")?;
            let count = count.parse();
            let count: usize = count.map_err(|_| "its number of attachments is none")?;
            if count > MOST_ATTACHMENTS {
                return Err(Unread::excess(format!(
                    "a Socket.IO packet with {count} attachments, and {MOST_ATTACHMENTS} are taken at most"
                )));
            }
            (count, rest)
        } else {
            (0, rest)
        };
        let (namespace, rest) = namespace(rest);
        let (id, data) = digits(rest);
        Ok(Head {
            kind,
            attachments,
            namespace,
            id: parse_id(id)?,
            data: (!data.is_empty()).then(|| json(data)).transpose()?,
        })
    }
}

/// For a person, in a reason.
impl std::fmt::Display for Head {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let data = self.data.as_ref().unwrap_or(&Value::Null);
        write!(f, "{:?} in {}: {data}", self.kind, self.namespace)
    }
}

/// The text of a WebSocket message that carries an event in the namespace `/`.
pub(super) fn event_text(event: &str, args: &[Value]) -> String {
    let mut items = vec![Value::from(event)];
    items.extend_from_slice(args);
    format!("42{}", Value::Array(items))
}

fn packet(head: Head, attachments: &[Value]) -> Result<Packet, Unread> {
    let (namespace, id) = (head.namespace, head.id);
    let mut places = vec![false; attachments.len()];
    let data = head
        .data
        .map(|data| fill(data, attachments, &mut places))
        .transpose()?;
    Ok(match head.kind {
        Kind::Event => {
            let mut items = list(data)?.into_iter();
            let Some(Value::String(name)) = items.next() else {
                return Err("an event without a name".into());
            };
            Packet::Event {
                namespace,
                name,
                args: items.collect(),
                ack: id,
            }
        }
        Kind::Ack => Packet::Ack {
            namespace,
            id: id.ok_or("an acknowledgement without a number")?,
            args: list(data)?,
        },
        Kind::Connect => Packet::Connect {
            namespace,
            data: data.unwrap_or_default(),
        },
        Kind::ConnectError => Packet::ConnectError {
            namespace,
            data: data.unwrap_or_default(),
        },
        Kind::Disconnect => Packet::Disconnect { namespace },
    })
}

fn list(data: Option<Value>) -> Result<Vec<Value>, Unread> {
    match data {
        Some(Value::Array(items)) => Ok(items),
        _ => Err("its arguments are no list".into()),
    }
}

/// Puts what is told of the attachments in their places, each in one: a few bytes could ask for a large one
/// again and again.
fn fill(value: Value, attachments: &[Value], places: &mut [bool]) -> Result<Value, Unread> {
    if attachments.is_empty() {
        return Ok(value);
    }
    match value {
        Value::Array(items) => {
            let filled = items
                .into_iter()
                .map(|item| fill(item, attachments, places));
            Ok(Value::Array(filled.collect::<Result<_, _>>()?))
        }
        Value::Object(entries) if entries.get("_placeholder") == Some(&Value::Bool(true)) => {
            let number = entries.get("num").and_then(Value::as_u64);
            let number = number.and_then(|number| usize::try_from(number).ok());
            let found =
                number.and_then(|number| attachments.get(number).zip(places.get_mut(number)));
            let (found, is_taken) = found.ok_or("a placeholder for no attachment")?;
            if std::mem::replace(is_taken, true) {
                return Err(Unread::excess(format!(
                    "a Socket.IO packet that names one of its {} attachments more than once",
                    attachments.len()
                )));
            }
            Ok(found.clone())
        }
        Value::Object(entries) => {
            let filled = entries
                .into_iter()
                .map(|(name, item)| Ok((name, fill(item, attachments, places)?)));
            Ok(Value::Object(filled.collect::<Result<_, Unread>>()?))
        }
        other => Ok(other),
    }
}

/// The namespace at the beginning of the text, without its query, and what follows it.
fn namespace(text: &str) -> (String, &str) {
    if !text.starts_with('/') {
        return ("/".into(), text);
    }
    let (name, rest) = text.split_once(',').unwrap_or((text, ""));
    let name = name.split_once('?').map_or(name, |(name, _)| name);
    (name.into(), rest)
}

fn digits(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit());
    text.split_at(end.unwrap_or(text.len()))
}

fn parse_id(digits: &str) -> Result<Option<i64>, Unread> {
    let id = (!digits.is_empty()).then(|| digits.parse()).transpose();
    id.map_err(|_| "its number is too large".into())
}

fn split_at_most(text: &str, chars: usize) -> (&str, &str) {
    let end = text.char_indices().nth(chars).map(|(end, _)| end);
    text.split_at(end.unwrap_or(text.len()))
}

fn json(text: &str) -> Result<Value, Unread> {
    let depth = depth(text);
    if depth > DEEPEST {
        return Err(Unread::excess(format!(
            "a Socket.IO packet with JSON nested {depth} deep, and {DEEPEST} is taken at most"
        )));
    }
    Ok(serde_json::from_str(text).map_err(|error| format!("no JSON: {error}"))?)
}

fn unreadable(reason: String, text: &str) -> Packet {
    Packet::Unreadable {
        reason,
        start: cut(text),
    }
}

/// The beginning of a text, for a person.
fn cut(text: &str) -> String {
    let (start, rest) = split_at_most(text, 120);
    [start, if rest.is_empty() { "" } else { "…" }].concat()
}

#[cfg(test)]
mod tests;
