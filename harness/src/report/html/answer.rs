//! The top of the page: the answer, before anything else.

use std::collections::BTreeSet;

use maud::{Markup, html};

use super::{Interest, interest};
use crate::report::defects::Defect;
use crate::report::matrix::{Count, Matrix};
use crate::report::repeated::{Apart, steady};
use crate::report::results::{ExitStatus, Results};
use crate::run::{Change, Difference, Fate, MutantRecord, RunRecord};
use crate::verdict::{CheckResult, Verdict};

/// A verdict as the page's style names it.
pub(super) fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "fail",
        Verdict::Vacuous => "vacuous",
        Verdict::Broken => "broken",
        Verdict::NotApplicable => "not-applicable",
        Verdict::Unstable => "unstable",
    }
}

pub(super) fn badge(verdict: Verdict) -> Markup {
    html! { span class={ "badge " (class(verdict)) } { (verdict) } }
}

/// What the window is called.
pub(super) fn title(results: &Results) -> String {
    let targets: Vec<&str> = results
        .targets
        .iter()
        .map(|one| one.name.as_str())
        .collect();
    format!("{} – gymcheck {}", sentence(results), targets.join(" and "))
}

/// The answer in one sentence.
pub(in crate::report) fn sentence(results: &Results) -> String {
    let unexpected: usize = plain(results)
        .filter(|run| run.verdict != Verdict::Broken && !results.is_measure(run))
        .map(|run| surprises(run).count().max(usize::from(run.is_unexpected())))
        .sum();
    let broken = plain(results)
        .filter(|run| run.verdict == Verdict::Broken)
        .count();
    let worse = results
        .differences
        .iter()
        .filter(|one| one.change == Change::Worse)
        .count();
    let unstable = results.unstable();
    let unstable = unstable.map(|one| one.unstable().count()).sum();
    let missing = results.missing_shards.len();
    let parts = [
        (unstable, "unstable verdict", "unstable verdicts"),
        (unexpected, "unexpected verdict", "unexpected verdicts"),
        (worse, "check got worse", "checks got worse"),
        (
            results.mutants_that_are(Fate::Survived),
            "mutant survived",
            "mutants survived",
        ),
        (broken, "broken run", "broken runs"),
        (
            missing,
            "shard with missing runs",
            "shards with missing runs",
        ),
        (
            results.mutants_that_are(Fate::Undecided),
            "mutant undecided",
            "mutants undecided",
        ),
    ];
    let parts: Vec<String> = parts
        .into_iter()
        .filter(|(count, _, _)| *count > 0)
        .map(|(count, one, many)| format!("{count} {}", if count == 1 { one } else { many }))
        .collect();
    if !parts.is_empty() {
        return parts.join(", ");
    }
    if results.unfinished {
        return "Broken off before all runs were carried out".to_owned();
    }
    let not_applicable = results.mutants_that_are(Fate::NotApplicable);
    match (results.runs.is_empty(), results.mutants.len()) {
        (true, _) => "Nothing was run".to_owned(),
        (false, 0) => "Every verdict is as expected".to_owned(),
        (false, mutants) if not_applicable > 0 => format!(
            "{} of {mutants} mutants killed, {not_applicable} not applicable",
            mutants - not_applicable
        ),
        (false, mutants) => format!("All {mutants} mutants killed"),
    }
}

/// The runs that are judged for themselves.
fn plain(results: &Results) -> impl Iterator<Item = &RunRecord> {
    results.runs.iter().filter(|run| run.mutant.is_none())
}

/// The checks of a run that say something else than is expected.
pub(in crate::report) fn surprises(run: &RunRecord) -> impl Iterator<Item = &CheckResult> {
    let differs = |check: &&CheckResult| check.verdict != check.expected;
    run.checks.iter().filter(differs)
}

