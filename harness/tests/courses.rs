//! Where the evidence of two runs of the same spec parts: recorded logs, and what is made of them.

#[path = "support/logs.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod logs;

use gymcheck::evidence::{Chance, Course, Event, Fact, Log, Parting, Sight, StepPhase};
use gymcheck::report::{Results, repeated_with_partings};
use gymcheck::verdict::Verdict;
use logs::{changed, inserted, is_socket_event, position, recorded, socket_event, without};
use serde_json::json;

fn parting(one: &Log, other: &Log) -> Option<Parting> {
    let (one, other) = (Course::of(one), Course::of(other));
    let none = Chance::default();
    let came = one.part(&other, Sight::Came, &none);
    came.or_else(|| one.part(&other, Sight::Order, &none))
}

/// The same run on a slower machine, with other numbers: what never tells two runs apart.
fn slower(log: &Log) -> Log {
    changed(log, |event| {
        event.seq += 1000;
        event.t = event.t * 1.5 + 700.0;
        if let Fact::Page(page) = &mut event.fact {
            page.page_t = page.page_t * 1.5 + 700.0;
        }
        true
    })
}

#[test]
fn runs_that_differ_in_times_and_numbers_alone_do_not_part() {
    for name in ["good", "in-game", "late-end-not-guarded"] {
        let log = recorded(name);
        assert_eq!(parting(&log, &log), None, "{name}");
        assert_eq!(parting(&log, &slower(&log)), None, "{name}");
    }
}

#[test]
fn how_often_a_ping_comes_is_a_matter_of_time() {
    let log = recorded("good");
    let mut times = 0;
    let fewer = changed(&log, |event| {
        let is_ping = is_socket_event(event, "survivor", "ping");
        let is_pong = is_socket_event(event, "survivor", "pong");
        times += u32::from(is_ping || is_pong);
        !((is_ping || is_pong) && times.is_multiple_of(3))
    });
    assert_ne!(fewer.events().len(), log.events().len());
    assert_eq!(parting(&log, &fewer), None);
}

#[test]
fn an_event_that_came_once_more_or_never_is_where_they_part() {
    let log = recorded("good");
    let at = position(&log, |event| {
        is_socket_event(event, "survivor", "start_game")
    });
    let event = &log.events()[at];
    let missing = without(&log, |event| {
        is_socket_event(event, "survivor", "start_game")
    });
    for (one, other, is_first) in [(&log, &missing, true), (&missing, &log, false)] {
        let parting = parting(one, other).expect("they part");
        assert_eq!(parting.player.as_deref(), Some("survivor"));
        assert_eq!(parting.source, "events to the page");
        let (there, next) = match is_first {
            true => (parting.one, parting.other),
            false => (parting.other, parting.one),
        };
        let there = there.expect("it came there");
        assert_eq!((there.what.as_str(), there.seq), ("start_game", event.seq));
        assert!((there.t - event.t).abs() < 1e-9);
        assert_ne!(next.map(|next| next.what).as_deref(), Some("start_game"));
    }
    let twice = inserted(&log, at, [event.clone()]);
    let other = parting(&log, &twice).expect("they part").other;
    assert_eq!(other.expect("it came again").what, "start_game");
}

#[test]
fn what_comes_all_the_time_is_missed_in_the_scene_in_which_it_did_not_come() {
    let log = recorded("good");
    let survey = log.scenes("survivor").nth(2).expect("a third scene").0.seq;
    let silent = without(&log, |event| {
        is_socket_event(event, "survivor", "ping") && event.seq > survey
    });
    let parting = parting(&log, &silent).expect("they part");
    let one = parting.one.expect("it came");
    assert_eq!(
        (one.what.as_str(), one.scene.as_deref()),
        ("ping", Some("survey-1"))
    );
    assert_eq!(parting.other, None);
    // As often, and in another scene.
    let game = log.scenes("survivor").nth(1).expect("a second scene").0.seq;
    let silent_before = without(&log, |event| {
        is_socket_event(event, "survivor", "ping") && (game..survey).contains(&event.seq)
    });
    let silent_then = without(&log, |event| {
        let end = log
            .scenes("survivor")
            .nth(3)
            .map_or(u64::MAX, |(event, _)| event.seq);
        is_socket_event(event, "survivor", "ping") && (survey..end).contains(&event.seq)
    });
    assert_ne!(self::parting(&silent_before, &silent_then), None);
}

