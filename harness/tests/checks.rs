//! Each check on a recorded good log, on that log without each of its stimuli, and on that log as
//! the mistakes of a maintainer would have made it. No browser takes part.

#[path = "support/logs.rs"]
mod logs;

use gymcheck::evidence::{
    Direction, Event, Fact, FrameState, Log, Packet, PageEvent, PageFact, PageState, TimerState,
};
use gymcheck::run::find_root;
use gymcheck::spec::{Catalogue, CheckSpec, Expectation, Spec};
use gymcheck::verdict::{CheckResult, Verdict, expect, judge};
use logs::*;

const HEADLINE: &str = "scene-exit/partner-dies-on-survey";

/// The spec that a log is of, with one check alone, as a spec file would ask it.
fn spec(ask: &str, log: &Log) -> Spec {
    let catalogue = Catalogue::read(&find_root()).expect("the checkout's specs");
    let name = log.run().map_or(HEADLINE, |run| run.spec.as_str());
    let mut spec = catalogue.spec(name).expect("a spec").clone();
    let check: CheckSpec =
        toml::from_str(&format!("requirement = \"X\"\nask = {ask}")).expect("a check");
    spec.body.checks = vec![check];
    spec
}

fn asked(ask: &str, log: &Log) -> CheckResult {
    judge(&spec(ask, log), log).checks.remove(0)
}

#[track_caller]
fn passes(ask: &str, log: &Log) {
    let result = asked(ask, log);
    assert_eq!(result.verdict, Verdict::Pass, "{result:#?}");
}

#[track_caller]
fn is_vacuous(ask: &str, what: &str, log: &Log) {
    let result = asked(ask, log);
    assert_eq!(
        result.verdict,
        Verdict::Vacuous,
        "without {what}: {result:#?}"
    );
}

/// The check fails, by this oracle, which says this.
#[track_caller]
fn fails(ask: &str, oracle: &str, says: &str, log: &Log) {
    let result = asked(ask, log);
    assert_eq!(result.verdict, Verdict::Fail, "{result:#?}");
    assert!(
        result.account.contains(&format!("{oracle}: ")) && result.account.contains(says),
        "expected {oracle} to say {says}: {}",
        result.account
    );
}

/// The recorded headline run on the release.
fn good() -> Log {
    recorded("good")
}

fn is_barrier(event: &Event) -> bool {
    matches!(event.fact, Fact::Barrier(_))
}

/// Where the survivor's events of this name stand.
fn places(log: &Log, name: &str) -> Vec<usize> {
    log.events()
        .iter()
        .enumerate()
        .filter(|(_, event)| is_socket_event(event, "survivor", name))
        .map(|(place, _)| place)
        .collect()
}

/// Where the survivor comes from its game to the survey.
fn exit(log: &Log) -> usize {
    let began = places(log, "start_game")[0];
    let mut scenes = places(log, "activate_scene").into_iter();
    scenes.find(|place| *place > began).expect("it left")
}

/// The log in which the survivor is never moved on from its game.
fn without_exit(log: &Log) -> Log {
    let began = places(log, "start_game")[0] as u64;
    without(log, |event| {
        event.seq > began && is_socket_event(event, "survivor", "activate_scene")
    })
}

/// The overlay of the mid-game run, which tells the survivor that its partner has left.
fn overlay() -> Event {
    let log = recorded("in-game");
    let place = position(&log, |event| {
        is_of(event, "survivor")
            && matches!(&event.fact, Fact::Page(page)
                if matches!(&page.what, PageFact::Overlay(one)
                    if one.visible && one.known.as_deref() == Some("partnerDisconnectedContainer")))
    });
    log.events()[place].clone()
}

/// Whether it tells of a player's leaving.
fn is_of_a_departure(event: &Event) -> bool {
    matches!(
        event.fact,
        Fact::Process(_) | Fact::Leaving(_) | Fact::Departed(_)
    )
}

mod scene_order {
    use super::*;

    const ASK: &str = "{ scene-order = {} }";

    #[test]
    fn a_whole_run_passes_as_do_the_other_recorded_ones() {
        for name in ["good", "cleanup-not-called", "late-end-not-guarded"] {
            passes(ASK, &recorded(name));
        }
    }

    #[test]
    fn without_an_exit_from_a_finished_game_it_is_vacuous() {
        let good = good();
        let complete = without(&good, |event| {
            is_socket_event(event, "survivor", "multiplayer_game_complete")
        });
        is_vacuous(ASK, "the end of the game", &complete);
        is_vacuous(ASK, "a barrier", &without(&good, is_barrier));
        is_vacuous(ASK, "an exit", &recorded("in-game"));
    }

    #[test]
    fn the_next_scene_before_the_end_of_this_one_fails() {
        let good = good();
        let (end, next) = (places(&good, "terminate_scene")[1], exit(&good));
        let mut events = good.events().to_vec();
        events.swap(end, next);
        fails(
            ASK,
            "wire",
            "began before `game-1` was ended",
            &in_order(events),
        );
    }

    #[test]
    fn a_scene_that_is_ended_twice_fails() {
        let good = good();
        let end = places(&good, "terminate_scene")[1];
        let twice = inserted(&good, end, [good.events()[end].clone()]);
        fails(ASK, "wire", "`game-1` was ended a second time", &twice);
    }

    #[test]
    fn a_second_advance_fails_wherever_it_falls() {
        let good = good();
        let advance = places(&good, "advance_scene")[1];
        let again = good.events()[advance].clone();
        let at_once = inserted(&good, advance, [again.clone()]);
        fails(
            ASK,
            "wire",
            "a second advance_scene from `game-1`",
            &at_once,
        );
        let next = exit(&good);
        let later = inserted(&good, next + 1, [again]);
        fails(ASK, "wire", "advance_scene from `survey-1`, where", &later);
    }

    #[test]
    fn a_game_that_is_skipped_fails() {
        let skipped = without(&good(), |event| {
            is_socket_event(event, "survivor", "multiplayer_game_complete")
                || is_socket_event(event, "survivor", "emit_episode_data")
        });
        fails(
            ASK,
            "wire",
            "whose game was not played to its end",
            &skipped,
        );
    }

    #[test]
    fn a_player_who_may_not_join_fails() {
        let good = good();
        let join = places(&good, "join_game")[0];
        let like = good.events()[places(&good, "start_game")[0]].clone();
        let refused = inserted(
            &good,
            join + 1,
            [socket_event(
                &like,
                "waiting_room_error",
                serde_json::json!({}),
            )],
        );
        fails(ASK, "wire", "with `waiting_room_error`", &refused);
    }

    #[test]
    fn an_advance_that_leads_nowhere_fails() {
        let good = good();
        let last = *places(&good, "activate_scene").last().expect("one");
        let nowhere = without(&good, |event| event.seq == last as u64);
        fails(ASK, "wire", "`survey-1` was ended, and no scene", &nowhere);
        // Where nothing shows that the target had the time, it may still be on its way.
        let ended_early = without(&nowhere, |event| {
            event.seq > last as u64
                && (is_barrier(event) || is_socket_event(event, "survivor", "pong"))
        });
        let wire = asked(ASK, &ended_early).oracles.remove(0);
        assert_eq!(wire.oracle, "wire");
        assert!(!wire.account.contains("no scene"), "{}", wire.account);
    }

    #[test]
    fn a_scene_that_is_only_told_again_is_no_mistake() {
        let good = good();
        let survey = exit(&good);
        let told = good.events()[survey].clone();
        let asks = good.events()[places(&good, "advance_scene")[1]].clone();
        let asks = socket_event(&asks, "request_current_scene", serde_json::json!({}));
        passes(ASK, &inserted(&good, survey + 1, [asks, told.clone()]));
        let unasked = inserted(&good, survey + 1, [told]);
        fails(ASK, "wire", "`survey-1` began without", &unasked);
    }

    #[test]
    fn the_target_and_the_page_bear_witness_too() {
        let good = good();
        let raised = changed(&good, |event| {
            if let Fact::ServerHandled(handled) = &mut event.fact
                && handled.event == "advance_scene"
            {
                handled.error = Some("KeyError".into());
            }
            true
        });
        fails(ASK, "target", "its handler raised KeyError", &raised);
        let elsewhere = changed(&good, |event| {
            if let Fact::ServerLog { line } = &mut event.fact {
                *line = line.replace("scene_index=3, scene_id=end", "scene_id=game-1");
            }
            true
        });
        fails(ASK, "target", "its log says", &elsewhere);
        let header = with_page(&good, "survivor", "after-exit", |page| {
            page.state.header = "Duet 1".into();
        });
        fails(ASK, "page", "the header \"Duet 1\"", &header);
    }

    #[test]
    fn a_log_that_is_not_whole_says_nothing_of_the_last_scenes() {
        let good = good();
        let says = |event: &Event| matches!(&event.fact, Fact::ServerLog { line } if line.contains("scene_id=end"));
        let place = position(&good, says);
        let first = without(&good, says);
        fails(ASK, "target", "its log says", &first);
        let told = left_out(&good.events()[place]);
        passes(ASK, &inserted(&first, place, [told]));
    }
}

mod equipment_stopped {
    use super::*;

    const ASK: &str = "{ equipment-stopped = { at = \"after-exit\" } }";

    /// The log in which something that ran in the game is still there at the end.
    fn left_alive(keep: impl Fn(&mut PageState, &PageState)) -> Log {
        let good = good();
        let (_, in_game) = good.snapshot("survivor", "in-game").expect("taken");
        let then = in_game.state.clone();
        with_page(&good, "survivor", "after-exit/later", |page| {
            keep(&mut page.state, &then);
        })
    }

    /// An interval that the survivor's page made for the game, by a word of its stack.
    fn interval(of: &str) -> TimerState {
        let made = |event: &Event| match &event.fact {
            Fact::Page(page) if is_of(event, "survivor") => match &page.what {
                PageFact::IntervalCreated { id, period, stack } if stack.contains(of) => {
                    Some(TimerState {
                        id: *id,
                        created: page.page_t,
                        since: None,
                        period: *period,
                        stack: stack.clone(),
                    })
                }
                _ => None,
            },
            _ => None,
        };
        good().events().iter().find_map(made).expect("it ran")
    }

    fn interval_left(of: &str) -> Log {
        left_alive(|now, _| now.intervals.push(interval(of)))
    }

    #[test]
    fn a_sound_exit_passes_and_tells_what_has_ended() {
        passes(ASK, &good());
        let result = asked(ASK, &good());
        let ledger = &result.oracles[0].account;
        for name in [
            "GameTimerWorker._createWorker",
            "LatencyTelemetry.start",
            "ConnectionQualityMonitor.start",
            "_startP2PHealthReporting",
        ] {
            assert!(ledger.contains(name), "{name}: {ledger}");
        }
    }

    #[test]
    fn without_each_stimulus_it_is_vacuous() {
        let good = good();
        is_vacuous(
            ASK,
            "the page before",
            &without_moment(&good, "before-game"),
        );
        is_vacuous(
            ASK,
            "the page in the game",
            &without_moment(&good, "in-game"),
        );
        let in_game = |change: fn(&mut PageState)| {
            with_page(&good, "survivor", "in-game", |page| change(&mut page.state))
        };
        is_vacuous(ASK, "a worker", &in_game(|state| state.workers.clear()));
        let no_intervals = in_game(|state| state.intervals.clear());
        is_vacuous(ASK, "intervals", &no_intervals);
        let no_listener = in_game(|state| {
            state.listeners.remove("webrtc_signal");
        });
        is_vacuous(ASK, "a listener", &no_listener);
        is_vacuous(ASK, "a barrier", &without(&good, is_barrier));
        let another_page = with_page(&good, "survivor", "before-game", |page| page.page = 7);
        is_vacuous(ASK, "the same page", &another_page);
        is_vacuous(ASK, "an exit", &without_exit(&good));
    }

    #[test]
    fn each_thing_left_alive_fails() {
        let worker = left_alive(|now, then| {
            now.workers = then.workers.clone();
        });
        fails(
            ASK,
            "ledger",
            "worker made by `GameTimerWorker._createWorker`",
            &worker,
        );
        for of in [
            "LatencyTelemetry.start",
            "ConnectionQualityMonitor.start",
            "_startP2PHealthReporting",
            "index.js:938",
        ] {
            fails(ASK, "ledger", of, &interval_left(of));
        }
        let signals = left_alive(|now, _| {
            now.listeners.insert("webrtc_signal".into(), 1);
        });
        fails(
            ASK,
            "listeners",
            "1 more listeners of `webrtc_signal`",
            &signals,
        );
    }

