//! [`Queues`].

/// Two queues of numbers. A number is in one of them or in none, and can leave from the middle.
pub(super) struct Queues {
    /// Each queue is a ring of links that begins and ends with its head. The heads of the two queues come
    /// first, so the link of a number is at the number plus [`HEADS`].
    links: Vec<Link>,
    lens: [usize; HEADS],
}

/// The name of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Queue {
    /// The newest circuits.
    Newcomers,
    /// All other circuits.
    Regulars,
}

use Queue::{Newcomers, Regulars};

#[derive(Clone, Copy)]
struct Link {
    queue: Queue,
    before: u32,
    after: u32,
}

const HEADS: usize = 2;

impl Queues {
    /// Reserves memory for this many numbers.
    pub(super) fn with_capacity(capacity: usize) -> Self {
        let mut links = Vec::with_capacity(HEADS + capacity);
        links.extend([Newcomers, Regulars].map(|queue| {
            let head = queue as u32;
            Link { queue, before: head, after: head }
        }));
        Self { links, lens: [0; HEADS] }
    }

    pub(super) fn len(&self, queue: Queue) -> usize {
        self.lens[queue as usize]
    }

    /// Adds a number that is in no queue to the end of one. Numbers are given without gaps.
    pub(super) fn push(&mut self, queue: Queue, number: u32) {
        let (this, after) = (number + HEADS as u32, queue as u32);
        let before = self.links[after as usize].before;
        let link = Link { queue, before, after };
        match self.links.get_mut(this as usize) {
            Some(old) => *old = link,
            None => self.links.push(link),
        }
        self.links[before as usize].after = this;
        self.links[after as usize].before = this;
        self.lens[queue as usize] += 1;
    }

    /// Returns the first number of a queue.
    pub(super) fn first(&self, queue: Queue) -> Option<u32> {
        let first = self.links[queue as usize].after;
        first.checked_sub(HEADS as u32)
    }

    /// Returns the queue that a number is in.
    pub(super) fn queue(&self, number: u32) -> Queue {
        self.links[number as usize + HEADS].queue
    }

    /// Takes a number out of its queue.
    pub(super) fn remove(&mut self, number: u32) {
        let Link { queue, before, after } = self.links[number as usize + HEADS];
        self.links[before as usize].after = after;
        self.links[after as usize].before = before;
        self.lens[queue as usize] -= 1;
    }

    /// Takes a number out of its queue and adds it to the end of one.
    pub(super) fn move_to(&mut self, queue: Queue, number: u32) {
        self.remove(number);
        self.push(queue, number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(queues: &mut Queues, queue: Queue) -> Vec<u32> {
        std::iter::from_fn(|| queues.first(queue).inspect(|number| queues.remove(*number)))
            .collect()
    }

    #[test]
    fn numbers_leave_in_the_order_in_which_they_came() {
        let mut queues = Queues::with_capacity(0);
        for number in 0..6 {
            queues.push(if number < 4 { Newcomers } else { Regulars }, number);
        }
        [0, 3].into_iter().for_each(|number| queues.remove(number));
        queues.move_to(Regulars, 2);
        assert_eq!([1, 2].map(|number| queues.queue(number)), [Newcomers, Regulars]);
        queues.push(Newcomers, 0);
        assert_eq!((queues.len(Newcomers), queues.len(Regulars)), (2, 3));
        assert_eq!(drain(&mut queues, Newcomers), [1, 0]);
        assert_eq!(drain(&mut queues, Regulars), [4, 5, 2]);
        assert_eq!((queues.len(Newcomers), queues.len(Regulars)), (0, 0));
    }
}
