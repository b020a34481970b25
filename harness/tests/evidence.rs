//! Recorded evidence of good and of bad runs, judged again without a browser. The logs lie in
//! `fixtures/evidence/`; `record.py` beside them makes them anew.

use std::path::PathBuf;

use gymcheck::evidence::{
    Direction, End, Event, Fact, FrozenFact, FrozenProcess, InstantFact, KeptFact, KeptMessages,
    LinkEnd, LinkFact, Log, Overlay, Packet, PageEvent, PageFact, ProcessPhase, RunFacts, STOPPED,
    SessionEndedFact, SessionFact, Spent, StalledFact, StepPhase,
};
use gymcheck::report::judge_again;
use gymcheck::run::{RunRecord, find_root, record};
use gymcheck::spec::{Catalogue, GameEvent, Spec, Step, WayToLeave};
use gymcheck::verdict::{CheckResult, Judgement, Verdict, judge};

const HEADLINE: &str = "scene-exit/partner-dies-on-survey";
const IN_GAME: &str = "mid-game/partner-dies-in-game";

fn log(name: &str) -> Log {
    let path: PathBuf = find_root()
        .join("fixtures/evidence")
        .join(format!("{name}.jsonl"));
    Log::read(&path).expect("a recorded log")
}

fn spec(name: &str) -> Spec {
    let catalogue = Catalogue::read(&find_root()).expect("the checkout's specs");
    catalogue.spec(name).expect("a spec").clone()
}

fn verdict(judgement: &Judgement, check: &str) -> Verdict {
    judgement
        .checks
        .iter()
        .find(|result| result.check == check)
        .unwrap_or_else(|| panic!("{check} was not asked"))
        .verdict
}

/// The log with some of its events left out, or changed.
fn changed(log: &Log, mut change: impl FnMut(&mut Event) -> bool) -> Log {
    let mut events = log.events().to_vec();
    events.retain_mut(|event| change(event));
    Log::new(events)
}

fn without(log: &Log, left_out: impl Fn(&Event) -> bool) -> Log {
    changed(log, |event| !left_out(event))
}

fn is_socket_event(event: &Event, player: &str, wanted: &str) -> bool {
    event.player.as_deref() == Some(player)
        && matches!(&event.fact, Fact::Wire(wire)
            if matches!(&wire.packet, Packet::Event { name, .. } if name == wanted))
}

/// What `gymcheck judge` says of each recorded log, by its name: all specs that judge it.
fn judged() -> Vec<(String, Vec<RunRecord>)> {
    let catalogue = Catalogue::read(&find_root()).expect("the checkout's specs");
    let folder = std::fs::read_dir(find_root().join("fixtures/evidence")).expect("recorded logs");
    let paths = folder.map(|entry| entry.expect("an entry").path());
    let logs = paths.filter(|path| path.extension().is_some_and(|one| one == "jsonl"));
    let mut judged: Vec<(String, Vec<RunRecord>)> = logs
        .map(|path| {
            let name = path.file_stem().expect("a name").to_string_lossy().into();
            let judged = judge_again(&catalogue, &path).expect("a recorded log");
            (name, judged.records)
        })
        .collect();
    judged.sort_by(|one, other| one.0.cmp(&other.0));
    judged
}

/// A check of a spec that was asked of a log, and what was decided.
fn row(run: &RunRecord, check: &CheckResult) -> String {
    format!("{} {}: {}", run.spec, check.check, check.verdict)
}

