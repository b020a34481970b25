//! `scene-order` (LIFE-01): did each advance bring one end of the scene, and then one beginning of
//! the next?

use serde_json::Value;

use super::facts::{SURVIVOR, is_game, seq};
use super::games::{barrier_after, games_of, text};
use super::{Findings, OracleFinding, Stimulus};
use crate::evidence::{Direction, Event, Fact, Log, Packet, REGISTER, Snapshot, Source, WireFact};
use crate::spec::Spec;

/// Asks about the survivor's whole run.
pub(super) fn ask(spec: &Spec, log: &Log) -> Findings {
    let exit = games_of(SURVIVOR, log)
        .into_iter()
        .rev()
        .find_map(|game| Some((game.complete?, game.exit?)));
    let advance = exit.and_then(|(_, exit)| {
        log.socket_events(SURVIVOR, Direction::ToServer, "advance_scene")
            .map(|(event, _, _)| event)
            .rfind(|event| event.seq < exit.seq)
    });
    let barrier = exit.and_then(|(_, exit)| barrier_after(log, exit.seq));
    Findings {
        stimuli: vec![
            Stimulus::new(
                "the survivor's page told the target that a game was played to its end",
                seq(exit.map(|(complete, _)| complete)),
            ),
            Stimulus::new("it advanced from that game's scene", seq(advance)),
            Stimulus::new("a barrier after that", seq(barrier)),
        ],
        oracles: vec![wire(spec, log), server(log), page(log)],
    }
}

/// What of a scene's life the walk along the wire has seen.
#[derive(Default)]
struct Walk<'a> {
    /// The scene on which the player stands, by the target's id.
    scene: Option<&'a str>,
    /// Whether that is a game of several players.
    multiplayer: bool,
    /// Whether such a game was played to its end on this scene.
    played: bool,
    /// How many episodes' records were sent from this scene.
    records: u32,
    /// Whether the page asked to join a game and has no answer yet.
    joining: bool,
    /// Whether the player did anything on this scene.
    touched: bool,
    /// How often the page asked for its scene, or came anew, and was not told one yet.
    asked: usize,
    /// Whether an `advance_scene` is on its way.
    advancing: bool,
    /// Whether the scene was ended.
    ended: bool,
    violations: Vec<String>,
    evidence: Vec<u64>,
    changes: usize,
}

impl<'a> Walk<'a> {
    fn wrong(&mut self, event: &Event, what: String) {
        self.evidence.push(event.seq);
        self.violations
            .push(format!("{what} (at {:.1} s)", event.t / 1000.0));
    }

    fn here(&self) -> &'a str {
        self.scene.unwrap_or("no scene")
    }

    fn page_sends(&mut self, event: &Event, name: &str, episodes: u32) {
        match name {
            "advance_scene" => self.advance(event),
            "request_current_scene" | REGISTER => self.asked += 1,
            "multiplayer_game_complete" => self.played = true,
            "emit_episode_data" => {
                self.records += 1;
                self.played |= self.records >= episodes;
            }
            "join_game" => self.joining = true,
            _ => {}
        }
    }

    fn target_sends(&mut self, event: &Event, name: &str, args: &'a [Value]) {
        let id = || text(args, "scene_id").unwrap_or("a scene without id");
        match name {
            "terminate_scene" => self.terminate(event, id()),
            "activate_scene" => {
                self.activate(event, id());
                self.multiplayer = is_game(args) && is_multiplayer(args);
                // A game for one is left as soon as it is over.
                self.touched |= is_game(args);
            }
            "pyodide_player_assigned" => {
                self.joining = false;
                self.multiplayer = true;
            }
            refusal if self.joining && refusal.ends_with("_error") => {
                self.joining = false;
                let here = self.here();
                self.wrong(
                    event,
                    format!("the target answered join_game on `{here}` with `{refusal}`"),
                );
            }
            _ => {}
        }
    }

    fn advance(&mut self, event: &Event) {
        let here = self.here();
        if self.advancing {
            self.wrong(
                event,
                format!("a second advance_scene from `{here}` before the next scene had come"),
            );
        } else if self.multiplayer && !self.played {
            self.wrong(
                event,
                format!("advance_scene from `{here}`, whose game was not played to its end"),
            );
        } else if !self.multiplayer && !self.touched {
            self.wrong(
                event,
                format!("advance_scene from `{here}`, where the player had pressed nothing"),
            );
        }
        self.advancing = true;
    }

    fn terminate(&mut self, event: &Event, id: &str) {
        let here = self.here();
        if self.ended {
            self.wrong(event, format!("`{id}` was ended a second time"));
        } else if !self.advancing {
            self.wrong(event, format!("`{id}` was ended without an advance_scene"));
        } else if id != here {
            self.wrong(
                event,
                format!("`{id}` was ended while the player stood on `{here}`"),
            );
        }
        self.ended = true;
    }

    fn activate(&mut self, event: &Event, id: &'a str) {
        let here = self.here();
        let again = self.asked > 0 && !self.advancing && self.scene.is_none_or(|scene| scene == id);
        if again {
            self.asked -= 1;
            self.scene = Some(id);
            return;
        }
        if !self.advancing {
            self.wrong(event, format!("`{id}` began without an advance_scene"));
        } else if !self.ended {
            self.wrong(event, format!("`{id}` began before `{here}` was ended"));
        } else if self.scene == Some(id) {
            self.wrong(event, format!("`{id}` began again instead of the next one"));
        } else {
            self.evidence.push(event.seq);
        }
        self.changes += 1;
        *self = Walk {
            scene: Some(id),
            violations: std::mem::take(&mut self.violations),
            evidence: std::mem::take(&mut self.evidence),
            changes: self.changes,
            ..Walk::default()
        };
    }
}

