//! German.

use super::{Common, ErrorTexts, Home, SignIn, Texts};

pub(crate) const TEXTS: Texts = Texts {
    common: Common {
        skip_to_content: "Zum Inhalt springen",
        language: "Sprache",
        support: "Hilfe",
        privacy_policy: "Datenschutz",
        terms: "Nutzungsbedingungen",
        contact: "Kontakt",
        back: "Zurück",
        cancel: "Abbrechen",
        continue_: "Weiter",
        error_prefix: "Fehler: ",
        optional: "freiwillig",
    },
    error: ErrorTexts {
        stale_title: "Diese Seite ist veraltet",
        stale_text: "Es wurde nichts geändert. Gehen Sie zurück, laden Sie die Seite neu und wiederholen Sie den letzten \
                     Schritt. Wenn das immer wieder geschieht, prüfen Sie, ob Ihr Browser Cookies annimmt.",
        too_many_title: "Zu viele Versuche",
        too_many_text: "Zum Schutz der Konten ist die Zahl der Versuche begrenzt. \
                        Warten Sie ein paar Minuten und versuchen Sie es dann noch einmal.",
        busy_title: "Der Server ist ausgelastet",
        busy_text: "Es wurde nichts geändert. Warten Sie einen Moment und versuchen Sie es dann noch einmal.",
        invalid_title: "Das hat nicht geklappt",
        invalid_text: "Der Server hat diese Anfrage nicht verstanden. Gehen Sie zurück und versuchen Sie es noch einmal.",
        internal_title: "Etwas ist schiefgegangen",
        internal_text: "Das ist ein Fehler des Servers, nicht Ihrer. Versuchen Sie es in ein paar Minuten noch einmal. \
                        Wenn es dabei bleibt, sagen Sie dem Betreiber dieses Servers Bescheid.",
        detail: "Angaben für die Hilfe",
        to_account: "Zu Ihrem Konto",
    },
    sign_in: SignIn {
        title: "Anmelden",
        lead: |service| format!("mit Ihrem Konto bei {service}"),
        identifier: "Handle oder E-Mail-Adresse",
        identifier_hint: "Zum Beispiel alice.example.com",
        password: "Passwort",
        remember: "Angemeldet bleiben",
        remember_hint: "An einem Computer, den auch andere benutzen, besser nicht.",
        submit: "Anmelden",
        wrong: "Der Name oder das Passwort ist falsch. Prüfen Sie beides und versuchen Sie es noch einmal.",
        app_password: "Das sieht nach einem App-Passwort aus. Die sind für Apps; \
                       melden Sie sich hier mit dem Passwort Ihres Kontos an.",
        taken_down: "Dieses Konto wurde vom Betreiber dieses Servers gesperrt. Fragen Sie ihn, was Sie tun können.",
        busy: "Gerade melden sich zu viele Leute an. Warten Sie einen Moment und versuchen Sie es dann noch einmal.",
        too_many: "Zu viele Anmeldeversuche. Warten Sie ein paar Minuten und versuchen Sie es dann noch einmal.",
        too_many_accounts: "In diesem Browser sind zu viele Konten angemeldet. Melden Sie zuerst eines davon ab.",
        changed: "Ihr Konto oder sein Passwort wurde gerade geändert. Melden Sie sich noch einmal an.",
    },
    home: Home {
        title: "Ihr Konto",
        signed_in_as: "Angemeldet als",
        did: "Dauerhafte Kennung (DID)",
        sign_out: "Abmelden",
        other_accounts: "Andere Konten in diesem Browser",
        switch_to: |handle| format!("Zu {handle} wechseln"),
        add_account: "Mit einem anderen Konto anmelden",
        signed_out: "Sie sind abgemeldet.",
    },
};