/// A spec that came later may want what an old recording has not: then it shows here, and
/// `fixtures/evidence/record.py` records it anew.
#[test]
fn each_recorded_log_has_its_recorded_verdicts() {
    let mut table = String::new();
    for (name, runs) in judged() {
        table += &format!("{name}\n");
        for run in &runs {
            for check in &run.checks {
                table += &format!("  {}\n", row(run, check));
            }
        }
    }
    insta::assert_snapshot!(table, @r"
    cleanup-not-called
      coordination/news-of-the-partner told-by-target: not applicable
      coordination/news-of-the-partner told-by-anybody: fail
      coordination/partner-still-in-game nobody-told: pass
      data/one-game data-whole: pass
      life/after-a-game scene-order: pass
      life/after-a-game equipment-stopped: fail
      scene-exit/partner-dies-on-survey connections-closed: fail
      scene-exit/partner-dies-on-survey played-peer-to-peer: pass
      scene-exit/partner-dies-on-survey no-overlay: fail
      scene-exit/partner-dies-on-survey form-answered: fail
    good
      coordination/news-of-the-partner told-by-target: not applicable
      coordination/news-of-the-partner told-by-anybody: pass
      coordination/partner-still-in-game nobody-told: pass
      data/one-game data-whole: pass
      life/after-a-game scene-order: pass
      life/after-a-game equipment-stopped: pass
      scene-exit/partner-dies-on-survey connections-closed: pass
      scene-exit/partner-dies-on-survey played-peer-to-peer: pass
      scene-exit/partner-dies-on-survey no-overlay: pass
      scene-exit/partner-dies-on-survey form-answered: pass
    in-game
      mid-game/nothing-left nothing-left: fail
      mid-game/partner-dies-in-game overlay-shown: pass
    late-end-not-guarded
      coordination/news-of-the-partner told-by-target: not applicable
      coordination/news-of-the-partner told-by-anybody: fail
      coordination/partner-still-in-game nobody-told: pass
      data/one-game data-whole: pass
      life/after-a-game scene-order: pass
      life/after-a-game equipment-stopped: pass
      scene-exit/partner-dies-on-survey connections-closed: pass
      scene-exit/partner-dies-on-survey played-peer-to-peer: pass
      scene-exit/partner-dies-on-survey no-overlay: fail
      scene-exit/partner-dies-on-survey form-answered: fail
    ");
}

/// A log of the release itself has everything that a spec may want of it, but for what is known not to
/// be there.
#[test]
fn no_recorded_log_of_the_release_is_too_old_for_a_spec() {
    let of_the_release =
        |(_, runs): &(String, Vec<RunRecord>)| runs.iter().all(|run| run.mutant.is_none());
    let logs: Vec<_> = judged().into_iter().filter(of_the_release).collect();
    let names: Vec<&str> = logs.iter().map(|(name, _)| name.as_str()).collect();
    assert!(
        names.contains(&"good") && names.contains(&"in-game"),
        "{names:?}"
    );
    for (name, runs) in &logs {
        assert!(!runs.is_empty(), "{name}");
        for run in runs {
            assert!(
                !run.is_unexpected(),
                "{name}: {}: {}",
                run.spec,
                run.verdict
            );
            for check in &run.checks {
                let decided = match check.verdict {
                    Verdict::Pass => true,
                    Verdict::NotApplicable | Verdict::Fail => check.expected == check.verdict,
                    Verdict::Vacuous | Verdict::Broken | Verdict::Unstable => false,
                };
                assert!(decided, "{name}: {}: {}", row(run, check), check.account);
            }
        }
    }
}

#[test]
fn an_absence_without_its_stimulus_is_vacuous() {
    let good = log("good");
    let spec = spec(HEADLINE);
    let told = |event: &Event| is_socket_event(event, "survivor", "p2p_game_ended");
    let killed = |event: &Event| {
        matches!(&event.fact, Fact::Process(process)
            if process.role == "browser" && process.phase == ProcessPhase::Killed)
    };
    let handled = |event: &Event| matches!(&event.fact, Fact::ServerHandled(handled) if handled.event == "disconnect");
    let socket = |event: &Event| {
        event.player.as_deref() == Some("partner") && matches!(event.fact, Fact::WireClosed(_))
    };
    let logs = [
        ("the event that would raise it", without(&good, told)),
        ("the partner's death", without(&good, killed)),
        ("the target's handling of it", without(&good, handled)),
        ("the end of the partner's socket", without(&good, socket)),
    ];
    for (what, log) in logs {
        assert_eq!(
            verdict(&judge(&spec, &log), "no-overlay"),
            Verdict::Vacuous,
            "without {what}"
        );
    }
}

/// The log of a partner's death, as if the partner had gone another way: each way has a proof of its
/// own, and without any part of it there was no departure.
#[test]
fn each_way_to_leave_needs_its_own_proof() {
    let spec = spec(IN_GAME);
    let asked = |log: &Log| verdict(&judge(&spec, log), "overlay-shown");
    for how in [
        WayToLeave::Quit,
        WayToLeave::CloseTab,
        WayToLeave::Navigate,
        WayToLeave::Reload,
    ] {
        let left = left_by(how);
        assert_eq!(asked(&left), Verdict::Pass, "{how}");
        let is = |event: &Event, what: &str| match &event.fact {
            Fact::Leaving(_) => what == "leaving",
            Fact::Departed(_) => what == "departed",
            Fact::Process(_) => what == "process" && how == WayToLeave::Quit,
            Fact::Page(page) => {
                what == "hello"
                    && how == WayToLeave::Reload
                    && event.player.as_deref() == Some("partner")
                    && matches!(page.what, PageFact::Hello { .. })
            }
            Fact::WireClosed(_) => what == "socket",
            Fact::ServerHandled(handled) => what == "handled" && handled.event == "disconnect",
            _ => false,
        };
        let mut proofs = vec!["leaving", "departed", "socket", "handled"];
        match how {
            WayToLeave::Quit => proofs.push("process"),
            WayToLeave::Reload => proofs.push("hello"),
            WayToLeave::Kill
            | WayToLeave::CloseTab
            | WayToLeave::Navigate
            | WayToLeave::Freeze
            | WayToLeave::Stall
            | WayToLeave::CutNetwork => {}
        }
        for proof in proofs {
            let unproven = without(&left, |event| is(event, proof));
            assert_eq!(asked(&unproven), Verdict::Vacuous, "{how} without {proof}");
        }
    }
}

/// The same on a grid, where it is the session that must have ended: there is no process to be seen.
#[test]
fn on_a_grid_a_departure_is_proven_by_the_end_of_the_session() {
    let spec = spec(IN_GAME);
    let asked = |log: &Log| verdict(&judge(&spec, log), "overlay-shown");
    let is_of_browser =
        |event: &Event| matches!(&event.fact, Fact::Process(process) if process.role == "browser");
    let left = changed(&left_by(WayToLeave::Quit), |event| {
        if !is_of_browser(event) {
            return true;
        }
        let (id, endpoint) = ("s1".to_owned(), "http://grid.example:4444".to_owned());
        event.fact = match &event.fact {
            Fact::Process(process) if process.phase == ProcessPhase::Started => {
                Fact::Session(SessionFact {
                    node: "http://10.0.0.2:5555".into(),
                    endpoint,
                    id,
                    browser: "chrome".into(),
                    version: "156".into(),
                    platform: None,
                })
            }
            _ => Fact::SessionEnded(SessionEndedFact {
                id,
                said: "there is none".into(),
            }),
        };
        true
    });
    assert_eq!(asked(&left), Verdict::Pass);
    let still_there = without(&left, |event| matches!(event.fact, Fact::SessionEnded(_)));
    assert_eq!(asked(&still_there), Verdict::Vacuous);
    let unseen = without(&left, |event| matches!(event.fact, Fact::Departed(_)));
    assert_eq!(asked(&unseen), Verdict::Vacuous);
}

/// The same for the ways that tell nobody: only the target may have ended the socket, and what was done to
/// the player must have been seen until then.
#[test]
fn a_departure_that_tells_nobody_is_proven_until_the_target_notices() {
    let spec = spec(IN_GAME);
    let asked = |log: &Log| verdict(&judge(&spec, log), "overlay-shown");
    let of_partner = |event: &Event| event.player.as_deref() == Some("partner");
    for (how, parts_of_it, ways_to_spoil) in [
        (WayToLeave::Freeze, 6, 4),
        (WayToLeave::Stall, 6, 5),
        (WayToLeave::CutNetwork, 8, 11),
    ] {
        let left = silently_left_by(how);
        assert_eq!(asked(&left), Verdict::Pass, "{how}");
        let session = session_of_the_partner(&left);
        let parts = left.events().iter().filter(|event| match &event.fact {
            Fact::Frozen(_) | Fact::Stalled(_) | Fact::Kept(_) | Fact::Link(_) => true,
            Fact::Page(page) => {
                let is_broken = matches!(&page.what, PageFact::ConnectionState { connection, .. }
                    if connection == "disconnected");
                !of_partner(event) && is_broken
            }
            Fact::Leaving(_) | Fact::Departed(_) => true,
            Fact::WireClosed(_) => of_partner(event),
            Fact::ServerHandled(handled) => handled.event == "disconnect" && handled.sid == session,
            _ => false,
        });
        let parts: Vec<u64> = parts.map(|event| event.seq).collect();
        assert_eq!(parts.len(), parts_of_it, "{how}");
        for part in parts {
            let unproven = without(&left, |event| event.seq == part);
            assert_eq!(asked(&unproven), Verdict::Vacuous, "{how} without {part}");
        }
        let spoilt = spoilt(&left);
        assert_eq!(spoilt.len(), ways_to_spoil, "{how}");
        for (number, log) in spoilt.iter().enumerate() {
            assert_eq!(asked(log), Verdict::Vacuous, "{how}, spoilt {number}");
        }
    }
}

/// Whether the survivor's connection to a partner whose network was cut has broken is asked only of one that
/// was up, and who closes it first has no time to see it break.
#[test]
fn a_connection_that_was_not_up_or_is_closed_first_need_not_be_seen_to_break() {
    let spec = spec(IN_GAME);
    let asked = |log: &Log| verdict(&judge(&spec, log), "overlay-shown");
    let left = silently_left_by(WayToLeave::CutNetwork);
    let put = |wanted: &str, state: &str| {
        changed(&left, |event| {
            if let Fact::Page(page) = &mut event.fact
                && let PageFact::ConnectionState { connection, .. } = &mut page.what
                && connection == wanted
            {
                *connection = state.into();
            }
            true
        })
    };
    assert_eq!(asked(&put("disconnected", "closed")), Verdict::Pass);
    assert_eq!(asked(&put("disconnected", "connected")), Verdict::Vacuous);
    let never_up = without(&put("disconnected", "connected"), |event| {
        matches!(&event.fact, Fact::Page(page)
            if matches!(page.what, PageFact::ConnectionState { .. }))
    });
    assert_eq!(asked(&never_up), Verdict::Pass);
}

/// The log of a silent departure, each time with another part that says something else.
fn spoilt(left: &Log) -> Vec<Log> {
    let mut logs = Vec::new();
    let session = session_of_the_partner(left);
    for event in left.events() {
        let mut put = |fact: Fact| {
            logs.push(changed(left, |other| {
                if other.seq == event.seq {
                    other.fact = fact.clone();
                }
                true
            }));
        };
        match &event.fact {
            Fact::WireClosed(closed) if event.player.as_deref() == Some("partner") => {
                let mut closed = closed.clone();
                closed.by = End::Browser;
                put(Fact::WireClosed(closed));
            }
            Fact::ServerHandled(handled)
                if handled.event == "disconnect" && handled.sid == session =>
            {
                let mut handled = handled.clone();
                handled.reason = Some("client disconnect".into());
                put(Fact::ServerHandled(handled));
            }
            Fact::Frozen(frozen) => {
                let mut frozen = frozen.clone();
                frozen.processes[1].state = 'S';
                put(Fact::Frozen(frozen));
            }
            Fact::Kept(kept) => {
                for of_page in [true, false] {
                    let mut kept = kept.clone();
                    let none = match of_page {
                        true => &mut kept.from_page,
                        false => &mut kept.from_target,
                    };
                    *none = KeptMessages::default();
                    put(Fact::Kept(kept));
                }
            }
            Fact::Link(link) => {
                // Either end seen as it was not, and a packet that was not or is counted.
                for own in [true, false] {
                    let mut link = link.clone();
                    let end = if own { &mut link.own } else { &mut link.far };
                    end.carrier = !end.carrier;
                    put(Fact::Link(link));
                }
                let mut link = link.clone();
                link.own.sent = if link.is_down() { 978 } else { 0 };
                put(Fact::Link(link));
            }
            Fact::Stalled(stalled) => {
                // Something passes all the same.
                let is_its = |event: &&Event| matches!(&event.fact, Fact::Wire(wire) if wire.connection == stalled.connection);
                let mut passing = left.events().to_vec();
                let last = passing.iter().rfind(is_its).expect("it played").clone();
                let place = passing.iter().position(|one| one.seq == event.seq + 2);
                passing.insert(place.expect("a later event"), last);
                logs.push(numbered(passing));
            }
            _ => {}
        }
    }
    logs
}

fn numbered(mut events: Vec<Event>) -> Log {
    for (seq, event) in (0..).zip(&mut events) {
        event.seq = seq;
    }
    Log::new(events)
}

/// The partner's session at the target: the first whose end it handled after the partner had begun to leave.
fn session_of_the_partner(left: &Log) -> String {
    let later = left
        .events()
        .iter()
        .skip_while(|event| !matches!(event.fact, Fact::Leaving(_)));
    let mut ended = later.filter_map(|event| match &event.fact {
        Fact::ServerHandled(handled) if handled.event == "disconnect" => Some(&handled.sid),
        _ => None,
    });
    ended.next().expect("it was handled").clone()
}

fn connection_of_the_partner(log: &Log) -> u64 {
    let mut closed = log.events().iter().filter_map(|event| match &event.fact {
        Fact::WireClosed(closed) if event.player.as_deref() == Some("partner") => Some(closed),
        _ => None,
    });
    closed.next().expect("it was closed").connection
}

fn silently_left_by(how: WayToLeave) -> Log {
    let recorded = log("in-game");
    let connection = connection_of_the_partner(&recorded);
    let mut events = Vec::new();
    for event in recorded.events() {
        let of_partner = event.player.as_deref() == Some("partner");
        let with = |fact: Fact| Event {
            player: Some("partner".into()),
            fact,
            ..event.clone()
        };
        let before = events.len();
        match &event.fact {
            Fact::Process(process) if of_partner && process.role == "browser" => {
                match (process.phase, how) {
                    (ProcessPhase::Killed, WayToLeave::Freeze) => events.push(with(frozen())),
                    (ProcessPhase::Killed, WayToLeave::CutNetwork) => {
                        events.extend([link(true), link(false)].map(with));
                    }
                    (ProcessPhase::Killed, _) => {
                        events.push(with(Fact::Stalled(StalledFact { connection })));
                    }
                    (ProcessPhase::Gone, WayToLeave::Freeze) => events.push(with(frozen())),
                    (ProcessPhase::Gone, WayToLeave::CutNetwork) => events.push(with(link(false))),
                    (ProcessPhase::Gone, _) => continue,
                    (ProcessPhase::Started, _) => {}
                }
            }
            Fact::WireClosed(closed) if of_partner => {
                let messages = KeptMessages {
                    messages: 2,
                    bytes: 9,
                };
                if how == WayToLeave::Stall {
                    events.push(with(Fact::Kept(KeptFact {
                        connection: closed.connection,
                        from_page: messages,
                        from_target: messages,
                    })));
                }
                let mut closed = closed.clone();
                closed.by = End::Target;
                events.push(with(Fact::WireClosed(closed)));
            }
            Fact::Leaving(leaving) => {
                let mut leaving = leaving.clone();
                leaving.how = how;
                events.push(with(Fact::Leaving(leaving)));
            }
            Fact::Departed(departed) => {
                let mut departed = departed.clone();
                departed.how = how;
                events.push(with(Fact::Departed(departed)));
            }
            Fact::Page(page) if how == WayToLeave::CutNetwork && !of_partner => {
                let mut page = page.clone();
                match &mut page.what {
                    PageFact::ConnectionClosed { .. } => continue,
                    PageFact::ConnectionState { connection, .. } if connection == "closed" => {
                        *connection = "disconnected".into();
                    }
                    _ => {}
                }
                events.push(Event {
                    fact: Fact::Page(page),
                    ..event.clone()
                });
            }
            _ => {}
        }
        if events.len() == before {
            events.push(event.clone());
        }
    }
    numbered(events)
}

fn link(whole: bool) -> Fact {
    let end = |name: &str, received, sent| LinkEnd {
        name: name.into(),
        up: true,
        carrier: whole,
        state: if whole { "UP" } else { "DOWN" }.into(),
        received,
        sent,
    };
    Fact::Link(LinkFact {
        own: end("partner", 1038, 977),
        far: end("to-partner", 977, 1038),
    })
}

fn frozen() -> Fact {
    let process = |pid| FrozenProcess {
        pid,
        name: "chromium".into(),
        state: STOPPED,
    };
    Fact::Frozen(FrozenFact {
        processes: vec![process(30595), process(30635)],
    })
}

fn left_by(how: WayToLeave) -> Log {
    changed(&log("in-game"), |event| {
        let of_browser = event.player.as_deref() == Some("partner")
            && matches!(&event.fact, Fact::Process(process) if process.role == "browser");
        match &mut event.fact {
            Fact::Leaving(leaving) => leaving.how = how,
            Fact::Departed(departed) => departed.how = how,
            Fact::Process(process) if of_browser => match (how, process.phase) {
                (_, ProcessPhase::Started) | (WayToLeave::Quit, ProcessPhase::Gone) => {}
                (WayToLeave::Reload, ProcessPhase::Gone) => event.fact = hello(event),
                _ => return false,
            },
            _ => {}
        }
        true
    })
}

fn hello(event: &Event) -> Fact {
    Fact::Page(PageEvent {
        page: 2,
        page_t: event.t,
        what: PageFact::Hello {
            url: "http://127.0.0.1:1/".into(),
            user_agent: String::new(),
            secure: true,
        },
    })
}

#[test]
fn an_event_of_another_game_or_of_a_completed_scene_is_no_stimulus() {
    let good = log("good");
    let spec = spec(HEADLINE);
    for (field, value) in [("game_id", "another"), ("reason", "scene_completed")] {
        let other = changed(&good, |event| {
            if is_socket_event(event, "survivor", "p2p_game_ended")
                && let Fact::Wire(wire) = &mut event.fact
                && let Packet::Event { args, .. } = &mut wire.packet
            {
                args[0][field] = value.into();
            }
            true
        });
        let judgement = judge(&spec, &other);
        assert_eq!(
            verdict(&judgement, "no-overlay"),
            Verdict::Vacuous,
            "{field} {value}"
        );
    }
}

#[test]
fn closed_connections_prove_nothing_if_none_was_ever_up() {
    let good = log("good");
    let spec = spec(HEADLINE);
    let never_up = changed(&good, |event| {
        if let Fact::Snapshot(snapshot) = &mut event.fact {
            snapshot.state.connections.clear();
            snapshot.state.channels.clear();
        }
        true
    });
    let judgement = judge(&spec, &never_up);
    assert_eq!(verdict(&judgement, "connections-closed"), Verdict::Vacuous);

    let after_the_death = changed(&good, |event| {
        // As if the partner had died before the connections were looked at.
        if matches!(&event.fact, Fact::Process(process) if process.role == "browser")
            && event.player.as_deref() == Some("partner")
            && let Fact::Process(process) = &mut event.fact
        {
            process.phase = ProcessPhase::Killed;
        }
        true
    });
    let judgement = judge(&spec, &after_the_death);
    assert_eq!(verdict(&judgement, "connections-closed"), Verdict::Vacuous);
}

/// Each oracle of a check, turned red alone, turns the check red: none of them hides behind the
/// others.
#[test]
fn each_oracle_bites_alone() {
    let good = log("good");
    let spec = spec(HEADLINE);
    let fails = |check: &str, oracle: &str, log: &Log| {
        let judgement = judge(&spec, log);
        assert_eq!(
            verdict(&judgement, check),
            Verdict::Fail,
            "{check} by {oracle}"
        );
        let result = judgement.checks.iter().find(|result| result.check == check);
        let account = &result.expect("it was asked").account;
        assert!(
            account.starts_with(oracle),
            "{check} by {oracle}: {account}"
        );
    };
    let survivors_snapshot = |event: &Event, wanted: &str| {
        event.player.as_deref() == Some("survivor")
            && matches!(&event.fact, Fact::Snapshot(snapshot) if snapshot.label == wanted)
    };

    let open = changed(&good, |event| {
        if survivors_snapshot(event, "after-exit")
            && let Fact::Snapshot(snapshot) = &mut event.fact
        {
            snapshot.state.channels[0].state = "open".into();
        }
        true
    });
    fails("connections-closed", "ledger", &open);

    let sends = changed(&good, |event| {
        if survivors_snapshot(event, "after-exit/later")
            && let Fact::Snapshot(snapshot) = &mut event.fact
        {
            snapshot.state.channels[0].sent += 1;
        }
        true
    });
    fails("connections-closed", "traffic", &sends);

    let holds_sockets = {
        let in_game = good
            .kernel("survivor", "in-game")
            .expect("taken")
            .1
            .udp
            .clone();
        changed(&good, move |event| {
            if event.player.as_deref() == Some("survivor")
                && let Fact::Kernel(kernel) = &mut event.fact
                && ["after-exit", "after-exit/later"].contains(&kernel.label.as_str())
            {
                kernel.udp.clone_from(&in_game);
            }
            true
        })
    };
    fails("connections-closed", "kernel", &holds_sockets);

    let relayed = changed(&good, |event| {
        // Of the game while it is played: what comes after its end is no input of it.
        if is_socket_event(event, "partner", "p2p_health_report")
            && let Fact::Wire(wire) = &mut event.fact
            && let Packet::Event { name, .. } = &mut wire.packet
        {
            assert_eq!(wire.direction, Direction::ToServer);
            *name = "pyodide_player_action".into();
        }
        true
    });
    fails("played-peer-to-peer", "wire", &relayed);

    let disagree = changed(&good, |event| {
        if event.player.as_deref() == Some("partner")
            && let Fact::DataFile(file) = &mut event.fact
        {
            let column = file.columns.iter().position(|name| name == "rewards.left");
            file.rows[17][column.expect("a column")] = "99".into();
        }
        true
    });
    fails("played-peer-to-peer", "records", &disagree);

    let too_short = changed(&good, |event| {
        if let Fact::DataFile(file) = &mut event.fact
            && file.what == "episode"
        {
            file.rows.truncate(59);
        }
        true
    });
    fails("played-peer-to-peer", "records", &too_short);

    let flash = with_overlay(&good, "before p2p_game_ended");
    fails("no-overlay", "DOM history", &flash);

    let told_in_the_text = changed(&good, |event| {
        if let Fact::Snapshot(snapshot) = &mut event.fact
            && snapshot.label == "after-death"
        {
            snapshot.state.says = Some(vec!["Your partner has left the duet.".into()]);
        }
        true
    });
    fails("no-overlay", "DOM history", &told_in_the_text);

    let covered = changed(&good, |event| {
        if let Fact::HitTest(test) = &mut event.fact
            && test.label == "after-death"
        {
            for control in &mut test.controls {
                control.on_top = false;
                control.covered_by = Some("div".into());
            }
        }
        true
    });
    fails("no-overlay", "hit-testing", &covered);

    let repainted = changed(&good, |event| {
        if let Fact::Pixels(pixels) = &mut event.fact {
            pixels.differing = pixels.compared / 10;
        }
        true
    });
    fails("no-overlay", "pixels", &repainted);

    let lost = without(
        &good,
        |event| matches!(&event.fact, Fact::DataFile(file) if file.what == "answers"),
    );
    fails("form-answered", "data file", &lost);
}

/// The detectors that must stay silent on the survey must speak in the game: without an overlay
/// the positive control is red.
#[test]
fn the_positive_control_fails_without_its_overlay() {
    let in_game = log("in-game");
    let spec = spec(IN_GAME);
    let silent = changed(&in_game, |event| {
        if let Fact::Snapshot(snapshot) = &mut event.fact {
            snapshot.state.overlays.clear();
        }
        !matches!(&event.fact, Fact::Page(page) if matches!(page.what, PageFact::Overlay(_)))
    });
    assert_eq!(
        verdict(&judge(&spec, &silent), "overlay-shown"),
        Verdict::Fail
    );
    let another_message = {
        let mut spec = spec.clone();
        spec.body.experiment.disconnect_message = "Something else".into();
        let in_game = changed(&in_game, |event| {
            if let Fact::Run(run) = &mut event.fact {
                run.experiment["disconnect_message"] = "Something else".into();
            }
            true
        });
        judge(&spec, &in_game)
    };
    assert_eq!(verdict(&another_message, "overlay-shown"), Verdict::Fail);
}

/// An overlay of the survivor's page in the place of an event on which no check rests.
fn with_overlay(log: &Log, at_barrier: &str) -> Log {
    changed(log, |event| {
        let here = matches!(&event.fact, Fact::Barrier(barrier) if barrier.label == at_barrier);
        if here {
            event.fact = Fact::Page(PageEvent {
                page: 1,
                page_t: event.t,
                what: PageFact::Overlay(Overlay {
                    id: 77,
                    element: "div#partnerDisconnectedContainer".into(),
                    known: Some("partnerDisconnectedContainer".into()),
                    reason: "known-id".into(),
                    present: false,
                    visible: false,
                    coverage: 0.0,
                    text: "gone before anybody saw it".into(),
                }),
            });
        }
        true
    })
}

#[test]
fn an_overlay_that_comes_late_is_an_overlay() {
    let late = with_overlay(&log("good"), "after the form");
    assert_eq!(
        verdict(&judge(&spec(HEADLINE), &late), "no-overlay"),
        Verdict::Fail
    );
}

#[test]
fn a_connection_that_somebody_else_may_have_closed_proves_nothing() {
    let good = log("good");
    let spec = spec(HEADLINE);
    let exit = good
        .snapshot("survivor", "after-exit")
        .expect("taken")
        .0
        .seq;
    // The events before the moment, each turned into one that closes a connection.
    let ways: [(&str, Direction, &str); 2] = [
        ("survivor", Direction::ToClient, "p2p_game_ended"),
        ("partner", Direction::ToServer, "advance_scene"),
    ];
    for (player, towards, event_name) in ways {
        let last = good
            .of(player)
            .filter(|event| event.seq < exit)
            .filter(|event| {
                matches!(&event.fact, Fact::Wire(wire)
                    if wire.direction == towards && matches!(wire.packet, Packet::Event { .. }))
            })
            .filter(|event| !is_socket_event(event, player, "activate_scene"))
            .filter(|event| !is_socket_event(event, player, "ping"))
            .rfind(|event| !is_socket_event(event, player, "pong"))
            .expect("an event")
            .seq;
        let closed = changed(&good, |event| {
            if event.seq == last
                && let Fact::Wire(wire) = &mut event.fact
                && let Packet::Event { name, .. } = &mut wire.packet
            {
                *name = event_name.into();
            }
            true
        });
        assert_eq!(
            verdict(&judge(&spec, &closed), "connections-closed"),
            Verdict::Vacuous,
            "{event_name}"
        );
    }
    let severed = changed(&good, |event| {
        if event.seq == exit - 1 {
            event.fact = Fact::Severed { connections: 1 };
        }
        true
    });
    assert_eq!(
        verdict(&judge(&spec, &severed), "connections-closed"),
        Verdict::Vacuous
    );
}

#[test]
fn a_target_that_tells_nobody_fails_the_positive_control() {
    let spec = spec(IN_GAME);
    let silent = without(&log("in-game"), |event| {
        is_socket_event(event, "survivor", "p2p_game_ended")
    });
    assert_eq!(
        verdict(&judge(&spec, &silent), "overlay-shown"),
        Verdict::Fail
    );
}

#[test]
fn the_same_scene_again_is_not_the_next_one() {
    let again = {
        let good = log("good");
        let answered = good
            .events()
            .iter()
            .find(|event| matches!(&event.fact, Fact::Action(action) if action.action == "answered the form"))
            .expect("answered")
            .seq;
        changed(&good, |event| {
            let later = event.seq > answered;
            if later
                && is_socket_event(event, "survivor", "activate_scene")
                && let Fact::Wire(wire) = &mut event.fact
                && let Packet::Event { args, .. } = &mut wire.packet
            {
                args[0]["scene_id"] = "survey-1".into();
            }
            true
        })
    };
    assert_eq!(
        verdict(&judge(&spec(HEADLINE), &again), "form-answered"),
        Verdict::Fail
    );
}

#[test]
fn a_probe_in_trouble_makes_the_run_broken() {
    let mut troubled = false;
    let mut events = log("good").events().to_vec();
    for event in &mut events {
        if let Fact::Page(page) = &mut event.fact
            && let PageFact::Console { level, .. } = &mut page.what
            && !troubled
        {
            *level = "probe".into();
            troubled = true;
        }
    }
    let judgement = judge(&spec(HEADLINE), &Log::new(events));
    assert_eq!(judgement.verdict, Verdict::Broken);
}

#[test]
fn a_log_that_is_cut_off_is_broken() {
    let good = log("good");
    let half = good.events().len() / 2;
    let cut = Log::new(good.events()[..half].to_vec());
    let judgement = judge(&spec(HEADLINE), &cut);
    assert_eq!(judgement.verdict, Verdict::Broken);
    for check in &judgement.checks {
        assert_eq!(check.verdict, Verdict::Broken, "{}", check.check);
    }
}

/// What `Log::read` makes of a file with these bytes.
fn read(bytes: &[u8]) -> Result<Log, String> {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), bytes).expect("written");
    Log::read(file.path()).map_err(|error| error.to_string())
}

