//! One direction of a proxied WebSocket: what comes in is read, held where a rule says so, and
//! passed on.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::tungstenite::Message;

use crate::evidence::{Direction, Fact, Origin, Packet, Recorder, RuleEffect, RuleFact, WireFact};

use super::rules::Rules;
use super::socketio::{self, Read, Reader};

/// Something to be written to an end of the connection.
pub(super) struct Outgoing {
    pub(super) message: Message,
    /// What the evidence says at the moment when it is written.
    pub(super) facts: Vec<Fact>,
    /// Told when it was written.
    pub(super) written: Option<oneshot::Sender<()>>,
}

/// An event that the gateway sends in somebody's name.
pub(super) struct Injection {
    pub(super) rule: String,
    pub(super) event: String,
    pub(super) args: Vec<Value>,
    pub(super) written: oneshot::Sender<()>,
}

/// Whose connection, and which.
#[derive(Clone)]
pub(super) struct Identity {
    pub(super) player: String,
    pub(super) connection: u64,
}

pub(super) struct Lane {
    identity: Identity,
    direction: Direction,
    rules: Arc<Rules>,
    recorder: Recorder,
    writer: mpsc::UnboundedSender<Outgoing>,
    reader: Reader,
    held: Option<Held>,
    /// The first part of a packet was passed on, and not yet its last one: nothing may come between.
    midway: bool,
    /// What was injected meanwhile.
    injected: Vec<Outgoing>,
}

struct Held {
    rule: String,
    event: String,
    queue: VecDeque<Item>,
}

struct Item {
    message: Message,
    read: Read,
    /// Whether attachments of the same packet follow it.
    midway: bool,
}

impl Lane {
    pub(super) fn new(
        identity: Identity,
        direction: Direction,
        rules: Arc<Rules>,
        recorder: Recorder,
        writer: mpsc::UnboundedSender<Outgoing>,
    ) -> Lane {
        Lane {
            identity,
            direction,
            rules,
            recorder,
            writer,
            reader: Reader::default(),
            held: None,
            midway: false,
            injected: Vec::new(),
        }
    }

    /// Takes a message from the sending end.
    pub(super) fn receive(&mut self, message: Message) {
        let read = match &message {
            Message::Text(text) => self.reader.text(text),
            Message::Binary(bytes) => self.reader.binary(bytes),
            // Each hop of a WebSocket answers its own pings; a close is the connection's business.
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => return,
        };
        let midway = self.reader.is_midway();
        self.admit(Item {
            message,
            read,
            midway,
        });
    }

    /// Sends an event of the gateway's own, at the next place between two packets. It passes what
    /// is held.
    pub(super) fn inject(&mut self, injection: Injection) {
        let text = socketio::event_text(&injection.event, &injection.args);
        let packet = Packet::Event {
            namespace: "/".into(),
            name: injection.event.clone(),
            args: injection.args,
            ack: None,
        };
        let rule = RuleFact {
            rule: injection.rule,
            effect: RuleEffect::Injected,
            event: injection.event,
        };
        self.injected.push(Outgoing {
            message: Message::text(text),
            facts: vec![Fact::Rule(rule), self.wire(Origin::Injected, packet)],
            written: Some(injection.written),
        });
        self.write_injected();
    }

    /// Lets go what a rule holds. What waits behind it may be held by another rule.
    pub(super) fn release(&mut self, rule: &str) {
        let Some(held) = self.held.take_if(|held| held.rule == rule) else {
            return;
        };
        self.record_rule(&held.rule, RuleEffect::Released, &held.event);
        for item in held.queue {
            self.admit(item);
        }
    }

    /// Ends the lane, since an end of the connection is gone. What it holds is not delivered.
    pub(super) fn end(mut self) {
        if let Some(held) = self.held.take() {
            self.record_rule(&held.rule, RuleEffect::Discarded, &held.event);
        } else if let Some(packet) = self.reader.unfinished() {
            let facts = self.wire(Origin::Natural, packet);
            self.recorder.record_for(&self.identity.player, facts);
        }
    }

    fn admit(&mut self, item: Item) {
        if let Some(held) = &mut self.held {
            if item.read.is_heartbeat() {
                self.pass_on(item);
            } else {
                held.queue.push_back(item);
            }
            return;
        }
        match self.rule_for(&item.read) {
            Some((rule, event)) => {
                self.record_rule(&rule, RuleEffect::Held, &event);
                let queue = VecDeque::from([item]);
                self.held = Some(Held { rule, event, queue });
            }
            None => self.pass_on(item),
        }
    }

    fn rule_for(&self, read: &Read) -> Option<(String, String)> {
        let event = read.event()?;
        let rule = self
            .rules
            .holding(&self.identity.player, self.direction, event)?;
        Some((rule, event.to_owned()))
    }

    fn pass_on(&mut self, item: Item) {
        // A heartbeat may pass what is held, and says nothing about what was passed on before.
        if !item.read.is_heartbeat() {
            self.midway = item.midway;
        }
        let facts = match item.read {
            Read::Packet(packet) | Read::Completed(packet) => {
                vec![self.wire(Origin::Natural, packet)]
            }
            Read::Begun(_) | Read::Attachment => Vec::new(),
        };
        self.write(Outgoing {
            message: item.message,
            facts,
            written: None,
        });
        self.write_injected();
    }

    fn write_injected(&mut self) {
        if !self.midway {
            for outgoing in std::mem::take(&mut self.injected) {
                self.write(outgoing);
            }
        }
    }

    fn write(&self, outgoing: Outgoing) {
        // The writer ends when its end of the connection is gone. The connection learns of it from
        // the writer itself, and ends both lanes.
        let _ = self.writer.send(outgoing);
    }