    #[test]
    fn a_timeout_of_the_game_that_is_still_to_come_fails() {
        let timeout = left_alive(|now, _| {
            let mut timer = interval("LatencyTelemetry.start");
            timer.period = 30_000.0;
            timer.stack = "at startReconnection (http://h/game.js:6299:1)".into();
            now.timeouts.push(timer);
        });
        fails(ASK, "ledger", "a time-out of 30000 ms", &timeout);
    }

    #[test]
    fn a_loop_from_frame_to_frame_that_goes_on_fails() {
        let frame = |since: f64, created: f64| FrameState {
            id: 7,
            created,
            since,
            stack: "at drift (http://h/game.js:6300:1)".into(),
        };
        let exit = good().events()[exit(&good())].t;
        let seen = |label: &str, since: f64, created: f64, log: &Log| {
            with_page(log, "survivor", label, |page| {
                page.state.frames.push(frame(since, created));
            })
        };
        let at_rest = |since: f64| seen("after-exit/later", since, exit + 900.0, &good());
        // A page may draw something of its own after the game.
        passes(ASK, &at_rest(exit + 500.0));
        let later = seen(
            "in-game",
            exit - 3_000.0,
            exit - 3_000.0,
            &at_rest(exit + 500.0),
        );
        fails(ASK, "ledger", "a callback for the next frame", &later);
        // Nobody saw it in the game: it goes on ever since.
        fails(
            ASK,
            "ledger",
            "a callback for the next frame",
            &at_rest(exit - 200.0),
        );
        // The page drew it before the game already.
        passes(ASK, &seen("before-game", 1.0, 1.0, &at_rest(2.0)));
    }

    #[test]
    fn reports_of_a_game_that_is_over_fail() {
        let good = good();
        let place = position(
            &good,
            |event| matches!(&event.fact, Fact::Barrier(barrier) if barrier.label == "after-exit/later"),
        );
        let like = good.events()[places(&good, "p2p_health_report")[0]].clone();
        fails(
            ASK,
            "wire",
            "the page still sent `p2p_health_report`",
            &inserted(&good, place, [like]),
        );
    }

    #[test]
    fn the_equipment_of_the_next_game_is_none_of_this_one() {
        let next = |into_a_game: bool, before_the_exit: bool| {
            let left = good().events()[exit(&good())].clone();
            let log = left_alive(|now, _| {
                let mut timer = interval("LatencyTelemetry.start");
                timer.id = 77_000;
                timer.created = left.t + if before_the_exit { -1_000.0 } else { 1_000.0 };
                now.intervals.push(timer);
            });
            changed(&log, |event| {
                if event.seq == left.seq && into_a_game {
                    args(event)[0]["scene_type"] = "GymScene".into();
                }
                true
            })
        };
        passes(ASK, &next(true, false));
        fails(ASK, "ledger", "s after the exit", &next(false, false));
        fails(ASK, "ledger", "s before the exit", &next(true, true));
    }

    #[test]
    fn the_listeners_of_the_game_object_may_stay_once() {
        let first = with_page(&good(), "survivor", "before-game", |page| {
            page.state.listeners.remove("p2p_pause");
        });
        passes(ASK, &first);
        let again = with_page(&good(), "survivor", "after-exit/later", |page| {
            page.state.listeners.insert("p2p_pause".into(), 2);
        });
        fails(ASK, "listeners", "`p2p_pause`", &again);
    }

    #[test]
    fn what_the_next_scene_makes_for_itself_is_none_of_the_games() {
        let good = good();
        let later = good.events()[exit(&good)].t + 50.0;
        let made_by = |script: &str| {
            left_alive(|now, _| {
                let game = now.intervals.len() as u32 + 900;
                now.intervals.push(TimerState {
                    id: game,
                    created: later,
                    since: None,
                    period: 250.0,
                    stack: format!("at tick (http://h/static/js/{script}:12:3)"),
                });
            })
        };
        passes(ASK, &made_by("survey.js"));
        let of_game = interval("_startP2PHealthReporting");
        let place = of_game.stack.lines().next().expect("a place");
        let script = place.rsplit('/').next().expect("a file");
        let script = script.split([':', '?']).next().expect("a script");
        fails(ASK, "ledger", "is alive", &made_by(script));
    }

    #[test]
    fn listeners_that_can_no_longer_be_counted_say_nothing() {
        let log = left_alive(|now, _| now.listeners.clear());
        let result = asked(ASK, &log);
        assert!(
            result.account.contains("absent: listeners"),
            "{}",
            result.account
        );
    }
}

mod a_watch_that_goes_on {
    use super::*;
    use gymcheck::verdict::nothing_could_act;

    const CLOSED: &str = "{ connections-closed = { at = \"after-exit\" } }";
    const STOPPED: &str = "{ equipment-stopped = { at = \"after-exit\" } }";

    fn is_barrier_of(event: &Event, moment: &str) -> bool {
        matches!(&event.fact, Fact::Barrier(barrier) if barrier.label == moment)
    }

    /// The good log as a run records it in which `after-exit` is watched together with `after-death`.
    fn together() -> Log {
        changed(&good(), |event| {
            if let Fact::Barrier(barrier) = &mut event.fact
                && barrier.label == "after-exit/later"
            {
                barrier.watched_with = Some("after-death".into());
            }
            true
        })
    }

    #[test]
    fn sees_what_the_page_still_sends() {
        let log = together();
        passes(CLOSED, &log);
        passes(STOPPED, &log);
        // Between the two watches' ends: a watch of its own did not see it.
        let end = position(&log, |event| is_barrier_of(event, "after-death/later"));
        let report = good().events()[places(&good(), "p2p_health_report")[0]].clone();
        let reports = inserted(&log, end, [report.clone()]);
        let says = "the page still sent `p2p_health_report`";
        fails(CLOSED, "traffic", says, &reports);
        fails(STOPPED, "wire", says, &reports);
        passes(CLOSED, &inserted(&good(), end, [report]));
        let messages = with_page(&log, "survivor", "after-death/later", |page| {
            page.state.channels[0].sent += 3;
        });
        fails(CLOSED, "traffic", "3 more messages", &messages);
    }

    #[test]
    fn is_none_where_it_did_not_come_to_its_end() {
        let cut = without(&together(), |event| {
            is_barrier_of(event, "after-death/later")
        });
        for (ask, oracle) in [(CLOSED, "traffic"), (STOPPED, "wire")] {
            let result = asked(ask, &cut);
            let absent = result.oracles.iter().find(|one| one.oracle == oracle);
            let account = &absent.expect("the oracle").account;
            assert!(account.contains("was not watched"), "{account}");
        }
    }

    #[test]
    fn is_had_only_where_nothing_could_act() {
        let good = good();
        assert!(nothing_could_act(&good, "after-exit"));
        assert!(!nothing_could_act(&good, "in-game"));
        assert!(!nothing_could_act(&good, "never-observed"));
        let page = |change: fn(&mut PageState)| {
            with_page(&good, "survivor", "after-exit", |page| {
                change(&mut page.state)
            })
        };
        let timer = |period: f64| TimerState {
            id: 9_999,
            created: 20_000.0,
            since: None,
            period,
            stack: "at later (http://h/game.js:1:1)".into(),
        };
        let left = [
            page(|now| now.connections[0].connection = "connected".into()),
            page(|now| now.channels[0].state = "open".into()),
            page(|now| now.workers[0].terminated = None),
            with_page(&good, "survivor", "after-exit", |page| {
                page.state.intervals.push(timer(2_000.0));
            }),
            with_page(&good, "survivor", "after-exit", |page| {
                page.state.timeouts.push(timer(500.0));
            }),
            with_page(&good, "survivor", "after-exit", |page| {
                page.state.frames.push(FrameState {
                    id: 9_999,
                    created: 20_000.0,
                    since: 20_000.0,
                    stack: "at later (http://h/game.js:1:1)".into(),
                });
            }),
            // Another page knows nothing of what the first one made.
            with_page(&good, "survivor", "after-exit", |page| page.page += 1),
            // A socket is open, or nobody can say whether one is.
            with_sockets_of_the_game(&good),
            without(
                &good,
                |event| matches!(&event.fact, Fact::Kernel(kernel) if kernel.label == "after-exit"),
            ),
        ];
        for (number, log) in left.iter().enumerate() {
            assert!(!nothing_could_act(log, "after-exit"), "case {number}");
        }
    }

    /// The log in which the survivor's browser still has the game's sockets after it.
    fn with_sockets_of_the_game(log: &Log) -> Log {
        let (_, in_game) = log.kernel("survivor", "in-game").expect("taken");
        let held = in_game.udp.clone();
        changed(log, |event| {
            if is_of(event, "survivor")
                && let Fact::Kernel(kernel) = &mut event.fact
                && kernel.label == "after-exit"
            {
                kernel.udp.clone_from(&held);
            }
            true
        })
    }

    #[test]
    fn is_for_moments_on_one_scene() {
        let catalogue = Catalogue::read(&find_root()).expect("the checkout's specs");
        let next = |spec: &str, moment: &str| {
            let spec = catalogue.spec(spec).expect("a spec");
            spec.body.next_on_the_scene(moment).map(str::to_owned)
        };
        let after_death = Some("after-death".to_owned());
        assert_eq!(next(HEADLINE, "after-exit"), after_death);
        assert_eq!(next("reuse/two-games", "after-exit"), after_death);
        assert_eq!(next("reuse/two-games", "late-in-second-game"), None);
        assert_eq!(next("race/late-end", "arrived"), Some("after-all".into()));
        // The page is hidden, or brought to the front, in between.
        assert_eq!(next("race/away-at-the-exit", "arrived"), None);
        // The next game comes in between.
        assert_eq!(next("long/eight-games", "after-game-1"), None);
        assert_eq!(next(HEADLINE, "after-death"), None);
    }
}

mod data_whole {
    use super::*;

    const ASK: &str = "{ data-whole = {} }";

    fn with_file(change: impl Fn(&mut Vec<Vec<String>>, &[String])) -> Log {
        changed(&good(), |event| {
            if is_of(event, "survivor")
                && let Fact::DataFile(file) = &mut event.fact
                && file.what == "episode"
            {
                change(&mut file.rows, &file.columns);
            }
            true
        })
    }

    fn column(columns: &[String], name: &str) -> usize {
        columns
            .iter()
            .position(|one| one == name)
            .expect("a column")
    }

    #[test]
    fn every_recorded_episode_is_whole_by_all_three_oracles() {
        for name in ["good", "cleanup-not-called", "late-end-not-guarded"] {
            passes(ASK, &recorded(name));
            let result = asked(ASK, &recorded(name));
            assert_eq!(result.account, "3 oracles agree", "{name}");
        }
    }

    #[test]
    fn without_each_stimulus_it_is_vacuous() {
        let good = good();
        let ack = without(
            &good,
            |event| matches!(&event.fact, Fact::Wire(wire) if matches!(wire.packet, Packet::Ack { .. })),
        );
        is_vacuous(ASK, "the acknowledgement", &ack);
        // A page that asks for no word has the file for one.
        let unasked = changed(&ack, |event| {
            if is_socket_event(event, "survivor", "emit_episode_data")
                && let Fact::Wire(wire) = &mut event.fact
                && let Packet::Event { ack, .. } = &mut wire.packet
            {
                *ack = None;
            }
            true
        });
        passes(ASK, &unasked);
        let unsent = without(&good, |event| {
            is_socket_event(event, "survivor", "emit_episode_data")
        });
        is_vacuous(ASK, "the episode's data", &unsent);
        is_vacuous("{ data-whole = { game = 2 } }", "a second game", &good);
        let mut idle = with_file(|rows, columns| {
            for row in rows {
                row[column(columns, "actions.left")] = "0".into();
                row[column(columns, "actions.right")] = "0".into();
            }
        });
        idle = changed(&idle, |event| {
            if is_socket_event(event, "survivor", "emit_episode_data") {
                let data = &mut args(event)[0]["data"]["$binary"]["msgpack"];
                for agent in ["left", "right"] {
                    data["actions"][agent] = vec![0; 60].into();
                }
            }
            true
        });
        // The rewards are those of the keys: what is left of it must not pass.
        assert_ne!(asked(ASK, &idle).verdict, Verdict::Pass);
    }

