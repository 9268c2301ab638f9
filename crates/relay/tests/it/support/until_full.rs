//! Clients that write while the disk fills up under them.

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Load;

/// Clients that write at the same time, until the disk is full and each was told so some times.
pub(crate) struct UntilFull {
    writers: Vec<JoinHandle<Load>>,
    full: watch::Sender<bool>,
    stored: watch::Receiver<usize>,
}

impl UntilFull {
    pub(crate) fn start(loads: Vec<Load>, refusals: usize) -> Self {
        let (full, fills) = watch::channel(false);
        let (count, stored) = watch::channel(0);
        let writers = loads.into_iter().map(|mut load| {
            let (fills, count) = (fills.clone(), count.clone());
            tokio::spawn(async move {
                let mut refused = 0;
                while !*fills.borrow() || refused < refusals {
                    let reply = load.write().await.unwrap();
                    if reply.status == 200 {
                        count.send_modify(|count| *count += 1);
                    } else {
                        assert_eq!(reply.summary(), "503 NotEnoughResources", "{}", reply.text());
                        assert!(reply.headers.contains_key("retry-after"));
                        // Else it was prepared on top of a write that was refused for that reason.
                        let is_told = reply.text().contains("disk is full");
                        assert!(is_told || reply.text().contains("was not stored"), "{}", reply.text());
                        refused += usize::from(is_told);
                    }
                }
                load
            })
        });
        Self { writers: writers.collect(), full, stored }
    }

    /// Waits until so many writes are stored.
    pub(crate) async fn stored(&mut self, writes: usize) {
        self.stored.wait_for(|count| *count >= writes).await.unwrap();
    }

    /// Tells the clients that the disk is full, or will be in a moment.
    pub(crate) fn is_full(&self) {
        self.full.send_replace(true);
    }

    /// Waits until each was refused often enough.
    pub(crate) async fn end(self) -> Vec<Load> {
        let mut loads = Vec::new();
        for writer in self.writers {
            loads.push(writer.await.unwrap());
        }
        loads
    }
}
