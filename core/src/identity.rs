//! Resident identity numbers, 公民身份号码 (GB 11643-1999).

use std::fmt;

use crate::invalid::Invalid;
use crate::resident::Sex;
use crate::time::CivilDate;

/// A resident identity number of 18 digits, the last possibly `X`, with a fitting check digit. Old numbers of
/// 15 digits are upgraded. The region code is not checked against today's list: abolished codes stay valid.
/// Personal: `Debug` redacts.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct IdentityNumber([u8; 18]);

const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
const CHECK_DIGITS: &[u8; 11] = b"10X98765432";

impl IdentityNumber {
    /// Accepts a number; blanks are dropped and `x` read as `X`.
    ///
    /// # Errors
    /// [`Invalid::Missing`], [`Invalid::IdentityNumberShape`], [`Invalid::BirthDate`] or [`Invalid::CheckDigit`].
    pub fn new(text: &str) -> Result<Self, Invalid> {
        let mut bytes: Vec<u8> =
            text.bytes().filter(|b| !b.is_ascii_whitespace()).map(|b| b.to_ascii_uppercase()).collect();
        if bytes.is_empty() {
            return Err(Invalid::Missing);
        }
        if bytes.len() == 15 {
            // The old number has a two-digit year of the 20th century and no check digit.
            bytes.splice(6..6, *b"19");
            bytes.push(check_digit(&bytes).ok_or(Invalid::IdentityNumberShape)?);
        }
        let number: [u8; 18] = bytes.try_into().map_err(|_| Invalid::IdentityNumberShape)?;
        let expected = check_digit(&number).ok_or(Invalid::IdentityNumberShape)?;
        let [.., last] = number;
        if !(last.is_ascii_digit() || last == b'X') {
            return Err(Invalid::IdentityNumberShape);
        }
        let number = Self(number);
        number.parse_birth_date()?;
        if last == expected { Ok(number) } else { Err(Invalid::CheckDigit) }
    }

    /// The number in full. Personal: never log it.
    pub fn reveal(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The birth date that it holds.
    pub fn birth_date(&self) -> CivilDate {
        self.parse_birth_date().unwrap_or(CivilDate::MIN)
    }

    /// The sex that it holds: the 17th digit is odd for men.
    pub fn sex(&self) -> Sex {
        let [.., sequence, _] = self.0;
        if sequence % 2 == 1 { Sex::Male } else { Sex::Female }
    }

    /// The number with all but its first three and last two characters hidden.
    pub fn masked(&self) -> String {
        let text = self.reveal();
        format!("{}*************{}", text.get(..3).unwrap_or_default(), text.get(16..).unwrap_or_default())
    }

    fn parse_birth_date(&self) -> Result<CivilDate, Invalid> {
        let number = |from: usize, to: usize| {
            self.reveal()
                .get(from..to)
                .and_then(|digits| digits.parse::<u32>().ok())
                .ok_or(Invalid::BirthDate)
        };
        let year = i32::try_from(number(6, 10)?).map_err(|_| Invalid::BirthDate)?;
        CivilDate::from_ymd(year, number(10, 12)?, number(12, 14)?).map_err(|_| Invalid::BirthDate)
    }
}

/// MOD 11-2 over the first 17 digits; `None` where one of them is not a digit.
fn check_digit(bytes: &[u8]) -> Option<u8> {
    let mut sum = 0;
    for (position, weight) in WEIGHTS.iter().enumerate() {
        let byte = bytes.get(position).filter(|b| b.is_ascii_digit())?;
        sum += u32::from(byte - b'0') * weight;
    }
    CHECK_DIGITS.get(usize::try_from(sum % 11).ok()?).copied()
}

impl fmt::Debug for IdentityNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdentityNumber(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        let check = |text: &str, expect: Result<(&str, &str, Sex), Invalid>| {
            let found = IdentityNumber::new(text);
            let shown = found.as_ref().map(|n| (n.reveal(), n.birth_date().to_string(), n.sex()));
            let expect = expect.map(|(number, date, sex)| (number, date.to_owned(), sex));
            assert_eq!(shown, expect.as_ref().map(|(n, d, s)| (*n, d.clone(), *s)), "{text}");
        };
        // The two samples of the standard.
        check("11010519491231002X", Ok(("11010519491231002X", "1949-12-31", Sex::Female)));
        check(" 11010519491231002x ", Ok(("11010519491231002X", "1949-12-31", Sex::Female)));
        check("440524188001010014", Ok(("440524188001010014", "1880-01-01", Sex::Male)));
        check("110105491231002", Ok(("11010519491231002X", "1949-12-31", Sex::Female)));
        check("110105194912310021", Err(Invalid::CheckDigit));
        check("11010519490231002X", Err(Invalid::BirthDate));
        check("1101051949123100", Err(Invalid::IdentityNumberShape));
        check("11010519491231A02X", Err(Invalid::IdentityNumberShape));
        check("", Err(Invalid::Missing));
    }
}
