//! Where the next run of a track is to be.

use super::windows::{LEAST_RUNS, REACH_MS, Stretch, stretches};
use super::{Point, Sample, Session, Track};

/// How near to each other the runs on the two sides of an edge shall come, in milliseconds.
const RESOLUTION_MS: f64 = 50.0;

/// How many runs a place next to an edge is worth at most: where who comes first is chance, more of them
/// make it no sharper.
const MOST_AT_AN_EDGE: usize = 24;

/// How often an instant is tried that decides nothing.
const MOST_TRIES: usize = 2;

/// What is to be looked at.
#[derive(Debug, Clone, Copy)]
pub struct Plan<'a> {
    /// The checks, the most important one first.
    pub checks: &'a [&'a str],
    /// How many instants the session is looked at first.
    pub instants: usize,
}

impl Plan<'_> {
    /// The next run of a track; `pending` are those that are under way. `None` where nothing more is to be
    /// found, or where that must be awaited.
    #[must_use]
    pub fn next(&self, track: &Track, pending: &[Point]) -> Option<Point> {
        let session = track.session.as_ref()?;
        self.first(track, session, pending).or_else(|| {
            // The edge that was looked at least comes first: none waits for another one.
            let checks = self.checks.iter();
            let all = checks.flat_map(|check| at_edges(track, session, pending, check));
            all.min_by_key(|edge| edge.tried).map(|edge| edge.next)
        })
    }

    /// How many runs the even instants still need.
    #[must_use]
    pub fn first_left(&self, track: &Track) -> usize {
        let Some(session) = &track.session else {
            return self.instants;
        };
        let points = session.evenly(self.instants);
        points.iter().filter(|point| !is_done(track, point)).count()
    }

    fn first(&self, track: &Track, session: &Session, pending: &[Point]) -> Option<Point> {
        session
            .evenly(self.instants)
            .into_iter()
            .find(|point| !pending.contains(point) && !is_done(track, point))
    }
}

/// Whether an instant was looked at, or decides nothing however often that is done.
fn is_done(track: &Track, point: &Point) -> bool {
    let tries = track.samples.iter().filter(|one| one.wanted == *point);
    let decides = |one: &Sample| {
        one.verdicts
            .keys()
            .any(|check| one.decided(check).is_some())
    };
    tries.clone().any(decides) || tries.count() >= MOST_TRIES
}

/// An edge that is not settled.
struct Unsettled {
    /// How many runs were, or are, next to it.
    tried: usize,
    /// The next one.
    next: Point,
}

/// The next run at each edge of a check's windows: where its sides are far apart, in their middle; else on
/// the side that rests on fewer runs.
fn at_edges(track: &Track, session: &Session, pending: &[Point], check: &str) -> Vec<Unsettled> {
    let lag = lag(track, session);
    let stretches = stretches(track, session, check);
    let unsettled = stretches.windows(2).filter_map(|pair| {
        let (before, behind) = (&pair[0], &pair[1]);
        let (last, first) = (before.last(), behind.first());
        let near = |time: f64| time > last - REACH_MS && time < first + REACH_MS;
        let under_way = pending
            .iter()
            .filter(|point| near(session.time(point) + lag))
            .count();
        let tried = track.samples.iter();
        let tried = tried.filter(|one| near(session.time(&one.wanted) + lag));
        let tried = tried.count() + under_way;
        if tried >= MOST_AT_AN_EDGE {
            return None;
        }
        let at = |time: f64| {
            let next = session.point(time - lag)?;
            Some(Unsettled { tried, next })
        };
        if first - last > RESOLUTION_MS {
            let middle = f64::midpoint(last, first);
            let halves = pending.iter().any(|point| {
                let time = session.time(point) + lag;
                time > last && time < first
            });
            return match halves {
                true => None,
                false => at(middle),
            };
        }
        let has = |stretch: &Stretch<'_>| {
            let runs = stretch.runs.iter().filter(|run| near(run.time));
            runs.count().min(LEAST_RUNS)
        };
        let (had, has) = (has(before), has(behind));
        let missing = (LEAST_RUNS - had) + (LEAST_RUNS - has);
        if missing <= under_way {
            return None;
        }
        // Not always at the same place: the sides have a spread.
        let step = RESOLUTION_MS * (0.5 + 0.5 * ((had + has + under_way) % 4) as f64);
        let time = match had <= has {
            true => last - step,
            false => first + step,
        };
        at(time)
    });
    unsettled.collect()
}