pub(super) fn page_top(results: &Results, order: &[usize]) -> Markup {
    let (mood, says) = match results.exit_status() {
        ExitStatus::AsExpected => ("good", "exit status 0"),
        ExitStatus::Unexpected => ("bad", "exit status 1"),
        ExitStatus::Mistake => ("bad", "exit status 2"),
        ExitStatus::Broken => ("unsure", "exit status 3"),
    };
    html! {
        header class=(mood) {
            p.product { "gymcheck" }
            h1 { (sentence(results)) }
            p.facts {
                @for (index, target) in results.targets.iter().enumerate() {
                    @if index > 0 { " against " }
                    strong { (target.name) }
                    @if target.dirty == Some(true) { " (with changes)" }
                }
                " · " (results.runs.len()) " runs judged · " (says)
                @if let Some(shard) = &results.shard { " · shard " (shard) " alone" }
                @if results.unfinished { " · broken off before all runs were carried out" }
                @for shard in &results.missing_shards { " · runs of shard " (shard) " are missing" }
            }
        }
        (super::sweep::charts(results))
        (unstable(results))
        (unexpected(results, order))
        (broken(results, order))
        (missing_shards(results))
        (survivors(&results.mutants))
        (differences(results))
        (matrix(results))
        (known_defects(&results.defects))
        (kill_matrix(results))
        (repetitions(results))
        (super::spent::of_call(results))
        (runs_head(results))
    }
}

/// What did not always decide the same, and where two runs that differ part.
fn unstable(results: &Results) -> Markup {
    let is_any = results.unstable().next().is_some();
    html! {
        @if is_any {
            section {
                h2 { "Unstable: the same runs did not always decide the same" }
                @for one in results.unstable() {
                    @for (name, steadiness, parted) in one.unstable() {
                        article.card {
                            h3 { (badge(Verdict::Unstable)) " " (name) }
                            dl {
                                dt { "verdicts" } dd { (steadiness.account()) }
                                @if let Some(parted) = parted { (apart(results, parted)) }
                            }
                            p.where { (one.place()) " (" (one.target) ")" }
                        }
                    }
                }
            }
        }
    }
}

fn apart(results: &Results, apart: &Apart) -> Markup {
    let both = [&apart.one, &apart.other];
    html! {
        dt { "where they part" } dd { (apart.account()) }
        dt { "runs" }
        dd { @for which in both {
            @match results.runs.iter().position(|run| run.folder == which.folder) {
                Some(index) => a href={ "#run-" (index) } { "time " (which.repetition) },
                None => code { (which.folder.display()) },
            }
            " " (badge(which.verdict)) " "
        } }
    }
}

/// How steady each verdict is, of all that was carried out several times.
fn repetitions(results: &Results) -> Markup {
    html! {
        @if !results.repeated.is_empty() {
            section {
                h2 { "Repetitions" }
                @for says in steady(&results.repeated) { p { (says) "." } }
                details.card {
                    summary { "How steady each verdict is" }
                    div.scroll { table {
                        thead { tr { th { "verdict" } th { "check" } th { "where" } th { "how steady" } } }
                        tbody { @for one in &results.repeated { @for check in &one.checks {
                            tr {
                                td { (badge(check.steadiness.verdict)) }
                                td { (check.requirement) " " code { (check.check) } }
                                td { (one.place()) " (" (one.target) ")" }
                                td { (check.steadiness.account()) }
                            }
                        } } }
                    } }
                }
            }
        }
    }
}

/// The runs of one kind in the page's order, each with its index in the results.
fn of_interest<'a>(
    results: &'a Results,
    order: &[usize],
    wanted: Interest,
) -> Vec<(usize, &'a RunRecord)> {
    let runs = order.iter().map(|index| (*index, &results.runs[*index]));
    runs.filter(|(_, run)| interest(results, run) == wanted)
        .collect()
}

fn unexpected(results: &Results, order: &[usize]) -> Markup {
    let runs = of_interest(results, order, Interest::Unexpected);
    html! {
        @if !runs.is_empty() {
            section {
                h2 { "Unexpected" }
                @for (index, run) in runs {
                    @if let Some(missed) = &run.missed {
                        article.card {
                            h3 { (badge(run.verdict)) " The run ended early" }
                            p { (missed) }
                            @if !run.last_words.is_empty() {
                                pre { (run.last_words.join("\n")) }
                            }
                            (link(index, run))
                        }
                    }
                    @for check in surprises(run) {
                        (surprise(results, index, run, check))
                    }
                }
            }
        }
    }
}

fn surprise(results: &Results, index: usize, run: &RunRecord, check: &CheckResult) -> Markup {
    html! {
        article.card {
            h3 {
                (badge(check.verdict)) " " (check.requirement) " " code { (check.check) }
                @if check.expected != Verdict::Pass { " (expected " (check.expected) ")" }
            }
            dl {
                @if let Some(holds) = results.requirements.get(&check.requirement) {
                    dt { "must hold" } dd { (holds) }
                }
                dt { "was seen" } dd { (check.account) }
                @if let Some(known) = &check.known {
                    dt { "was known" } dd { (known) }
                }
            }
            (link(index, run))
        }
    }
}

