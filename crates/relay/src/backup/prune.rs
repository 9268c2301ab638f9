//! Removes what no backup needs that is kept.

use std::collections::{HashMap, HashSet};

use data_encoding::HEXLOWER;

use super::manifest::{self, Manifest};
use super::{BLOBS, BackupError, Backups, CHUNKS, Opened, SEGMENTS, SNAPSHOTS, chunk_object, retention};
use crate::store::blob;
use crate::work::blocking;

const BLOBS_AT_A_TIME: usize = 5000;
/// A list has 32 bytes for each blob; this is for 30 million.
const MAX_LIST_BYTES: usize = 1 << 30;

impl Backups {
    /// Removes backups beyond those that are kept, and pieces, blobs and changes that none of those needs.
    pub(super) async fn prune(&self) -> Result<(), BackupError> {
        let opened = self.opened().await?;
        let mut manifests = Vec::new();
        for id in manifest::list_ids(&opened.place).await? {
            // Without knowing what one needs nothing can be removed.
            manifests.push(Manifest::read(&opened.place, &opened.key, &id).await?);
        }
        let times: Vec<i64> = manifests.iter().map(|manifest| manifest.ended_at).collect();
        let kept_times = retention::kept(&times, self.settings.keep);
        let (kept, old): (Vec<_>, Vec<_>) = manifests.into_iter().partition(|manifest| kept_times.contains(&manifest.ended_at));
        let moments_begin = self.now() - self.settings.keep.every_moment.as_millis() as i64;
        // The manifest first: a backup that is being removed is none.
        for manifest in &old {
            opened.place.delete(&format!("{SNAPSHOTS}/{}.manifest", manifest.id)).await?;
            opened.place.delete(&manifest::blob_list(&manifest.id)).await?;
        }
        let segments = self.prune_segments(opened, &kept, moments_begin).await?;
        let chunks = prune_chunks(opened, &kept).await?;
        let blobs = self.prune_blobs(opened, &kept, moments_begin).await?;
        if old.len() + segments + chunks + blobs > 0 {
            tracing::info!(backups = old.len(), segments, chunks, blobs, "removed what no backup needs that is kept");
        }
        Ok(())
    }

    async fn prune_segments(&self, opened: &Opened, kept: &[Manifest], moments_begin: i64) -> Result<usize, BackupError> {
        // What every moment since is restored from: the last backup before, and all changes after it.
        let base = kept.iter().rev().find(|manifest| manifest.ended_at <= moments_begin).or(kept.first());
        let mut removed = 0;
        for listed in opened.place.list(SEGMENTS).await? {
            let Some((chain, number)) = listed.name.split_once('/') else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            let is_needed = listed.modified_millis >= moments_begin
                || kept.iter().any(|manifest| {
                    manifest.chain == chain && (manifest.first_segment..manifest.end_segment).contains(&number)
                })
                || base.is_some_and(|base| base.chain == chain && number >= base.first_segment);
            if !is_needed {
                opened.place.delete(&format!("{SEGMENTS}/{}", listed.name)).await?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    async fn prune_blobs(&self, opened: &Opened, kept: &[Manifest], moments_begin: i64) -> Result<usize, BackupError> {
        let mut old: HashMap<String, Vec<String>> = HashMap::new();
        for listed in opened.place.list(BLOBS).await? {
            // Blobs of changes are in no list; they count as needed while moments are kept.
            if listed.modified_millis < moments_begin
                && let Some(name) = listed.name.rsplit('/').next().and_then(|name| name.split('-').next())
            {
                old.entry(name.to_owned()).or_default().push(listed.name.clone());
            }
        }
        for manifest in kept {
            if old.is_empty() {
                break;
            }
            let name = manifest::blob_list(&manifest.id);
            let sealed = opened.place.get_or_missing(&name, MAX_LIST_BYTES).await?;
            let key = opened.key.clone();
            old = blocking(move || {
                let digests = key.open(&name, &sealed, MAX_LIST_BYTES)?;
                for digest in digests.chunks_exact(32) {
                    old.remove(&HEXLOWER.encode(&key.code("blob", &[digest])));
                }
                Ok::<_, BackupError>(old)
            })
            .await?;
        }
        let mut after = None;
        while !old.is_empty() {
            let from = after;
            let some = self.db.scan(move |conn| blob::list_all(conn, from.as_ref(), BLOBS_AT_A_TIME)).await?;
            for (cid, _) in &some {
                old.remove(&opened.key.name("blob", cid.digest()));
            }
            after = some.last().map(|(cid, _)| *cid);
            if some.len() < BLOBS_AT_A_TIME {
                break;
            }
        }
        let mut removed = 0;
        for name in old.into_values().flatten() {
            opened.place.delete(&format!("{BLOBS}/{name}")).await?;
            removed += 1;
        }
        Ok(removed)
    }
}

async fn prune_chunks(opened: &Opened, kept: &[Manifest]) -> Result<usize, BackupError> {
    let needed: HashSet<String> =
        kept.iter().flat_map(|manifest| manifest.chunks.iter().map(|name| chunk_object(name))).collect();
    let mut removed = 0;
    for listed in opened.place.list(CHUNKS).await? {
        let object = format!("{CHUNKS}/{}", listed.name);
        if !needed.contains(&object) {
            opened.place.delete(&object).await?;
            removed += 1;
        }
    }
    Ok(removed)
}