/// The wire: the events of the survivor's scenes, one after the other.
fn wire(spec: &Spec, log: &Log) -> OracleFinding {
    let mut walk = Walk::default();
    for event in log.of(SURVIVOR) {
        match &event.fact {
            Fact::Wire(WireFact {
                direction,
                packet: Packet::Event { name, args, .. },
                ..
            }) => match direction {
                Direction::ToServer => {
                    walk.page_sends(event, name, spec.body.experiment.episodes);
                }
                Direction::ToClient => walk.target_sends(event, name, args),
            },
            // What a form needs to be left is a click; keys alone play the game.
            Fact::Action(action) => walk.touched |= action.action.starts_with("click"),
            _ => {}
        }
    }
    unfinished(&mut walk, log);
    OracleFinding::from_violations(
        "wire",
        walk.violations,
        format!(
            "{} scenes, each ended once by one advance_scene, then the next begun once",
            walk.changes
        ),
        walk.evidence,
    )
}

/// Whether a GymScene is for several players.
fn is_multiplayer(args: &[Value]) -> bool {
    args.first()
        .and_then(|scene| scene.get("pyodide_multiplayer")?.as_bool())
        .unwrap_or(true)
}

/// An advance to which nothing came, although the target answered two of the page's pings after it, or
/// a barrier was passed.
fn unfinished(walk: &mut Walk<'_>, log: &Log) {
    let last = log
        .socket_events(SURVIVOR, Direction::ToServer, "advance_scene")
        .next_back();
    let Some((event, _, _)) = last.filter(|_| walk.advancing) else {
        return;
    };
    let answered = log
        .socket_events(SURVIVOR, Direction::ToClient, "pong")
        .filter(|(pong, _, _)| pong.seq > event.seq)
        .nth(1);
    if answered.is_some() || barrier_after(log, event.seq).is_some() {
        let here = walk.here();
        let what = if walk.ended {
            "was ended, and no scene followed it"
        } else {
            "was left by an advance_scene, and the target did not end it"
        };
        walk.wrong(event, format!("`{here}` {what}"));
    }
}

