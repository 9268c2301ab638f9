//! The store, its rows and the collector together, on real files and a real database.

use std::fs;
use std::sync::Arc;

use common::{Clock as _, Did};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::upload::Stored;
use super::*;
use crate::clock::SystemClock;
use crate::config::{S3Access, Secret};
use crate::store::account::{self, NewAccount};
use crate::store::blob::{self, BlobRow};
use crate::store::{AccountId, BatchTx, Db, DbOptions, StoreError, Synchronous, deletion, repo, unused_repo};

#[path = "../../tests/it/support/s3.rs"]
mod store;

const HOUR_MICROS: i64 = 3_600_000_000;

/// A database and a folder of blobs.
struct Place {
    dir: TempDir,
    clock: Arc<SystemClock>,
    db: Db,
    blobs: BlobStore,
}

impl Place {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let clock = Arc::new(SystemClock::default());
        let options = DbOptions {
            synchronous: Synchronous::Normal,
            writer_cache_bytes: 1 << 20,
            reader_cache_bytes: 1 << 20,
            readers: 2,
            write_queue: 100,
            watch: None,
        };
        fs::create_dir(dir.path().join("blobs")).unwrap();
        let db = Db::open(&dir.path().join("db"), &options, Arc::clone(&clock) as _, Box::new(drop)).unwrap();
        let blobs = BlobStore::open(dir.path().join("blobs")).unwrap();
        Self { dir, clock, db, blobs }
    }

    /// As [`Self::new`], with the blobs in a store.
    fn in_store(s3: &store::S3) -> Self {
        let mut place = Self::new();
        let client = ObjectStoreClient::new(&[]).unwrap();
        place.blobs = BlobStore::open_bucket(place.dir.path().join("blobs"), &settings(s3), client).unwrap();
        place
    }

    async fn account(&self, name: &str) -> AccountId {
        let did: Did = format!("did:web:{name}.test").parse().unwrap();
        let new = move |tx: &mut crate::store::BatchTx<'_>| {
            account::insert(
                tx,
                &NewAccount {
                    did: &did,
                    handle: None,
                    email: None,
                    password_hash: None,
                    sealed_signing_key: &[],
                    created_at: 0,
                    deactivated_at: None,
                },
            )
            .map_err(|err| RegisterError::Store(StoreError::Corrupt { table: "account", column: "-", reason: err.to_string() }))
        };
        self.db.write(new).await.unwrap()
    }

    async fn put(&self, content: &[u8]) -> Stored {
        let mut upload = self.blobs.begin(1 << 20, Some(content.len() as u64)).unwrap();
        upload.write(content).await.unwrap();
        upload.finish().await.unwrap()
    }

    async fn upload(&self, account: AccountId, content: &[u8]) -> Result<Registered, RegisterError> {
        register(&self.db, account, self.put(content).await, "text/plain").await
    }

    async fn row(&self, account: AccountId, content: &[u8]) -> Option<BlobRow> {
        self.db.read(|conn| blob::find(conn, account, &Cid::raw(content))).await.unwrap()
    }

    async fn has(&self, content: &[u8]) -> bool {
        self.blobs.size(&Cid::raw(content)).await.unwrap().is_some()
    }

    /// Makes the record at `path` refer to blobs, and to no others.
    async fn write_record(&self, account: AccountId, path: &'static str, contents: &[&[u8]]) {
        let cids: Vec<Cid> = contents.iter().map(|content| Cid::raw(content)).collect();
        let write = move |tx: &mut crate::store::BatchTx<'_>| {
            let number = repo::number(tx, account)?.unwrap();
            blob::drop_references(tx, account, number, path)?;
            for cid in &cids {
                assert!(blob::refer(tx, account, number, path, cid, common::Tid::from_u64(1 << 20).unwrap())?);
            }
            Ok::<_, RegisterError>(())
        };
        self.db.write(write).await.unwrap();
    }

    async fn collect(&self) -> usize {
        collect(&self.db, &self.blobs, &*self.clock, &CancellationToken::new()).await.unwrap()
    }

    fn files_in(&self, folder: &str) -> usize {
        fs::read_dir(self.dir.path().join("blobs").join(folder)).unwrap().count()
    }
}