/// Both logs of one run, one of them slower: the first place by what both agree in, not by the clock.
#[test]
fn the_first_of_two_places_is_told() {
    let log = recorded("good");
    let without_event =
        |log: &Log, name: &str| without(log, |event| is_socket_event(event, "survivor", name));
    // On its own clock the slower run has the earlier event after the later one of the other.
    let early = without_event(&log, "emit_episode_data");
    let late = without_event(&slower(&log), "static_scene_data_emission");
    let at = |log: &Log, name: &str| {
        let place = position(log, |event| is_socket_event(event, "survivor", name));
        log.events()[place].t
    };
    assert!(at(&late, "emit_episode_data") > at(&early, "static_scene_data_emission"));
    for parting in [parting(&late, &early), parting(&early, &late)] {
        let parting = parting.expect("they part");
        let both = parting.one.into_iter().chain(parting.other);
        assert!(
            both.map(|one| one.what)
                .any(|what| what == "emit_episode_data")
        );
    }
}

#[test]
fn a_step_that_was_missed_and_an_event_that_the_gateway_made_part_runs() {
    let log = recorded("good");
    let missed = changed(&log, |event| {
        if let Fact::Step(step) = &mut event.fact
            && step.step == "survivor answers and continues"
            && step.phase == StepPhase::Done
        {
            step.phase = StepPhase::Missed;
        }
        true
    });
    let parted = parting(&log, &missed).expect("they part");
    assert_eq!((parted.player, parted.source.as_str()), (None, "the steps"));
    assert_eq!(
        parted.after.as_deref(),
        Some("survivor answers and continues: begun")
    );
    let at = position(&log, |event| {
        is_socket_event(event, "survivor", "p2p_game_ended")
    });
    let natural = changed(&log, |event| {
        if is_socket_event(event, "survivor", "p2p_game_ended") {
            *event = socket_event(event, "p2p_game_ended", json!({}));
        }
        true
    });
    let parted = parting(&log, &natural).expect("they part");
    let both = parted.one.into_iter().chain(parted.other);
    assert!(both.map(|one| one.seq).eq([log.events()[at].seq]));
}

/// The mutant's run shows the overlay on the survey; a run of the same spec without it does not.
#[test]
fn of_two_recorded_runs_the_parting_names_events_of_both_logs() {
    let (good, bad) = (
        recorded("cleanup-not-called"),
        recorded("late-end-not-guarded"),
    );
    let parting = parting(&good, &bad).expect("they part");
    assert!(parting.agreed > 20, "{parting:?}");
    for (moment, log) in [(&parting.one, &good), (&parting.other, &bad)] {
        let Some(moment) = moment else { continue };
        let is_it = |event: &&Event| event.seq == moment.seq;
        let event = log.events().iter().find(is_it).expect("such an event");
        assert_eq!(event.player, parting.player);
    }
}

/// Which of two players comes first is chance, and told as one of the two runs that decided the same.
#[test]
fn what_tells_apart_runs_that_decided_the_same_explains_nothing() {
    let log = recorded("good");
    let first = Course::of(&log);
    let other_came_first = changed(&log, |event| {
        for (first, other) in [("survivor", "partner"), ("partner", "survivor")] {
            if is_socket_event(event, first, "waiting_room") {
                event.player = Some(other.to_owned());
                break;
            }
        }
        true
    });
    let same = Course::of(&other_came_first);
    let different = Course::of(&without(&other_came_first, |event| {
        is_socket_event(event, "survivor", "static_scene_data_emission")
    }));
    let mut chance = Chance::default();
    let what = |chance: &Chance| {
        let parting = first
            .part(&different, Sight::Came, chance)
            .expect("they part");
        parting.one.or(parting.other).expect("one of the two").what
    };
    assert_eq!(what(&chance), "waiting_room");
    chance.learn(&first, &same, Sight::Came);
    assert_eq!(first.part(&same, Sight::Came, &chance), None);
    assert_eq!(what(&chance), "static_scene_data_emission");
}