#[test]
fn a_file_that_can_be_read_in_part_is_judged_broken_and_says_where() {
    let path = find_root().join("fixtures/evidence/good.jsonl");
    let whole = std::fs::read(path).expect("a recorded log");
    let line_end = |from: usize| {
        let end = whole[from..].iter().position(|byte| *byte == b'\n');
        from + end.expect("another line")
    };
    let middle = line_end(whole.len() / 2);
    let with = |line: &[u8]| [&whole[..=middle], line, b"\n", &whole[middle + 1..]].concat();
    let first_event = line_end(0) + 1;
    let again = &whole[first_event..line_end(first_event)];
    let damaged = [
        (whole[..middle - 5].to_vec(), "it is cut off"),
        (whole[..line_end(0) + 9].to_vec(), "it is cut off"),
        (with(b"{\"seq\": 7}"), "it is no event"),
        (with(b"\xff\xfe"), "it is no UTF-8"),
        (with(again), "its number 0 does not come after"),
    ];
    for (bytes, what) in damaged {
        let log = read(&bytes).expect("a part can be read");
        let damage = log.damage().expect("and a part cannot");
        assert!(damage.what.contains(what), "{damage:?}");
        assert_eq!(damage.line, log.events().len() + 2);
        let judgement = judge(&spec(HEADLINE), &log);
        assert_eq!(judgement.verdict, Verdict::Broken, "{what}");
        let reason = judgement.broken.expect("said").reason;
        assert!(reason.contains(what), "{reason}");
    }
    assert_eq!(read(&whole).expect("whole").damage(), None);
}

