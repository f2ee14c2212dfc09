//! How far apart lifelines stand: the least that satisfies every distance asked for, from the left to the right.

use super::{Columns, MARGIN, PADDING};

/// Distances that are asked for so far.
pub(super) struct Spacing {
    /// From the edge of the picture to the first lifeline, and from the last one to the other edge.
    left: i32,
    right: i32,
    /// Between each lifeline and the next.
    gaps: Vec<i32>,
    /// Between each lifeline and others to its left that are not next to it.
    far: Vec<Vec<(u16, i32)>>,
}

impl Spacing {
    /// Heads of these widths, side by side.
    pub(super) fn new(heads: &[i32]) -> Spacing {
        let ends = |head: Option<&i32>| head.map_or(0, |width| width / 2) + MARGIN;
        Spacing {
            left: ends(heads.first()),
            right: ends(heads.last()),
            gaps: heads.windows(2).map(|pair| i32::midpoint(pair[0], pair[1]) + 2 * PADDING).collect(),
            far: vec![Vec::new(); heads.len()],
        }
    }

    /// The first and the last of `columns` must be that far apart.
    pub(super) fn apart(&mut self, columns: Columns, distance: i32) {
        let (first, last) = (usize::from(columns.first), usize::from(columns.last));
        if first + 1 == last {
            self.gaps[first] = self.gaps[first].max(distance);
        } else if first < last {
            self.far[last].push((columns.first, distance));
        }
    }

    /// Something around `columns` reaches that far beyond them, and keeps clear of the lifelines next to it.
    pub(super) fn beside(&mut self, columns: Columns, left: i32, right: i32) {
        let (first, last) = (usize::from(columns.first), usize::from(columns.last));
        match first.checked_sub(1) {
            Some(gap) => self.gaps[gap] = self.gaps[gap].max(left + PADDING),
            None => self.left = self.left.max(left + MARGIN),
        }
        match self.gaps.get_mut(last) {
            Some(gap) => *gap = (*gap).max(right + PADDING),
            None => self.right = self.right.max(right + MARGIN),
        }
    }

    /// The place of each lifeline, and the right edge of the picture.
    pub(super) fn places(&self) -> (Vec<i32>, i32) {
        let mut places: Vec<i32> = Vec::with_capacity(self.far.len());
        for (index, far) in self.far.iter().enumerate() {
            let near = match index.checked_sub(1) {
                Some(before) => places[before] + self.gaps[before],
                None => self.left,
            };
            let far = far.iter().map(|(first, distance)| places[usize::from(*first)] + distance);
            places.push(far.fold(near, i32::max));
        }
        let right = places.last().map_or(0, |place| place + self.right);
        (places, right)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(first: u16, last: u16) -> Columns {
        Columns { first, last }
    }

    #[test]
    fn lifelines_are_as_far_apart_as_the_widest_thing_between_them() {
        let mut spacing = Spacing::new(&[40, 40, 40]);
        assert_eq!(spacing.places(), (vec![44, 100, 156], 200));
        spacing.apart(columns(0, 1), 90);
        spacing.apart(columns(0, 1), 70);
        assert_eq!(spacing.places(), (vec![44, 134, 190], 234));
        spacing.apart(columns(0, 2), 120);
        assert_eq!(spacing.places(), (vec![44, 134, 190], 234), "there is room enough");
        spacing.apart(columns(0, 2), 200);
        assert_eq!(spacing.places(), (vec![44, 134, 244], 288));
    }

    #[test]
    fn frames_keep_clear_of_the_lifelines_beside_them_and_of_the_edges() {
        let mut spacing = Spacing::new(&[40, 40, 40]);
        spacing.beside(columns(1, 1), 70, 90);
        assert_eq!(spacing.places(), (vec![44, 122, 220], 264));
        spacing.beside(columns(0, 2), 100, 50);
        assert_eq!(spacing.places(), (vec![124, 202, 300], 374));
    }
}
