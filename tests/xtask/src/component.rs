//! Making a component of a core module.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use wit_component::ComponentEncoder;

/// Makes the component of `module`, whose interface `wit-bindgen` has written into it.
pub fn make(module: &Path, component: &Path) -> Result<()> {
    let bytes = fs::read(module).with_context(|| format!("cannot read {}", module.display()))?;
    let encoded = ComponentEncoder::default()
        .validate(true)
        .module(&bytes)
        .and_then(|encoder| encoder.encode())
        .with_context(|| format!("cannot make a component of {}", module.display()))?;
    fs::write(component, encoded).with_context(|| format!("cannot write {}", component.display()))
}
