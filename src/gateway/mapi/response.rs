//! Reading and verifying the XML answer.