#[test]
fn what_is_no_log_of_this_version_is_refused() {
    for (bytes, why) in [
        (&b""[..], "is not a log of evidence"),
        (b"{\"gymcheck_evidence\":2}\n", "has version 2"),
        (b"gymcheck\n", "is not a log of evidence"),
    ] {
        let error = read(bytes).expect_err("no log");
        assert!(error.contains(why), "{error}");
    }
}

/// The recorded good run, which the target kept from carrying out the step at this index.
fn that_missed(index: usize) -> Log {
    let good = log("good");
    let step = good
        .events()
        .iter()
        .find(|event| matches!(&event.fact, Fact::Step(step) if step.index == index))
        .expect("a step");
    let mut missed = step.clone();
    missed.seq += 1;
    if let Fact::Step(step) = &mut missed.fact {
        step.phase = StepPhase::Missed;
        step.detail = Some("waited in vain".into());
    }
    let mut events: Vec<Event> = good.events()[..=step.seq as usize].to_vec();
    events.push(missed);
    events.extend(good.events().last().cloned());
    Log::new(events)
}

/// Why the recorded good run is broken for a spec, if it is.
fn refused(change: impl FnOnce(&mut Spec), log: &Log) -> Option<String> {
    let mut spec = spec(HEADLINE);
    change(&mut spec);
    let run = record(&spec, log, &[], PathBuf::new());
    let is_broken = run.verdict == Verdict::Broken;
    let broken = run.broken.map(|broken| broken.reason);
    assert_eq!(is_broken, broken.is_some(), "{broken:?}");
    broken
}

