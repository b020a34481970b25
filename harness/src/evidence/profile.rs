//! On what the time of a run went: what the target and its page impose, and what was gymcheck's own.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fact::{Event, Fact, StepPhase};
use super::log::Log;
use crate::spec::{GameEvent, GameNumber, PlayerName, Spec, Step};

/// What a moment of a run was spent on.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Spent {
    /// Server, drivers and browsers came up, until the first step.
    Start,
    /// The page loaded, with its Python, up to the match: with the clicks that lead there.
    Loading,
    /// A countdown of the target's, before a game or after it.
    Countdown,
    /// A game was played.
    Game,
    /// The target noticed by its own time-out that a player was gone.
    TimeOut,
    /// A player left, until it was seen at its browser, at the gateway, and by the target.
    Departure,
    /// Everything was taken down, behind barriers and with a watch between them.
    Observation,
    /// All else that the steps did: forms that were answered, events that were awaited.
    Steps,
    /// Server and browsers were ended, and what they had left was read.
    End,
}

impl Spent {
    /// All of them, in the order in which a run usually has them.
    pub const ALL: [Spent; 9] = [
        Spent::Start,
        Spent::Loading,
        Spent::Countdown,
        Spent::Game,
        Spent::TimeOut,
        Spent::Departure,
        Spent::Observation,
        Spent::Steps,
        Spent::End,
    ];

    /// Whether it is gymcheck's own: without it, the same could be played in less time.
    #[must_use]
    pub fn is_own(self) -> bool {
        match self {
            Spent::Loading | Spent::Countdown | Spent::Game | Spent::TimeOut => false,
            Spent::Start | Spent::Departure | Spent::Observation | Spent::Steps | Spent::End => {
                true
            }
        }
    }

    /// In a word or two, for a person.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Spent::Start => "start",
            Spent::Loading => "loading",
            Spent::Countdown => "countdowns",
            Spent::Game => "games",
            Spent::TimeOut => "time-out",
            Spent::Departure => "departure",
            Spent::Observation => "observation",
            Spent::Steps => "other steps",
            Spent::End => "end",
        }
    }
}

/// A part of a run's time that was spent on one thing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Span {
    /// On what.
    pub on: Spent,
    /// From when on, in milliseconds since the run began.
    pub from_ms: f64,
    /// Until when.
    pub to_ms: f64,
}

/// On what the time of a run went, as the survivor has lived it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Profile {
    /// The sum of each, in seconds.
    pub seconds: BTreeMap<Spent, f64>,
    /// One after the other without a gap, from the run's first event to its last.
    pub spans: Vec<Span>,
}

impl Profile {
    /// How many seconds were gymcheck's own.
    #[must_use]
    pub fn own_seconds(&self) -> f64 {
        let own = self.seconds.iter().filter(|(on, _)| on.is_own());
        own.map(|(_, seconds)| seconds).sum()
    }
}

/// Times that are painted one over the other.
#[derive(Default)]
struct Layers {
    layers: Vec<Span>,
}

impl Layers {
    /// Paints a stretch of time over what is there.
    fn paint(&mut self, on: Spent, from: f64, to: f64) {
        if from < to {
            self.layers.push(Span {
                on,
                from_ms: from,
                to_ms: to,
            });
        }
    }

    /// What can be seen of it from above.
    fn spans(&self) -> Vec<Span> {
        let ends = self.layers.iter().flat_map(|one| [one.from_ms, one.to_ms]);
        let mut ends: Vec<f64> = ends.collect();
        ends.sort_by(f64::total_cmp);
        ends.dedup();
        let mut spans: Vec<Span> = Vec::new();
        for between in ends.windows(2) {
            let (from, to) = (between[0], between[1]);
            let covers = |one: &&Span| one.from_ms <= from && to <= one.to_ms;
            let Some(top) = self.layers.iter().rfind(covers) else {
                continue;
            };
            match spans.last_mut() {
                Some(last) if last.on == top.on && last.to_ms == from => last.to_ms = to,
                _ => spans.push(Span {
                    on: top.on,
                    from_ms: from,
                    to_ms: to,
                }),
            }
        }
        spans
    }
}