    #[test]
    fn rewards_as_whole_numbers_fail_by_two_oracles() {
        let rounded = with_file(|rows, columns| {
            for row in rows {
                let cell = &mut row[column(columns, "rewards.left")];
                *cell = format!("{:.0}", reward(cell));
            }
        });
        let (first, whole) = first_fraction();
        let in_row = format!("rewards.left in row {first}");
        fails(ASK, "wire and file", &in_row, &rounded);
        let has = format!("row {first} has the reward {whole}");
        fails(ASK, "recomputation", &has, &rounded);
    }

    fn reward(cell: &str) -> f64 {
        cell.parse().expect("a number")
    }

    /// The first row whose reward is no whole number, and the whole number next to it.
    fn first_fraction() -> (usize, String) {
        let good = good();
        let episode = good.of("survivor").find_map(|event| match &event.fact {
            Fact::DataFile(file) if file.what == "episode" => Some(file),
            _ => None,
        });
        let file = episode.expect("an episode");
        let left = column(&file.columns, "rewards.left");
        let mut rewards = file.rows.iter().map(|row| reward(&row[left])).enumerate();
        let found = rewards.find(|(_, reward)| reward.fract() != 0.0);
        let (row, reward) = found.expect("a reward of some tenths");
        (row, format!("{reward:.0}"))
    }

    #[test]
    fn frames_that_are_lost_on_both_sides_fail() {
        let mut lost = with_file(|rows, _| rows.truncate(58));
        lost = changed(&lost, |event| {
            if is_socket_event(event, "survivor", "emit_episode_data") {
                truncate(&mut args(event)[0]["data"]["$binary"]["msgpack"], 58);
            }
            true
        });
        fails(
            ASK,
            "frames",
            "58 frames in the file, it has 60 steps",
            &lost,
        );
        let first = with_file(|rows, _| {
            rows.remove(0);
        });
        fails(ASK, "frames", "frame 1 in row 0", &first);
    }

    #[test]
    fn an_episode_that_both_played_longer_is_whole_and_one_that_one_played_longer_is_not() {
        let longer = |log: &Log, player: &str| {
            changed(log, |event| {
                if is_of(event, player)
                    && let Fact::DataFile(file) = &mut event.fact
                    && file.what == "episode"
                {
                    let mut row = file.rows.last().expect("a row").clone();
                    row[column(&file.columns, "t")] = "60".into();
                    file.rows.push(row);
                }
                true
            })
        };
        let frames = |log: &Log| {
            let result = asked(ASK, log);
            let one = result.oracles.iter().find(|one| one.oracle == "frames");
            one.expect("asked").clone()
        };
        let one = longer(&good(), "survivor");
        assert!(frames(&one).account.contains("60 in the partner's"));
        let both = longer(&one, "partner");
        let says = |survivor: u32, partner: u32| {
            let told = ends_at(&ends_at(&both, "survivor", survivor), "partner", partner);
            frames(&told).account
        };
        // The earlier of the two counts.
        assert_eq!(says(61, 61), "61 frames, each once and in order");
        assert_eq!(says(65, 61), "61 frames, each once and in order");
        // Those that both played since are lost, although no step is missing.
        let lost = "61 frames in the file, the pages agree that it ended at frame 63";
        assert!(says(63, 65).contains(lost));
        assert!(says(60, 61).contains("ended at frame 60"));
        // Other pages tell of no end.
        let silent = without(&both, |event| ended_at(event).is_some());
        assert_eq!(frames(&silent).account, "61 frames, each once and in order");
    }

    const END: &str = "EPISODE END: frame=";

    /// The frame at which a page says that it has found the end of its episode.
    fn ended_at(event: &Event) -> Option<&str> {
        match &event.fact {
            Fact::Page(PageEvent {
                what: PageFact::Console { text, .. },
                ..
            }) => text.split_once(END)?.1.split(' ').next(),
            _ => None,
        }
    }

    /// The log in which a player's page finds the end of its episode at another frame.
    fn ends_at(log: &Log, player: &str, frame: u32) -> Log {
        changed(log, |event| {
            if is_of(event, player)
                && let Some(found) = ended_at(event).map(str::to_owned)
                && let Fact::Page(page) = &mut event.fact
                && let PageFact::Console { text, .. } = &mut page.what
            {
                *text = text.replace(&format!("{END}{found}"), &format!("{END}{frame}"));
            }
            true
        })
    }

    fn truncate(value: &mut serde_json::Value, to: usize) {
        match value {
            serde_json::Value::Array(items) => items.truncate(to),
            serde_json::Value::Object(fields) => {
                fields.values_mut().for_each(|inner| truncate(inner, to));
            }
            _ => {}
        }
    }

    #[test]
    fn a_belief_that_is_recorded_for_what_was_played_fails() {
        // Both the page and the file say so: the rules of the game alone can tell.
        const ROW: usize = 20;
        let another = |action: &str| if action == "1" { "2" } else { "1" };
        let mut believed = with_file(|rows, columns| {
            let cell = &mut rows[ROW][column(columns, "actions.left")];
            *cell = another(cell).to_owned();
        });
        believed = changed(&believed, |event| {
            if is_socket_event(event, "survivor", "emit_episode_data") {
                let data = &mut args(event)[0]["data"]["$binary"]["msgpack"];
                let action = &mut data["actions"]["left"][ROW];
                *action = another(&action.to_string()).parse().expect("a number");
            }
            true
        });
        fails(ASK, "recomputation", "row 20", &believed);
    }

    #[test]
    fn what_was_acknowledged_and_is_in_no_file_fails() {
        let gone = without(&good(), |event| {
            is_of(event, "survivor")
                && matches!(&event.fact, Fact::DataFile(file) if file.what == "episode")
        });
        fails(ASK, "wire and file", "no file holds it", &gone);
    }

    #[test]
    fn the_rules_of_another_experiment_are_not_known() {
        let mut spec = spec(ASK, &good());
        spec.body.experiment.name = "another".into();
        let result = judge(&spec, &good()).checks.remove(0);
        assert_eq!(result.verdict, Verdict::Pass);
        assert!(result.account.contains("absent: recomputation"));
    }

    #[test]
    fn a_list_that_is_stored_as_something_else_fails() {
        for lost in ["<object at 0x7f>", "\"lost\"", "[1, 2"] {
            let log = with_file(|rows, columns| {
                let column = column(columns, "rollbackEvents");
                let listed = rows
                    .iter_mut()
                    .find(|row| row[column].starts_with(['[', '{']));
                listed.expect("a list")[column] = lost.into();
            });
            fails(ASK, "wire and file", "rollbackEvents", &log);
        }
    }

    #[test]
    fn rows_that_are_lost_before_the_run_ends_fail() {
        let good = good();
        let taken = position(&good, |event| {
            is_of(event, "survivor")
                && matches!(&event.fact, Fact::DataFile(file) if file.what == "episode")
        });
        let end = position(&good, |event| matches!(event.fact, Fact::Finished {}));
        for left in [7, 0] {
            let mut later = good.events()[taken].clone();
            if let Fact::DataFile(file) = &mut later.fact {
                file.rows.truncate(left);
            }
            let log = inserted(&good, end, [later]);
            fails(ASK, "wire and file", "the file has no such row", &log);
        }
    }
}

mod form_answered {
    use super::*;

    const ASK: &str = "{ form-answered = {} }";

    /// The headline run with a later look at the survivor's answers, as they are after a change.
    fn changed_to(change: impl Fn(&mut gymcheck::evidence::DataFile)) -> Log {
        let good = good();
        let taken = position(
            &good,
            |event| matches!(&event.fact, Fact::DataFile(file) if file.what == "answers"),
        );
        let end = position(&good, |event| matches!(event.fact, Fact::Finished {}));
        let mut later = good.events()[taken].clone();
        if let Fact::DataFile(file) = &mut later.fact {
            change(file);
        }
        inserted(&good, end, [later])
    }

    #[test]
    fn answers_that_are_stored_once_and_stay_pass() {
        passes(ASK, &good());
        passes(ASK, &changed_to(|_| {}));
    }

    #[test]
    fn answers_that_are_lost_or_stored_twice_fail() {
        let gone = changed_to(|file| {
            file.columns.clear();
            file.rows.clear();
        });
        fails(ASK, "data file", "has 0 rows, not one", &gone);
        let twice = changed_to(|file| file.rows.extend(file.rows.clone()));
        fails(ASK, "data file", "has 2 rows, not one", &twice);
        let elsewhere = changed_to(|file| file.path.push_str(".csv"));
        fails(
            ASK,
            "data file",
            "2 files hold answers, not one",
            &elsewhere,
        );
    }
}

mod connections_closed {
    use super::*;

    const ASK: &str = "{ connections-closed = { at = \"after-exit\" } }";
    const ALONE: &str = "nothing but the survivor's own exit";

    fn page_event(like: &Event, player: &str, what: PageFact) -> Event {
        Event {
            player: Some(player.into()),
            fact: Fact::Page(PageEvent {
                page: 1,
                page_t: like.t,
                what,
            }),
            ..like.clone()
        }
    }

    fn closed_by(log: &Log, player: &str, place: usize) -> Log {
        let closed = PageFact::ConnectionClosed {
            id: 1,
            stack: String::new(),
        };
        let event = page_event(&log.events()[place], player, closed);
        inserted(log, place, [event])
    }

    #[track_caller]
    fn proves_nothing(log: &Log) {
        let result = asked(ASK, log);
        assert_eq!(result.verdict, Verdict::Vacuous, "{result:#?}");
        assert!(result.account.contains(ALONE), "{}", result.account);
    }

    /// Where the survivor asks for the scene after its game.
    fn advance(log: &Log) -> usize {
        let came = exit(log);
        let mut advances = places(log, "advance_scene").into_iter();
        advances.rfind(|place| *place < came).expect("one")
    }

    #[test]
    fn an_exit_that_closes_what_was_open_passes() {
        passes(ASK, &good());
        // The partner's own exit, on the way at the same time.
        let log = good();
        passes(ASK, &closed_by(&log, "partner", advance(&log) + 1));
    }

    #[test]
    fn what_was_lost_or_closed_before_the_exit_proves_nothing() {
        let log = good();
        proves_nothing(&closed_by(&log, "partner", advance(&log)));
        let mid_game = places(&log, "start_game")[0] + 20;
        proves_nothing(&closed_by(&log, "survivor", mid_game));
        let lost = changed(&log, |event| {
            if is_of(event, "survivor")
                && let Fact::Page(page) = &mut event.fact
                && let PageFact::ConnectionState { connection, .. } = &mut page.what
                && connection == "connected"
            {
                *connection = "failed".into();
            }
            true
        });
        proves_nothing(&lost);
        // Lost for a while only.
        let connected = position(&log, |event| {
            is_of(event, "survivor")
                && matches!(&event.fact, Fact::Page(page)
                    if matches!(&page.what, PageFact::ConnectionState { connection, .. }
                        if connection == "connected"))
        });
        let [mut away, back] = [(); 2].map(|()| log.events()[connected].clone());
        if let Fact::Page(page) = &mut away.fact
            && let PageFact::ConnectionState { connection, .. } = &mut page.what
        {
            *connection = "disconnected".into();
        }
        passes(ASK, &inserted(&log, mid_game, [away.clone(), back]));
        proves_nothing(&inserted(&log, mid_game, [away]));
    }
}

mod played_peer_to_peer {
    use super::*;

    const ASK: &str = "{ played-peer-to-peer = {} }";

    /// The headline run with so many inputs counted on each channel.
    fn with_inputs(count: u64) -> Log {
        changed(&good(), |event| {
            if let Fact::Page(page) = &mut event.fact
                && let PageFact::ChannelTraffic {
                    sent_inputs,
                    received_inputs,
                    ..
                } = &mut page.what
            {
                (*sent_inputs, *received_inputs) = (Some(count), Some(count));
            }
            true
        })
    }

    #[test]
    fn a_channel_that_carries_no_inputs_fails() {
        passes(ASK, &good());
        passes(ASK, &with_inputs(60));
        for few in [0, 10] {
            let log = with_inputs(few);
            fails(
                ASK,
                "the survivor's page",
                "one for every other frame",
                &log,
            );
        }
    }
}

mod no_errors {
    use super::*;
    use gymcheck::evidence::{PageEvent, PageFact};

    const ASK: &str = "{ no-errors = { paths = [\"scene-end\", \"game-ended\"] } }";

    /// The log with an event of the survivor's page in it.
    fn with_page_event(what: PageFact) -> Log {
        let good = good();
        let place = places(&good, "terminate_scene")[1] + 1;
        let mut event = good.events()[place - 1].clone();
        event.fact = Fact::Page(PageEvent {
            page: 1,
            page_t: event.t,
            what,
        });
        inserted(&good, place, [event])
    }