fn settings(s3: &store::S3) -> S3Place {
    let access = S3Access { key: store::ACCESS_KEY.to_owned(), secret: Secret::new(store::SECRET_KEY) };
    S3Place {
        bucket: store::BUCKET.to_owned(),
        prefix: "blobs".to_owned(),
        endpoint: Some(s3.url().parse().unwrap()),
        region: "us-east-1".to_owned(),
        access: Some(access),
    }
}

async fn bytes_of(body: BlobBody) -> Vec<u8> {
    axum::body::to_bytes(body.into_body(), usize::MAX).await.unwrap().to_vec()
}

#[tokio::test]
async fn what_was_uploaded_is_read_back_whole_and_in_parts() {
    let place = Place::new();
    // Around the size of a piece, since pieces are where a reader or writer errs by one.
    for len in [0, 1, (256 << 10) - 1, 256 << 10, (256 << 10) + 1, 600_000] {
        let content: Vec<u8> = (0..len).map(|at| (at % 251) as u8).collect();
        let mut upload = place.blobs.begin(1 << 20, None).unwrap();
        for some in content.chunks(70_000) {
            upload.write(some).await.unwrap();
        }
        let stored = upload.finish().await.unwrap();
        assert_eq!((stored.cid, stored.size), (Cid::raw(&content), len as u64));
        let read = |part| place.blobs.read(&stored.cid, stored.size, part);
        assert_eq!(bytes_of(read(0..len as u64).await.unwrap()).await, content);
        let part = len / 3..len - len / 4;
        assert_eq!(bytes_of(read(part.start as u64..part.end as u64).await.unwrap()).await, content[part]);
        let other_size = place.blobs.read(&stored.cid, stored.size + 1, 0..1).await;
        assert!(matches!(other_size, Err(BlobError::Missing(_))));
    }
    assert_eq!(place.files_in("tmp"), 0);
}

#[tokio::test]
async fn a_blob_over_the_limit_leaves_nothing() {
    let place = Place::new();
    assert!(matches!(place.blobs.begin(10, Some(11)), Err(BlobError::TooLarge { limit: 10 })));
    let limit = 300_000;
    let mut upload = place.blobs.begin(limit, None).unwrap();
    upload.write(&vec![0; limit as usize]).await.unwrap();
    assert_eq!(place.files_in("tmp"), 1);
    assert!(matches!(upload.write(&[0]).await, Err(BlobError::TooLarge { .. })));
    drop(upload);
    assert_eq!(place.files_in("tmp"), 0);
}

#[tokio::test]
async fn an_upload_whose_client_goes_away_leaves_nothing() {
    let place = Place::new();
    let mut upload = place.blobs.begin(1 << 20, None).unwrap();
    upload.write(&vec![1; 600_000]).await.unwrap();
    assert_eq!(place.files_in("tmp"), 1);
    // Nor does the collector mistake it for a leftover, whatever the clock was set to; a real one it clears away.
    fs::write(place.dir.path().join("blobs/tmp/99"), b"left over").unwrap();
    place.clock.shift_micros(1000 * HOUR_MICROS);
    place.collect().await;
    assert_eq!(place.files_in("tmp"), 1);
    drop(upload);
    assert_eq!(place.files_in("tmp"), 0);
}

#[tokio::test]
async fn a_new_process_clears_what_the_last_one_left() {
    let place = Place::new();
    drop(place.put(b"kept").await);
    let blobs = place.dir.path().join("blobs");
    fs::write(blobs.join("tmp/17"), b"half").unwrap();
    let reopened = BlobStore::open(blobs).unwrap();
    assert_eq!(place.files_in("tmp"), 0);
    assert_eq!(reopened.size(&Cid::raw(b"kept")).await.unwrap(), Some(4));
}

#[tokio::test]
async fn one_content_may_be_uploaded_many_times_at_once() {
    let place = Place::new();
    let alice = place.account("alice").await;
    let uploads = (0..20).map(|_| place.upload(alice, b"same"));
    for uploaded in futures_util::future::join_all(uploads).await {
        assert_eq!(uploaded.unwrap().cid, Cid::raw(b"same"));
    }
    assert!(place.has(b"same").await);
    assert_eq!(place.files_in("tmp"), 0);
}

