package wire

import "unsafe"

// What the host wrote for the call that is about to begin. An argument is a number to Go's collector, so it is kept here until
// the call has made slices of it.
var handedOver []unsafe.Pointer

// The host asks for memory, always new, for each list of a call's arguments. Rules may keep strings that lie there, so it is the
// collector's, and no call uses it again.
//
//go:wasmexport cabi_realloc
func allocate(_ unsafe.Pointer, _, _, bytes uint32) unsafe.Pointer {
	if bytes == 0 {
		return nil
	}
	// Words, for the alignment that any list may need.
	memory := unsafe.Pointer(unsafe.SliceData(make([]uint64, (uint64(bytes)+7)/8)))
	handedOver = append(handedOver, memory)
	return memory
}

// Taken lets go of what the host handed over: slices hold it by now.
func Taken() {
	clear(handedOver)
	handedOver = handedOver[:0]
}

func pointer(address uint32) unsafe.Pointer {
	return unsafe.Pointer(uintptr(address))
}

// Ints32 is a list of u32.
func Ints32(address, length uint32) []uint32 {
	return unsafe.Slice((*uint32)(pointer(address)), length)
}

func ints(address, length uint32) []int64 {
	return unsafe.Slice((*int64)(pointer(address)), length)
}

func floats(address, length uint32) []float64 {
	return unsafe.Slice((*float64)(pointer(address)), length)
}

// TakenBytes is a list of u8.
func TakenBytes(address, length uint32) []byte {
	return unsafe.Slice((*byte)(pointer(address)), length)
}

// address is where a slice's items lie.
func address[T any](slice []T) uint32 {
	if len(slice) == 0 {
		return 0
	}
	return uint32(uintptr(unsafe.Pointer(unsafe.SliceData(slice))))
}

func textAddress(text string) uint32 {
	if text == "" {
		return 0
	}
	return uint32(uintptr(unsafe.Pointer(unsafe.StringData(text))))
}
