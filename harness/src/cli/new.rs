//! Writing a new spec.

use std::path::{Path, PathBuf};

use clap::Args;
use gymcheck::provision::quoted;
use gymcheck::report::ExitStatus;
use gymcheck::run::{checkout_around_here, find_root};
use gymcheck::spec::{Reading, SpecName, schema_files, template};

use super::{Outcome, OwnSpecs};

pub(super) const EXAMPLES: &str = "\
Examples:
  gymcheck new first/partner-leaves --specs my-specs
      my-specs/first/partner-leaves.toml, in a folder of your own; the folder is made if need be
  gymcheck new race/my-case
      specs/race/my-case.toml, in the checkout that you work in

The file says what can be changed, is right as it stands, and can be run at once.";

#[derive(Args)]
pub(super) struct NewArguments {
    /// Its name: the folder of its concern, and what it is called there
    #[arg(value_name = "CONCERN/NAME")]
    name: SpecName,
    #[command(flatten)]
    own: OwnSpecs,
}

/// The folder of the schemas in a user's own folder, so that an editor finds them wherever it lies.
const SCHEMAS: &str = ".schema";

pub(super) fn new(arguments: &NewArguments) -> Outcome {
    let own = arguments.own.folder();
    let folder = match own {
        Some(folder) => folder.to_owned(),
        None => checkout_around_here()
            .ok_or(
                "you are in no checkout of gymcheck: name a folder for your own specs, as --specs \
                 my-specs",
            )?
            .join("specs"),
    };
    let name = &arguments.name;
    let path = folder
        .join(name.concern())
        .join(format!("{}.toml", name.last()));
    refuse_taken(name, &path, own)?;
    let schema = match own {
        Some(folder) => {
            write_schemas(&folder.join(SCHEMAS))?;
            format!("../{SCHEMAS}/spec.schema.json")
        }
        None => "../../schema/spec.schema.json".to_owned(),
    };
    write(&path, &template(&schema))?;
    let with = own.map_or_else(String::new, |folder| {
        format!(" --specs {}", quoted(&folder.display().to_string()))
    });
    anstream::println!("{}", path.display());
    anstream::println!(
        "read it:  gymcheck check {name}{with}\nrun it:   gymcheck run {name}{with}"
    );
    Ok(ExitStatus::AsExpected)
}

/// Nothing is written over, and no name is given twice.
fn refuse_taken(
    name: &SpecName,
    path: &Path,
    own: Option<&Path>,
) -> Result<(), Box<dyn std::error::Error>> {
    if path.exists() {
        return Err(format!("{} is there already, and stays as it is", path.display()).into());
    }
    let own = own.filter(|folder| folder.is_dir());
    // Other files may be wrong just now; the new one is not.
    let catalogue = Reading::of(&find_root(), own)?.catalogue;
    match catalogue.specs.get(&name.to_string()) {
        Some(taken) => Err(format!(
            "there is a spec `{name}` already, in {}: give another name",
            taken.path.display()
        )
        .into()),
        None => Ok(()),
    }
}

fn write_schemas(folder: &Path) -> Result<(), String> {
    for (name, text) in schema_files() {
        write(&folder.join(name), &text)?;
    }
    Ok(())
}

fn write(path: &PathBuf, text: &str) -> Result<(), String> {
    let cannot = |error| format!("cannot write {}: {error}", path.display());
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(cannot)?;
    }
    std::fs::write(path, text).map_err(cannot)
}