/// The target: it handled each advance of the survivor's once and without an error, and its own
/// log, where it speaks of it, names the scenes that came.
fn server(log: &Log) -> OracleFinding {
    let sessions = sessions(log);
    let handled: Vec<(&Event, Option<&str>)> = log
        .events()
        .iter()
        .filter_map(|event| match &event.fact {
            Fact::ServerHandled(handled)
                if handled.event == "advance_scene" && sessions.contains(&handled.sid.as_str()) =>
            {
                Some((event, handled.error.as_deref()))
            }
            _ => None,
        })
        .collect();
    let advances = log
        .socket_events(SURVIVOR, Direction::ToServer, "advance_scene")
        .count();
    if handled.is_empty() {
        return OracleFinding::absent("target", "it was not seen to handle an advance_scene");
    }
    let mut evidence: Vec<u64> = handled.iter().map(|(event, _)| event.seq).collect();
    let mut violations: Vec<String> = handled
        .iter()
        .filter_map(|(_, error)| error.map(|error| format!("its handler raised {error}")))
        .collect();
    let began = activated(log);
    let (lines, said) = logged(log);
    evidence.extend(lines);
    if handled.len() > advances {
        violations.push(format!(
            "it handled {} advances, the page sent {advances}",
            handled.len()
        ));
    }
    // The first scene comes without an advance. A log that is not whole says nothing of the last ones.
    let is_whole = log.lacks(Source::Log).is_none();
    if is_whole && !said.is_empty() && began.get(1..).unwrap_or_default() != said {
        violations.push(format!(
            "its log says that it went on to {}, the page was told to begin {}",
            said.join(", "),
            began.join(", ")
        ));
    }
    OracleFinding::from_violations(
        "target",
        violations,
        format!("it handled {} advances without an error", handled.len()),
        evidence,
    )
}

/// The target's ids of all of the survivor's Socket.IO sessions.
fn sessions(log: &Log) -> Vec<&str> {
    log.of(SURVIVOR)
        .filter_map(|event| match &event.fact {
            Fact::Wire(wire) if wire.direction == Direction::ToClient => match &wire.packet {
                Packet::Connect { data, .. } => data.get("sid")?.as_str(),
                _ => None,
            },
            _ => None,
        })
        .collect()
}

/// The scenes that the survivor's page was told to begin, each once.
fn activated(log: &Log) -> Vec<&str> {
    let mut scenes: Vec<&str> = log
        .socket_events(SURVIVOR, Direction::ToClient, "activate_scene")
        .filter_map(|(_, _, args)| text(args, "scene_id"))
        .collect();
    scenes.dedup();
    scenes
}

/// The scenes to which the target's log says that it advanced the survivor.
fn logged(log: &Log) -> (Vec<u64>, Vec<&str>) {
    let subject = log
        .socket_events(SURVIVOR, Direction::ToServer, REGISTER)
        .find_map(|(_, _, args)| text(args, "subject_id"));
    let of_the_survivor = |line: &str| {
        subject.is_some_and(|subject| line.contains(subject)) && line.contains("after advance")
    };
    log.events()
        .iter()
        .filter_map(|event| match &event.fact {
            Fact::ServerLog { line } if of_the_survivor(line) => {
                let (_, scene) = line.rsplit_once("scene_id=")?;
                Some((event.seq, scene.trim()))
            }
            _ => None,
        })
        .unzip()
}

/// The page: where it shows a header at rest, it is the header of the scene that came last.
fn page(log: &Log) -> OracleFinding {
    let mut expected: Option<&str> = None;
    let mut evidence = Vec::new();
    let mut violations = Vec::new();
    for event in log.of(SURVIVOR) {
        match &event.fact {
            Fact::Wire(wire) if wire.direction == Direction::ToClient => {
                if let Packet::Event { name, args, .. } = &wire.packet
                    && name == "activate_scene"
                {
                    expected = text(args, "scene_header").filter(|header| !header.is_empty());
                }
            }
            Fact::Snapshot(snapshot) => {
                if let Some(expected) = expected.filter(|_| is_at_rest(log, snapshot)) {
                    evidence.push(event.seq);
                    let shown = snapshot.state.header.as_str();
                    if shown != expected {
                        violations.push(format!(
                            "at `{}` it shows the header \"{shown}\", not \"{expected}\"",
                            snapshot.label
                        ));
                    }
                }
            }
            _ => {}
        }
    }
    if evidence.is_empty() {
        return OracleFinding::absent("page", "no header was looked at");
    }
    OracleFinding::from_violations(
        "page",
        violations,
        format!(
            "the header of the scene is shown at {} moments",
            evidence.len()
        ),
        evidence,
    )
}

/// Whether nothing was on its way to the page when it was looked at, and its header is to be seen:
/// what hides it is `no-overlay`'s question.
fn is_at_rest(log: &Log, snapshot: &Snapshot) -> bool {
    !snapshot.state.header.is_empty() && log.barrier(SURVIVOR, &snapshot.label).is_some()
}
