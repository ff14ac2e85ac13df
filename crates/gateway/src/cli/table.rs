//! Columns of text.

/// Lines with aligned columns: a header, and rows as wide. The last `right` columns are numbers.
pub(super) fn table(header: &[&str], rows: &[Vec<String>], right: usize) -> String {
    let width = |column: usize| {
        let cells = rows
            .iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count());
        cells
            .chain(header.get(column).map(|cell| cell.chars().count()))
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let first_number = header.len().saturating_sub(right);
    let line = |cells: Vec<&str>| {
        let cells = cells
            .into_iter()
            .zip(&widths)
            .enumerate()
            .map(|(column, (cell, width))| {
                if column >= first_number {
                    format!("{cell:>width$}")
                } else {
                    format!("{cell:<width$}")
                }
            });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let head = line(header.to_vec());
    let body = rows
        .iter()
        .map(|row| line(row.iter().map(String::as_str).collect()));
    std::iter::once(head)
        .chain(body)
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_left_and_numbers_right() {
        let rows = [
            vec!["planner".into(), "0.1".into()],
            vec!["é".into(), "12.25".into()],
        ];
        assert_eq!(
            table(&["alias", "usd"], &rows, 1),
            "alias      usd\nplanner    0.1\né        12.25"
        );
    }
}
