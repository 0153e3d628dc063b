//! A request as a curl command line that can be pasted into a shell.

use crate::gateway::http::HttpRequest;

/// Writes the command over several lines.
pub(super) fn command(request: &HttpRequest) -> String {
    let mut words = vec![format!("curl -sS {}", quoted(request.url.as_str()))];
    for (name, value) in &request.headers {
        words.push(format!("-H {}", quoted(&format!("{name}: {value}"))));
    }
    if let Some(body) = &request.body {
        words.push(format!("-H {}", quoted(&format!("Content-Type: {}", body.content_type))));
        // Unlike --data it takes a leading @ for what it is.
        words.push(format!("--data-raw {}", quoted(&body.text)));
    }
    words.join(" \\\n  ")
}

/// Quotes for a POSIX shell: between single quotes nothing but a single quote means anything.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_gives_back_what_was_quoted() {
        for text in ["a b", "it's", "$(x) `y` \"z\" \\", "", "''"] {
            let script = format!("printf %s {}", quoted(text));
            let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), text);
        }
    }
}
