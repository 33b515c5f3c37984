//! The stack traces seen so far.

use crate::scan::{FrameFacts, LoadFacts};

/// Frames, traces and the numbers of classes, in the order of the dump: a few thousand.
#[derive(Default)]
pub(super) struct Stacks {
    /// Serial and id of each `LOAD_CLASS`.
    pub(super) serials: Vec<(u32, u64)>,
    pub(super) frames: Vec<FrameFacts>,
    pub(super) traces: Vec<Trace>,
    /// The frames of all traces.
    pub(super) trace_frames: Vec<u64>,
}

/// A `TRACE` record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trace {
    pub(super) serial: u32,
    pub(super) thread_serial: u32,
    /// Where its frames begin in those of all traces.
    pub(super) first_frame: usize,
}

impl Stacks {
    pub(super) fn load(&mut self, class: &LoadFacts) {
        self.serials.push((class.serial, class.class_id));
    }

    pub(super) fn frame(&mut self, frame: &FrameFacts) {
        self.frames.push(*frame);
    }

    pub(super) fn trace(&mut self, serial: u32, thread_serial: u32) {
        let first_frame = self.trace_frames.len();
        self.traces.push(Trace { serial, thread_serial, first_frame });
    }

    pub(super) fn trace_frame(&mut self, frame_id: u64) {
        self.trace_frames.push(frame_id);
    }
}
