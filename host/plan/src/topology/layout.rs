//! Where everything goes, as network people draw it: the host and routers above, switches as bars, what hangs on
//! one of them beneath it in a grid, and wires with right angles. In pixels.

use super::{Kind, Topology, port_line};

/// A line of text, and a character of it.
pub(super) const LINE: i32 = 15;
const CHARACTER: i32 = 7;
/// Around what stands in a box.
pub(super) const PAD: i32 = 12;
/// A node's name.
pub(super) const HEAD: i32 = 22;
pub(super) const BAR: i32 = 24;
/// Between boxes side by side, and from a wire that passes them to the next such.
const BESIDE: i32 = 28;
const LANE: i32 = 8;
/// Between rows, without the lanes of the wires there.
const BELOW: i32 = 36;
const MARGIN: i32 = 24;
/// What hangs on one node stands in so many columns at most.
const COLUMNS: usize = 8;
/// The least distance between two wires at a box, so that their names have room.
const PORT: i32 = 64;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Rect {
    pub(super) x: i32,
    pub(super) y: i32,
    pub(super) width: i32,
    pub(super) height: i32,
}

impl Rect {
    fn middle(&self) -> i32 {
        self.x + self.width / 2
    }

    fn bottom(&self) -> i32 {
        self.y + self.height
    }
}

pub(super) struct Layout {
    pub(super) width: i32,
    pub(super) height: i32,
    /// Of each node.
    pub(super) boxes: Vec<Rect>,
    /// Of each wire, its corners.
    pub(super) paths: Vec<Vec<(i32, i32)>>,
    /// Names of interfaces at the ends of wires, where a node has several: the middle of the line, and the name.
    pub(super) labels: Vec<((i32, i32), String)>,
}

/// What stands in a row.
#[derive(Debug)]
enum Item {
    /// One node.
    Node(usize),
    /// A switch, and beneath it what hangs on nothing else.
    Bar(usize, Grid),
    /// What hangs on one node of the row above, and on nothing else.
    Grid(Grid),
}

#[derive(Debug)]
struct Grid {
    leaves: Vec<usize>,
    columns: usize,
    column_width: i32,
    row_height: i32,
}

impl Grid {
    fn rows(&self) -> usize {
        self.leaves.len().div_ceil(self.columns)
    }

    /// From one column to the next: wires to lower rows pass between them.
    fn pitch(&self) -> i32 {
        self.column_width + BESIDE + LANE * (self.rows() as i32 - 1)
    }

    /// The passage beside the first column.
    fn lead(&self) -> i32 {
        if self.rows() > 1 { self.pitch() - self.column_width } else { 0 }
    }

    fn width(&self) -> i32 {
        let columns = self.columns.min(self.leaves.len()) as i32;
        self.lead() + columns * self.pitch() - (self.pitch() - self.column_width)
    }

    fn height(&self) -> i32 {
        self.rows() as i32 * (self.row_height + BELOW) - BELOW
    }
}

struct Drawing<'t> {
    topology: &'t Topology,
    /// The wires of each node.
    wires: Vec<Vec<usize>>,
    sizes: Vec<(i32, i32)>,
    boxes: Vec<Rect>,
    /// The row of each node, and the hub on which it hangs, for those that stand in a grid.
    row: Vec<usize>,
    hub: Vec<Option<usize>>,
    /// In which of a grid's own rows.
    grid_row: Vec<i32>,
}

pub(super) fn arrange(topology: &Topology) -> Layout {
    let mut drawing = Drawing::new(topology);
    let rows = drawing.rows();
    let across = drawing.wires_across(&rows);
    drawing.place(&rows, &across)
}

impl<'t> Drawing<'t> {
    fn new(topology: &'t Topology) -> Self {
        let count = topology.nodes.len();
        let mut wires = vec![Vec::new(); count];
        for (number, wire) in topology.wires.iter().enumerate() {
            for (node, _) in wire.ends {
                wires[node].push(number);
            }
        }
        let sizes = topology.nodes.iter().zip(&wires).map(|(node, wires)| size(node, wires.len())).collect();
        let (boxes, row, hub) = (vec![Rect::default(); count], vec![0; count], vec![None; count]);
        Drawing { topology, wires, sizes, boxes, row, hub, grid_row: vec![0; count] }
    }

