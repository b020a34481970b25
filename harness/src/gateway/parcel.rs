//! The messages of a WebSocket, put together to whole packets.

use tokio_tungstenite::tungstenite::Message;

use crate::evidence::Packet;

use super::socketio::{Read, Reader};

/// A packet with all the messages that carry it. They are never parted.
#[derive(Clone)]
pub(super) struct Parcel {
    pub(super) messages: Vec<Message>,
    pub(super) packet: Packet,
    /// Whether it belongs to a round trip of the harness's own.
    pub(super) is_own: bool,
}

impl Parcel {
    /// The name of the event that it is, if it is one of the game's own namespace.
    pub(super) fn event(&self) -> Option<&str> {
        let (name, _) = self.packet.game_event()?;
        Some(name)
    }

    /// Whether it is what Engine.IO finds out with that the other end still lives.
    pub(super) fn is_heartbeat(&self) -> bool {
        matches!(self.packet, Packet::Ping | Packet::Pong)
    }
}

/// Puts the messages of one direction of a connection together.
#[derive(Default)]
pub(super) struct Packing {
    reader: Reader,
    /// The messages of a packet that is not complete.
    begun: Vec<Message>,
}

impl Packing {
    /// Takes the next message. Gives the packet that it completes.
    pub(super) fn add(&mut self, message: Message) -> Option<Parcel> {
        let was_midway = self.reader.is_midway();
        let read = match &message {
            Message::Text(text) => self.reader.text(text),
            Message::Binary(bytes) => self.reader.binary(bytes),
            // Each hop of a WebSocket answers its own pings; a close is the connection's business.
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => {
                return None;
            }
        };
        match read {
            Read::Begun | Read::Attachment => {
                self.begun.push(message);
                None
            }
            Read::Completed(packet) => Some(self.close(packet, message)),
            // What stood in place of an attachment goes on with what it has spoiled.
            Read::Packet(packet) if was_midway && !self.reader.is_midway() => {
                Some(self.close(packet, message))
            }
            Read::Packet(packet) => Some(Parcel {
                messages: vec![message],
                packet,
                is_own: false,
            }),
        }
    }

    /// What was sent that is more than is taken, if the last message was.
    pub(super) fn excess(&mut self) -> Option<String> {
        self.reader.excess()
    }

    /// What the end of the connection leaves incomplete.
    pub(super) fn unfinished(&mut self) -> Option<Parcel> {
        let packet = self.reader.unfinished()?;
        let messages = std::mem::take(&mut self.begun);
        Some(Parcel {
            messages,
            packet,
            is_own: false,
        })
    }

    fn close(&mut self, packet: Packet, last: Message) -> Parcel {
        let mut messages = std::mem::take(&mut self.begun);
        messages.push(last);
        Parcel {
            messages,
            packet,
            is_own: false,
        }
    }
}
