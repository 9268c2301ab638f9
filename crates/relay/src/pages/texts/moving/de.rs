//! German.

use super::MovingTexts;

pub(crate) const TEXTS: MovingTexts = MovingTexts {
    title: "Hole dein Konto hierher",
    offer: "Ich habe schon ein Konto anderswo",
    offer_text: "Bei bsky.social oder auf einem anderen Server: Es kommt mit Beiträgen, Followern und Bildern hierher.",
    account: "Dein Handle dort",
    find: "Hierher holen",
    comes: "Beiträge, Likes, Follows, Bilder und Einstellungen kommen mit. Deine Follower bleiben dir.",
    messages: "Direktnachrichten ziehen nicht um: Bluesky behält sie und zeigt sie wie bisher.",
    handle_comes: "Dein Handle ist eine eigene Domain und kommt mit.",
    handle_stays: |what| format!("Dein Handle gehört {what}. Hier bekommst du ein anderes."),
    nothing_yet: |what| {
        format!("Nichts ändert sich, bevor du am Ende den Code aus einer Mail eingibst. Bei {what} wird nichts gelöscht.")
    },
    password: |what| format!("Passwort bei {what}"),
    password_hint: "Das Hauptpasswort, mit dem du dich selbst anmeldest, kein App-Passwort. Es wird nicht gespeichert.",
    handle: "Handle hier",
    new_password: "Passwort hier",
    new_password_hint: "Leer lassen, um dasselbe zu behalten.",
    email_hint: "Leer lassen, um dieselbe zu behalten.",
    begin: "Mein Konto kopieren",
    factor_lead: |what| format!("{what} hat dir einen Code zum Anmelden gemailt."),
    code: "Code aus der Mail",
    copying_repo: |what| format!("Beiträge werden kopiert: {what}"),
    copying_blobs: |first, second| format!("Bilder und Videos werden kopiert: {first} von {second}"),
    copying_hint: "Diese Seite sieht von selbst wieder nach. Du kannst sie schließen: Es geht weiter.",
    stopped: "Das Kopieren hielt an. Was hier ist, bleibt hier.",
    again: "Weiter",
    copied: |first, second| format!("Jetzt hier: {first} Einträge und {second} ihrer Bilder und Videos."),
    missing: |first, second| format!("{first} hat {second} Bilder oder Videos nicht mehr. Ihre Beiträge kommen ohne sie mit:"),
    last_step: |what| {
        format!(
            "Nun zieht das Konto selbst um: Seine Identität nennt dann deinen Server statt {what}. Von da an ist es hier, und zurück geht es nur durch einen weiteren Umzug."
        )
    },
    document: "Veröffentliche dies als DID-Dokument deiner Domain:",
    send_code: "Schick mir den Code",
    another_code: "Schick mir einen anderen Code",
    code_of: |what| format!("Code aus der Mail von {what}"),
    move_now: "Konto umziehen",
    end: "Dein Konto ist unterwegs; eines ist noch zu tun.",
    back: "Zurück",
    give_up: "Umzug aufgeben",
    give_up_hint: |what| format!("Was hierher kam, wird gelöscht. Bei {what} ist alles, wie es war."),
    unknown: "Dieses Konto gibt es nicht. Sieh nach, wie es in deiner App geschrieben steht.",
    already_here: "Dieses Konto ist schon hier.",
    unreachable: "Der alte Server antwortet nicht. Nichts ist verloren: Versuche es später wieder.",
    rate_limited: "Der alte Server will weniger Anfragen. Warte eine Weile und mach weiter.",
    wrong_password: "Der alte Server kennt dieses Passwort nicht.",
    app_password: "Das ist ein App-Passwort. Nötig ist das Hauptpasswort, mit dem du dich selbst anmeldest.",
    needs_factor: "Der alte Server hat dir einen Code zum Anmelden gemailt.",
    wrong_code: "Der alte Server nimmt diesen Code nicht. Sieh noch einmal nach oder lass dir einen anderen schicken.",
    session_over: "Der alte Server hat dich abgemeldet. Gib dein Passwort noch einmal ein.",
    document_wrong: "Das DID-Dokument führt noch nicht hierher.",
    failed: "Das ging nicht. Was vorher geschah, bleibt.",
};