    fn other(&self, wire: usize, node: usize) -> usize {
        let [(a, _), (b, _)] = self.topology.wires[wire].ends;
        if a == node { b } else { a }
    }

    fn is_switch(&self, node: usize) -> bool {
        self.topology.nodes[node].kind == Kind::Switch
    }

    /// Who stands in which row: by the distance from the host, switches last.
    fn rows(&mut self) -> Vec<Vec<Item>> {
        let count = self.topology.nodes.len();
        for node in 0..count {
            let [wire] = self.wires[node][..] else { continue };
            let hub = self.other(wire, node);
            let hangs = !self.is_switch(node)
                && self.topology.nodes[node].kind != Kind::Host
                && (self.is_switch(hub) || self.wires[hub].len() > 1);
            self.hub[node] = hangs.then_some(hub);
        }
        let upper: Vec<usize> =
            (0..count).filter(|node| !self.is_switch(*node) && self.hub[*node].is_none()).collect();
        let mut rows: Vec<Vec<Item>> = Vec::new();
        let mut seen = vec![false; count];
        // From the host outwards; then from whatever else is there.
        let host = |node: &&usize| self.topology.nodes[**node].kind == Kind::Host;
        let starts: Vec<usize> =
            upper.iter().filter(host).chain(upper.iter().filter(|n| !host(n))).copied().collect();
        for start in starts {
            let mut front = if seen[start] { Vec::new() } else { vec![start] };
            seen[start] = true;
            let mut depth = 0;
            while !front.is_empty() {
                let mut next = Vec::new();
                for node in front {
                    if rows.len() <= depth {
                        rows.resize_with(depth + 1, Vec::new);
                    }
                    rows[depth].push(Item::Node(node));
                    self.row[node] = depth;
                    for wire in self.wires[node].clone() {
                        let other = self.other(wire, node);
                        if !seen[other] && !self.is_switch(other) && self.hub[other].is_none() {
                            seen[other] = true;
                            next.push(other);
                        }
                    }
                }
                (front, depth) = (next, depth + 1);
            }
        }
        for node in upper {
            let leaves = self.leaves(node);
            if !leaves.is_empty() {
                let depth = self.row[node] + 1;
                if rows.len() <= depth {
                    rows.resize_with(depth + 1, Vec::new);
                }
                leaves.iter().for_each(|leaf| self.row[*leaf] = depth);
                rows[depth].push(Item::Grid(self.grid(leaves, COLUMNS)));
            }
        }
        let switches: Vec<usize> = (0..count).filter(|node| self.is_switch(*node)).collect();
        let columns = (COLUMNS / switches.len().max(1)).max(2);
        let bars: Vec<Item> = switches
            .iter()
            .map(|switch| Item::Bar(*switch, self.grid(self.leaves(*switch), columns)))
            .collect();
        for switch in switches {
            self.row[switch] = rows.len();
        }
        if !bars.is_empty() {
            rows.push(bars);
        }
        rows
    }

    fn leaves(&self, hub: usize) -> Vec<usize> {
        (0..self.hub.len()).filter(|node| self.hub[*node] == Some(hub)).collect()
    }

    fn grid(&self, leaves: Vec<usize>, columns: usize) -> Grid {
        let widest = leaves.iter().map(|leaf| self.sizes[*leaf].0).max().unwrap_or(0);
        let highest = leaves.iter().map(|leaf| self.sizes[*leaf].1).max().unwrap_or(0);
        Grid { columns: columns.min(leaves.len()).max(1), leaves, column_width: widest, row_height: highest }
    }

    fn width(&self, item: &Item) -> i32 {
        match item {
            Item::Node(node) => self.sizes[*node].0,
            Item::Grid(grid) => grid.width(),
            Item::Bar(node, grid) => self.sizes[*node].0.max(grid.width()),
        }
    }