/// How much later than asked for a departure is, by those that were.
fn lag(track: &Track, session: &Session) -> f64 {
    let mut lags: Vec<f64> = track
        .samples
        .iter()
        .filter_map(|one| Some(session.time(&one.seen(session)?) - session.time(&one.wanted)))
        .collect();
    lags.sort_by(f64::total_cmp);
    lags.get(lags.len() / 2).copied().unwrap_or(0.0).max(0.0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::run::sweep::session::tests::session;
    use crate::run::sweep::{Passed, Role, windows};
    use crate::spec::{GameEvent, WayToLeave};
    use crate::verdict::Verdict;

    const CHECK: &str = "sound-after-departure";

    fn track() -> Track {
        Track {
            how: WayToLeave::Kill,
            role: Role::Behind,
            pair: "chrome+chrome".parse().expect("a pair"),
            session: Some(session()),
            run_seconds: 40.0,
            samples: Vec::new(),
            windows: Vec::new(),
        }
    }

    /// A run on a target that fails where `fails` says so, which departs `lag` later than it should.
    fn sample(wanted: Point, lag: f64, fails: impl Fn(f64) -> bool) -> Sample {
        let session = session();
        let went = session.time(&wanted) + lag;
        let passed: Vec<Passed> = session
            .phases
            .iter()
            .filter(|phase| phase.at_ms <= went)
            .map(|phase| Passed {
                game: phase.game,
                event: phase.event,
                before_ms: went - phase.at_ms,
            })
            .collect();
        let verdict = match fails(went) {
            true => Verdict::Fail,
            false => Verdict::Pass,
        };
        Sample {
            wanted,
            passed,
            verdicts: BTreeMap::from([(CHECK.to_owned(), verdict)]),
            accounts: BTreeMap::new(),
            spec: String::new(),
            repetition: 1,
        }
    }

    /// Plays a whole sweep on a target, with so many runs under way at once.
    fn sweep(at_once: usize, fails: impl Fn(f64) -> bool, lag: impl Fn(usize) -> f64) -> Track {
        let plan = Plan {
            checks: &[CHECK],
            instants: 16,
        };
        let mut track = track();
        let mut pending: Vec<Point> = Vec::new();
        for run in 0..500 {
            while pending.len() < at_once
                && let Some(next) = plan.next(&track, &pending)
            {
                pending.push(next);
            }
            if pending.is_empty() {
                return track;
            }
            let point = pending.remove(0);
            track.samples.push(sample(point, lag(run), &fails));
        }
        panic!("it never ends");
    }

    #[test]
    fn a_window_is_found_with_edges_that_rest_on_five_runs_each() {
        for at_once in [1, 3] {
            let fails = |time: f64| (6000.0..8900.0).contains(&time);
            let track = sweep(at_once, fails, |run| 80.0 + (run % 5) as f64 * 10.0);
            let found = windows(&track, CHECK);
            let [window] = found.as_slice() else {
                panic!("{found:?}");
            };
            let (from, to) = (window.from.as_ref(), window.to.as_ref());
            let (from, to) = (from.expect("an edge"), to.expect("an edge"));
            assert!(from.is_settled() && to.is_settled(), "{from} and {to}");
            assert_eq!(from.behind.after, GameEvent::LastEpisodeEnded);
            assert!(from.behind.spread_ms.0 <= 60.0, "{from}");
            assert_eq!(to.before.after, GameEvent::LastEpisodeEnded);
            assert!((to.before.spread_ms.1 - 2900.0).abs() < 60.0, "{to}");
            assert!(track.samples.len() < 60, "{} runs", track.samples.len());
        }
    }

    #[test]
    fn nothing_is_tried_twice_where_nothing_fails() {
        let track = sweep(2, |_| false, |_| 50.0);
        assert_eq!(track.samples.len(), 16);
        assert!(windows(&track, CHECK).is_empty());
    }

    #[test]
    fn an_edge_where_chance_decides_ends_all_the_same() {
        let turn = std::cell::Cell::new(0_u32);
        let fails = |time: f64| {
            turn.set(turn.get().wrapping_mul(1_103_515_245).wrapping_add(12_345));
            match time {
                time if time < 5800.0 => false,
                time if time < 6200.0 => (turn.get() >> 16) & 1 == 0,
                time => time < 9000.0,
            }
        };
        let track = sweep(2, fails, |_| 50.0);
        let found = windows(&track, CHECK);
        assert!(!found.is_empty() && track.samples.len() < 120, "{found:?}");
    }

    #[test]
    fn a_window_that_reaches_the_first_instant_has_no_edge_there() {
        let track = sweep(2, |time| time < 3000.0, |_| 50.0);
        let found = windows(&track, CHECK);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].from, None);
        assert!(found[0].to.as_ref().is_some_and(|edge| edge.is_settled()));
    }

    #[test]
    fn what_decides_nothing_is_tried_twice() {
        let plan = Plan {
            checks: &[CHECK],
            instants: 5,
        };
        let mut track = track();
        let first = plan.next(&track, &[]).expect("a run");
        for _ in 0..MOST_TRIES {
            assert_eq!(plan.next(&track, &[]).expect("a run"), first);
            let mut vacuous = sample(first, 50.0, |_| false);
            vacuous.verdicts.insert(CHECK.to_owned(), Verdict::Vacuous);
            track.samples.push(vacuous);
        }
        assert_ne!(plan.next(&track, &[]).expect("a run"), first);
    }
}
