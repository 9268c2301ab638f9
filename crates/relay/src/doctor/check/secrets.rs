//! `secrets.perm`: files with secrets that the configuration names.

use crate::doctor::facts::{Facts, OpenSecret};
use crate::doctor::finding::Finding;
use crate::doctor::said::said;

pub(in crate::doctor) fn evaluate(facts: &Facts, findings: &mut Vec<Finding>) {
    findings.extend(facts.secrets.iter().map(|OpenSecret { path, mode, ours }| {
        let (file, mode) = (path.display(), format!("{:04o}", mode & 0o7777));
        let sentence = said!(
            "secrets.open",
            "Every user of this machine can read {file} (mode {mode}), which holds a secret.",
            file,
            mode
        );
        if *ours {
            let remedy = said!("secrets.open.do", "Run `relay doctor --fix`, or `chmod o= {file}`.", file);
            Finding::error("secrets.perm", sentence, remedy).fixable()
        } else {
            let remedy = said!(
                "secrets.foreign.do",
                "Let only the user of the server read it: `sudo chown USER {file}`, then `sudo chmod 600 {file}`.",
                file
            );
            Finding::error("secrets.perm", sentence, remedy)
        }
    }));
}
