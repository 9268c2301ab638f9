//! English.

use super::MovingTexts;

pub(crate) const TEXTS: MovingTexts = MovingTexts {
    title: "Move your account here",
    offer: "I have an account elsewhere",
    offer_text: "At bsky.social or on another server: it comes here with its posts, followers and pictures.",
    account: "Your handle there",
    find: "Move it here",
    comes: "Posts, likes, follows, pictures and preferences come along. Your followers stay with you.",
    messages: "Direct messages do not move: Bluesky keeps them, and shows them as before.",
    handle_comes: "Your handle is a domain of your own, and comes along.",
    handle_stays: |what| format!("Your handle belongs to {what}. Here you get another one."),
    nothing_yet: |what| format!("Nothing changes until you type the code of a mail, at the end. Nothing is deleted at {what}."),
    password: |what| format!("Password at {what}"),
    password_hint: "The main one, with which you sign in yourself, and not an app password. It is not stored.",
    handle: "Handle here",
    new_password: "Password here",
    new_password_hint: "Leave it empty to keep the same.",
    email_hint: "Leave it empty to keep the same.",
    begin: "Copy my account",
    factor_lead: |what| format!("{what} has mailed you a code to sign in with."),
    code: "Code of the mail",
    copying_repo: |what| format!("Copying posts: {what}"),
    copying_blobs: |first, second| format!("Copying pictures and videos: {first} of {second}"),
    copying_hint: "This page looks again by itself. You may close it: the copying goes on.",
    stopped: "The copying stopped. What is here stays here.",
    again: "Go on",
    copied: |first, second| format!("Here now: {first} records, and {second} of their pictures and videos."),
    missing: |first, second| {
        format!("{first} does not have {second} pictures or videos any more. Their posts come along without:")
    },
    last_step: |what| {
        format!(
            "Now the account itself moves: its identity will name your server in place of {what}. From then on it is here, and there is no way back but to move it again."
        )
    },
    document: "Publish this as the DID document of your domain:",
    send_code: "Mail me the code",
    another_code: "Mail me another code",
    code_of: |what| format!("Code of the mail from {what}"),
    move_now: "Move the account",
    end: "Your account is on its way; one thing is left to do.",
    back: "Back",
    give_up: "Give the move up",
    give_up_hint: |what| format!("What came here is deleted. At {what} all is as it was."),
    unknown: "There is no such account. Look how it is written in your app.",
    already_here: "This account is here already.",
    unreachable: "The old server does not answer. Nothing is lost: try again later.",
    rate_limited: "The old server wants fewer requests. Wait a while, and go on.",
    wrong_password: "The old server does not know this password.",
    app_password: "This is an app password. It takes your main one, with which you sign in yourself.",
    needs_factor: "The old server has mailed you a code to sign in with.",
    wrong_code: "The old server does not take this code. Look again, or have another one mailed.",
    session_over: "The old server has signed you out. Give your password again.",
    document_wrong: "The DID document does not lead here yet.",
    failed: "That did not work. What was done before is kept.",
};
