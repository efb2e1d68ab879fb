//! Memory that host and runner share. The host makes it, chooses its size and seals it against every change of size:
//! a mapping that the other side can cut short ends the process with SIGBUS.
//!
//! * *Input* holds the flag that tells a call to stop, and the batch. The runner can only read it.
//! * *Output* holds the records. The host reads it once, into memory of its own, and believes nothing before that.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::ptr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use linli_plugin_abi as abi;
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::mm::{MapFlags, ProtFlags};

/// Where the batch begins in the input: behind the flag, on a boundary of 8 bytes.
const BATCH_AT: usize = 64;
/// Smallest memory that is made: a batch of a thousand residents fits as a rule.
const BYTES_MIN: usize = 256 * 1024;

/// Shared memory, mapped into this process.
#[derive(Debug)]
pub(crate) struct Mapping {
    at: *mut u8,
    len: usize,
}

// SAFETY: the mapping belongs to this value alone; what the other process does to it is the concern of each reader.
unsafe impl Send for Mapping {}

impl Mapping {
    fn new(memory: &OwnedFd, protection: ProtFlags) -> io::Result<Self> {
        let len = usize::try_from(rustix::fs::fstat(memory)?.st_size).unwrap_or(0);
        // SAFETY: a new mapping at a place that the kernel chooses.
        let at = unsafe { rustix::mm::mmap(ptr::null_mut(), len, protection, MapFlags::SHARED, memory, 0) }?;
        Ok(Self { at: at.cast(), len })
    }

    /// The input of a runner: what the host wrote, to be read only.
    pub(crate) fn input(memory: &OwnedFd) -> io::Result<Self> {
        Self::new(memory, ProtFlags::READ)
    }

    /// The output of a runner.
    pub(crate) fn output(memory: &OwnedFd) -> io::Result<Self> {
        Self::new(memory, ProtFlags::READ | ProtFlags::WRITE)
    }

    /// The flag that tells a call to stop; at the beginning of the input.
    pub(crate) fn cancel(&self) -> &AtomicU32 {
        // SAFETY: no mapping is shorter, it begins on a page, and it lives as long as `self`.
        unsafe { AtomicU32::from_ptr(self.at.cast()) }
    }

    /// The batch in the input, if it has so many bytes.
    pub(crate) fn batch(&self, bytes: usize) -> Option<*const abi::BatchHeader> {
        let fits = bytes >= size_of::<abi::BatchHeader>() && bytes <= self.len.saturating_sub(BATCH_AT);
        // SAFETY: `BATCH_AT` lies within the mapping.
        fits.then(|| unsafe { self.at.add(BATCH_AT) }.cast_const().cast())
    }

    /// So many bytes from the beginning of what the input holds, if it has them.
    pub(crate) fn input_bytes(&self, count: usize) -> Option<&[u8]> {
        if count > self.len.saturating_sub(BATCH_AT) {
            return None;
        }
        // SAFETY: they lie within the mapping, and the host writes no more until it has an answer.
        Some(unsafe { std::slice::from_raw_parts(self.at.add(BATCH_AT), count) })
    }

    /// The records in the output, and how many there is room for.
    pub(crate) fn records(&self) -> (*mut abi::Finding, usize) {
        (self.at.cast(), self.len / size_of::<abi::Finding>())
    }

    /// Writes bytes to the beginning of the output; says whether they fit.
    pub(crate) fn write(&self, bytes: &[u8]) -> bool {
        if bytes.len() > self.len {
            return false;
        }
        // SAFETY: it fits, and the two do not overlap.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), self.at, bytes.len()) };
        true
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own and nothing refers to it any more.
        let _ = unsafe { rustix::mm::munmap(self.at.cast(), self.len) };
    }
}

/// The two memories of one runner, as the host holds them.
#[derive(Debug)]
pub(crate) struct Memory {
    input: Mapping,
    output: Mapping,
    /// What the runner is given: input and output.
    pub(crate) files: [OwnedFd; 2],
}

impl Memory {
    /// Makes memory for a batch of so many bytes and an answer of so many records.
    pub(crate) fn new(batch_bytes: usize, records: usize) -> io::Result<Self> {
        let input = file(c"linli-input", BATCH_AT.saturating_add(batch_bytes))?;
        let output = file(c"linli-output", records.saturating_mul(size_of::<abi::Finding>()))?;
        let made = Self {
            input: Mapping::new(&input, ProtFlags::READ | ProtFlags::WRITE)?,
            output: Mapping::new(&output, ProtFlags::READ)?,
            files: [input, output],
        };
        let [input, output] = &made.files;
        let size = SealFlags::SHRINK | SealFlags::GROW;
        // Our mapping stays writable; nobody can make another that is.
        rustix::fs::fcntl_add_seals(input, size | SealFlags::FUTURE_WRITE | SealFlags::SEAL)
            // Kernels before 5.1 do not know that seal; then the runner harms nobody but itself.
            .or_else(|_| rustix::fs::fcntl_add_seals(input, size | SealFlags::SEAL))?;
        rustix::fs::fcntl_add_seals(output, size | SealFlags::SEAL)?;
        Ok(made)
    }

