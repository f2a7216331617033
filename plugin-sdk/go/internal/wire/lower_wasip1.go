package wire

import "unsafe"

// What was answered last, kept until the host has read it and says so.
var answered struct {
	frames [][]uint32
	used   int
	hold   []any
}

// frameWords is the least that is allocated for an answer's own structure, in words; few answers need more.
const frameWords = 512

// Release lets go of the last answer. Its memory is used again.
func Release() {
	if len(answered.frames) > 1 {
		answered.frames = answered.frames[len(answered.frames)-1:]
	}
	answered.used = 0
	clear(answered.hold)
	answered.hold = answered.hold[:0]
}

// hold keeps what an answer points into.
func hold(what any) {
	answered.hold = append(answered.hold, what)
}

// frame is memory for `words` of an answer, on a boundary of eight bytes.
func frame(words int) []uint32 {
	last := len(answered.frames) - 1
	if last < 0 || answered.used+words > len(answered.frames[last]) {
		long := make([]uint64, max(words, frameWords)/2+1)
		answered.frames = append(answered.frames, unsafe.Slice((*uint32)(unsafe.Pointer(&long[0])), 2*len(long)))
		last, answered.used = last+1, 0
	}
	memory := answered.frames[last][answered.used : answered.used+words : answered.used+words]
	answered.used += (words + 1) &^ 1
	clear(memory)
	return memory
}

func putText(words []uint32, text string) {
	words[0], words[1] = textAddress(text), uint32(len(text))
}

func putList[T any](words []uint32, list []T) {
	words[0], words[1] = address(list), uint32(len(list))
}

// Failed answers an error.
func Failed(reason string) uint32 {
	answer := frame(3)
	answer[0] = 1
	hold(reason)
	putText(answer[1:], reason)
	return address(answer)
}

// AnswerInfo answers `describe`.
func AnswerInfo(info *Info) uint32 {
	answer := frame(8)
	hold(info)
	putText(answer[0:], info.Name)
	putText(answer[2:], info.Version)
	putText(answer[4:], info.Description)
	putText(answer[6:], info.ConfigSchema)
	return address(answer)
}

// AnswerSpec answers `open`.
func AnswerSpec(spec *Spec) uint32 {
	answer := frame(6)
	hold(spec)
	putFields(answer[1:], spec.Reads)
	ports := frame(4 * len(spec.Ports))
	for i := range spec.Ports {
		putText(ports[4*i:], spec.Ports[i].Name)
		putFields(ports[4*i+2:], spec.Ports[i].Fields)
	}
	answer[3], answer[4] = address(ports), uint32(len(spec.Ports))
	answer[5] = spec.StateVersion
	return address(answer)
}

func putFields(words []uint32, fields []FieldSpec) {
	list := frame(4 * len(fields))
	for i, field := range fields {
		list[4*i] = uint32(field.Slot.Place)
		putText(list[4*i+1:], field.Slot.Name)
		list[4*i+3] = uint32(field.Kind)
		if field.Required {
			list[4*i+3] |= 1 << 8
		}
	}
	words[0], words[1] = address(list), uint32(len(fields))
}

// AnswerProduced answers a call that gives output.
func AnswerProduced(produced *Produced) uint32 {
	answer := frame(5)
	putProduced(answer[1:], produced)
	return address(answer)
}

func putProduced(words []uint32, produced *Produced) {
	hold(produced)
	tables := frame(6 * len(produced.Tables))
	for i := range produced.Tables {
		table := &produced.Tables[i]
		words := tables[6*i : 6*i+6]
		words[0] = table.Port
		putList(words[1:], table.Origins)
		if !table.Unchanged {
			words[3] = 1
			columns := frame(columnWords * len(table.Columns))
			for j := range table.Columns {
				putColumn(columns[columnWords*j:], &table.Columns[j])
			}
			words[4], words[5] = address(columns), uint32(len(table.Columns))
		}
	}
	words[0], words[1] = address(tables), uint32(len(produced.Tables))
	rejects := frame(3 * len(produced.Rejects))
	for i := range produced.Rejects {
		rejects[3*i] = produced.Rejects[i].Row
		putText(rejects[3*i+1:], produced.Rejects[i].Reason)
	}
	words[2], words[3] = address(rejects), uint32(len(produced.Rejects))
}

func putColumn(words []uint32, column *Column) {
	words[0] = uint32(column.Kind)
	switch column.Kind {
	case S64:
		putList(words[1:], column.Ints)
	case F64:
		putList(words[1:], column.Floats)
	case Boolean:
		putList(words[1:], column.Bools)
	default:
		putStrings(words[1:], &column.Strings)
	}
	putList(words[5:], column.Nulls)
}

func putStrings(words []uint32, strings *Strings) {
	putList(words[0:], strings.Offsets)
	putList(words[2:], strings.Data)
}

// AnswerStrings answers a call that gives states or accumulators.
func AnswerStrings(strings *Strings) uint32 {
	answer := frame(5)
	hold(strings)
	putStrings(answer[1:], strings)
	return address(answer)
}

// AnswerKeyed answers a call of a keyed plugin.
func AnswerKeyed(output *KeyedOutput) uint32 {
	answer := frame(14)
	hold(output)
	putProduced(answer[1:], &output.Produced)
	putColumn(answer[5:], &output.States)
	timers := frame(6 * len(output.Timers))
	for i, timer := range output.Timers {
		words := timers[6*i : 6*i+6]
		words[0], words[1] = timer.Group, timer.ID
		if !timer.Cancel {
			words[2] = 1
			words[4], words[5] = uint32(timer.At), uint32(timer.At>>32)
		}
	}
	answer[12], answer[13] = address(timers), uint32(len(output.Timers))
	return address(answer)
}
