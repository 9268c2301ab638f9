//! The router that packets to the world go by, as the system has it.

use std::net::Ipv4Addr;

/// Returns the address of the router; `None` where there is none, or the system does not tell.
pub(super) async fn default_router() -> Option<Ipv4Addr> {
    crate::work::blocking(look).await
}

fn look() -> Option<Ipv4Addr> {
    if cfg!(target_os = "linux") {
        linux(&std::fs::read_to_string("/proc/net/route").ok()?)
    } else {
        let said = std::process::Command::new("route").args(["-n", "get", "default"]).output().ok()?;
        bsd(&String::from_utf8_lossy(&said.stdout))
    }
}

/// Reads it from /proc/net/route, whose numbers are in the order of the machine, as memory has them: of all ways to everywhere the
/// one with the least metric.
fn linux(table: &str) -> Option<Ipv4Addr> {
    let way = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, "00000000", router, _, _, _, metric, "00000000", ..] = fields[..] else { return None };
        let router = Ipv4Addr::from(u32::from_str_radix(router, 16).ok()?.to_ne_bytes());
        (!router.is_unspecified()).then_some((metric.parse::<u32>().ok()?, router))
    };
    table.lines().filter_map(way).min_by_key(|(metric, _)| *metric).map(|(_, router)| router)
}

/// Reads it from what route(8) of macOS and the BSDs says.
fn bsd(text: &str) -> Option<Ipv4Addr> {
    text.lines().find_map(|line| line.trim().strip_prefix("gateway:")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_the_world_is_read() {
        let hex = |router: [u8; 4]| format!("{:08X}", u32::from_ne_bytes(router));
        let (lan, vpn) = (hex([192, 168, 178, 1]), hex([10, 8, 0, 1]));
        let table = format!(
            "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
             tun0\t00000000\t{vpn}\t0003\t0\t0\t600\t00000000\t0\t0\t0\n\
             ppp0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0\n\
             eth0\t00000000\t{lan}\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
             tun0\t00000000\t{vpn}\t0003\t0\t0\t0\t00000080\t0\t0\t0\n\
             eth0\t00B2A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n"
        );
        assert_eq!(linux(&table), Some(Ipv4Addr::new(192, 168, 178, 1)));
        assert_eq!(linux("Iface\tDestination\tGateway\n"), None);
        assert_eq!(linux("eth0\t00000000\tnot hex\t0003\t0\t0\t0\t00000000\n"), None);
        let mac =
            "   route to: default\ndestination: default\n       mask: default\n    gateway: 192.168.1.1\n  interface: en0\n";
        assert_eq!(bsd(mac), Some(Ipv4Addr::new(192, 168, 1, 1)));
        assert_eq!(bsd("route: writing to routing socket: not in table\n"), None);
    }
}
