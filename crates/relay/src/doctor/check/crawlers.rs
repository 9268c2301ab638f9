//! `crawler.told`, `crawler.reading`: whether crawlers know of this server, and how far they have read, by their own word.

use crate::doctor::facts::Facts;
use crate::doctor::failed;
use crate::doctor::finding::Finding;
use crate::doctor::said::{Said, said};
use crate::status::CrawlerStatus;

pub(in crate::doctor) fn evaluate(facts: &Facts, findings: &mut Vec<Finding>) {
    let Some(inside) = &facts.inside else { return };
    // Nobody answers there: that was said.
    let answers = !failed(findings, &["crawler"]);
    for crawler in &inside.crawlers {
        findings.extend(told(crawler).filter(|_| answers));
        findings.extend(reading(crawler));
    }
}

fn told(CrawlerStatus { host, error, .. }: &CrawlerStatus) -> Option<Finding> {
    let error = error.as_ref()?;
    Some(
        Finding::warning(
            "crawler.told",
            said!("crawler.untold", "{host} could not be told that there is something new here: {error}.", host, error),
            said!("crawler.untold.do", "It is tried again by itself, and at once by `relay doctor --fix`."),
        )
        .fixable(),
    )
}

fn reading(CrawlerStatus { reading, follows, telling_helps, .. }: &CrawlerStatus) -> Option<Finding> {
    const ID: &str = "crawler.reading";
    let reading = Said::as_told(reading.as_ref()?);
    Some(match follows {
        Some(false) if *telling_helps => {
            let remedy =
                said!("crawler.tell.do", "`relay doctor --fix` tells it at once that there is something to fetch here.");
            Finding::warning(ID, reading, remedy).fixable()
        }
        Some(false) => Finding::warning(ID, reading, Said::nothing()),
        Some(true) | None => Finding::good(ID, reading),
    })
}
