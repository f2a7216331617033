package wire

//go:wasmimport wasmill:plugin/logging@0.1.0 log
func importedLog(level int32, context, contextLength, message, messageLength uint32)

//go:wasmimport wasmill:plugin/metrics@0.1.0 count
func importedCount(name, nameLength uint32, amount int64)

// What was said last. A text that lies on a goroutine's stack has no address to hand over; through here it lies on the heap.
var said [2]string

// Log hands a line to the host's log. Both texts must be UTF-8.
func Log(level int32, context, message string) {
	said = [2]string{context, message}
	importedLog(level, textAddress(context), uint32(len(context)), textAddress(message), uint32(len(message)))
}

// Count adds to a counter of the host. The name must be UTF-8.
func Count(name string, amount uint64) {
	said[0] = name
	importedCount(textAddress(name), uint32(len(name)), int64(amount))
}
