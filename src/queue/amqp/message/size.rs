//! How much of a frame the headers of a message take, at most (AMQP 0-9-1, section 4.2.5.5, field tables).

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};

/// Returns the most bytes the headers take.
pub(in crate::queue::amqp) fn header_bytes(properties: &BasicProperties) -> usize {
    properties.headers().as_ref().map_or(0, of_table)
}

/// Returns the most bytes one header takes.
pub(super) fn of_pair(key: &ShortString, value: &AMQPValue) -> usize {
    1 + key.as_str().len() + of_value(value)
}

fn of_table(table: &FieldTable) -> usize {
    4 + table.inner().iter().map(|(key, value)| of_pair(key, value)).sum::<usize>()
}

/// A letter for the type, and a length before what has none of its own.
fn of_value(value: &AMQPValue) -> usize {
    5 + match value {
        AMQPValue::LongString(text) => text.len(),
        AMQPValue::ByteArray(bytes) => bytes.len(),
        AMQPValue::ShortString(text) => text.as_str().len(),
        AMQPValue::FieldTable(table) => of_table(table),
        AMQPValue::FieldArray(array) => array.as_slice().iter().map(of_value).sum(),
        // Numbers and times, the longest of eight bytes.
        _ => 8,
    }
}

#[cfg(test)]
mod tests {
    use lapin::types::FieldArray;

    use super::*;

    #[test]
    fn headers_are_counted_with_all_that_lies_in_them() {
        assert_eq!(header_bytes(&BasicProperties::default()), 0);
        let mut inner = FieldTable::default();
        inner.insert("note".into(), AMQPValue::LongString("x".repeat(1000).into()));
        let array = FieldArray::from(vec![AMQPValue::FieldTable(inner), AMQPValue::LongLongInt(1)]);
        let mut headers = FieldTable::default();
        headers.insert("all".into(), AMQPValue::FieldArray(array));
        let bytes = header_bytes(&BasicProperties::default().with_headers(headers));
        let encoded = 4 + (1 + 3) + (1 + 4) + (1 + (4 + (1 + 4) + (1 + 4 + 1000))) + (1 + 8);
        assert!((encoded..encoded + 16).contains(&bytes), "{bytes} of {encoded}");
    }
}
