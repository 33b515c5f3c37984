//! An audit of stores: each instruction that stores to a mapping, found by page protection.
//!
//! The mapping is made read-only. A store faults; the handler notes its address, lets the page be
//! written, and has the processor stop after one instruction, when the page is protected again.
#![expect(unsafe_code, reason = "page protection and signal handlers have no safe form")]

use std::{
    ffi::c_void,
    ptr,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

const PAGE: usize = 4096;
/// Stores that are noted at most.
const NOTED_MAX: usize = 1 << 17;
/// The processor's flag that stops it after each instruction.
const TRAP_FLAG: libc::greg_t = 0x100;

static BASE: AtomicUsize = AtomicUsize::new(0);
static END: AtomicUsize = AtomicUsize::new(0);
static OPENED: AtomicUsize = AtomicUsize::new(0);
static COUNT: AtomicUsize = AtomicUsize::new(0);
static NOTED: [AtomicUsize; NOTED_MAX] = [const { AtomicUsize::new(0) }; NOTED_MAX];

/// Runs `work` and returns the addresses of all stores to `base..base + len` that this process
/// made meanwhile, in order: each of its instructions, or each step of one that repeats.
///
/// One audit runs at a time; the mapping belongs to it, and is readable and writable after it.
///
/// # Panics
///
/// When the system refuses to protect the pages, or more than 131,072 stores are made.
pub fn stores_to<R>(base: usize, len: usize, work: impl FnOnce() -> R) -> (R, Vec<usize>) {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    BASE.store(base, Ordering::SeqCst);
    END.store(base + len, Ordering::SeqCst);
    COUNT.store(0, Ordering::SeqCst);
    let old =
        [(libc::SIGSEGV, fault as *const () as usize), (libc::SIGTRAP, step as *const () as usize)]
            .map(|(signal, handler)| (signal, install(signal, handler)));
    assert!(protect(base, len, libc::PROT_READ), "the mapping cannot be protected");
    let answer = work();
    let opened = protect(base, len, libc::PROT_READ | libc::PROT_WRITE);
    for (signal, action) in old {
        // SAFETY: the action is what the same call gave out before.
        unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) };
    }
    assert!(opened, "the mapping cannot be opened again");
    let count = COUNT.load(Ordering::SeqCst);
    assert!(count <= NOTED_MAX, "{count} stores are too many to be noted");
    (answer, NOTED[..count].iter().map(|at| at.load(Ordering::SeqCst)).collect())
}

fn install(signal: i32, handler: usize) -> libc::sigaction {
    // SAFETY: all zero is a valid value of this plain struct.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler;
    action.sa_flags = libc::SA_SIGINFO;
    // SAFETY: as above.
    let mut old: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: the handlers below make only calls that are allowed in one: atomics and `mprotect`.
    unsafe { libc::sigaction(signal, &raw const action, &raw mut old) };
    old
}

fn protect(from: usize, len: usize, how: i32) -> bool {
    // SAFETY: the range is the mapping under audit, whose owner is the caller of `stores_to`; no
    // byte of it changes.
    unsafe { libc::mprotect(ptr::with_exposed_provenance_mut(from), len, how) == 0 }
}

/// A store to a protected page.
extern "C" fn fault(signal: i32, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the system passes a valid `siginfo_t` to a handler with `SA_SIGINFO`.
    let info = unsafe { &*info };
    // SAFETY: a SIGSEGV has an address.
    let at = unsafe { info.si_addr() }.addr();
    let (base, end) = (BASE.load(Ordering::SeqCst), END.load(Ordering::SeqCst));
    if at < base || end <= at {
        // Not ours: the next attempt ends the process, as it would without the audit.
        // SAFETY: the default action is always there.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
        return;
    }
    let number = COUNT.fetch_add(1, Ordering::SeqCst);
    if let Some(entry) = NOTED.get(number) {
        entry.store(at, Ordering::SeqCst);
    }
    let page = at / PAGE * PAGE;
    OPENED.store(page, Ordering::SeqCst);
    protect(page, PAGE, libc::PROT_READ | libc::PROT_WRITE);
    // SAFETY: the system passes a valid `ucontext_t`, which is this thread's alone.
    let flags = unsafe {
        &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs[libc::REG_EFL as usize]
    };
    *flags |= TRAP_FLAG;
}

/// The instruction after the fault is done.
extern "C" fn step(_signal: i32, _info: *mut libc::siginfo_t, context: *mut c_void) {
    protect(OPENED.load(Ordering::SeqCst), PAGE, libc::PROT_READ);
    // SAFETY: the system passes a valid `ucontext_t`, which is this thread's alone.
    let flags = unsafe {
        &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs[libc::REG_EFL as usize]
    };
    *flags &= !TRAP_FLAG;
}
