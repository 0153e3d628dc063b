//! `takedown desk`: the operator's pages in a browser, against a broker or a queue file.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use tokio_util::sync::CancellationToken;

use crate::domain::secret::Secret;
use crate::ops::cli::Surroundings;
use crate::ops::cli::exit::Exit;
use crate::ops::cli::failure::{Failure, chain};
use crate::ops::cli::signals::Signals;
use crate::ops::config::token_of_file;
use crate::ops::status::StatusServer;
use crate::ops::web::{self, Keeping, Source};

/// Serve the operator's pages: accounts, batches, and the dead-letter desk.
///
/// Shows what is stuck and why, and mends it: plan, replay at a rate, cancel, edit, export, purge. Needs the broker and no
/// keys; workers serve the same pages on `worker.listen`. Whoever acts must know the token: one is drawn at each start
/// unless --token-file names one, and the link that is printed holds it, so do not pass the link on.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  takedown desk                                  # then open the link it prints\n  \
    takedown desk --listen 0.0.0.0:9200 --token-file desk.token   # for others, behind TLS\n  \
    takedown desk --queue items.csv.queue          # of `takedown run`"
)]
pub(super) struct Desk {
    /// Where to listen.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9200")]
    listen: SocketAddr,
    /// A file with the token whoever acts must know, at least 16 letters, digits and - . _ ~ + / =
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// A queue file instead of the broker; nobody else may have it open.
    #[arg(long, value_name = "FILE")]
    queue: Option<PathBuf>,
}

impl Desk {
    pub(super) async fn execute(&self, surroundings: &Surroundings) -> Result<Exit, Failure> {
        let source = match &self.queue {
            Some(file) => Source::file(file)?,
            None => Source::broker(surroundings.load_outline()?, Keeping::File),
        };
        let (token, is_drawn) = self.token()?;
        let server = StatusServer::bind(self.listen).await.map_err(|error| {
            let remedy = "give another --listen (127.0.0.1:9201), or end the program that has it";
            Failure::new(Exit::Port, chain(&error)).remedy(remedy)
        })?;
        let address = server.address().unwrap_or(self.listen);
        let mut signals = Signals::new()?;
        let (stop, site) = (CancellationToken::new(), web::Site::new(Some(token.clone()), address, source));
        let serving = tokio::spawn(server.serve_pages(site.router(), stop.clone()));
        let name =
            if address.ip().is_unspecified() { format!("127.0.0.1:{}", address.port()) } else { address.to_string() };
        let link =
            if is_drawn { format!("http://{name}/enter?token={}", token.expose()) } else { format!("http://{name}/") };
        surroundings.terminal.result(&format!("the desk is open: {link}"))?;
        surroundings.terminal.say("Ctrl-C closes it");
        if !address.ip().is_loopback() {
            surroundings
                .terminal
                .say("others may come, and nothing is encrypted: put TLS before it (a proxy, or ssh -L)");
        }
        signals.next().await;
        let running = site.under_way();
        if !running.is_empty() {
            let plans = running.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let word =
                format!("closing; the replay of {plans} stops between two letters, and its plan can be gone on with");
            surroundings.terminal.say(&word);
        }
        site.close().await;
        stop.cancel();
        match serving.await {
            Ok(()) => Ok(Exit::Done),
            Err(error) => Err(Failure::new(Exit::Unexpected, format!("the desk's server panicked: {error}"))),
        }
    }

    /// The token, and whether it was drawn just now.
    fn token(&self) -> Result<(Secret, bool), Failure> {
        let Some(path) = &self.token_file else { return Ok((web::draw(), true)) };
        let read = token_of_file(path);
        let token = read.map_err(|(problem, remedy)| Failure::new(Exit::Usage, problem).remedy(remedy))?;
        Ok((token, false))
    }
}
