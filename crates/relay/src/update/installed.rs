//! How the program came here, and so who has to replace it.

use std::path::{Path, PathBuf};
use std::process::Command;

/// What is around the program.
#[derive(Clone, Debug, Default)]
pub(super) struct Surroundings {
    pub(super) program: PathBuf,
    pub(super) container: bool,
    /// The package manager that says the file is its own.
    pub(super) owner: Option<&'static str>,
}

/// Why the program is not replaced, and what to do instead, as sentences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) problem: String,
    pub(crate) remedy: String,
}

/// Package managers, and the words that ask one of them whose a file is.
const MANAGERS: [(&str, &[&str]); 4] = [
    ("apt", &["dpkg", "-S"]),
    ("dnf", &["rpm", "-qf"]),
    ("pacman", &["pacman", "-Qo"]),
    ("apk", &["apk", "info", "--who-owns"]),
];

pub(super) fn look(program: &Path) -> Surroundings {
    let container = ["/.dockerenv", "/run/.containerenv"].iter().any(|file| Path::new(file).exists())
        || std::env::var_os("KUBERNETES_SERVICE_HOST").is_some();
    let owner = MANAGERS.into_iter().find_map(|(name, question)| {
        let [asked, words @ ..] = question else { return None };
        let answer = Command::new(asked).args(words).arg(program).output().ok()?;
        answer.status.success().then_some(name)
    });
    Surroundings { program: program.to_owned(), container, owner }
}

pub(super) fn refusal(here: &Surroundings, container_is_fine: bool) -> Option<Refusal> {
    let program = here.program.display();
    let refuse = |problem: String, remedy: String| Some(Refusal { problem, remedy });
    if here.program.starts_with("/nix/store") {
        return refuse(
            format!("{program} belongs to Nix, which does not let files change"),
            "With NixOS: `nix flake update ezpds && sudo nixos-rebuild switch`. Without: `nix profile upgrade relay`.".into(),
        );
    }
    let path = here.program.to_string_lossy();
    if path.contains("/Cellar/") || path.contains("/homebrew/") || path.contains("/linuxbrew/") {
        return refuse(format!("{program} was installed by Homebrew"), "Run `brew update && brew upgrade relay`.".into());
    }
    if here.program.starts_with("/snap") {
        return refuse(format!("{program} was installed by snap"), "Run `sudo snap refresh relay`.".into());
    }
    if let Some(owner) = here.owner {
        let command = match owner {
            "apt" => "sudo apt update && sudo apt install --only-upgrade relay",
            "dnf" => "sudo dnf upgrade relay",
            "pacman" => "sudo pacman -Syu",
            _ => "sudo apk upgrade relay",
        };
        return refuse(format!("{program} was installed by {owner}"), format!("Run `{command}`."));
    }
    if here.container && !container_is_fine {
        return refuse(
            "this is a container, whose program is part of its image".into(),
            "On the host: `docker pull IMAGE && docker rm --force relay && docker run ...` with the same volume (docs/INSTALL.md). \
             If the program is on a disk that stays, as in LXC or toolbox, add --in-container."
                .into(),
        );
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(program: &str, container: bool, owner: Option<&'static str>) -> Option<String> {
        let here = Surroundings { program: program.into(), container, owner };
        refusal(&here, false).map(|refusal| refusal.remedy)
    }

    #[test]
    fn who_installed_the_program_replaces_it() {
        assert_eq!(said("/usr/local/bin/relay", false, None), None);
        assert!(said("/nix/store/abc-relay/bin/relay", false, None).unwrap().contains("nixos-rebuild switch"));
        assert!(said("/opt/homebrew/Cellar/relay/0.1.0/bin/relay", false, None).unwrap().contains("brew upgrade relay"));
        assert!(said("/usr/bin/relay", false, Some("apt")).unwrap().contains("apt install --only-upgrade relay"));
        assert!(said("/usr/bin/relay", false, Some("dnf")).unwrap().contains("dnf upgrade"));
        assert!(said("/bin/relay", true, None).unwrap().contains("docker pull IMAGE"));
        let here = Surroundings { program: "/usr/local/bin/relay".into(), container: true, owner: None };
        assert_eq!(refusal(&here, true), None);
        // Nix within a container is still Nix.
        assert!(said("/nix/store/abc-relay/bin/relay", true, None).unwrap().contains("nix profile upgrade"));
    }

    #[test]
    fn a_program_that_nobody_installed_is_nobodys() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("relay");
        std::fs::write(&program, "").unwrap();
        assert_eq!(look(&program).owner, None);
        #[cfg(target_os = "linux")]
        if Path::new("/usr/bin/dpkg").exists() {
            assert_eq!(look(Path::new("/usr/bin/dpkg")).owner, Some("apt"));
        }
    }
}
