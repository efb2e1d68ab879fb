//! The rules in CEL: a compiled program for each condition and date, variables that are looked up where they lie.

use cel::common::types::{CelBool, CelInt};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use cel::{Context, Program, Value};

use crate::people::Person;
use crate::table::{DERIVED, NEVER, ROWS, Said, say};

/// The compiled table.
pub struct Rules {
    derived: Vec<Program>,
    /// Condition and date of each row.
    rows: Vec<(Program, Program)>,
    functions: Context<'static, 'static>,
}

/// What is known of a resident, and what follows from it.
pub struct Variables {
    today: CelInt,
    key_grade: CelInt,
    notice_days: CelInt,
    kind: CelInt,
    kind_since: CelInt,
    grade: CelInt,
    grade_since: CelInt,
    severely_since: CelInt,
    until: CelInt,
    adult_on: CelInt,
    never: CelInt,
    none: CelInt,
    until_known: CelBool,
    severely: CelBool,
    alone: CelBool,
    mobility: CelBool,
    hearing: CelBool,
    sight: CelBool,
    guardian: CelBool,
    dog: CelBool,
    since: CelInt,
    member: CelBool,
    valid: CelBool,
    severe: CelBool,
    child: CelBool,
}

impl VariableResolver for Variables {
    fn resolve<'b>(&'b self, name: &str) -> Option<CowVal<'b, 'b>> {
        let value: &dyn Val = match name {
            "today" => &self.today,
            "key_grade" => &self.key_grade,
            "notice_days" => &self.notice_days,
            "kind" => &self.kind,
            "kind_since" => &self.kind_since,
            "grade" => &self.grade,
            "grade_since" => &self.grade_since,
            "severely_since" => &self.severely_since,
            "until" => &self.until,
            "adult_on" => &self.adult_on,
            "never" => &self.never,
            "none" => &self.none,
            "until_known" => &self.until_known,
            "severely" => &self.severely,
            "alone" => &self.alone,
            "mobility" => &self.mobility,
            "hearing" => &self.hearing,
            "sight" => &self.sight,
            "guardian" => &self.guardian,
            "dog" => &self.dog,
            "since" => &self.since,
            "member" => &self.member,
            "valid" => &self.valid,
            "severe" => &self.severe,
            "child" => &self.child,
            _ => return None,
        };
        Some(CowVal::Borrowed(value))
    }
}

impl Variables {
    /// Of a resident.
    pub fn of(person: &Person) -> Self {
        let int = |number: i32| CelInt::from(i64::from(number));
        let no = || CelBool::from(false);
        Self {
            today: int(person.today),
            key_grade: int(person.key_grade),
            notice_days: int(person.notice_days),
            kind: int(person.kind),
            kind_since: int(person.kind_since),
            grade: int(person.grade),
            grade_since: int(person.grade_since),
            severely_since: int(person.severely_since),
            until: int(person.until),
            adult_on: int(person.adult_on),
            never: int(NEVER),
            none: int(0),
            until_known: CelBool::from(person.until_known),
            severely: CelBool::from(person.severely),
            alone: CelBool::from(person.alone),
            mobility: CelBool::from(person.mobility),
            hearing: CelBool::from(person.hearing),
            sight: CelBool::from(person.sight),
            guardian: CelBool::from(person.guardian),
            dog: CelBool::from(person.dog),
            since: int(NEVER),
            member: no(),
            valid: no(),
            severe: no(),
            child: no(),
        }
    }

    fn derive(&mut self, name: &str, value: &Value) -> Result<(), String> {
        match (name, value) {
            ("since", Value::Int(since)) => self.since = CelInt::from(*since),
            ("member", Value::Bool(yes)) => self.member = CelBool::from(*yes),
            ("valid", Value::Bool(yes)) => self.valid = CelBool::from(*yes),
            ("severe", Value::Bool(yes)) => self.severe = CelBool::from(*yes),
            ("child", Value::Bool(yes)) => self.child = CelBool::from(*yes),
            _ => return Err(format!("`{name}` is {value:?}")),
        }
        Ok(())
    }
}

impl Rules {
    /// Compiles the table.
    pub fn compile() -> Result<Self, String> {
        let program = |text: &str| {
            let text = text.replace(" and ", " && ").replace(" or ", " || ");
            Program::compile(&text).map_err(|error| format!("{text}: {error}"))
        };
        let mut functions = Context::default();
        functions.add_function("min", cel::functions::min).map_err(|error| error.to_string())?;
        let rows = ROWS.iter().map(|row| Ok((program(row.when)?, program(row.date)?)));
        Ok(Self {
            derived: DERIVED.iter().map(|(_, text)| program(text)).collect::<Result<_, String>>()?,
            rows: rows.collect::<Result<_, String>>()?,
            functions,
        })
    }

    /// Decides about one resident.
    pub fn decide(
        &self,
        resident: usize,
        variables: &mut Variables,
        said: &mut Vec<Said>,
    ) -> Result<(), String> {
        let error = |error: cel::ExecutionError| error.to_string();
        for ((name, _), program) in DERIVED.iter().zip(&self.derived) {
            let value = program.execute(&scope(&self.functions, variables)).map_err(error)?;
            variables.derive(name, &value)?;
        }
        if !*variables.member.inner() {
            return Ok(());
        }
        let context = scope(&self.functions, variables);
        for (row, (when, date)) in self.rows.iter().enumerate() {
            match when.execute(&context).map_err(error)? {
                Value::Bool(false) => {}
                Value::Bool(true) => match date.execute(&context).map_err(error)? {
                    Value::Int(date) => say(said, resident, row, date as i32),
                    other => return Err(format!("the date of row {row} is {other:?}")),
                },
                other => return Err(format!("the condition of row {row} is {other:?}")),
            }
        }
        Ok(())
    }
}

/// The functions of CEL, and the variables of one resident.
fn scope<'v>(functions: &'v Context<'v, 'v>, variables: &'v Variables) -> Context<'v, 'v> {
    let mut scope = functions.new_inner_scope();
    scope.set_variable_resolver(variables);
    scope
}