    fn height(&self, item: &Item) -> i32 {
        match item {
            Item::Node(node) => self.sizes[*node].1,
            Item::Grid(grid) => grid.height(),
            Item::Bar(_, grid) if grid.leaves.is_empty() => BAR,
            Item::Bar(_, grid) => BAR + BELOW + grid.height(),
        }
    }

    /// How many wires have their level part below each row; the last number is that of those that pass by at
    /// the side.
    fn wires_across(&self, rows: &[Vec<Item>]) -> (Vec<i32>, i32) {
        let (mut below, mut beside) = (vec![0; rows.len() + 1], 0);
        for wire in 0..self.topology.wires.len() {
            match self.course(wire) {
                Course::Hangs => {}
                Course::Down { from, .. } => below[from + 1] += 1,
                Course::Level { row, .. } => below[if self.is_bars(rows, row) { row } else { row + 1 }] += 1,
                Course::Around { from, to } => {
                    below[from + 1] += 1;
                    below[to] += 1;
                    beside += 1;
                }
            }
        }
        (below, beside)
    }

    fn is_bars(&self, rows: &[Vec<Item>], row: usize) -> bool {
        matches!(rows[row].first(), Some(Item::Bar(..)))
    }

    fn course(&self, wire: usize) -> Course {
        let [a, b] = self.topology.wires[wire].ends.map(|(node, _)| node);
        let hangs = |leaf: usize, hub: usize| self.hub[leaf] == Some(hub) && self.is_switch(hub);
        let (from, to) = (self.row[a].min(self.row[b]), self.row[a].max(self.row[b]));
        match to - from {
            _ if hangs(a, b) || hangs(b, a) => Course::Hangs,
            0 => Course::Level { row: from },
            1 => Course::Down { from },
            _ => Course::Around { from, to },
        }
    }

    fn place(mut self, rows: &[Vec<Item>], (below, beside): &(Vec<i32>, i32)) -> Layout {
        let left = MARGIN + LANE * (beside + 1);
        let row_width =
            |row: &Vec<Item>| row.iter().map(|item| self.width(item) + BESIDE).sum::<i32>() - BESIDE;
        let widest = rows.iter().map(row_width).max().unwrap_or(0).max(PORT);
        let starts: Vec<i32> = rows.iter().map(|row| left + (widest - row_width(row)) / 2).collect();
        let mut y = MARGIN + if below[0] > 0 { BELOW / 2 + LANE * below[0] } else { 0 };
        // Where the lanes above each row begin.
        let mut lanes = vec![MARGIN];
        for (number, row) in rows.iter().enumerate() {
            let mut x = starts[number];
            for item in row {
                self.put(item, x, y);
                x += self.width(item) + BESIDE;
            }
            y += row.iter().map(|item| self.height(item)).max().unwrap_or(0);
            lanes.push(y + BELOW / 2);
            y += BELOW + LANE * below[number + 1];
        }
        let height = y - BELOW + MARGIN;
        let paths = self.wire(rows, &mut lanes);
        let labels = self.labels(&paths);
        Layout { width: left + widest + MARGIN, height, boxes: self.boxes, paths, labels }
    }

    fn put(&mut self, item: &Item, x: i32, y: i32) {
        match item {
            Item::Node(node) => {
                let (width, height) = self.sizes[*node];
                self.boxes[*node] = Rect { x, y, width, height };
            }
            Item::Grid(grid) => self.put_grid(grid, x, y),
            Item::Bar(node, grid) => {
                let width = self.sizes[*node].0.max(grid.width());
                self.boxes[*node] = Rect { x, y, width, height: BAR };
                self.put_grid(grid, x + (width - grid.width()) / 2, y + BAR + BELOW);
            }
        }
    }

    fn put_grid(&mut self, grid: &Grid, x: i32, y: i32) {
        for (number, leaf) in grid.leaves.iter().enumerate() {
            let (column, row) = ((number % grid.columns) as i32, (number / grid.columns) as i32);
            self.grid_row[*leaf] = row;
            self.boxes[*leaf] = Rect {
                x: x + grid.lead() + column * grid.pitch(),
                y: y + row * (grid.row_height + BELOW),
                width: grid.column_width,
                height: grid.row_height,
            };
        }
    }

