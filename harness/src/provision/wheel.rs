//! What a Python wheel says of itself.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::str::FromStr;

use pep508_rs::{ExtraName, MarkerEnvironment, MarkerEnvironmentBuilder, Requirement};

use super::error::ProvisionError;
use super::pyodide_list::ListedPackage;

/// What a wheel says of itself, as Pyodide's list is to have it. What it depends on is what it needs in a
/// browser, without extras.
///
/// # Errors
/// The wheel cannot be read.
pub(super) fn describe(wheel: &Path, python: &str) -> Result<ListedPackage, ProvisionError> {
    let failed = || ProvisionError::io("read", wheel);
    let file = File::open(wheel).map_err(failed())?;
    let mut archive = zip::ZipArchive::new(file).map_err(|error| failed()(error.into()))?;
    let names: Result<Vec<String>, _> = archive
        .file_names()
        .map(|name| name.map(String::from))
        .collect();
    let names = names.map_err(|error| failed()(error.into()))?;
    let about = names
        .iter()
        .find(|name| name.ends_with(".dist-info/METADATA") && name.matches('/').count() == 1)
        .ok_or_else(|| ProvisionError::NoMember {
            archive: wheel.to_owned(),
            member: "METADATA".to_owned(),
        })?;
    let mut metadata = String::new();
    archive
        .by_name(about)
        .map_err(|error| failed()(error.into()))?
        .read_to_string(&mut metadata)
        .map_err(failed())?;
    let field = |name: &'static str| fields(&metadata, name).next().unwrap_or_default();
    let file_name = wheel.file_name().unwrap_or_default().to_string_lossy();
    Ok(ListedPackage {
        name: normalised(field("Name")),
        version: field("Version").to_owned(),
        file_name: file_name.into_owned(),
        depends: depends(&metadata, python),
        imports: modules(&names),
    })
}

/// A package's name as an index normalises it.
pub(super) fn normalised(name: &str) -> String {
    let parts = name.split(['-', '_', '.']).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("-").to_ascii_lowercase()
}

/// The values of a field in the head of a METADATA file.
fn fields<'a>(metadata: &'a str, name: &'static str) -> impl Iterator<Item = &'a str> {
    metadata
        .lines()
        .take_while(|line| !line.is_empty())
        .filter_map(move |line| line.strip_prefix(name)?.strip_prefix(':'))
        .map(str::trim)
}

fn depends(metadata: &str, python: &str) -> Vec<String> {
    let browser = in_a_browser(python);
    let wanted = fields(metadata, "Requires-Dist").filter_map(|text| {
        let wanted: Requirement = Requirement::from_str(text).ok()?;
        let applies = browser
            .as_ref()
            .is_none_or(|browser| wanted.evaluate_markers(browser, &[] as &[ExtraName]));
        applies.then(|| normalised(wanted.name.as_ref()))
    });
    wanted.collect::<BTreeSet<_>>().into_iter().collect()
}

/// What PEP 508 asks about Python in Pyodide.
fn in_a_browser(python: &str) -> Option<MarkerEnvironment> {
    let short: Vec<&str> = python.splitn(3, '.').take(2).collect();
    MarkerEnvironment::try_from(MarkerEnvironmentBuilder {
        implementation_name: "cpython",
        implementation_version: python,
        os_name: "posix",
        platform_machine: "wasm32",
        platform_python_implementation: "CPython",
        platform_release: "",
        platform_system: "Emscripten",
        platform_version: "",
        python_full_version: python,
        python_version: &short.join("."),
        sys_platform: "emscripten",
    })
    .ok()
}

/// The modules at the top of a wheel.
fn modules(names: &[String]) -> Vec<String> {
    let is_code = |name: &str| name.ends_with(".py") || name.ends_with(".so");
    let top = names
        .iter()
        .filter(|name| is_code(name))
        .filter_map(|name| {
            let (top, rest) = name.split_once('/').unwrap_or((name, ""));
            let module = match rest {
                "" => top.split('.').next()?,
                _ => top,
            };
            let plain = module.chars().all(|c| c.is_alphanumeric() || c == '_');
            (plain && !module.is_empty()).then(|| module.to_owned())
        });
    top.collect::<BTreeSet<_>>().into_iter().collect()
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write;

    use super::*;

    /// A wheel with these files.
    pub(in crate::provision) fn wheel(path: &Path, files: &[(&str, &str)]) {
        let mut zip = zip::ZipWriter::new(File::create(path).unwrap());
        for (name, content) in files {
            zip.start_file(*name, zip::write::SimpleFileOptions::default())
                .unwrap();
            zip.write_all(content.as_bytes()).unwrap();
        }
        zip.finish().unwrap();
    }

    #[test]
    fn a_wheel_says_what_it_needs_in_a_browser() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("Some_Walker-1.0-py3-none-any.whl");
        let metadata = "Metadata-Version: 2.1\nName: Some_Walker\nVersion: 1.0\n\
            Requires-Dist: NumPy>=1.26\n\
            Requires-Dist: typing_extensions; python_version < \"3.13\"\n\
            Requires-Dist: tomli; python_version < \"3.11\"\n\
            Requires-Dist: uvloop; sys_platform != \"emscripten\"\n\
            Requires-Dist: jax; extra == \"jax\"\n\nRequires-Dist: in-the-text\n";
        let files = [
            ("walker/__init__.py", ""),
            ("walker/deep/a.py", ""),
            ("single.py", ""),
            ("walker/data.json", ""),
            ("Some_Walker-1.0.dist-info/METADATA", metadata),
            ("Some_Walker-1.0.dist-info/x.py", ""),
        ];
        wheel(&path, &files);
        let package = describe(&path, "3.12.1").unwrap();
        assert_eq!(package.name, "some-walker");
        assert_eq!(package.version, "1.0");
        assert_eq!(package.file_name, "Some_Walker-1.0-py3-none-any.whl");
        assert_eq!(package.depends, ["numpy", "typing-extensions"]);
        assert_eq!(package.imports, ["single", "walker"]);
    }
}