#[tokio::test]
async fn a_full_disk_is_told_apart() {
    use std::io::{Error, ErrorKind};
    for kind in [ErrorKind::StorageFull, ErrorKind::QuotaExceeded, ErrorKind::ReadOnlyFilesystem] {
        let answer = crate::error::XrpcError::from(BlobError::io("written")(Error::from(kind)));
        assert_eq!(answer.status(), http::StatusCode::SERVICE_UNAVAILABLE);
    }
    let answer = crate::error::XrpcError::from(BlobError::io("written")(Error::from(ErrorKind::PermissionDenied)));
    assert_eq!(answer.status(), http::StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn a_blob_has_the_type_it_looks_like_or_that_was_declared() {
    let place = Place::new();
    let alice = place.account("alice").await;
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR";
    assert_eq!(place.upload(alice, png).await.unwrap().mime_type, "image/png");
    assert_eq!(place.upload(alice, b"hello").await.unwrap().mime_type, "text/plain");
    let again = register(&place.db, alice, place.put(b"hello").await, "text/vtt").await.unwrap();
    assert_eq!(again.mime_type, "text/vtt", "temporary blobs take the newest type");
    place.write_record(alice, "a/1", &[b"hello"]).await;
    let again = register(&place.db, alice, place.put(b"hello").await, "text/html").await.unwrap();
    assert_eq!(again.mime_type, "text/vtt", "permanent ones keep what records state");
}

#[tokio::test]
async fn a_blob_that_records_wait_for_is_permanent_at_once() {
    let place = Place::new();
    let alice = place.account("alice").await;
    assert!(place.upload(alice, b"first").await.is_ok());
    assert!(place.row(alice, b"first").await.unwrap().temporary);
    // As an import leaves it, which brings records before their blobs.
    let import = move |tx: &mut crate::store::BatchTx<'_>| {
        let sql = "INSERT INTO blob_ref (repo, path, cid, rev) SELECT repo, 'a/1', ?2, 0 FROM account WHERE id = ?1";
        for content in [b"first".as_slice(), b"later"] {
            tx.execute(sql, rusqlite::params![alice.0, Cid::raw(content).digest()]).map_err(StoreError::from)?;
        }
        Ok::<_, RegisterError>(())
    };
    place.db.write(import).await.unwrap();
    for content in [b"first".as_slice(), b"later"] {
        place.upload(alice, content).await.unwrap();
        assert!(!place.row(alice, content).await.unwrap().temporary);
    }
}

#[tokio::test]
async fn what_was_taken_down_cannot_come_back() {
    let place = Place::new();
    let alice = place.account("alice").await;
    place.upload(alice, b"bad").await.unwrap();
    let take_down = |tx: &mut crate::store::BatchTx<'_>| {
        tx.execute("UPDATE blob SET takedown_ref = 'x'", []).map(drop).map_err(|err| RegisterError::Store(err.into()))
    };
    place.db.write(take_down).await.unwrap();
    assert!(matches!(place.upload(alice, b"bad").await, Err(RegisterError::TakenDown)));
    // Nor by waiting until it was collected.
    place.clock.shift_micros(48 * HOUR_MICROS);
    assert_eq!(place.collect().await, 0);
    assert!(matches!(place.upload(alice, b"bad").await, Err(RegisterError::TakenDown)));
    let bob = place.account("bob").await;
    assert!(place.upload(bob, b"bad").await.is_ok(), "takedowns are of one account");
}

#[tokio::test]
async fn only_what_no_record_of_any_account_refers_to_is_collected() {
    let place = Place::new();
    let (alice, bob) = (place.account("alice").await, place.account("bob").await);
    for content in [b"used".as_slice(), b"unused", b"shared", b"twice"] {
        place.upload(alice, content).await.unwrap();
    }
    place.upload(bob, b"shared").await.unwrap();
    place.write_record(alice, "a/1", &[b"used", b"twice"]).await;
    place.write_record(alice, "a/2", &[b"twice"]).await;
    place.write_record(bob, "a/1", &[b"shared"]).await;

    place.clock.shift_micros(23 * HOUR_MICROS);
    assert_eq!(place.collect().await, 0, "the time of grace is not over");
    place.clock.shift_micros(2 * HOUR_MICROS);
    assert_eq!(place.collect().await, 1);
    assert!(!place.has(b"unused").await && place.row(alice, b"unused").await.is_none());
    assert!(place.row(alice, b"shared").await.is_none() && place.has(b"shared").await);
    assert!(place.has(b"used").await && place.has(b"twice").await);

    // A record that changes lets go of its blobs, and the time of grace begins then.
    place.write_record(alice, "a/1", &[]).await;
    place.clock.shift_micros(23 * HOUR_MICROS);
    assert_eq!(place.collect().await, 0);
    place.clock.shift_micros(2 * HOUR_MICROS);
    assert_eq!(place.collect().await, 1);
    assert!(!place.has(b"used").await);
    assert!(place.has(b"twice").await && !place.row(alice, b"twice").await.unwrap().temporary);
}