impl Log {
    /// On what the run's time went.
    #[must_use]
    pub fn profile(&self, spec: &Spec) -> Profile {
        let (Some(first), Some(last)) = (self.events().first(), self.events().last()) else {
            return Profile::default();
        };
        let mut layers = Layers::default();
        layers.paint(Spent::Steps, first.t, last.t);
        self.paint_life(spec, &mut layers, last.t);
        self.paint_departures(&mut layers, last.t);
        self.paint_steps(spec, &mut layers, first.t, last.t);
        let spans = layers.spans();
        let mut seconds: BTreeMap<Spent, f64> = BTreeMap::new();
        for span in &spans {
            *seconds.entry(span.on).or_default() += (span.to_ms - span.from_ms) / 1000.0;
        }
        Profile { seconds, spans }
    }

    /// What the target and its page impose on the survivor: its way into each game, the countdown before it,
    /// the game, and the countdown after it.
    fn paint_life(&self, spec: &Spec, layers: &mut Layers, end: f64) {
        let survivor = PlayerName::Survivor.as_str();
        let life = self.life(survivor, &spec.body.experiment);
        let requests = |event: &&Event| matches!(event.fact, Fact::Http(_));
        // The page loads its Python before the first game, wherever that is needed first.
        let mut loading = self.of(survivor).find(requests).map(|event| event.t);
        for (index, game) in self.games(survivor).iter().enumerate() {
            let number = GameNumber::after(index);
            let when = |what: GameEvent| {
                let mut life = life.iter();
                let found = life.find(|one| (one.game, one.what) == (number, what));
                found.map(|one| one.event.t)
            };
            let left = game.left.map_or(end, |left| left.t);
            let loads_from = loading.take().unwrap_or(game.activated.t);
            let matched = when(GameEvent::MatchFound);
            let started = when(GameEvent::GameStarted);
            let is_ready = matched.or(started).or(when(GameEvent::JoinSent));
            layers.paint(Spent::Loading, loads_from, is_ready.unwrap_or(left));
            let Some(started) = started else { continue };
            layers.paint(Spent::Countdown, matched.unwrap_or(started), started);
            let ended = when(GameEvent::LastEpisodeEnded).unwrap_or(left);
            layers.paint(Spent::Game, started, ended);
            layers.paint(Spent::Countdown, ended, left);
        }
        // Nobody came to a game: what the page has loaded was all.
        if let Some(from) = loading {
            layers.paint(Spent::Loading, from, end);
        }
    }

    /// The departures of players: who tells nobody is missed by the target's own time-out.
    fn paint_departures(&self, layers: &mut Layers, end: f64) {
        let mut leaving: BTreeMap<&str, (f64, Spent)> = BTreeMap::new();
        for event in self.events() {
            let Some(player) = event.player.as_deref() else {
                continue;
            };
            match &event.fact {
                Fact::Leaving(fact) => {
                    let on = match fact.how.is_silent() {
                        true => Spent::TimeOut,
                        false => Spent::Departure,
                    };
                    leaving.insert(player, (event.t, on));
                }
                Fact::Departed(_) => {
                    if let Some((from, on)) = leaving.remove(player) {
                        layers.paint(on, from, event.t);
                    }
                }
                _ => {}
            }
        }
        for (from, on) in leaving.into_values() {
            layers.paint(on, from, end);
        }
    }

    /// What is before the first step and after the last one, and the observations between them.
    fn paint_steps(&self, spec: &Spec, layers: &mut Layers, begin: f64, end: f64) {
        let mut begun: Option<f64> = None;
        let mut done = end;
        for event in self.events() {
            let Fact::Step(step) = &event.fact else {
                continue;
            };
            if step.phase == StepPhase::Begun {
                if begun.is_none() {
                    layers.paint(Spent::Start, begin, event.t);
                }
                begun = Some(event.t);
                done = end;
                continue;
            }
            done = event.t;
            let observes = matches!(spec.body.steps.get(step.index), Some(Step::Observe(_)));
            if let (true, Some(from)) = (observes, begun) {
                layers.paint(Spent::Observation, from, event.t);
            }
        }
        match begun {
            Some(_) => layers.paint(Spent::End, done, end),
            None => layers.paint(Spent::Start, begin, end),
        }
    }
}
