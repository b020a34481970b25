//! The undisturbed session over which a departure is moved.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::evidence::Log;
use crate::spec::{Experiment, GameEvent, GameNumber};

/// A point of a session: an event of the survivor, and how long after it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Point {
    /// Of which game.
    pub game: GameNumber,
    /// The event.
    pub after: GameEvent,
    /// How long after it, in milliseconds.
    pub offset_ms: f64,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.0} ms after {} of game {}",
            self.offset_ms, self.after, self.game
        )
    }
}

/// The time from one of the survivor's events to the next.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Phase {
    /// Of which game is the event that it begins with.
    pub game: GameNumber,
    /// That event.
    pub event: GameEvent,
    /// When it came, in milliseconds from the beginning of the session.
    pub at_ms: f64,
}

impl Phase {
    /// What the survivor meets in it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self.event {
            GameEvent::SceneEntered => "before Start",
            GameEvent::JoinSent => "waiting room",
            GameEvent::MatchFound => "countdown",
            GameEvent::GameStarted => "game starts",
            GameEvent::FirstFrame => "game",
            GameEvent::LastFrames => "last frames",
            GameEvent::LastEpisodeEnded => "\"Done!\"",
            GameEvent::AdvanceSent | GameEvent::AdvanceHandled | GameEvent::SceneTerminated => {
                "hand-over"
            }
            GameEvent::SceneActivated => "next scene",
        }
    }
}

/// Whether an event begins a phase. What comes within a few milliseconds of another one does not.
pub(super) fn is_charted(event: GameEvent) -> bool {
    !matches!(
        event,
        GameEvent::AdvanceHandled | GameEvent::SceneTerminated
    )
}

/// A session from the survivor's first GymScene to its end, as it was without a departure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Session {
    /// Its phases, in order.
    pub phases: Vec<Phase>,
    /// When it ended, in milliseconds from its beginning.
    pub end_ms: f64,
}

impl Session {
    /// The session of a run in which nobody left; `None` if the survivor played no game in it.
    #[must_use]
    pub fn of(log: &Log, experiment: &Experiment) -> Option<Session> {
        let life = log.life("survivor", experiment);
        let began = life.first()?.event.t;
        // Two games follow each other: the scene after the first may be the second.
        let mut phases: Vec<Phase> = Vec::new();
        for one in life.iter().filter(|one| is_charted(one.what)) {
            let at_ms = one.event.t - began;
            phases.retain(|phase| phase.at_ms < at_ms);
            phases.push(Phase {
                game: one.game,
                event: one.what,
                at_ms,
            });
        }
        let played = life
            .iter()
            .any(|one| one.what == GameEvent::LastEpisodeEnded);
        let end = log.scenes("survivor").next_back()?.0.t - began;
        played.then(|| Session {
            end_ms: end.max(phases.last().map_or(0.0, |last| last.at_ms)),
            phases,
        })
    }

    /// How long a phase lasted, in milliseconds.
    fn length(&self, index: usize) -> f64 {
        let next = self
            .phases
            .get(index + 1)
            .map_or(self.end_ms, |next| next.at_ms);
        next - self.phases[index].at_ms
    }

    /// Whether the event of a point came in this session.
    #[must_use]
    pub fn has(&self, point: &Point) -> bool {
        self.place(point).is_some()
    }

    /// The place of the phase that begins with the event of a point.
    fn place(&self, point: &Point) -> Option<usize> {
        let same = |phase: &Phase| (phase.game, phase.event) == (point.game, point.after);
        self.phases.iter().position(same)
    }

    /// When a point lies in this session, in milliseconds from its beginning. A phase that lasted longer in
    /// another run ends where it ended in this one.
    #[must_use]
    pub fn time(&self, point: &Point) -> f64 {
        match self.place(point) {
            Some(index) => self.phases[index].at_ms + point.offset_ms.min(self.length(index)),
            None => point.offset_ms,
        }
    }

    /// The point at a time of this session, to the millisecond.
    #[must_use]
    pub fn point(&self, time: f64) -> Option<Point> {
        let first = self.phases.first()?;
        let phase = self.phases.iter().rev().find(|phase| phase.at_ms <= time);
        let phase = phase.unwrap_or(first);
        Some(Point {
            game: phase.game,
            after: phase.event,
            offset_ms: (time - phase.at_ms).max(0.0).round(),
        })
    }

    /// So many instants, evenly over the session, and the beginning of each phase in any case.
    #[must_use]
    pub fn evenly(&self, instants: usize) -> Vec<Point> {
        let mut parts = vec![1_u32; self.phases.len()];
        let distance = |parts: &[u32], index: usize| self.length(index) / f64::from(parts[index]);
        for _ in self.phases.len()..instants {
            let all = 0..parts.len();
            let widest = all
                .max_by(|one, other| distance(&parts, *one).total_cmp(&distance(&parts, *other)));
            if let Some(widest) = widest {
                parts[widest] += 1;
            }
        }
        let of_phase = |(index, phase): (usize, &Phase)| {
            let apart = distance(&parts, index);
            let phase = *phase;
            (0..parts[index]).map(move |part| Point {
                game: phase.game,
                after: phase.event,
                offset_ms: (apart * f64::from(part)).round(),
            })
        };
        self.phases.iter().enumerate().flat_map(of_phase).collect()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A session of one game with phases of 1, 3, 2 and 3 seconds, and 2 s of a survey.
    pub(in crate::run::sweep) fn session() -> Session {
        let phase = |event, at_ms| Phase {
            game: GameNumber::FIRST,
            event,
            at_ms,
        };
        Session {
            phases: vec![
                phase(GameEvent::SceneEntered, 0.0),
                phase(GameEvent::MatchFound, 1000.0),
                phase(GameEvent::GameStarted, 4000.0),
                phase(GameEvent::LastEpisodeEnded, 6000.0),
                phase(GameEvent::SceneActivated, 9000.0),
            ],
            end_ms: 11_000.0,
        }
    }

    #[test]
    fn a_time_is_a_point_and_a_point_a_time() {
        let session = session();
        let point = session.point(6250.4).expect("a point");
        assert_eq!(point.after, GameEvent::LastEpisodeEnded);
        assert_eq!(point.offset_ms, 250.0);
        assert_eq!(session.time(&point), 6250.0);
        let late = Point {
            offset_ms: 9999.0,
            ..point
        };
        assert_eq!(
            session.time(&late),
            9000.0,
            "the phase ends with the next one"
        );
        assert_eq!(session.point(-5.0).expect("a point").offset_ms, 0.0);
    }

    #[test]
    fn instants_are_even_and_no_phase_is_left_out() {
        let session = session();
        let points = session.evenly(16);
        assert_eq!(points.len(), 16, "{points:?}");
        for phase in &session.phases {
            assert!(
                points
                    .iter()
                    .any(|point| point.after == phase.event && point.offset_ms == 0.0),
                "{phase:?}"
            );
        }
        assert_eq!(session.evenly(1).len(), 5);
    }
}