fn freezes(spec: &mut Spec) {
    for step in &mut spec.body.steps {
        if let Step::Leave(leave) = step {
            leave.how = WayToLeave::Freeze;
        }
    }
}

#[test]
fn evidence_of_other_steps_is_broken() {
    let good = log("good");
    assert_eq!(refused(|_| {}, &good), None);
    assert_eq!(
        refused(freezes, &good).as_deref(),
        Some(
            "this evidence was played by other steps: step 6 was `partner leaves (kill)`, and the spec says \
             `partner leaves (freeze)`"
        )
    );
    let one_more = |spec: &mut Spec| {
        let answer = spec.body.steps.last().cloned();
        spec.body.steps.extend(answer);
    };
    assert_eq!(
        refused(one_more, &good).as_deref(),
        Some(
            "this evidence was played by other steps: step 10 was not played, and the spec says `survivor \
             answers and continues`"
        )
    );
    let one_less = |spec: &mut Spec| spec.body.steps.truncate(8);
    assert_eq!(
        refused(one_less, &good).as_deref(),
        Some(
            "this evidence was played by other steps: step 9 was `survivor answers and continues`, and the \
             spec has none there"
        )
    );
    // That the machine was busy as well is no better reason.
    let mut is_late = false;
    let late = changed(&good, |event| {
        if let Fact::Page(page) = &mut event.fact
            && let PageFact::Console { text, .. } = &mut page.what
            && !is_late
        {
            *text = "after throttled countdown".into();
            is_late = true;
        }
        true
    });
    assert!(is_late);
    assert_eq!(refused(freezes, &late), refused(freezes, &good));
    let other_order = |spec: &mut Spec| spec.body.steps.swap(4, 5);
    let said = refused(other_order, &good).expect("broken");
    assert!(said.contains("step 5 was `observe `after-exit``"), "{said}");
}

