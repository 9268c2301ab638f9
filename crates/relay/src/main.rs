//! `relay`: arguments, then the verb.

use std::process::ExitCode;

use relay::cli::{self, Command};

// Smaller and faster than the C library's, above all musl's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = match cli::parse(std::env::args_os()) {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let Some(command) = cli.command else { return cli::main_default() };
    match command {
        Command::Setup(args) => cli::main_setup(&args),
        Command::Dev(args) => cli::main_dev(&args),
        Command::Serve(args) => cli::main_serve(&args),
        Command::Config(args) => cli::main_config(&args),
        Command::Account(args) => cli::main_account(&args),
        Command::Code(args) => cli::main_code(&args),
        Command::Invite(args) => cli::main_invite(&args),
        Command::Rotate(args) => cli::main_rotate(&args),
        Command::SupportBundle(args) => cli::main_support_bundle(&args),
        Command::Backup(args) => cli::main_backup(&args),
        Command::Restore(args) => cli::main_restore(&args),
        Command::Adopt(args) => cli::main_adopt(&args),
        Command::Verify(args) => cli::main_verify(&args),
        Command::Doctor(args) => cli::main_doctor(&args),
        Command::Service(args) => cli::main_service(&args),
        Command::Status(args) => cli::main_status(&args),
        Command::Update(args) => cli::main_update(&args),
        Command::UpdateData(args) => cli::main_update_data(&args),
        Command::Rehearse(args) => cli::main_rehearse(&args),
        Command::Health(args) => cli::main_health(&args),
    }
}
