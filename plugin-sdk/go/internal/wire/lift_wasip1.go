package wire

// columnWords is the size of a column in memory: its kind, up to two lists of values, and the nulls.
const columnWords = 7

var columns []Column

// TakeBatch reads the arguments that hand over a batch. The columns themselves are valid until the next call; what lies in them is
// the rule's to keep.
func TakeBatch(rows, address, length uint32, watermark int64) *Batch {
	words := Ints32(address, length*columnWords)
	columns = columns[:0]
	for ; len(words) > 0; words = words[columnWords:] {
		// The kind has one byte; what lies behind it is not defined.
		columns = append(columns, TakeColumn(words[0]&0xff, words[1], words[2], words[3], words[4], words[5], words[6]))
	}
	return &Batch{Rows: int(rows), Columns: columns, Watermark: watermark}
}

// TakeColumn reads the arguments that hand over a column.
func TakeColumn(kind, first, firstLength, second, secondLength, nulls, nullsLength uint32) Column {
	column := Column{Kind: Kind(kind), Nulls: TakenBytes(nulls, nullsLength)}
	switch column.Kind {
	case S64:
		column.Ints = ints(first, firstLength)
	case F64:
		column.Floats = floats(first, firstLength)
	case Boolean:
		column.Bools = TakenBytes(first, firstLength)
	default:
		column.Strings = TakeStrings(first, firstLength, second, secondLength)
	}
	return column
}

// TakeStrings reads the arguments that hand over strings.
func TakeStrings(offsets, offsetsLength, data, dataLength uint32) Strings {
	return Strings{Offsets: Ints32(offsets, offsetsLength), Data: TakenBytes(data, dataLength)}
}
