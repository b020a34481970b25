//! `sound-after-departure` (RACE-02): wherever the survivor stood when the partner went, was it told in an
//! active game and stayed, or left in peace anywhere else, where it can go on?

use super::departure::{departure, partner_left};
use super::facts::{PARTNER, SURVIVOR, covered, hit_test, seq, shown};
use super::games::{Game, games_of};
use super::told_or_carried_on::{self as told_or, Story};
use super::{Findings, OracleFinding, Stimulus};
use crate::evidence::{Direction, Event, Log, Scene, SceneKind, Snapshot};
use crate::spec::{AtRest, BetweenMoments, GameNumber, Spec};

/// Where the survivor stood when it was told of the departure, or when the partner went.
#[derive(Clone, Copy)]
enum Place<'a> {
    /// In a game that had begun.
    Game(Game<'a>),
    /// In the countdown before a game with this partner.
    Countdown(Game<'a>),
    /// In a GymScene, without a partner.
    Alone(&'a Event),
    /// On another scene.
    Elsewhere(&'a Event),
}

/// Asks about the time until the survivor has come to rest; `stuck` is where its walk there ended in vain.
pub(super) fn ask(spec: &Spec, asked: &AtRest, log: &Log, stuck: Option<(u64, &str)>) -> Findings {
    let died = departure(log, PARTNER).map(|left| left.began);
    let place = died.and_then(|died| place(log, died));
    let left = partner_left(log);
    let said = left.iter().flat_map(|stimulus| &stimulus.evidence).max();
    let barrier = log
        .barrier(SURVIVOR, &asked.at)
        .filter(|end| said.is_some_and(|said| *said < end.seq));
    let stood = place.map(|(_, event)| event);
    // Who could not go on has not come to rest, and is looked at where it stands.
    let end = barrier.or_else(|| stuck.and_then(|_| log.events().last()));
    let mut stimuli = vec![
        Stimulus::new("where the survivor stood", seq(stood)),
        Stimulus::new("a barrier after the partner's departure", seq(end)),
    ];
    stimuli.extend(left);
    let oracles = match (place, died, end) {
        (Some((place, _)), Some(died), Some(end)) => {
            let seen = Seen {
                spec,
                asked,
                log,
                died,
                end,
                stuck,
            };
            seen.rows(place)
        }
        _ => Vec::new(),
    };
    Findings { stimuli, oracles }
}

/// Where the survivor stood, and the event by which it came there.
fn place<'a>(log: &'a Log, died: &'a Event) -> Option<(Place<'a>, &'a Event)> {
    let at = |event: &Event| {
        let told = games_of(SURVIVOR, log)
            .into_iter()
            .filter_map(|game| told_or::told(log, &game))
            .filter(|told| told.seq > event.seq)
            .map(|told| told.seq)
            .min();
        told.unwrap_or(event.seq)
    };
    let at = at(died);
    let (came, scene) = log
        .scenes(SURVIVOR)
        .take_while(|(event, _)| event.seq < at)
        .last()?;
    let place = match scene.kind() {
        SceneKind::GameForTwo => in_gym_scene(log, came, &scene, at),
        _ => Place::Elsewhere(came),
    };
    Some((place, came))
}

fn in_gym_scene<'a>(log: &'a Log, came: &'a Event, scene: &Scene<'_>, at: u64) -> Place<'a> {
    let game = games_of(SURVIVOR, log)
        .into_iter()
        .rfind(|game| game.scene == scene.id() && game.assigned.seq < at);
    match game {
        Some(game) if game.started.is_some_and(|started| started.seq < at) => Place::Game(game),
        Some(game) => Place::Countdown(game),
        None => Place::Alone(came),
    }
}

/// What was seen of a departure.
struct Seen<'a> {
    spec: &'a Spec,
    asked: &'a AtRest,
    log: &'a Log,
    died: &'a Event,
    end: &'a Event,
    stuck: Option<(u64, &'a str)>,
}

