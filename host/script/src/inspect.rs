//! What a component says about itself, without compiling it.

use nshost_policy::wire::Inspection;
use wasmparser::{KnownCustom, Parser, Payload, ProducersSectionReader};

use crate::{compile::recognise, failure::one_line};

/// The most imports, exports and producers that are listed, each.
const MOST: usize = 1000;
/// The longest text, in characters.
const LONGEST: usize = 200;

/// The custom section in which the SDK leaves its version.
const SDK_SECTION: &str = "nshost:sdk";

/// The custom section in which the SDK leaves the description of the script's package.
const ABOUT_SECTION: &str = "nshost:about";

/// Lists imports, exports and producers of the outermost component.
pub fn inspect(module: &[u8]) -> Result<Inspection, String> {
    recognise(module)?;
    let mut found = Inspection::default();
    // Components and modules nest, and only the outermost component's imports are a request to us.
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload.map_err(|error| {
            format!("{}\nif it was copied, copy it again; if not, build it again", one_line(error))
        })?;
        match payload {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    note(&mut found.imports, import.map_err(one_line)?.name.name);
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    note(&mut found.exports, export.map_err(one_line)?.name.name);
                }
            }
            Payload::CustomSection(section) if section.name() == SDK_SECTION => {
                found.sdk = Some(clip(&String::from_utf8_lossy(section.data())));
            }
            Payload::CustomSection(section) if section.name() == ABOUT_SECTION => {
                found.about = Some(clip(&String::from_utf8_lossy(section.data())));
            }
            Payload::CustomSection(section) => {
                // What a toolchain wrote about itself is of no weight: if it cannot be read, it is left out.
                if let KnownCustom::Producers(producers) = section.as_known() {
                    let _ = note_producers(&mut found.producers, producers);
                }
            }
            _ => {}
        }
    }
    Ok(found)
}

fn note_producers(
    list: &mut Vec<String>,
    fields: ProducersSectionReader,
) -> Result<(), wasmparser::BinaryReaderError> {
    for field in fields {
        for value in field?.values {
            let value = value?;
            note(list, format!("{} {}", value.name, value.version).trim());
        }
    }
    Ok(())
}

fn note(list: &mut Vec<String>, text: &str) {
    let text = clip(text);
    if list.len() < MOST && !list.contains(&text) {
        list.push(text);
    }
}

fn clip(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}
