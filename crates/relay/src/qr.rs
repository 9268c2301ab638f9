//! QR codes: for pages as a picture, for terminals as text.

use std::fmt::Write as _;

use qrcodegen::{DataTooLong, QrCode, QrCodeEcc};

/// Modules of quiet around a code, as readers expect them.
const QUIET: i32 = 4;

/// A QR code as an SVG image in a page.
#[derive(Clone, Debug)]
pub(crate) struct Svg {
    /// Modules in a row, with the quiet zone.
    pub(crate) size: i32,
    /// The dark modules, as the data of a path.
    pub(crate) path: String,
}

impl Svg {
    /// # Errors
    ///
    /// [`DataTooLong`] when there are more than some two thousand bytes.
    pub(crate) fn of(text: &str) -> Result<Self, DataTooLong> {
        let code = QrCode::encode_text(text, QrCodeEcc::Medium)?;
        let mut path = String::new();
        for y in 0..code.size() {
            for x in (0..code.size()).filter(|x| code.get_module(*x, y)) {
                write!(path, "M{},{}h1v1h-1z", x + QUIET, y + QUIET).expect("a String takes all text");
            }
        }
        Ok(Self { size: code.size() + 2 * QUIET, path })
    }
}

/// Returns a QR code for a terminal, two rows of modules in a line, black on white whatever the terminal's colours are.
///
/// # Errors
///
/// As [`Svg::of`].
pub(crate) fn in_terminal(text: &str) -> Result<String, DataTooLong> {
    let code = QrCode::encode_text(text, QrCodeEcc::Low)?;
    let quiet = QUIET / 2;
    let mut out = String::new();
    for y in (-quiet..code.size() + quiet).step_by(2) {
        out.push_str("\x1b[30;107m");
        for x in -quiet..code.size() + quiet {
            // What is outside the code is light.
            out.push(match (code.get_module(x, y), code.get_module(x, y + 1)) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            });
        }
        out.push_str("\x1b[0m\n");
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_a_quiet_zone_and_the_same_modules_in_both_forms() {
        let (svg, terminal) =
            (Svg::of("https://pds.example.com/join/a").unwrap(), in_terminal("https://pds.example.com/join/a").unwrap());
        assert!(!svg.path.contains("M3,") && !svg.path.contains(",3h") && svg.path.starts_with("M4,4h"));
        assert!(svg.path.contains(&format!("M{},4h", svg.size - 5)));
        let lines: Vec<&str> = terminal.lines().collect();
        assert!(lines[0].contains("107m") && lines.iter().all(|line| line.ends_with("\x1b[0m")));
        let width = lines[0].chars().count() - "\x1b[30;107m\x1b[0m".len();
        assert!(lines.iter().all(|line| line.chars().count() == lines[0].chars().count()));
        assert_eq!(lines.len(), width.div_ceil(2));
        assert!(Svg::of(&"x".repeat(4000)).is_err());
    }
}