    /// Where a wire passes the boxes above this one in its grid; none if there are none.
    fn passage(&self, leaf: usize) -> Option<i32> {
        let row = self.grid_row[leaf];
        (row > 0).then(|| self.boxes[leaf].x - BESIDE / 2 - LANE * (row - 1))
    }

    /// The wires' corners. Those of one gap take its lanes in an order in which few of them cross.
    fn wire(&self, rows: &[Vec<Item>], lanes: &mut [i32]) -> Vec<Vec<(i32, i32)>> {
        let mut paths = vec![Vec::new(); self.topology.wires.len()];
        let mut order: Vec<usize> = (0..paths.len()).collect();
        order.sort_by_key(|wire| self.turn(*wire));
        let mut side = MARGIN;
        for wire in order {
            paths[wire] = self.path(wire, rows, lanes, &mut side);
        }
        paths
    }

    /// To the left: the leftmost first; to the right: the rightmost first.
    fn turn(&self, wire: usize) -> (bool, i32) {
        let [upper, lower] = self.downwards(wire).map(|(node, _)| node);
        let from = self.at(upper, wire, self.edge(upper, wire));
        let right = self.boxes[lower].middle() > from;
        (right, if right { -from } else { from })
    }

    /// A wire's ends, the one that is drawn above first.
    fn downwards(&self, wire: usize) -> [(usize, usize); 2] {
        let ends = self.topology.wires[wire].ends;
        let [a, b] = ends.map(|(node, _)| node);
        let in_order = match self.course(wire) {
            Course::Hangs => self.is_switch(a),
            _ => self.row[a] <= self.row[b],
        };
        if in_order { ends } else { [ends[1], ends[0]] }
    }

    fn path(&self, wire: usize, rows: &[Vec<Item>], lanes: &mut [i32], side: &mut i32) -> Vec<(i32, i32)> {
        let [upper, lower] = self.downwards(wire).map(|(node, _)| node);
        let mut lane = |gap: usize| {
            lanes[gap] += LANE;
            lanes[gap] - LANE
        };
        let bottom = self.boxes[upper].bottom();
        match self.course(wire) {
            Course::Hangs => {
                let way = self.down_to(lower);
                [(way[0].0, bottom)].into_iter().chain(way).collect()
            }
            Course::Down { from } => {
                let (x, way) = (self.at(upper, wire, Edge::Bottom), self.way_in(lower, wire));
                let (y, to) = (lane(from + 1), way[0].0);
                // Straight, where the middles differ by what rounding makes.
                let x = if (x - to).abs() < PORT / 16 { to } else { x };
                [(x, bottom), (x, y), (to, y)].into_iter().chain(way).collect()
            }
            Course::Level { row } => {
                let bars = self.is_bars(rows, row);
                let edge = if bars { Edge::Top } else { Edge::Bottom };
                let y = lane(if bars { row } else { row + 1 });
                let end = |node: usize| {
                    let rect = self.boxes[node];
                    (self.at(node, wire, edge), if bars { rect.y } else { rect.bottom() })
                };
                let (a, b) = (end(upper), end(lower));
                vec![a, (a.0, y), (b.0, y), b]
            }
            Course::Around { from, to } => {
                let (x, way) = (self.at(upper, wire, Edge::Bottom), self.way_in(lower, wire));
                let (first, last) = (lane(from + 1), lane(to));
                *side += LANE;
                [(x, bottom), (x, first), (*side, first), (*side, last), (way[0].0, last)]
                    .into_iter()
                    .chain(way)
                    .collect()
            }
        }
    }

    /// The names of interfaces where a node has several.
    fn labels(&self, paths: &[Vec<(i32, i32)>]) -> Vec<((i32, i32), String)> {
        let mut labels = Vec::new();
        for (wire, path) in paths.iter().enumerate() {
            let [upper, lower] = self.downwards(wire);
            for ((node, port), corner) in [(upper, path.first()), (lower, path.last())] {
                let several = self.wires[node].len() > 1 && !self.is_switch(node);
                if let (true, Some((x, y))) = (several, corner) {
                    let beside = if *y >= self.boxes[node].bottom() { LINE - 3 } else { -5 };
                    labels.push(((x + 4, y + beside), self.topology.nodes[node].ports[port].name.clone()));
                }
            }
        }
        labels
    }

