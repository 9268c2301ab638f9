//! The service of the system that the server is.

use std::path::Path;
use std::time::Duration;

use http::Method;
use serde::de::IgnoredAny;

use super::Mended;
use crate::control::ControlClient;
use crate::service::{self, Installed, Step};

/// How long a server that starts is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn enable(installed: &Installed) -> Mended {
    match carry_out(&installed.enable()) {
        Ok(()) => Ok("The service starts with the machine now.".to_owned()),
        Err(reason) => Err(format!("The service still does not start with the machine: {reason}.")),
    }
}

/// Starts the service, and waits until the server answers.
pub(super) async fn start(installed: &Installed, data_dir: &Path) -> Mended {
    carry_out(&service::start(installed.manager, &installed.scope))
        .map_err(|reason| format!("The service does not start: {reason}."))?;
    let server = ControlClient::new(data_dir);
    let answers = async {
        while server.call::<IgnoredAny>(Method::GET, "/health", None::<&()>).await.is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    match tokio::time::timeout(PATIENCE, answers).await {
        Ok(()) => Ok("The service was started, and the server answers.".to_owned()),
        Err(_) => Err("The service was started, and the server does not answer yet: `relay service logs` says why.".to_owned()),
    }
}

fn carry_out(plan: &[Step]) -> Result<(), String> {
    plan.iter().try_for_each(|step| step.carry_out_silently().map_err(|err| err.to_string()))
}
