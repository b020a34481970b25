//! The lane on its own, with rules as a spec would set them.

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::evidence::Event;
use crate::gateway::{Fault, Rule};

struct Bench {
    lane: Lane,
    /// The lane of the other direction.
    way_out: Lane,
    asked: mpsc::UnboundedReceiver<Outgoing>,
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
            trips: Arc::default(),
        };
        let (asking, asked) = mpsc::unbounded_channel();
        let lane = |identity, direction, writer| {
            let (known, told) = (Arc::clone(&rules), recorder.clone());
            Lane::new(identity, direction, known, told, writer)
        };
        Bench {
            way_out: lane(identity.clone(), Direction::ToServer, asking),
            asked,
            lane: lane(identity, Direction::ToClient, writer),
            rules,
            recorder,
            written,
        }
    }

    fn set(&self, name: &str, event: &str, fault: Fault) {
        self.rules.set(Rule {
            name: name.into(),
            at: at(event),
            fault,
        });
    }

    fn hold(&self, name: &str, event: &str) {
        self.set(name, event, Fault::Hold { until: None });
    }

    fn release(&mut self, name: &str) {
        self.rules.release(name);
        self.lane.reconsider();
    }

    fn events(&mut self, events: &[&str]) {
        for event in events {
            self.text(&text(event));
        }
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
        written(&mut self.written)
    }

    /// What was passed on to the target since the last look.
    fn passed_to_target(&mut self) -> Vec<String> {
        written(&mut self.asked)
    }

    /// Sends a ping of the harness's own.
    fn ping(&mut self) -> oneshot::Receiver<()> {
        let (answered, was_answered) = oneshot::channel();
        self.way_out.ping(answered);
        was_answered
    }

    fn page_pings(&mut self) {
        self.way_out.receive(Message::text(PAGE_PING));
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

fn written(queue: &mut mpsc::UnboundedReceiver<Outgoing>) -> Vec<String> {
    let mut passed = Vec::new();
    while let Ok(outgoing) = queue.try_recv() {
        passed.extend(outgoing.messages.into_iter().map(|message| match message {
            Message::Text(text) => text.to_string(),
            _ => "#".into(),
        }));
        if let Some(written) = outgoing.written {
            // Not every test waits for it.
            let _ = written.send(());
        }
    }
    passed
}

fn at(event: &str) -> Passage {
    Passage {
        player: "survivor".into(),
        direction: Direction::ToClient,
        event: event.into(),
    }
}

fn text(event: &str) -> String {
    format!(r#"42["{event}"]"#)
}

fn forged(event: &str, times: u32) -> Forged {
    Forged {
        event: event.into(),
        times,
        args: Arc::new(|| Ok(vec![json!(1)])),
    }
}

const PAGE_PING: &str = r#"42["ping",{"ping_ms":7}]"#;
const OWN_PING: &str = r#"42["ping",{}]"#;
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
    bench.binary(b"x");
    assert_eq!(bench.passed(), [BINARY, "#"]);
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
fn an_event_is_never_parted_from_its_attachments() {
    let mut bench = Bench::new();
    bench.text(BINARY);
    bench.inject("i");
    bench.text("2");
    assert_eq!(bench.passed(), [r#"42["i"]"#, "2"]);
    bench.binary(b"x");
    assert_eq!(bench.passed(), [BINARY, "#"]);
    // What comes in place of an attachment goes on with what it spoils.
    bench.text(BINARY);
    bench.events(&["a"]);
    assert_eq!(bench.passed(), [BINARY, r#"42["a"]"#]);
    bench.text(BINARY);
    bench.lane.end();
    let left = bench.written.try_recv().expect("what was begun");
    assert_eq!(left.messages, [Message::text(BINARY)]);
}

#[test]
fn an_injected_event_passes_what_is_held() {
    let mut bench = Bench::new();
    bench.hold("first", "b");
    bench.text(BINARY);
    bench.binary(b"x");
    bench.inject("i");
    assert_eq!(bench.passed(), [r#"42["i"]"#]);
}

#[test]
fn what_is_held_at_the_end_is_discarded() {
    let mut bench = Bench::new();
    bench.hold("first", "b");
    bench.text(BINARY);
    bench.binary(b"x");
    bench.lane.end();
    assert!(bench.written.try_recv().is_err());
    let effects = bench.recorder.log();
    assert_eq!(effects.events().len(), 2);
    assert!(matches!(
        &effects.events()[1].fact,
        Fact::Rule(rule) if rule.effect == RuleEffect::Discarded
    ));
}

/// The names of what was passed on since the last look.
fn names(bench: &mut Bench) -> Vec<String> {
    let name = |text: String| text.trim_matches(['4', '2', '[', ']', '"']).to_owned();
    bench.passed().into_iter().map(name).collect()
}

#[test]
fn a_hold_until_another_event_is_over_when_that_has_passed() {
    let mut bench = Bench::new();
    let until = |player: &str| Passage {
        player: player.into(),
        ..at("u")
    };
    let hold = |player: &str| Fault::Hold {
        until: Some(until(player)),
    };
    bench.set("late", "b", hold("partner"));
    bench.events(&["b", "c"]);
    bench.rules.passed(&until("survivor"));
    bench.lane.reconsider();
    assert_eq!(names(&mut bench), [""; 0]);
    bench.rules.passed(&until("partner"));
    bench.lane.reconsider();
    assert_eq!(names(&mut bench), ["b", "c"]);
}

#[test]
fn a_hold_that_has_nothing_to_wait_for_any_more_says_that_the_order_is_as_wanted() {
    let mut bench = Bench::new();
    let until = at("u");
    bench.set(
        "order",
        "a",
        Fault::Hold {
            until: Some(until.clone()),
        },
    );
    bench.rules.passed(&until);
    assert!(bench.effects().is_empty());
    bench.events(&["a", "a"]);
    assert_eq!(names(&mut bench), ["a", "a"]);
    assert_eq!(bench.effects(), [("order".into(), RuleEffect::InOrder)]);
}

#[test]
fn a_hold_that_is_released_before_its_event_comes_says_that_the_order_is_as_wanted() {
    let mut bench = Bench::new();
    bench.set("stays", "a", Fault::Hold { until: None });
    bench.release("stays");
    assert!(bench.effects().is_empty());
    bench.events(&["b", "a", "a"]);
    assert_eq!(names(&mut bench), ["b", "a", "a"]);
    assert_eq!(bench.effects(), [("stays".into(), RuleEffect::InOrder)]);
}

#[test]
fn a_hold_that_has_nothing_to_wait_for_leaves_its_event_to_the_other_rules() {
    let mut bench = Bench::new();
    bench.hold("order", "a");
    bench.release("order");
    bench.set("lost", "a", Fault::Drop);
    bench.events(&["a", "b"]);
    assert_eq!(names(&mut bench), ["b"]);
    let expected = [
        ("order".into(), RuleEffect::InOrder),
        ("lost".into(), RuleEffect::Dropped),
    ];
    assert_eq!(bench.effects(), expected);
}

#[test]
fn rules_are_of_the_events_of_the_games_own_namespace() {
    let mut bench = Bench::new();
    bench.set("lost", "a", Fault::Drop);
    bench.text(r#"42/admin,["a"]"#);
    bench.events(&["a", "b"]);
    assert_eq!(bench.passed(), [r#"42/admin,["a"]"#.to_owned(), text("b")]);
}

#[tokio::test]
async fn a_delayed_event_waits_once_with_all_behind_it() {
    let mut bench = Bench::new();
    bench.set("slow", "a", Fault::Delay(Duration::from_millis(20)));
    bench.set("slower", "b", Fault::Delay(Duration::from_hours(1)));
    bench.events(&["a", "b", "a"]);
    bench.text("2");
    assert_eq!(bench.passed(), ["2"]);
    let due = bench.lane.due().expect("something waits");
    tokio::time::sleep_until(due).await;
    bench.lane.reconsider();
    assert_eq!(names(&mut bench), ["a"]);
    // The second one's time has not come.
    assert!(bench.lane.due().is_some_and(|due| due > Instant::now()));
    bench.release("slower");
    assert_eq!(names(&mut bench), ["b", "a"]);
    assert_eq!(bench.lane.due(), None);
    let expected = [
        ("slow", RuleEffect::Delayed),
        ("slow", RuleEffect::Released),
        ("slower", RuleEffect::Delayed),
        ("slower", RuleEffect::Released),
    ];
    let expected = expected.map(|(rule, effect)| (rule.to_owned(), effect));
    assert_eq!(bench.effects(), expected);
}

#[test]
fn an_event_is_injected_around_the_first_that_is_passed_on() {
    for (side, expected) in [
        (Side::Before, ["i", "i", "e", "y", "e"]),
        (Side::After, ["e", "i", "i", "y", "e"]),
    ] {
        let mut bench = Bench::new();
        bench.hold("first", "e");
        let forged = Forged {
            args: Arc::new(|| Ok(Vec::new())),
            ..forged("i", 2)
        };
        bench.set("late", "e", Fault::Inject { side, forged });
        bench.events(&["x", "e"]);
        // What is held is not passed on.
        assert_eq!(names(&mut bench), ["x"]);
        bench.release("first");
        bench.events(&["y", "e"]);
        assert_eq!(names(&mut bench), expected, "{side:?}");
    }
}

#[test]
fn an_injection_comes_behind_the_attachments() {
    let mut bench = Bench::new();
    let fault = Fault::Inject {
        side: Side::After,
        forged: forged("i", 1),
    };
    bench.set("late", "b", fault);
    bench.text(BINARY);
    bench.binary(b"x");
    assert_eq!(bench.passed(), [BINARY, "#", r#"42["i",1]"#]);
}

#[test]
fn what_is_not_known_when_an_event_is_sent_is_evidence() {
    let mut bench = Bench::new();
    let args = Arc::new(|| Err("no game yet".to_owned()));
    let forged = Forged {
        args,
        ..forged("i", 1)
    };
    let side = Side::Before;
    bench.set("late", "a", Fault::Inject { side, forged });
    bench.events(&["a"]);
    assert_eq!(names(&mut bench), ["a"]);
    let log = bench.recorder.log();
    let failed = |event: &Event| {
        matches!(&event.fact, Fact::Rule(rule)
            if rule.effect == RuleEffect::Failed && rule.detail.as_deref() == Some("no game yet"))
    };
    assert!(log.events().iter().any(failed));
}

#[test]
fn one_event_is_dropped_and_one_is_doubled() {
    let mut bench = Bench::new();
    bench.set("lost", "a", Fault::Drop);
    bench.set("twice", "b", Fault::Duplicate);
    bench.events(&["a", "c", "a"]);
    assert_eq!(names(&mut bench), ["c", "a"]);
    bench.text(BINARY);
    bench.binary(b"x");
    bench.events(&["d"]);
    let expected = [BINARY, "#", BINARY, "#", r#"42["d"]"#];
    assert_eq!(bench.passed(), expected);
    assert_eq!(bench.effects(), [("lost".into(), RuleEffect::Dropped)]);
}

#[test]
fn only_the_earlier_event_waits_for_the_one_that_overtakes_it() {
    let mut bench = Bench::new();
    let before = "early".into();
    bench.set("order", "late", Fault::Overtake { before });
    bench.events(&["late", "x", "early", "y", "early", "late", "z"]);
    let expected = ["late", "x", "y", "early", "late", "early", "z"];
    assert_eq!(names(&mut bench), expected);
}

#[test]
fn an_event_that_nothing_overtakes_can_be_let_go() {
    let mut bench = Bench::new();
    let fault = || Fault::Overtake {
        before: "early".into(),
    };
    bench.set("order", "late", fault());
    bench.events(&["early", "y"]);
    bench.release("order");
    assert_eq!(names(&mut bench), ["y", "early"]);
    bench.set("order", "late", fault());
    bench.events(&["early"]);
    let recorder = bench.recorder.clone();
    bench.lane.end();
    let effects = recorder.log();
    let last = effects.events().last().expect("an effect");
    assert!(matches!(&last.fact, Fact::Rule(rule) if rule.effect == RuleEffect::Discarded));
}

#[test]
fn each_rule_whose_event_has_overtaken_another_says_so() {
    let mut bench = Bench::new();
    for (rule, before) in [("first", "early"), ("second", "earlier")] {
        let before = before.into();
        bench.set(rule, "late", Fault::Overtake { before });
    }
    bench.events(&["earlier", "early", "late"]);
    let late = bench.written.try_recv().expect("the event that overtakes");
    let overtook: Vec<&str> = late
        .facts
        .iter()
        .filter_map(|fact| match fact {
            Fact::Rule(fact) if fact.effect == RuleEffect::Overtook => Some(fact.rule.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(overtook, ["second", "first"]);
    assert_eq!(names(&mut bench), ["earlier", "early"]);
}

#[test]
fn nothing_passes_from_the_event_of_a_cut_on() {
    let mut bench = Bench::new();
    bench.set("cut", "b", Fault::Cut);
    bench.events(&["a", "b", "c"]);
    assert_eq!(names(&mut bench), ["a"]);
    assert_eq!(bench.lane.cut(), Some("cut"));
    assert_eq!(bench.effects(), [("cut".into(), RuleEffect::Cut)]);
}

/// The pong of the `n`th ping.
fn pong(n: usize) -> String {
    format!(r#"42["pong",{{"n":{n}}}]"#)
}

#[test]
fn only_the_pong_that_answers_an_own_ping_is_kept_from_the_page() {
    let mut bench = Bench::new();
    bench.page_pings();
    let mut first = bench.ping();
    bench.page_pings();
    let mut second = bench.ping();
    let asked = [PAGE_PING, OWN_PING, PAGE_PING, OWN_PING];
    assert_eq!(bench.passed_to_target(), asked);
    bench.text(&pong(1));
    assert_eq!(bench.passed(), [pong(1)]);
    assert!(first.try_recv().is_err(), "the page's own came first");
    bench.text(&pong(2));
    bench.events(&["a"]);
    assert!(first.try_recv().is_err(), "it waits for what is written");
    assert_eq!(bench.passed(), [r#"42["a"]"#]);
    assert_eq!(first.try_recv(), Ok(()));
    bench.text(&pong(3));
    assert_eq!(bench.passed(), [pong(3)]);
    assert!(second.try_recv().is_err());
    bench.text(&pong(4));
    assert_eq!(bench.passed(), [""; 0]);
    assert_eq!(second.try_recv(), Ok(()));
    // Nobody asked for another one.
    bench.text(&pong(5));
    assert_eq!(bench.passed(), [pong(5)]);
}

#[test]
fn a_round_trip_waits_behind_what_is_held_on_either_way() {
    let mut bench = Bench::new();
    let way_out = Passage {
        direction: Direction::ToServer,
        ..at("advance_scene")
    };
    bench.rules.set(Rule {
        name: "out".into(),
        at: way_out,
        fault: Fault::Hold { until: None },
    });
    bench.hold("back", "a");
    bench.way_out.receive(Message::text(text("advance_scene")));
    bench.page_pings();
    let mut answered = bench.ping();
    assert_eq!(bench.passed_to_target(), [""; 0]);
    bench.rules.release("out");
    bench.way_out.reconsider();
    let expected = [text("advance_scene"), PAGE_PING.into(), OWN_PING.into()];
    assert_eq!(bench.passed_to_target(), expected);

    bench.events(&["a"]);
    bench.text(&pong(1));
    bench.text(&pong(2));
    bench.events(&["b"]);
    assert_eq!(bench.passed(), [""; 0]);
    assert!(answered.try_recv().is_err());
    bench.release("back");
    assert_eq!(bench.passed(), [text("a"), pong(1), text("b")]);
    assert_eq!(answered.try_recv(), Ok(()));
}

#[test]
fn no_rule_applies_to_a_round_trip() {
    for fault in [
        Fault::Drop,
        Fault::Duplicate,
        Fault::Cut,
        Fault::Hold { until: None },
    ] {
        let mut bench = Bench::new();
        bench.set("back", "pong", fault.clone());
        bench.rules.set(Rule {
            name: "out".into(),
            at: Passage {
                direction: Direction::ToServer,
                ..at("ping")
            },
            fault,
        });
        let mut answered = bench.ping();
        assert_eq!(bench.passed_to_target(), [OWN_PING]);
        bench.text(&pong(1));
        assert_eq!(bench.passed(), [""; 0]);
        assert_eq!(answered.try_recv(), Ok(()));
        assert!(bench.effects().is_empty());
    }
}

#[test]
fn a_ping_that_is_lost_or_doubled_is_answered_as_often_as_it_was_sent() {
    let mut bench = Bench::new();
    let way_out = |name: &str, fault| Rule {
        name: name.into(),
        at: Passage {
            direction: Direction::ToServer,
            ..at("ping")
        },
        fault,
    };
    bench.rules.set(way_out("lost", Fault::Drop));
    bench.page_pings();
    bench.rules.set(way_out("twice", Fault::Duplicate));
    bench.page_pings();
    let mut answered = bench.ping();
    assert_eq!(bench.passed_to_target(), [PAGE_PING, PAGE_PING, OWN_PING]);
    bench.text(&pong(1));
    bench.text(&pong(2));
    bench.text(&pong(3));
    assert_eq!(bench.passed(), [pong(1), pong(2)]);
    assert_eq!(answered.try_recv(), Ok(()));
}

#[test]
fn a_stream_without_an_end_ends_the_connection_and_says_who_sent_it() {
    let mut bench = Bench::new();
    // Not a packet: what it says is not kept.
    let part = Message::text("x".repeat(1 << 20));
    let mut sent = 0;
    while bench.lane.excess().is_none() {
        bench.lane.receive(part.clone());
        bench.passed();
        sent += 1;
        assert!(sent < 1000, "it is taken for ever");
    }
    let (sender, what) = bench.lane.excess().expect("too much");
    assert_eq!(sender, Sender::Target);
    assert!(what.starts_with(&format!("{sent} messages")), "{what}");
    bench.way_out.receive(Message::text("42[]"));
    assert_eq!(bench.way_out.excess(), None);
}
