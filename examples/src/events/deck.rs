//! Which type comes next: a deck of 60 cards, shuffled anew whenever it is used up, so that proportions are exact.

use barndoor_crds::event_type::EventType;

use super::random::Random;

/// Cards in the deck.
pub(super) const DECK_SIZE: usize = 60;

/// How many cards of the deck are of this type: tool calls and authorizations most often, as with real agents.
const fn weight(event_type: EventType) -> usize {
    match event_type {
        EventType::ToolCall => 8,
        EventType::Authorization => 7,
        EventType::PolicyDecision | EventType::AiRequest | EventType::DataAccess => 5,
        EventType::Authentication
        | EventType::TokenExchange
        | EventType::RequestCompleted
        | EventType::RequestReceived => 4,
        EventType::RequestForwarded | EventType::UserAction => 3,
        EventType::SessionCreated | EventType::SessionTerminated | EventType::SessionUpdated => 2,
        EventType::Audit | EventType::System => 1,
    }
}

/// The deck.
#[derive(Clone, Debug)]
pub(super) struct Deck {
    cards: [EventType; DECK_SIZE],
    drawn: usize,
}

impl Deck {
    pub(super) fn new() -> Self {
        let mut cards = [EventType::System; DECK_SIZE];
        let all = EventType::ALL.into_iter().flat_map(|kind| std::iter::repeat_n(kind, weight(kind)));
        for (card, kind) in cards.iter_mut().zip(all) {
            *card = kind;
        }
        Self { cards, drawn: DECK_SIZE }
    }

    /// The next card.
    pub(super) fn draw(&mut self, random: &mut Random) -> EventType {
        if self.drawn == DECK_SIZE {
            for left in (1..DECK_SIZE).rev() {
                self.cards.swap(left, random.index(left + 1));
            }
            self.drawn = 0;
        }
        let card = self.cards[self.drawn];
        self.drawn += 1;
        card
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weights_fill_the_deck_and_system_is_one_card() {
        assert_eq!(EventType::ALL.into_iter().map(weight).sum::<usize>(), DECK_SIZE);
        assert_eq!(weight(EventType::System), 1);
    }
}
