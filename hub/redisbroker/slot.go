package redisbroker

import "strings"

// slots is how many slots a cluster shares out.
const slots = 16384

// crcTable is that of CRC-16/XMODEM.
var crcTable = func() (table [256]uint16) {
	for i := range table {
		crc := uint16(i) << 8
		for range 8 {
			high := crc&0x8000 != 0
			crc <<= 1
			if high {
				crc ^= 0x1021
			}
		}
		table[i] = crc
	}
	return table
}()

// slotOf is the slot of a key or a shard channel: that of what stands between the first { and the next }, if anything
// does, else of the whole.
func slotOf(key string) uint16 {
	if _, behind, found := strings.Cut(key, "{"); found {
		if tag, _, found := strings.Cut(behind, "}"); found && tag != "" {
			key = tag
		}
	}
	crc := uint16(0)
	for i := range len(key) {
		crc = crc<<8 ^ crcTable[byte(crc>>8)^key[i]]
	}
	return crc % slots
}