    /// Where a wire meets the lower or upper edge of a box: each has a place of its own, in the order of where
    /// the other ends are.
    fn at(&self, node: usize, wire: usize, edge: Edge) -> i32 {
        let mut here: Vec<usize> =
            self.wires[node].iter().copied().filter(|w| self.edge(node, *w) == edge).collect();
        here.sort_by_key(|w| (self.boxes[self.other(*w, node)].middle(), *w));
        let place = here.iter().position(|w| *w == wire).unwrap_or(0) as i32;
        let rect = self.boxes[node];
        rect.x + rect.width * (2 * place + 1) / (2 * here.len().max(1) as i32)
    }

    fn edge(&self, node: usize, wire: usize) -> Edge {
        let other = self.other(wire, node);
        match self.course(wire) {
            Course::Hangs => Edge::None,
            Course::Level { .. } if self.is_switch(node) => Edge::Top,
            Course::Level { .. } => Edge::Bottom,
            _ if self.row[node] < self.row[other] => Edge::Bottom,
            _ => Edge::Top,
        }
    }

    /// From above its row to a node's upper edge.
    fn way_in(&self, node: usize, wire: usize) -> Vec<(i32, i32)> {
        match self.hub[node] {
            Some(_) => self.down_to(node),
            None => vec![(self.at(node, wire, Edge::Top), self.boxes[node].y)],
        }
    }

    /// From above its grid to what stands in that: straight, or by the passage beside the boxes above it.
    fn down_to(&self, leaf: usize) -> Vec<(i32, i32)> {
        let rect = self.boxes[leaf];
        let mut path = Vec::new();
        if let Some(passage) = self.passage(leaf) {
            let above = rect.y - BELOW / 2;
            path.extend([(passage, above), (rect.middle(), above)]);
        }
        path.push((rect.middle(), rect.y));
        path
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Edge {
    Top,
    Bottom,
    None,
}

/// How a wire goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Course {
    /// Straight from a switch to what hangs on it.
    Hangs,
    /// To the next row.
    Down { from: usize },
    /// To a node in the same row.
    Level { row: usize },
    /// Past rows between, at the side.
    Around { from: usize, to: usize },
}

/// How large a node's box is.
fn size(node: &super::Node, wires: usize) -> (i32, i32) {
    if node.kind == Kind::Switch {
        return (text_width(&bar_title(node)) + 2 * PAD + PORT, BAR);
    }
    let lines: Vec<String> = lines(node);
    let widest = lines.iter().chain([&node.name]).map(|line| text_width(line)).max().unwrap_or(0);
    let width = (widest + 2 * PAD).max(PORT * wires as i32).max(2 * PORT);
    (width, HEAD + LINE * lines.len() as i32 + PAD)
}

/// What stands in a box beneath the name.
pub(super) fn lines(node: &super::Node) -> Vec<String> {
    node.ports.iter().map(port_line).chain(node.notes.iter().cloned()).map(|line| clipped(&line)).collect()
}

/// What stands on a switch's bar.
pub(super) fn bar_title(node: &super::Node) -> String {
    let notes = node.notes.iter().map(|note| clipped(note));
    [node.name.clone()].into_iter().chain(notes).collect::<Vec<_>>().join(" · ")
}

fn clipped(line: &str) -> String {
    const MOST: usize = 60;
    match line.chars().count() > MOST {
        true => line.chars().take(MOST - 1).chain(['…']).collect(),
        false => line.to_string(),
    }
}

fn text_width(text: &str) -> i32 {
    CHARACTER * text.chars().count() as i32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::*, *};

    /// Nodes of these kinds, and wires between these pairs.
    pub(super) fn topology(kinds: &[Kind], pairs: &[(usize, usize)]) -> Topology {
        let mut made = Topology::default();
        for (number, kind) in kinds.iter().enumerate() {
            made.nodes.push(Node {
                kind: *kind,
                name: format!("n{number}"),
                ports: Vec::new(),
                notes: Vec::new(),
            });
        }
        for (a, b) in pairs {
            let ends = [a, b].map(|node| {
                let ports = &mut made.nodes[*node].ports;
                let name = format!("eth{}", ports.len());
                ports.push(Port { name, addresses: vec![format!("10.{node}.0.1/24")] });
                (*node, ports.len() - 1)
            });
            made.wires.push(Wire { ends });
        }
        made
    }

