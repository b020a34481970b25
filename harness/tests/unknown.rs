//! What is decided about an experiment that nobody here knows, and about a server that runs already: on
//! recorded runs, edited to be of one. No browser takes part.

#[path = "support/logs.rs"]
#[allow(dead_code, reason = "each test uses a part of it")]
mod logs;

use gymcheck::evidence::{Fact, Log, Packet, SceneKind, Source, StepFact, StepPhase};
use gymcheck::run::find_root;
use gymcheck::spec::{Catalogue, CheckSpec, Spec};
use gymcheck::verdict::{CheckResult, Judgement, Verdict, expect, judge};
use logs::*;

const HEADLINE: &str = "scene-exit/partner-dies-on-survey";
const WHY: &str = "the server was running already";

fn headline() -> Spec {
    let catalogue = Catalogue::read(&find_root()).expect("the checkout's specs");
    catalogue.spec(HEADLINE).expect("a spec").clone()
}

fn asked(ask: &str, log: &Log) -> CheckResult {
    let mut spec = headline();
    let check: CheckSpec =
        toml::from_str(&format!("requirement = \"X\"\nask = {ask}")).expect("a check");
    spec.body.checks = vec![check];
    judge(&spec, log).checks.remove(0)
}

/// The recorded headline run, as if somebody's own experiment had been served.
fn served(log: &Log) -> Log {
    changed(log, |event| {
        if let Fact::Run(run) = &mut event.fact {
            run.served = Some("mine".to_owned());
        }
        true
    })
}

/// The log without what nobody sees of a server that runs already.
fn without_its_inside(log: &Log) -> Log {
    without(log, |event| {
        matches!(
            event.fact,
            Fact::ServerHandled(_)
                | Fact::ServerHolds(_)
                | Fact::ServerLog { .. }
                | Fact::DataFile(_)
        )
    })
}

/// The recorded headline run, as if it had been of a server that ran already.
fn of_a_running_server() -> Log {
    let log = served(&recorded("good"));
    changed(&without_its_inside(&log), |event| {
        if let Fact::Run(run) = &mut event.fact {
            let lacking = [Source::Handlers, Source::Log, Source::Data];
            run.lacks = lacking.map(|source| (source, WHY.to_owned())).into();
        }
        true
    })
}

/// The log up to the step of this index, for which the experiment has not what it needs.
fn not_offered_at(log: &Log, index: usize) -> Log {
    let begun = |event: &gymcheck::evidence::Event| matches!(&event.fact, Fact::Step(step) if step.index == index);
    let place = position(log, begun);
    let mut missed = log.events()[place].clone();
    if let Fact::Step(step) = &mut missed.fact {
        step.phase = StepPhase::Missed;
        step.not_offered = true;
        step.detail = Some("the experiment has no such thing".to_owned());
    }
    let mut events = log.events()[..=place].to_vec();
    events.push(missed);
    events.extend(log.events().last().cloned());
    in_order(events)
}

fn index_of(wanted: &str) -> usize {
    let steps = headline().body.steps;
    let found = steps
        .iter()
        .position(|step| step.to_string().contains(wanted));
    found.expect("a step")
}

fn verdicts(judgement: &Judgement) -> Vec<(&str, Verdict)> {
    let checks = judgement.checks.iter();
    checks
        .map(|check| (check.check.as_str(), check.verdict))
        .collect()
}

#[test]
fn what_pages_wire_and_kernel_prove_needs_nothing_of_the_servers_inside() {
    let judgement = judge(&headline(), &of_a_running_server());
    let passed = |(_, verdict): &(&str, Verdict)| *verdict == Verdict::Pass;
    assert!(verdicts(&judgement).iter().all(passed), "{judgement:#?}");
    assert_eq!(judgement.checks.len(), 4);
}

#[test]
fn what_only_the_servers_inside_can_prove_is_not_applicable_with_the_reason() {
    let log = of_a_running_server();
    for ask in [
        "{ data-whole = {} }",
        "{ server-forgets = { at = \"after-death\" } }",
        "{ no-errors = {} }",
    ] {
        let result = asked(ask, &log);
        assert_eq!(result.verdict, Verdict::NotApplicable, "{result:#?}");
        assert!(result.account.contains(WHY), "{ask}: {}", result.account);
    }
}

/// Where the run could have seen it, that it did not see it is no excuse.
#[test]
fn what_could_have_been_seen_and_was_not_is_no_excuse() {
    let log = without_its_inside(&served(&recorded("good")));
    let judgement = judge(&headline(), &log);
    for check in ["played-peer-to-peer", "no-overlay", "form-answered"] {
        let found = verdicts(&judgement)
            .into_iter()
            .find(|(name, _)| *name == check);
        let (_, verdict) = found.expect("asked");
        let allowed = matches!(verdict, Verdict::Vacuous | Verdict::Fail);
        assert!(allowed, "{check}: {verdict}");
    }
    assert_eq!(asked("{ data-whole = {} }", &log).verdict, Verdict::Fail);
}

