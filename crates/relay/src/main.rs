//! `relay`: arguments, then the verb.

use std::process::ExitCode;

use relay::cli::{self, Command};

// Smaller and faster than the C library's, above all musl's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Has the allocator give memory back sooner: what was freed after 100 ms instead of a second, and what a thread keeps at hand
/// after every thousand of its slower allocations instead of every ten thousand. Returns whether both were set.
///
/// What the environment says of the same (`MIMALLOC_PURGE_DELAY`, `MIMALLOC_GENERIC_COLLECT`) counts for more.
#[expect(unsafe_code, reason = "the allocator has these two numbers behind C functions only")]
fn give_memory_back() -> bool {
    use std::ffi::{c_int, c_long};

    // SAFETY: numbers go in and out; one that is no option's changes nothing.
    unsafe extern "C" {
        safe fn mi_option_get(option: c_int) -> c_long;
        safe fn mi_option_set(option: c_int, value: c_long);
    }
    /// By their number in mimalloc 3: what each is when nobody has set it, and what it shall be.
    const OPTIONS: [(c_int, c_long, c_long); 2] = [(15, 1000, 100), (34, 10_000, 500)];
    // Where another version has another option under that number, it is left as it is.
    let known = OPTIONS.iter().filter(|&&(option, unset, _)| mi_option_get(option) == unset);
    let set = known.inspect(|&&(option, _, value)| mi_option_set(option, value));
    set.filter(|&&(option, _, value)| mi_option_get(option) == value).count() == OPTIONS.len()
}

fn main() -> ExitCode {
    // Where it does not, the server takes more memory and works.
    let _sooner = give_memory_back();
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

#[cfg(test)]
mod tests {
    /// The options have no names outside of C, and a new mimalloc may number them anew.
    #[test]
    fn the_allocator_has_the_options_that_are_meant() {
        assert!(super::give_memory_back());
    }
}