    fn overlap(a: &Rect, b: &Rect) -> bool {
        a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.bottom() && b.y < a.bottom()
    }

    /// Whether the line between two corners goes through the inside of a box.
    fn crosses(((x1, y1), (x2, y2)): ((i32, i32), (i32, i32)), rect: &Rect) -> bool {
        let inside = |low: i32, high: i32, from: i32, to: i32| low.max(from) < high.min(to);
        match x1 == x2 {
            true => {
                rect.x < x1
                    && x1 < rect.x + rect.width
                    && inside(y1.min(y2), y1.max(y2), rect.y, rect.bottom())
            }
            false => {
                rect.y < y1
                    && y1 < rect.bottom()
                    && inside(x1.min(x2), x1.max(x2), rect.x, rect.x + rect.width)
            }
        }
    }

    fn check(topology: &Topology) -> Result<(), TestCaseError> {
        let layout = arrange(topology);
        for (number, rect) in layout.boxes.iter().enumerate() {
            prop_assert!(rect.width > 0 && rect.height > 0, "no place for n{number}");
            prop_assert!(
                rect.x >= 0 && rect.x + rect.width <= layout.width && rect.bottom() <= layout.height
            );
            for (other, second) in layout.boxes.iter().enumerate().skip(number + 1) {
                prop_assert!(!overlap(rect, second), "n{number} and n{other}: {rect:?} {second:?}");
            }
        }
        for (number, path) in layout.paths.iter().enumerate() {
            for corners in path.windows(2) {
                let (from, to) = (corners[0], corners[1]);
                prop_assert!(from.0 == to.0 || from.1 == to.1, "wire {number} is not straight: {path:?}");
                for (node, rect) in layout.boxes.iter().enumerate() {
                    prop_assert!(!crosses((from, to), rect), "wire {number} goes through n{node}: {path:?}");
                }
            }
            for (end, (x, y)) in [path[0], path[path.len() - 1]].into_iter().enumerate() {
                let meets = topology.wires[number].ends.iter().any(|(node, _)| {
                    let rect = layout.boxes[*node];
                    (y == rect.y || y == rect.bottom()) && (rect.x..=rect.x + rect.width).contains(&x)
                });
                prop_assert!(meets, "end {end} of wire {number} meets no box: {path:?}");
            }
        }
        Ok(())
    }

    fn kind() -> impl Strategy<Value = Kind> {
        prop_oneof![1 => Just(Kind::Host), 5 => Just(Kind::Container), 2 => Just(Kind::Switch)]
    }

    proptest! {
        /// Whatever is wired to whatever: nothing lies over anything else, and no wire goes through a box.
        #[test]
        fn boxes_and_wires_keep_clear_of_each_other(
            kinds in prop::collection::vec(kind(), 2..20),
            pairs in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..40),
        ) {
            let pairs: Vec<(usize, usize)> = pairs
                .iter()
                .map(|(a, b)| (a.index(kinds.len()), b.index(kinds.len())))
                .filter(|(a, b)| a != b)
                .collect();
            check(&topology(&kinds, &pairs))?;
        }
    }

    #[test]
    fn what_people_build_is_no_wider_than_a_page() {
        let star = |count: usize, hub: Kind| {
            let kinds: Vec<Kind> = [hub].into_iter().chain((0..count).map(|_| Kind::Container)).collect();
            let pairs: Vec<(usize, usize)> = (1..=count).map(|node| (0, node)).collect();
            topology(&kinds, &pairs)
        };
        for (count, hub) in [(1, Kind::Host), (10, Kind::Switch), (50, Kind::Switch), (50, Kind::Host)] {
            let made = star(count, hub);
            check(&made).unwrap();
            assert!(arrange(&made).width < 4000, "{count}: {}", arrange(&made).width);
        }
    }
}
