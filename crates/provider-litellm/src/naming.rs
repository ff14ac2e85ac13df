//! The name of the model that answered, where no header says it.

use crate::directory::{ModelInfo, only_model};
use crate::head::Head;
use crate::model_name::ModelName;

/// A `model` in the body that is no group, or else the only model of the group that answered. Empty rather
/// than wrong.
///
/// The body's `model` is usually the group that was asked for, and after a fallback of the proxy another
/// group. Only who knows all groups can tell that it is none.
pub(crate) fn unstated_name(
    stated: &str,
    asked: &str,
    head: &Head,
    models: &[ModelInfo],
) -> ModelName {
    let answering = head.model_group();
    let is_group = models.iter().any(|info| info.group == stated);
    let fell_back = head.trace().attempted_fallbacks > 0;
    let names_no_group = !models.is_empty()
        && !is_group
        && !fell_back
        && stated != asked
        && answering != Some(stated);
    if names_no_group && let Some(name) = ModelName::parse(stated) {
        return name;
    }
    let group = match answering {
        Some(group) => group,
        None if is_group && stated != asked => stated,
        // Another group answered, and nobody says which.
        None if fell_back => return ModelName::default(),
        None => asked,
    };
    only_model(models, group).unwrap_or_default()
}