/// What comes after the step that was missed was never played; what was played is compared all the same.
#[test]
fn of_a_run_that_ended_early_the_steps_until_then_are_compared() {
    let missed = that_missed(3);
    assert_eq!(refused(freezes, &missed), None);
    assert_eq!(refused(|spec| spec.body.steps.truncate(5), &missed), None);
    let other = refused(|spec| spec.body.steps.swap(1, 2), &missed);
    assert!(other.expect("broken").contains("step 2 was `hold the"));
}

#[test]
fn evidence_of_other_settings_is_broken_unless_another_experiment_was_served() {
    let good = log("good");
    let slower = |spec: &mut Spec| spec.body.experiment.frame_rate = 10;
    assert_eq!(
        refused(slower, &good).as_deref(),
        Some(
            "this evidence was played by other steps: the experiment's setting `frame_rate` was 30, and the \
             spec says 10"
        )
    );
    let with_run = |change: fn(&mut RunFacts)| {
        changed(&good, |event| {
            if let Fact::Run(run) = &mut event.fact {
                change(run);
            }
            true
        })
    };
    let served = with_run(|run| run.served = Some("mine".into()));
    assert_eq!(refused(slower, &served), None);
    // What an earlier gymcheck did not write down was as it is where nobody says it.
    let earlier = with_run(|run| {
        run.experiment = serde_json::json!({"steps": 60, "reconnection_timeout_ms": 30000});
    });
    assert_eq!(refused(|_| {}, &earlier), None);
    let said = refused(slower, &earlier).expect("broken");
    assert!(said.contains("`frame_rate` was 30"), "{said}");
}

