//! The guide `docs/writing-specs.md`, taken apart: its whole files, and its fragments.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::path::{Path, PathBuf};

use gymcheck::run::find_root;
use tempfile::TempDir;

/// What the first line of a whole file begins with: its place in the reader's own folder.
const WHOLE: &str = "# my-specs/";

/// A block of the guide between fences.
pub(crate) struct Block {
    /// The line of the guide on which it begins.
    pub(crate) line: usize,
    pub(crate) language: String,
    pub(crate) text: String,
}

impl Block {
    /// Its place in the reader's own folder, if it is a whole file.
    pub(crate) fn file(&self) -> Option<PathBuf> {
        let first = self.text.lines().next()?;
        (self.language == "toml").then_some(())?;
        first.strip_prefix(WHOLE).map(PathBuf::from)
    }
}

/// All blocks of a document, in their order.
pub(crate) fn blocks(document: &str) -> Vec<Block> {
    let path = find_root().join(document);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{document}: {error}"));
    let mut blocks = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let Some(language) = line.strip_prefix("```") else {
            continue;
        };
        let inside = lines.by_ref().map(|(_, line)| line);
        let inside = inside.take_while(|line| *line != "```");
        blocks.push(Block {
            line: number + 1,
            language: language.to_owned(),
            text: inside.map(|line| format!("{line}\n")).collect(),
        });
    }
    blocks
}

/// The guide's blocks of TOML.
pub(crate) fn examples() -> Vec<Block> {
    let blocks = blocks("docs/writing-specs.md").into_iter();
    blocks.filter(|block| block.language == "toml").collect()
}

/// The guide's whole files in a folder, for `--specs`: what its reader has at the end.
pub(crate) fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for block in examples() {
        if let Some(file) = block.file() {
            write(&folder.path().join(file), &block.text);
        }
    }
    folder
}

pub(crate) fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("it can be made");
    std::fs::write(path, text).expect("it can be written");
}
