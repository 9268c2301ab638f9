//! What the running server is asked to do.

use std::path::Path;

use http::Method;
use serde::de::IgnoredAny;

use super::Mended;
use crate::control::ControlClient;
use crate::tasks::crawl::Telling;

/// Has the crawlers told of this server, and asked how far they have read.
pub(super) async fn tell_crawlers(data_dir: &Path) -> Vec<Mended> {
    let told = ControlClient::new(data_dir).call::<Vec<Telling>>(Method::POST, "/crawlers/tell", None::<&()>).await;
    match told {
        Ok(told) => told
            .into_iter()
            .map(|Telling { host, problem }| match problem {
                None => Ok(format!("{host} was told that there is something to fetch here.")),
                Some(problem) => Err(format!("{host} could not be told of this server: {problem}.")),
            })
            .collect(),
        Err(err) => vec![Err(format!("The crawlers were not told of this server: {err}."))],
    }
}

/// Has a backup made in each place, and waits for it.
pub(super) async fn back_up(data_dir: &Path) -> Mended {
    match ControlClient::new(data_dir).call::<IgnoredAny>(Method::POST, "/backup", None::<&()>).await {
        Ok(IgnoredAny) => Ok("A backup was made.".to_owned()),
        Err(err) => Err(format!("No backup could be made: {}.", err.to_string().trim_end_matches('.'))),
    }
}
