//! `gymcheck report`, as tests call it.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use gymcheck::run::find_root;

/// How the command ended.
pub(crate) struct End {
    pub(crate) status: Option<i32>,
    /// What it said, on both ways.
    pub(crate) said: String,
}

/// Calls it in a folder, with these folders and options.
pub(crate) fn report(within: &Path, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> End {
    let said = Command::new(env!("CARGO_BIN_EXE_gymcheck"))
        .arg("report")
        .args(arguments)
        .current_dir(within)
        .env("GYMCHECK_ROOT", find_root())
        .env_remove("GITHUB_ACTIONS")
        .env_remove("GITHUB_STEP_SUMMARY")
        .output()
        .expect("it runs");
    End {
        status: said.status.code(),
        said: String::from_utf8_lossy(&said.stdout).into_owned()
            + &String::from_utf8_lossy(&said.stderr),
    }
}
