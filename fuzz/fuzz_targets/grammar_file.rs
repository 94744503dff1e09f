//! A grammar's file: refused with a reason, or a grammar that does what its samples show.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    match loghound::parse::load(&text) {
        Ok(grammar) => {
            assert!(grammar.patterns().next().is_some() && grammar.name != "auto");
            assert!(grammar.aliases.iter().all(|(_, field)| grammar.fields.iter().any(|known| known.name == *field)));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
