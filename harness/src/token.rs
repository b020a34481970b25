//! Words that nobody can guess.

/// A new one, of 32 hexadecimal digits.
///
/// # Errors
/// The system gives no random bytes.
pub(crate) fn token() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(hex::encode(bytes))
}
