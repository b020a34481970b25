//! Comparing two screenshots.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::evidence::PixelsFact;
use crate::spec::PlayerName;

/// How far a colour channel may differ before the pixel counts as another one: browsers round
/// differently when they paint the same thing again.
const TOLERANCE: u8 = 12;

/// A part of a screenshot, in its pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rectangle {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) right: f64,
    pub(super) bottom: f64,
}

impl Rectangle {
    fn contains(&self, x: u32, y: u32) -> bool {
        let (x, y) = (f64::from(x), f64::from(y));
        x >= self.left && x <= self.right && y >= self.top && y <= self.bottom
    }
}

/// Why screenshots cannot be compared.
#[derive(Debug, Error)]
pub(super) enum PixelsError {
    #[error("the screenshot cannot be read")]
    Io(#[from] std::io::Error),
    #[error("the screenshot is no PNG that can be read")]
    Png(#[from] png::DecodingError),
    #[error("the screenshot is too large")]
    TooLarge,
}

struct Image {
    width: u32,
    height: u32,
    /// Red, green, blue, alpha, row by row.
    pixels: Vec<u8>,
}

/// A screenshot of a player's page.
pub(super) struct Screen {
    /// The moment's name in the run.
    pub(super) label: String,
    pub(super) file: PathBuf,
    /// What is not compared.
    pub(super) masks: Vec<Rectangle>,
}

/// The last screenshot of each player.
#[derive(Default)]
pub(super) struct Screens {
    last: BTreeMap<PlayerName, Screen>,
}

impl Screens {
    /// Adds a player's newest screenshot, and compares it with the one before, if there is one.
    pub(super) fn add(
        &mut self,
        player: PlayerName,
        screen: Screen,
    ) -> Result<Option<PixelsFact>, PixelsError> {
        let before = self.last.get(&player);
        let compared = before.map(|before| compare(before, &screen)).transpose();
        self.last.insert(player, screen);
        compared
    }
}

/// Compares two screenshots outside of the masks of both.
fn compare(before: &Screen, after: &Screen) -> Result<PixelsFact, PixelsError> {
    let (first, second) = (read(&before.file)?, read(&after.file)?);
    let masks = [before.masks.as_slice(), after.masks.as_slice()].concat();
    let (compared, differing) = count(&first, &second, &masks);
    Ok(PixelsFact {
        before: before.label.clone(),
        after: after.label.clone(),
        compared,
        differing,
        masked: vec!["the display of the round-trip time".to_owned()],
    })
}

/// How many pixels were compared, and how many differ. What only one of the two has, differs.
fn count(first: &Image, second: &Image, masks: &[Rectangle]) -> (u64, u64) {
    let (mut compared, mut differing) = (0, 0);
    for y in 0..first.height.max(second.height) {
        for x in 0..first.width.max(second.width) {
            if masks.iter().any(|mask| mask.contains(x, y)) {
                continue;
            }
            compared += 1;
            let same = match (first.at(x, y), second.at(x, y)) {
                (Some(one), Some(other)) => one
                    .iter()
                    .zip(other)
                    .all(|(one, other)| one.abs_diff(*other) <= TOLERANCE),
                (None, None) => true,
                (Some(_), None) | (None, Some(_)) => false,
            };
            differing += u64::from(!same);
        }
    }
    (compared, differing)
}

impl Image {
    fn at(&self, x: u32, y: u32) -> Option<&[u8]> {
        if x >= self.width || y >= self.height {
            return None;
        }
        let start = (y as usize * self.width as usize + x as usize) * 4;
        self.pixels.get(start..start + 4)
    }
}

fn read(path: &Path) -> Result<Image, PixelsError> {
    let mut decoder = png::Decoder::new(BufReader::new(File::open(path)?));
    decoder.set_transformations(
        png::Transformations::normalize_to_color8() | png::Transformations::ALPHA,
    );
    let mut reader = decoder.read_info()?;
    let mut bytes = vec![0; reader.output_buffer_size().ok_or(PixelsError::TooLarge)?];
    let frame = reader.next_frame(&mut bytes)?;
    bytes.truncate(frame.buffer_size());
    let pixels = match frame.color_type {
        png::ColorType::Grayscale => bytes
            .iter()
            .flat_map(|grey| [*grey, *grey, *grey, 255])
            .collect(),
        png::ColorType::GrayscaleAlpha => bytes
            .chunks_exact(2)
            .flat_map(|pixel| [pixel[0], pixel[0], pixel[0], pixel[1]])
            .collect(),
        png::ColorType::Rgb => bytes
            .chunks_exact(3)
            .flat_map(|pixel| [pixel[0], pixel[1], pixel[2], 255])
            .collect(),
        png::ColorType::Rgba | png::ColorType::Indexed => bytes,
    };
    Ok(Image {
        width: frame.width,
        height: frame.height,
        pixels,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey(width: u32, height: u32) -> Image {
        Image {
            width,
            height,
            pixels: vec![128; width as usize * height as usize * 4],
        }
    }

    #[test]
    fn a_changed_pixel_counts_unless_it_is_masked() {
        let (one, mut other) = (grey(10, 10), grey(10, 10));
        assert_eq!(count(&one, &other, &[]), (100, 0));
        other.pixels[(3 * 10 + 4) * 4] = 0;
        assert_eq!(count(&one, &other, &[]), (100, 1));
        let mask = Rectangle {
            left: 4.0,
            top: 3.0,
            right: 4.0,
            bottom: 3.0,
        };
        assert_eq!(count(&one, &other, &[mask]), (99, 0));
    }

    #[test]
    fn another_size_differs() {
        assert_eq!(count(&grey(10, 10), &grey(10, 12), &[]), (120, 20));
    }
}
