//! `equipment-stopped` (LIFE-02): is nothing alive that the game made, once its scene is left?

use super::equipment::{self, Running, new_since, running, tally};
use super::excuses::kept_listener;
use super::facts::{SURVIVOR, is_game, seq};
use super::games::{Game, games_of, lag, sent_after, watch_end};
use super::{Findings, OracleFinding, Stimulus};
use crate::evidence::{Direction, Event, Log, Snapshot};
use crate::spec::Equipment;

/// A page at a moment.
type Seen<'a> = (&'a Event, &'a Snapshot);

/// Asks about the survivor's page at a moment, against the same page before the game.
pub(super) fn ask(moments: &Equipment, log: &Log) -> Findings {
    let before = log.snapshot(SURVIVOR, &moments.before);
    let during = log.snapshot(SURVIVOR, &moments.during);
    let later = format!("{}/later", moments.at);
    let after = log
        .snapshot(SURVIVOR, &later)
        .or_else(|| log.snapshot(SURVIVOR, &moments.at));
    let game = after.and_then(|(event, _)| game_left_before(log, event.seq));
    let exit = game.and_then(|game| game.exit);
    let mut stimuli = vec![
        Stimulus::new(
            format!("the survivor's page before the game (`{}`)", moments.before),
            seq(before.map(|(event, _)| event)),
        ),
        Stimulus::new("the survivor left the game's scene", seq(exit)),
        Stimulus::new(
            format!(
                "a barrier after that, and the survivor's page at `{}`, still the same page",
                moments.at
            ),
            seq(watched(log, moments, before, exit, after)),
        ),
    ];
    stimuli.extend(ran(before, during, game));
    let (Some(before), Some(after), Some(exit)) = (before, after, exit) else {
        return Findings {
            stimuli,
            oracles: Vec::new(),
        };
    };
    Findings {
        stimuli,
        oracles: vec![
            ledger(before, during, after, &Exit::of(log, exit, after.1)),
            listeners(before, after),
            wire(log, exit, &moments.at),
        ],
    }
}

/// The survivor's exit, as its page knows it.
struct Exit {
    /// When, on the page's clock.
    t: f64,
    /// Whether the scene that it led to is another GymScene, which makes equipment of its own.
    into_a_game: bool,
}

impl Exit {
    fn of(log: &Log, exit: &Event, page: &Snapshot) -> Exit {
        let into_a_game = log
            .socket_events(SURVIVOR, Direction::ToClient, "activate_scene")
            .any(|(event, _, args)| event.seq == exit.seq && is_game(args));
        Exit {
            t: exit.t - lag(log, page),
            into_a_game,
        }
    }

    /// Whether the game that was left, and not the one after it, may have made something then.
    fn concerns(&self, created: f64) -> bool {
        created < self.t || !self.into_a_game
    }
}

/// Where the survivor's next game is made; the end of the log, if there is none.
fn until_next_game(log: &Log, exit: &Event) -> u64 {
    games_of(SURVIVOR, log)
        .into_iter()
        .map(|game| game.assigned.seq)
        .find(|assigned| *assigned > exit.seq)
        .unwrap_or(u64::MAX)
}

/// The survivor's last game whose scene was left by then.
fn game_left_before(log: &Log, by: u64) -> Option<Game<'_>> {
    games_of(SURVIVOR, log)
        .into_iter()
        .rfind(|game| game.exit.is_some_and(|exit| exit.seq < by))
}

/// The page at the moment, if a barrier lies between the exit and it.
fn watched<'a>(
    log: &'a Log,
    moments: &Equipment,
    before: Option<Seen<'a>>,
    exit: Option<&Event>,
    after: Option<Seen<'a>>,
) -> Option<&'a Event> {
    let (event, snapshot) = after?;
    let barrier = log.barrier(SURVIVOR, &moments.at)?;
    (before?.1.page == snapshot.page && barrier.seq > exit?.seq && barrier.seq < event.seq)
        .then_some(event)
}

/// What ran in the game and did not run before it: without that, nothing could be left.
fn ran(
    before: Option<Seen<'_>>,
    during: Option<Seen<'_>>,
    game: Option<Game<'_>>,
) -> [Stimulus; 3] {
    let in_game = during.filter(|(event, _)| {
        game.is_some_and(|game| {
            game.started.is_some_and(|started| started.seq < event.seq)
                && game.exit.is_some_and(|exit| event.seq < exit.seq)
        })
    });
    let (made, listening) = match (before, in_game) {
        (Some((_, before)), Some((_, now))) => {
            (new_since(before, now), more_listeners(before, now))
        }
        _ => (Vec::new(), Vec::new()),
    };
    let when = |seen: bool| seq(in_game.map(|(event, _)| event).filter(|_| seen));
    let told = in_game.is_some_and(|(_, now)| !now.state.listeners.is_empty());
    [
        Stimulus::new(
            "in the game a worker ran that was not there before it",
            when(made.iter().any(|one| one.what == "worker")),
        ),
        Stimulus::new(
            "in the game intervals ran that were not there before it",
            when(made.iter().any(|one| one.what != "worker")),
        ),
        Stimulus::new(
            "in the game the page listened to an event only for as long as the game lasts, \
             where its listeners can be counted",
            when(!told || listening.iter().any(|one| one.kept.is_none())),
        ),
    ]
}

