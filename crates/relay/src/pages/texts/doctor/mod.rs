//! What the doctor says in other languages than English, whose words stand where the checks are (`doctor::said`). A test there
//! sees that none is missing.

mod de;

pub(super) use de::TEXTS as GERMAN;

/// English has no words here.
pub(super) const ENGLISH: DoctorTexts = DoctorTexts::of(&[]);

/// Words by their names, with places in braces.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DoctorTexts(&'static [(&'static str, &'static str)]);

impl DoctorTexts {
    pub(crate) const fn of(words: &'static [(&'static str, &'static str)]) -> Self {
        Self(words)
    }

    /// Returns the words with a name.
    pub(crate) fn find(&self, name: &str) -> Option<&'static str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, words)| *words)
    }

    #[cfg(test)]
    pub(crate) const fn all(&self) -> &'static [(&'static str, &'static str)] {
        self.0
    }
}
