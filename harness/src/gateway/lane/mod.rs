//! One direction of a proxied WebSocket: what comes in is read, treated as the rules say, and
//! passed on.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

use crate::evidence::{Direction, Fact, Origin, Packet, Recorder, RuleEffect, RuleFact, WireFact};

use super::limits::{Account, Sender};
use super::parcel::{Packing, Parcel};
use super::round_trips::{PING, RoundTrips};
use super::rules::{Company, Forged, Passage, Rules, Side, Stop};
use super::socketio;

/// Something to be written to an end of the connection.
pub(super) struct Outgoing {
    pub(super) messages: Vec<Message>,
    /// What the evidence says at the moment when it is written.
    pub(super) facts: Vec<Fact>,
    /// Told when it was written.
    pub(super) written: Option<oneshot::Sender<()>>,
}

/// An event that the gateway sends in somebody's name at once.
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
    /// Shared by both of its lanes.
    pub(super) trips: Arc<RoundTrips>,
}

pub(super) struct Lane {
    identity: Identity,
    direction: Direction,
    rules: Arc<Rules>,
    recorder: Recorder,
    writer: mpsc::UnboundedSender<Outgoing>,
    packing: Packing,
    held: Option<Held>,
    aside: Vec<Aside>,
    cut: Option<String>,
    account: Account,
    excess: Option<String>,
}

/// An event that waits, and all that came behind it.
struct Held {
    rule: String,
    event: String,
    /// When it is over without a release.
    due: Option<Instant>,
    queue: VecDeque<Parcel>,
}

