//! Semantic versions.

use std::rc::Rc;

use super::{Call, Function, function};
use crate::secret::template::{
    error::Fault,
    semver::{Version, satisfies},
    value::Value,
};

pub(super) const FUNCTIONS: &[Function] = &[
    function("semver", 1, 1, |call| Ok(Value::Version(Rc::new(version(call, 0)?)))),
    function("semverCompare", 2, 2, |call| {
        let range = call.utf8(0)?;
        call.budget.charge(range.len().saturating_mul(256))?;
        let range = satisfies(range, &version(call, 1)?).ok_or(Fault::refused("the range of versions is malformed"))?;
        Ok(Value::Bool(range))
    }),
];

fn version(call: &Call<'_>, index: usize) -> Result<Version, Fault> {
    Version::parse(call.utf8(index)?).ok_or(Fault::refused("the text is not a version"))
}
