//! What passed between a player's page and the target, and what the gateway did to it.

use super::{Bar, Row, Style, close_or_keep, mark, round};
use crate::evidence::{
    Direction, Event, Fact, Log, Origin, Packet, RuleEffect, RuleFact, WireFact,
};

/// What is said all the time, and is no news: a row of it would hide all else.
const NO_NEWS: [&str; 3] = ["ping", "pong", "client_console_log"];

pub(super) fn rows(log: &Log, player: &str, end: f64) -> Vec<Row> {
    vec![
        sockets(log, player, end),
        events(log, player, Direction::ToClient, "from the server"),
        events(log, player, Direction::ToServer, "to the server"),
        rules(log, player, end),
        refused(log, player),
    ]
}

/// The page's sockets to the target.
fn sockets(log: &Log, player: &str, end: f64) -> Row {
    let mut row = Row::new("socket");
    for event in log.of(player) {
        match &event.fact {
            Fact::WireOpened(opened) => row.bars.push(Bar {
                from: round(event.t),
                to: round(end),
                label: format!("WebSocket {}", opened.connection),
                style: Style::Open,
                events: vec![event.seq],
                detail: opened.path.clone(),
            }),
            Fact::WireClosed(closed) => {
                let label = format!("WebSocket {}", closed.connection);
                close_or_keep(&mut row, &label, event);
                row.marks.push(mark(event, "closed", Style::Closed));
            }
            _ => {}
        }
    }
    row
}

fn events(log: &Log, player: &str, direction: Direction, name: &str) -> Row {
    let mut row = Row::new(name);
    for event in log.of(player) {
        let Fact::Wire(wire) = &event.fact else {
            continue;
        };
        if wire.direction != direction {
            continue;
        }
        if let Some(label) = label(wire) {
            row.marks.push(mark(event, label, of_origin(wire.origin)));
        }
    }
    row
}

/// What a packet is, unless it is said all the time.
fn label(wire: &WireFact) -> Option<String> {
    match &wire.packet {
        _ if wire.origin == Origin::Harness => None,
        Packet::Event { name, .. } if wire.origin == Origin::Natural => {
            (!NO_NEWS.contains(&name.as_str())).then(|| name.clone())
        }
        Packet::Event { name, .. } => Some(name.clone()),
        Packet::Open { .. } | Packet::Ping | Packet::Pong | Packet::Upgrade | Packet::Noop => None,
        Packet::Close => Some("Engine.IO close".to_owned()),
        Packet::Connect { namespace, .. } => Some(format!("connect {namespace}")),
        Packet::Disconnect { namespace } => Some(format!("disconnect {namespace}")),
        Packet::Ack { id, .. } => Some(format!("acknowledgement {id}")),
        Packet::ConnectError { .. } => Some("connect error".to_owned()),
        Packet::Unreadable { reason, .. } => Some(format!("unreadable: {reason}")),
    }
}

fn of_origin(origin: Origin) -> Style {
    match origin {
        Origin::Natural => Style::Natural,
        Origin::Injected => Style::Injected,
        Origin::Synthetic => Style::Synthetic,
        Origin::Harness => Style::Harness,
    }
}

/// The gateway's rules: how long each one kept something back, and what else it did.
fn rules(log: &Log, player: &str, end: f64) -> Row {
    let mut row = Row::new("fault rules");
    for event in log.of(player) {
        let Fact::Rule(rule) = &event.fact else {
            continue;
        };
        match rule.effect {
            RuleEffect::Held | RuleEffect::Delayed | RuleEffect::SetAside => {
                row.bars.push(kept(event, rule, end));
            }
            RuleEffect::Released | RuleEffect::Discarded | RuleEffect::Overtook => {
                close_or_keep(&mut row, &rule.rule, event);
                row.marks.push(effect(event, rule));
            }
            RuleEffect::InOrder
            | RuleEffect::Injected
            | RuleEffect::Cut
            | RuleEffect::Dropped
            | RuleEffect::Duplicated
            | RuleEffect::Failed => row.marks.push(effect(event, rule)),
        }
    }
    row
}

fn kept(event: &Event, rule: &RuleFact, end: f64) -> Bar {
    Bar {
        from: round(event.t),
        to: round(end),
        label: rule.rule.clone(),
        style: Style::Held,
        events: vec![event.seq],
        detail: super::detail(event),
    }
}

fn effect(event: &Event, rule: &RuleFact) -> super::Mark {
    let style = match (rule.effect, rule.effect.origin()) {
        (RuleEffect::Failed, _) => Style::Error,
        (_, Origin::Natural) => Style::Rule,
        (_, origin) => of_origin(origin),
    };
    let what = format!("{:?}", rule.effect).to_lowercase();
    let event_name = rule.event.as_deref().unwrap_or_default();
    mark(event, format!("{}: {what} {event_name}", rule.rule), style)
}

/// What the page asked for and did not get.
fn refused(log: &Log, player: &str) -> Row {
    let mut row = Row::new("refused requests");
    for event in log.of(player) {
        match &event.fact {
            Fact::Http(http) if http.status >= 400 => {
                let label = format!("{} {} {}", http.status, http.method, http.path);
                row.marks.push(mark(event, label, Style::Error));
            }
            Fact::MirrorMiss { url } => {
                row.marks
                    .push(mark(event, format!("not mirrored: {url}"), Style::Error));
            }
            _ => {}
        }
    }
    row
}
