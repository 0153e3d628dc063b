//! Dead letters in the file.