fn link(index: usize, run: &RunRecord) -> Markup {
    html! {
        p.where {
            a href={ "#run-" (index) } { (run.spec) " on " (run.pair) }
            " (" (run.target) (changes(run)) ")"
        }
    }
}

fn changes(run: &RunRecord) -> String {
    crate::run::changes(&run.repairs, run.mutant.as_deref())
}

fn broken(results: &Results, order: &[usize]) -> Markup {
    let runs = of_interest(results, order, Interest::Broken);
    html! {
        @if !runs.is_empty() {
            section {
                h2 { "Broken: these runs decided nothing" }
                @for (index, run) in runs {
                    article.card {
                        @if let Some(broken) = &run.broken {
                            h3 { (badge(Verdict::Broken)) " " (broken.component) }
                            p { (broken.reason) }
                            @if !broken.last_lines.is_empty() {
                                pre { (broken.last_lines.join("\n")) }
                            }
                        }
                        (link(index, run))
                    }
                }
            }
        }
    }
}

/// What nothing is known of.
fn missing_shards(results: &Results) -> Markup {
    html! {
        @if !results.missing_shards.is_empty() {
            section {
                h2 { "Missing: of these runs nothing is known" }
                @for shard in &results.missing_shards {
                    article.card {
                        h3 { (badge(Verdict::Broken)) " shard " (shard) }
                        ul { @for run in &shard.runs { li { (run) } } }
                    }
                }
            }
        }
    }
}

fn survivors(mutants: &[MutantRecord]) -> Markup {
    let alive: Vec<&MutantRecord> = mutants
        .iter()
        .filter(|one| one.fate != Fate::Killed)
        .collect();
    html! {
        @if !alive.is_empty() {
            section {
                h2 { "Mutants that were not killed" }
                @for one in alive {
                    article.card {
                        h3 { (fate(one.fate)) " " code { (one.mutant) } }
                        p { (one.account) }
                        p.where { (one.requirement) " " (one.check) " of " (one.spec) " on " (one.pair) }
                    }
                }
            }
        }
    }
}

fn fate(fate: Fate) -> Markup {
    let class = match fate {
        Fate::Killed => "pass",
        Fate::Survived => "fail",
        Fate::Undecided => "broken",
        Fate::NotApplicable => "not-applicable",
    };
    html! { span class={ "badge " (class) } { (fate) } }
}

fn differences(results: &Results) -> Markup {
    let [first, second] = results.targets.as_slice() else {
        return html! {};
    };
    html! {
        section {
            h2 { (second.name) " against " (first.name) }
            @if results.differences.is_empty() {
                p { "No check differs." }
            } @else {
                div.scroll { table {
                    thead { tr {
                        th { "change" } th { "check" } th { (first.name) } th { (second.name) }
                        th { "where" } th { "what was seen" }
                    } }
                    tbody { @for one in &results.differences { (difference(one)) } }
                } }
            }
        }
    }
}

fn difference(one: &Difference) -> Markup {
    let class = match one.change {
        Change::Worse => "fail",
        Change::Undecided => "broken",
        Change::Better => "pass",
        Change::Other => "vacuous",
    };
    html! {
        tr {
            td { span class={ "badge " (class) } { (one.change) } }
            td { (one.requirement) " " code { (one.check) } }
            td { (badge(one.target)) }
            td { (badge(one.against)) }
            td { (one.spec) " on " (one.pair) @if one.repetition > 1 { ", time " (one.repetition) } }
            td { (one.account) }
        }
    }
}

/// Requirements and pairs of browsers, and what was decided about each.
fn matrix(results: &Results) -> Markup {
    let matrix = Matrix::new(results);
    if matrix.rows.is_empty() {
        return html! {};
    }
    html! {
        section {
            h2 { "Requirements" }
            div.scroll { table.matrix {
                thead { tr { th { "requirement" } @for name in &matrix.columns { th { (name) } } } }
                tbody { @for row in &matrix.rows {
                    tr {
                        th scope="row" {
                            (row.requirement)
                            @if let Some(holds) = results.requirements.get(&row.requirement) {
                                span.holds { (holds) }
                            }
                        }
                        @for cell in &row.cells { td { @for count in cell { (counted(count)) " " } } }
                    }
                } }
            } }
            p.hint { "A verdict with an exclamation mark is not as expected." }
        }
    }
}