#[test]
fn a_run_that_ends_early_is_no_pass() {
    let judgement = judge(&spec(HEADLINE), &that_missed(3));
    assert_eq!(judgement.verdict, Verdict::Vacuous);
    assert!(judgement.missed.expect("said").contains("waited in vain"));
}

/// What the page sends counts from a barrier on, whose round trips are the harness's own, and not only
/// from the page's second ping.
#[test]
fn what_the_page_sends_after_a_barrier_counts() {
    let good = log("good");
    let spec = spec(HEADLINE);
    let after = good.snapshot("survivor", "after-exit").expect("taken").0;
    let exit = good
        .socket_events("survivor", Direction::ToClient, "activate_scene")
        .map(|(event, _, _)| event.seq)
        .rfind(|seq| *seq < after.seq)
        .expect("it left the game");
    let own: Vec<u64> = good
        .own_pings("survivor")
        .map(|event| event.seq)
        .filter(|seq| *seq > exit)
        .collect();
    assert!(own[1] < after.seq, "of the first barrier");
    let page: Vec<u64> = good
        .socket_events("survivor", Direction::ToServer, "ping")
        .map(|(event, _, _)| event.seq)
        .filter(|seq| *seq > own[1])
        .collect();
    // The page's next ping, which comes before its second one, turned into a report of the game; and
    // of the harness's own only so many before that.
    let judged = |own_before: usize| {
        let log = changed(&good, |event| {
            let left_out = event.seq < page[0] && own[own_before..].contains(&event.seq);
            if event.seq == page[0]
                && let Fact::Wire(wire) = &mut event.fact
                && let Packet::Event { name, .. } = &mut wire.packet
            {
                *name = "p2p_health_report".into();
            }
            !left_out
        });
        verdict(&judge(&spec, &log), "connections-closed")
    };
    assert_eq!(judged(2), Verdict::Fail);
    // One alone proves nothing: the page may have sent it before it left the game.
    assert_eq!(judged(1), Verdict::Pass);
}

#[test]
fn a_game_that_began_and_stands_still_was_not_played() {
    let played = |log: &Log| {
        let judgement = judge(&spec(HEADLINE), log);
        let checks = judgement.checks.into_iter();
        let mut played = checks.filter(|check| check.check == "played-peer-to-peer");
        played.next().expect("it is asked")
    };
    const PLAY: usize = 2;
    let stuck = played(&that_missed(PLAY));
    assert_eq!(stuck.verdict, Verdict::Fail, "{stuck:#?}");
    assert!(stuck.account.contains("was not played on: waited in vain"));
    // A game that never began, or in which nobody was left to play with, says nothing.
    assert_eq!(played(&that_missed(0)).verdict, Verdict::Vacuous);
    let left = log("good")
        .events()
        .iter()
        .find(|event| matches!(&event.fact, Fact::Process(process) if process.phase == ProcessPhase::Killed))
        .cloned()
        .expect("a departure");
    let mut events = that_missed(PLAY).events().to_vec();
    let before = events.len() - 2;
    events.insert(
        before,
        Event {
            seq: events[before].seq,
            ..left
        },
    );
    for event in &mut events[before + 1..] {
        event.seq += 1;
    }
    assert_eq!(played(&Log::new(events)).verdict, Verdict::Vacuous);
}

