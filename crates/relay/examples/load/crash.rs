//! Whether what was acknowledged is there after the process was killed in the middle of writes.

use std::path::Path;
use std::time::Duration;

use crate::firehose::{Depth, Reader};
use crate::servers::Pds;
use crate::user::{User, Written, check_export};
use crate::{Result, ensure};

const WRITERS: usize = 8;

/// Writes, kills, starts again; `kills` times on the same data. Then each acknowledged record must be in its repo, once in the
/// firehose, and every commit must invert.
pub(crate) async fn nothing_is_lost(program: &Path, data: &Path, kills: usize) -> Result<String> {
    let mut users: Vec<User> = Vec::new();
    let mut written: Vec<Vec<Written>> = vec![Vec::new(); WRITERS];
    for kill in 0..kills {
        let mut pds = Pds::relay(program, data).await?;
        if users.is_empty() {
            pds.prepare(WRITERS).await?;
            users.clone_from(&pds.users);
        }
        let writing = users.iter().zip(&mut written).map(|(user, written)| {
            let mut client = pds.client();
            async move {
                // Ends with the first answer that does not come.
                while let Ok(one) = user.create_post(&mut client).await {
                    written.push(one);
                }
            }
        });
        let writing = futures_util::future::join_all(writing);
        // Not at the same place each time.
        let moment = Duration::from_millis(400 + 137 * kill as u64);
        drop(tokio::time::timeout(moment, writing).await);
        // Requests are under way at this moment: the futures are gone, their answers were not read.
        pds.kill()?;
    }
    let pds = Pds::relay(program, data).await?;
    let mut client = pds.client();
    let mut reader = Reader::connect(&pds.base, Some(0), Depth::Whole).await?;
    let marks: Vec<Written> = futures_util::future::join_all(users.iter().map(|user| {
        let mut client = pds.client();
        async move { user.create_post(&mut client).await }
    }))
    .await
    .into_iter()
    .collect::<Result<_>>()?;
    let path = |user: &User, (rkey, _): &Written| format!("{}/{}/{rkey}", user.did, crate::user::POST);
    while !users.iter().zip(&marks).all(|(user, mark)| reader.seen.contains_key(&path(user, mark))) {
        tokio::time::timeout(Duration::from_secs(20), reader.next()).await??;
    }
    let mut count = 0;
    for (user, written) in users.iter().zip(&written) {
        for one in written {
            user.get_post(&mut client, one).await?;
            let seen = reader.seen.get(&path(user, one));
            ensure(seen.is_some_and(|(_, cid)| *cid == one.1), || format!("no event has {}", path(user, one)))?;
            count += 1;
        }
        // The repo as it is now: whole, whatever else was stored without being acknowledged.
        let all: Vec<Written> = reader
            .seen
            .iter()
            .filter_map(|(at, (_, cid))| {
                Some((at.strip_prefix(&format!("{}/{}/", user.did, crate::user::POST))?.to_owned(), cid.clone()))
            })
            .collect();
        check_export(&user.export(&mut client).await?, &user.did, &all)?;
    }
    pds.stop().await;
    Ok(format!("{count} acknowledged records, {kills} kills, none lost; repos and firehose agree"))
}
