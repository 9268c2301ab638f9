//! Which program listens on a port.

use std::fs;

/// Returns the name of the program that listens on `port`, where the system tells it: on Linux, and of other users' programs
/// only to root.
pub(super) fn of_port(port: u16) -> Option<String> {
    let inode =
        ["/proc/net/tcp", "/proc/net/tcp6"].into_iter().find_map(|table| listener(&fs::read_to_string(table).ok()?, port))?;
    let socket = format!("socket:[{inode}]");
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let numbered = |name: &std::ffi::OsStr| name.to_string_lossy().bytes().all(|byte| byte.is_ascii_digit());
    processes.filter(|process| numbered(&process.file_name())).find_map(|process| {
        let holds = fs::read_dir(process.path().join("fd"))
            .ok()?
            .flatten()
            .any(|fd| fs::read_link(fd.path()).is_ok_and(|target| target.as_os_str() == socket.as_str()));
        let name = fs::read_to_string(process.path().join("comm")).ok().filter(|_| holds)?;
        Some(format!("{} (process {})", name.trim(), process.file_name().to_string_lossy()))
    })
}

/// Returns the inode of the socket that listens on `port`, from a table of proc(5).
fn listener(table: &str, port: u16) -> Option<String> {
    const LISTEN: &str = "0A";
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
        let own = u16::from_str_radix(local.rsplit(':').next()?, 16).ok()?;
        (own == port && *state == LISTEN).then(|| (*inode).to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_are_found_in_the_table() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
                     0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1 0 100 0\n   \
                     1: 0100007F:01BB 0100007F:C000 01 00000000:00000000 00:00000000 00000000     0        0 77 1 0 100 0\n";
        assert_eq!(listener(table, 8080).as_deref(), Some("4242"));
        assert_eq!(listener(table, 443), None, "a connection is no listener");
        assert_eq!(listener("", 1), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn our_own_port_is_ours() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = socket.local_addr().expect("it is bound").port();
        let owner = of_port(port).expect("it listens");
        assert!(owner.ends_with(&format!("(process {})", std::process::id())), "{owner}");
    }
}