/// A repo is laid down beside the one that it is to replace. Blobs that only the new one refers to must not be collected before it
/// has its place, and not stay for ever when it never gets there.
#[tokio::test]
async fn what_a_repo_refers_to_that_is_being_imported_is_not_collected() {
    let place = Place::new();
    let alice = place.account("alice").await;
    place.upload(alice, b"wanted").await.unwrap();
    let lay_down = move |tx: &mut BatchTx<'_>| {
        let number = unused_repo::draw_for(tx, alice)?;
        for content in [b"wanted".as_slice(), b"to come"] {
            blob::refer_ahead(tx, alice, number, "a/1", &Cid::raw(content), common::Tid::from_u64(1 << 20).unwrap())?;
        }
        Ok::<_, RegisterError>(number)
    };
    let number = place.db.write(lay_down).await.unwrap();
    place.upload(alice, b"to come").await.unwrap();
    place.clock.shift_micros(25 * HOUR_MICROS);
    assert_eq!(place.collect().await, 0);
    assert!(place.has(b"wanted").await && !place.row(alice, b"to come").await.unwrap().temporary);
    // The import comes to nothing: the time of grace begins.
    let sweep = move |tx: &mut BatchTx<'_>| Ok::<_, RegisterError>(unused_repo::sweep(tx, number, || true)?);
    assert!(place.db.write(sweep).await.unwrap().done);
    assert_eq!(place.collect().await, 0);
    place.clock.shift_micros(25 * HOUR_MICROS);
    assert_eq!(place.collect().await, 2);
}

/// Should a number ever be on the list of those to be swept and be that of an account, the account is right.
#[tokio::test]
async fn what_an_account_has_is_not_swept() {
    let place = Place::new();
    let alice = place.account("alice").await;
    place.upload(alice, b"used").await.unwrap();
    place.write_record(alice, "a/1", &[b"used"]).await;
    let sweep = move |tx: &mut BatchTx<'_>| {
        let number = repo::number(tx, alice)?.unwrap();
        unused_repo::insert(tx, number, alice)?;
        assert!(unused_repo::sweep(tx, number, || true)?.done);
        assert_eq!(unused_repo::list(tx)?, []);
        Ok::<_, RegisterError>(blob::references_of(tx, number, "a/1")?)
    };
    assert_eq!(place.db.write(sweep).await.unwrap(), [Cid::raw(b"used")]);
}

#[tokio::test]
async fn a_deleted_account_keeps_no_blobs() {
    let place = Place::new();
    let (alice, bob) = (place.account("alice").await, place.account("bob").await);
    for (account, content) in [(alice, b"own".as_slice()), (alice, b"shared"), (bob, b"shared")] {
        place.upload(account, content).await.unwrap();
        place.write_record(account, "a/1", &[content]).await;
    }
    let delete = move |tx: &mut BatchTx<'_>| {
        let number = repo::number(tx, alice)?.unwrap();
        account::delete(tx, alice)?;
        unused_repo::insert(tx, number, alice)?;
        // Slices of one step, until nothing is left.
        while !unused_repo::sweep(tx, number, || false)?.done {}
        while deletion::give_blobs_up(tx, alice, 1)? > 0 {}
        Ok::<_, RegisterError>(())
    };
    place.db.write(delete).await.unwrap();
    assert_eq!(place.collect().await, 1);
    assert!(!place.has(b"own").await && place.has(b"shared").await);
}