    #[test]
    fn a_run_without_errors_passes() {
        passes("{ no-errors = {} }", &good());
        passes(ASK, &good());
    }

    #[test]
    fn a_path_that_was_not_taken_makes_it_vacuous() {
        let good = good();
        for path in [
            "partner-excluded",
            "excluded",
            "focus-loss",
            "reconnection-timeout",
            "scene-completed",
        ] {
            let ask = format!("{{ no-errors = {{ paths = [\"{path}\"] }} }}");
            is_vacuous(&ask, path, &good);
        }
        let other_order = "{ no-errors = { paths = [\"game-ended\", \"scene-end\"] } }";
        is_vacuous(other_order, "that order", &good);
        let never_told = without(&good, |event| {
            is_socket_event(event, "survivor", "p2p_game_ended")
        });
        is_vacuous(ASK, "the second path", &never_told);
        is_vacuous(ASK, "a barrier", &without(&good, is_barrier));
    }

    #[test]
    fn each_path_is_known_when_it_is_taken() {
        let good = good();
        let up = &good.events()[places(&good, "multiplayer_game_complete")[0]];
        let down = &good.events()[places(&good, "start_game")[0]];
        let reason = |reason: &str| serde_json::json!({ "reason": reason });
        let taken = [
            ("partner-excluded", down, "partner_excluded", reason("x")),
            ("excluded", up, "mid_game_exclusion", reason("tab_hidden")),
            (
                "focus-loss",
                up,
                "p2p_game_ended",
                reason("focus_loss_timeout"),
            ),
            (
                "reconnection-timeout",
                up,
                "p2p_reconnection_timeout",
                reason("x"),
            ),
            (
                "scene-completed",
                down,
                "p2p_game_ended",
                reason("scene_completed"),
            ),
        ];
        for (path, like, name, args) in taken {
            let ask = format!("{{ no-errors = {{ paths = [\"{path}\"] }} }}");
            let place = like.seq as usize;
            passes(
                &ask,
                &inserted(&good, place, [socket_event(like, name, args)]),
            );
        }
    }

    /// The verdict where both time-outs are shorter than whatever follows.
    fn with_short_timeouts(paths: &str, log: &Log) -> Verdict {
        let mut spec = spec(&format!("{{ no-errors = {{ paths = {paths} }} }}"), log);
        spec.body.experiment.focus_loss_timeout_ms = 100;
        spec.body.experiment.reconnection_timeout_ms = 100;
        judge(&spec, &with_settings_of(&spec, log))
            .checks
            .remove(0)
            .verdict
    }

    #[test]
    fn a_path_is_due_once_its_time_has_passed_and_nothing_has_called_it_off() {
        let good = good();
        let place = places(&good, "terminate_scene")[1];
        let like = &good.events()[place];
        let told = |name: &str, args| socket_event(like, name, args);
        let result = |exclude: bool| {
            let args = serde_json::json!({ "exclude": exclude });
            told("continuous_callback_result", args)
        };
        let (pause, resume) = (
            told("p2p_pause", serde_json::json!({})),
            told("p2p_resume", serde_json::json!({})),
        );
        let (hidden, visible) = (
            visibility(like, "survivor", "hidden"),
            visibility(like, "survivor", "visible"),
        );
        let cases = [
            ("exclusion-due", result(true), None),
            ("focus-loss-due", hidden, Some(visible)),
            ("reconnection-due", pause, Some(resume)),
        ];
        for (path, begins, calls_off) in cases {
            // It comes due after the end of the scene, wherever it began.
            let due = inserted(&good, place + 1, [begins.clone()]);
            let after = format!("[\"scene-end\", \"{path}\"]");
            assert_eq!(with_short_timeouts(&after, &due), Verdict::Pass, "{path}");
            let before = format!("[\"{path}\", \"scene-end\"]");
            assert_eq!(with_short_timeouts(&before, &due), Verdict::Vacuous);
            if let Some(calls_off) = calls_off {
                let early = inserted(&good, place, [begins.clone()]);
                assert_eq!(with_short_timeouts(&after, &early), Verdict::Pass, "{path}");
                let off = inserted(&good, place + 1, [begins, calls_off]);
                assert_eq!(with_short_timeouts(&after, &off), Verdict::Vacuous);
            }
            assert_eq!(with_short_timeouts(&after, &good), Verdict::Vacuous);
        }
        let warned = inserted(&good, place + 1, [result(false)]);
        let warned = with_short_timeouts("[\"scene-end\", \"exclusion-due\"]", &warned);
        assert_eq!(warned, Verdict::Vacuous);
        // A time-out that is longer than the run never is due.
        let away = inserted(&good, place, [visibility(like, "survivor", "hidden")]);
        let long = "{ no-errors = { paths = [\"scene-end\", \"focus-loss-due\"] } }";
        is_vacuous(long, "the time that it takes", &away);
    }

    #[test]
    fn an_error_of_either_side_fails() {
        let message = "InvalidStateError: the connection is closed already".to_owned();
        let stack = "at WebRTCManager.close (http://h/webrtc_manager.js:880:1)".to_owned();
        let thrown = with_page_event(PageFact::Error {
            message: message.clone(),
            stack: stack.clone(),
        });
        fails(
            ASK,
            "pages",
            "an uncaught error in the survivor's page",
            &thrown,
        );
        let rejected = with_page_event(PageFact::Rejection { message, stack });
        fails(ASK, "pages", "a rejected promise", &rejected);
        let raised = changed(&good(), |event| {
            if let Fact::ServerHandled(handled) = &mut event.fact
                && handled.event == "sync_globals"
            {
                handled.error = Some("AttributeError".into());
            }
            true
        });
        fails(
            ASK,
            "target",
            "`sync_globals` raised AttributeError",
            &raised,
        );
        let traced = changed(&good(), |event| {
            if let Fact::ServerLog { line } = &mut event.fact {
                *line = line.replace("[GameComplete]", "Traceback (most recent call last):");
            }
            true
        });
        fails(ASK, "target", "tracebacks", &traced);
    }

    #[test]
    fn a_log_that_is_not_whole_bears_no_witness_that_there_was_no_error() {
        let good = good();
        let in_part = inserted(&good, 10, [left_out(&good.events()[10])]);
        is_vacuous(ASK, "a whole log", &in_part);
        let traced = changed(&in_part, |event| {
            if let Fact::ServerLog { line } = &mut event.fact {
                *line = line.replace("[GameComplete]", "Traceback (most recent call last):");
            }
            true
        });
        fails(ASK, "target", "tracebacks", &traced);
    }
}

mod turned_away {
    use super::*;

    const SURVIVOR: &str = "{ no-overlay = { before = \"after-exit\", after = \"after-death\", away = [\"survivor\"] } }";
    const PARTNER: &str = "{ no-overlay = { before = \"after-exit\", after = \"after-death\", away = [\"partner\"] } }";

    /// Asks where a page may be in the background for two seconds.
    fn asked(ask: &str, log: &Log) -> CheckResult {
        let mut spec = spec(ask, log);
        spec.body.experiment.focus_loss_timeout_ms = 2000;
        judge(&spec, &with_settings_of(&spec, log)).checks.remove(0)
    }

    #[track_caller]
    fn says(verdict: Verdict, ask: &str, log: &Log) {
        let result = asked(ask, log);
        assert_eq!(result.verdict, verdict, "{result:#?}");
    }

    fn is_visibility(event: &Event) -> bool {
        matches!(&event.fact, Fact::Page(page)
            if matches!(page.what, PageFact::Visibility { .. }))
    }

    /// The headline run with a player's page in the background from an event of the survivor's on.
    fn away(player: &str, from: &str, nth: usize) -> Log {
        let good = good();
        let place = places(&good, from)[nth];
        let hidden = visibility(&good.events()[place], player, "hidden");
        inserted(&good, place + 1, [hidden])
    }

    #[test]
    fn a_survivor_who_is_away_for_too_long_on_the_survey_passes() {
        says(
            Verdict::Pass,
            SURVIVOR,
            &away("survivor", "terminate_scene", 1),
        );
    }

    #[test]
    fn whoever_came_back_in_time_or_was_never_away_is_no_stimulus() {
        says(Verdict::Vacuous, SURVIVOR, &good());
        let log = away("survivor", "terminate_scene", 1);
        let back = position(&log, |event| {
            is_of(event, "survivor") && is_visibility(event)
        }) + 1;
        let visible = visibility(&log.events()[back], "survivor", "visible");
        says(Verdict::Vacuous, SURVIVOR, &inserted(&log, back, [visible]));
        // It was away for too long in the game already.
        let in_game = away("survivor", "start_game", 0);
        says(Verdict::Vacuous, SURVIVOR, &in_game);
        let partner = away("partner", "terminate_scene", 1);
        says(Verdict::Vacuous, SURVIVOR, &partner);
    }

    #[test]
    fn a_partner_who_turns_away_in_the_countdown_passes() {
        says(
            Verdict::Pass,
            PARTNER,
            &away("partner", "multiplayer_game_complete", 0),
        );
    }

    #[test]
    fn a_partner_who_turns_away_at_another_time_or_is_not_heard_is_no_stimulus() {
        says(Verdict::Vacuous, PARTNER, &good());
        for (from, nth) in [("start_game", 0), ("activate_scene", 2)] {
            says(Verdict::Vacuous, PARTNER, &away("partner", from, nth));
        }
        let log = away("partner", "multiplayer_game_complete", 0);
        let from = position(&log, |event| {
            is_of(event, "partner") && is_visibility(event)
        });
        let deaf = without(&log, |event| {
            event.seq > from as u64
                && is_of(event, "survivor")
                && matches!(&event.fact, Fact::Page(page)
                    if matches!(page.what, PageFact::ChannelTraffic { .. }))
        });
        says(Verdict::Vacuous, PARTNER, &deaf);
    }
}

/// The headline run as if the target itself had told the survivor on the survey.
fn told_by_itself() -> Log {
    changed(&good(), |event| {
        if is_socket_event(event, "survivor", "p2p_game_ended")
            && let Fact::Wire(wire) = &mut event.fact
        {
            wire.origin = gymcheck::evidence::Origin::Natural;
        }
        true
    })
}

/// The headline run in which the partner goes on to the survey with the survivor.
fn with_partner_gone_on(good: &Log) -> Log {
    let mut gone_on = good.events()[exit(good)].clone();
    let place = gone_on.seq as usize + 1;
    gone_on.player = Some("partner".into());
    inserted(good, place, [gone_on])
}

mod told_or_carried_on {
    use super::*;

    const IN_GAME: &str =
        "{ told-or-carried-on = { before = \"in-game\", after = \"after-death\" } }";
    const ON_SURVEY: &str =
        "{ told-or-carried-on = { before = \"after-exit\", after = \"after-death\" } }";

    /// The mid-game run as if the survivor's page had come to the end of its game all the same, so
    /// long after it was told.
    fn ended_after(ms: f64, moved_on: bool) -> Log {
        let log = recorded("in-game");
        let told = places(&log, "p2p_game_ended")[0];
        let game = args(&mut log.events()[told].clone())[0]["game_id"].clone();
        let up = log.events()[places(&log, "join_game")[0]].clone();
        let mut complete = socket_event(
            &up,
            "multiplayer_game_complete",
            serde_json::json!({ "game_id": game }),
        );
        complete.t = log.events()[told].t + ms;
        let mut new = vec![complete];
        if moved_on {
            new.push(socket_event(&up, "advance_scene", serde_json::json!({})));
        }
        inserted(&log, told + 1, new)
    }

    #[test]
    fn each_of_the_two_passes_when_it_is_whole() {
        passes(IN_GAME, &recorded("in-game"));
        passes(ON_SURVEY, &told_by_itself());
        passes(IN_GAME, &ended_after(1_900.0, false));
        // Both on their way at once: it was told and stayed, which is whole.
        passes(IN_GAME, &ended_after(1.0, false));
        // The target had forgotten the game: it tells nobody, and the survivor is on the survey.
        passes(ON_SURVEY, &good());
    }

    #[test]
    fn neither_told_nor_moved_on_fails() {
        let log = without(&recorded("in-game"), |event| {
            is_socket_event(event, "survivor", "p2p_game_ended")
        });
        fails(IN_GAME, "wire", "neither told nor moved on", &log);
    }

