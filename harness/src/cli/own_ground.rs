//! What is said, and asked, before anything is done on a user's own ground.

use std::io::{BufRead, IsTerminal, Write};

use gymcheck::report::Loudness;
use gymcheck::target::{ExperimentName, TargetName};

use super::run::RunArguments;

/// Says what runs do to a server that already runs, and asks whether to go on; says where the data of a
/// user's own experiment go.
///
/// # Errors
/// The answer is no, or there is nobody to ask.
pub(super) fn tell(
    arguments: &RunArguments,
    runs: usize,
    loudness: Loudness,
) -> Result<(), String> {
    if let Some(ExperimentName::Command(_)) = &arguments.experiment
        && loudness != Loudness::Quiet
    {
        anstream::eprintln!(
            "gymcheck: your server is started in this folder, with this environment, once to be looked at \
             and once for each of {runs} runs; what it stores of the two players goes where it always \
             stores data, and stays there"
        );
    }
    let running = arguments.target.iter().chain(&arguments.against);
    for target in running {
        if let TargetName::Running(address) = target {
            ask(&address.to_string(), runs, arguments.yes)?;
        }
    }
    Ok(())
}

fn ask(address: &str, runs: usize, yes: bool) -> Result<(), String> {
    anstream::eprintln!(
        "gymcheck: the server at {address} already runs. Nothing of it is started or ended, but each run \
         takes part in its study:\n  \
         - {participants} participants come to it ({runs} runs of two, and one that only looks), and it \
         stores their data with all others';\n  \
         - whoever waits for a partner there now may be matched with one of them.\n  \
         Not at hand are the server's log, the data it stores, and when it has handled something; what \
         needs those is `not applicable`. Mutants of the server's own code cannot be tried.",
        participants = 2 * runs + 1,
    );
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(format!(
            "nobody is there to be asked whether {address} may get these participants; say --yes if it may"
        ));
    }
    anstream::eprint!("Go on? [y/N] ");
    // Whether the question is seen or not, the answer decides.
    let _ = std::io::stderr().flush();
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    match (read, answer.trim().to_lowercase().as_str()) {
        (Ok(_), "y" | "yes") => Ok(()),
        (Ok(_), _) => Err(format!("{address} was left alone")),
        (Err(error), _) => Err(format!("the answer cannot be read: {error}")),
    }
}
