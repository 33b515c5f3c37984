//! Owns the contents of the records outside the heap.

use super::{super::encode::count_u4, DumpWriter};

/// One `FRAME` (0x04).
#[derive(Debug, Clone, Copy, Default)]
#[expect(missing_docs, reason = "the fields are those of the format, under the same names")]
pub struct Frame {
    pub id: u64,
    pub method_name: u64,
    pub method_signature: u64,
    /// 0 when unknown.
    pub source_file: u64,
    pub class_serial: u32,
    /// > 0 a line, -1 unknown, -2 compiled, -3 native.
    pub line: i32,
}

/// One `START_THREAD` (0x0A).
#[derive(Debug, Clone, Copy, Default)]
#[expect(missing_docs, reason = "the fields are those of the format, under the same names")]
pub struct ThreadStart {
    pub thread_serial: u32,
    pub thread_object: u64,
    pub trace_serial: u32,
    pub name: u64,
    pub group_name: u64,
    pub parent_group_name: u64,
}

/// One `HEAP_SUMMARY` (0x07).
#[derive(Debug, Clone, Copy, Default)]
#[expect(missing_docs, reason = "the fields are those of the format, under the same names")]
pub struct HeapSummary {
    pub live_bytes: u32,
    pub live_instances: u32,
    pub allocated_bytes: u64,
    pub allocated_instances: u64,
}

/// One `ALLOC_SITES` (0x06).
#[derive(Debug, Clone, Copy, Default)]
#[expect(missing_docs, reason = "the fields are those of the format, under the same names")]
pub struct AllocSites<'a> {
    pub flags: u16,
    pub cutoff: u32,
    pub totals: HeapSummary,
    pub sites: &'a [AllocSite],
}

/// One site of [`AllocSites`].
#[derive(Debug, Clone, Copy, Default)]
#[expect(missing_docs, reason = "the fields are those of the format, under the same names")]
pub struct AllocSite {
    pub array_type: u8,
    pub class_serial: u32,
    pub trace_serial: u32,
    pub live_bytes: u32,
    pub live_instances: u32,
    pub allocated_bytes: u32,
    pub allocated_instances: u32,
}

/// One line of `CPU_SAMPLES` (0x0D).
#[derive(Debug, Clone, Copy, Default)]
#[expect(missing_docs, reason = "the fields are those of the format, under the same names")]
pub struct CpuSample {
    pub samples: u32,
    pub trace_serial: u32,
}

impl DumpWriter {
    /// `UTF8` (0x01) with the text as it is, valid or not.
    pub fn utf8(&mut self, id: u64, text: &[u8]) -> &mut Self {
        self.record(0x01, |out| {
            out.id(id);
            out.bytes(text);
        })
    }

    /// `LOAD_CLASS` (0x02) with the empty stack trace 1.
    pub fn load_class(&mut self, serial: u32, class: u64, name: u64) -> &mut Self {
        self.record(0x02, |out| {
            out.u4(serial);
            out.id(class);
            out.u4(1);
            out.id(name);
        })
    }

    /// `UNLOAD_CLASS` (0x03).
    pub fn unload_class(&mut self, serial: u32) -> &mut Self {
        self.record(0x03, |out| out.u4(serial))
    }

    /// `FRAME` (0x04).
    pub fn frame(&mut self, frame: &Frame) -> &mut Self {
        self.record(0x04, |out| {
            out.id(frame.id);
            out.id(frame.method_name);
            out.id(frame.method_signature);
            out.id(frame.source_file);
            out.u4(frame.class_serial);
            out.u4(frame.line.cast_unsigned());
        })
    }

    /// `TRACE` (0x05).
    pub fn trace(&mut self, serial: u32, thread_serial: u32, frames: &[u64]) -> &mut Self {
        self.record(0x05, |out| {
            out.u4(serial);
            out.u4(thread_serial);
            out.u4(count_u4(frames.len()));
            for &frame in frames {
                out.id(frame);
            }
        })
    }

    /// `ALLOC_SITES` (0x06).
    pub fn alloc_sites(&mut self, record: &AllocSites<'_>) -> &mut Self {
        self.record(0x06, |out| {
            out.u2(record.flags);
            out.u4(record.cutoff);
            out.u4(record.totals.live_bytes);
            out.u4(record.totals.live_instances);
            out.u8(record.totals.allocated_bytes);
            out.u8(record.totals.allocated_instances);
            out.u4(count_u4(record.sites.len()));
            for site in record.sites {
                out.u1(site.array_type);
                out.u4(site.class_serial);
                out.u4(site.trace_serial);
                out.u4(site.live_bytes);
                out.u4(site.live_instances);
                out.u4(site.allocated_bytes);
                out.u4(site.allocated_instances);
            }
        })
    }

    /// `HEAP_SUMMARY` (0x07).
    pub fn heap_summary(&mut self, summary: HeapSummary) -> &mut Self {
        self.record(0x07, |out| {
            out.u4(summary.live_bytes);
            out.u4(summary.live_instances);
            out.u8(summary.allocated_bytes);
            out.u8(summary.allocated_instances);
        })
    }

    /// `START_THREAD` (0x0A).
    pub fn start_thread(&mut self, thread: &ThreadStart) -> &mut Self {
        self.record(0x0a, |out| {
            out.u4(thread.thread_serial);
            out.id(thread.thread_object);
            out.u4(thread.trace_serial);
            out.id(thread.name);
            out.id(thread.group_name);
            out.id(thread.parent_group_name);
        })
    }

    /// `END_THREAD` (0x0B).
    pub fn end_thread(&mut self, thread_serial: u32) -> &mut Self {
        self.record(0x0b, |out| out.u4(thread_serial))
    }

    /// `CPU_SAMPLES` (0x0D).
    pub fn cpu_samples(&mut self, total: u32, samples: &[CpuSample]) -> &mut Self {
        self.record(0x0d, |out| {
            out.u4(total);
            out.u4(count_u4(samples.len()));
            for sample in samples {
                out.u4(sample.samples);
                out.u4(sample.trace_serial);
            }
        })
    }

    /// `CONTROL_SETTINGS` (0x0E).
    pub fn control_settings(&mut self, flags: u32, stack_depth: u16) -> &mut Self {
        self.record(0x0e, |out| {
            out.u4(flags);
            out.u2(stack_depth);
        })
    }
}
