//! Nexmark's query 1: every bid with its price in another currency.

use wasmill_plugin::prelude::*;

/// `event_type` of a bid.
const BID: i64 = 2;

/// What the rule reads. All but the type are missing in what is no bid.
#[derive(Record)]
struct Event {
    event_type: i64,
    #[field("bid.auction")]
    auction: Option<i64>,
    #[field("bid.bidder")]
    bidder: Option<i64>,
    #[field("bid.price")]
    price: Option<i64>,
    #[field("bid.dateTime")]
    time_ms: Option<i64>,
}

/// What the rule makes.
#[derive(Emit)]
struct Bid {
    auction: i64,
    bidder: i64,
    price: i64,
    #[field("dateTime")]
    time_ms: i64,
}

/// Euros for dollars, rounded down: 0.908 of them.
#[wasmill_plugin::transform]
fn nexmark_currency(event: Event, out: &mut Output<Bid>) -> Result<(), Reject> {
    if event.event_type != BID {
        return Ok(());
    }
    let (Some(auction), Some(bidder), Some(price), Some(time_ms)) =
        (event.auction, event.bidder, event.price, event.time_ms)
    else {
        return Err(Reject::new("a bid without auction, bidder, price or dateTime"));
    };
    out.emit(Bid { auction, bidder, price: price * 908 / 1000, time_ms });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use wasmill_plugin::testing::TransformTest;

    #[test]
    fn prices_are_rounded_down_and_others_make_nothing() {
        let bid = json!({"event_type": 2, "bid": {"auction": 1, "bidder": 2, "price": 101, "dateTime": 3}});
        let run = TransformTest::<nexmark_currency>::new(json!({})).run([json!({"event_type": 0}), bid]);
        let made: Vec<_> = run.emitted.iter().map(|it| it.text.as_str()).collect();
        assert_eq!(made, [r#"{"auction":1,"bidder":2,"price":91,"dateTime":3}"#]);
    }
}
