//! Where the desk keeps what it counted.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::domain::hex::hex;
use crate::ops::config::fault::Problem;
use crate::ops::config::section::Section;
use crate::queue::amqp::AmqpSettings;

/// Reads the section; `None` inside where no file is named.
pub(super) fn read(mut section: Section<'_>, base: &Path) -> Option<Option<PathBuf>> {
    let is_given = section.has("file");
    let file = section.text("file", |text| {
        let path = base.join(text);
        if text.is_empty() || path.is_dir() {
            return Err(Problem::new(format!("is {text:?}, which is no file"), "name a file, such as \"desk.sqlite\""));
        }
        Ok(path)
    });
    section.finish();
    if is_given { Some(Some(file?)) } else { Some(None) }
}

/// Returns the file of a broker where none is named: in the user's state directory (XDG Base Directory Specification),
/// one for each broker and prefix; beside the configuration where there is no such directory.
pub(super) fn default_file(base: &Path, environment: &BTreeMap<String, String>, amqp: &AmqpSettings) -> PathBuf {
    let digest = hex(&Sha256::digest(amqp.identity()));
    let name = format!("desk-{}-{}.sqlite", amqp.prefix, &digest[..8]);
    let absolute = |name: &str| environment.get(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")));
    state.map_or_else(|| base.join(&name), |state| state.join("takedown").join(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_broker_has_a_file_of_its_own_in_the_state_directory() {
        let amqp = AmqpSettings::new("amqp://guest:s3cret@mq:5672/%2f");
        let variables = |list: &[(&str, &str)]| {
            list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<BTreeMap<_, _>>()
        };
        let file = |list: &[(&str, &str)], amqp: &AmqpSettings| default_file(Path::new("etc"), &variables(list), amqp);
        let at_home = file(&[("HOME", "/home/ada")], &amqp);
        assert!(at_home.starts_with("/home/ada/.local/state/takedown"), "{at_home:?}");
        let by_xdg = file(&[("HOME", "/home/ada"), ("XDG_STATE_HOME", "/var/state")], &amqp);
        assert!(by_xdg.starts_with("/var/state/takedown"), "{by_xdg:?}");
        assert!(file(&[("XDG_STATE_HOME", "relative")], &amqp).starts_with("etc"));
        let other = AmqpSettings::new("amqp://guest:s3cret@other:5672/%2f");
        assert_ne!(file(&[], &amqp), file(&[], &other));
        let again = AmqpSettings::new("amqp://ada:other@mq:5672/%2f");
        assert_eq!(file(&[], &amqp), file(&[], &again), "whoever logs in");
    }
}
