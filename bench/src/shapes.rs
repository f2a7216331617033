//! JSON records of several shapes, for the benchmarks of the decoder: made from a seed, the same on every machine.

use std::fmt::Write;
use wasmill_tests::random::Random;

/// A shape of record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A bid in an envelope, 250 bytes, of which four integers are wanted, three of them nested.
    Bid,
    /// A line of an order, 1,900 bytes: nested objects, arrays of objects and long texts.
    Long,
    /// 250 bytes whose texts have an escape and a letter beyond ASCII.
    Escapes,
    /// Eight fields, three of which are there once in two records.
    Optional,
    /// Eight fields in an order that is another one in every record.
    Shuffled,
    /// Eight fields, and an object before them whose names are another ones in every record.
    Names,
    /// A field whose name is another one in every record, behind seven that stay.
    Unlike,
}

impl Shape {
    /// The fields that are wanted of such a record: numbers, except for those called `text`.
    pub fn wanted(self) -> &'static [&'static str] {
        match self {
            Shape::Bid => &["event_type", "bid.auction", "bid.price", "bid.dateTime"],
            Shape::Long => &["order.id", "order.customer.id", "total", "text"],
            Shape::Escapes => &["id", "text", "amount", "at"],
            Shape::Optional | Shape::Shuffled | Shape::Names | Shape::Unlike => {
                &["field_0", "field_3", "text", "field_6"]
            }
        }
    }
}

/// Makes records of one shape.
#[derive(Debug)]
pub struct Records {
    random: Random,
    shape: Shape,
    text: String,
}

impl Records {
    /// From the first one on.
    pub fn new(shape: Shape) -> Self {
        Records { random: Random::new(11), shape, text: String::new() }
    }

    /// The next record.
    pub fn make(&mut self) -> &[u8] {
        self.text.clear();
        // Writing to a string cannot fail.
        let _ = match self.shape {
            Shape::Bid => self.bid(),
            Shape::Long => self.long(),
            Shape::Escapes => self.escapes(),
            Shape::Optional => self.fields(|random, number| number % 3 == 1 && random.one_in(2)),
            Shape::Shuffled | Shape::Names | Shape::Unlike => self.fields(|_, _| false),
        };
        self.text.as_bytes()
    }

    fn bid(&mut self) -> std::fmt::Result {
        let (auction, bidder) = (self.random.within(1_000..200_000), self.random.within(1_000..1_000_000));
        let (price, channel) = (self.random.within(100..100_000_000), self.random.within(0..10_000));
        let time = 1_700_000_000_000 + self.random.within(0..100_000_000);
        write!(
            self.text,
            r#"{{"event_type":2,"bid":{{"auction":{auction},"bidder":{bidder},"price":{price},"channel":"channel-{channel}","url":"https://www.nexmark.com/item.htm?query=1&channel_id={channel}","dateTime":{time},"extra":""#
        )?;
        while self.text.len() < 250 - 3 {
            self.text.push(char::from(b'a' + self.random.within(0..26) as u8));
        }
        self.text.write_str("\"}}")
    }

    fn long(&mut self) -> std::fmt::Result {
        let (id, customer) = (self.random.number() >> 12, self.random.within(0..1_000_000));
        write!(
            self.text,
            r#"{{"order":{{"id":{id},"customer":{{"id":{customer},"name":"A. Customer","address":{{"street":"1, Long Street","city":"Ghent"}}}},"open":true,"note":null}},"lines":["#
        )?;
        for line in 0..6 {
            let (count, cents) = (self.random.within(1..9), self.random.within(100..100_000));
            let comma = if line == 0 { "" } else { "," };
            write!(
                self.text,
                r#"{comma}{{"article":"a{:06}","count":{count},"price":{}.{:02},"tags":["new","small"]}}"#,
                self.random.within(0..100_000),
                cents / 100,
                cents % 100
            )?;
        }
        write!(self.text, r#"],"total":{},"text":""#, self.random.within(0..1_000_000))?;
        for _ in 0..self.random.within(80..100) {
            self.text.push_str("twelve bytes");
        }
        self.text.write_str("\"}")
    }

    fn escapes(&mut self) -> std::fmt::Result {
        let (id, amount) = (self.random.within(0..1_000_000), self.random.within(0..10_000));
        write!(
            self.text,
            r#"{{"id":{id},"title":"said \"no\" to caf\u00e9s","text":"line {amount}\nof {id}","city":"Lüttich","amount":{amount}.5,"at":17000{id:08},"path":"C:\\temp\\{id}","remark":""#
        )?;
        while self.text.len() < 250 - 2 {
            self.text.push('-');
        }
        self.text.write_str("\"}")
    }

    /// Fields `field_0` to `field_6` and `text`, without those that `absent` takes out.
    fn fields(&mut self, absent: impl Fn(&mut Random, usize) -> bool) -> std::fmt::Result {
        let mut order = [0, 1, 2, 3, 4, 5, 6, 7];
        if self.shape == Shape::Shuffled {
            for last in (1..order.len()).rev() {
                order.swap(last, self.random.within(0..last as u64 + 1) as usize);
            }
        }
        self.text.push('{');
        if self.shape == Shape::Names {
            let names: [u64; 2] = std::array::from_fn(|_| self.random.within(0..1_000_000));
            write!(self.text, r#""by_id":{{"n{}":1,"n{}":2}}"#, names[0], names[1])?;
        }
        for field in order {
            if absent(&mut self.random, field) {
                continue;
            }
            let (comma, value) = (if self.text.len() == 1 { "" } else { "," }, self.random.within(0..100_000_000));
            match field {
                7 => write!(self.text, r#"{comma}"text":"some words {value}""#)?,
                field if field % 2 == 0 => write!(self.text, r#"{comma}"field_{field}":{value}"#)?,
                field => write!(self.text, r#"{comma}"field_{field}":"value {value}""#)?,
            }
        }
        if self.shape == Shape::Unlike {
            write!(self.text, r#","n{}":true"#, self.random.number())?;
        }
        self.text.write_str("}")
    }
}
