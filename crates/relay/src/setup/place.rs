//! Where a server keeps what it has, by the machine that it runs on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What is known of the machine.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    /// The process's environment.
    pub(crate) env: BTreeMap<String, String>,
    /// Whether this is root's process.
    pub(crate) root: bool,
    pub(crate) container: bool,
    pub(crate) macos: bool,
}

/// The folders of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) data_dir: PathBuf,
    /// Whether this is a container.
    pub(crate) container: bool,
}

/// Name of the folder, below those that a platform has for programs.
const NAME: &str = "relay";
/// Name of the configuration file in the data folder.
const CONFIG: &str = "relay.toml";

impl Machine {
    /// Looks at this machine.
    pub(crate) fn look(env: impl IntoIterator<Item = (String, String)>) -> Self {
        let env: BTreeMap<String, String> = env.into_iter().collect();
        let container = env.contains_key("container")
            || env.contains_key("KUBERNETES_SERVICE_HOST")
            || ["/.dockerenv", "/run/.containerenv"].iter().any(|mark| Path::new(mark).exists())
            // A machine's first process is never this program.
            || (cfg!(target_os = "linux") && std::process::id() == 1);
        Self { env, root: is_root(), container, macos: cfg!(target_os = "macos") }
    }

    fn folder(&self, name: &str) -> Option<PathBuf> {
        self.env.get(name).map(PathBuf::from).filter(|path| path.is_absolute())
    }

    /// Returns where the server is on this machine; `None` when nobody says whose folder could hold it.
    pub(crate) fn place(&self) -> Option<Place> {
        let home = || self.folder("HOME");
        let given = self.env.get("RELAY_DATA_DIR").filter(|dir| !dir.is_empty());
        let data_dir = match given {
            Some(dir) => std::path::absolute(dir).unwrap_or_else(|_| PathBuf::from(dir)),
            None if self.container => PathBuf::from("/data"),
            None if self.macos => home()?.join("Library/Application Support").join(NAME),
            None if self.root => Path::new("/var/lib").join(NAME),
            None => self.folder("XDG_DATA_HOME").or_else(|| Some(home()?.join(".local/share")))?.join(NAME),
        };
        Some(Place { data_dir, container: self.container })
    }
}

impl Place {
    pub(crate) const fn is_container(&self) -> bool {
        self.container
    }

    /// Returns the file that the set-up ends with.
    pub(crate) fn config(&self) -> PathBuf {
        self.data_dir.join(CONFIG)
    }

    /// Returns a place for backups that exists on machines of this kind.
    pub(crate) fn suggested_backups(&self) -> PathBuf {
        if self.container {
            return PathBuf::from("/backups");
        }
        self.data_dir.with_file_name(format!("{NAME}-backups"))
    }
}

/// Whether a server is configured: by a file, or by its one required setting.
pub(crate) fn is_configured(file: Option<&Path>, env: &BTreeMap<String, String>) -> bool {
    let given = |name: &str| env.get(name).is_some_and(|value| !value.trim().is_empty());
    file.is_some() || given("RELAY_SERVER_PUBLIC_URL")
}

#[cfg(unix)]
fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[cfg(not(unix))]
fn is_root() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(env: &[(&str, &str)], change: impl FnOnce(&mut Machine)) -> Option<String> {
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut machine = Machine { env, root: false, container: false, macos: false };
        change(&mut machine);
        machine.place().map(|place| place.data_dir.display().to_string())
    }

    #[test]
    fn each_platform_has_its_folder() {
        let home = [("HOME", "/home/ann")];
        assert_eq!(place(&home, |_| {}).unwrap(), "/home/ann/.local/share/relay");
        assert_eq!(place(&[("HOME", "/h"), ("XDG_DATA_HOME", "/x")], |_| {}).unwrap(), "/x/relay");
        assert_eq!(place(&[("HOME", "/h"), ("XDG_DATA_HOME", "x")], |_| {}).unwrap(), "/h/.local/share/relay");
        assert_eq!(place(&home, |machine| machine.root = true).unwrap(), "/var/lib/relay");
        let mac = place(&[("HOME", "/Users/ann")], |machine| machine.macos = true).unwrap();
        assert_eq!(mac, "/Users/ann/Library/Application Support/relay");
        assert_eq!(place(&home, |machine| machine.container = true).unwrap(), "/data");
        assert_eq!(place(&[("RELAY_DATA_DIR", "/srv/pds")], |machine| machine.container = true).unwrap(), "/srv/pds");
        assert_eq!(place(&[], |_| {}), None);
    }

    #[test]
    fn a_file_or_the_public_url_is_a_configuration() {
        let env = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
        assert!(is_configured(Some(Path::new("relay.toml")), &BTreeMap::new()));
        assert!(is_configured(None, &env("RELAY_SERVER_PUBLIC_URL", "https://pds.example.com")));
        assert!(!is_configured(None, &env("RELAY_SERVER_PUBLIC_URL", " ")));
        assert!(!is_configured(None, &env("RELAY_DATA_DIR", "/data")), "as in the image");
    }
}