    #[test]
    fn without_each_stimulus_it_is_vacuous() {
        let log = told_by_itself();
        let killed = |event: &Event| {
            matches!(&event.fact, Fact::Process(process)
                if process.phase == gymcheck::evidence::ProcessPhase::Killed)
        };
        is_vacuous(ON_SURVEY, "the death", &without(&log, killed));
        let handled = |event: &Event| matches!(&event.fact, Fact::ServerHandled(one) if one.event == "disconnect");
        is_vacuous(ON_SURVEY, "its handling", &without(&log, handled));
        is_vacuous(ON_SURVEY, "a barrier", &without(&log, is_barrier));
        let never_began = without(&log, |event| {
            is_socket_event(event, "survivor", "start_game")
        });
        is_vacuous(ON_SURVEY, "a game", &never_began);
    }

    #[test]
    fn told_and_moved_on_fails() {
        let log = ended_after(1_900.0, true);
        fails(
            IN_GAME,
            "wire",
            "told in the game, and moved on all the same",
            &log,
        );
        let at_once = ended_after(1.0, true);
        assert_eq!(asked(IN_GAME, &at_once).verdict, Verdict::Fail);
    }

    #[test]
    fn told_and_nothing_shown_fails() {
        let silent = changed(&recorded("in-game"), |event| {
            if let Fact::Snapshot(snapshot) = &mut event.fact {
                snapshot.state.overlays.clear();
            }
            !matches!(&event.fact, Fact::Page(page)
                if matches!(page.what, gymcheck::evidence::PageFact::Overlay(_)))
        });
        fails(IN_GAME, "DOM history", "no overlay came", &silent);
    }

    #[test]
    fn an_overlay_that_goes_along_to_the_survey_fails() {
        // As the release does when the partner dies in the countdown: the same events, with the
        // overlay of the mid-game run.
        let log = told_by_itself();
        let told = places(&log, "p2p_game_ended")[0];
        let covered = inserted(&log, told + 1, [overlay()]);
        fails(ON_SURVEY, "DOM history", "after the game's end", &covered);
    }

    #[test]
    fn a_survivor_who_is_never_moved_on_fails() {
        let stuck = without_exit(&told_by_itself());
        fails(ON_SURVEY, "wire", "the next scene never came", &stuck);
        let forgotten = without(&stuck, |event| {
            is_socket_event(event, "survivor", "p2p_game_ended")
        });
        fails(ON_SURVEY, "wire", "neither told nor moved on", &forgotten);
    }

    fn says(sayings: &[&str]) -> Option<Vec<String>> {
        Some(sayings.iter().map(|one| (*one).to_owned()).collect())
    }

    #[test]
    fn a_notice_in_the_text_of_the_survey_fails() {
        let log = with_page(&told_by_itself(), "survivor", "after-death/later", |page| {
            page.state.says = says(&["Your partner has left the duet."]);
        });
        fails(ON_SURVEY, "DOM history", "the page says", &log);
        // It did so before the partner left: it is the survey's own.
        let always = with_page(&log, "survivor", "after-exit", |page| {
            page.state.says = says(&["Your partner has left the duet."]);
        });
        passes(ON_SURVEY, &always);
    }

    #[test]
    fn a_notice_with_markup_is_what_the_page_shows_of_it() {
        let marked = |shown: &[&str]| {
            ["after-death", "after-death/later"]
                .iter()
                .fold(recorded("in-game"), |log, label| {
                    with_page(&log, "survivor", label, |page| {
                        page.state.says = says(shown);
                    })
                })
        };
        const MARKED: &str = "Your <b>partner</b> is gone.";
        let mut spec = spec(IN_GAME, &recorded("in-game"));
        spec.body.experiment.disconnect_message = MARKED.into();
        let verdict = |log: &Log| {
            let log = changed(log, |event| {
                if let Fact::Run(run) = &mut event.fact {
                    run.experiment["disconnect_message"] = MARKED.into();
                }
                true
            });
            judge(&spec, &log).checks[0].verdict
        };
        assert_eq!(verdict(&marked(&[MARKED])), Verdict::Pass);
        assert_eq!(verdict(&marked(&[])), Verdict::Fail);
    }

    fn with_overlays(log: &Log, change: impl Fn(&mut gymcheck::evidence::Overlay)) -> Log {
        changed(log, |event| {
            match &mut event.fact {
                Fact::Snapshot(snapshot) => snapshot.state.overlays.iter_mut().for_each(&change),
                Fact::Page(page) => {
                    if let PageFact::Overlay(overlay) = &mut page.what {
                        change(overlay);
                    }
                }
                _ => {}
            }
            true
        })
    }

    #[test]
    fn told_and_something_else_shown_fails() {
        let log = recorded("in-game");
        let other = with_overlays(&log, |one| one.text = "Please stay on this page".into());
        fails(
            IN_GAME,
            "DOM history",
            "nothing covers the page that says",
            &other,
        );
        let small = with_overlays(&log, |one| one.coverage = 0.03);
        fails(
            IN_GAME,
            "DOM history",
            "nothing covers the page that says",
            &small,
        );
    }

    #[test]
    fn told_and_the_notice_gone_before_the_watch_ends_fails() {
        let log = with_page(
            &recorded("in-game"),
            "survivor",
            "after-death/later",
            |page| {
                page.state.overlays.clear();
            },
        );
        fails(IN_GAME, "DOM history", "did not stay", &log);
    }

    #[test]
    fn whoever_moves_on_while_it_is_watched_fails() {
        let log = recorded("in-game");
        let up = log.events()[places(&log, "join_game")[0]].clone();
        let barrier = position(
            &log,
            |event| matches!(&event.fact, Fact::Barrier(barrier) if barrier.label == "after-death"),
        );
        let moves = socket_event(&up, "advance_scene", serde_json::json!({}));
        let log = inserted(&log, barrier + 1, [moves]);
        fails(IN_GAME, "wire", "moved on all the same", &log);
    }

    #[test]
    fn an_overlay_that_comes_and_goes_while_it_is_watched_fails() {
        let log = told_by_itself();
        let barrier = position(&log, |event| {
            is_of(event, "survivor")
                && matches!(&event.fact, Fact::Barrier(barrier) if barrier.label == "after-death")
        });
        let covered = inserted(&log, barrier + 1, [overlay()]);
        fails(ON_SURVEY, "DOM history", "after the game's end", &covered);
    }

    #[test]
    fn a_page_that_knows_before_the_target_says_it_passes() {
        let log = recorded("in-game");
        let told = places(&log, "p2p_game_ended")[0];
        let mut said = log.events()[told].clone();
        let shown = log.events().iter().rposition(|event| {
            is_of(event, "survivor")
                && matches!(&event.fact, Fact::Page(page)
                    if matches!(&page.what, PageFact::Overlay(one) if one.visible))
        });
        let shown = shown.expect("the notice");
        said.t = log.events()[shown].t;
        let log = inserted(&log, shown + 1, [said]);
        passes(IN_GAME, &without(&log, |event| event.seq == told as u64));
    }

    /// The headline run as if the target's word had come 700 ms before the end of the survivor's game. From its page
    /// nothing came but what is wanted, by how many milliseconds it came after the word.
    fn told_before_its_end(is_wanted: impl Fn(&Event, f64) -> bool) -> Log {
        let log = told_by_itself();
        let told = places(&log, "p2p_game_ended")[0];
        let ended = places(&log, "multiplayer_game_complete")[0];
        let mut word = log.events()[told].clone();
        word.t = log.events()[ended].t - 700.0;
        let at = word.t;
        let log = inserted(
            &without(&log, |event| event.seq == told as u64),
            ended,
            [word],
        );
        let from_the_page = |event: &Event| match &event.fact {
            Fact::Page(_) => true,
            Fact::Wire(wire) => wire.direction == Direction::ToServer,
            _ => false,
        };
        without(&log, |event| {
            let then = event.seq < ended as u64 && is_of(event, "survivor");
            then && from_the_page(event) && !is_wanted(event, event.t - at)
        })
    }

    #[test]
    fn a_page_that_stood_still_could_not_hear_it_before_its_end() {
        let moved_on = |log: &Log| {
            fails(
                ON_SURVEY,
                "wire",
                "told in the game, and moved on all the same",
                log,
            );
        };
        // What was on its way came after the word, and what the end itself brought.
        passes(
            ON_SURVEY,
            &told_before_its_end(|_, after| !(0.0..=670.0).contains(&after)),
        );
        passes(
            ON_SURVEY,
            &told_before_its_end(|_, after| !(50.0..=670.0).contains(&after)),
        );
        // It lived, it stood still at another time, or it says little at any time.
        moved_on(&told_before_its_end(|_, _| true));
        moved_on(&told_before_its_end(|_, after| {
            !(0.0..=300.0).contains(&after)
        }));
        moved_on(&told_before_its_end(|event, _| {
            matches!(&event.fact, Fact::Wire(wire)
                if !matches!(&wire.packet, Packet::Event { name, .. } if name == "client_console_log"))
        }));
    }

    #[test]
    fn the_experiments_end_may_show_no_control() {
        let empty = changed(&told_by_itself(), |event| {
            if let Fact::HitTest(test) = &mut event.fact {
                test.controls.clear();
            }
            true
        });
        fails(ON_SURVEY, "hit-testing", "no control of the scene", &empty);
        let place = exit(&empty) as u64;
        let at_the_end = changed(&empty, |event| {
            if event.seq == place {
                args(event)[0]["scene_type"] = "EndScene".into();
            }
            event.seq <= place || !is_socket_event(event, "survivor", "activate_scene")
        });
        passes(ON_SURVEY, &at_the_end);
    }
}

/// The log in which a player's page at a moment has played so many frames.
fn with_frames(log: &Log, label: &str, frames: u64) -> Log {
    ["survivor", "partner"]
        .iter()
        .fold(log.clone(), |log, player| {
            with_page(&log, player, label, |page| {
                page.state.game["frameNumber"] = frames.into();
            })
        })
}

mod fresh_connection {
    use super::*;

    const ASK: &str = "{ fresh-connection = { game = 2, at = \"in-game-2\" } }";

    /// Two games, looked at in the second one when half of it has been played.
    fn two_games() -> Log {
        let log = played(2);
        let begun = *places(&log, "start_game").last().expect("two games") as u64;
        let is_look = |event: &Event| matches!(&event.fact, Fact::Snapshot(snapshot) if snapshot.label == "in-game-2");
        let halfway = position(&log, |event| {
            event.seq > begun
                && is_of(event, "survivor")
                && matches!(&event.fact, Fact::Page(page)
                    if matches!(page.what, PageFact::GameProgress { frame, .. } if frame >= 30))
        });
        // The looks at the pages are taken later than the recorded ones.
        let looks = log.events().iter().filter(|event| is_look(event));
        let later: Vec<Event> = looks.map(|look| looked(&log, look, halfway)).collect();
        let mut moved = Vec::new();
        for (place, event) in log.events().iter().enumerate() {
            if place == halfway {
                moved.extend(later.iter().cloned());
            }
            moved.extend(Some(event).filter(|event| !is_look(event)).cloned());
        }
        with_frames(&in_order(moved), "in-game-2", 30)
    }

    /// A look at a page as it would have been at a place, as far as its channel's traffic goes.
    fn looked(log: &Log, look: &Event, place: usize) -> Event {
        let mut look = look.clone();
        look.t = log.events()[place].t;
        let told = log.events()[..place]
            .iter()
            .rev()
            .find_map(|event| match &event.fact {
                Fact::Page(page) if event.player == look.player => match page.what {
                    PageFact::ChannelTraffic { sent, received, .. } => Some((sent, received)),
                    _ => None,
                },
                _ => None,
            });
        if let Fact::Snapshot(snapshot) = &mut look.fact {
            let channel = snapshot.state.channels.last_mut().expect("one");
            (channel.sent, channel.received) = told.expect("it was told");
        }
        look
    }

    #[test]
    fn a_connection_of_its_own_passes() {
        passes(ASK, &two_games());
    }

    #[test]
    fn without_each_stimulus_it_is_vacuous() {
        is_vacuous(ASK, "a second game", &good());
        let log = two_games();
        is_vacuous(ASK, "frames", &with_frames(&log, "in-game-2", 5));
        let at_the_start = with_frames(&played(2), "in-game-2", 0);
        is_vacuous(ASK, "any time in it", &at_the_start);
        for player in ["survivor", "partner"] {
            let hands_off = without(&log, |event| {
                is_of(event, player)
                    && matches!(&event.fact, Fact::Action(action)
                        if action.action == "press a key")
            });
            is_vacuous(ASK, "keys", &hands_off);
        }
        is_vacuous(ASK, "the moment", &without_moment(&log, "in-game-2"));
    }