/// An event that more listeners wait for than before.
struct More<'a> {
    event: &'a str,
    count: u32,
    /// Why they may stay, if they may.
    kept: Option<&'static str>,
}

fn more_listeners<'a>(before: &Snapshot, now: &'a Snapshot) -> Vec<More<'a>> {
    now.state
        .listeners
        .iter()
        .filter_map(|(event, count)| {
            let had = before.state.listeners.get(event).copied().unwrap_or(0);
            let count = count.checked_sub(had).filter(|more| *more > 0)?;
            let kept = kept_listener(event, had).filter(|_| count == 1);
            Some(More { event, count, kept })
        })
        .collect()
}

/// The probe's ledger: no worker, no interval, no time-out and no callback for the next frame of the game is left.
fn ledger(
    (first, before): Seen<'_>,
    during: Option<Seen<'_>>,
    (last, after): Seen<'_>,
    exit: &Exit,
) -> OracleFinding {
    let in_game = during
        .map(|(_, during)| new_since(before, during))
        .unwrap_or_default();
    // What is made after the exit is the game's if a script made it that made something in it.
    let is_of_game = |one: &Running| {
        let scripts = in_game.iter().map(|made| made.creator.script());
        one.created < exit.t
            || scripts
                .into_iter()
                .any(|script| script == one.creator.script())
    };
    let mut violations: Vec<String> = new_since(before, after)
        .iter()
        .filter(|one| exit.concerns(one.created) && is_of_game(one))
        .map(|one| format!("{one} is alive, {}", made_when(one.created, exit)))
        .collect();
    violations.extend(pending(
        before,
        during.map(|(_, during)| during),
        after,
        exit,
    ));
    let ended = names(&in_game);
    OracleFinding::from_violations(
        "ledger",
        violations,
        format!(
            "nothing of the game is alive among {} workers and intervals; these were seen in it \
             and have ended: {}",
            running(&after.state).len(),
            ended.join(", ")
        ),
        [Some(first), during.map(|(event, _)| event), Some(last)]
            .into_iter()
            .flatten()
            .map(|event| event.seq)
            .collect(),
    )
}

fn names(running: &[Running]) -> Vec<String> {
    tally(running.iter().map(Running::to_string))
        .into_iter()
        .map(|(name, count)| match count {
            1 => name,
            _ => format!("{count} × {name}"),
        })
        .collect()
}

fn made_when(created: f64, exit: &Exit) -> String {
    let seconds = (exit.t - created).abs() / 1000.0;
    if created < exit.t {
        format!("made {seconds:.1} s before the exit")
    } else {
        format!("made {seconds:.1} s after the exit")
    }
}

/// Time-outs and callbacks for the next frame that are still to come and belong to the game: set before the exit, set
/// anew ever since, or set by a place of code that did so in the game; never by one that did so before it.
fn pending(
    before: &Snapshot,
    during: Option<&Snapshot>,
    after: &Snapshot,
    exit: &Exit,
) -> Vec<String> {
    let old = equipment::pending(&before.state);
    let in_game = during
        .map(|page| equipment::pending(&page.state))
        .unwrap_or_default();
    equipment::pending(&after.state)
        .iter()
        .filter(|one| {
            let same = |other: &equipment::Pending| other.is_as(one);
            let was_in_game = in_game.iter().any(same);
            !old.iter().any(same)
                && (one.since < exit.t || (was_in_game && exit.concerns(one.created)))
        })
        .map(|one| format!("{one}, {}", made_when(one.since, exit)))
        .collect()
}

/// The client's socket: no event has more listeners than before the game.
fn listeners((first, before): Seen<'_>, (last, after): Seen<'_>) -> OracleFinding {
    if before.state.listeners.is_empty() || after.state.listeners.is_empty() {
        return OracleFinding::absent("listeners", "the client's listeners cannot be counted");
    }
    let more = more_listeners(before, after);
    let violations = more
        .iter()
        .filter(|one| one.kept.is_none())
        .map(|one| {
            format!(
                "{} more listeners of `{}` than before the game",
                one.count, one.event
            )
        })
        .collect();
    let mut account = "no event has more listeners than before the game".to_owned();
    if let Some(reason) = more.iter().find_map(|one| one.kept) {
        account = format!("{account}, but for {} events: {reason}", more.len());
    }
    OracleFinding::from_violations("listeners", violations, account, vec![first.seq, last.seq])
}

/// The wire: the page sends nothing of a game any more.
fn wire(log: &Log, exit: &Event, at: &str) -> OracleFinding {
    let end = watch_end(log, at).map(|(end, _)| until_next_game(log, exit).min(end.seq));
    let Some(sent) = end.and_then(|end| sent_after(log, exit, end)) else {
        return OracleFinding::absent("wire", "the time after the exit was not watched");
    };
    let violations = tally(sent.iter().map(|(_, name)| *name))
        .into_iter()
        .map(|(name, count)| format!("the page still sent `{name}`, {count} times"))
        .collect();
    OracleFinding::from_violations(
        "wire",
        violations,
        "the page sent nothing of a game after the exit",
        sent.iter()
            .map(|(event, _)| event.seq)
            .chain([exit.seq])
            .collect(),
    )
}
