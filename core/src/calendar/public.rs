//! Public holidays, make-up workdays 调休 and school terms, year by year.
//!
//! Days off and make-up days are those of the State Council's notices (2025: 国办发明电〔2024〕12号; 2026: notice of
//! 2025-11-04). School terms are an editable default of this product: every education bureau sets its own.
//! To add a year, add its entry below; nothing is guessed for a year that is not here.

/// What is known of one year, as month × 100 + day.
pub(super) struct YearData {
    /// The year.
    pub(super) year: i32,
    /// Days off that would otherwise be workdays or weekends: first and last day.
    pub(super) off: &'static [(u16, u16)],
    /// Weekend days on which people work.
    pub(super) make_up: &'static [u16],
    /// School terms: first and last day.
    pub(super) terms: &'static [(u16, u16)],
}

/// The years, in order.
pub(super) static YEARS: &[YearData] = &[
    YearData {
        year: 2025,
        off: &[(101, 101), (128, 204), (404, 406), (501, 505), (531, 602), (1001, 1008)],
        make_up: &[126, 208, 427, 928, 1011],
        terms: &[(101, 117), (217, 704), (901, 1231)],
    },
    YearData {
        year: 2026,
        off: &[(101, 103), (215, 223), (404, 406), (501, 505), (619, 621), (925, 927), (1001, 1007)],
        make_up: &[104, 214, 228, 509, 920, 1010],
        terms: &[(101, 130), (302, 710), (901, 1231)],
    },
];