/// What is missing for another reason than the server's inside stays missing.
#[test]
fn a_partner_who_was_not_seen_to_die_proves_nothing_on_a_running_server_either() {
    let log = without(&of_a_running_server(), |event| {
        matches!(event.fact, Fact::WireClosed(_)) && is_of(event, "partner")
    });
    let judgement = judge(&headline(), &log);
    let of = |check: &str| {
        let found = verdicts(&judgement)
            .into_iter()
            .find(|(name, _)| *name == check);
        found.expect("asked").1
    };
    assert_eq!(of("no-overlay"), Verdict::Vacuous);
    assert_eq!(of("form-answered"), Verdict::Vacuous);
}

#[test]
fn an_experiment_without_a_form_is_asked_all_else() {
    let log = served(&recorded("good"));
    let answer = index_of("answers");
    let judgement = judge(&headline(), &not_offered_at(&log, answer));
    use Verdict::{NotApplicable, Pass};
    assert_eq!(
        verdicts(&judgement),
        [
            ("connections-closed", Pass),
            ("played-peer-to-peer", Pass),
            ("no-overlay", Pass),
            ("form-answered", NotApplicable),
        ]
    );
    assert_eq!(judgement.verdict, Pass);
    assert_eq!(judgement.missed, None);
    let account = &judgement.checks[3].account;
    assert_eq!(account, "the experiment has no such thing");
}

/// A rule is set by a step; where the experiment ran out before it, nothing that came earlier needs it.
#[test]
fn a_rule_of_a_step_that_was_not_reached_is_not_missed() {
    let log = served(&recorded("good"));
    let cut = not_offered_at(&log, index_of("answers"));
    let mut spec = headline();
    let later = r#"hold = { as = "later", player = "partner", direction = "to-server", event = "join_game" }"#;
    spec.body.steps.push(toml::from_str(later).expect("a step"));
    let played = |log: &Log| judge(&spec, log).checks[1].verdict;
    assert_eq!(played(&cut), Verdict::Pass);
    let end = log.events().len() - 1;
    let mut set = log.events()[end - 1].clone();
    set.player = None;
    set.fact = Fact::Step(StepFact {
        index: spec.body.steps.len() - 1,
        step: spec.body.steps[spec.body.steps.len() - 1].to_string(),
        phase: StepPhase::Begun,
        detail: None,
        not_offered: false,
        last_words: Vec::new(),
    });
    assert_eq!(
        played(&inserted(&log, end, [set])),
        Verdict::Vacuous,
        "it was set, and never fired"
    );
}

#[test]
fn an_experiment_without_a_game_for_two_can_be_asked_nothing() {
    let log = served(&recorded("good"));
    let judgement = judge(&headline(), &not_offered_at(&log, 0));
    let none = |(_, verdict): &(&str, Verdict)| *verdict == Verdict::NotApplicable;
    assert!(verdicts(&judgement).iter().all(none), "{judgement:#?}");
    assert_eq!(judgement.verdict, Verdict::NotApplicable);
}

/// A step that is not offered excuses nothing that came before it.
#[test]
fn what_was_asked_before_the_experiment_ran_out_is_decided() {
    let log = served(&recorded("good"));
    let never_up = changed(&log, |event| {
        if let Fact::Snapshot(snapshot) = &mut event.fact {
            snapshot.state.connections.clear();
            snapshot.state.channels.clear();
        }
        true
    });
    let judgement = judge(&headline(), &not_offered_at(&never_up, index_of("answers")));
    assert_eq!(
        judgement.checks[0].verdict,
        Verdict::Vacuous,
        "{:#?}",
        judgement.checks[0]
    );
}

#[test]
fn what_an_experiment_has_not_is_expected_only_of_one_that_is_not_the_specs_own() {
    let missing = not_offered_at(&recorded("good"), index_of("answers"));
    let expected = |log: &Log| {
        let spec = headline();
        let mut judgement = judge(&spec, log);
        expect(&mut judgement, &spec, log, &[]);
        assert_eq!(judgement.checks[3].verdict, Verdict::NotApplicable);
        judgement.checks[3].expected
    };
    assert_eq!(expected(&served(&missing)), Verdict::NotApplicable);
    assert_eq!(expected(&missing), Verdict::Pass);
}

/// The log, as if its browsers had been a grid's, whose kernels nobody asks.
fn on_a_grid(log: &Log) -> Log {
    changed(log, |event| {
        if let Fact::Run(run) = &mut event.fact {
            run.grid = Some("http://grid.example:4444".to_owned());
            run.lacks = [(Source::Kernel, "kernels are not asked".to_owned())].into();
        }
        true
    })
}

