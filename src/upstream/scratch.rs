//! Buffers that all connections of a worker share: an idle connection holds none.

use std::cell::{RefCell, RefMut};
use std::rc::Rc;

use bytes::BytesMut;

/// One buffer for reading, and a few large ones that requests were in.
#[derive(Debug, Clone)]
pub struct Scratch(Rc<Shared>);

#[derive(Debug)]
struct Shared {
    reading: RefCell<Box<[u8]>>,
    /// Empty. The system takes and gives memory page by page: for a large value that costs as much as carrying it.
    large: RefCell<Vec<BytesMut>>,
}

impl Scratch {
    /// As large as a socket's buffer usually is; measured: larger ones gain nothing, smaller ones cost calls.
    const BYTES: usize = 64 << 10;
    /// Smaller buffers than this are not worth keeping.
    const LARGE_BYTES_MIN: usize = 256 << 10;
    /// Nor are larger ones: they are rare.
    const LARGE_BYTES_MAX: usize = 2 << 20;
    /// What a buffer that is kept is known to have room for.
    const SIZES: [usize; 4] = [
        Self::LARGE_BYTES_MAX,
        1 << 20,
        512 << 10,
        Self::LARGE_BYTES_MIN,
    ];
    /// So many are kept, 16 MiB at the most.
    const LARGE_MAX: usize = 8;

    /// A fresh one.
    #[must_use]
    pub fn new() -> Scratch {
        Scratch(Rc::new(Shared {
            reading: RefCell::new(vec![0; Self::BYTES].into_boxed_slice()),
            large: RefCell::default(),
        }))
    }

    /// Borrows it for one read. Invariant: nobody keeps the borrow across an await.
    pub fn borrow(&self) -> RefMut<'_, Box<[u8]>> {
        self.0.reading.borrow_mut()
    }

    /// An empty buffer with room for more than `bytes`, if one is kept.
    #[must_use]
    pub fn large(&self, bytes: usize) -> Option<BytesMut> {
        let mut large = self.0.large.borrow_mut();
        let found = large.iter().position(|it| it.capacity() > bytes)?;
        Some(large.swap_remove(found))
    }

    /// Keeps a buffer that is needed no more, where it is worth it.
    pub fn keep(&self, mut buffer: BytesMut) {
        buffer.clear();
        let mut large = self.0.large.borrow_mut();
        // A buffer says how large it is only by what can be reclaimed of it, which takes nothing new.
        let too_large = buffer.try_reclaim(Self::LARGE_BYTES_MAX + 1);
        if large.len() < Self::LARGE_MAX
            && !too_large
            && Self::SIZES.iter().any(|&size| buffer.try_reclaim(size))
        {
            large.push(buffer);
        }
    }

    /// Gives back what is kept.
    pub(super) fn forget(&self) {
        self.0.large.borrow_mut().clear();
    }
}

impl Default for Scratch {
    fn default() -> Scratch {
        Scratch::new()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Buf;

    use super::*;

    #[test]
    fn a_large_buffer_is_used_again_whatever_has_left_it() {
        let scratch = Scratch::new();
        let mut used = BytesMut::zeroed(Scratch::LARGE_BYTES_MAX);
        let address = used.as_ptr();
        used.advance(1000);
        let mut sent = used.split_to(5000);
        drop(used);
        sent.advance(5000);
        scratch.keep(sent);
        let mut again = scratch.large(Scratch::LARGE_BYTES_MIN).unwrap();
        assert_eq!(again.len(), 0);
        again.resize(Scratch::LARGE_BYTES_MAX, 0);
        assert_eq!(again.as_ptr(), address, "nothing new was taken");
        assert!(scratch.large(0).is_none());
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let scratch = Scratch::new();
        scratch.keep(BytesMut::with_capacity(Scratch::LARGE_BYTES_MIN - 1));
        scratch.keep(BytesMut::with_capacity(Scratch::LARGE_BYTES_MAX + 1));
        let mut huge = BytesMut::zeroed(8 * Scratch::LARGE_BYTES_MAX);
        let mut sent = huge.split_to(8 * Scratch::LARGE_BYTES_MAX - 1);
        drop(huge);
        sent.advance(Scratch::LARGE_BYTES_MAX);
        scratch.keep(sent);
        assert!(scratch.large(0).is_none());
        for _ in 0..2 * Scratch::LARGE_MAX {
            scratch.keep(BytesMut::with_capacity(Scratch::LARGE_BYTES_MIN));
        }
        let kept = std::iter::from_fn(|| scratch.large(0)).count();
        assert_eq!(kept, Scratch::LARGE_MAX);
        scratch.keep(BytesMut::with_capacity(Scratch::LARGE_BYTES_MIN));
        scratch.forget();
        assert!(scratch.large(0).is_none());
    }
}
