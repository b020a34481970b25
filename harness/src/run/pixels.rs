//! Comparing two screenshots.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, BufWriter};
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
    #[error("the picture of the difference cannot be written")]
    Drawing(#[from] png::EncodingError),
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
        file: match differing {
            0 => None,
            _ => Some(draw(&first, &second, &masks, &after.file)?),
        },
    })
}

/// How many pixels were compared, and how many differ. What only one of the two has, differs.
fn count(first: &Image, second: &Image, masks: &[Rectangle]) -> (u64, u64) {
    let (mut compared, mut differing) = (0, 0);
    for (x, y) in places(first, second) {
        if let Some(same) = is_same(first, second, masks, x, y) {
            compared += 1;
            differing += u64::from(!same);
        }
    }
    (compared, differing)
}

fn places(first: &Image, second: &Image) -> impl Iterator<Item = (u32, u32)> {
    let width = first.width.max(second.width);
    let height = first.height.max(second.height);
    (0..height).flat_map(move |y| (0..width).map(move |x| (x, y)))
}

/// Whether a pixel is the same; nothing, if it is masked.
fn is_same(first: &Image, second: &Image, masks: &[Rectangle], x: u32, y: u32) -> Option<bool> {
    if masks.iter().any(|mask| mask.contains(x, y)) {
        return None;
    }
    Some(match (first.at(x, y), second.at(x, y)) {
        (Some(one), Some(other)) => one
            .iter()
            .zip(other)
            .all(|(one, other)| one.abs_diff(*other) <= TOLERANCE),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    })
}

/// Draws where two screenshots differ, beside the later one: the page of before, faded, with every
/// pixel that differs in red, and what was not compared in grey. Gives the file's name.
fn draw(
    first: &Image,
    second: &Image,
    masks: &[Rectangle],
    beside: &Path,
) -> Result<String, PixelsError> {
    const DIFFERS: [u8; 3] = [208, 0, 32];
    const NOT_COMPARED: [u8; 3] = [190, 190, 190];
    let pixels = places(first, second).flat_map(|(x, y)| {
        let faded = |at: &[u8]| [at[0], at[1], at[2]].map(|channel| 192 + channel / 4);
        match is_same(first, second, masks, x, y) {
            None => NOT_COMPARED,
            Some(false) => DIFFERS,
            Some(true) => first.at(x, y).map_or(NOT_COMPARED, faded),
        }
    });
    let stem = beside.file_stem().unwrap_or_default().to_string_lossy();
    let name = format!("{stem}-difference.png");
    let file = BufWriter::new(File::create(beside.with_file_name(&name))?);
    let (width, height) = (
        first.width.max(second.width),
        first.height.max(second.height),
    );
    let mut encoder = png::Encoder::new(file, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let pixels: Vec<u8> = pixels.collect();
    encoder.write_header()?.write_image_data(&pixels)?;
    Ok(name)
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
    fn what_differs_is_drawn_beside_the_later_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let (one, mut other) = (grey(10, 10), grey(10, 12));
        other.pixels[(3 * 10 + 4) * 4] = 0;
        let mask = Rectangle {
            left: 0.0,
            top: 0.0,
            right: 1.0,
            bottom: 0.0,
        };
        let beside = folder.path().join("survivor-later.png");
        let name = draw(&one, &other, &[mask], &beside).expect("it can be written");
        assert_eq!(name, "survivor-later-difference.png");
        let drawn = read(&folder.path().join(name)).expect("it can be read");
        assert_eq!((drawn.width, drawn.height), (10, 12));
        assert_eq!(drawn.at(4, 3), Some(&[208, 0, 32, 255][..]));
        assert_eq!(drawn.at(4, 11), Some(&[208, 0, 32, 255][..]));
        assert_eq!(drawn.at(5, 5), Some(&[224, 224, 224, 255][..]));
        assert_eq!(drawn.at(1, 0), Some(&[190, 190, 190, 255][..]));
    }

    #[test]
    fn another_size_differs() {
        assert_eq!(count(&grey(10, 10), &grey(10, 12), &[]), (120, 20));
    }
}