/// The log of a run whose step of this index takes the browsers' own machine: nothing is played.
fn refused_at(log: &Log, index: usize) -> Log {
    let refused = not_offered_at(log, index);
    without(
        &refused,
        |event| matches!(&event.fact, Fact::Step(step) if step.phase != StepPhase::Missed),
    )
}

/// On a grid the target and the experiment are the same as elsewhere: what these do not give is no less of
/// a surprise there.
#[test]
fn on_a_grid_only_what_the_grid_cannot_do_is_expected_not_to_be_applicable() {
    let good = recorded("good");
    let expected = |ask: &str, log: &Log| {
        let mut spec = headline();
        let check = toml::from_str(&format!("requirement = \"X\"\nask = {ask}"));
        spec.body.checks = vec![check.expect("a check")];
        let mut judgement = judge(&spec, log);
        expect(&mut judgement, &spec, log, &[]);
        let check = &judgement.checks[0];
        assert_eq!(check.verdict, Verdict::NotApplicable, "{check:#?}");
        (check.expected, check.known.clone())
    };
    let calm = "{ no-overlay = { before = \"after-exit\", after = \"after-death\" } }";
    let leave = index_of("leaves");
    let cannot = "the experiment has no such thing".to_owned();
    assert_eq!(
        expected(calm, &on_a_grid(&refused_at(&good, leave))),
        (Verdict::NotApplicable, Some(cannot))
    );
    // A step that was begun was none that the grid cannot do.
    let answer = not_offered_at(&good, index_of("answers"));
    assert_eq!(
        expected("{ form-answered = {} }", &on_a_grid(&answer)),
        (Verdict::Pass, None)
    );
    // What the target does not do it does not do on this machine either.
    let natural = "{ no-overlay = { before = \"after-exit\", after = \"after-death\", told = \"by-target\" } }";
    assert_eq!(expected(natural, &on_a_grid(&good)), (Verdict::Pass, None));
    // What cannot be had of a grid's browsers.
    let no_file = changed(&on_a_grid(&good), |event| {
        if let Fact::Run(run) = &mut event.fact {
            run.lacks.insert(Source::Data, "not from there".to_owned());
        }
        true
    });
    assert_eq!(
        expected("{ data-whole = {} }", &no_file),
        (Verdict::NotApplicable, Some("not from there".to_owned()))
    );
}

/// The target tells how long an episode is at most, and it may be over before: what counts is what both
/// records say.
#[test]
fn an_episode_may_end_early_where_nobody_knows_the_game() {
    let longer = changed(&recorded("good"), |event| {
        if is_socket_event(event, "survivor", "activate_scene")
            && let Some(scene) = args(event)[0].as_object_mut()
            && scene["scene_type"] == "GymScene"
        {
            scene["max_steps"] = 3000.into();
        }
        true
    });
    let whole = asked("{ data-whole = {} }", &served(&longer));
    assert_eq!(whole.verdict, Verdict::Pass, "{whole:#?}");
    let recomputed = whole
        .oracles
        .iter()
        .find(|one| one.oracle == "recomputation");
    let account = &recomputed.expect("it is asked").account;
    assert_eq!(account, "the rules of the experiment `mine` are not known");
    let played = asked("{ played-peer-to-peer = {} }", &served(&longer));
    assert_eq!(played.verdict, Verdict::Pass, "{played:#?}");
    let one_short = changed(&longer, |event| {
        if is_of(event, "partner")
            && let Fact::DataFile(file) = &mut event.fact
            && file.what == "episode"
        {
            file.rows.pop();
        }
        true
    });
    let played = asked("{ played-peer-to-peer = {} }", &served(&one_short));
    assert_eq!(played.verdict, Verdict::Fail, "{played:#?}");
}

/// A game for one may be longer than those for two, by which an experiment is found out.
#[test]
fn an_experiment_is_what_the_target_tells_of_the_game_where_a_player_stands() {
    let log = served(&recorded("good"));
    let asked = headline().body.experiment;
    let (entered, _) = log
        .scenes("survivor")
        .find(|(_, scene)| scene.kind() == SceneKind::GameForTwo)
        .expect("a game");
    let seq = entered.seq;
    let here = changed(&log, |event| {
        if event.seq == seq
            && let Fact::Wire(wire) = &mut event.fact
            && let Packet::Event { args, .. } = &mut wire.packet
        {
            args[0]["pyodide_multiplayer"] = false.into();
            args[0]["max_steps"] = 900.into();
        }
        event.seq <= seq
    });
    let found = here
        .experiment_at("survivor", &asked)
        .expect("it stands in a game");
    assert_eq!((found.steps, found.name.as_str()), (900, "mine"));
    assert!(here.experiment_found(&asked).is_none());
    assert!(log.experiment_at("survivor", &asked).is_none());
    let own = changed(&here, |event| {
        if let Fact::Run(run) = &mut event.fact {
            run.served = None;
        }
        true
    });
    assert!(own.experiment_at("survivor", &asked).is_none());
}