/// Several servers lost blobs to a collector that trusted one walk of one database. Here bytes without a row are kept for a
/// day, then lie in the trash for a week.
#[tokio::test]
async fn bytes_without_a_row_go_to_the_trash_first() {
    let place = Place::new();
    drop(place.put(b"orphan").await);
    fs::write(place.dir.path().join("blobs/00/README"), b"not ours").unwrap();
    assert_eq!(place.collect().await, 0);
    place.clock.shift_micros(25 * HOUR_MICROS);
    assert_eq!(place.collect().await, 1);
    assert_eq!((place.has(b"orphan").await, place.files_in("trash")), (false, 1));
    assert_eq!((place.collect().await, place.files_in("trash")), (0, 1));
    place.clock.shift_micros(8 * 24 * HOUR_MICROS);
    place.collect().await;
    assert_eq!((place.files_in("trash"), place.files_in("00")), (0, 1));
}

#[tokio::test]
async fn bytes_of_an_upload_without_its_row_yet_are_not_removed() {
    let place = Place::new();
    let alice = place.account("alice").await;
    let stored = place.put(b"new").await;
    let cid = stored.cid;
    let unreferenced = || async { Ok::<_, BlobError>(false) };
    assert!(!place.blobs.remove_unless(&cid, unreferenced()).await.unwrap());
    register(&place.db, alice, stored, "text/plain").await.unwrap();
    // Now it is the row that keeps them, which the collector asks for.
    assert!(place.has(b"new").await);
    assert!(place.blobs.remove_unless(&cid, unreferenced()).await.unwrap());
    assert!(!place.has(b"new").await);
}

#[tokio::test]
async fn an_upload_during_a_removal_puts_its_bytes_in_place_afterwards() {
    let place = Place::new();
    let cid = place.put(b"again").await.cid;
    let (removed, upload) = tokio::join!(
        place.blobs.remove_unless(&cid, async {
            // Time for the upload to come as far as it can.
            while place.files_in("tmp") == 0 {
                tokio::task::yield_now().await;
            }
            Ok::<_, BlobError>(false)
        }),
        place.put(b"again"),
    );
    assert!(removed.unwrap());
    assert_eq!(upload.cid, cid);
    assert!(place.has(b"again").await);
}

/// The collector and uploads of one content, against each other; afterwards a row without bytes would be a lost blob.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn collecting_and_uploading_at_once_loses_nothing() {
    let place = Arc::new(Place::new());
    let alice = place.account("alice").await;
    // A collector from the future, to whom all that is temporary is overdue.
    let later = Arc::new(SystemClock::default());
    later.shift_micros(30 * HOUR_MICROS);
    assert!(later.millis() > place.clock.millis());
    let (mut kept, mut collected) = (0, 0);
    for _ in 0..60 {
        let uploads = (0..2).map(|_| {
            let place = Arc::clone(&place);
            tokio::spawn(async move { place.upload(alice, b"contested").await.map(drop).unwrap() })
        });
        let uploads: Vec<_> = uploads.collect();
        let collector = tokio::spawn({
            let (place, later) = (Arc::clone(&place), Arc::clone(&later));
            async move { collect(&place.db, &place.blobs, &*later, &CancellationToken::new()).await.unwrap() }
        });
        for upload in uploads {
            upload.await.unwrap();
        }
        collector.await.unwrap();
        if place.row(alice, b"contested").await.is_some() {
            kept += 1;
            assert!(place.has(b"contested").await, "a row without bytes");
        } else {
            collected += 1;
        }
    }
    println!("kept {kept} times, collected {collected} times");
}

/// Around the size of a part as well, of which a large blob has several.
#[tokio::test]
async fn a_store_gives_back_what_was_uploaded_whole_and_in_parts() {
    let s3 = store::S3::start().await;
    let place = Place::in_store(&s3);
    for len in [0, 1, 600_000, 8 << 20, (8 << 20) + 1, 20_000_000] {
        let content: Vec<u8> = (0..len).map(|at| (at % 251) as u8).collect();
        let mut upload = place.blobs.begin(1 << 30, None).unwrap();
        for some in content.chunks(700_000) {
            upload.write(some).await.unwrap();
        }
        let stored = upload.finish().await.unwrap();
        assert_eq!((stored.cid, stored.size), (Cid::raw(&content), len as u64));
        assert_eq!(place.files_in("tmp"), 0, "nothing stays here");
        let whole = place.blobs.read(&stored.cid, len as u64, 0..len as u64).await.unwrap();
        assert!(bytes_of(whole).await == content, "{len}");
        if len > 10 {
            let part = place.blobs.read(&stored.cid, len as u64, 5..len as u64 - 3).await.unwrap();
            assert!(bytes_of(part).await == content[5..len - 3], "a part of {len}");
        }
        let other_size = place.blobs.read(&stored.cid, len as u64 + 1, 0..len as u64 + 1).await;
        assert!(matches!(other_size, Err(BlobError::Missing(_))), "a blob of another size is not whole");
    }
    let unknown = place.blobs.read(&Cid::raw(b"never"), 5, 0..5).await;
    assert!(matches!(unknown, Err(BlobError::Missing(_))));
}

