//! The way in: what the host calls.

use crate::{Error, Result, bindings::nshost::setup::types, log};

/// Makes a function the component's `setup`. It takes nothing and returns [`Result`].
///
/// ```
/// # mod script {
/// use nshost_sdk::prelude::*;
///
/// fn setup() -> Result {
///     container::unshare([UTS, IPC, PID, MOUNT, NETWORK])?;
///     container::hostname("plain")
/// }
///
/// nshost_sdk::setup!(setup);
/// # }
/// ```
#[macro_export]
macro_rules! setup {
    ($setup:path) => {
        const _: () = {
            struct Script;

            impl $crate::bindings::Guest for Script {
                fn setup() -> ::core::result::Result<(), $crate::bindings::nshost::setup::types::Failure> {
                    $crate::run($setup)
                }
            }

    $crate::bindings::export!(Script with_types_in $crate::bindings);

            // `nshost scripts` and `nshost inspect` tell it: the description in the script's Cargo.toml.
            #[cfg(target_family = "wasm")]
            const ABOUT: &str = match option_env!("CARGO_PKG_DESCRIPTION") {
                Some(text) => text,
                None => "",
            };

            // SAFETY: nothing but nshost reads a custom section of this name, and it expects any text.
            #[cfg(target_family = "wasm")]
            #[used]
            #[unsafe(link_section = "nshost:about")]
            static SECTION: [u8; ABOUT.len()] = {
                let mut bytes = [0; ABOUT.len()];
                bytes.copy_from_slice(ABOUT.as_bytes());
                bytes
            };
        };
    };
}

/// `nshost inspect` tells with which SDK a script was written: a custom section of the module.
#[cfg(target_family = "wasm")]
#[expect(unsafe_code, reason = "naming a section is unsafe, since a loader could give its bytes a meaning")]
mod version {
    const TEXT: &str = env!("CARGO_PKG_VERSION");

    // SAFETY: nothing but `nshost inspect` reads a custom section of this name, and it expects any text.
    #[used]
    #[unsafe(link_section = "nshost:sdk")]
    static SECTION: [u8; TEXT.len()] = {
        let mut bytes = [0; TEXT.len()];
        bytes.copy_from_slice(TEXT.as_bytes());
        bytes
    };
}

/// Calls the script's function.
#[doc(hidden)]
pub fn run(setup: fn() -> Result) -> std::result::Result<(), types::Failure> {
    log::hand_over_panics();
    let result = setup().map_err(Error::into);
    // A line that nobody ended is still in a buffer, and there is no exit that would write it out.
    #[cfg(target_os = "wasi")]
    let _ = std::io::Write::flush(&mut std::io::stdout());
    result
}
