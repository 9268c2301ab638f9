//! Notes once a day how much room is on the disk, so that it can be told when there will be none.

use common::Clock as _;

use crate::error::XrpcError;
use crate::state::AppState;
use crate::status::room_history;
use crate::store::meta;
use crate::telemetry::disk;
use crate::telemetry::room::RoomHistory;

/// On a disk with less than this the note would only be one more write that fails.
const MIN_FREE_BYTES: u64 = 16 << 20;

pub(super) async fn run_once(app: AppState) -> Result<usize, XrpcError> {
    let Some(space) = disk::space(&app.config.data.dir).filter(|space| space.free_bytes >= MIN_FREE_BYTES) else {
        return Ok(0);
    };
    let now = app.clock.millis();
    let mut history = room_history(&app).await?;
    if !history.is_due(now) {
        return Ok(0);
    }
    history.note(now, space);
    let json = serde_json::to_vec(&history).map_err(XrpcError::internal)?;
    app.db.write::<_, XrpcError>(move |tx| Ok(meta::set(tx, RoomHistory::KEY, &json)?)).await?;
    Ok(1)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::{Config, DevOptions};

    #[tokio::test]
    async fn a_day_is_noted_once_and_is_there_after_a_restart() {
        let dir = tempfile::TempDir::new().unwrap();
        let open = async || {
            let config = Config::dev(&DevOptions {
                bind: "127.0.0.1:2583".parse().unwrap(),
                plc_url: "http://localhost:1".to_owned(),
                data_dir: dir.path().join("data"),
                admin_password: None,
                settings: Vec::new(),
            });
            AppState::open(config.unwrap(), Arc::default()).await.unwrap()
        };
        let app = open().await;
        assert_eq!(run_once(app.clone()).await.unwrap(), 1);
        assert_eq!(run_once(app.clone()).await.unwrap(), 0);
        let noted = room_history(&app).await.unwrap();
        assert_ne!(noted, RoomHistory::default());
        drop(app);
        let again = open().await;
        assert_eq!(room_history(&again).await.unwrap(), noted);
    }
}
