//! The example alerts: that Prometheus takes them, that each metric in them is there, and that they fire.

use std::collections::BTreeSet;
use std::process::Command;

use relay::config::{BackupKeySource, BackupPlace, BackupTo, Secret};

use crate::support::{ADMIN_PASSWORD, TestPds, is_there, on_path};

const RULES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/alerts.yml");

fn promtool(args: &[&str]) {
    let output = Command::new(on_path("promtool").unwrap()).args(args).output().unwrap();
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert!(output.status.success(), "{said}");
}

/// The metrics that expressions name: words that begin as ours do.
fn named(rules: &str) -> BTreeSet<String> {
    let words = rules.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("relay_") || word.starts_with("process_")).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_metric_of_the_alerts_is_exposed() {
    let place = tempfile::TempDir::new().unwrap();
    let to = BackupTo {
        place: BackupPlace::Folder(place.path().join("backups")),
        key: BackupKeySource::Passphrase(Secret::new("correct horse")),
    };
    let pds = TestPds::start_with(move |config| {
        config.backup.to = vec![to.clone()];
        // Something has to be not well.
        config.notices.disk_free_below_bytes = u64::MAX;
        config.notices.pace.look = std::time::Duration::from_millis(20);
    })
    .await;
    pds.create_account("alice").await.create_post("hello").await;
    let rules = std::fs::read_to_string(RULES).unwrap();
    let anyone = pds.anonymous();
    let wanted = named(&rules);
    assert!(wanted.len() > 15, "{wanted:?}");
    // Until the first backup was made, restored on trial, and its changes sent.
    let begun = std::time::Instant::now();
    loop {
        let reply = anyone.send(anyone.request("GET", "/metrics").basic_auth("admin", Some(ADMIN_PASSWORD))).await.good();
        let text = reply.text();
        let exposed: BTreeSet<String> = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| line.split(['{', ' ']).next().unwrap().to_owned())
            .collect();
        // A task that verifies has its turn ten minutes after the start.
        let missing: Vec<_> = wanted.difference(&exposed).collect();
        if missing.is_empty() {
            break;
        }
        assert!(begun.elapsed().as_secs() < 60, "{missing:?} are not in\n{text}");
    }
    pds.stop().await;
}

#[test]
fn the_alerts_are_taken_by_prometheus_and_fire() {
    if !is_there("promtool") {
        return;
    }
    promtool(&["check", "rules", "--lint=all", "--lint-fatal", RULES]);
    let dir = tempfile::TempDir::new().unwrap();
    let tests = dir.path().join("tests.yml");
    let text = format!(
        r#"
rule_files: ["{RULES}"]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - series: 'up{{job="relay", instance="pds"}}'
        values: "1x5 0x20"
      - series: 'relay_problem{{job="relay", instance="pds", topic="disk"}}'
        values: "1x30"
      - series: 'relay_clock_timestamp_seconds{{job="relay", instance="pds"}}'
        values: "1000000+60x30"
      - series: 'relay_backup_last_timestamp_seconds{{job="relay", instance="pds", place="/mnt/backup"}}'
        values: "800000x30"
      - series: 'relay_backup_last_timestamp_seconds{{job="relay", instance="pds", place="s3://b/p"}}'
        values: "999000x30"
      - series: 'relay_write_transaction_failures_total{{job="relay", instance="pds"}}'
        values: "0x10 0+1x20"
    alert_rule_test:
      - eval_time: 4m
        alertname: RelayDown
      - eval_time: 12m
        alertname: RelayDown
        exp_alerts:
          - exp_labels: {{ severity: critical, job: relay, instance: pds }}
            exp_annotations:
              summary: "pds does not answer"
              description: "Nobody can post or read. See `relay service status` and the log on that machine."
      - eval_time: 5m
        alertname: RelayWritesFail
    promql_expr_test:
      - expr: ALERTS{{alertname="RelayBackupOld", alertstate="firing"}}
        eval_time: 15m
        exp_samples:
          - labels: 'ALERTS{{alertname="RelayBackupOld", alertstate="firing", severity="critical", job="relay", instance="pds", place="/mnt/backup"}}'
            value: 1
      - expr: ALERTS{{alertname="RelayProblem", alertstate="firing"}}
        eval_time: 2m
        exp_samples:
          - labels: 'ALERTS{{alertname="RelayProblem", alertstate="firing", severity="critical", job="relay", instance="pds", topic="disk"}}'
            value: 1
      - expr: count(ALERTS{{alertname="RelayWritesFail", alertstate="firing"}})
        eval_time: 20m
        exp_samples:
          - labels: '{{}}'
            value: 1
"#
    );
    std::fs::write(&tests, text).unwrap();
    promtool(&["test", "rules", tests.to_str().unwrap()]);
}