    #[test]
    fn inputs_that_take_the_relay_fail() {
        let log = two_games();
        let begun = *places(&log, "start_game").last().expect("two games");
        let like = log.events()[*places(&log, "join_game").last().expect("one")].clone();
        let relayed = socket_event(&like, "pyodide_player_action", serde_json::json!({}));
        let log = inserted(&log, begun + 5, [relayed]);
        fails(
            ASK,
            "wire",
            "1 inputs of the game took the server's relay",
            &log,
        );
    }

    #[test]
    fn a_channel_that_carries_pings_only_fails() {
        let log = with_page(&two_games(), "survivor", "in-game-2", |page| {
            let channel = page.state.channels.last_mut().expect("one");
            (channel.sent, channel.received) = (25, 25);
        });
        fails(
            ASK,
            "the survivor's page",
            "the inputs are not among them",
            &log,
        );
    }

    #[test]
    fn the_first_games_connection_fails() {
        // As if the second game had none of its own, and the first one's were still open.
        let log = with_page(&two_games(), "survivor", "in-game-2", |page| {
            page.state.connections.truncate(1);
            page.state.connections[0].connection = "connected".into();
        });
        fails(
            ASK,
            "the survivor's page",
            "no connection was made for the game",
            &log,
        );
    }

    #[test]
    fn inputs_on_the_first_games_channel_fail() {
        let log = with_page(&two_games(), "survivor", "in-game-2", |page| {
            let state = &mut page.state;
            state.connections[0].connection = "connected".into();
            state.channels[0].sent += 1000;
        });
        fails(
            ASK,
            "the survivor's page",
            "a channel that was made before the game sent",
            &log,
        );
    }

    #[test]
    fn a_channel_that_carries_anything_but_inputs_fails() {
        let log = with_page(&two_games(), "survivor", "in-game-2", |page| {
            for channel in &mut page.state.channels {
                (channel.sent_inputs, channel.received_inputs) = (Some(0), Some(30));
            }
        });
        fails(
            ASK,
            "the survivor's page",
            "its channel sent 0 inputs",
            &log,
        );
    }
}

mod same_equipment {
    use super::*;

    const ASK: &str = "{ same-equipment = {} }";

    fn in_second_game(change: impl Fn(&mut PageState)) -> Log {
        with_page(&played(2), "survivor", "in-game-2", |page| {
            change(&mut page.state)
        })
    }

    #[test]
    fn two_games_on_the_same_equipment_pass_by_all_oracles() {
        passes(ASK, &played(2));
        assert_eq!(asked(ASK, &played(2)).account, "4 oracles agree");
    }

    #[test]
    fn without_each_stimulus_it_is_vacuous() {
        is_vacuous(ASK, "a second game", &good());
        let log = played(2);
        is_vacuous(ASK, "the first moment", &without_moment(&log, "in-game"));
        is_vacuous(ASK, "the second moment", &without_moment(&log, "in-game-2"));
        let same_game = "{ same-equipment = { second = \"in-game\" } }";
        is_vacuous(same_game, "another game", &log);
        let mut bare = log;
        for label in ["in-game", "in-game-2"] {
            bare = with_page(&bare, "survivor", label, |page| {
                page.state.workers.clear();
                page.state.intervals.clear();
            });
        }
        is_vacuous(ASK, "equipment", &bare);
    }

    #[test]
    fn equipment_that_is_not_made_again_fails() {
        let worker = in_second_game(|state| state.workers.retain(|one| one.terminated.is_some()));
        fails(
            ASK,
            "ledger",
            "1 in the first game, 0 in the second",
            &worker,
        );
        for of in ["_startP2PHealthReporting", "LatencyTelemetry.start"] {
            let log = in_second_game(|state| state.intervals.retain(|one| !one.stack.contains(of)));
            fails(ASK, "ledger", of, &log);
        }
        let doubled = in_second_game(|state| {
            let again = state.intervals.last().expect("one").clone();
            state.intervals.push(again);
        });
        fails(ASK, "ledger", "2 in the second", &doubled);
    }

    #[test]
    fn reports_that_are_not_sent_again_fail() {
        let log = played(2);
        let second = *places(&log, "pyodide_player_assigned").last().expect("two") as u64;
        let silent = without(&log, |event| {
            event.seq > second && is_socket_event(event, "survivor", "p2p_health_report")
        });
        fails(
            ASK,
            "wire",
            "`p2p_health_report` in the first game only",
            &silent,
        );
    }

    #[test]
    fn python_that_loads_again_fails() {
        let log = played(2);
        let loading = log.events()[places(&log, "pyodide_loading_start")[0]].clone();
        let place = *places(&log, "join_game").last().expect("two");
        let again = inserted(&log, place, [loading]);
        fails(ASK, "runtime", "loaded Python 2 times", &again);
        // Out of the browser's cache, and without a word of the client's.
        let load = |log: &Log, place: usize, file: &str| {
            let mut event = log.events()[place].clone();
            event.player = Some("survivor".into());
            event.fact = Fact::Page(PageEvent {
                page: 1,
                page_t: event.t,
                what: PageFact::RuntimeLoaded {
                    url: format!("http://cdn/{file}"),
                },
            });
            inserted(log, place, [event])
        };
        let first = places(&log, "join_game")[0];
        let place = place + 2;
        let once = load(&load(&log, first, "a.wasm"), first, "b.whl");
        passes(ASK, &once);
        passes(ASK, &load(&once, place, "c.wasm"));
        fails(
            ASK,
            "runtime",
            "loaded Python 2 times",
            &load(&once, place, "a.wasm"),
        );
        fails(
            ASK,
            "runtime",
            "of the runtime again",
            &load(&once, place, "b.whl"),
        );
        // A new game object listens anew beside the old one.
        let object = in_second_game(|state| {
            state.listeners.insert("p2p_pause".into(), 2);
        });
        fails(
            ASK,
            "listeners",
            "`p2p_pause`: 1 in the first game, 2",
            &object,
        );
        let page = with_page(&log, "survivor", "in-game-2", |page| page.page = 2);
        fails(ASK, "runtime", "another page", &page);
    }

    #[test]
    fn a_look_after_the_game_is_over_says_nothing() {
        let log = played(2);
        let complete = *places(&log, "multiplayer_game_complete")
            .last()
            .expect("the second game is played to its end");
        let look = position(&log, |event| {
            is_of(event, "survivor")
                && matches!(&event.fact, Fact::Snapshot(snapshot) if snapshot.label == "in-game-2")
        });
        let over = log.events()[complete].clone();
        let log = inserted(&log, look, [over]);
        let log = without(&log, |event| event.seq == complete as u64 + 1);
        is_vacuous(ASK, "a look in the game", &log);
    }
}

mod nobody_told {
    use super::*;

    const ASK: &str = "{ nobody-told = { after = \"after-death\" } }";

    /// The headline run with the target telling the survivor of the partner's death.
    fn with_news(name: &str, args: serde_json::Value) -> Log {
        let good = good();
        let place = position(
            &good,
            |event| matches!(&event.fact, Fact::ServerHandled(one) if one.event == "disconnect"),
        );
        let like = good.events()[places(&good, "start_game")[0]].clone();
        inserted(&good, place, [socket_event(&like, name, args)])
    }

    #[test]
    fn a_target_that_forgets_the_game_passes() {
        passes(ASK, &good());
        // What the gateway injects is not the target's doing.
        assert_eq!(asked(ASK, &good()).account, "2 oracles agree");
    }

    #[test]
    fn without_each_stimulus_it_is_vacuous() {
        let good = good();
        let killed = |event: &Event| {
            matches!(&event.fact, Fact::Process(process)
                if process.phase == gymcheck::evidence::ProcessPhase::Killed)
        };
        is_vacuous(ASK, "the departure", &without(&good, killed));
        is_vacuous(ASK, "a barrier", &without(&good, is_barrier));
        is_vacuous(ASK, "the exit", &without_exit(&good));
        // The partner has gone on as well: nobody is left in the game.
        is_vacuous(ASK, "a partner in the game", &with_partner_gone_on(&good));
    }

    #[test]
    fn each_kind_of_news_fails() {
        let nothing = serde_json::json!({});
        for name in [
            "p2p_game_ended",
            "partner_excluded",
            "p2p_pause",
            "webrtc_signal",
        ] {
            let told = with_news(name, nothing.clone());
            fails(ASK, "wire", &format!("sent the survivor `{name}`"), &told);
        }
        let game = good();
        let assigned = places(&game, "pyodide_player_assigned")[0];
        let id = args(&mut game.events()[assigned].clone())[0]["game_id"].clone();
        let unheard_of = with_news("game_update", serde_json::json!({ "game_id": id }));
        fails(ASK, "wire", "`game_update`", &unheard_of);
    }

    #[test]
    fn a_log_that_speaks_of_notifying_fails() {
        let good = good();
        let said = position(
            &good,
            |event| matches!(&event.fact, Fact::ServerLog { line } if line.contains("Notifying")),
        );
        let place = position(
            &good,
            |event| matches!(&event.fact, Fact::ServerHandled(one) if one.event == "disconnect"),
        );
        let again = good.events()[said].clone();
        fails(
            ASK,
            "target's log",
            "Notifying 1 remaining players",
            &inserted(&good, place, [again]),
        );
    }

    #[test]
    fn news_under_another_name_fails_while_the_survivor_stands_still() {
        let told = with_news(
            "partner_disconnected",
            serde_json::json!({ "message": "gone" }),
        );
        fails(ASK, "wire", "`partner_disconnected`", &told);
    }
}

mod counts_steady {
    use super::*;

    const ASK: &str = "{ counts-steady = { at = [\"after-exit\", \"after-exit-2\", \
                       \"after-exit-3\", \"after-exit-4\"] } }";

    fn four_games() -> Log {
        played(4)
    }

    /// The log in which something grows, so much each time.
    fn growing(change: impl Fn(&mut PageState, u32)) -> Log {
        let labels = ["after-exit", "after-exit-2", "after-exit-3", "after-exit-4"];
        (0..).zip(labels).fold(four_games(), |log, (time, label)| {
            with_page(&log, "survivor", label, |page| {
                change(&mut page.state, time)
            })
        })
    }

    #[test]
    fn four_games_that_leave_nothing_pass() {
        passes(ASK, &four_games());
        assert_eq!(asked(ASK, &four_games()).account, "5 oracles agree");
        // What the first game makes once and keeps is no growth.
        let once = growing(|state, time| {
            if time == 0 {
                state.listeners.remove("p2p_pause");
            }
        });
        passes(ASK, &once);
        // The scene that was come to may be at something of its own.
        let at_work = growing(|state, time| {
            if time == 2 {
                state.intervals.push(TimerState {
                    id: 900,
                    created: f64::MAX,
                    since: None,
                    period: 500.0,
                    stack: "at wait (http://h/static/js/index.js:1:1)".into(),
                });
            }
        });
        passes(ASK, &at_work);
    }

    #[test]
    fn the_result_has_what_was_counted_at_each_moment() {
        let client = "{ counts-steady = { at = [\"after-exit\", \"after-exit-2\", \"after-exit-3\"], \
                      of = [\"client\"] } }";
        let log = growing(|state, time| {
            state.listeners.insert("join_game_error".into(), time + 1);
        });
        let counts = asked(client, &log).counts.expect("it counts");
        assert_eq!(
            counts.moments,
            ["after-exit", "after-exit-2", "after-exit-3"]
        );
        let tables: Vec<&String> = counts.tables.keys().collect();
        assert_eq!(tables, ["connections", "equipment", "listeners"]);
        assert_eq!(counts.tables["listeners"]["`join_game_error`"], [1, 2, 3]);
        assert_eq!(counts.tables["connections"]["open channels"], [0, 0, 0]);
        // A moment that never came has no number.
        let without = asked(client, &without_moment(&log, "after-exit-2"));
        let counts = without.counts.expect("it counts");
        assert_eq!(counts.moments, ["after-exit", "after-exit-3"]);
        assert_eq!(counts.tables["listeners"]["`join_game_error`"], [1, 3]);
        assert!(asked("{ scene-order = {} }", &log).counts.is_none());
    }