    fn wire(&self, origin: Origin, packet: Packet) -> Fact {
        Fact::Wire(WireFact {
            connection: self.identity.connection,
            direction: self.direction,
            origin,
            packet,
        })
    }

    fn record_rule(&self, rule: &str, effect: RuleEffect, event: &str) {
        let fact = RuleFact {
            rule: rule.to_owned(),
            effect,
            event: event.to_owned(),
        };
        self.recorder
            .record_for(&self.identity.player, Fact::Rule(fact));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::Event;
    use crate::gateway::Hold;

    struct Bench {
        lane: Lane,
        rules: Arc<Rules>,
        recorder: Recorder,
        written: mpsc::UnboundedReceiver<Outgoing>,
    }

    impl Bench {
        fn new() -> Bench {
            let (rules, recorder) = (Arc::<Rules>::default(), Recorder::in_memory());
            let (writer, written) = mpsc::unbounded_channel();
            let identity = Identity {
                player: "survivor".into(),
                connection: 1,
            };
            let direction = Direction::ToClient;
            let (known, told) = (Arc::clone(&rules), recorder.clone());
            Bench {
                lane: Lane::new(identity, direction, known, told, writer),
                rules,
                recorder,
                written,
            }
        }

        fn hold(&self, name: &str, event: &str) {
            self.rules.hold(Hold {
                name: name.into(),
                player: "survivor".into(),
                direction: Direction::ToClient,
                event: event.into(),
            });
        }

        fn release(&mut self, name: &str) {
            self.rules.release(name);
            self.lane.release(name);
        }

        fn text(&mut self, text: &str) {
            self.lane.receive(Message::text(text));
        }

        fn binary(&mut self, bytes: &'static [u8]) {
            self.lane.receive(Message::binary(bytes));
        }

        fn inject(&mut self, event: &str) {
            self.lane.inject(Injection {
                rule: "ended".into(),
                event: event.into(),
                args: Vec::new(),
                written: oneshot::channel().0,
            });
        }

        /// What was passed on since the last look: texts as they are, binary messages as `#`.
        fn passed(&mut self) -> Vec<String> {
            let mut passed = Vec::new();
            while let Ok(outgoing) = self.written.try_recv() {
                passed.push(match outgoing.message {
                    Message::Text(text) => text.to_string(),
                    _ => "#".into(),
                });
            }
            passed
        }

        fn effects(&self) -> Vec<(String, RuleEffect)> {
            let effect = |event: &Event| match &event.fact {
                Fact::Rule(rule) => Some((rule.rule.clone(), rule.effect)),
                _ => None,
            };
            self.recorder
                .log()
                .events()
                .iter()
                .filter_map(effect)
                .collect()
        }
    }

    const BINARY: &str = r#"451-["b",{"_placeholder":true,"num":0}]"#;

    #[test]
    fn everything_behind_a_held_event_waits_but_heartbeats() {
        let mut bench = Bench::new();
        bench.hold("first", "b");
        bench.text(r#"42["a"]"#);
        bench.text(BINARY);
        bench.binary(b"x");
        bench.text("2");
        bench.text(r#"42["c"]"#);
        bench.text("6");
        assert_eq!(bench.passed(), [r#"42["a"]"#, "2"]);
        bench.release("another");
        assert_eq!(bench.passed(), [""; 0]);
        bench.release("first");
        assert_eq!(bench.passed(), [BINARY, "#", r#"42["c"]"#, "6"]);
        bench.text(BINARY);
        assert_eq!(bench.passed(), [BINARY]);
        assert_eq!(
            bench.effects(),
            [
                ("first".into(), RuleEffect::Held),
                ("first".into(), RuleEffect::Released)
            ]
        );
    }

    #[test]
    fn what_one_rule_lets_go_another_may_hold() {
        let mut bench = Bench::new();
        bench.hold("first", "a");
        bench.hold("second", "c");
        for event in ["a", "b", "c", "d"] {
            bench.text(&format!(r#"42["{event}"]"#));
        }
        bench.release("first");
        assert_eq!(bench.passed(), [r#"42["a"]"#, r#"42["b"]"#]);
        bench.release("second");
        assert_eq!(bench.passed(), [r#"42["c"]"#, r#"42["d"]"#]);
    }

    #[test]
    fn a_rule_never_parts_an_event_from_its_attachments() {
        let mut bench = Bench::new();
        bench.text(BINARY);
        bench.hold("late", "b");
        bench.binary(b"x");
        assert_eq!(bench.passed(), [BINARY, "#"]);
        assert_eq!(bench.effects(), []);
    }

    #[test]
    fn an_injected_event_waits_for_the_attachments_of_another() {
        let mut bench = Bench::new();
        bench.text(BINARY);
        bench.inject("i");
        bench.text("2");
        assert_eq!(bench.passed(), [BINARY, "2"]);
        bench.binary(b"x");
        assert_eq!(bench.passed(), ["#", r#"42["i"]"#]);
    }

    #[test]
    fn an_injected_event_passes_what_is_held() {
        let mut bench = Bench::new();
        bench.hold("first", "b");
        bench.text(BINARY);
        bench.inject("i");
        bench.binary(b"x");
        assert_eq!(bench.passed(), [r#"42["i"]"#]);
    }

    #[test]
    fn what_is_held_at_the_end_is_discarded() {
        let mut bench = Bench::new();
        bench.hold("first", "b");
        bench.text(BINARY);
        bench.lane.end();
        assert!(bench.written.try_recv().is_err());
        let effects = bench.recorder.log();
        assert_eq!(effects.events().len(), 2);
        assert!(matches!(
            &effects.events()[1].fact,
            Fact::Rule(rule) if rule.effect == RuleEffect::Discarded
        ));
    }
}