#[test]
fn the_time_of_a_run_is_told_without_a_gap() {
    for name in [
        "good",
        "cleanup-not-called",
        "in-game",
        "late-end-not-guarded",
    ] {
        let log = log(name);
        let spec = spec(&log.run().expect("what was run").spec);
        let profile = log.profile(&spec);
        let events = log.events();
        let mut at = events[0].t;
        for span in &profile.spans {
            assert_eq!(span.from_ms, at, "{name}: {span:?}");
            assert!(span.to_ms > at, "{name}: {span:?}");
            at = span.to_ms;
        }
        assert_eq!(at, events[events.len() - 1].t, "{name}");
        let all: f64 = profile.seconds.values().sum();
        assert!((all * 1000.0 - (at - events[0].t)).abs() < 1.0, "{name}");
    }
}

#[test]
fn the_time_that_the_target_imposes_is_told_from_our_own() {
    let good = log("good");
    let headline = spec(HEADLINE);
    let seconds = |log: &Log, on: Spent| {
        let profile = log.profile(&headline);
        profile.seconds.get(&on).copied().unwrap_or_default()
    };
    // Three seconds before the game, three after it, and a game of 60 steps at 30 a second.
    let countdowns = seconds(&good, Spent::Countdown);
    assert!((5.9..8.0).contains(&countdowns), "{countdowns}");
    assert!(seconds(&good, Spent::Game) > 1.9);
    for on in [
        Spent::Start,
        Spent::Loading,
        Spent::Departure,
        Spent::Observation,
        Spent::Steps,
        Spent::End,
    ] {
        assert!(seconds(&good, on) > 0.0, "{on:?}");
    }
    assert_eq!(seconds(&good, Spent::TimeOut), 0.0);
    let departure = seconds(&good, Spent::Departure);

    // One who tells nobody is missed by the target's own time-out.
    let silent = changed(&good, |event| {
        match &mut event.fact {
            Fact::Leaving(leaving) => leaving.how = WayToLeave::Freeze,
            Fact::Departed(departed) => departed.how = WayToLeave::Freeze,
            _ => {}
        }
        true
    });
    assert_eq!(seconds(&silent, Spent::Departure), 0.0);
    assert_eq!(seconds(&silent, Spent::TimeOut), departure);

    // Without a game in it there is no countdown, and the page loads for as long as the steps go on.
    let no_game = without(&good, |event| {
        is_socket_event(event, "survivor", "activate_scene")
    });
    assert_eq!(seconds(&no_game, Spent::Countdown), 0.0);
    assert_eq!(seconds(&no_game, Spent::Game), 0.0);
    assert!(seconds(&no_game, Spent::Loading) > seconds(&good, Spent::Loading) + countdowns);

    // Nothing but the start of a run that broke before its first step.
    let broken = without(&good, |event| {
        matches!(event.fact, Fact::Step(_) | Fact::Http(_))
    });
    let broken = without(&broken, |event| event.player.is_some());
    let profile = broken.profile(&headline);
    assert_eq!(profile.seconds.keys().collect::<Vec<_>>(), [&Spent::Start]);
}

#[test]
fn what_a_machine_that_is_too_busy_brought_about_decides_nothing() {
    let verdict = |log: &Log| {
        let spec = spec(&log.run().expect("what was run").spec);
        let record = record(&spec, log, &[], PathBuf::new());
        (record.verdict, record.broken.map(|broken| broken.reason))
    };
    let (good, bad) = (log("good"), log("cleanup-not-called"));
    assert_eq!(verdict(&good), (Verdict::Pass, None));
    assert_eq!(verdict(&bad), (Verdict::Fail, None));
    let is_busy = |log: &Log, why: &str| {
        let (verdict, reason) = verdict(log);
        let reason = reason.unwrap_or_default();
        assert_eq!(verdict, Verdict::Broken, "{reason}");
        assert!(
            reason.contains("too busy") && reason.contains(why),
            "{reason}"
        );
    };

    // A page whose countdown was late may go on twice, and pass over a scene.
    let says = |log: &Log, what: PageFact, at: u64| {
        changed(log, |event| {
            let page = match &mut event.fact {
                Fact::Page(page) => page,
                _ => return true,
            };
            if event.seq == at {
                page.what = what.clone();
            }
            true
        })
    };
    let of_survivor: Vec<u64> = bad
        .of("survivor")
        .filter(|event| matches!(&event.fact, Fact::Page(page) if matches!(page.what, PageFact::Console { .. })))
        .map(|event| event.seq)
        .collect();
    let [earlier, later] = [of_survivor[0], of_survivor[of_survivor.len() - 1]];
    let late = PageFact::Console {
        level: "log".into(),
        text: "[GameDone] Watchdog: forcing advance_scene after throttled countdown".into(),
    };
    let lagging = says(&bad, late.clone(), later);
    is_busy(&lagging, "the survivor's page came half a second late");
    // In the background that is no lag, and where all is as expected it changed nothing.
    let hidden = PageFact::Visibility {
        state: "hidden".into(),
    };
    assert_eq!(verdict(&says(&lagging, hidden, earlier)).0, Verdict::Fail);
    assert_eq!(verdict(&says(&good, late, later)).0, Verdict::Pass);

    // Who left far later than the spec says left in another moment.
    let left = |log: &Log, how: WayToLeave, actual_ms: f64| {
        changed(log, |event| {
            if let Fact::Departed(departed) = &mut event.fact {
                departed.how = how;
                departed.at = Some(InstantFact {
                    after: GameEvent::LastEpisodeEnded,
                    of: "survivor".into(),
                    event: 0,
                    wanted_ms: 2500.0,
                    actual_ms,
                });
            }
            true
        })
    };
    is_busy(&left(&bad, WayToLeave::Kill, 3400.0), "gone 3400 ms after");
    assert_eq!(
        verdict(&left(&bad, WayToLeave::Kill, 2700.0)).0,
        Verdict::Fail
    );
    assert_eq!(
        verdict(&left(&bad, WayToLeave::Quit, 3400.0)).0,
        Verdict::Fail
    );
    assert_eq!(
        verdict(&left(&good, WayToLeave::Kill, 3400.0)).0,
        Verdict::Pass
    );
}
