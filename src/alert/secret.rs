//! Secrets: in the configuration, in a file, or in a variable; never shown.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// Where a secret is. A file is read each time, so that a rotated secret is used at once.
#[derive(Clone, Deserialize)]
#[serde(untagged)]
pub enum Secret {
    Text(String),
    File { file: PathBuf },
    Env { env: String },
}

/// A secret's file is no larger: bytes.
const FILE_BYTES_MAX: u64 = 64 << 10;

impl Secret {
    /// Its text, without white space around it. The error names the place, not the secret.
    pub fn read(&self) -> Result<String, String> {
        let text = match self {
            Self::Text(text) => text.clone(),
            Self::File { file } => read(file)?,
            Self::Env { env } => std::env::var(env).map_err(|_| format!("the variable {env} is not set"))?,
        };
        let text = text.trim();
        if text.is_empty() { Err("the secret is empty".to_owned()) } else { Ok(text.to_owned()) }
    }
}

fn read(file: &Path) -> Result<String, String> {
    let failed = |err: std::io::Error| format!("{} cannot be read: {err}", file.display());
    if std::fs::metadata(file).map_err(failed)?.len() > FILE_BYTES_MAX {
        return Err(format!("{} is larger than a secret is", file.display()));
    }
    std::fs::read_to_string(file).map_err(failed)
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => f.write_str("Secret(…)"),
            Self::File { file } => write!(f, "Secret(file {})", file.display()),
            Self::Env { env } => write!(f, "Secret(env {env})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_read_where_they_are_and_not_shown() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        std::fs::write(&file, "s3cret\n").unwrap();
        let yaml = |text: &str| serde_saphyr::from_str::<Secret>(text).unwrap();
        assert_eq!(yaml("s3cret").read().unwrap(), "s3cret");
        assert_eq!(yaml(&format!("{{file: {}}}", file.display())).read().unwrap(), "s3cret");
        assert!(yaml("{file: /nowhere/key}").read().unwrap_err().contains("/nowhere/key"));
        assert!(yaml("{env: LOGHOUND_NO_SUCH_SECRET}").read().unwrap_err().contains("LOGHOUND_NO_SUCH_SECRET"));
        assert!(yaml("''").read().is_err());
        assert!(!format!("{:?}", yaml("s3cret")).contains("s3cret"));
    }
}
