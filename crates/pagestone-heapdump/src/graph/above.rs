//! The nearest node above two, in the tree of dominators of the core and of the layers below it.
//!
//! A *name* is a number of the core's walk, 0 above all roots, or for an inner node of a layer its
//! number behind those.

use super::{
    layers::{Layers, NONE},
    nearest::Jump,
};

/// What is known of an inner node, and looked at together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    /// Of the core its number, in a layer the name of its dominator; [`NONE`] for what is not
    /// reached.
    pub(super) name: u32,
    /// Edges from the nearest root; [`CORE`] is set in the core.
    distance: u32,
}

/// Set in the distance of what is in the core.
const CORE: u32 = 1 << 31;

impl Slot {
    /// What is not reached.
    pub(super) const ABSENT: Self = Self { name: NONE, distance: CORE - 1 };

    /// A node of the core.
    pub(super) const fn of_core(name: u32, distance: u32) -> Self {
        Self { name, distance: distance | CORE }
    }

    /// Edges from the nearest root, of what is reached.
    #[inline]
    pub(super) const fn distance(self) -> u32 {
        self.distance & !CORE
    }
}

/// The tree as far as it is known.
#[derive(Debug)]
pub(super) struct Above {
    /// By number of the core's walk, the number above.
    pub(super) tree: Vec<u32>,
    /// By number of the core's walk, its [`Jump`].
    pub(super) jumps: Vec<u64>,
    /// By number of the core's walk, the highest number above, or its own: two that differ in it
    /// have only all roots in common.
    pub(super) tops: Vec<u32>,
    /// By inner node.
    pub(super) slots: Vec<Slot>,
}

impl Above {
    /// The name of an inner node of a layer.
    #[inline]
    fn layer_name(&self, node: u32) -> u32 {
        // Fewer than 2^31 inner nodes, some of them in the core.
        u32::try_from(self.tree.len()).unwrap_or(NONE).wrapping_add(node)
    }

    /// The name of an inner node that is reached, and its distance.
    #[inline]
    pub(super) fn name(&self, node: u32) -> Option<(u32, u32)> {
        let Slot { name, distance } = self.slots[node as usize];
        if name == NONE {
            return None;
        }
        if CORE <= distance {
            return Some((name, distance & !CORE));
        }
        Some((self.layer_name(node), distance))
    }

    /// Adds an edge from what has a name to a node of a layer, which is at `distance` by it.
    #[inline]
    pub(super) fn add(&mut self, layers: &Layers, node: u32, (from, distance): (u32, u32)) {
        let Slot { name, distance: known } = self.slots[node as usize];
        let name = if name == NONE { from } else { self.nearest(layers, (name, from)) };
        self.slots[node as usize] = Slot { name, distance: known.min(distance) };
    }

    /// Of two names, that of the nearest node that is above both or one of them.
    #[inline]
    pub(super) fn nearest(&self, layers: &Layers, (one, other): (u32, u32)) -> u32 {
        if one == other || one == 0 {
            return one;
        }
        self.nearest_of_two(layers, (one, other))
    }

    fn nearest_of_two(&self, layers: &Layers, (mut one, mut other): (u32, u32)) -> u32 {
        let core = self.tree.len();
        // What is in a layer is dominated by what is higher.
        while one != other {
            let nodes = [one, other].map(|name| (name as usize).checked_sub(core));
            match nodes {
                [None, None] => return self.nearest_in_core((one, other)),
                [Some(node), None] => one = self.slots[node].name,
                [None, Some(node)] => other = self.slots[node].name,
                [Some(left), Some(right)] => {
                    let layer = |node| layers.layer(u32::try_from(node).unwrap_or(NONE));
                    if layer(left) <= layer(right) {
                        one = self.slots[left].name;
                    } else {
                        other = self.slots[right].name;
                    }
                }
            }
        }
        one
    }

    fn nearest_in_core(&self, (mut one, mut other): (u32, u32)) -> u32 {
        if one == 0 || self.tops[one as usize] != self.tops[other as usize] {
            return 0;
        }
        let jump = |number: u32| -> Jump { bytemuck::cast(self.jumps[number as usize]) };
        if jump(one)[1] < jump(other)[1] {
            (one, other) = (other, one);
        }
        let depth = jump(other)[1];
        while depth < jump(one)[1] {
            let [far, _] = jump(one);
            one = if depth <= jump(far)[1] { far } else { self.tree[one as usize] };
        }
        // Of equal depth, so their jumps are equally long.
        while one != other {
            let (far, far_other) = (jump(one)[0], jump(other)[0]);
            (one, other) = if far == far_other {
                (self.tree[one as usize], self.tree[other as usize])
            } else {
                (far, far_other)
            };
        }
        one
    }
}
