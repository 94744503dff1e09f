//! Who claimed what last of a partition: the metadata of the group's commit.
//!
//! `loghound1 INSTANCE:FIRST-NEXT,…`, the newest first. Each instance needs its last claim alone: it claims again only when the
//! one before is durable. Instances that have not claimed for long fall out at [`CLAIMS_MAX`]; brokers take 4,096 bytes.

/// Instances that are remembered of a partition.
pub const CLAIMS_MAX: usize = 48;

const MARK: &str = "loghound1 ";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    pub instance: String,
    /// Offset of the first message.
    pub first: i64,
    /// The offset behind the last.
    pub next: i64,
}

/// The claims of one partition, the newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claims(pub Vec<Claim>);

impl Claims {
    /// Reads a commit's metadata; what others wrote there is none of ours.
    pub fn read(metadata: &str) -> Self {
        let Some(list) = metadata.strip_prefix(MARK) else { return Self::default() };
        let claim = |text: &str| {
            let (instance, range) = text.split_once(':')?;
            let (first, next) = range.split_once('-')?;
            Some(Claim { instance: instance.to_owned(), first: first.parse().ok()?, next: next.parse().ok()? })
        };
        Self(list.split(',').filter_map(claim).collect())
    }

    pub fn write(&self) -> String {
        let claims: Vec<String> = self.0.iter().map(|c| format!("{}:{}-{}", c.instance, c.first, c.next)).collect();
        format!("{MARK}{}", claims.join(","))
    }

    /// The instance's last claim.
    pub fn of(&self, instance: &str) -> Option<&Claim> {
        self.0.iter().find(|claim| claim.instance == instance)
    }

    /// These claims with a newer one.
    pub fn with(&self, claim: Claim) -> Self {
        let others = self.0.iter().filter(|other| other.instance != claim.instance).take(CLAIMS_MAX - 1).cloned();
        Self(std::iter::once(claim.clone()).chain(others).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_read_back_and_the_oldest_fall_out() {
        let claim = |at: i64| Claim { instance: format!("{at:012x}"), first: i64::MAX - 1, next: i64::MAX };
        let mut claims = Claims::default();
        for at in 0..60 {
            claims = claims.with(claim(at));
            assert_eq!(Claims::read(&claims.write()), claims);
        }
        assert!(claims.write().len() < 4096, "{}", claims.write().len());
        assert_eq!(claims.0.len(), CLAIMS_MAX);
        assert!(claims.of(&claim(59).instance).is_some() && claims.of(&claim(0).instance).is_none());
        let again = claims.with(Claim { first: 1, next: 2, ..claim(40) });
        assert_eq!(again.of(&claim(40).instance).map(|c| (c.first, c.next)), Some((1, 2)));
        assert_eq!(again.0.iter().filter(|c| c.instance == claim(40).instance).count(), 1);
        for foreign in ["", "something else", "loghound2 a:1-2", "loghound1 ", "loghound1 a:x-2,b"] {
            assert_eq!(Claims::read(foreign), Claims::default(), "{foreign}");
        }
    }
}