    /// Whether a batch and its answer have room.
    pub(crate) fn fits(&self, batch_bytes: usize, records: usize) -> bool {
        batch_bytes <= self.input.len - BATCH_AT && records <= self.output.records().1
    }

    /// The flag that tells a call to stop.
    pub(crate) fn cancel(&self) -> &AtomicU32 {
        self.input.cancel()
    }

    /// Puts a batch in place; says whether it has room.
    pub(crate) fn put(&mut self, batch: &[u8]) -> bool {
        if batch.len() > self.input.len - BATCH_AT {
            return false;
        }
        // SAFETY: it fits, and the two do not overlap.
        unsafe { ptr::copy_nonoverlapping(batch.as_ptr(), self.input.at.add(BATCH_AT), batch.len()) };
        true
    }

    /// Copies the first records out; `None`: there is no room for so many.
    pub(crate) fn take_records(&self, count: u32) -> Option<Vec<abi::Finding>> {
        const WORDS: usize = size_of::<abi::Finding>() / size_of::<u64>();
        const { assert!(size_of::<abi::Finding>() == WORDS * size_of::<u64>()) };
        let (from, room) = self.output.records();
        let count = usize::try_from(count).ok().filter(|count| *count <= room)?;
        let mut records: Vec<abi::Finding> = Vec::with_capacity(count);
        let to = records.as_mut_ptr().cast::<u64>();
        for word in 0..count * WORDS {
            // SAFETY: both sides have `count` records. The runner may write at the same time, so this side reads
            // atomically, and each word once.
            unsafe {
                let word_read = AtomicU64::from_ptr(from.cast::<u64>().add(word)).load(Ordering::Relaxed);
                to.add(word).write_unaligned(word_read);
            }
        }
        // SAFETY: all of it was written, and every bit pattern is a record.
        unsafe { records.set_len(count) };
        Some(records)
    }

    /// Copies the first bytes of the output; `None`: there are not so many.
    pub(crate) fn take_bytes(&self, count: usize) -> Option<Vec<u8>> {
        let records = u32::try_from(count.div_ceil(size_of::<abi::Finding>())).ok()?;
        let records = self.take_records(records)?;
        // SAFETY: records have no padding, and there are at least as many bytes.
        let bytes = unsafe { std::slice::from_raw_parts(records.as_ptr().cast::<u8>(), count) };
        Some(bytes.to_vec())
    }
}

fn file(name: &std::ffi::CStr, bytes: usize) -> io::Result<OwnedFd> {
    let bytes = bytes.max(BYTES_MIN).checked_next_power_of_two().unwrap_or(bytes);
    let memory = rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    // Pages come into being when they are written to: large memory costs nothing while it is not used.
    rustix::fs::ftruncate(memory.as_fd(), bytes as u64)?;
    Ok(memory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runner_can_neither_write_the_input_nor_change_a_size() {
        let memory = Memory::new(1_000, 10).unwrap();
        let [input, output] = &memory.files;
        assert!(Mapping::new(input, ProtFlags::READ | ProtFlags::WRITE).is_err(), "input is read-only");
        for file in [input, output] {
            for bytes in [0, 1 << 30] {
                assert!(rustix::fs::ftruncate(file, bytes).is_err(), "the size is sealed");
            }
        }
        assert!(Mapping::input(input).is_ok() && Mapping::output(output).is_ok());
    }

    #[test]
    fn what_was_read_does_not_change_any_more() {
        let memory = Memory::new(1_000, 10).unwrap();
        let theirs = Mapping::output(&memory.files[1]).unwrap();
        assert!(theirs.write(b"an answer"));
        let taken = memory.take_bytes(9).unwrap();
        assert!(theirs.write(b"something"));
        assert_eq!(taken, b"an answer");
        assert_eq!(memory.take_bytes(9).unwrap(), b"something");
        assert!(memory.take_records(u32::MAX).is_none(), "no more than there is room for");
    }

    #[test]
    fn memory_grows_by_being_made_anew() {
        let mut memory = Memory::new(10, 1).unwrap();
        assert!(memory.fits(BYTES_MIN - BATCH_AT, 1));
        assert!(!memory.fits(BYTES_MIN, 1));
        assert!(!memory.put(&vec![0; BYTES_MIN]));
        assert!(memory.put(&[7; 40]));
        let theirs = Mapping::input(&memory.files[0]).unwrap();
        let header = theirs.batch(40).unwrap();
        // SAFETY: 40 bytes were written there.
        assert_eq!(unsafe { (*header).magic }, 0x0707_0707);
        assert!(theirs.batch(8).is_none() && theirs.batch(BYTES_MIN).is_none());
    }
}