    #[test]
    fn without_each_stimulus_it_is_vacuous() {
        let two = "{ counts-steady = { at = [\"after-exit\", \"after-exit-2\"] } }";
        is_vacuous(two, "a third scene", &four_games());
        let log = four_games();
        is_vacuous(ASK, "a moment", &without_moment(&log, "after-exit-3"));
        let same = "{ counts-steady = { at = [\"after-exit\", \"after-exit/later\", \
                    \"after-exit-2\"] } }";
        is_vacuous(same, "a game between", &log);
        let relayed = growing(|state, _| {
            for connection in &mut state.connections {
                connection.was_connected = false;
            }
        });
        is_vacuous(ASK, "connections", &relayed);
        let reloaded = with_page(&log, "survivor", "after-exit-3", |page| page.page = 2);
        is_vacuous(ASK, "one page", &reloaded);
    }

    #[test]
    fn whatever_grows_fails() {
        let listeners = growing(|state, time| {
            state.listeners.insert("join_game_error".into(), time + 1);
        });
        fails(
            ASK,
            "listeners",
            "`join_game_error`: 1, 2, 3, 4",
            &listeners,
        );
        let intervals = growing(|state, time| {
            let one = state.intervals[0].clone();
            state
                .intervals
                .extend(std::iter::repeat_n(one, time as usize));
        });
        fails(ASK, "equipment", "1, 2, 3, 4", &intervals);
        let connections = growing(|state, time| {
            for connection in state.connections.iter_mut().take(time as usize) {
                connection.connection = "connected".into();
            }
        });
        fails(
            ASK,
            "connections",
            "open connections: 0, 1, 2, 3",
            &connections,
        );
        let websockets = growing(|state, time| {
            let one = state.websockets[0].clone();
            state
                .websockets
                .extend(std::iter::repeat_n(one, time as usize));
        });
        fails(
            ASK,
            "connections",
            "open WebSockets: 1, 2, 3, 4",
            &websockets,
        );
        for (oracle, event) in [
            ("document listeners", "document visibilitychange"),
            ("window listeners", "window focus"),
        ] {
            let grown = growing(|state, time| {
                state.document_listeners.insert(event.into(), time);
            });
            let says = format!("`{event}`: 0, 1, 2, 3");
            fails(ASK, oracle, &says, &grown);
        }
        let one_moment = with_page(&four_games(), "survivor", "after-exit-3", |page| {
            page.state.listeners.insert("p2p_pause".into(), 2);
        });
        fails(ASK, "listeners", "`p2p_pause`: 1, 1, 2, 1", &one_moment);
    }
}

mod rules {
    use super::*;
    use gymcheck::evidence::{ProcessPhase, RuleEffect};
    use gymcheck::verdict::Judgement;

    fn judged(log: &Log) -> Judgement {
        let catalogue = Catalogue::read(&find_root()).expect("the checkout's specs");
        judge(catalogue.spec(HEADLINE).expect("a spec"), log)
    }

    fn unfired(name: &str) -> Log {
        let fired = |event: &Event| {
            matches!(&event.fact, Fact::Rule(rule) if rule.rule == "partner-stays-behind"
                && rule.effect == RuleEffect::Held)
        };
        let log = recorded(name);
        assert!(log.events().iter().any(fired), "{name}");
        without(&log, fired)
    }

    /// The log in which the partner's advance passes right before it leaves.
    fn passed(log: &Log) -> Log {
        let leaves = position(log, |event| {
            matches!(&event.fact, Fact::Process(process)
                if process.phase == ProcessPhase::Killed)
        });
        let joins = position(log, |event| is_socket_event(event, "partner", "join_game"));
        let like = &log.events()[joins];
        let advance = socket_event(like, "advance_scene", serde_json::json!({}));
        inserted(log, leaves, [advance])
    }

    #[test]
    fn one_that_never_fired_leaves_no_pass_and_hides_no_failure() {
        let good = judged(&passed(&unfired("good")));
        assert_eq!(good.verdict, Verdict::Vacuous);
        for check in good.checks {
            assert_eq!(check.verdict, Verdict::Vacuous, "{}", check.check);
            assert_eq!(check.account, "the rule `partner-stays-behind` never fired");
        }
        let bad = judged(&passed(&unfired("late-end-not-guarded")));
        let of = |name: &str| {
            let check = bad.checks.iter().find(|check| check.check == name);
            check.map(|check| check.verdict)
        };
        assert_eq!(of("no-overlay"), Some(Verdict::Fail));
        assert_eq!(of("connections-closed"), Some(Verdict::Vacuous));
    }

    #[test]
    fn a_hold_has_done_its_work_if_the_player_left_before_it_sent_the_event() {
        assert_eq!(judged(&unfired("good")).verdict, Verdict::Pass);
    }
}

mod news_of_the_partner {
    use super::*;
    use gymcheck::evidence::{ProcessPhase, RuleEffect, RuleFact};

    const ASK: &str = "{ no-overlay = { before = \"after-exit\", after = \"after-death\", \
                       told = \"by-target\" } }";
    const BY_ANYBODY: &str =
        "{ no-overlay = { before = \"after-exit\", after = \"after-death\" } }";

    #[track_caller]
    fn is_not_applicable(log: &Log) -> CheckResult {
        let result = asked(ASK, log);
        assert_eq!(result.verdict, Verdict::NotApplicable, "{result:#?}");
        result
    }

    /// The log with the overlay of the mid-game run at a place.
    fn with_overlay(log: &Log, place: usize) -> Log {
        inserted(log, place, [overlay()])
    }

    fn news(log: &Log) -> usize {
        places(log, "p2p_game_ended")[0]
    }

    #[test]
    fn a_target_that_tells_nobody_is_asked_by_injection() {
        let catalogue = Catalogue::read(&find_root()).expect("the checkout's specs");
        let spec = catalogue.spec("coordination/news-of-the-partner");
        let judgement = judge(spec.expect("a spec"), &good());
        let [natural, injected] = judgement.checks.as_slice() else {
            panic!("two halves: {judgement:#?}");
        };
        assert_eq!(natural.verdict, Verdict::NotApplicable);
        assert!(!natural.verdict.is_pass());
        assert!(
            natural
                .account
                .contains("this target tells nobody who has left a game")
                && natural
                    .account
                    .contains("the check `told-by-anybody` asks it by injection"),
            "{}",
            natural.account
        );
        assert_eq!(injected.verdict, Verdict::Pass);
        // The run is what the other check says.
        assert_eq!(judgement.verdict, Verdict::Pass);
    }

    #[test]
    fn a_target_that_tells_is_judged_by_its_own_event() {
        passes(ASK, &told_by_itself());
        passes(BY_ANYBODY, &told_by_itself());
        let shown = with_overlay(&told_by_itself(), news(&told_by_itself()) + 1);
        fails(ASK, "DOM history", "covers", &shown);
    }

    #[test]
    fn what_comes_after_an_injected_event_is_not_the_targets() {
        // There the guard is gone: the injected event raises the overlay.
        let log = recorded("late-end-not-guarded");
        is_not_applicable(&log);
        assert_eq!(asked(BY_ANYBODY, &log).verdict, Verdict::Fail);
        let good = good();
        fails(
            ASK,
            "DOM history",
            "covers",
            &with_overlay(&good, news(&good)),
        );
        is_not_applicable(&with_overlay(&good, news(&good) + 1));
        let nothing_put_in = without(&good, |event| event.seq == news(&good) as u64);
        is_not_applicable(&nothing_put_in);
        // Told by the target as well, but too late to be told apart.
        let twice = inserted(
            &good,
            news(&good) + 1,
            [told_by_itself().events()[news(&good)].clone()],
        );
        is_vacuous(ASK, "its own event before the injected one", &twice);
    }

    #[test]
    fn silence_that_was_not_put_to_the_test_is_vacuous() {
        let good = good();
        let killed = |event: &Event| matches!(&event.fact, Fact::Process(process) if process.phase == ProcessPhase::Killed);
        is_vacuous(ASK, "the death", &without(&good, killed));
        let handled = |event: &Event| matches!(&event.fact, Fact::ServerHandled(one) if one.event == "disconnect");
        is_vacuous(ASK, "its handling", &without(&good, handled));
        is_vacuous(ASK, "a barrier", &without(&good, is_barrier));
        is_vacuous(ASK, "the exit", &without_exit(&good));
        is_vacuous(ASK, "a partner in the game", &with_partner_gone_on(&good));
        let mut dropped = good.events()[news(&good)].clone();
        dropped.fact = Fact::Rule(RuleFact {
            rule: "r".into(),
            effect: RuleEffect::Dropped,
            event: Some("p2p_game_ended".into()),
            detail: None,
        });
        is_vacuous(
            ASK,
            "what was dropped",
            &inserted(&good, news(&good), [dropped]),
        );
    }
}

mod server_forgets {
    use super::*;
    use gymcheck::evidence::ServerHolds;

    const AT: &str = "after-death";
    const ASK: &str = "{ server-forgets = { at = \"after-death\" } }";

    /// What the target holds: by keeper, how many participants are listed for the game.
    type Held<'a> = &'a [(&'a str, Option<u32>)];

    const PLAYED: Held<'_> = &[
        ("coordinator", Some(2)),
        ("manager", Some(2)),
        ("rooms", Some(2)),
    ];
    const FORGOTTEN: Held<'_> = &[("coordinator", None), ("manager", None), ("rooms", None)];

    /// Where it was looked at what the target holds, after an event of the log.
    fn look_after(log: &Log, place: usize) -> usize {
        let from = place as u64;
        position(log, |event| {
            event.seq > from && matches!(event.fact, Fact::ServerHolds(_))
        })
    }

    fn look(log: &Log, held: Held<'_>) -> Fact {
        let game = game_id(log);
        let games = held.iter().map(|(keeper, listed)| {
            let games = listed.iter().map(|listed| (game.clone(), *listed));
            ((*keeper).to_owned(), games.collect())
        });
        Fact::ServerHolds(ServerHolds {
            games: games.collect(),
        })
    }

    /// Where the target has finished with what matters to it: with the last player's coming to the
    /// game, the survivor's advance from it, and the partner's death.
    fn handlings(log: &Log) -> [usize; 3] {
        let joined = ["survivor", "partner"].map(|player| handled(log, player, "join_game", AT));
        [
            joined[0].max(joined[1]),
            handled(log, "survivor", "advance_scene", AT),
            handled(log, "partner", "disconnect", AT),
        ]
    }

    /// The headline run, with what the target holds while the game is played, and after each has left
    /// it: the survivor by its advance, the partner by its death.
    fn holding(in_game: Held<'_>, after_advance: Held<'_>, after_death: Held<'_>) -> Log {
        let good = good();
        let looks = handlings(&good).map(|place| look_after(&good, place) as u64);
        let held = [in_game, after_advance, after_death];
        changed(&good, |event| {
            if let Some(nth) = looks.iter().position(|look| *look == event.seq) {
                event.fact = look(&good, held[nth]);
            }
            true
        })
    }

    fn sound() -> Log {
        let one_left = &[
            ("coordinator", None),
            ("manager", Some(1)),
            ("rooms", Some(1)),
        ];
        holding(PLAYED, one_left, FORGOTTEN)
    }

    #[test]
    fn a_game_that_is_forgotten_with_its_last_player_passes() {
        passes(ASK, &sound());
        assert_eq!(asked(ASK, &sound()).account, "3 oracles agree");
    }

    #[test]
    fn a_partner_who_goes_on_leaves_the_game_as_well() {
        // Its advance is handled after the survivor's, and nobody dies.
        let good = good();
        let came = exit(&good);
        let advanced = *places(&good, "advance_scene")
            .iter()
            .rfind(|place| **place < came)
            .expect("an advance");
        let [advance, survey] = [advanced, came].map(|place| {
            let mut event = good.events()[place].clone();
            event.player = Some("partner".into());
            event
        });
        let done = handled(&good, "survivor", "advance_scene", "after-exit");
        let mut done = good.events()[done].clone();
        if let Fact::ServerHandled(handled) = &mut done.fact {
            handled.sid = good.session("partner").expect("a session").to_owned();
        }
        let log = inserted(&good, came + 1, [survey, done]);
        let log = inserted(&log, advanced + 1, [advance]);
        let log = without(&log, is_of_a_departure);
        let after = |held| {
            let mut found = log.events()[look_after(&good, 0)].clone();
            found.fact = look(&good, held);
            inserted(&log, came + 4, [found])
        };
        let at_exit = "{ server-forgets = { at = \"after-exit\" } }";
        passes(at_exit, &after(FORGOTTEN));
        fails(at_exit, "rooms", "still holds 1 game", &after(PLAYED));
    }

    #[test]
    fn the_release_holds_a_game_on_that_was_left_by_an_advance_and_a_death() {
        for keeper in ["game managers", "rooms"] {
            fails(ASK, keeper, "with 1 participants listed", &good());
        }
    }

    #[test]
    fn without_each_stimulus_it_is_vacuous() {
        let log = sound();
        let unwatched = without(&log, |event| matches!(event.fact, Fact::ServerHolds(_)));
        is_vacuous(ASK, "anybody who looks", &unwatched);
        is_vacuous(
            "{ server-forgets = { at = \"after-death\", game = 2 } }",
            "a second game",
            &log,
        );
        is_vacuous(ASK, "a barrier", &without(&log, is_barrier));
        let [_, advance, disconnect] = handlings(&log);
        let unseen = |place: usize| without(&log, |event| event.seq == place as u64);
        is_vacuous(ASK, "the survivor's advance", &unseen(advance));
        is_vacuous(ASK, "the partner's disconnect", &unseen(disconnect));
        let last = look_after(&log, disconnect);
        is_vacuous(ASK, "a look after that", &unseen(last));
        let never_began = without(&log, |event| {
            is_socket_event(event, "survivor", "start_game")
        });
        is_vacuous(ASK, "a game", &never_began);
    }

    #[test]
    fn who_never_held_the_game_cannot_be_asked_whether_it_forgets_it() {
        let in_one = |keeper| [(keeper, Some(2)), ("another", None)];
        for keeper in ["coordinator", "manager", "rooms"] {
            let log = holding(&in_one(keeper), FORGOTTEN, FORGOTTEN);
            is_vacuous(ASK, "two that held it", &log);
        }
        let two = &[
            ("coordinator", Some(2)),
            ("manager", None),
            ("rooms", Some(2)),
        ];
        let log = holding(two, FORGOTTEN, FORGOTTEN);
        passes(ASK, &log);
        assert!(
            asked(ASK, &log)
                .account
                .contains("absent: game managers: it was never seen")
        );
    }

    #[test]
    fn each_that_holds_the_game_on_fails() {
        let says = "still holds 1 game";
        for (keeper, name) in [
            ("coordinator", "coordinator"),
            ("manager", "game managers"),
            ("rooms", "rooms"),
        ] {
            for listed in [0, 2] {
                let mut held = FORGOTTEN.to_vec();
                held.push((keeper, Some(listed)));
                fails(ASK, name, says, &holding(PLAYED, PLAYED, &held));
            }
        }
    }

    #[test]
    fn a_game_that_is_held_on_fails_whatever_else_was_not_seen() {
        // Another game was over before anybody looked.
        let held = holding(PLAYED, PLAYED, PLAYED);
        let never = changed(&held, |event| {
            if let Fact::ServerHolds(holds) = &mut event.fact
                && let Some(games) = holds.games.get_mut("manager")
            {
                games.clear();
                games.insert("another".into(), 2);
            }
            true
        });
        fails(ASK, "game managers", "still holds 1 game (another)", &never);
    }
}

mod pace {
    use super::*;

