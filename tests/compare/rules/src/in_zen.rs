//! The rules as a decision of ZEN: a node of expressions for what follows from the facts, a switch that lets nobody
//! further who is no member, and a decision table that collects every row that applies. Compiled beforehand.

use std::sync::Arc;

use futures_executor::block_on;
use serde_json::{Value, json};
use zen_engine::Decision;
use zen_engine::model::GraphContent;
use zen_expression::variable::{Symbol, Variable, VariableMap};

use crate::people::Person;
use crate::table::{DERIVED, FLAGS, NEVER, NUMBERS, ROWS, Said, say};

/// The compiled decision.
pub struct Rules(Decision);

impl Rules {
    /// Makes and compiles the decision.
    pub fn compile() -> Result<Self, String> {
        let expressions: Vec<Value> = DERIVED
            .iter()
            .map(|(name, text)| json!({ "id": format!("derived-{name}"), "key": name, "value": text }))
            .collect();
        let rows: Vec<Value> = ROWS
            .iter()
            .enumerate()
            .map(|(number, row)| {
                json!({ "_id": format!("row-{number}"), "when": row.when, "row": number.to_string(), "date": row.date })
            })
            .collect();
        let content = json!({
            "nodes": [
                { "id": "in", "name": "in", "type": "inputNode", "content": {} },
                { "id": "derive", "name": "derive", "type": "expressionNode",
                  "content": { "passThrough": true, "expressions": expressions } },
                { "id": "switch", "name": "switch", "type": "switchNode",
                  "content": { "hitPolicy": "first", "statements": [{ "id": "is-member", "condition": "member" }] } },
                { "id": "table", "name": "table", "type": "decisionTableNode", "content": {
                    "hitPolicy": "collect",
                    "inputs": [{ "id": "when", "name": "when" }],
                    "outputs": [
                        { "id": "row", "name": "row", "field": "row" },
                        { "id": "date", "name": "date", "field": "date" },
                    ],
                    "rules": rows,
                    "outputPath": "found",
                } },
                { "id": "out", "name": "out", "type": "outputNode", "content": {} },
            ],
            "edges": [
                { "id": "1", "sourceId": "in", "targetId": "derive" },
                { "id": "2", "sourceId": "derive", "targetId": "switch" },
                { "id": "3", "sourceId": "switch", "targetId": "table", "sourceHandle": "is-member" },
                { "id": "4", "sourceId": "table", "targetId": "out" },
            ],
        });
        let mut content: GraphContent = serde_json::from_value(content).map_err(|error| error.to_string())?;
        content.compile();
        let decision = Decision::from(Arc::new(content));
        decision.validate().map_err(|error| format!("{error:?}"))?;
        Ok(Self(decision))
    }

    /// Decides about one resident.
    pub fn decide(&self, resident: usize, variables: Variable, said: &mut Vec<Said>) -> Result<(), String> {
        let response = block_on(self.0.evaluate(variables)).map_err(|error| format!("{error:?}"))?;
        let Variable::Object(result) = &response.result else { return Ok(()) };
        let result = result.borrow();
        let Some(Variable::Array(found)) = result.get_str("found") else { return Ok(()) };
        for row in found.borrow().iter() {
            let Variable::Object(row) = row else { return Err(format!("a row is {row:?}")) };
            let row = row.borrow();
            let number = |name| row.get_str(name).and_then(whole).ok_or(format!("a row lacks `{name}`"));
            say(said, resident, number("row")? as usize, number("date")?);
        }
        Ok(())
    }
}

fn whole(value: &Variable) -> Option<i32> {
    let Variable::Number(number) = value else { return None };
    (*number).try_into().ok()
}

/// What is known of a resident, as ZEN takes it.
pub fn variables(person: &Person) -> Variable {
    let numbers = [
        person.today,
        person.key_grade,
        person.notice_days,
        person.kind,
        person.kind_since,
        person.grade,
        person.grade_since,
        person.severely_since,
        person.until,
        person.adult_on,
        NEVER,
        0,
    ];
    let flags = [
        person.until_known,
        person.severely,
        person.alone,
        person.mobility,
        person.hearing,
        person.sight,
        person.guardian,
        person.dog,
    ];
    let mut map = VariableMap::with_capacity(NUMBERS.len() + FLAGS.len());
    for (name, number) in NUMBERS.into_iter().zip(numbers) {
        map.insert(Symbol::from_static(name), Variable::Number(number.into()));
    }
    for (name, yes) in FLAGS.into_iter().zip(flags) {
        map.insert(Symbol::from_static(name), Variable::Bool(yes));
    }
    Variable::from_object(map)
}