/// An event that waits alone until another one has passed it.
struct Aside {
    rule: String,
    event: String,
    until: String,
    parcel: Parcel,
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
            packing: Packing::default(),
            held: None,
            aside: Vec::new(),
            cut: None,
            account: Account::default(),
            excess: None,
        }
    }

    /// Takes a message from the sending end.
    pub(super) fn receive(&mut self, message: Message) {
        self.excess = self.account.add(&message);
        if let Some(mut parcel) = self.packing.add(message) {
            parcel.is_own = self.direction == Direction::ToClient
                && self.identity.trips.is_own_answer(&parcel.packet);
            self.admit(parcel);
        }
        let excess = self.packing.excess();
        self.excess = self.excess.take().or(excess);
    }

    /// What was sent that is more than is taken, and by whom, if the connection must end for it.
    pub(super) fn excess(&self) -> Option<(Sender, &str)> {
        let what = self.excess.as_deref()?;
        Some((self.direction.into(), what))
    }

    /// Sends a ping of the harness's own, and tells when the target has answered it. It waits behind
    /// what waits, as a ping of the page would, and no rule applies to it.
    pub(super) fn ping(&mut self, answered: oneshot::Sender<()>) {
        self.identity.trips.begin(answered);
        // Without a time in it, the target takes nothing from it for what the page has measured.
        let args = vec![json!({})];
        self.admit(Parcel {
            messages: vec![Message::text(socketio::event_text(PING, &args))],
            packet: event(PING, args),
            is_own: true,
        });
    }

    /// Sends an event of the gateway's own at once. It passes what waits, and no rule applies to it.
    pub(super) fn inject(&mut self, injection: Injection) {
        let Injection {
            rule, event, args, ..
        } = injection;
        let mut outgoing = self.injected(&rule, &event, args);
        outgoing.written = Some(injection.written);
        self.write(outgoing);
    }

    /// Lets go what no rule keeps any more. What waits behind it may be kept by another rule.
    pub(super) fn reconsider(&mut self) {
        let rules = Arc::clone(&self.rules);
        while let Some(held) = self.held.take_if(|held| held.is_over(&rules)) {
            self.record_rule(&held.rule, RuleEffect::Released, &held.event);
            for parcel in held.queue {
                self.admit(parcel);
            }
        }
        for aside in self.take_aside(|aside| !rules.is_set(&aside.rule)) {
            self.record_rule(&aside.rule, RuleEffect::Released, &aside.event);
            self.admit(aside.parcel);
        }
    }

    /// When something is to be let go without a release.
    pub(super) fn due(&self) -> Option<Instant> {
        self.held.as_ref()?.due
    }

    /// The rule that ends the connection, if one does.
    pub(super) fn cut(&self) -> Option<&str> {
        self.cut.as_deref()
    }

    /// Ends the lane, since an end of the connection is gone. What waits is not delivered.
    pub(super) fn end(mut self) {
        if self.held.is_none()
            && self.cut.is_none()
            && let Some(parcel) = self.packing.unfinished()
        {
            self.pass_on(parcel, Origin::Natural, Vec::new());
        }
        if let Some(held) = self.held.take() {
            self.record_rule(&held.rule, RuleEffect::Discarded, &held.event);
        }
        for aside in std::mem::take(&mut self.aside) {
            self.record_rule(&aside.rule, RuleEffect::Discarded, &aside.event);
        }
    }

    fn admit(&mut self, parcel: Parcel) {
        if self.cut.is_some() {
            return;
        }
        if let Some(held) = &mut self.held
            && !parcel.is_heartbeat()
        {
            held.queue.push_back(parcel);
            return;
        }
        if parcel.is_own {
            return self.pass_own(parcel);
        }
        let Some(at) = self.passage(&parcel) else {
            return self.pass_on(parcel, Origin::Natural, Vec::new());
        };
        match self.rules.stopping(&at) {
            Some((rule, stop)) => self.stop(rule, stop, at, parcel),
            None => self.pass_event(&at, parcel),
        }
    }

    /// Keeps an event from being passed on, unless it need not wait any more.
    fn stop(&mut self, rule: String, stop: Stop, at: Passage, parcel: Parcel) {
        let effect = match stop {
            Stop::Hold => RuleEffect::Held,
            Stop::InOrder => RuleEffect::InOrder,
            Stop::Delay(_) => RuleEffect::Delayed,
            Stop::Cut => RuleEffect::Cut,
            Stop::Drop => RuleEffect::Dropped,
            Stop::SetAside { .. } => RuleEffect::SetAside,
        };
        self.record_rule(&rule, effect, &at.event);
        match stop {
            Stop::Hold => self.hold(rule, at.event, None, parcel),
            // It has met its event, and keeps none any more.
            Stop::InOrder => self.admit(parcel),
            Stop::Delay(by) => self.hold(rule, at.event, Some(by), parcel),
            Stop::Cut => self.cut = Some(rule),
            Stop::Drop => {}
            Stop::SetAside { until } => self.aside.push(Aside {
                rule,
                event: at.event,
                until,
                parcel,
            }),
        }
    }

    fn hold(&mut self, rule: String, event: String, by: Option<Duration>, parcel: Parcel) {
        self.held = Some(Held {
            rule,
            event,
            due: by.map(|by| Instant::now() + by),
            queue: VecDeque::from([parcel]),
        });
    }

    /// Passes an event on, with all that the rules send along with it, and then what waited for it.
    fn pass_event(&mut self, at: &Passage, parcel: Parcel) {
        let company = self.rules.company(at);
        self.forge(&company, Side::Before);
        let copies = company.iter().filter_map(|(rule, company)| match company {
            Company::Duplicate => Some((rule.clone(), parcel.clone())),
            Company::Forged(..) => None,
        });
        let copies: Vec<_> = copies.collect();
        let overtaken = self.take_aside(|aside| aside.until == at.event);
        let overtook = |aside: &Aside| rule_fact(&aside.rule, RuleEffect::Overtook, &at.event);
        let overtook: Vec<_> = overtaken.iter().map(overtook).collect();
        let origin = match overtook.is_empty() {
            true => Origin::Natural,
            false => Origin::Synthetic,
        };
        self.pass_on(parcel, origin, overtook);
        for (rule, copy) in copies {
            let rule = rule_fact(&rule, RuleEffect::Duplicated, &at.event);
            self.pass_on(copy, Origin::Synthetic, vec![rule]);
        }
        self.forge(&company, Side::After);
        for aside in overtaken {
            self.admit(aside.parcel);
        }
    }

    /// Sends what the rules have to send on one side of an event.
    fn forge(&self, company: &[(String, Company)], wanted: Side) {
        for (rule, company) in company {
            if let Company::Forged(side, forged) = company
                && *side == wanted
            {
                self.send(rule, forged);
            }
        }
    }

    fn send(&self, rule: &str, forged: &Forged) {
        match (forged.args)() {
            Ok(args) => {
                for _ in 0..forged.times {
                    self.write(self.injected(rule, &forged.event, args.clone()));
                }
            }
            Err(unknown) => {
                let mut fact = rule_fact(rule, RuleEffect::Failed, &forged.event);
                fact.detail = Some(unknown);
                self.record(Fact::Rule(fact));
            }
        }
    }

    fn injected(&self, rule: &str, event: &str, args: Vec<Value>) -> Outgoing {
        let text = socketio::event_text(event, &args);
        let packet = self::event(event, args);
        let rule = rule_fact(rule, RuleEffect::Injected, event);
        Outgoing {
            messages: vec![Message::text(text)],
            facts: vec![Fact::Rule(rule), self.wire(Origin::Injected, packet)],
            written: None,
        }
    }

    fn pass_on(&self, parcel: Parcel, origin: Origin, rules: Vec<RuleFact>) {
        let mut facts: Vec<Fact> = rules.into_iter().map(Fact::Rule).collect();
        facts.push(self.wire(origin, parcel.packet));
        self.write(Outgoing {
            messages: parcel.messages,
            facts,
            written: None,
        });
    }

    /// Passes on what belongs to a round trip of the harness's own: its ping. The pong is kept from
    /// the page, and takes its turn behind what is still to be written.
    fn pass_own(&self, parcel: Parcel) {
        let (messages, written) = match self.direction {
            Direction::ToServer => (parcel.messages, None),
            Direction::ToClient => (Vec::new(), self.identity.trips.end()),
        };
        self.write(Outgoing {
            messages,
            facts: vec![self.wire(Origin::Harness, parcel.packet)],
            written,
        });
    }

    fn write(&self, outgoing: Outgoing) {
        for fact in &outgoing.facts {
            if let Fact::Wire(wire) = fact {
                self.identity.trips.passed(wire);
            }
        }
        // The writer ends when its end of the connection is gone. The connection learns of it from
        // the writer itself, and ends both lanes.
        let _ = self.writer.send(outgoing);
    }

    fn take_aside(&mut self, wanted: impl Fn(&Aside) -> bool) -> Vec<Aside> {
        self.aside.extract_if(.., |aside| wanted(aside)).collect()
    }

    fn passage(&self, parcel: &Parcel) -> Option<Passage> {
        Some(Passage {
            player: self.identity.player.clone(),
            direction: self.direction,
            event: parcel.event()?.to_owned(),
        })
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
        self.record(Fact::Rule(rule_fact(rule, effect, event)));
    }

    fn record(&self, fact: Fact) {
        self.recorder.record_for(&self.identity.player, fact);
    }
}

impl Held {
    fn is_over(&self, rules: &Rules) -> bool {
        self.due.is_some_and(|due| due <= Instant::now()) || !rules.is_set(&self.rule)
    }
}

fn event(name: &str, args: Vec<Value>) -> Packet {
    Packet::Event {
        namespace: "/".into(),
        name: name.to_owned(),
        args,
        ack: None,
    }
}

fn rule_fact(rule: &str, effect: RuleEffect, event: &str) -> RuleFact {
    RuleFact {
        rule: rule.to_owned(),
        effect,
        event: Some(event.to_owned()),
        detail: None,
    }
}

#[cfg(test)]
mod tests;