fn counted(count: &Count) -> Markup {
    html! {
        span class={ "count " (class(count.verdict)) } {
            (count.times) " " (count.verdict)
            @if count.known { ", known" }
            @if count.unexpected { "!" }
        }
    }
}

fn known_defects(defects: &[Defect]) -> Markup {
    html! {
        @if !defects.is_empty() {
            section {
                h2 { "Known defects of the target that were seen: " (defects.len()) }
                @for one in defects {
                    details.card {
                        summary {
                            span.badge.fail { (one.requirement) } " " code { (one.check) }
                            " of " (one.spec) " on " (one.pair)
                            ", " (one.seen) " of " (one.runs) " times"
                        }
                        dl {
                            dt { "why" } dd { (one.reason) }
                            dt { "was seen" } dd { (one.account) }
                            dt { "again" } dd { (command(&one.again)) }
                        }
                    }
                }
            }
        }
    }
}

/// A command, with a button that copies it.
pub(super) fn command(text: &str) -> Markup {
    html! {
        span.command {
            code { (text) }
            button type="button" class="copy" data-copy=(text) { "Copy" }
        }
    }
}

fn kill_matrix(results: &Results) -> Markup {
    let killed = results
        .mutants
        .iter()
        .filter(|one| one.fate == Fate::Killed)
        .count();
    html! {
        @if !results.mutants.is_empty() {
            section {
                h2 { "Kill matrix: " (killed) " of " (results.mutants.len()) " killed" }
                div.scroll { table {
                    thead { tr {
                        th { "fate" } th { "mutant" } th { "must be killed by" } th { "pair" }
                        th { "what changes with it" }
                    } }
                    tbody { @for one in &results.mutants {
                        tr {
                            td { (fate(one.fate)) }
                            td { code { (one.mutant) } @for repair in &one.repairs { " + " (repair) } }
                            td { (one.requirement) " " code { (one.check) } " of " (one.spec) }
                            td { (one.pair) }
                            td { @for (check, verdict) in &one.changed {
                                div { (badge(*verdict)) " " (check) }
                            } }
                        }
                    } }
                } }
                @if !results.equivalents.is_empty() {
                    h3 { "Proven equivalent, and not counted" }
                    @for one in &results.equivalents {
                        details.card {
                            summary { code { (one.mutant) } ": " (one.breaks) }
                            p { (one.proof) }
                        }
                    }
                }
            }
        }
    }
}

fn runs_head(results: &Results) -> Markup {
    let verdicts: BTreeSet<&str> = results.runs.iter().map(|run| class(run.verdict)).collect();
    html! {
        section {
            h2 #runs { "Runs" }
            div.filter {
                label { "Filter "
                    input #filter type="search" placeholder="spec, requirement, browser, mutant";
                }
                label { "Verdict "
                    select #verdict {
                        option value="" { "all" }
                        @for verdict in verdicts { option { (verdict) } }
                    }
                }
                span #shown {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::repeated::repeated;
    use crate::report::samples::{facts, run_on};

    #[test]
    fn what_is_unstable_comes_first_and_lets_no_markup_through() {
        let mut results = Results::new(vec![facts("mug@1")]);
        for verdict in [Verdict::Pass, Verdict::Fail] {
            results.runs.push(run_on("mug@1", verdict, Verdict::Pass));
        }
        results.runs[1].folder = "runs/2".into();
        results.repeated = repeated(&results.runs);
        results.repeated[0].checks[0].apart = serde_json::from_value(serde_json::json!({
            "one": {"repetition": 1, "verdict": "pass", "folder": "runs/mug@1"},
            "other": {"repetition": 2, "verdict": "fail", "folder": "runs/2"},
            "parting": {
                "player": "survivor", "source": "events to the page", "agreed": 7,
                "one": {"what": "<script>", "seq": 3, "t": 1500.0},
            },
        }))
        .expect("where they part");
        let page = page_top(&results, &[0, 1]).into_string();
        let unstable = page.find("Unstable: the same runs").expect("it is told");
        assert!(unstable < page.find("<h2>Unexpected</h2>").expect("as the run is"));
        let told = "they part at the survivor, events to the page: time 1 (pass) has `&lt;script&gt;` at \
                    1.500 s (#3); time 2 (fail) has nothing more";
        assert!(page.contains(told), "{page}");
        assert!(page.contains("href=\"#run-0\"") && page.contains("href=\"#run-1\""));
        assert!(page.contains("1 pass, 1 fail of 2"), "{page}");
    }
}
