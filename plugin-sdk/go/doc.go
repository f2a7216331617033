// Package wasmill writes plugins of wasmill, the stream processor, in Go: the business rule as one typed function, nothing else.
//
//	type Txn struct {
//		CustomerID string   `wasmill:"customer_id"`
//		Amount     float64  `wasmill:"amount"`
//		Note       *string  `wasmill:"note"` // May be missing.
//	}
//
//	type Alert struct {
//		CustomerID string  `wasmill:"customer_id"`
//		Amount     float64 `wasmill:"amount"`
//	}
//
//	type Config struct {
//		MaxAmount float64 `json:"max_amount"`
//	}
//
//	// Rule alerts on transactions that are too large.
//	var Rule = wasmill.Transform(wasmill.Options{Name: "large-amount", Version: "1.0.0"},
//		func(txn Txn, config *Config, out *wasmill.Output[Alert]) error {
//			if txn.Amount < 0 {
//				return errors.New("a negative amount") // To the dead letters, with this reason.
//			}
//			if txn.Amount > config.MaxAmount {
//				out.Emit(Alert{txn.CustomerID, txn.Amount})
//			}
//			return nil
//		})
//
//	func main() {}
//
// The variable is the whole plugin: the package registers it, and `wasmill plugin build` makes a component of it. A rule is a plain
// function: call it in a test, or drive it with package plugintest, without WebAssembly.
//
//	a rule that                               is made by
//	looks at one record                       [Transform]; [TransformColumns] where speed matters
//	remembers something for each key          [Keyed]: a typed state, timers
//	folds the records of a window             [Aggregate]
//
// # What a rule reads
//
// A field of the struct is the field of that name in the record's value; its type is its kind:
//
//	int64, int                  s64
//	float64                     f64; an integer is accepted
//	bool                        boolean
//	string                      text
//	[]byte                      bytes
//	json.RawMessage             any JSON value, as its text
//	a slice, map or struct      any JSON value, read by encoding/json; one that does not fit is rejected
//	*T of one of the first six  the record may lack it: nil. Any other is dead-lettered without it.
//
// The tag `wasmill:"card.country"` names the field, or a path into nested objects; without one the name is the Go name in snake case
// (CustomerID is customer_id). What is not in the value is read by `wasmill:",key"` (string or []byte), `",value"` ([]byte), `",time"`
// (int64, milliseconds since the Unix epoch), `",header=NAME"` ([]byte), `",topic"` (string), `",partition"` and `",offset"` (int64).
// `wasmill:"-"` is not read. Key, value and headers may be null, so []byte, which is nil then, or a pointer suits them; a plain string
// demands a key.
//
// A string or []byte lies in what the host handed over, without a copy. It may be kept; one that is kept for long is better cloned
// (strings.Clone), since it keeps its whole column. A []byte or json.RawMessage must not be changed.
//
// # What a rule writes
//
// [Output] says how rows are emitted and how there can be more than one output. In a struct that is emitted the fields are those of
// the output, in that order: integers up to int64 and uint32 (s64), float32 and float64 (f64), bool, string (text, which must be UTF-8), []byte (bytes; nil is
// null), json.RawMessage (json), pointers to these (null when nil), and anything else as JSON. `wasmill:",key"`, `",time"`, `",value"` and
// `",header=NAME"` set what is not in the value; key and time are the origin's where a row sets none.
//
// # When a rule fails
//
// An error that a rule returns rejects the record: it goes to the dead letters with the error's text. A panic costs the record, too, with
// message, type and place; the instance is replaced.
//
// There are no files, no sockets, no environment. The clock begins at 2000-01-01 and moves by a microsecond with each look, random numbers
// are the same on every instance: a replay gives the same output.
package wasmill
