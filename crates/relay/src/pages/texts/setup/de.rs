//! German.

use super::SetupTexts;

pub(crate) const TEXTS: SetupTexts = SetupTexts {
    brand: "Server einrichten",
    steps: "Schritte",
    step_names: ["Name", "DNS", "Ports", "HTTPS", "E-Mail", "Du", "Sicherung", "Fertig"],
    done_mark: "erledigt",
    continue_: "Weiter",
    change: "Ändern",
    copy: "Kopieren",
    copied: "Kopiert",
    working: "Einen Moment …",
    failed: "Das hat nicht geklappt. Es wurde nichts geändert.",

    begin_title: "Richte deinen Server ein",
    begin_text: "In wenigen Minuten dient dieser Rechner deinem Konto im AT-Protocol-Netz: deine Beiträge, dein Name, deine \
                 Schlüssel. Jeder Schritt wird gespeichert; du kannst jederzeit aufhören und später weitermachen.",
    begin_submit: "Los geht’s",
    begin_folder: |folder| format!("Alles kommt in den Ordner {folder}."),

    refused_title: "Diese Seite braucht ihren Link",
    no_link: "Nur wer den Server gestartet hat, darf ihn einrichten. Öffne den Link, den er ausgegeben hat.",
    wrong_link: "Das ist nicht der Link, den der Server ausgegeben hat. Kopiere die ganze Zeile.",
    expired_link: "Dieser Link ist älter als eine halbe Stunde und gilt nicht mehr.",
    used_link: "Dieser Link wurde schon benutzt, in einem anderen Browser oder Fenster. Mach dort weiter.",
    too_many: "Es wurden zu viele falsche Links probiert; jetzt gilt keiner mehr.",
    new_link: "Für einen neuen Link drücke im Terminal die Eingabetaste oder starte das Programm neu. Deine Antworten bleiben.",

    name_title: "Wie heißt dein Server?",
    name_lead: "Ein Server hat einen eigenen Namen unter einer Domain, die dir gehört. Handles enden damit, wie in \
                @alice.pds.example.com.",
    name_label: "Hostname",
    name_hint: "Zum Beispiel pds.example.com. Eine Domain verkauft dir jeder Registrar.",
    name_wrong: "Das ist kein Hostname. Schreibe ihn wie pds.example.com.",
    name_not_public: "Diesen Namen kann sonst niemand nachschlagen. Er muss unter einer Domain liegen, die dir gehört.",
    try_title: "Nur mal ansehen?",
    try_text: "Probiere es erst auf diesem Rechner: ein ganzes kleines Netz mit zwei Konten, das sonst niemand sieht.",
    try_submit: "Hier ausprobieren",
    trial_title: "Dein kleines Netz startet",
    trial_text: "Es läuft, solange das Programm läuft. Melde dich als alice.test mit dem Passwort alice-password an. \
                 Strg-C im Terminal beendet es. Starte das Programm neu, um hier weiterzumachen oder einen Server für die Welt \
                 einzurichten.",
    trial_open: "Öffnen",
    trial_wait: "Es startet …",
    trial_silent: "Es antwortet noch nicht. Im Terminal, wo du das Programm gestartet hast, steht warum.",
    trial_passkey: "Passkeys gehören zum Namen eines Servers. Einer von hier gilt nur für diesen Versuch; dein eigener Server \
                    bekommt seinen am Ende der Einrichtung, sobald er HTTPS hat.",

    dns_title: "Trage diese Zeilen bei deinem DNS-Anbieter ein",
    dns_lead: "Sie führen den Namen deines Servers, und die Namen aller Konten darauf, zu diesem Rechner.",
    dns_name: "Name",
    dns_kind: "Typ",
    dns_value: "Wert",
    dns_your_address: "die öffentliche Adresse deines Netzes",
    dns_host: "Der Server",
    dns_handles: "Seine Konten",
    dns_right: |found| format!("Richtig: {found}"),
    dns_missing: "Noch nicht da",
    dns_spreading: "Eingetragen. Die Welt erfährt es in Minuten, manchmal erst nach einer Stunde.",
    dns_private: |found| format!("Gefunden: {found}. Das erreicht nur dein eigenes Netz; trage die öffentliche Adresse ein."),
    dns_elsewhere: |found, expected| {
        format!("Gefunden: {found}, erwartet: {expected}. Das stimmt nur, wenn dort ein Proxy steht.")
    },
    dns_unknown: |reason| format!("Konnte nicht nachgeschlagen werden: {reason}"),
    dns_asked: |servers| format!("Gefragt: {servers}. Diese Seite sieht alle paar Sekunden nach."),
    dns_again: "Noch einmal nachsehen",
    dns_anyway: "Trotzdem weiter",

    reach_title: "Erreicht die Welt diesen Rechner?",
    reach_lead: "Browser und andere Server kommen über die Ports 443 und 80.",
    port_free: |port| format!("Port {port} ist frei."),
    port_taken: |port, by| format!("Port {port} hat {by}. Beende das Programm, oder lass es Anfragen als Proxy weiterreichen."),
    port_refused: |port, reason| {
        format!(
            "Port {port} bekommt dieser Benutzer nicht ({reason}). Starte die Einrichtung als root, oder stelle einen Proxy davor."
        )
    },
    another_program: "ein anderes Programm",
    public_address: |address| {
        format!("Dieser Rechner hat die öffentliche Adresse {address}. Hat sein Anbieter eine Firewall, öffne dort die Ports.")
    },
    behind_router: |address| {
        format!(
            "Dieser Rechner ist hinter einem Router, als {address}. Der Router muss die Ports 443 und 80 an ihn weiterreichen."
        )
    },
    carrier_grade: |address| {
        format!(
            "Dein Anbieter teilt eine Adresse unter vielen Kunden ({address} liegt in seinem Netz); so kann niemand diesen Rechner \
             erreichen. Bitte um eine öffentliche IPv4-Adresse oder um IPv6, oder nimm einen kleinen gemieteten Server."
        )
    },
    offline: "Dieser Rechner hat keine Verbindung zum Netz. Prüfe Kabel oder WLAN.",
    speaker: "Wer spricht HTTPS?",
    speaker_server: "Dieser Server",
    speaker_server_hint: "Er holt und erneuert seine Zertifikate selbst. Für die meisten richtig.",
    speaker_proxy: "Ein Proxy davor",
    speaker_proxy_hint: "Etwa Caddy, nginx oder Traefik, der schon läuft.",
    proxy_example: "Was in den Proxy gehört, hier Caddy",
    open_ports: "Der Router soll die Ports öffnen",
    open_ports_hint: "Bittet ihn per UPnP, NAT-PMP oder PCP darum und hält sie offen, solange der Server läuft.",

    https_title: "Hole das Zertifikat",
    https_lead: "Daran erkennen Apps deinen Server. Erst wird mit Zertifikaten geprobt, die nicht zählen; ein Fehler kostet also \
                 nichts.",
    https_terms: "Damit stimmst du den Bedingungen von Let’s Encrypt zu, von wo sie kommen.",
    https_submit: "Zertifikat holen",
    https_failed: "Es gibt noch kein Zertifikat.",

    mail_title: "E-Mail, wenn du magst",
    mail_lead: "Mit einem Mailserver bekommt einen Code, wer sein Passwort vergisst. Es geht auch ohne: dann zeigt das Programm die \
                Codes.",
    mail_host: "Mailserver",
    mail_port: "Port",
    mail_port_hint: "465 oder 587; was dein Mailanbieter sagt.",
    mail_user: "Benutzer",
    mail_password: "Passwort",
    mail_from: "Absender",
    mail_to: "Eine Probemail senden an",
    mail_to_hint: "Behalten wird es nur, wenn die Mail hinausging.",
    mail_submit: "Senden und weiter",
    mail_skip: "Ohne E-Mail weiter",
    mail_failed: "Die Mail konnte nicht gesendet werden.",

    account_title: "Dein Konto",
    account_lead: "Das erste auf deinem Server.",
    account_submit: "Konto anlegen",
    account_email_hint: "Für Codes, wenn du dein Passwort vergisst.",
    account_later: "Später",
    account_later_hint: "`relay account create` legt eines an, und `relay account move-in` holt eines hierher.",
    account_failed: "Das Konto konnte nicht angelegt werden.",

    key_title: "Bewahre deinen Wiederherstellungsschlüssel auf",
    key_lead: "Er steht über deinem Server: Mit ihm kannst du dein Konto anderswohin mitnehmen, auch wenn dieser Rechner verloren \
               oder nicht mehr deiner ist. Er wird nur jetzt gezeigt. Lege ihn in einen Passwortspeicher oder schreibe ihn auf.",
    key_saved: "Ich habe ihn aufbewahrt",

    backup_title: "Sicherung",
    backup_lead: "Jede Nacht wird alles kopiert, verschlüsselt, und zur Probe wiederhergestellt. Änderungen folgen in Sekunden.",
    backup_folder: "Ordner",
    backup_folder_hint: "Auf einer anderen Platte als die Daten, etwa einer USB-Platte oder einem Netzlaufwerk.",
    backup_key: "Der Schlüssel der Sicherung",
    backup_key_hint: "Bewahre ihn getrennt von diesem Rechner auf: ohne ihn ist die Sicherung wertlos.",
    backup_saved: "Ich habe den Schlüssel aufbewahrt",
    backup_submit: "Sicherung einschalten",
    backup_skip: "Ohne Sicherung weiter",
    backup_failed: "Dorthin kann nicht gesichert werden.",

    finish_title: "Fast geschafft",
    finish_lead: "Ein letzter Blick auf alles, worauf dein Server steht.",
    finish_look: "Jetzt nachsehen",
    finish_looking: "Sehe nach …",
    finish_well: "Alles ist gut.",
    finish_service: "Den Server mit dem Rechner starten",
    finish_service_hint: "Richtet ihn als Dienst des Systems ein.",
    finish_submit: "Fertigstellen",

    live_title: "Du bist im Netz",
    live_as: |handle| format!("Du bist @{handle}."),
    live_open: "Dein Konto öffnen",
    live_app: |host| format!("Melde dich in einer App mit deinem Handle an. Fragt sie nach dem Anbieter, schreibe {host}."),
    live_passkey: "Ein Passkey statt des Passworts",
    live_passkey_what: "Du meldest dich mit Finger, Gesicht oder der Sperre deines Geräts an. Ein Passkey gehört zum Namen des \
                        Servers und entsteht darum dort: Der Link führt dich hin, schon angemeldet.",
    live_passkey_wait: |url| format!("Warte, bis {url} diesem Browser antwortet …"),
    live_passkey_silent: |url| {
        format!(
            "{url} antwortet diesem Browser noch nicht. Manche Router führen nicht zu einem Server hinter ihnen zurück: Öffne den \
             Link dann auf einem Telefon ohne WLAN."
        )
    },
    live_passkey_add: "Passkey hinzufügen",
    live_passkey_phone: "Auf deinem Telefon",
    live_passkey_qr: "QR-Code des Links",
    live_passkey_back: "Der Link gilt einmal, eine Viertelstunde lang. Dein Passwort bleibt der Weg zurück: Damit fügst du auch \
                        später einen Passkey hinzu, in deinem Konto unter „Anmeldung“.",
    live_service: "Der Server läuft als Dienst und startet mit dem Rechner. Das Programm im Terminal ist beendet.",
    live_here: "Der Server läuft in dem Programm, das du gestartet hast, und endet mit ihm.",
    live_service_failed: "Der Dienst konnte nicht eingerichtet werden; der Server läuft in dem Programm, das du gestartet hast.",
};
