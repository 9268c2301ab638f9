//! `crawler.reading`: how far crawlers have read, by their own word.

use crate::doctor::facts::Facts;
use crate::doctor::finding::Finding;
use crate::doctor::said::Said;

pub(in crate::doctor) fn evaluate(facts: &Facts, findings: &mut Vec<Finding>) {
    const ID: &str = "crawler.reading";
    let Some(inside) = &facts.inside else { return };
    for crawler in &inside.crawlers {
        let Some(reading) = &crawler.reading else { continue };
        findings.push(match crawler.follows {
            Some(false) => Finding::warning(ID, Said::as_told(reading), Said::nothing()),
            Some(true) | None => Finding::good(ID, Said::as_told(reading)),
        });
    }
}
