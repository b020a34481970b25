//! Checks of a later game, on recorded evidence of one game before which another one is put: the
//! later game is judged as it would be alone, and what belongs to one is not held against the other.

use gymcheck::evidence::{Direction, Event, Fact, Log, Origin, Packet, WireFact};
use gymcheck::run::find_root;
use gymcheck::spec::{Catalogue, GameNumber, Question, Spec};
use gymcheck::verdict::{Verdict, judge};
use serde_json::{Value, json};

const CHECKS: [&str; 3] = ["connections-closed", "played-peer-to-peer", "no-overlay"];

fn recorded(name: &str) -> Log {
    let file = format!("fixtures/evidence/{name}.jsonl");
    Log::read(&find_root().join(file)).expect("a recorded log")
}

/// The headline spec, its checks asked about this game.
fn headline(number: GameNumber) -> Spec {
    let catalogue = Catalogue::read(&find_root()).expect("the checkout's specs");
    let headline = catalogue.spec("scene-exit/partner-dies-on-survey");
    let mut spec = headline.expect("a spec").clone();
    for check in &mut spec.body.checks {
        match &mut check.ask {
            Question::ConnectionsClosed(asked) => asked.game = number,
            Question::PlayedPeerToPeer(of) => of.game = number,
            Question::NoOverlay(calm) => calm.game = number,
            Question::OverlayShown(between) => {
                between.game = number;
            }
            _ => {}
        }
    }
    spec
}

fn verdicts(spec: &Spec, log: &Log) -> Vec<Verdict> {
    let judgement = judge(spec, log);
    let of = |check: &&str| judgement.checks.iter().find(|one| one.check == **check);
    CHECKS
        .iter()
        .map(|check| of(check).expect("it was asked").verdict)
        .collect()
}

fn sent(player: &str, direction: Direction, name: &str, said: Value) -> Event {
    let packet = Packet::Event {
        namespace: "/".into(),
        name: name.into(),
        args: vec![said],
        ack: None,
    };
    Event {
        seq: 0,
        t: 0.0,
        player: Some(player.into()),
        fact: Fact::Wire(WireFact {
            connection: 1,
            direction,
            origin: Origin::Natural,
            packet,
        }),
    }
}

/// What a game leaves on the wire of a player, as far as it tells games apart.
fn game_before(player: &str) -> Vec<Event> {
    let told = |name, said| sent(player, Direction::ToClient, name, said);
    let scene = |id: &str, kind: &str| json!({"scene_id": id, "scene_type": kind});
    vec![
        told("activate_scene", scene("game-0", "GymScene")),
        told("pyodide_player_assigned", json!({"game_id": "earlier"})),
        told("start_game", json!({"game_id": "earlier"})),
        sent(
            player,
            Direction::ToServer,
            "pyodide_player_action",
            json!({"game_id": "earlier"}),
        ),
        told(
            "p2p_game_ended",
            json!({"game_id": "earlier", "reason": "scene_completed"}),
        ),
        told("activate_scene", scene("survey-0", "ScalesAndTextBox")),
    ]
}

/// The log with a game before its own, which so becomes the second one.
fn as_second(log: &Log) -> Log {
    let first: Vec<Event> = ["survivor", "partner"]
        .iter()
        .flat_map(|player| game_before(player))
        .collect();
    let own = log.events().iter().cloned().map(|mut event| {
        if let Fact::Kernel(kernel) = &mut event.fact
            && matches!(kernel.label.as_str(), "before-game" | "in-game")
        {
            kernel.label.push_str("-2");
        }
        event
    });
    let mut events: Vec<Event> = first.into_iter().chain(own).collect();
    for (seq, event) in events.iter_mut().enumerate() {
        event.seq = seq as u64;
    }
    Log::new(events)
}

#[test]
fn a_later_game_is_judged_as_it_would_be_alone() {
    for name in ["good", "cleanup-not-called", "late-end-not-guarded"] {
        let log = recorded(name);
        let alone = verdicts(&headline(GameNumber::FIRST), &log);
        let second = verdicts(&headline(GameNumber::after(1)), &as_second(&log));
        assert_eq!(second, alone, "{name}");
    }
}

#[test]
fn a_game_that_never_came_proves_nothing() {
    let second = verdicts(&headline(GameNumber::after(1)), &recorded("good"));
    assert_eq!(second, [Verdict::Vacuous; 3]);
}

#[test]
fn what_an_earlier_game_did_is_held_against_that_game() {
    let log = as_second(&recorded("good"));
    let judgement = judge(&headline(GameNumber::FIRST), &log);
    let played = judgement
        .checks
        .iter()
        .find(|one| one.check == "played-peer-to-peer")
        .expect("it was asked");
    assert_eq!(played.verdict, Verdict::Fail);
    assert!(
        played.account.contains("2 inputs took the server's relay"),
        "{}",
        played.account
    );
}

/// The recorded run with a connection in front of the game's own, made by the script of the
/// matchmaking or by another one.
fn with_another_connection(script: &str) -> Log {
    let mut log = recorded("good").events().to_vec();
    let at = log.iter().position(is_created).expect("a connection");
    let mut created = log[at].clone();
    if let Fact::Page(page) = &mut created.fact {
        page.what = serde_json::from_value(json!({
            "event": "connection_created",
            "id": 90,
            "stack": format!("at start (http://127.0.0.1:1/static/js/{script}:140:9)"),
        }))
        .expect("a fact");
    }
    let mut connected = created.clone();
    if let Fact::Page(page) = &mut connected.fact {
        page.what = serde_json::from_value(json!({
            "event": "connection_state", "id": 90, "connection": "connected",
            "ice": "connected", "gathering": "complete", "signaling": "stable",
        }))
        .expect("a fact");
    }
    log.splice(at..at, [created, connected]);
    for (seq, event) in log.iter_mut().enumerate() {
        event.seq = seq as u64;
    }
    Log::new(log)
}

fn is_created(event: &Event) -> bool {
    matches!(&event.fact, Fact::Page(page)
        if matches!(page.what, gymcheck::evidence::PageFact::ConnectionCreated { .. }))
}

#[test]
fn a_connection_that_only_measures_is_no_second_one_of_the_game() {
    let spec = headline(GameNumber::FIRST);
    let measured = with_another_connection("probe_connection.js");
    assert_eq!(verdicts(&spec, &measured)[1], Verdict::Pass);
    let twice = with_another_connection("pyodide_multiplayer_game.js");
    assert_eq!(verdicts(&spec, &twice)[1], Verdict::Fail);
}

#[test]
fn a_matchmaking_that_measured_nothing_is_not_the_one_that_was_asked_for() {
    let mut spec = headline(GameNumber::FIRST);
    for check in &mut spec.body.checks {
        if let Question::ConnectionsClosed(asked) = &mut check.ask {
            asked.probes = true;
        }
    }
    assert_eq!(verdicts(&spec, &recorded("good"))[0], Verdict::Vacuous);
}
