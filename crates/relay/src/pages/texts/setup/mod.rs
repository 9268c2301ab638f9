//! The words of the set-up.

mod de;
mod en;

pub(super) use de::TEXTS as GERMAN;
pub(super) use en::TEXTS as ENGLISH;

use super::With;

#[derive(Debug)]
pub(crate) struct SetupTexts {
    pub(crate) brand: &'static str,
    pub(crate) steps: &'static str,
    /// In the order of the steps; those of account and recovery key are one to the person.
    pub(crate) step_names: [&'static str; 8],
    pub(crate) done_mark: &'static str,
    pub(crate) continue_: &'static str,
    pub(crate) change: &'static str,
    pub(crate) copy: &'static str,
    pub(crate) copied: &'static str,
    pub(crate) working: &'static str,
    pub(crate) failed: &'static str,

    pub(crate) begin_title: &'static str,
    pub(crate) begin_text: &'static str,
    pub(crate) begin_submit: &'static str,
    /// With the folder of the data.
    pub(crate) begin_folder: With,

    pub(crate) refused_title: &'static str,
    pub(crate) no_link: &'static str,
    pub(crate) wrong_link: &'static str,
    pub(crate) expired_link: &'static str,
    pub(crate) used_link: &'static str,
    pub(crate) too_many: &'static str,
    pub(crate) new_link: &'static str,

    pub(crate) name_title: &'static str,
    pub(crate) name_lead: &'static str,
    pub(crate) name_label: &'static str,
    pub(crate) name_hint: &'static str,
    pub(crate) name_wrong: &'static str,
    pub(crate) name_not_public: &'static str,
    pub(crate) try_title: &'static str,
    pub(crate) try_text: &'static str,
    pub(crate) try_submit: &'static str,
    pub(crate) trial_title: &'static str,
    pub(crate) trial_text: &'static str,
    pub(crate) trial_open: &'static str,
    pub(crate) trial_wait: &'static str,
    pub(crate) trial_silent: &'static str,
    pub(crate) trial_passkey: &'static str,

    pub(crate) dns_title: &'static str,
    pub(crate) dns_lead: &'static str,
    pub(crate) dns_name: &'static str,
    pub(crate) dns_kind: &'static str,
    pub(crate) dns_value: &'static str,
    pub(crate) dns_your_address: &'static str,
    pub(crate) dns_host: &'static str,
    pub(crate) dns_handles: &'static str,
    /// With addresses.
    pub(crate) dns_right: With,
    pub(crate) dns_missing: &'static str,
    pub(crate) dns_spreading: &'static str,
    /// With an address.
    pub(crate) dns_private: With,
    /// With the addresses that were found, and those that were expected.
    pub(crate) dns_elsewhere: fn(&str, &str) -> String,
    /// With the reason.
    pub(crate) dns_unknown: With,
    /// With the servers' names.
    pub(crate) dns_asked: With,
    pub(crate) dns_again: &'static str,
    pub(crate) dns_anyway: &'static str,

    pub(crate) reach_title: &'static str,
    pub(crate) reach_lead: &'static str,
    /// With the number of a port.
    pub(crate) port_free: With,
    /// With the number and the program.
    pub(crate) port_taken: fn(&str, &str) -> String,
    /// With the number and the reason.
    pub(crate) port_refused: fn(&str, &str) -> String,
    pub(crate) another_program: &'static str,
    /// With the address.
    pub(crate) public_address: With,
    pub(crate) behind_router: With,
    pub(crate) carrier_grade: With,
    pub(crate) offline: &'static str,
    pub(crate) speaker: &'static str,
    pub(crate) speaker_server: &'static str,
    pub(crate) speaker_server_hint: &'static str,
    pub(crate) speaker_proxy: &'static str,
    pub(crate) speaker_proxy_hint: &'static str,
    pub(crate) proxy_example: &'static str,
    pub(crate) open_ports: &'static str,
    pub(crate) open_ports_hint: &'static str,

    pub(crate) https_title: &'static str,
    pub(crate) https_lead: &'static str,
    pub(crate) https_terms: &'static str,
    pub(crate) https_submit: &'static str,
    pub(crate) https_failed: &'static str,

    pub(crate) mail_title: &'static str,
    pub(crate) mail_lead: &'static str,
    pub(crate) mail_host: &'static str,
    pub(crate) mail_port: &'static str,
    pub(crate) mail_port_hint: &'static str,
    pub(crate) mail_user: &'static str,
    pub(crate) mail_password: &'static str,
    pub(crate) mail_from: &'static str,
    pub(crate) mail_to: &'static str,
    pub(crate) mail_to_hint: &'static str,
    pub(crate) mail_submit: &'static str,
    pub(crate) mail_skip: &'static str,
    pub(crate) mail_failed: &'static str,

    pub(crate) account_title: &'static str,
    pub(crate) account_lead: &'static str,
    pub(crate) account_submit: &'static str,
    pub(crate) account_email_hint: &'static str,
    pub(crate) account_later: &'static str,
    pub(crate) account_later_hint: &'static str,
    pub(crate) account_failed: &'static str,

    pub(crate) key_title: &'static str,
    pub(crate) key_lead: &'static str,
    pub(crate) key_saved: &'static str,

    pub(crate) backup_title: &'static str,
    pub(crate) backup_lead: &'static str,
    pub(crate) backup_folder: &'static str,
    pub(crate) backup_folder_hint: &'static str,
    pub(crate) backup_key: &'static str,
    pub(crate) backup_key_hint: &'static str,
    pub(crate) backup_saved: &'static str,
    pub(crate) backup_submit: &'static str,
    pub(crate) backup_skip: &'static str,
    pub(crate) backup_failed: &'static str,

    pub(crate) finish_title: &'static str,
    pub(crate) finish_lead: &'static str,
    pub(crate) finish_look: &'static str,
    pub(crate) finish_looking: &'static str,
    pub(crate) finish_well: &'static str,
    pub(crate) finish_service: &'static str,
    pub(crate) finish_service_hint: &'static str,
    pub(crate) finish_submit: &'static str,

    pub(crate) live_title: &'static str,
    /// With the handle.
    pub(crate) live_as: With,
    pub(crate) live_open: &'static str,
    /// With the host name.
    pub(crate) live_app: With,
    pub(crate) live_passkey: &'static str,
    pub(crate) live_passkey_what: &'static str,
    /// With the address of the server.
    pub(crate) live_passkey_wait: With,
    pub(crate) live_passkey_silent: With,
    pub(crate) live_passkey_add: &'static str,
    pub(crate) live_passkey_phone: &'static str,
    pub(crate) live_passkey_qr: &'static str,
    pub(crate) live_passkey_back: &'static str,
    pub(crate) live_service: &'static str,
    pub(crate) live_here: &'static str,
    pub(crate) live_service_failed: &'static str,
}
