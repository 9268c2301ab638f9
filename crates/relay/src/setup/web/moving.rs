//! The forms of a move, and what is said of what went wrong.

use super::super::moving::MoveFault;
use super::App;
use super::pages::Problem;
use super::steps::Fields;
use crate::move_in::{Fault, SignIn};
use crate::pages::texts::Texts;

/// Does what a form asks for.
pub(super) async fn answer(app: &App, fields: &Fields) -> Result<(), MoveFault> {
    let given = |name: &str| Some(fields.get(name).trim().to_owned()).filter(|text| !text.is_empty());
    match fields.get("do") {
        "look" => app.setup.find_account(fields.get("account")).await.map(drop),
        "sign-in" => {
            let sign_in = SignIn {
                account: String::new(),
                password: fields.get("password").to_owned(),
                factor: given("factor"),
                handle: given("handle"),
                email: given("email"),
                new_password: Some(fields.get("new_password").to_owned()),
            };
            app.setup.copy_again();
            match app.setup.sign_in_to_move(sign_in).await {
                // The page that is next asks for it.
                Err(MoveFault::Move(Fault::NeedsFactor { .. })) => Ok(()),
                done => done,
            }
        }
        "copy" => {
            app.setup.copy_again();
            Ok(())
        }
        "code" => app.setup.send_code_to_move().await,
        "finish" => app.setup.finish_move(fields.get("code")).await,
        "give-up" => app.setup.give_up_move().await,
        _ => Ok(()),
    }
}

/// Says what went wrong, in the person's language, and below it what the machine says.
pub(super) fn problem(fault: &MoveFault, t: &Texts) -> Problem {
    let text = match fault {
        MoveFault::Work(_) => t.setup.failed,
        MoveFault::Move(fault) => words(fault, t),
    };
    // Where the words say all, the machine adds nothing.
    let says_all = matches!(
        fault,
        MoveFault::Move(
            Fault::AlreadyHere { .. }
                | Fault::WrongPassword { .. }
                | Fault::AppPassword
                | Fault::NeedsFactor { .. }
                | Fault::SessionOver { .. }
                | Fault::Busy
                | Fault::TooLate
                | Fault::Stopping
        )
    );
    Problem { text: text.to_owned(), detail: (!says_all).then(|| fault.to_string()) }
}

/// Says why a move does not go on, in the person's language.
pub(super) fn words(fault: &Fault, t: &Texts) -> &'static str {
    let words = &t.moving;
    match fault {
        Fault::Unknown { .. } => words.unknown,
        Fault::AlreadyHere { .. } => words.already_here,
        Fault::Busy => words.busy,
        Fault::Unreachable { .. } => words.unreachable,
        Fault::RateLimited { .. } => words.rate_limited,
        Fault::WrongPassword { .. } | Fault::OtherAccount { .. } => words.wrong_password,
        Fault::AppPassword => words.app_password,
        Fault::NeedsFactor { .. } => words.needs_factor,
        Fault::WrongFactor { .. } | Fault::WrongCode { .. } | Fault::NeedsCode { .. } => words.wrong_code,
        Fault::SessionOver { .. } => words.session_over,
        Fault::Refused { .. } => words.refused,
        Fault::Handle { .. } => words.handle_wrong,
        Fault::Email { .. } => words.email_wrong,
        Fault::Password { .. } => words.password_wrong,
        Fault::TooLarge { .. } => words.too_large,
        Fault::BadRepo { .. } => words.bad_repo,
        Fault::Directory { .. } => words.directory,
        Fault::DidWeb { .. } => words.document_wrong,
        Fault::TooLate => words.too_late,
        Fault::Stopping => words.stopping,
        Fault::NotUnderWay { .. } | Fault::Invite { .. } | Fault::Here { .. } => words.failed,
    }
}
