//! Handing out rows and taking them back.
