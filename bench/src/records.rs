//! The records of all benchmarks: payments as JSON, 250 bytes each, the same on every machine.

use std::fmt::Write;
use wasmill_tests::random::Random;

/// Length of a record, bytes.
pub const RECORD_BYTES: usize = 250;

/// How many customers there are: with a payment every millisecond, one and a half a customer in five minutes.
const CUSTOMERS: u64 = 200_000;

/// 2026-01-01T00:00:00Z, days since the Unix epoch.
const FIRST_DAY: u64 = 20_454;

const CURRENCIES: [&str; 4] = ["EUR", "USD", "GBP", "JPY"];

/// Makes payments one after the other, a millisecond of event time apart.
#[derive(Debug)]
pub struct Payments {
    random: Random,
    made: u64,
    text: String,
}

impl Payments {
    /// From the first one on.
    pub fn new() -> Self {
        Payments { random: Random::new(7), made: 0, text: String::with_capacity(RECORD_BYTES) }
    }

    /// The next payment. Amounts are spread evenly from 0 to 10,000, currencies over four.
    pub fn make(&mut self) -> &[u8] {
        let (customer, cents) = (self.random.within(0..CUSTOMERS), self.random.within(0..1_000_000));
        let currency = CURRENCIES[self.random.within(0..4) as usize];
        let (seconds, ms) = (self.made / 1_000 % 86_400, self.made % 1_000);
        let day = 1 + self.made / 86_400_000 % 28;
        self.text.clear();
        // Writing to a string cannot fail.
        let _ = write!(
            self.text,
            r#"{{"transaction_id":"t{id:012}","customer_id":"c{customer:06}","timestamp":"2026-01-{day:02}T{hours:02}:{minutes:02}:{seconds:02}.{ms:03}Z","amount":{units}.{cents:02},"currency":"{currency}","merchant":{{"name":"Corner Shop","category":"groceries"}},"reference":""#,
            id = self.made,
            hours = seconds / 3_600,
            minutes = seconds / 60 % 60,
            seconds = seconds % 60,
            units = cents / 100,
            cents = cents % 100,
        );
        while self.text.len() < RECORD_BYTES - 2 {
            self.text.push('-');
        }
        self.text.push_str("\"}");
        self.made += 1;
        self.text.as_bytes()
    }

    /// Milliseconds since the Unix epoch of the payment made last.
    pub fn time_ms(&self) -> i64 {
        let made = self.made.saturating_sub(1);
        (FIRST_DAY * 86_400_000 + made % (28 * 86_400_000)) as i64
    }
}

impl Default for Payments {
    fn default() -> Self {
        Payments::new()
    }
}
