//! What the doctor says, in German.

use super::DoctorTexts;

pub(crate) const TEXTS: DoctorTexts = DoctorTexts::of(&[
    // The data folder and its disk.
    ("folder.later_room", "Das wird geprüft, sobald Platz für eine Datei ist."),
    ("folder.full", "Die Platte unter {path} ist voll: Der Server nimmt nichts Neues an; gelesen werden kann weiterhin."),
    (
        "folder.full.do",
        "Schaffe Platz: Entferne, was nicht dem Server gehört, oder ziehe mit dem Datenordner auf eine größere Platte um. Der Server macht \
         dann von selbst weiter, ohne Neustart.",
    ),
    ("folder.absent", "Den Datenordner {path} gibt es noch nicht."),
    ("folder.absent.do", "Der Server legt ihn an, wenn er zum ersten Mal startet."),
    ("folder.later", "Die Platte wird angesehen, sobald es den Datenordner gibt."),
    ("folder.unwritable", "In den Datenordner {path} lässt sich nichts schreiben: {reason}."),
    (
        "folder.unwritable.do",
        "Starte das als der Benutzer des Servers. Ist es der schon, gib ihm den Ordner: `chown -R USER FOLDER`.",
    ),
    ("folder.later_writable", "Die Platte wird angesehen, sobald sich in den Datenordner schreiben lässt."),
    ("folder.good", "In den Datenordner {path} lässt sich schreiben, und nur der Server kommt heran."),
    ("folder.open", "Andere Benutzer dieses Rechners kommen an {first} heran (Modus {mode})."),
    (
        "folder.open_more",
        "Andere Benutzer dieses Rechners kommen an {first} heran (Modus {mode}) und an {more} weitere Dateien des Datenordners.",
    ),
    ("folder.open.do", "Starte `relay doctor --fix` oder `chmod -R go= {path}`."),
    (
        "folder.foreign",
        "{count} Dateien des Datenordners gehören einem anderen Benutzer als der Ordner, darunter {first}; der Server kommt vielleicht \
         nicht an sie heran.",
    ),
    ("folder.foreign.do", "Starte `sudo relay doctor --fix` oder `sudo chown -R {uid}:{gid} {path}`."),
    ("folder.foreign_root.do", "Gib alles dem Benutzer des Servers: `sudo chown -R USER {path}`."),
    ("secrets.open", "Jeder Benutzer dieses Rechners kann {file} lesen (Modus {mode}); darin steht ein Geheimnis."),
    ("secrets.open.do", "Starte `relay doctor --fix` oder `chmod o= {file}`."),
    (
        "secrets.foreign.do",
        "Lass nur den Benutzer des Servers sie lesen: `sudo chown USER {file}`, dann `sudo chmod 600 {file}`.",
    ),
    ("disk.unknown", "Das System sagt nicht, wie viel Platz noch ist."),
    ("disk.free", "Auf der Platte sind {free} von {total} frei."),
    (
        "disk.free.do",
        "Schaffe Platz, oder ziehe mit dem Datenordner auf eine größere Platte um: Ist sie voll, kann niemand mehr schreiben.",
    ),
    ("disk.fills", "Füllt sie sich wie in den letzten {seen} Tagen, ist sie in {left} Tagen voll."),
    ("disk.by_database", "Die Datenbank nimmt {size} ein."),
    ("disk.by_blobs", "Blobs nehmen {size} ein."),
    ("disk.by_backups", "Sicherungen auf derselben Platte nehmen {size} ein."),
    ("disk.by_spool", "Was auf einen Ort für Sicherungen wartet, nimmt {size} ein."),
    ("disk.by_evidence", "Was bei Reparaturen ersetzt wurde, nimmt {size} ein."),
    ("disk.by_logs", "Logs des Systems nehmen {size} ein."),
    ("disk.by_blobs.do", "Blobs können statt auf dieser Platte in einem Bucket liegen: Setze blobs.store."),
    (
        "disk.by_backups.do",
        "Nenne in backup.to einen Ort auf einem anderen Rechner: Was auf dieser Platte liegt, geht ohnehin mit ihr verloren.",
    ),
    ("disk.by_spool.do", "Es geht weg, sobald eine Sicherung gelingt; backup.age sagt, woran es liegt."),
    ("disk.by_evidence.do", "Ist alles, wie es sein soll, kann der Ordner evidence im Datenordner weg."),
    ("disk.by_logs.do", "`sudo journalctl --vacuum-size=500M` entfernt alte; `SystemMaxUse=` in journald.conf hält sie klein."),
    ("disk.sync", "Die Platte braucht {millis} ms, um etwas dauerhaft zu schreiben."),
    ("disk.sync.do", "Jeder Beitrag wartet darauf. Nimm eine Platte in diesem Rechner, keine im Netz und keine Speicherkarte."),
    (
        "disk.network",
        "Der Datenordner liegt auf einer Platte im Netz ({kind}); dort geht eine Datenbank früher oder später kaputt.",
    ),
    (
        "disk.network.do",
        "Ziehe mit data.dir auf eine Platte dieses Rechners um; Blobs und Sicherungen dürfen auf der anderen bleiben.",
    ),
    ("disk.memory", "Der Datenordner liegt im Arbeitsspeicher ({kind}): Ist der Rechner aus, ist alles weg."),
    ("disk.memory.do", "Setze data.dir auf einen Ordner auf einer Platte."),
    ("disk.container", "Der Datenordner liegt im Container selbst ({kind}) und verschwindet mit ihm."),
    ("disk.container.do", "Gib dem Container ein Volume dafür: `--volume relay-data:/data`."),
    ("disk.local", "Der Datenordner liegt auf einer Platte dieses Rechners ({kind})."),
    // The machine.
    ("files.enough", "Der Server darf {limit} Dateien und Verbindungen offen haben."),
    ("files.few", "Der Server darf nur {limit} Dateien und Verbindungen zugleich offen haben; viele Leser brauchen das auf."),
    (
        "files.few.do",
        "`relay service install` setzt eine höhere Grenze. Sonst: `LimitNOFILE=65536` in der Unit, oder `ulimit -n 65536` vor dem \
         Start.",
    ),
    ("memory", "Der Server kann {mib} MiB Arbeitsspeicher haben."),
    ("memory.do", "Hebe die Grenze des Containers oder der Unit an (`MemoryMax=`), oder lege Swap an."),
    ("sleep.never", "Dieser Rechner schläft nicht von selbst ein."),
    ("sleep.laptop", "Das ist ein Laptop, der einschlafen kann, etwa bei geschlossenem Deckel; der Server schläft dann mit."),
    (
        "sleep.laptop.do",
        "`sudo systemctl mask sleep.target suspend.target hibernate.target hybrid-sleep.target` hält ihn wach.",
    ),
    ("sleep.mac", "Dieser Mac schläft nach {minutes} Minuten ein, und der Server mit ihm."),
    ("sleep.mac.do", "`sudo relay service install --keep-awake`, oder `sudo pmset -c sleep 0`."),
    ("clock.synced", "Das System stellt seine Uhr nach dem Netz."),
    ("clock.drifts", "Das System stellt seine Uhr nicht nach dem Netz; mit der Zeit wird sie falsch gehen."),
    (
        "clock.drifts.do",
        "`sudo timedatectl set-ntp true`. In einer virtuellen Maschine oder einem Container macht es vielleicht der Rechner darunter.",
    ),
    ("clock.unknown", "Kein anderer Rechner hat die Zeit gesagt."),
    ("clock.right", "Die Uhr stimmt mit der von {hosts} überein."),
    ("clock.fast", "Die Uhr dieses Rechners geht {seconds} s vor, verglichen mit {hosts}."),
    ("clock.slow", "Die Uhr dieses Rechners geht {seconds} s nach, verglichen mit {hosts}."),
    (
        "clock.set",
        "Stelle sie nach dem Netz: `sudo timedatectl set-ntp true` unter Linux, Einstellungen > Allgemein > Datum & Uhrzeit unter \
         macOS.",
    ),
    // The server.
    ("server.runs", "Der Server läuft."),
    ("server.stopped", "Der Server läuft nicht: Unter {address} antwortet nichts."),
    (
        "server.stopped.do",
        "Starte ihn: `relay serve`, oder `systemctl start relay`, wo er ein Dienst ist. Sein Log sagt, warum er zu Ende ging.",
    ),
    ("server.taken_by", "{address} hat {by}."),
    ("server.taken", "{address} hat ein anderes Programm."),
    ("server.taken.do", "Beende das Programm, oder wähle eine andere Adresse in server.bind."),
    (
        "server.taken_web.do",
        "Beende das Programm, oder lass es Anfragen weiterreichen: Setze tls.mode auf proxy; was dort zu schreiben ist, steht in \
         docs/PROXIES.md.",
    ),
    ("server.service_stopped", "Der Server läuft nicht: Sein Dienst ist angehalten."),
    ("server.service_stopped.do", "`relay doctor --fix` startet ihn. `relay service logs` sagt, warum er geendet hat."),
    ("service.enabled", "Der Server ist ein Dienst, der mit dem Rechner startet."),
    ("service.disabled", "Der Dienst startet nicht mit dem Rechner: Nach dem nächsten Neustart kommt niemand mehr zum Server."),
    ("service.disabled.do", "Starte `relay doctor --fix` oder `systemctl enable relay`."),
    ("server.refused", "Der Server bekommt {address} nicht: {reason}."),
    (
        "server.refused.do",
        "Ports unter 1024 brauchen ein Recht: `sudo setcap cap_net_bind_service=+ep $(command -v relay)`. Und die Adresse muss eine \
         dieses Rechners sein.",
    ),
    // How it is reached.
    ("address.offline", "Dieser Rechner hat keine Verbindung zum Netz."),
    ("address.offline.do", "Prüfe Kabel oder WLAN, und ob er eine Adresse bekommt."),
    (
        "address.shared",
        "Die Adresse {v4} teilen sich viele Kunden des Anbieters; darüber kann niemand diesen Rechner erreichen.",
    ),
    (
        "address.shared.do",
        "Bitte den Anbieter um eine öffentliche IPv4-Adresse oder um IPv6, oder stelle einen kleinen gemieteten Server oder einen \
         Tunnel davor.",
    ),
    ("address.public", "Dieser Rechner hat eine öffentliche Adresse ({addresses})."),
    ("address.router", "Dieser Rechner ist hinter einem Router; seine eigene Adresse ist {address}."),
    ("address.router.do", "Der Router muss die Ports 443 und 80 an ihn weiterreichen („Portfreigabe“)."),
    ("router.asked", "Der Router wird gerade gebeten, seine Ports zu öffnen."),
    ("router.passes", "Der Router {address} reicht die Ports {ports} an diesen Rechner weiter (per {by})."),
    (
        "router.do",
        "Erlaube diesem Rechner in den Einstellungen des Routers UPnP, NAT-PMP oder PCP, oder lass ihn dort von Hand die Ports \
         {ports} an {own} weiterreichen und setze network.open_ports auf false.",
    ),
    (
        "router.passed",
        "Der Router reichte die Ports {ports} vor {minutes} Minuten noch weiter (per {by}) und jetzt nicht mehr: {problem}.",
    ),
    ("router.passed.do", "Der Server fragt jede Minute wieder."),
    ("router.refuses", "Der Router reicht die Ports {ports} nicht weiter: {problem}."),
    ("dns.local", "Der Server ist nur für diesen Rechner da; für ihn steht kein Name im DNS."),
    ("dns.not_asked", "Die DNS-Server der Domain wurden nicht gefragt: {reason}."),
    ("dns.answer", "Die DNS-Server von {zone} antworten ({names})."),
    ("dns.silent", "{count} der {all} DNS-Server von {zone} antworten nicht ({silent})."),
    (
        "dns.silent.do",
        "Erreichen andere sie, lässt hier eine Firewall DNS nicht hinaus. Wenn nicht, nennt die Registrierung der Domain Server, die \
         die Domain nicht haben: Berichtige sie dort.",
    ),
    ("dns.removed", "Die DNS-Server von {zone} haben keine Adresse für {name}; andere erinnern sich noch an das, was da war."),
    ("dns.missing", "Die DNS-Server von {zone} haben keine Adresse für {name}."),
    ("dns.differ", "Die DNS-Server von {zone} sind sich nicht einig: Einer hat {first}, und {other} hat {second}."),
    (
        "dns.differ.do",
        "Eine Änderung braucht einige Minuten, bis sie bei allen ist. Kommt sie nicht an, sage es deinem DNS-Anbieter.",
    ),
    ("dns.stale", "Die DNS-Server von {zone} haben {new} für {name}, und {resolver} hat noch {old}."),
    (
        "dns.stale.do",
        "Was vorher da war, bleibt im Gedächtnis, solange seine TTL es sagt, mitunter Stunden. Warte, und sieh dann wieder nach.",
    ),
    ("dns.stale_until.do", "Spätestens in {minutes} Minuten ist das vergessen. Warte, und sieh dann wieder nach."),
    ("dns.none", "{name} hat keine Adresse ({reasons})."),
    ("dns.private", "{name} führt zu {private}, und das erreicht nur dein eigenes Netz."),
    ("dns.private.do", "Veröffentliche stattdessen die öffentliche Adresse."),
    ("dns.partly", "{name} kennen nur manche DNS-Server ({reasons})."),
    (
        "dns.partly.do",
        "Eine neue Zeile braucht Minuten, mitunter eine Stunde, bis alle sie kennen. Warte, und sieh dann wieder nach.",
    ),
    ("dns.other", "{name} führt zu {shown}, und dieser Rechner hat {own}."),
    ("dns.other.do", "Das ist richtig, wenn unter {shown} ein Proxy steht. Wenn nicht:"),
    ("dns.right", "{name} führt zu {shown}."),
    ("dns.row_unknown", "Trage bei deinem DNS-Anbieter `{name}. A` mit der öffentlichen Adresse deines Netzes ein."),
    ("dns.row", "Trage bei deinem DNS-Anbieter {row} ein."),
    ("dns.rows", "Trage bei deinem DNS-Anbieter {row} und {second} ein."),
    ("dns.wildcard", "Namen unter {domain} haben eine Adresse; also gehen dort Handles."),
    ("dns.wildcard_later", "*.{domain} wird angesehen, sobald {host} eine Adresse hat."),
    ("dns.wildcard_missing", "Namen unter {domain} haben keine Adresse; also lassen sich dort keine Handles prüfen."),
    ("acme.answers", "Die Zertifizierungsstelle {url} antwortet."),
    ("acme.silent", "Die Zertifizierungsstelle {url} antwortet nicht: {reason}."),
    ("acme.silent.do", "Prüfe tls.acme_directory, und ob dieser Rechner hinaus ins Netz kommt."),
    ("caa.later", "Das wird angesehen, sobald die Zertifizierungsstelle antwortet."),
    ("caa.good", "Das DNS lässt {first} Zertifikate für die Namen des Servers ausstellen."),
    (
        "caa.unknown",
        "Ob das DNS die Zertifizierungsstelle Zertifikate für {name} ausstellen lässt, war nicht herauszufinden: {reason}.",
    ),
    (
        "caa.unknown.do",
        "Sie stellt dieselbe Frage und lehnt ab, solange sie keine Antwort bekommt. Sage es deinem DNS-Anbieter.",
    ),
    ("caa.critical", "Die CAA-Zeile `{owner} CAA 128 {tag}` von {domain} lässt niemanden ausstellen, der sie nicht versteht."),
    ("caa.critical.do", "Entferne sie, oder schreibe 0 statt 128."),
    (
        "caa.forbidden",
        "Die CAA-Zeilen von {owner} verbieten {authority}, Zertifikate für {name} auszustellen (gefunden: {found}).",
    ),
    ("caa.forbidden.do", "Trage bei deinem DNS-Anbieter zusätzlich `{owner}. CAA 0 {tag} \"{authority}\"` ein."),
    // The server by its public name.
    ("public.later_name", "Das wird angesehen, sobald der Name des Servers irgendwohin führt."),
    ("public.later_certificate", "Das wird angesehen, sobald das Zertifikat stimmt."),
    ("public.later_server", "Das wird angesehen, sobald der Server unter seinem Namen antwortet."),
    ("public.answers", "{host} antwortet unter jeder seiner {row}-Zeilen."),
    (
        "public.uncallable",
        "{address} lässt sich von diesem Rechner aus nicht anrufen, denn er hat selbst keine solche Adresse.",
    ),
    ("public.silent", "{host} hat die Adresse {address}, und dort antwortet niemand: {reason}."),
    (
        "public.silent.do",
        "Wer dorthin geschickt wird, wartet oder kommt nirgends an. Öffne dort den Port, lass den Server darauf hören \
         (tls.https_bind, server.bind), oder entferne die Zeile `{host}. {row} {address}`.",
    ),
    ("challenge.good", "Die Zertifizierungsstelle findet den Server an Port 80 von {host}."),
    ("challenge.fails", "An Port 80 von {host} findet die Zertifizierungsstelle diesen Server nicht: {reason}."),
    (
        "challenge.fails.do",
        "Lass Port 80 zum Server führen, in Router, Firewall und beim Anbieter. Bis dahin hängen Zertifikate allein an Port 443.",
    ),
    (
        "certificate.hairpin",
        "Dieser Rechner kann sich nicht selbst als {host} anrufen: {reason}. Die Zertifizierungsstelle konnte \
      es; also kommt die Welt hierher.",
    ),
    (
        "certificate.hairpin.do",
        "Viele Router führen nicht zurück, was hinter ihnen an ihre eigene öffentliche Adresse geht. Sieh von einem Telefon ohne \
         WLAN nach: Geht dort die Seite des Servers auf, ist alles gut.",
    ),
    ("certificate.none", "Zu {host} gibt es keine sichere Verbindung: {reason}."),
    (
        "certificate.none.do",
        "Prüfe, ob die Ports 443 und 80 zu diesem Rechner führen (Firewall, Router, Anbieter), und ob das, was dort TLS spricht, ein \
         Zertifikat für diesen Namen hat.",
    ),
    ("certificate.ends", "Das Zertifikat von {host} endet in {days} Tagen und hätte erneuert sein sollen."),
    ("certificate.ends.do", "Lies das Log dessen, was dafür TLS spricht: Es sagt, warum das Erneuern nicht gelingt."),
    ("certificate.good", "Das Zertifikat von {host} gilt noch {days} Tage (von {issuer}, für {names})."),
    ("certificate.later", "Das wird geprüft, sobald {host} ein Zertifikat hat."),
    ("public.later_running", "Das wird geprüft, sobald der Server läuft."),
    ("address.later", "Das wird geprüft, sobald dieser Rechner ins Netz kommt."),
    ("renewal.late", "Das Zertifikat von {name} wird nicht erneuert und gilt noch {days} Tage: {problem}."),
    ("renewal.follows", "{count} Zertifikate sind nicht zu haben, bis das behoben ist."),
    ("renewal.none", "Es gibt kein Zertifikat für {name}: {problem}."),
    (
        "renewal.do",
        "Der Server versucht es von selbst wieder. Was die Zertifizierungsstelle sagt, betrifft meist das DNS oder die Ports 80 und \
         443.",
    ),
    (
        "renewal.at.do",
        "Der Server versucht es von selbst wieder, am {at}. Was die Zertifizierungsstelle sagt, betrifft meist das DNS oder die Ports 80 \
         und 443.",
    ),
    ("renewal.limited.do", "Hier ist nichts zu beheben: Der Server versucht es von selbst wieder."),
    ("renewal.limited_until.do", "Hier ist nichts zu beheben: Der Server versucht es am {at} wieder."),
    ("renewal.good", "Die {count} Zertifikate, die der Server bestellt, sind aktuell."),
    ("health.good", "Der Server antwortet unter {url}."),
    ("health.other", "Unter {url} antwortet ein anderer Server, {service}; dieser ist {own}."),
    ("health.other.do", "Prüfe, wohin der Name führt, und an wen der Proxy Anfragen weiterreicht."),
    ("health.silent", "Der Server antwortet nicht unter {url}: {reason}."),
    (
        "health.silent.do",
        "Prüfe, ob der Server läuft und der Proxy Anfragen an ihn weiterreicht. Manche Router lassen einen Rechner nicht sich selbst \
         unter seinem öffentlichen Namen anrufen: Versuche es dann von einem Telefon ohne WLAN.",
    ),
    ("websocket.good", "Der Ereignisstrom lässt sich unter dem öffentlichen Namen abonnieren."),
    (
        "websocket.fails",
        "Der Ereignisstrom lässt sich unter dem öffentlichen Namen nicht abonnieren; kein Beitrag kommt hinaus: {reason}.",
    ),
    (
        "websocket.fails.do",
        "Der Proxy muss WebSockets weiterreichen; bei nginx: `proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; \
         proxy_set_header Connection \"upgrade\";`.",
    ),
    ("metadata.good", "Apps, die Leute anmelden, finden, was sie brauchen."),
    ("metadata.other", "Apps, die Leute anmelden, wird gesagt, das hier sei {issuer} und nicht {url}."),
    ("metadata.other.do", "Setze server.public_url auf die Adresse, die Leute benutzen, und starte den Server neu."),
    ("metadata.none", "Apps können niemanden anmelden: /.well-known/oauth-authorization-server ist nicht zu haben ({reason})."),
    ("metadata.none.do", "Der Proxy muss alle Pfade weiterreichen, auch /.well-known/."),
    ("upload.refused", "Der Proxy weist Uploads von {size} MiB ab, die der Server annimmt."),
    (
        "upload.refused.do",
        "Bei nginx: `client_max_body_size 0;`. Wo sich die Grenze nicht anheben lässt, setze limits.blob_upload nicht höher.",
    ),
    ("upload.good", "Uploads von {size} MiB kommen beim Server an."),
    ("upload.answered", "Ein Upload von {size} MiB bekam Status {status} zur Antwort, bevor er beim Server war."),
    ("upload.answered.do", "Sieh nach, was der Proxy mit POST-Anfragen unter /xrpc/ macht."),
    ("upload.silent", "Ein Upload von {size} MiB bekam keine Antwort: {reason}."),
    (
        "upload.silent.do",
        "Der Proxy muss den Header Expect weiterreichen oder beantworten, und ebenso Anfragen mit großem Inhalt weiterreichen.",
    ),
    // Accounts and services.
    ("account.unknown", "Die Konten wurden nicht angesehen: {reason}."),
    ("account.none", "Es gibt noch kein Konto."),
    ("account.none.do", "Lege eins an: `relay account create alice{domain} --email alice@example.com`."),
    ("account.found_one", "Das Konto ist unter Handle und DID zu finden."),
    ("account.found", "{count} Konten sind unter Handle und DID zu finden."),
    ("account.document", "Das Dokument von {did} ist nicht zu haben: {reason}."),
    ("account.document.do", "Bei did:plc muss das PLC-Verzeichnis antworten, bei did:web der eigene Host des Kontos."),
    ("account.names_differ", "Im Dokument von {did} steht das Handle {handle}, auf diesem Server {here}."),
    ("account.names_differ.do", "Setze das Handle noch einmal in der App, damit beide dasselbe sagen."),
    (
        "account.key_differs",
        "Im Dokument von {did} ({handle}) steht ein anderer Signaturschlüssel als auf diesem Server; darum glaubt niemand, was geschrieben \
         wird.",
    ),
    (
        "account.key_differs.do",
        "`relay rotate signing-key {did}` veröffentlicht einen Schlüssel dieses Servers. Wurde eine ältere Sicherung wiederhergestellt, ist \
         das, was fehlt.",
    ),
    ("account.elsewhere", "Das Dokument von {did} ({handle}) sagt, das Konto sei bei {place}."),
    ("account.nowhere", "Das Dokument von {did} ({handle}) nennt keinen Server."),
    (
        "account.elsewhere.do",
        "Ist das Konto weggezogen, deaktiviere es hier. Ist dieser Server umgezogen, aktualisiere die DID: docs/OPERATIONS.md.",
    ),
    ("account.handle_taken", "Das Handle {handle} führt zu {resolved}, und nicht zu {did}."),
    (
        "account.handle_taken.do",
        "Den Namen hat jemand anderes in seiner DNS-Zeile oder Datei. Ändere es dort, oder wähle ein anderes Handle.",
    ),
    ("account.handle_lost", "Das Handle {handle} führt nirgendwohin; Apps zeigen es als ungültig: {reason}."),
    (
        "account.handle_lost.do",
        "Unter einer Domain dieses Servers muss *.DOMAIN hierher führen. Für eine eigene Domain trage die DNS-Zeile \
         `_atproto.{handle}. TXT \"did={did}\"` ein.",
    ),
    ("account.later_directory", "Die Dokumente von {count} Konten werden geprüft, sobald das PLC-Verzeichnis antwortet."),
    (
        "account.later_names",
        "Die Handles von {count} Konten werden geprüft, sobald die Welt unter seinem Namen zu diesem Server kommt.",
    ),
    ("service.answers", "{name} unter {url}: antwortet."),
    ("service.silent", "{name} unter {url}: antwortet nicht ({problem})."),
    (
        "service.silent.do",
        "Prüfe, ob dieser Rechner hinaus ins Netz kommt (Firewall, DNS); wenn ja, liegt es am anderen Ende und geht vorüber.",
    ),
    ("crawler.untold", "{host} ließ sich nicht sagen, dass es hier Neues gibt: {error}."),
    ("crawler.untold.do", "Es wird von selbst wieder versucht, und sofort mit `relay doctor --fix`."),
    ("crawler.tell.do", "`relay doctor --fix` sagt ihm sofort, dass es hier etwas zu holen gibt."),
    ("mail.none", "Es ist kein Mailserver eingerichtet; also bekommt niemand Codes per Mail."),
    ("mail.none.do", "`relay code show ACCOUNT` zeigt sie. Um Mail zu senden, setze mail.host und mail.from."),
    ("mail.works", "Der Mailserver {host} nimmt unsere Anmeldung an."),
    ("mail.fails", "Der Mailserver {host} lässt sich nicht benutzen: {reason}."),
    (
        "mail.fails.do",
        "Vergleiche mail.host, mail.port, mail.tls, mail.user und mail.password mit dem, was dein Mailanbieter sagt. Viele Netze \
         sperren Port 25: Nimm 587 oder 465.",
    ),
    ("mail.sender", "{domain} sagt, wer in ihrem Namen Mail senden darf."),
    ("mail.sender_unknown", "{domain} hat keine SPF- und keine DMARC-Zeile; viele Anbieter halten ihre Mail darum für Spam."),
    ("mail.sender_half", "{domain} hat keine {missing}-Zeile; viele Anbieter halten ihre Mail darum für Spam."),
    (
        "mail.sender.do",
        "Dein Mailanbieter sagt, welche Zeilen du beim DNS-Anbieter einträgst, auch die von DKIM, deren Namen nur er kennt; meist `{domain}. TXT \"v=spf1 include:... -all\"` und \
         `_dmarc.{domain}. TXT \"v=DMARC1; p=quarantine\"`.",
    ),
    // Backups and versions.
    ("backup.off", "Es gibt keine Sicherung: Geht diese Platte kaputt, sind alle Konten verloren."),
    ("backup.off.do", "Setze backup.to und backup.passphrase_file (docs/OPERATIONS.md)."),
    ("backup.none", "Es gab noch keine Sicherung."),
    ("backup.none.do", "`relay backup now` macht eine."),
    ("backup.late.do", "`relay backup now` macht eine. Das Log sagt, warum es nicht rechtzeitig eine gab."),
    ("backup.last", "Die letzte Sicherung ist {hours} Stunden alt."),
    ("backup.failed", "Die letzte Sicherung misslang, und die letzte gute ist {hours} Stunden alt:"),
    ("backup.never", "Die letzte Sicherung misslang, und eine gute gibt es nicht:"),
    ("drill.none", "Noch wurde nie zur Probe wiederhergestellt."),
    ("drill.none.do", "`relay backup drill` macht das."),
    ("drill.late.do", "`relay backup drill` macht das. Das Log sagt, warum es nicht rechtzeitig geschah."),
    ("drill.last", "Zur Probe wiederhergestellt wurde zuletzt vor {hours} Stunden."),
    ("drill.failed", "Das Wiederherstellen zur Probe misslang, und das letzte gute ist {hours} Stunden alt:"),
    ("drill.never", "Das Wiederherstellen zur Probe misslang, und ein gutes gab es noch nicht:"),
    ("version.newest", "Version {here} ist die neueste."),
    ("version.older", "Es gibt Version {newest}; das hier ist {here}."),
    ("version.older.do", "`relay update` spielt sie ein."),
    ("version.unknown", "Ob es eine neuere Version gibt, ist nicht bekannt: {reason}."),
]);
