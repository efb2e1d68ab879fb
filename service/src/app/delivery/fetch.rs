//! A body's list of people, fetched from it when somebody asks.
//!
//! Whoever asks waits for the answer: nothing is kept for later, and no lane is held.

use std::time::Duration;

use linli_core::community_body::CommunityBody;
use linli_core::delivery::FIRST_REST_SECONDS;
use linli_plugin_host::exchange::{End, Field, Operation};

use super::{ANOTHER_END, line};
use crate::app::App;
use crate::error::{Error, Result, StateConflict};

/// When a body that was not reached may be asked again, where it does not say so itself: as lanes rest at first.
const TRY_AGAIN: Duration = Duration::from_secs(FIRST_REST_SECONDS.unsigned_abs());

impl App {
    /// Has the channel of a body fetch its list from a cursor on: the entries, and the cursor of the next run; empty: there is no
    /// more.
    ///
    /// # Errors
    /// [`Error::State`] where the body has no channel that does so; [`Error::BodyUnreachable`], [`Error::BodyRefused`].
    pub(in crate::app) async fn fetch_roster(
        &self,
        body: &CommunityBody,
        cursor: String,
    ) -> Result<(Vec<Vec<Field>>, String)> {
        let channel = body.channel.as_ref().ok_or(Error::State(StateConflict::BodyWithoutChannel))?;
        let way = self.way(channel).filter(|way| way.info.can_pull);
        let way = way.ok_or(Error::State(StateConflict::ChannelCannotPull))?;
        let operation = Operation::PullRoster { cursor };
        let later = |trouble: &str, after: Option<Duration>| {
            let retry_after = after.unwrap_or(TRY_AGAIN);
            Err(Error::BodyUnreachable { trouble: line(trouble), retry_after })
        };
        match self.run(&way, operation, self.ids.next(self.now())).await {
            Ok(End::Roster { entries, cursor }) => Ok((entries, cursor)),
            Ok(End::Error { message, retry: true, retry_after }) => later(&message, retry_after),
            Ok(End::Error { message, retry: false, .. }) => Err(Error::BodyRefused(line(&message))),
            // The host lets no such run end in another way.
            Ok(End::Delivered { .. } | End::Acknowledgements { .. } | End::Probed) => {
                later(ANOTHER_END, None)
            }
            Err(error) => later(&error.to_string(), None),
        }
    }
}
