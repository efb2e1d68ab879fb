//! Attributes that rules read, out of single cells, and cells that list several words.

use linli_core::resident::FactValue;
use linli_core::text::Line;

use super::column::{FactColumn, FactKind, lists};
use super::problem::Fault;
use super::sheet::{Cell, half_width};
use super::value;

/// The value of an attribute; `title` is that of its column in normal spelling.
pub(super) fn fact_value(cell: &Cell, fact: &FactColumn, title: &str) -> Result<FactValue, Fault> {
    if *cell == Cell::Error {
        return Err(Fault::ErrorValue);
    }
    let word = half_width(&cell.shown()).trim().to_lowercase();
    match fact.kind {
        FactKind::Bool | FactKind::NotBool => {
            // 听力 holds 受损 rather than 是.
            let worse = [
                "受损",
                "障碍",
                "有障碍",
                "差",
                "弱",
                "重听",
                "失聪",
                "耳聋",
                "失明",
                "不便",
                "困难",
                "impaired",
            ];
            let better = ["良好", "好", "完好", "无障碍", "能自理", "方便", "可", "good"];
            let yes = value::yes_or_no(cell, title, &worse, &better)?;
            Ok(FactValue::Bool(yes == (fact.kind == FactKind::Bool)))
        }
        FactKind::Integer => Ok(FactValue::Integer(value::integer(cell)?)),
        FactKind::Date => Ok(FactValue::Date(value::date(cell)?)),
        FactKind::FreeCode => Ok(FactValue::Code(word)),
        FactKind::Text => Ok(FactValue::Text(Line::new(&cell.shown())?.as_str().to_owned())),
        FactKind::Code(known) => known
            .iter()
            .find(|(code, words)| *code == word || lists(words, &word))
            .map(|(code, _)| FactValue::Code((*code).to_owned()))
            .ok_or_else(|| Fault::UnknownWord {
                accepted: known
                    .iter()
                    .filter_map(|(_, words)| words.split_whitespace().next())
                    .collect::<Vec<_>>()
                    .join(", "),
            }),
        FactKind::Scale(known) => {
            let number = value::integer(cell).ok();
            known
                .iter()
                .find(|(level, words)| Some(*level) == number || lists(words, &word))
                .map(|(level, _)| FactValue::Integer(*level))
                .ok_or_else(|| Fault::UnknownWord {
                    accepted: known
                        .iter()
                        .filter_map(|(level, words)| {
                            Some(format!("{level} {}", words.split_whitespace().next()?))
                        })
                        .collect::<Vec<_>>()
                        .join(", "),
                })
        }
    }
}

/// The words of a cell that lists several.
pub(super) fn words(text: &str) -> Vec<String> {
    text.split(|c: char| c.is_whitespace() || matches!(c, '、' | ',' | ';' | '/' | '|' | '+' | '。' | '.'))
        .map(|word| word.trim().to_lowercase())
        .filter(|word| !word.is_empty())
        .collect()
}
