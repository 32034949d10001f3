//! Tables that fit the terminal.

use anstyle::Style;

use super::HEAD;

/// Between two columns.
const GAP: usize = 2;

/// A column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    pub(crate) title: &'static str,
    /// Characters that it keeps where the table has to shrink; what is cut off ends in an ellipsis.
    pub(crate) least: usize,
    /// The columns with the highest number go first where shrinking is not enough; 0 stays.
    pub(crate) sacrifice: u8,
}

/// A cell: its text and how it is shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// A cell in a style.
    pub(crate) fn styled(text: impl Into<String>, style: Style) -> Self {
        Self { text: text.into(), style }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { text: text.into(), style: Style::new() }
    }
}

/// A table; every row has a cell for each column.
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    pub(crate) const fn new(columns: Vec<Column>) -> Self {
        Self { columns, rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// Takes the rows out, so that more can follow in the same columns.
    pub(crate) fn clear(&mut self) {
        self.rows.clear();
    }

    /// The width of each column within `width` characters; 0 is a column that is left out.
    pub(crate) fn fit(&self, width: Option<usize>) -> Vec<usize> {
        let natural = |(index, column): (usize, &Column)| {
            let cells = self.rows.iter().filter_map(|row| row.get(index));
            cells.map(|cell| cell.text.chars().count()).max().unwrap_or_default().max(column.title.len())
        };
        let mut widths: Vec<usize> = self.columns.iter().enumerate().map(natural).collect();
        let Some(width) = width else { return widths };
        let total = |widths: &[usize]| {
            let shown = widths.iter().filter(|width| **width > 0);
            shown.clone().sum::<usize>() + GAP * shown.count().saturating_sub(1)
        };
        loop {
            let excess = total(&widths).saturating_sub(width);
            if excess == 0 {
                return widths;
            }
            // The widest that may give, down to its least.
            let spare = |index: usize| widths[index].saturating_sub(self.columns[index].least.max(1));
            let giver = (0..widths.len()).filter(|index| spare(*index) > 0).max_by_key(|index| widths[*index]);
            if let Some(giver) = giver {
                widths[giver] -= spare(giver).min(excess.div_ceil(2));
                continue;
            }
            let last = |index: &usize| widths[*index] > 0 && self.columns[*index].sacrifice > 0;
            let Some(goes) = (0..widths.len()).filter(last).max_by_key(|index| self.columns[*index].sacrifice) else {
                return widths;
            };
            widths[goes] = 0;
        }
    }

    /// The same with room for one more row, which is not shown.
    pub(crate) fn fit_with(&mut self, width: Option<usize>, row: Vec<Cell>) -> Vec<usize> {
        self.rows.push(row);
        let widths = self.fit(width);
        self.rows.pop();
        widths
    }

    /// The titles.
    pub(crate) fn header(&self, widths: &[usize]) -> String {
        let cells: Vec<Cell> = self.columns.iter().map(|column| Cell::styled(column.title, HEAD)).collect();
        line(&cells, widths)
    }

    /// The rows.
    pub(crate) fn body(&self, widths: &[usize]) -> String {
        self.rows.iter().map(|row| line(row, widths)).collect()
    }

    /// Titles and rows.
    pub(crate) fn render(&self, width: Option<usize>) -> String {
        let widths = self.fit(width);
        self.header(&widths) + &self.body(&widths)
    }
}

fn line(cells: &[Cell], widths: &[usize]) -> String {
    let mut line = String::new();
    let last = widths.iter().rposition(|width| *width > 0);
    for (index, (cell, width)) in cells.iter().zip(widths).enumerate().filter(|(_, (_, width))| **width > 0) {
        let length = cell.text.chars().count();
        // What came from a cluster may not steer the terminal.
        let text = cell.text.chars().map(|c| if c.is_control() { ' ' } else { c });
        let cut: String =
            if length > *width { text.take(width.saturating_sub(1)).chain(['…']).collect() } else { text.collect() };
        let style = cell.style;
        line.push_str(&format!("{style}{cut}{style:#}"));
        if Some(index) != last {
            line.extend(std::iter::repeat_n(' ', width.saturating_sub(length) + GAP));
        }
    }
    line.truncate(line.trim_end().len());
    line.push('\n');
    line
}

/// The width of the terminal on standard output, or what `COLUMNS` says; `None` where nobody reads in columns.
pub(crate) fn width() -> Option<usize> {
    let told = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let seen = rustix::termios::tcgetwinsize(std::io::stdout()).ok().map(|size| usize::from(size.ws_col));
    seen.filter(|columns| *columns > 0).or(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let column = |title, least, sacrifice| Column { title, least, sacrifice };
        let mut table = Table::new(vec![column("NAME", 6, 0), column("STATE", 5, 0), column("AGE", 3, 1)]);
        table.row(vec!["a-name-of-some-length".into(), "Synced".into(), "5d".into()]);
        table
    }

    #[test]
    fn columns_shrink_before_they_go() {
        let widest = |width| {
            let text = anstream::adapter::strip_str(&table().render(width)).to_string();
            (text.lines().map(|line| line.chars().count()).max().unwrap(), text)
        };
        assert!(widest(None).1.contains("a-name-of-some-length  Synced  5d"));
        for width in [30, 25, 20] {
            let (wide, text) = widest(Some(width));
            assert!(wide <= width && text.contains("AGE") && text.contains('…'), "{width}: {text}");
        }
        let (wide, text) = widest(Some(14));
        assert!(wide <= 14 && !text.contains("AGE") && text.contains("a-nam…"), "{text}");
    }
}