    const ASK: &str = "{ played-peer-to-peer = {} }";

    /// The log in which the survivor's page plays its frames so many times more slowly than it should.
    fn slowed(log: &Log, times: f64) -> Log {
        let place = places(log, "start_game")[0] + 1;
        let frames = (1..=60).map(|frame| {
            let mut event = log.events()[place].clone();
            event.player = Some("survivor".into());
            event.fact = Fact::Page(PageEvent {
                page: 1,
                page_t: 1000.0 / 30.0 * times * f64::from(frame),
                what: PageFact::GameProgress { episodes: 0, frame },
            });
            event
        });
        inserted(log, place, frames)
    }

    fn relayed() -> Log {
        let log = good();
        let place = places(&log, "start_game")[0] + 5;
        let like = log.events()[places(&log, "join_game")[0]].clone();
        let input = socket_event(&like, "pyodide_player_action", serde_json::json!({}));
        inserted(&log, place, [input])
    }

    /// What is decided of a log where this is known of its target.
    fn expected(log: &Log, known: &[Expectation]) -> CheckResult {
        let spec = spec(ASK, log);
        let mut judgement = judge(&spec, log);
        expect(&mut judgement, &spec, log, known);
        judgement.checks.remove(0)
    }

    #[test]
    fn what_a_machine_that_is_too_busy_did_is_not_the_targets_fault() {
        assert_eq!(expected(&relayed(), &[]).verdict, Verdict::Fail);
        assert_eq!(
            expected(&slowed(&relayed(), 1.5), &[]).verdict,
            Verdict::Fail
        );
        let busy = expected(&slowed(&relayed(), 9.0), &[]);
        assert_eq!(busy.verdict, Verdict::Broken);
        assert!(busy.account.contains("the machine is too busy"), "{busy:?}");
    }

    #[test]
    fn what_is_known_to_fail_fails_on_a_busy_machine_as_well() {
        let known: Expectation = toml::from_str(&format!(
            "spec = \"{HEADLINE}\"\ncheck = \"played-peer-to-peer\"\nverdict = \"fail\"\nreason = \"r\""
        ))
        .expect("an expectation");
        let result = expected(&slowed(&relayed(), 9.0), &[known]);
        assert_eq!(result.verdict, Verdict::Fail);
        assert_eq!(result.expected, Verdict::Fail);
    }

    #[test]
    fn what_went_well_on_a_busy_machine_went_well() {
        assert_eq!(expected(&slowed(&good(), 9.0), &[]).verdict, Verdict::Pass);
    }
}

mod sound_after_departure {
    use super::*;

    const ASK: &str = "{ sound-after-departure = { at = \"after-death\" } }";

    /// The mid-game run as if the partner had died earlier: without some of what led to the game.
    fn earlier(names: &[&str]) -> Log {
        without(&recorded("in-game"), |event| {
            names
                .iter()
                .any(|name| is_socket_event(event, "survivor", name))
        })
    }

    fn is_overlay(event: &Event) -> bool {
        matches!(&event.fact, Fact::Page(page) if matches!(page.what, PageFact::Overlay(_)))
    }

    /// Nothing covers the page at any time, and its controls are in reach.
    fn uncovered(log: &Log) -> Log {
        changed(log, |event| {
            match &mut event.fact {
                Fact::Snapshot(snapshot) => snapshot.state.overlays.clear(),
                Fact::HitTest(test) => test.controls.clear(),
                _ => {}
            }
            !is_overlay(event)
        })
    }

    #[test]
    fn in_each_place_what_should_be_passes() {
        passes(ASK, &recorded("in-game"));
        passes(ASK, &good());
        // In the countdown before the game it was told, and stays.
        passes(ASK, &earlier(&["start_game"]));
        // In the waiting room it knows of no partner.
        let alone = [
            "start_game",
            "p2p_game_ended",
            "match_found_countdown",
            "pyodide_player_assigned",
        ];
        passes(ASK, &uncovered(&earlier(&alone)));
    }

    #[test]
    fn who_is_not_told_in_the_game_and_not_led_on_fails() {
        let log = earlier(&["p2p_game_ended"]);
        fails(ASK, "wire", "neither told nor moved on", &log);
        let log = uncovered(&earlier(&["p2p_game_ended", "start_game", "waiting_room"]));
        fails(ASK, "wire", "neither told nor led on", &log);
        let log = uncovered(&recorded("in-game"));
        fails(ASK, "DOM history", "no overlay came", &log);
    }

    #[test]
    fn an_overlay_outside_an_active_game_fails() {
        let log = earlier(&["start_game", "p2p_game_ended"]);
        fails(ASK, "DOM history", "after the game's end", &log);
        let log = good();
        let place = places(&log, "p2p_game_ended")[0] + 1;
        let covered = inserted(&log, place, [overlay()]);
        fails(ASK, "DOM history", "partnerDisconnectedContainer", &covered);
    }

    #[test]
    fn a_notice_in_the_text_of_a_scene_fails_and_not_in_a_waiting_rooms() {
        let told = |log: &Log| {
            with_page(log, "survivor", "after-death", |page| {
                page.state.says = Some(vec!["Your partner has left the duet.".into()]);
            })
        };
        fails(ASK, "DOM history", "the page says", &told(&good()));
        let alone = [
            "start_game",
            "p2p_game_ended",
            "match_found_countdown",
            "pyodide_player_assigned",
        ];
        passes(ASK, &told(&uncovered(&earlier(&alone))));
    }

    #[test]
    fn a_survey_that_leads_nowhere_fails() {
        let log = good();
        let left = exit(&log) as u64;
        let log = without(&log, |event| {
            event.seq > left && is_socket_event(event, "survivor", "activate_scene")
        });
        fails(ASK, "wire", "neither told nor led on", &log);
    }

    #[test]
    fn without_each_stimulus_it_is_vacuous() {
        let log = good();
        is_vacuous(ASK, "the death", &without(&log, is_of_a_departure));
        is_vacuous(ASK, "a barrier", &without(&log, is_barrier));
        let handled = |event: &Event| matches!(&event.fact, Fact::ServerHandled(one) if one.event == "disconnect");
        is_vacuous(ASK, "its handling", &without(&log, handled));
    }
}

mod nothing_left {
    use super::*;

    const ASK: &str = "{ nothing-left = { at = \"after-death\" } }";
    const REST: &str = "after-death/later";

    #[test]
    fn a_survey_with_nothing_of_the_game_passes() {
        passes(ASK, &good());
    }

    #[test]
    fn the_telemetry_that_the_release_leaves_running_under_the_notice_fails() {
        let told = recorded("in-game");
        fails(ASK, "equipment", "LatencyTelemetry", &told);
    }

    #[test]
    fn an_open_connection_or_channel_fails() {
        let open = with_page(&good(), "survivor", REST, |page| {
            page.state.connections[0].connection = "connected".into();
        });
        fails(ASK, "ledger", "is `connected`", &open);
        let open = with_page(&good(), "survivor", REST, |page| {
            page.state.channels[0].state = "open".into();
        });
        fails(ASK, "ledger", "is `open`", &open);
    }

    #[test]
    fn a_socket_in_the_kernel_fails() {
        let game = good();
        let (_, in_game) = game
            .kernel("survivor", "in-game")
            .expect("the kernel's view");
        let sockets = in_game.udp.clone();
        let log = changed(&game, |event| {
            if is_of(event, "survivor")
                && let Fact::Kernel(kernel) = &mut event.fact
                && kernel.label == REST
            {
                kernel.udp.clone_from(&sockets);
            }
            true
        });
        fails(ASK, "kernel", "still holds the UDP socket", &log);
    }

    #[test]
    fn what_runs_in_the_game_and_draws_it_may_go_on_and_nothing_else() {
        let game = good();
        let (_, in_game) = game.snapshot("survivor", "in-game").expect("a page");
        let worker = in_game.state.workers[0].clone();
        let left = with_page(&game, "survivor", REST, |page| {
            page.state.workers.push(worker.clone());
        });
        fails(ASK, "equipment", "worker made by", &left);
        let drawing = with_page(&game, "survivor", REST, |page| {
            let mut worker = worker.clone();
            worker.id += 1000;
            worker.stack = "Error\n    at e (http://h/phaser.min.js:1:2)".into();
            page.state.workers.push(worker);
        });
        passes(ASK, &drawing);
    }

    #[test]
    fn a_loop_from_frame_to_frame_may_go_on_where_it_began() {
        let drawn = |log: &Log, since: f64| {
            with_page(log, "survivor", REST, |page| {
                page.state.frames.push(FrameState {
                    id: 7,
                    created: page.page_t,
                    since,
                    stack: "at draw (http://h/own.js:1:1)".into(),
                });
            })
        };
        let came = good().events()[exit(&good())].t;
        passes(ASK, &drawn(&good(), came + 100.0));
        let from_the_game = drawn(&good(), came - 1_000.0);
        fails(
            ASK,
            "equipment",
            "a callback for the next frame",
            &from_the_game,
        );
    }

    #[test]
    fn without_each_stimulus_it_is_vacuous() {
        let log = good();
        let before = |event: &Event| matches!(&event.fact, Fact::Snapshot(page) if page.label == "before-game");
        is_vacuous(ASK, "the page before the game", &without(&log, before));
        is_vacuous(ASK, "the death", &without(&log, is_of_a_departure));
        is_vacuous(ASK, "a barrier", &without(&log, is_barrier));
        let silent = without(&log, |event| {
            is_of(event, "survivor")
                && matches!(&event.fact, Fact::Page(page)
                    if matches!(page.what, PageFact::ChannelTraffic { .. }))
        });
        is_vacuous(ASK, "a channel that carried messages", &silent);
    }
}