/// A store takes money for being looked at, so each part of it has its turn once a day.
#[tokio::test]
async fn bytes_without_a_row_go_to_the_trash_of_the_store_first() {
    let s3 = store::S3::start().await;
    let place = Place::in_store(&s3);
    drop(place.put(b"orphan").await);
    let alice = place.account("alice").await;
    place.upload(alice, b"kept").await.unwrap();
    place.write_record(alice, "a.b.c/key", &[b"kept"]).await;
    let a_day = async || {
        let mut collected = 0;
        for _ in 0..24 {
            collected += place.collect().await;
            place.clock.shift_micros(HOUR_MICROS);
        }
        collected
    };
    assert_eq!(a_day().await, 0);
    assert_eq!(a_day().await, 1);
    let trash = s3.folder().join("blobs/trash");
    assert_eq!((place.has(b"orphan").await, place.has(b"kept").await), (false, true));
    assert_eq!(fs::read_dir(&trash).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_file()).count(), 1);
    place.clock.shift_micros(8 * 24 * HOUR_MICROS);
    place.collect().await;
    assert_eq!(fs::read_dir(&trash).map_or(0, Iterator::count), 0);
}

#[tokio::test]
async fn a_temporary_blob_is_removed_from_the_store() {
    let s3 = store::S3::start().await;
    let place = Place::in_store(&s3);
    let alice = place.account("alice").await;
    place.upload(alice, b"temporary").await.unwrap();
    assert_eq!(place.collect().await, 0);
    place.clock.shift_micros(25 * HOUR_MICROS);
    assert_eq!(place.collect().await, 1);
    assert!(!place.has(b"temporary").await);
}

#[tokio::test]
async fn a_store_out_of_reach_is_no_missing_blob() {
    let mut s3 = store::S3::start().await;
    let place = Place::in_store(&s3);
    let cid = place.put(b"there").await.cid;
    s3.suspend().await;
    assert!(matches!(place.blobs.read(&cid, 5, 0..5).await, Err(BlobError::Store { .. })));
    let mut upload = place.blobs.begin(100, None).unwrap();
    upload.write(b"new").await.unwrap();
    assert!(matches!(upload.finish().await, Err(BlobError::Store { .. })));
    s3.resume().await;
    assert_eq!(bytes_of(place.blobs.read(&cid, 5, 0..5).await.unwrap()).await, b"there");
}

/// What was a file before there was a store, or comes from a backup, is read all the while; a damaged file stays where it is.
#[tokio::test]
async fn files_are_moved_to_the_store() {
    let s3 = store::S3::start().await;
    let mut place = Place::new();
    let (large, cid) = (vec![7; 9_000_000], Cid::raw(&vec![7; 9_000_000]));
    let mut upload = place.blobs.begin(1 << 30, None).unwrap();
    upload.write(&large).await.unwrap();
    upload.finish().await.unwrap();
    let damaged = place.put(b"damaged").await.cid;
    fs::write(path_in(&place.dir.path().join("blobs"), &damaged), b"another").unwrap();

    let client = ObjectStoreClient::new(&[]).unwrap();
    place.blobs = BlobStore::open_bucket(place.dir.path().join("blobs"), &settings(&s3), client).unwrap();
    let read = async || bytes_of(place.blobs.read(&cid, 9_000_000, 1..4).await.unwrap()).await;
    assert_eq!(read().await, [7, 7, 7]);
    let stop = CancellationToken::new();
    assert_eq!(place.blobs.move_in(&stop).await.unwrap(), 1);
    assert!(!path_in(&place.dir.path().join("blobs"), &cid).exists());
    assert!(path_in(&place.dir.path().join("blobs"), &damaged).exists());
    assert_eq!(read().await, [7, 7, 7]);
    assert_eq!(place.blobs.move_in(&stop).await.unwrap(), 0);
}
