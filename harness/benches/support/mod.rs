//! What is measured side by side: pairs in turn, medians, and a table of ratios.

#![allow(dead_code, reason = "each benchmark uses a part of it")]

use std::time::Duration;

/// The rows of one benchmark, printed as they come.
pub(crate) struct Table;

impl Table {
    pub(crate) fn new(title: &str) -> Table {
        println!("\n{title}");
        Table
    }

    /// Two medians of the same measure, and the ratio of the second to the first.
    pub(crate) fn ratio(&self, what: &str, unit: &str, one: (&str, f64), other: (&str, f64)) {
        println!(
            "  {what:<34} {:>12} {:>10.3} {unit:<6} {:>12} {:>10.3} {unit:<6} ratio {:.3}",
            one.0,
            one.1,
            other.0,
            other.1,
            other.1 / one.1
        );
    }

    /// One value.
    pub(crate) fn value(&self, what: &str, value: f64, unit: &str) {
        println!("  {what:<34} {value:>23.3} {unit}");
    }
}

/// The middle one of some values.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() % 2 {
        0 => f64::midpoint(values[middle - 1], values[middle]),
        _ => values[middle],
    }
}

pub(crate) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