#[test]
fn two_runs_in_which_the_same_came_are_told_apart_by_its_order() {
    let log = recorded("good");
    let at = position(&log, |event| {
        is_socket_event(event, "survivor", "start_game")
    });
    let event = log.events()[at].clone();
    let rest = without(&log, |one| one.seq == event.seq);
    let scenes = log.scenes("survivor");
    let survey = scenes
        .map(|(event, _)| event.seq)
        .nth(2)
        .expect("a third scene");
    let later = position(&rest, |one| one.seq > survey);
    let swapped = inserted(&rest, later, [event]);
    let (one, other) = (Course::of(&log), Course::of(&swapped));
    let none = Chance::default();
    assert_eq!(one.part(&other, Sight::Came, &none), None);
    let order = one.part(&other, Sight::Order, &none).expect("they part");
    assert_eq!(order.one.expect("it came").what, "start_game");
}

/// Three runs in a folder, one of which differs: counted from the records, parted by the evidence.
#[test]
fn a_check_that_differs_is_unstable_and_told_with_the_two_runs_that_agree_longest() {
    let out = tempfile::tempdir().expect("a folder");
    let log = recorded("good");
    let late = without(&log, |event| {
        is_socket_event(event, "survivor", "static_scene_data_emission")
    });
    let early = without(&late, |event| {
        is_socket_event(event, "survivor", "start_game")
    });
    let runs = [(&early, "pass"), (&log, "pass"), (&late, "fail")];
    let mut results = Results::new(Vec::new());
    for (number, (log, verdict)) in (1..).zip(runs) {
        let folder = format!("runs/{number}");
        write(log, &out.path().join(&folder));
        let run = json!({
            "spec": "a/b", "pair": "chrome+chrome", "target": "mug@1", "verdict": verdict,
            "expected": "pass", "attempts": 1, "folder": folder, "seconds": 1.0,
            "repetition": number,
            "checks": [
                {"check": "c", "requirement": "P2P-01", "verdict": verdict, "account": "a",
                 "stimuli": [], "oracles": []},
                {"check": "d", "requirement": "P2P-02", "verdict": "pass", "account": "a",
                 "stimuli": [], "oracles": []},
            ],
        });
        results
            .runs
            .push(serde_json::from_value(run).expect("a run"));
    }
    let repeated = repeated_with_partings(&results.runs, out.path());
    let [only] = repeated.as_slice() else {
        panic!("{repeated:?}")
    };
    let [differs, steady] = only.checks.as_slice() else {
        panic!("{only:?}")
    };
    assert_eq!(steady.steadiness.verdict, Verdict::Pass);
    assert_eq!((steady.steadiness.decided, &steady.apart), (3, &None));
    assert_eq!(differs.steadiness.verdict, Verdict::Unstable);
    let apart = differs.apart.as_ref().expect("two runs");
    assert_eq!((apart.one.repetition, apart.other.repetition), (2, 3));
    assert!(
        apart.account().starts_with(
            "they part at the survivor, events from the page after `sync_globals`: time 2 (pass) has \
             `static_scene_data_emission` in scene end at "
        ),
        "{}",
        apart.account()
    );
    // The run is told by its check.
    assert_eq!((only.whole.is_unstable(), &only.apart), (true, &None));
    assert_eq!(only.unstable().count(), 1);
}

fn write(log: &Log, folder: &std::path::Path) {
    std::fs::create_dir_all(folder).expect("a folder");
    let mut text = "{\"gymcheck_evidence\": 1}\n".to_owned();
    for event in log.events() {
        text += &serde_json::to_string(event).expect("JSON");
        text += "\n";
    }
    std::fs::write(folder.join("evidence.jsonl"), text).expect("written");
}
