//! Single characters in utf-8, gbk and gb2312.

use takedown::signing::charset::Charset;

use super::{cases, hex, tell, text};

#[test]
fn every_character_has_its_bytes_or_is_refused() {
    let mut ran = 0;
    for case in cases("charset.json") {
        let charset = Charset::from_label(text(&case["charset"])).unwrap();
        let character = text(&case["char"]);
        let expected = match text(&case["expect"]) {
            "reject" => Err(character.chars().next().unwrap()),
            // Decided in the file's own note: the GBK table within the range of GB 2312.
            _ if charset == Charset::Gb2312 => match case["gbk_table_within_gb2312_range_hex"].as_str() {
                Some(bytes) => Ok(hex(bytes)),
                None => Err(character.chars().next().unwrap()),
            },
            _ => Ok(hex(text(&case["python_codec_hex"]))),
        };
        assert_eq!(charset.encode(character), expected, "{} in {}", text(&case["name"]), charset.as_str());
        if let Ok(bytes) = expected {
            assert_eq!(charset.decode(&bytes).as_deref(), Some(character));
        }
        ran += 1;
    }
    tell("charset.json", ran, 33);
}