impl Seen<'_> {
    fn rows(&self, place: Place<'_>) -> Vec<OracleFinding> {
        match place {
            Place::Game(game) => {
                let story = self.story(&game);
                let moments = self.moments();
                told_or::rows(self.spec, &story, &moments, self.log, &game, || {
                    vec![
                        told_or::no_overlay(&story, self.log),
                        self.went_on(told_or::next_scene(&story, self.log, &game)),
                        self.in_reach(),
                    ]
                })
            }
            Place::Countdown(game) => {
                let story = self.story(&game);
                match story.told {
                    Some(told) => {
                        told_or::stayed(self.spec, told, &story, &self.moments(), self.log)
                    }
                    None => self.at_ease(game.assigned, false),
                }
            }
            Place::Alone(came) => self.at_ease(came, false),
            Place::Elsewhere(came) => self.at_ease(came, true),
        }
    }

    fn story<'b>(&'b self, game: &Game<'b>) -> Story<'b> {
        let told = told_or::told(self.log, game);
        Story {
            told,
            ended: game.complete.filter(|ended| ended.seq < self.end.seq),
            left: self.died,
            end: self.end,
            watched: self.watched(),
            before: self.before(),
            on_a_scene: true,
        }
    }

    /// Its page in its first game, if it was looked at there before the partner left.
    fn before(&self) -> Option<&Snapshot> {
        let look = self.log.snapshot(SURVIVOR, &GameNumber::FIRST.during());
        look.filter(|(event, _)| event.seq < self.died.seq)
            .map(|(_, page)| page)
    }

    fn watched(&self) -> u64 {
        told_or::watched(self.log, &self.asked.at, self.end)
    }

    fn moments(&self) -> BetweenMoments {
        BetweenMoments {
            before: GameNumber::FIRST.during(),
            after: self.asked.at.clone(),
            game: GameNumber::FIRST,
        }
    }

    /// Not in an active game: nothing covers the page, and the survivor can go on.
    fn at_ease(&self, came: &Event, on_a_scene: bool) -> Vec<OracleFinding> {
        let story = Story {
            told: None,
            ended: None,
            left: self.died,
            end: self.end,
            watched: self.watched(),
            before: self.before(),
            on_a_scene,
        };
        vec![
            told_or::no_overlay(&story, self.log),
            self.went_on(self.led_on(came)),
            self.in_reach(),
        ]
    }

    /// The wire: from where it stood the next scene came, or the waiting room, or it had come to the end.
    fn led_on(&self, came: &Event) -> OracleFinding {
        let next = self
            .log
            .scenes(SURVIVOR)
            .map(|(event, _)| event)
            .find(|event| event.seq > came.seq);
        let waits = self
            .log
            .socket_events(SURVIVOR, Direction::ToClient, "waiting_room")
            .map(|(event, _, _)| event)
            .rfind(|event| event.seq > came.seq && event.seq < self.end.seq);
        let at_the_end = self
            .log
            .scenes(SURVIVOR)
            .next_back()
            .filter(|(_, scene)| scene.kind() == SceneKind::End)
            .map(|(event, _)| event);
        let led = next.or(waits).or(at_the_end);
        let violations = match led {
            Some(_) => Vec::new(),
            None => vec!["the survivor was neither told nor led on".to_owned()],
        };
        OracleFinding::from_violations(
            "wire",
            violations,
            "the survivor went on: to the next scene, to the waiting room, or it was at the end",
            seq(led),
        )
    }

    /// The same, and nothing stood in its way.
    fn went_on(&self, mut finding: OracleFinding) -> OracleFinding {
        if let Some((at, stuck)) = self.stuck {
            finding.evidence.push(at);
            let violations = vec![format!("the survivor could not go on: {stuck}")];
            return OracleFinding::from_violations("wire", violations, "", finding.evidence);
        }
        finding
    }

    /// Hit-testing: whatever control the scene shows is on top. A waiting room shows none.
    fn in_reach(&self) -> OracleFinding {
        let Some((event, test)) = hit_test(self.log, &self.asked.at) else {
            return OracleFinding::absent("hit-testing", "the controls were not hit-tested");
        };
        OracleFinding::from_violations(
            "hit-testing",
            covered(test),
            format!("all {} controls of the scene are on top", shown(test)),
            vec![event.seq],
        )
    }
}
