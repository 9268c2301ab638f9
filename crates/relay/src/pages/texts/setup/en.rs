//! English.

use super::SetupTexts;

pub(crate) const TEXTS: SetupTexts = SetupTexts {
    brand: "Server set-up",
    steps: "Steps",
    step_names: ["Name", "DNS", "Ports", "HTTPS", "Mail", "You", "Backups", "Finish"],
    done_mark: "done",
    continue_: "Continue",
    change: "Change",
    copy: "Copy",
    copied: "Copied",
    working: "One moment …",
    failed: "That did not work. Nothing was changed.",

    begin_title: "Set up your server",
    begin_text: "In a few minutes this machine serves your account on the AT Protocol network: your posts, your name, your keys. \
                 Every step is kept, so you can stop at any time and go on later.",
    begin_submit: "Begin",
    begin_folder: |folder| format!("Everything goes into the folder {folder}."),

    refused_title: "This page needs its link",
    no_link: "Only whoever started the server may set it up. Open the link that it printed.",
    wrong_link: "This link is not the one that the server printed. Copy the whole line.",
    expired_link: "This link is older than half an hour, so it holds no more.",
    used_link: "This link was used already, in another browser or window. Go on there.",
    too_many: "Too many wrong links were tried, so no link is taken any more.",
    new_link: "For a new link press Enter in the terminal, or start the program again. Nothing that you answered is lost.",

    name_title: "What is your server called?",
    name_lead: "A server has a name of its own, below a domain that you own. Handles end in it, as in @alice.pds.example.com.",
    name_label: "Host name",
    name_hint: "For example pds.example.com. If you have no domain yet, any registrar sells one.",
    name_wrong: "This is not a host name. Write it as pds.example.com.",
    name_not_public: "Nobody else can look this name up. It has to be below a domain that you own.",
    try_title: "Only looking?",
    try_text: "Try it on this machine first: a whole little network with two accounts, which nobody else sees.",
    try_submit: "Just try it here",
    trial_title: "Your little network starts",
    trial_text: "It runs for as long as the program does. Sign in as alice.test with the password alice-password. \
                 Ctrl-C in the terminal ends it. Start the program again to go on here, or to set up a server for the world.",
    trial_open: "Open it",
    trial_wait: "It starts …",
    trial_silent: "It does not answer yet. The terminal, where you started the program, says why.",
    trial_passkey: "Passkeys belong to the name of a server. One that you add here is good for this trial; your own server gets \
                    its own, at the end of its set-up, once it has HTTPS.",

    dns_title: "Write these rows at your DNS provider",
    dns_lead: "They lead the name of your server, and the names of all accounts on it, to this machine.",
    dns_name: "Name",
    dns_kind: "Type",
    dns_value: "Value",
    dns_your_address: "the public address of your network",
    dns_host: "The server",
    dns_handles: "Its accounts",
    dns_right: |found| format!("Right: {found}"),
    dns_missing: "Not there yet",
    dns_spreading: "Written. The world hears of it within minutes, at times an hour.",
    dns_private: |found| format!("Found {found}, which only your own network reaches. Write the public address."),
    dns_elsewhere: |found, expected| format!("Found {found}, expected {expected}. That is right only if a proxy stands there."),
    dns_unknown: |reason| format!("Could not be looked up: {reason}"),
    dns_asked: |servers| format!("Asked: {servers}. This page looks again every few seconds."),
    dns_again: "Look again",
    dns_anyway: "Go on without",

    reach_title: "Can the world reach this machine?",
    reach_lead: "Browsers and other servers come by the ports 443 and 80.",
    port_free: |port| format!("Port {port} is free."),
    port_taken: |port, by| format!("Port {port} is taken by {by}. Stop it, or have it pass requests on as a proxy."),
    port_refused: |port, reason| {
        format!("Port {port} cannot be had by this user ({reason}). Start the set-up as root, or put a proxy in front.")
    },
    another_program: "another program",
    public_address: |address| {
        format!("This machine has the public address {address}. If its provider has a firewall, open the ports there.")
    },
    behind_router: |address| {
        format!("This machine is behind a router, as {address}. The router has to pass ports 443 and 80 on to it.")
    },
    carrier_grade: |address| {
        format!(
            "Your provider shares one address among many customers ({address} is inside of its network), so nobody can call this \
             machine. Ask for a public IPv4 address or for IPv6, or use a small rented server."
        )
    },
    offline: "This machine has no way to the network. Check its cable or Wi-Fi.",
    speaker: "Who speaks HTTPS?",
    speaker_server: "This server",
    speaker_server_hint: "It gets certificates by itself and renews them. Right for most.",
    speaker_proxy: "A proxy in front of it",
    speaker_proxy_hint: "Such as Caddy, nginx or Traefik, which runs already.",
    proxy_example: "What to write into the proxy, here Caddy",
    open_ports: "Have the router open the ports",
    open_ports_hint: "Asks it by UPnP, NAT-PMP or PCP, and keeps them open for as long as the server runs.",

    https_title: "Get the certificate",
    https_lead: "With it, apps know that they talk to your server. It is tried out first with certificates that do not count, so a \
                 mistake costs nothing.",
    https_terms: "By this you agree to the terms of service of Let’s Encrypt, which gives them.",
    https_submit: "Get the certificate",
    https_failed: "There is no certificate yet.",

    mail_title: "Mail, if you like",
    mail_lead: "With a mail server, people who forgot their password get a code. Everything works without: codes are then shown by \
                the program.",
    mail_host: "Mail server",
    mail_port: "Port",
    mail_port_hint: "465 or 587; what your mail provider says.",
    mail_user: "User",
    mail_password: "Password",
    mail_from: "Sender",
    mail_to: "Send a mail on trial to",
    mail_to_hint: "It is kept only if the mail could be sent.",
    mail_submit: "Send, and continue",
    mail_skip: "Go on without mail",
    mail_failed: "The mail could not be sent.",

    account_title: "Your account",
    account_lead: "The first one on your server.",
    account_submit: "Make my account",
    account_email_hint: "For codes when you forget your password.",
    account_later: "Later",
    account_later_hint: "`relay account create` makes one, and `relay account move-in` moves one here.",
    account_failed: "The account could not be made.",

    key_title: "Keep your recovery key",
    key_lead: "It stands above your server: with it you can take your account elsewhere even if this machine is lost or not yours \
               any more. It is shown only now. Put it into a password manager, or on paper.",
    key_saved: "I have kept it",

    backup_title: "Backups",
    backup_lead: "Every night everything is copied, encrypted, and restored on trial. Changes follow within seconds.",
    backup_folder: "Folder",
    backup_folder_hint: "On another disk than the data, such as a USB disk or a mounted network drive.",
    backup_key: "The key of the backups",
    backup_key_hint: "Keep it apart from this machine: without it the backups are worthless.",
    backup_saved: "I have kept the key",
    backup_submit: "Turn backups on",
    backup_skip: "Go on without backups",
    backup_failed: "The backups cannot go there.",

    finish_title: "Almost there",
    finish_lead: "A last look at all that your server stands on.",
    finish_look: "Look now",
    finish_looking: "Looking …",
    finish_well: "All is well.",
    finish_service: "Start the server with the machine",
    finish_service_hint: "Installs it as a service of the system.",
    finish_submit: "Finish",

    live_title: "You are live",
    live_as: |handle| format!("You are @{handle}."),
    live_open: "Open your account",
    live_app: |host| format!("In any app, sign in with your handle. If it asks for a hosting provider, write {host}."),
    live_passkey: "A passkey in place of the password",
    live_passkey_what: "You sign in with your finger, your face or the lock of your device. A passkey belongs to the name of \
                        the server, so it is made on the server itself: the link leads you there, signed in.",
    live_passkey_wait: |url| format!("Waiting until {url} answers this browser …"),
    live_passkey_silent: |url| {
        format!(
            "{url} does not answer this browser yet. Some routers do not lead back to a server behind them: then open the link on \
             a phone without Wi-Fi."
        )
    },
    live_passkey_add: "Add a passkey",
    live_passkey_phone: "On your phone",
    live_passkey_qr: "QR code of the link",
    live_passkey_back: "The link works once, within a quarter of an hour. Your password stays the way back: later you add a \
                        passkey with it, in your account under “Signing in”.",
    live_service: "The server runs as a service and starts with the machine. The program in the terminal has ended.",
    live_here: "The server runs in the program that you started. It ends with it.",
    live_service_failed: "The service could not be installed, so the server runs in the program that you started.",
};
